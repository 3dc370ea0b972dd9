"""Boxes on pages without a template: which are found, how they are named, what is ignored."""

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from batchdigits import layout
from batchdigits.records import GreyImage

sys.path.append(str(Path(__file__).parent.parent / "jobs" / "samples"))
import undescribed


def paper(high: int = 700, wide: int = 900) -> GreyImage:
    return np.full((high, wide), 255, np.uint8)


def row(page: GreyImage, x: int, y: int, count: int, *, gap: int = 0, side: int = 40) -> None:
    for n in range(count):
        left = x + n * (side + gap)
        cv2.rectangle(page, (left, y), (left + side, y + 50), 0, 2)


def grid(page: GreyImage, x: int, y: int, rows: int, columns: int, *, wide: int = 100) -> None:
    for n in range(rows + 1):
        cv2.line(page, (x, y + 40 * n), (x + wide * columns, y + 40 * n), 0, 2)
    for n in range(columns + 1):
        cv2.line(page, (x + wide * n, y), (x + wide * n, y + 40 * rows), 0, 2)


def kinds(page: GreyImage) -> list[tuple[str, int]]:
    return [(one.kind, len(one.boxes)) for one in layout.find(page)]


def comb(page: GreyImage) -> None:
    row(page, 100, 100, 8)


def apart(page: GreyImage) -> None:
    row(page, 100, 100, 6, gap=12)


def date(page: GreyImage) -> None:
    for x, count in ((100, 2), (240, 2), (380, 4)):
        row(page, x, 100, count)


def single(page: GreyImage) -> None:
    cv2.rectangle(page, (100, 100), (350, 160), 0, 2)


def table(page: GreyImage) -> None:
    grid(page, 100, 100, 4, 3)


def merged(page: GreyImage) -> None:
    grid(page, 100, 100, 4, 3)
    cv2.line(page, (300, 103), (300, 137), 255, 4)


def thick(page: GreyImage) -> None:
    cv2.rectangle(page, (100, 100), (350, 160), 0, 6)


def faint(page: GreyImage) -> None:
    cv2.rectangle(page, (100, 100), (350, 160), 190, 2)


def filled(page: GreyImage) -> None:
    row(page, 100, 100, 5)
    for n in range(5):
        ink = drawn(n, side=30)
        page[110:140, 106 + 40 * n : 136 + 40 * n] = np.minimum(
            page[110:140, 106 + 40 * n : 136 + 40 * n], ink
        )


def thick_digits(page: GreyImage) -> None:
    row(page, 100, 100, 8)
    for x in (160, 200, 240):  # over the line between two boxes, and nearly as high
        cv2.line(page, (x - 14, 112), (x + 16, 140), 60, 9)
        cv2.line(page, (x + 16, 112), (x - 14, 140), 60, 9)


def tiny_gaps(page: GreyImage) -> None:
    for n in range(6):
        cv2.rectangle(page, (100 + 48 * n, 100), (140 + 48 * n, 152), 0, 6)


def numbered(page: GreyImage) -> None:
    cv2.rectangle(page, (100, 100), (350, 160), 0, 2)
    cv2.ellipse(page, (160, 130), (13, 16), 0, 0, 360, 0, 7)


def long_rows(page: GreyImage) -> None:
    grid(page, 50, 100, 2, 20, wide=36)


@pytest.mark.parametrize(
    ("make", "wanted", "why"),
    [
        (comb, [("boxes", 8)], "boxes that share their sides are one value"),
        (apart, [("boxes", 6)], "so are boxes evenly apart"),
        (date, [("boxes", 2), ("boxes", 2), ("boxes", 4)], "day, month and year stand apart"),
        (single, [("box", 1)], "a wide box is for a whole number"),
        (table, [("table", 12)], "every cell"),
        (merged, [("table", 11)], "a merged cell is one"),
        (thick, [("box", 1)], "a heavy line"),
        (faint, [("box", 1)], "a light line"),
        (filled, [("boxes", 5)], "what is written does not matter"),
        (thick_digits, [("boxes", 8)], "nor that it is written over the lines between boxes"),
        (tiny_gaps, [("boxes", 6)], "heavy boxes hardly apart"),
        (numbered, [("box", 1)], "the hole in a digit is no box in a box"),
        (long_rows, [("boxes", 20), ("boxes", 20)], "lines of an address that touch are two rows"),
    ],
)
def test_boxes_of_all_kinds(
    make: Callable[[GreyImage], None], wanted: list[tuple[str, int]], why: str
) -> None:
    page = paper()
    make(page)
    assert kinds(page) == wanted, why


