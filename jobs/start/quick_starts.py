"""Follow the three quick starts literally, in empty folders, and make their pictures.

    python jobs/start/quick_starts.py --out FOLDER [--pictures docs/pictures]

What people bring is made here: forms and covers that are printed by `form print`, filled in with
the digits of `samples/digits`, and scanned. Then each command of the page is run as it stands
there, and its seconds are printed. Run it from the repository's root. `tests/test_start.py` does
the same with a classifier that needs no TensorFlow.
"""

import argparse
import csv
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "jobs" / "samples"), str(Path(__file__).parent)]
import forms  # noqa: E402
import paper  # noqa: E402

from batchdigits import templates  # noqa: E402

COVERS = 6
"""Exams that the teacher has corrected."""
CROPS = 30
"""Crops that the engineer tries."""


def main() -> None:
    """Follow the pages, print the seconds, and make the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="a folder for the three")
    parser.add_argument("--pictures", type=Path, help="a folder for the pictures of docs/")
    given = parser.parse_args()
    for name in STARTS:
        folder = given.out / name
        folder.mkdir(parents=True)
        prepare_start(name, folder)
        total = 0.0
        for line in list_commands(name):
            began = time.monotonic()
            done = subprocess.run(line, shell=True, cwd=folder, check=False)
            total += time.monotonic() - began
            print(f"{name}: {time.monotonic() - began:5.1f} s, exit code {done.returncode}: {line}")
        print(f"{name}: {total:.0f} s in all")
    if given.pictures is not None:
        import pictures

        pictures.make_pictures(given.out, given.pictures)


def list_commands(name: str) -> list[str]:
    """List the commands of a page, in order."""
    text = (ROOT / f"docs/start-{name}.md").read_text("utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)
    return [line for block in blocks for line in block.splitlines()]


def prepare_start(name: str, folder: Path) -> None:
    """Put what a page's reader has already into an empty folder."""
    STARTS[name](folder)


def prepare_office(folder: Path) -> None:
    """Put an empty form and scans of filled-in ones where the page says."""
    shutil.copy(ROOT / "samples/forms/blank.pdf", folder)
    (folder / "inbox").mkdir()
    for scan in sorted((ROOT / "samples/forms").glob("0*")):
        shutil.copy(scan, folder / "inbox")


def prepare_teacher(folder: Path) -> None:
    """Save the page's template, and scan covers that were printed and filled in."""
    text = (ROOT / "docs/start-teacher.md").read_text("utf-8")
    (template_text,) = re.findall(r"^```toml\n(.*?)^```$", text, re.M | re.S)
    (folder / "cover.toml").write_text(template_text, "utf-8")
    template = templates.load_template(str(folder / "cover.toml"))
    scans = [Image.fromarray(page) for page in scan_covers(template)]
    scans[0].save(folder / "scans.pdf", save_all=True, append_images=scans[1:], resolution=200)


def scan_covers(template: templates.Template) -> Iterator[np.ndarray]:
    """Yield scans of covers that are filled in by hand, at 200 dpi; the totals are right."""
    digits = load_digits()
    for number in range(COVERS):
        ranges = forms.SCAN._replace(dpi=(200, 200), turns=4 if number else 1)
        random = np.random.default_rng((22, number))
        page = paper.blank(template, 300)
        points = random.integers(0, 21, 2).tolist()
        student = f"{random.integers(100_000, 1_000_000)}"
        values = [student, *(f"{one:02}" for one in (*points, sum(points)))]
        for field, value in zip(template.fields, values, strict=True):
            paper.write_value(page, field, value, digits, random, 300 / paper.INCH)
        yield paper.scanned(page, random, ranges)[0]


def load_digits() -> Mapping[int, np.ndarray]:
    """Load the digits of the samples, ink light, by what they are."""
    with (ROOT / "samples/truth.csv").open(encoding="utf-8", newline="") as file:
        truth = {row["file"]: row["value"] for row in csv.DictReader(file)}
    crops: dict[int, list[np.ndarray]] = {digit: [] for digit in range(10)}
    for path in sorted((ROOT / "samples/digits").iterdir()):
        value = truth[f"samples/digits/{path.name}"]
        crops[int(value)].append(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
    return {digit: np.array(several) for digit, several in crops.items()}


def prepare_engineer(folder: Path) -> None:
    """Put crops and their truth where the page says."""
    shutil.copytree(ROOT / "samples/digits", folder / "crops")
    with (ROOT / "samples/truth.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["file"].startswith("samples/digits/")]
    lines = [f"crops/{os.path.basename(row['file'])},{row['value']}" for row in rows]
    (folder / "truth.csv").write_text("\n".join(["file,value", *lines]) + "\n", "utf-8")


STARTS: Mapping[str, Callable[[Path], None]] = {
    "office": prepare_office,
    "teacher": prepare_teacher,
    "engineer": prepare_engineer,
}
"""The pages `docs/start-NAME.md`, each with what puts the user's own files into an empty folder."""


if __name__ == "__main__":
    main()
