"""Boxes whose printed lines a scan broke into dashes."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from batchdigits import layout
from batchdigits.records import GreyImage

LEFT, RIGHT, PITCH, HIGH = 80, 800, 46, 70
FIRST = RIGHT - 3 * PITCH

Parts = Sequence[tuple[float, float]]
"""What is there of a line: from and to, as shares of its length."""

WHOLE: Parts = [(0, 1)]
DASHES: Parts = [(0, 0.12), (0.3, 0.4), (0.5, 0.95)]
HALF: Parts = [(0.35, 1)]
LITTLE: Parts = [(0.7, 0.9)]
LOST: Parts = []


def make_page(*rows: tuple[Parts, Parts, Parts], dim: bool = False) -> GreyImage:
    """Return a page of rows, each with a wide cell and three boxes at its right end.

    Args:
        rows: what is there of the line before the boxes and of the two between them.
        dim: whether there is a pale pattern under everything.
    """
    page = np.full((1000, 900), 255, np.uint8)
    if dim:
        for y in range(40, 1000, 90):
            cv2.putText(page, "PATTERN PATTERN", (20, y), cv2.FONT_HERSHEY_SIMPLEX, 2.5, 236, 12)
    for number, lines in enumerate(rows):
        top = 100 + 150 * number
        bottom = top + HIGH
        for y in (top, bottom):
            cv2.line(page, (LEFT, y), (RIGHT, y), 0, 2)
        for x in (LEFT, RIGHT):
            cv2.line(page, (x, top), (x, bottom), 0, 2)
        for place, parts in enumerate(lines):
            x = FIRST + place * PITCH
            for start, end in parts:
                at = [round(top + share * HIGH) for share in (start, end)]
                cv2.line(page, (x, at[0]), (x, at[1]), 0, 1)
    return page


def count_values(page: GreyImage) -> int:
    """Count the values of three boxes that are where the boxes are."""
    found = 0
    for group in layout.find(page, upright=True):
        for name in set(group.names):
            own = [n for n, one in enumerate(group.names) if one == name]
            lefts = group.boxes[own, 0, 0]
            wanted = FIRST + PITCH * np.arange(3)
            found += len(own) == 3 and bool(np.abs(lefts - wanted).max() <= 4)
    return found


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ((WHOLE, DASHES, WHOLE), "one of them is dashes"),
        ((WHOLE, DASHES, HALF), "two of them are dashes, one of which ends early"),
        ((HALF, DASHES, DASHES), "all are dashes but the edge of the table"),
    ],
)
@pytest.mark.parametrize("dim", [False, True])
def test_dashes_at_one_distance_from_each_other_are_lines(
    lines: tuple[Parts, Parts, Parts], why: str, dim: bool
) -> None:
    assert count_values(make_page(lines, dim=dim)) == 1, why


def test_what_is_left_of_lines_is_proved_by_another_row() -> None:
    sure, little = (WHOLE, WHOLE, WHOLE), (DASHES, LITTLE, LITTLE)

    assert count_values(make_page(sure, little, little)) == 3


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ((WHOLE, LOST, LOST), "nothing is there: the cell may be one"),
        ((WHOLE, LITTLE, LITTLE), "no row proves what is left"),
        ((WHOLE, [(0.2, 0.8)], [(0.2, 0.8)]), "strokes that reach neither line: written digits"),
    ],
)
def test_a_cell_is_not_parted_by_what_may_have_been_written(
    lines: tuple[Parts, Parts, Parts], why: str
) -> None:
    assert count_values(make_page(lines)) == 0, why


def test_ones_in_the_middle_of_boxes_are_no_lines() -> None:
    page = make_page((WHOLE, WHOLE, WHOLE))
    for place in range(3):
        x = FIRST + round((place + 0.5) * PITCH)
        cv2.line(page, (x, 100 + 12), (x, 100 + HIGH), 0, 2)

    assert count_values(page) == 1