def words(page: GreyImage) -> None:
    for n in range(12):
        cv2.putText(page, "Receipt DOB 0080 dab", (60, 60 + 50 * n), 0, 1.2, 0, 3)


def large_letters(page: GreyImage) -> None:
    cv2.ellipse(page, (200, 200), (28, 36), 0, 0, 360, 0, 14)
    cv2.putText(page, "boo", (400, 300), 0, 4, 0, 16)


def ruled(page: GreyImage) -> None:
    for n in range(12):
        cv2.line(page, (50, 60 + 50 * n), (850, 60 + 50 * n), 0, 2)


def framed_text(page: GreyImage) -> None:
    cv2.rectangle(page, (40, 40), (860, 300), 0, 2)
    for n in range(5):
        cv2.putText(page, "All members who have moved", (60, 80 + 45 * n), 0, 0.9, 0, 2)


def code(page: GreyImage) -> None:
    marks = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    page[100:340, 100:340] = marks.generateImageMarker(7, 240)


def square_code(page: GreyImage) -> None:
    made = cv2.QRCodeEncoder.create().encode("https://example.org/1234567890")
    page[100:400, 100:400] = cv2.resize(made, (300, 300), interpolation=cv2.INTER_NEAREST)


def bars(page: GreyImage) -> None:
    pattern = np.repeat(np.random.default_rng(1).integers(0, 2, 100), 4).astype(np.uint8)
    page[100:180, 100:500] = 255 * pattern


def squared(page: GreyImage) -> None:
    page[::18] = page[1::18] = 120
    page[:, ::18] = page[:, 1::18] = 120


def picture(page: GreyImage) -> None:
    shades = np.random.default_rng(2).integers(30, 200, (6, 8)).astype(np.uint8)
    page[100:500, 100:600] = cv2.resize(shades, (500, 400), interpolation=cv2.INTER_CUBIC)
    cv2.rectangle(page, (100, 100), (600, 500), 0, 3)


def noise(page: GreyImage) -> None:
    page[:] = np.random.default_rng(3).integers(0, 256, page.shape)


def black(page: GreyImage) -> None:
    page[:] = 0


@pytest.mark.parametrize(
    "make",
    [
        words,
        large_letters,
        ruled,
        framed_text,
        code,
        square_code,
        bars,
        squared,
        picture,
        noise,
        black,
    ],
)
def test_what_is_no_box(make: Callable[[GreyImage], None]) -> None:
    page = paper()
    make(page)
    assert kinds(page) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 8000), (30, 8000), (2000, 3), (40, 40)])
def test_any_shape_of_page_is_looked_at(shape: tuple[int, int]) -> None:
    assert layout.find(np.full(shape, 255, np.uint8)) == []


def test_a_long_strip_of_boxes_is_one_row() -> None:
    page = paper(90, 1500)
    row(page, 20, 20, 20, side=70)
    assert kinds(page) == [("boxes", 20)]


def form() -> GreyImage:
    """Draw a page with boxes of all kinds."""
    page = paper(1100, 850)
    row(page, 120, 120, 8)
    row(page, 560, 120, 4)
    cv2.rectangle(page, (120, 260), (400, 320), 0, 2)
    row(page, 480, 262, 5, gap=10)
    grid(page, 120, 420, 4, 3)
    grid(page, 120, 700, 3, 5)
    for n, word in enumerate(("Member", "Amount", "Points")):
        cv2.putText(page, word, (120, (105, 245, 405)[n]), 0, 0.7, 0, 2)
    return page


def names(page: GreyImage) -> list[tuple[str, ...]]:
    return [one.names for one in layout.find(page)]


def test_names_are_in_reading_order() -> None:
    found = names(form())
    assert [one[0] for one in found] == [
        *("box_001", "box_002", "box_003", "box_004"),
        *("r01c01", "t2_r01c01"),
    ]
    assert found[4][-1] == "r04c03"
    assert found[5] == tuple(f"t2_r{r:02}c{c:02}" for r in (1, 2, 3) for c in (1, 2, 3, 4, 5))


