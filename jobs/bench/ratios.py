"""Is each step of a crop still about as fast as it was, beside what `cv2.imread` takes for it?

    python jobs/bench/ratios.py [--crops 2000] [--rounds 5] [--json FILE]

For CI: digits are drawn, no data are needed, and it takes some ten seconds. All steps run by turns
in this process, and their processor time is divided by that of `cv2.imread` on the same PNG files.
The least of the rounds counts. Ends with 1 where a ratio is over its limit, about two and a half
times what was measured: this fails where something is done twice or row by row, not where a machine
is busy.

- decode: a file is opened, checked, digested and decoded (`pages.load_pages`);
- normalize: crops become pictures, all at once;
- worker: all that a worker does, from a task to a chunk;
- cross: tasks and chunk, pickled and unpickled;
- books: a run in which the reading is left out: records, state, rows and table.
"""

import argparse
import json
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import cv2
import numpy as np

from batchdigits import normalize, pages, run
from batchdigits.extract.chunk_builder import ExtractedChunk
from batchdigits.extract.chunks import TaskChunk
from batchdigits.extract.tasks import FileTasks
from batchdigits.extract.worker import extract_chunk
from batchdigits.job import Inputs, Job, resolve_job
from batchdigits.options import RunOptions
from batchdigits.predict.plain_digits import ChunkFindings, PlainDigits
from batchdigits.records import Source
from batchdigits.sources import inspection
from batchdigits.summary import Summary

LIMITS = {"decode": 4.0, "normalize": 4.0, "worker": 10.0, "cross": 0.5, "books": 5.0}


def main() -> None:
    """Print a line for each step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--crops", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="where the figures go too")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        steps = make_steps(draw_crops(given.crops))
        rounds = [[measure(step) for _, step in steps] for _ in range(given.rounds)]
        os.chdir("/")
    took = {
        name: min(each) for (name, _), each in zip(steps, zip(*rounds, strict=True), strict=True)
    }
    share = took.pop("imread")
    print(f"cv2.imread: {1e6 * share / given.crops:.1f} us a crop")
    ratios = {name: seconds / share for name, seconds in took.items()}
    for name, ratio in ratios.items():
        print(f"{name:10}{ratio:6.2f}, at most {LIMITS[name]:.1f}")
    if given.json:
        given.json.write_text(json.dumps(ratios, indent=2))
    sys.exit(any(ratio > LIMITS[name] for name, ratio in ratios.items()))


def draw_crops(count: int) -> list[str]:
    """Draw digits of some random place and width into PNG files; return their paths."""
    random = np.random.default_rng(1)
    os.mkdir("in")
    then = time.time() - 3600
    paths = []
    for n in range(count):
        crop = np.zeros((28, 28), np.uint8)
        at = random.integers(2, 8), random.integers(20, 26)
        cv2.putText(crop, str(n % 10), at, 0, random.uniform(0.6, 0.8), 255, 2, cv2.LINE_AA)
        crop[0, :3] = list(n.to_bytes(3))  # no two files are alike
        cv2.imwrite(path := f"in/{n:06}.png", crop)
        os.utime(path, (then, then))
        paths.append(path)
    return paths


def make_steps(paths: list[str]) -> list[tuple[str, Callable[[], object]]]:
    """Make what is measured, by name."""
    job = resolve_job(RunOptions.from_settings({"out": "out.csv", "settle": 0}), Inputs(["in"]))
    crops = [cv2.imread(path, cv2.IMREAD_GRAYSCALE) for path in paths]
    sources = [Source(path, path, top="in") for path in paths]
    chunk = TaskChunk(FileTasks(sources, [inspection.stat_source(one) for one in sources]))
    found = extract(chunk)
    return [
        ("imread", lambda: [cv2.imread(path, cv2.IMREAD_GRAYSCALE) for path in paths]),
        ("decode", lambda: [list(pages.load_pages(path, max_pixels=10**6)) for path in paths]),
        ("normalize", lambda: normalize.grey_levels(crops)),
        ("worker", lambda: extract(chunk)),
        ("cross", lambda: [pickle.loads(pickle.dumps(one)) for one in (chunk, found)]),
        ("books", lambda: keep_books(job, found)),
    ]


def extract(chunk: TaskChunk) -> ExtractedChunk:
    """Do what a worker does."""
    return extract_chunk(chunk, as_="auto", invert="auto", max_pixels=10**6)


def keep_books(job: Job, found: ExtractedChunk) -> None:
    """Run the job; what would be read is known already."""
    for path in Path().glob("out.csv*"):
        path.unlink()

    def read(tasks: FileTasks, _: Job, __: Summary) -> Generator[list[ChunkFindings]]:
        count = len(found.plain.indexes)
        digits = PlainDigits(
            found.plain, [7] * count, [0.987] * count, [1] * count, [1e-5] * count, [False] * count
        )
        yield [ChunkFindings(list(tasks), digits, [])]

    real, run._read_files = run._read_files, read
    try:
        run.run_job(job)
    finally:
        run._read_files = real


def measure(step: Callable[[], object]) -> float:
    """Return the processor time of a step, s."""
    begin = time.process_time()
    step()
    return time.process_time() - begin


if __name__ == "__main__":
    main()
