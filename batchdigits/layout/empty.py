"""Whether there is anything on a page: the back of a sheet is a white page."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage

SIDE = 1000
"""px: a page is reduced to this longest side."""
MARGIN = 0.03
"""Share of each side that is not looked at: edges of the paper, shadows of a lid."""
NEAR = 31
"""px: side of the square whose lightest pixel is the paper."""
DARKNESS = 14
"""Grey levels by which a mark is darker than the paper, at least."""
MARK_PX, MARK_AREA, MOST_DUST = 7, 20, 40
"""Longest side and area of dust, px, and how much of it a white page has, at most."""
LIGHT, EVEN = 128, 0.75
"""Least median of a white page's grey levels; and of its darkest twentieth, as a share of that."""
TOP = 200
"""px: rows of the reduced page that are looked at first, since most pages have a mark there."""


def is_empty(grey: GreyImage) -> bool:
    """Return whether a page is a white scan with nothing on it but dust.

    Args:
        grey: uint8, (height, width), dark ink on light paper.
    """
    scale = min(1.0, SIDE / max(grey.shape))
    wide, high = (max(1, round(side * scale)) for side in grey.shape[::-1])
    if scale < 1 and high > 2 * TOP and _has_mark_at_top(grey, wide, high):
        return False
    small = cv2.resize(grey, (wide, high), interpolation=cv2.INTER_AREA) if scale < 1 else grey
    down, across = (round(MARGIN * side) for side in small.shape)
    page = small[down : small.shape[0] - down, across : small.shape[1] - across]
    if not page.size:
        return False
    median = float(np.median(page))
    if median < LIGHT or np.quantile(page[::2, ::2], 0.05) < EVEN * median:
        return False
    is_mark = _measure_specks(_find_specks(page))
    return len(is_mark) <= MOST_DUST and not is_mark.any()


def _has_mark_at_top(grey: GreyImage, wide: int, high: int) -> bool:
    """Return whether the top of a page, reduced to (high, wide), has a mark too large for dust.

    The pixels are those of the whole page reduced, so this is never more than that would show.
    """
    share = wide / grey.shape[1], high / grey.shape[0]
    rows = grey[: math.ceil((TOP + 1) / share[1])]
    small = cv2.resize(rows, None, fx=share[0], fy=share[1], interpolation=cv2.INTER_AREA)
    down, across = round(MARGIN * high), round(MARGIN * wide)
    page = np.asarray(small[down:TOP, across : small.shape[1] - across], np.uint8)
    if not page.size:
        return False
    # the paper of the last rows depends on what is below them
    return bool(_measure_specks(_find_specks(page)[:-NEAR]).any())


def _find_specks(page: GreyImage) -> GreyImage:
    """Return what is darker than the paper round it, 255 for a speck; (H, W)."""
    paper = cv2.morphologyEx(page, cv2.MORPH_CLOSE, np.ones((NEAR, NEAR), np.uint8))
    darker = cv2.subtract(paper, cv2.blur(page, (3, 3)))
    return np.asarray(cv2.compare(darker, DARKNESS, cv2.CMP_GE), np.uint8)


def _measure_specks(specks: GreyImage) -> NDArray[np.bool_]:
    """Return for each speck whether it is a mark, too large for dust; (N,)."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(specks, connectivity=8)
    longest, area = stats[1:, 2:4].max(axis=1, initial=0), stats[1:, 4]
    return np.asarray((longest > MARK_PX) | (area > MARK_AREA))
