"""Is `--engine ray` the same as `--engine local`, byte for byte, and what does it cost?

    python jobs/bench/ray_engine.py mnist.npz [--crops 5000] [--pages 10] [--ways ray two] …

Writes crops as PNG files and pages of 60 boxes, and reads them

- on this machine, with as many workers as `--processors`;
- `ray`: by Ray, on a cluster of one machine;
- `reader`: by Ray, while a process of Ray that reads is killed;
- `run`: by Ray, while the run itself is killed, and started again;
- `two`: by Ray, on a cluster of two machines (two raylets here), one of which ends in the middle.

`--ways` chooses among those by Ray. Prints for each the seconds, the seconds of processor time of
all its processes until all is kept (which a busy machine does not change: the difference of two
runs of different `--crops` leaves the start out), and whether the table is that of this machine,
to the byte. Exits with 1 where one is not.
"""

import argparse
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from killed import boxes
from numpy.typing import NDArray

OUT = Path("results.csv")
RUN = [sys.executable, "-m", "batchdigits", "run", "in", "--out", str(OUT), "--quiet"]

WAYS = {
    "ray": "Ray, one machine",
    "reader": "Ray, one of its processes killed",
    "run": "Ray, the run killed and started again",
    "two": "Ray, one of two machines ended",
}


def main() -> None:
    """Read the same files in each of the ways."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mnist", type=Path, help=".npz with x_test")
    parser.add_argument("--crops", type=int, default=5000)
    parser.add_argument("--pages", type=int, default=10)
    parser.add_argument("--processors", type=int, default=2)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    given = parser.parse_args()
    digits = np.load(given.mnist.resolve())["x_test"]
    workers = ["--workers", str(given.processors)]
    ray = ["--engine", "ray", *workers]
    sound, disturb = True, {"ray": None, "reader": kill_reader, "run": kill_run}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        write_files(255 - digits, given.crops, given.pages)
        whole = time_run("this machine", workers)
        for way in given.ways:
            if way != "two":
                sound &= time_run(WAYS[way], ray, disturb[way]) == whole
                continue
            with TwoMachines(max(1, given.processors // 2)) as cluster:
                more = [*ray, "--ray-address", cluster.address]
                sound &= time_run(WAYS[way], more, cluster.end_one) == whole
        os.chdir("/")
    sys.exit(not sound)


def write_files(paper: NDArray[np.uint8], crops: int, pages: int) -> None:
    """Write files that look as if they were there for long."""
    for n in range(crops):
        place = Path("in") / f"{n // 1000:03}"
        place.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place / f"{n:06}.png"), paper[n % len(paper)])
    for n in range(pages):
        place = Path("in") / "pages"
        place.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place / f"{n:04}.png"), boxes(paper[24 * n % 9000 :]))
    then = time.time() - 3600
    for path in Path("in").rglob("*.*"):
        os.utime(path, (then, then))


def time_run(
    name: str, options: list[str], disturb: Callable[["subprocess.Popen[Any]"], bool] | None = None
) -> bytes:
    """Run from nothing, disturb it once it has kept some, and print how it went."""
    for path in Path().glob("results*"):
        path.unlink()
    total = sum(1 for _ in Path("in").rglob("*.png"))
    begin = time.monotonic()
    run = subprocess.Popen([*RUN, *options], start_new_session=True)
    told = ""
    if disturb is not None:
        follow(run, total // 4)
        told = f", disturbed after {count_kept():,} of {total:,} files"
        if disturb(run):
            run.wait()
            run = subprocess.Popen([*RUN, *options], start_new_session=True)
    busy = follow(run, total)
    if run.wait() not in (0, 3):
        sys.exit(f"{name}: ended with {run.returncode}")
    took = time.monotonic() - begin
    print(f"{name}: {took:.1f} s, {busy:.1f} s of processor time{told}")
    return tell(OUT.read_bytes())


WHOLE: list[bytes] = []


def tell(table: bytes) -> bytes:
    """Print whether a table is the first that was made."""
    WHOLE.append(table)
    print("    the same bytes" if table == WHOLE[0] else "    OTHER BYTES", flush=True)
    return table


def follow(run: "subprocess.Popen[Any]", count: int) -> float:
    """Wait until a run has kept so many files; return what its processes took, s of processors."""
    took: dict[int, float] = {}
    while count_kept() < count and run.poll() is None:
        for pid in (run.pid, *list_processes_below(run.pid)):
            with suppress(OSError):
                text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
                ticks = [int(one) for one in text.rpartition(")")[2].split()[11:13]]
                took[pid] = sum(ticks) / os.sysconf("SC_CLK_TCK")
        time.sleep(0.1)
    return sum(took.values())


def count_kept() -> int:
    """Count the files whose findings the state has."""
    try:
        with sqlite3.connect("file:results.csv.state?mode=ro", uri=True) as base:
            return int(base.execute("SELECT count(*) FROM files").fetchone()[0])
    except sqlite3.Error:
        return 0


def kill_reader(run: "subprocess.Popen[Any]") -> bool:
    """Kill one process of Ray that reads; return whether the run is to be started again."""
    reader = next(one for one in list_processes_below(run.pid) if is_reader(one))
    os.kill(reader, signal.SIGKILL)
    return False


def list_processes_below(top: int) -> list[int]:
    """List the processes that a process started, and those that they started, by their ids."""
    below = {top}
    parents = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):  # some of which end meanwhile
        with suppress(OSError):
            text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
            parents[int(pid)] = int(text.rpartition(")")[2].split()[1])
    while more := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= more
    return sorted(below - {top})


def is_reader(pid: int) -> bool:
    """Return whether a process runs chunks."""
    try:
        return b"ray::run_chunk" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def kill_run(run: "subprocess.Popen[Any]") -> bool:
    """Kill the run, and all that it started; return whether it is to be started again."""
    os.killpg(run.pid, signal.SIGKILL)
    return True


class TwoMachines:
    """A cluster of a head that reads nothing, and two machines that do."""

    def __init__(self, processors: int) -> None:
        """Take how many processors each of the two has."""
        self._processors = processors

    def __enter__(self) -> "TwoMachines":
        """Start them."""
        from ray.cluster_utils import Cluster

        memory = {"object_store_memory": 128 << 20, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **memory})
        self.address = str(self._cluster.address)
        nodes = [
            self._cluster.add_node(num_cpus=self._processors, object_store_memory=128 << 20)
            for _ in range(2)
        ]
        self._second = nodes[1]
        return self

    def __exit__(self, *_: object) -> None:
        """End what is left of them."""
        self._cluster.shutdown()

    def end_one(self, _run: "subprocess.Popen[Any]") -> bool:
        """End one machine, without a word to the other; the run goes on."""
        ending = threading.Thread(
            target=self._cluster.remove_node, args=(self._second,), kwargs={"allow_graceful": False}
        )
        ending.start()
        ending.join()
        return False


if __name__ == "__main__":
    main()
