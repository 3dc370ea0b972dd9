"""Pages of forms a second, read as `run` reads them, against decoding them alone, in one run.

    python jobs/bench/pages.py mnist.npz [--pages 60] [--rounds 3]

A4 pages of 60 boxes at 300 dpi, filled in and scanned a little askew, as JPEG, PNG and one-bit TIFF
(G4) by turns. Both ways use worker processes alike. What starts them and loads the model is taken
off: the clock counts what all pages take longer than a few of them.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

sys.path.append(str(Path(__file__).parent.parent / "samples"))
import decoding
import paper

from batchdigits import templates, workers
from batchdigits.extract.tasks import FileTasks
from batchdigits.job import Inputs, Job, resolve_job
from batchdigits.options import RunOptions, count_processors
from batchdigits.records import Source
from batchdigits.run import find_files, read_rows

FIELDS = [(20, 40 + 22 * row, 12) for row in range(5)]
"""x and y, mm, and the number of boxes of each field."""
KINDS = (".jpg", ".png", ".tif")
FEW = 4
"""Pages that are read to learn what the start takes."""


def main() -> None:
    """Print pages a second, of each kind, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mnist", type=Path, help=".npz with x_test and y_test")
    parser.add_argument("--pages", type=int, default=60, help="of each kind")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    print(f"{'pages':8}{'decoded a second':>18}{'read a second':>16}{'ratio':>8}")
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            make(given.mnist, place, kind, given.pages)
            options = RunOptions.from_settings(
                {"template": str(place / "form.toml"), "device": "cpu"}
            )
            job = resolve_job(options, Inputs([folder]))
            files = find_files(job.inputs, job.paths).sources
            rates = [fastest(way, files, job, given.rounds) for way in (decoded, read)]
            print(f"{kind[1:]:8}{rates[0]:18.1f}{rates[1]:16.1f}{rates[1] / rates[0]:8.2f}")


def make(mnist: Path, folder: Path, kind: str, count: int) -> None:
    """Write a template and pages of it."""
    data = np.load(mnist)
    digits = {label: data["x_test"][data["y_test"] == label] for label in range(10)}
    fields = "".join(
        f'[[field]]\nname = "row_{n}"\nbox = [{x}, {y}, {10 * boxes - 2}, 10]\n'
        f"cells = {boxes}\ngap = 2\n"
        for n, (x, y, boxes) in enumerate(FIELDS)
    )
    head = '[form]\nname = "bench"\nsize = [210, 297]\nanchor = "markers"\n'
    (folder / "form.toml").write_text(head + fields)
    template = templates.load_template(str(folder / "form.toml"))
    blank = paper.blank(template, 300)
    scan = paper.RANGES._replace(
        dpi=(300, 300), skew=2, scale=0, border=(0, 0), photograph=0, corner=0, one_bit=0, jpeg=0
    )
    for number in range(count):
        random = np.random.default_rng(number)
        page, _ = paper.filled(template, digits, random, page=blank)
        grey, _, _ = paper.scanned(page, random, scan)
        file = folder / f"{number:03}{kind}"
        if kind == ".tif":
            Image.fromarray(grey).convert("1", dither=Image.Dither.NONE).save(
                file, compression="group4"
            )
        else:
            cv2.imwrite(str(file), grey)


Way = Callable[[list[Source], Job], int]


def fastest(way: Way, files: list[Source], job: Job, rounds: int) -> float:
    """Measure pages a second: of the fastest round, over what a few pages take."""
    few, every = (
        min(timed(way, part, job) for _ in range(rounds)) for part in (files[:FEW], files)
    )
    return (len(files) - FEW) / (every - few)


def timed(way: Way, files: list[Source], job: Job) -> float:
    """Time one way over all files, s."""
    begin = time.perf_counter()
    done = way(files, job)
    if done != len(files):
        sys.exit(f"expected {len(files)} pages, got {done}")
    return time.perf_counter() - begin


def decoded(files: list[Source], job: Job) -> int:
    """Decode pages in worker processes, and throw them away."""
    chunks = ([file] for file in files)
    executor = workers.choose_executor(
        count_processors(), seconds=job.options.page_seconds, memory_mib=1024
    )
    return sum(outcome.result or 0 for outcome in executor.map_chunks(decoding.pages, chunks))


def read(files: list[Source], job: Job) -> int:
    """Read pages as `run` does; give the number of those without an error."""
    rows = [row for batch in read_rows(job, FileTasks(files)) for row in batch]
    return len({row.file for row in rows if row.status != "error"})


if __name__ == "__main__":
    main()
