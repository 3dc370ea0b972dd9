"""Places that lines close in, found twice, or within each other → the boxes among them."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from batchdigits.layout.lined import WEAK, Cell

SAME = 0.6
"""Share that two boxes which are one have in common at least."""
COVERED = 0.72
"""Share of a place that smaller ones take when they are its boxes, and it is none."""
REPEATED = 6.0
"""px by which a box that was found again is off, at most."""
SQUARED, ALIKE = 900, 0.2
"""So many squares and more of one size, give or take a share, that touch on all sides, are the
squares of the paper."""
WITHIN = 0.55
"""Share of a box that lies in another, at least, when it is within that."""
SURE, CLEAR, FEW = 0.88, 0.97, 3
"""How well a box within another is drawn, at least: a hole in a digit is not; and so few of them
within one that is drawn as well as the second."""

PIECE, OVER = 0.6, 0.3
"""Shares of area: what is a piece of a box that was missing; what is in its way."""
STRONG = 0.97
"""A place that was only taken for a box is none if it holds several that are so well drawn."""


def without_repeats(found: list[Cell]) -> list[Cell]:
    """Leave out most of what was found several times.

    Thousands of boxes cannot be compared two by two.

    Args:
        found: in any order.
    """
    best: dict[tuple[int, ...], Cell] = {}
    for cell in found:
        key = tuple(np.rint([*cell.middle / REPEATED, *cell.size / REPEATED]).astype(int).tolist())
        if key not in best or (best[key].drawn, best[key].area) < (cell.drawn, cell.area):
            best[key] = cell
    return list(best.values())


def without_squares(found: list[Cell]) -> list[Cell]:
    """Leave out the squares of squared paper: nobody wants a row for each.

    Args:
        found: each once.
    """
    if len(found) < SQUARED:
        return found
    size = np.array([cell.size for cell in found])
    usual = np.median(size, axis=0)
    alike = (np.abs(size / usual - 1) < ALIKE).all(axis=1)
    middle = np.array([cell.middle for cell in found])
    steps = [usual * (1, 0), usual * (0, 1)]
    near = [cKDTree(middle).query(middle + step)[0] < ALIKE * usual.min() for step in steps]
    touching = alike & near[0] & near[1]
    if touching.sum() < SQUARED or abs(usual[0] / usual[1] - 1) > ALIKE / 2:
        return found
    return [cell for cell, one in zip(found, alike, strict=True) if not one]


def sorted_out(found: list[Cell]) -> list[Cell]:
    """Leave out what was found twice, what others divide, and frames round others.

    Args:
        found: in any order.
    """
    found = sorted(found, key=lambda one: (one.drawn < SURE, -one.area))
    boxes = np.array([[*one.quad.min(axis=0), *one.quad.max(axis=0)] for one in found])
    boxes = boxes.reshape(-1, 4)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    common = _common(boxes)
    kept = np.ones(len(found), bool)
    twice = common >= SAME * (area[:, None] + area[None] - common)
    for n in range(len(found)):
        if kept[n]:
            kept[n + 1 :] &= ~twice[n, n + 1 :]
    within = (common >= WITHIN * area[None]) & (area[None] < area[:, None])  # [outer, inner]
    for n in np.argsort(area).tolist():  # the smallest first
        inner = np.flatnonzero(within[n] & kept)
        if not kept[n] or not len(inner):
            continue
        least = CLEAR if len(inner) <= FEW and found[n].drawn >= CLEAR else SURE
        sure = np.array([found[one].drawn >= least for one in inner])
        divided = len(inner) > 1 and common[n, inner].sum() >= COVERED * area[n]
        if divided or sure.any():
            kept[n] = False
        else:
            kept[inner] = False
    return [found[n] for n in np.flatnonzero(kept).tolist()]


def _common(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Measure what each two upright boxes have in common: (N, N), px."""
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    return np.asarray(np.clip(high - low, 0, None).prod(axis=2))


def add_boxes(cells: list[Cell], new: list[Cell]) -> tuple[list[Cell], bool]:
    """Put boxes among others: in the place of their pieces, unless they are there already.

    Returns:
        All of them, and whether there is one that was not there.
    """
    out, changed = list(cells), False
    boxes = np.array([_measure_frame(one) for one in out]).reshape(-1, 4)
    for cell in new:
        own = _measure_frame(cell)
        size = np.minimum(boxes[:, 2:], own[2:]) - np.maximum(boxes[:, :2], own[:2])
        common = np.clip(size, 0, None).prod(axis=1)
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
        area = float((own[2:] - own[:2]).prod())
        if (common > SAME * (areas + area - common)).any():
            continue
        pieces = common > PIECE * areas
        if (common[~pieces] > OVER * area).any() or (areas[pieces] > area).any():
            continue
        whole = sum(one.drawn >= STRONG for one, piece in zip(out, pieces, strict=True) if piece)
        if cell.drawn <= WEAK and whole > 1:
            continue
        out = [one for one, piece in zip(out, pieces, strict=True) if not piece] + [cell]
        boxes, changed = np.concatenate([boxes[~pieces], own[None]]), True
    return out, changed


def _measure_frame(cell: Cell) -> NDArray[np.float64]:
    return np.concatenate([cell.quad.min(axis=0), cell.quad.max(axis=0)])
