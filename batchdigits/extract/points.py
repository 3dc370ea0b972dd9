"""Full stops and commas in the boxes of a row: they part decimals, or thousands, and are no digit.

A comma in a box of its own is read as a 1 otherwise, and one behind a digit is left out, so 121.50
would become 12150. Sizes are told by the digits in the other boxes of the row.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage

POINT = ","
"""The mark of a box that holds a full stop or a comma alone."""
MIN_DARKNESS_RATIO, MIN_INK_RATIO = 0.5, 0.2
"""Darkness of a point and of all ink, as shares of that of the darkest ink in the box, at least."""
MIN_INK_LEVEL = 20
"""Least darkness of ink in a box, grey levels."""
MAX_STROKE_GAP_PX = 2
"""Longest gap within a faint stroke, px of a box's picture (0.2 mm)."""
MAX_POINT_HEIGHT, MAX_POINT_WIDTH = 0.5, 0.5
"""Greatest height and width of a point, as shares of the height of the row's digits."""
MAX_OWN_HEIGHT = 0.3
"""Greatest height of a point in a row without digits beside it, as a share of the box's height."""
MIN_TOP = 0.5
"""How far down a point begins, as a share of the height of the row's digits, or of its box."""
MIN_BESIDE_PX, MAX_BESIDE_HEIGHT, MAX_BESIDE_WIDTH = 4, 0.5, 0.4
"""Least height and width of a point beside a digit, px of a box's picture (0.4 mm); and its
greatest height and width, as shares of the digit's height."""
MARGIN = 0.09
"""What touches the outer part of a box, as a share of its sides, is a rest of a line, no point."""


class _Ink(NamedTuple):
    """The ink of a box: its largest part, and the parts beside it; left, top, right, bottom, px."""

    shape: tuple[int, int]
    main: tuple[int, int, int, int]
    others: list[tuple[int, int, int, int]]

    @property
    def height(self) -> int:
        """Return the height of the largest part, px."""
        return self.main[3] - self.main[1]


def find_points(crops: Sequence[GreyImage | None]) -> tuple[list[bool], list[bool]]:
    """Find the full stops and commas in the boxes of a row.

    Args:
        crops: of the boxes from left to right, uint8, (H, W), dark ink on white; None for a box
            without ink.

    Returns:
        For each box whether it holds a point alone, and whether a point stands behind its digit,
        there or before the digit in the next box.
    """
    inks = [None if crop is None else _measure_ink(crop) for crop in crops]
    alone = [ink is not None and _is_alone(n, ink, inks) for n, ink in enumerate(inks)]
    behind = [False] * len(crops)
    for n, ink in enumerate(inks):
        if ink is None or alone[n]:
            continue
        middle = (ink.main[0] + ink.main[2]) / 2
        for part in ink.others:
            if _is_beside(part, ink):
                at = n if (part[0] + part[2]) / 2 > middle else n - 1
                if at >= 0 and inks[at] is not None:
                    behind[at] = True
    return alone, behind


def _measure_ink(crop: GreyImage) -> _Ink | None:
    """Measure the clear ink of a box, without rests of its lines; None where there is none."""
    dark = 255 - crop
    most = float(dark.max())
    ink: NDArray[np.uint8] = (dark >= max(MIN_INK_LEVEL, MIN_INK_RATIO * most)).view(np.uint8)
    side = 1 + MAX_STROKE_GAP_PX
    joined = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    clear = np.bincount(labels[dark >= MIN_DARKNESS_RATIO * most], minlength=count) > 0
    high, wide = crop.shape
    parts = [
        (left, top, left + across, top + down)
        for left, top, across, down, _ in stats[1:][clear[1:]].tolist()
    ]
    inner = [one for one in parts if _is_inside(one, wide, high)]
    if not inner:
        return None
    main = max(inner, key=lambda one: (one[2] - one[0]) * (one[3] - one[1]) + one[3] - one[1])
    return _Ink((high, wide), main, [one for one in inner if one is not main])


def _is_inside(part: tuple[int, int, int, int], wide: int, high: int) -> bool:
    """Return whether a part is away from the sides of its box, or too large to be a line's rest."""
    across, down = MARGIN * wide, MARGIN * high
    clear = part[0] >= across and part[2] <= wide - across
    clear &= part[1] >= down and part[3] <= high - down
    return clear or (part[2] - part[0] > 0.3 * wide and part[3] - part[1] > 0.3 * high)


def _is_alone(number: int, ink: _Ink, inks: Sequence[_Ink | None]) -> bool:
    """Return whether a box holds a point alone."""
    if any(max(right - left, down - top) >= MIN_BESIDE_PX for left, top, right, down in ink.others):
        return False  # a digit in pieces
    high, wide = ink.height, ink.main[2] - ink.main[0]
    digits = [one for n, one in enumerate(inks) if one is not None and n != number]
    digits = [one for one in digits if one.height > high]
    if not digits:
        whole = ink.shape[0]
        return high <= MAX_OWN_HEIGHT * whole and wide <= high and ink.main[1] >= MIN_TOP * whole
    tall = float(np.median([one.height for one in digits]))
    top = float(np.median([one.main[1] for one in digits]))
    return (
        high <= MAX_POINT_HEIGHT * tall
        and wide <= MAX_POINT_WIDTH * tall
        and ink.main[1] >= top + MIN_TOP * tall
    )


def _is_beside(part: tuple[int, int, int, int], ink: _Ink) -> bool:
    """Return whether a part is a point at the foot of a digit, on its right or left.

    Parts above each other are rests of an upright line.
    """
    left, top, right, bottom = part
    stacked = any(other[0] < right and left < other[2] for other in ink.others if other != part)
    if stacked or min(right - left, bottom - top) < MIN_BESIDE_PX:
        return False
    high, wide = (side / ink.height for side in (bottom - top, right - left))
    if high > MAX_BESIDE_HEIGHT or wide > MAX_BESIDE_WIDTH:
        return False
    foot = ink.main[1] + 0.65 * ink.height
    return (top + bottom) / 2 >= foot and (left >= ink.main[2] - 2 or right <= ink.main[0] + 2)