def moved(page: GreyImage, degrees: float, scale: float) -> tuple[GreyImage, NDArray[np.float64]]:
    """Scan a page again: turned and at another resolution."""
    high, wide = page.shape
    turn = cv2.getRotationMatrix2D((wide / 2, high / 2), degrees, scale)
    turn[:, 2] += np.array([wide, high]) * (1.3 * scale - 1) / 2
    size = (int(1.3 * scale * wide), int(1.3 * scale * high))
    return np.asarray(cv2.warpAffine(page, turn, size, borderValue=255), np.uint8), turn


@settings(max_examples=12, deadline=None)
@given(degrees=st.floats(-10, 10), scale=st.floats(0.7, 2.5))
def test_a_rescan_leaves_names_and_places(degrees: float, scale: float) -> None:
    page = form()
    again, turn = moved(page, degrees, scale)
    one, two = layout.find(page), layout.find(again)
    assert [group.names for group in one] == [group.names for group in two]
    for first, second in zip(one, two, strict=True):
        there = cv2.transform(first.boxes.reshape(1, -1, 2), turn).reshape(-1, 4, 2)
        assert np.abs(there - second.boxes).max() < 4 * max(1, scale)


def test_a_photograph_is_seen_from_above() -> None:
    page = form()
    high, wide = page.shape
    flat = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32)
    seen = np.array([[90, 60], [820, 10], [880, 1150], [20, 1080]], np.float32)
    matrix = cv2.getPerspectiveTransform(flat, seen)
    photograph = cv2.warpPerspective(page, matrix, (900, 1200), borderValue=90)
    assert names(np.asarray(photograph, np.uint8)) == names(page)


def test_printed_labels_are_told_from_what_is_written() -> None:
    page = paper()
    grid(page, 60, 60, 4, 3, wide=160)
    for n, word in enumerate(("Name", "Points", "Total")):
        cv2.putText(page, word, (70 + 160 * n, 86), 0, 0.55, 0, 1)
    for n, word in enumerate(("Anna K.", "Petersen", "Garcia")):
        cv2.putText(page, word, (70, 126 + 40 * n), 0, 0.55, 0, 1)
    for n in range(3):
        page[104 + 40 * n : 136 + 40 * n, 260:292] = drawn(n, side=32)
    (found,) = layout.find(page)
    printed = dict(zip(found.names, found.printed, strict=True))
    assert all(printed[f"r01c0{column}"] for column in (1, 2, 3))
    assert all(printed[f"r0{r}c01"] for r in (1, 2, 3, 4))
    assert not any(printed[f"r0{r}c0{c}"] for r in (2, 3, 4) for c in (2, 3))


@pytest.mark.parametrize(("wide", "high"), [(30, 60), (200, 40)])
def test_a_box_is_laid_flat(wide: float, high: float) -> None:
    box = np.array([[10, 20], [10 + wide, 20], [10 + wide, 20 + high], [10, 20 + high]], float)
    matrix, size = layout.flat(box)
    assert min(size) == pytest.approx(6)
    assert size[0] / size[1] == pytest.approx(wide / high)
    ends = np.array([[[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]]])
    assert np.abs(cv2.perspectiveTransform(ends, matrix)[0] - box).max() < 1e-3


def test_made_pages_have_their_boxes_where_the_truth_is() -> None:
    digits = {n: np.stack([255 - drawn(n, seed=seed) for seed in range(3)]) for n in range(10)}
    scans = undescribed.SCANS._replace(dpi=(150, 250), one_bit=0, photograph=0)
    found = wanted = 0
    for number in range(3):
        page = undescribed.made(digits, np.random.default_rng((7, number)), scans=scans)
        seen = [one.boxes.mean(axis=1) for one in layout.find(page.grey)]
        for group in (one for one in page.groups if one.counts):
            middles, side = group.boxes.mean(axis=1), np.ptp(group.boxes[0], axis=0).min()
            wanted += 1
            found += any(
                len(one) == len(middles) and np.abs(one - middles).max() < side for one in seen
            )
    assert wanted >= 6
    assert found >= 0.7 * wanted
