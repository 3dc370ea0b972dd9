"""How fast can one run keep findings and write its table, and how much does that take?

    python jobs/bench/driver.py mnist.npz [--files 100000] [--pages 2000]

With `--engine ray` this is all that the process does that began the run: machines read, it keeps.
So its rate is the most that one run can read, however many machines it has. Findings are made once,
of one chunk of crops and one page of 24 boxes, and then kept again and again under other names,
each as a record. Plain digits come by columns in a run, which takes less (see ratios.py).

Prints the seconds of processor time and the rate, the size of the state and of the table, and the
memory, for crops and for pages.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

import cv2
import numpy as np
from killed import boxes

from batchdigits.extract.stream import extract_files
from batchdigits.extract.tasks import FileTasks
from batchdigits.job import Inputs, resolve_job
from batchdigits.options import RunOptions
from batchdigits.predict.findings import TaskFindings
from batchdigits.predict.plain_digits import ChunkFindings
from batchdigits.predict.predictor import Predictor
from batchdigits.records import FileSnapshot, Source
from batchdigits.run import run_job


def main() -> None:
    """Keep crops, then pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mnist", type=Path, help=".npz with x_test")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--pages", type=int, default=2000)
    given = parser.parse_args()
    paper = 255 - np.load(given.mnist.resolve())["x_test"]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, count, pictures in (
            ("crops", given.files, list(paper[:1000])),
            ("pages of 24 boxes", given.pages, [boxes(paper[24 * n :]) for n in range(10)]),
        ):
            measure(name, count, pictures)
        os.chdir("/")


def measure(name: str, count: int, pictures: list[np.ndarray]) -> None:
    """Keep so many files with the findings of these pictures, and print what it took."""
    from batchdigits import run

    os.mkdir(name)
    cv2.imwrite(f"{name}/one.png", pictures[0])
    options = RunOptions.from_settings({"out": f"{name}.csv", "workers": 1, "settle": 0})
    job = resolve_job(options, Inputs([name]))
    sources = [Source(f"{name}/{n:09}.png", f"{name}/{n:09}.png", top=name) for n in range(count)]
    made = make_findings(job, pictures)

    def find(*_: object) -> run.sources.FoundSources:
        return run.sources.FoundSources(sources, {}, [])

    def read(tasks: FileTasks, *_: object) -> Generator[list[ChunkFindings]]:
        batch = []
        for n, task in enumerate(tasks):
            digest = n.to_bytes(20)
            stood = FileSnapshot(task.source.file, 700, 10**18, 1, digest)
            batch.append(made[n % len(made)]._replace(task=task, stood=stood))
            if len(batch) == 2048:
                yield [ChunkFindings([], None, batch)]
                batch = []
        if batch:
            yield [ChunkFindings([], None, batch)]

    run.find_files, run._read_files = find, read
    before = time.process_time()
    run_job(job)
    took = time.process_time() - before
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    state, table = (os.path.getsize(f"{name}.csv{ending}") for ending in (".state", ""))
    print(
        f"{count:,} {name}: {took:.1f} s of one processor, {count / took:,.0f} a second; state "
        f"{state / count:,.0f} bytes and table {table / count:,.0f} bytes each; {memory:,.0f} MiB"
    )


def make_findings(job: object, pictures: list[np.ndarray]) -> list[TaskFindings]:
    """Read pictures; return the findings of each."""
    sources = [Source(str(n), str(n)) for n in range(len(pictures))]
    for n, picture in enumerate(pictures):
        cv2.imwrite(f"{n}.png", picture)
    sources = [Source(f"{n}.png", f"{n}.png") for n in range(len(pictures))]
    predictor = Predictor(job.card, "cpu")
    return [
        one
        for batch in extract_files(FileTasks(sources), job.options, job.forms)
        for chunk in predictor.predict_batch(batch)
        for one in chunk.list_findings()
    ]


if __name__ == "__main__":
    main()
