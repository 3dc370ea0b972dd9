"""Whether there is anything on a page: the back of a sheet is a white page."""

import cv2
import numpy as np

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


def is_empty(grey: GreyImage) -> bool:
    """Return whether a page is a white scan with nothing on it but dust.

    Args:
        grey: uint8, (height, width), dark ink on light paper.
    """
    scale = min(1.0, SIDE / max(grey.shape))
    size = [max(1, round(side * scale)) for side in grey.shape[::-1]]
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA) if scale < 1 else grey
    down, across = (round(MARGIN * side) for side in small.shape)
    page = small[down : small.shape[0] - down, across : small.shape[1] - across]
    if not page.size:
        return False
    median = float(np.median(page))
    if median < LIGHT or np.quantile(page[::2, ::2], 0.05) < EVEN * median:
        return False
    paper = cv2.morphologyEx(page, cv2.MORPH_CLOSE, np.ones((NEAR, NEAR), np.uint8))
    marks = cv2.compare(cv2.subtract(paper, cv2.blur(page, (3, 3))), DARKNESS, cv2.CMP_GE)
    _, _, stats, _ = cv2.connectedComponentsWithStats(marks, connectivity=8)
    longest, area = stats[1:, 2:4].max(axis=1, initial=0), stats[1:, 4]
    return len(area) <= MOST_DUST and not ((longest > MARK_PX) | (area > MARK_AREA)).any()
