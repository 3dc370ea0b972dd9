"""Any page → the boxes on it that somebody may have written into: rows of boxes, boxes, tables.

A page is looked at as if from above, at one size whatever the scan's: its lines say how it lies.
Lines close in places; places that share lines, or stand in a row, are a group.
"""

from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.layout import straight
from batchdigits.layout.cells import Cell, cells
from batchdigits.layout.groups import Group, groups
from batchdigits.layout.lines import Lines, lines
from batchdigits.records import Grey

SIDE = 2000
"""px: the longest side of the picture that is searched; a smaller one is searched as it is."""
DRAWN = 0.72
"""Least share of each of a box's sides that has ink."""
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
    laid = cv2.warpPerspective(small, view.matrix, view.size, borderValue=255)
    seen = lines(np.asarray(laid, np.uint8))
    found = groups(_kept(cells(seen), seen))
    larger = np.array(
        [[1 / scale, 0, 0.5 / scale - 0.5], [0, 1 / scale, 0.5 / scale - 0.5], [0, 0, 1]]
    )
    return Layout(found, larger @ np.linalg.inv(view.matrix), view.size)


def _kept(found: list[Cell], seen: Lines) -> list[Cell]:
    """Leave out what is no box: holes in letters and codes, frames round others, pictures."""
    sound = [cell.thin >= 3 and cell.drawn >= DRAWN for cell in found]
    middle = np.array([cell.middle for cell in found]).reshape(-1, 2)
    low = np.array([cell.quad.min(axis=0) for cell in found]).reshape(-1, 2)
    high = np.array([cell.quad.max(axis=0) for cell in found]).reshape(-1, 2)
    within = ((low[:, None] < middle) & (middle < high[:, None])).all(axis=2)
    np.fill_diagonal(within, False)
    kept = np.array(sound, bool)
    holds = (within & kept).any(axis=1)  # rows: outer, columns: inner
    kept &= ~holds
    order = np.cumsum(kept) - 1
    out = []
    for n in np.flatnonzero(kept).tolist():
        beside = tuple(
            tuple(int(order[one]) for one in side if kept[one]) for side in found[n].beside
        )
        out.append(replace(found[n], beside=beside))
    return out
