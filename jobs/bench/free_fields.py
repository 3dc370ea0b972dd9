"""Measure numbers in the frames of a form beside the same numbers as strips.

    python jobs/bench/free_fields.py --strings FOLDER [--count 600] [--model BUNDLE] [--show PAGE]

FOLDER holds the real strings of `jobs/train/cheques.py` and `registers.py`. A form of free fields
is printed, the strings are written into its frames, one in six across a line of its frame, and the
page is scanned at 200 dpi. "Right" of the fields should be that of the strips, within a point.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pypdfium2

sys.path.insert(0, str(Path(__file__).parent.parent / "train"))
import cheques
import registers

import batchdigits
from batchdigits.templates.paper import draw_blank_form
from batchdigits.templates.template import load_template

DPI, ROWS, COLUMNS = 200, 9, 2
WIDE, HIGH = 70.0, 13.0
"""Size of a frame, mm."""
ACROSS = 1 / 6
"""Share of the numbers that are written across a line of their frame."""


def main() -> None:
    """Make the pages, read them, and print both figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strings", type=Path, required=True)
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--model")
    parser.add_argument("--show", type=Path, help="a PNG of the first page")
    given = parser.parse_args()
    crops, truth = choose_strings(given.strings, given.count)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        fields, across = read_pages(work, crops, given)
        strips = read_strips(work, crops, given.model)
    truth = np.array(truth)
    for name, (values, status) in {"strips": strips, "fields": fields}.items():
        right, ok = values == truth, status == "ok"
        print(
            f"{name}: {right.mean():.2%} right, {ok.mean():.1%} ok, {(ok & ~right).sum()} wrong ok"
        )
        print(f"  across a line: {right[across].mean():.2%} right of {across.sum()}")


def choose_strings(folder: Path, count: int) -> tuple[list[np.ndarray], list[str]]:
    """Choose strings of all sets by chance, of books that nothing is learned from."""
    sets = [registers.read(folder / name, hidden=True) for name in registers.FILES]
    sets.append(cheques.read(folder / "orand_car_a_train.zip"))
    random = np.random.default_rng(3)
    crops, truth = [], []
    for one in sets:
        for at in random.permutation(len(one.crops))[: count // len(sets)].tolist():
            crops.append(one.crops[at])
            truth.append(one.digits[at])
    return crops, truth


def describe_form() -> str:
    """Describe a form of free fields."""
    lines = ["[form]", 'name = "free"', "size = [210, 297]", 'anchor = "markers"']
    for row in range(ROWS):
        for column in range(COLUMNS):
            x, y = 25 + column * 85, 40 + row * 25
            lines += [
                "[[field]]",
                f'name = "f{row}_{column}"',
                f"box = [{x}, {y}, {WIDE}, {HIGH}]",
                "optional = true",
            ]
    return "\n".join(lines)


def read_pages(work: Path, crops: list[np.ndarray], given: argparse.Namespace):
    """Write the strings into forms and read them by template; also tell which lie across a line."""
    (work / "free.toml").write_text(describe_form())
    template = load_template(str(work / "free.toml"))
    pdf = pypdfium2.PdfDocument(draw_blank_form(template))
    blank = np.asarray(pdf[0].render(scale=DPI / 72).to_pil().convert("L"))
    random = np.random.default_rng(7)
    boxes = [field.box for field in template.fields]
    pages, across = work / "pages", []
    pages.mkdir()
    for first in range(0, len(crops), len(boxes)):
        page = blank.copy()
        for crop, box in zip(crops[first : first + len(boxes)], boxes, strict=False):
            across.append(write_string(page, crop, box, random))
        noisy = np.clip(page + random.normal(0, 3, page.shape), 0, 255).astype(np.uint8)
        cv2.imwrite(str(pages / f"{first:05}.png"), noisy)
        if first == 0 and given.show:
            cv2.imwrite(str(given.show), noisy)
    found = batchdigits.read(
        str(pages), template=str(work / "free.toml"), model=given.model, device="cpu"
    )
    rows = found.iloc[: len(crops)]
    return (rows["value"].to_numpy(), rows["status"].to_numpy()), np.array(across)


def write_string(page: np.ndarray, crop: np.ndarray, box, random: np.random.Generator) -> bool:
    """Write a string into a frame, 8 mm high with its margins; return whether across a line."""
    scale = DPI / 25.4
    size = min(9 * scale / crop.shape[0], 0.9 * WIDE * scale / crop.shape[1])
    paper = cv2.GaussianBlur(
        cv2.morphologyEx(crop, cv2.MORPH_CLOSE, np.ones((25, 25), np.uint8)), (0, 0), 5
    )
    ink = cv2.divide(crop, np.maximum(paper, 1), scale=255)
    ink = cv2.resize(ink, None, fx=size, fy=size, interpolation=cv2.INTER_CUBIC)
    high, wide = ink.shape
    x = int(box[0] * scale + random.uniform(0.02, 0.98) * max(0, box[2] * scale - wide))
    low = max(0, box[3] * scale - high)
    across = bool(random.random() < ACROSS)
    y = int(box[1] * scale + (random.uniform(0.2, 0.8) * low if not across else low + 2 * scale))
    part = page[y : y + high, x : x + wide]
    np.minimum(part, ink[: part.shape[0], : part.shape[1]], out=part)
    return across


def read_strips(work: Path, crops: list[np.ndarray], model: str | None):
    """Read the strings as images of one number."""
    place = work / "strips"
    place.mkdir()
    for at, crop in enumerate(crops):
        cv2.imwrite(str(place / f"{at:05}.png"), crop)
    found = batchdigits.read(str(place), model=model, as_="number", device="cpu")
    return found["value"].to_numpy(), found["status"].to_numpy()


if __name__ == "__main__":
    main()
