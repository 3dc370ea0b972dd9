"""Crops of numbers become strips: lines of a table are taken out, ink beyond the number is told."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from batchdigits.normalize.strips import HEIGHT, strip

Line = tuple[tuple[int, int], tuple[int, int]]
SEVEN: Sequence[Line] = (((60, 30), (80, 30)), ((80, 30), (66, 70)))
FOUR: Sequence[Line] = (((100, 28), (96, 52)), ((96, 52), (120, 52)), ((114, 40), (112, 70)))


def draw(*lines: Line, thick: int = 3) -> NDArray[np.uint8]:
    """Draw 74 in a crop of 100 x 160 px, with more lines."""
    crop = np.full((100, 160), 235, np.uint8)
    for start, end in (*SEVEN, *FOUR, *lines):
        cv2.line(crop, start, end, 40, thick, cv2.LINE_AA)
    return crop


def count_strokes(picture: NDArray[np.uint8]) -> int:
    """Count what stands side by side in a strip."""
    columns = (picture > 100).any(axis=0).astype(int)
    return int((np.diff(columns, prepend=0, append=0) == 1).sum())


@pytest.mark.parametrize(
    ("line", "taken"),
    [
        (((20, -5), (20, 105)), True),  # the line of a column
        (((150, -5), (153, 105)), True),  # of a page a little askew
        (((20, 28), (20, 70)), False),  # a 1
        (((20, 10), (20, 105)), False),  # it begins within the crop
    ],
)
def test_the_lines_of_columns_are_taken_out(line: Line, taken: bool) -> None:
    assert count_strokes(strip(draw(line)).picture) == (2 if taken else 3)


def test_a_crop_that_is_cut_to_its_ink_keeps_its_ones() -> None:
    crop = np.full((60, 90), 235, np.uint8)
    for x in (6, 30, 60):
        crop[:, x : x + 4] = 40
    assert count_strokes(strip(crop).picture) == 3


@pytest.mark.parametrize(
    ("line", "more"),
    [
        (((70, 9), (74, 19)), True),  # a small sign above
        (((90, 81), (91, 91)), True),  # below
        (((70, -4), (74, 12)), False),  # it goes on beyond the crop: of the line above
        (((70, 20), (71, 21)), False),  # a dot
        (((60, 82), (120, 83)), False),  # a stroke under the number
    ],
)
def test_writing_above_or_below_a_number_is_told(line: Line, more: bool) -> None:
    assert strip(draw(line)).more_ink == more


def test_a_strip_has_one_height() -> None:
    assert strip(draw()).picture.shape[0] == HEIGHT
