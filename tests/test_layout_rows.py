"""Rows of boxes that are heavy, hardly apart or written over, and what looks like a box."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from batchdigits import layout
from batchdigits.records import GreyImage


def paper(high: int = 700, wide: int = 900) -> GreyImage:
    return np.full((high, wide), 255, np.uint8)


def row(page: GreyImage, x: int, y: int, count: int, *, gap: int = 0, line: int = 2) -> None:
    for n in range(count):
        left = x + n * (36 + gap)
        cv2.rectangle(page, (left, y), (left + 36, y + 46), 0, line)


def blot(page: GreyImage, *middles: int) -> None:
    """Write bold crosses over both upright lines of boxes, nearly as high as these."""
    for x in middles:
        cv2.line(page, (x - 22, 108), (x + 22, 138), 40, 9)
        cv2.line(page, (x + 22, 108), (x - 22, 138), 40, 9)


def heavy(page: GreyImage) -> None:
    row(page, 100, 100, 6, gap=20, line=10)


def pairs_lost(page: GreyImage) -> None:
    row(page, 100, 100, 9, gap=10)
    blot(page, *(118 + 46 * n for n in (2, 3, 5, 6)))


def two_rows(page: GreyImage) -> None:
    row(page, 100, 100, 5, line=4)
    row(page, 100 + 5 * 36 + 28, 100, 4, line=4)
    blot(page, 118 + 4 * 36, 118 + 5 * 36 + 28)


def bold(page: GreyImage) -> None:
    row(page, 100, 100, 6, gap=10)
    for n in range(6):
        cv2.ellipse(page, (118 + n * 46, 123), (7, 13), 0, 0, 360, 30, 8)


def merged(page: GreyImage) -> None:
    """Draw a table of two rows; one column has one cell for both, with a word in its middle."""
    for x in range(100, 801, 100):
        cv2.line(page, (x, 100), (x, 180), 0, 2)
    for y in (100, 180):
        cv2.line(page, (100, y), (800, y), 0, 2)
    cv2.line(page, (100, 140), (300, 140), 0, 2)
    cv2.line(page, (400, 140), (800, 140), 0, 2)
    cv2.putText(page, "late", (328, 147), cv2.FONT_HERSHEY_SIMPLEX, 0.65, 0, 2, cv2.LINE_AA)


def beside_merged(page: GreyImage) -> None:
    """Draw a table of five rows and three equal columns; two cells in the middle are one."""
    for x in range(100, 401, 100):
        cv2.line(page, (x, 100), (x, 350), 0, 2)
    for y in range(100, 351, 50):
        cv2.line(page, (100, y), (400, y), 0, 2)
    page[248:253, 203:298] = 255


def signed(page: GreyImage) -> None:
    """Draw a box with a signature in it, and the specks of a noisy scan."""
    cv2.rectangle(page, (100, 100), (500, 220), 0, 3)
    along = np.arange(150, 450)
    wave = 160 + 30 * np.sin(along / 14)
    cv2.polylines(page, [np.column_stack([along, wave]).astype(np.int32)], False, 0, 3)
    random = np.random.default_rng(3)
    for x, y in zip(random.integers(110, 490, 40), random.integers(108, 212, 40), strict=True):
        page[y : y + 3, x : x + 2] = 0


@pytest.mark.parametrize(
    ("make", "wanted", "why"),
    [
        (heavy, [("boxes", 6)], "lines over a quarter of a box thick"),
        (pairs_lost, [("boxes", 9)], "two boxes beside each other that are written over, twice"),
        (two_rows, [("boxes", 5), ("boxes", 4)], "paper between two numbers is no box of one"),
        (bold, [("boxes", 6)], "bold digits fill boxes as a code does, whose modules are no boxes"),
        (merged, [("table", 13)], "a word is no line, though it lies where one would be"),
        (beside_merged, [("table", 14)], "boxes beside a merged cell are not merged"),
        (signed, [("box", 1)], "a signature is no text, and specks are no letters"),
    ],
)
def test_rows_and_cells(
    make: Callable[[GreyImage], None], wanted: list[tuple[str, int]], why: str
) -> None:
    page = paper()
    make(page)
    found = [(one.kind, len(one.boxes)) for one in layout.find(page, upright=True)]
    assert found == wanted, why


def letters(page: GreyImage) -> None:
    """Write light letters on a dark ground, each closed in by it."""
    page[90:180, 80:700] = 70
    for n, sign in enumerate("SUDOKUSUDOKU"):
        cv2.putText(
            page, sign, (100 + 45 * n, 160), cv2.FONT_HERSHEY_SIMPLEX, 1.9, 255, 11, cv2.LINE_AA
        )


def crossing(page: GreyImage) -> None:
    """Draw lines that happen to close in a small place."""
    for start, end in (
        ((300, 200), (420, 212)),
        ((300, 245), (430, 236)),
        ((330, 150), (322, 300)),
        ((372, 160), (378, 290)),
    ):
        cv2.line(page, start, end, 0, 2, cv2.LINE_AA)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (letters, "the ground between light letters is no line"),
        (crossing, "print is straighter than lines that cross by chance"),
    ],
)
def test_no_boxes(make: Callable[[GreyImage], None], why: str) -> None:
    page = paper()
    make(page)
    assert layout.find(page, upright=True) == [], why
