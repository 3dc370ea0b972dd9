"""Any page → the boxes on it that somebody may have written into: rows of boxes, boxes, tables.

A page is looked at as if from above, at one size whatever the scan's: its lines say how it lies.
Lines close in places; places that share lines, or stand in a row, are a group.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.layout import contents, straight
from batchdigits.layout.cells import cells
from batchdigits.layout.groups import Group, groups
from batchdigits.layout.lines import lines
from batchdigits.layout.sorted import sorted_out
from batchdigits.records import Grey

SIDE = 2000
"""px: the longest side of the picture that is searched; a smaller one is searched as it is."""
ALONE = 15
"""px, the least side of a box that stands alone: the hole in a large letter is smaller."""


class Layout(NamedTuple):
    """The groups of boxes on a page.

    Attributes:
        groups: in reading order; cells' corners in px of the view.
        matrix: (3, 3), px of the view → px of the page.
        size: of the view, width and height, px.
    """

    groups: list[Group]
    matrix: NDArray[np.float64]
    size: tuple[int, int]


def find(grey: Grey) -> Layout:
    """Find the groups of boxes on a page.

    Args:
        grey: uint8, (height, width), dark ink on light paper.
    """
    scale = min(1.0, SIDE / max(grey.shape))
    small = grey
    if scale < 1:
        size = [max(1, round(side * scale)) for side in grey.shape[::-1]]
        small = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
    view = straight.view(small)
    laid = np.asarray(cv2.warpPerspective(small, view.matrix, view.size, borderValue=255), np.uint8)
    seen = lines(laid)
    found = [
        group
        for group in groups(sorted_out(cells(seen)), seen.ink)
        if group.kind != "box" or contents.box(laid, seen.ink, group.cells[0])
    ]
    larger = np.array(
        [[1 / scale, 0, 0.5 / scale - 0.5], [0, 1 / scale, 0.5 / scale - 0.5], [0, 0, 1]]
    )
    return Layout(found, larger @ np.linalg.inv(view.matrix), view.size)
