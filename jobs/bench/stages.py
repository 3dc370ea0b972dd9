"""Where the processor time of a run goes, by stage and thread, in microseconds a crop.

    python jobs/bench/stages.py FOLDER [--runtime onnx] [--rounds 2]

FOLDER holds crops, as end_to_end.py writes them. Each round is a `batchdigits run` with a new
state.
Threads are measured by their own processor time, so that other work on the machine counts little.
`books` is all that the main process does beside the networks: records, pickling, state and table.
What is done once, such as imports, is shared out among the crops: take many.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def main() -> None:
    """Run each round in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runtime", default="tensorflow")
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    command = [sys.executable, __file__, str(given.folder.resolve()), "--runtime", given.runtime]
    if given.rounds:
        for _ in range(given.rounds):
            subprocess.run([*command, "--rounds", "0"], check=True)
        return
    with tempfile.TemporaryDirectory() as place:
        out = str(Path(place) / "out.csv")
        measure_run(str(given.folder), ["--out", out, "--runtime", given.runtime])


def measure_run(folder: str, more: list[str]) -> None:
    """Run once in this process, and print what each thread and stage took."""
    from batchdigits import cli
    from batchdigits.predict.predictor import Predictor
    from batchdigits.state.findings_keeper import FindingsKeeper
    from batchdigits.summary import Summary
    from batchdigits.workers.slots import WorkerSlot

    took: Counter[str] = Counter()
    measure_calls(Predictor, "_predict_digits", "networks", took)
    measure_calls(FindingsKeeper, "keep_batch", "keep (thread)", took)
    measure_calls(WorkerSlot, "run_tasks", "workers' messages (threads)", took)
    real = Summary.time_stage

    @contextmanager
    def time_stage(self: Summary, name: str) -> Iterator[None]:
        begin = time.thread_time()
        with real(self, name):
            yield
        took[name] += time.thread_time() - begin

    Summary.time_stage = time_stage
    sys.argv = ["batchdigits", "run", folder, "--settle", "0", "--quiet", *more]
    begin = time.thread_time()
    try:
        cli.main()
    except SystemExit as end:
        if end.code not in (0, 3):
            raise
    took["main thread"] = time.thread_time() - begin
    threads = took["keep (thread)"] + took["workers' messages (threads)"]
    took["books"] = took["main thread"] - took["networks"] + threads
    spent = os.times()
    took["main process"] = spent.user + spent.system
    took["workers"] = spent.children_user + spent.children_system
    count = sum(1 for path in Path(folder).rglob("*") if path.is_file())
    print("; ".join(f"{name} {1e6 * took[name] / count:.1f}" for name in took), flush=True)


def measure_calls(owner: Any, name: str, what: str, took: Counter[str]) -> None:
    """Add up the processor time that the calling thread spends in a method."""
    real: Callable[..., Any] = getattr(owner, name)

    def call(*given: Any, **more: Any) -> Any:
        begin = time.thread_time()
        try:
            return real(*given, **more)
        finally:
            took[what] += time.thread_time() - begin

    setattr(owner, name, call)


if __name__ == "__main__":
    main()
