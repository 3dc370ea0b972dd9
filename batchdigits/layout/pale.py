"""Places that a pale pattern under the print closes in: letters of a watermark."""

import numpy as np
from numpy.typing import NDArray

from batchdigits.layout.grids import roots
from batchdigits.layout.lined import Cell, near
from batchdigits.layout.lines import Reach

THERE, PALE = 0.6, 0.3
"""Share of a side with ink, if it is a line; and greatest share of it with strong ink, if it is
pale."""
SIDES = 2
"""Pale sides from which on a box is pale."""
MANY = 4
"""So many pale boxes in a row, of one size, are boxes to write in."""
NEAR, LEVEL, ALIKE = 1.75, 0.3, 0.15
"""How far apart boxes in a row are, as a share of their width; how far they leave its line, of
their height; and by what share of their shorter side they differ."""

_SPOTS = np.linspace(0.05, 0.95, 25)[:, None, None]


def without_pale(found: list[Cell], ink: Reach, strong: Reach) -> list[Cell]:
    """Leave out single pale boxes on a page most of whose boxes are not pale.

    Args:
        found: each once.
        ink: how near it is, everywhere in the view.
        strong: the same of ink that is as dark as the page's lines.
    """
    pale = [n for n, cell in enumerate(found) if _is_pale(cell, ink, strong)]
    if 2 * len(pale) > len(found):
        return found
    alone = set(pale) - _find_rows(found, pale)
    return [cell for n, cell in enumerate(found) if n not in alone]


def _is_pale(cell: Cell, ink: Reach, strong: Reach) -> bool:
    sides = cell.quad + _SPOTS * (cell.quad[[1, 2, 3, 0]] - cell.quad)
    there = near(ink, sides, 1).mean(axis=0) >= THERE
    return bool((there & (near(strong, sides, 1).mean(axis=0) < PALE)).sum() >= SIDES)


def _find_rows(found: list[Cell], pale: list[int]) -> set[int]:
    """Find the pale boxes that are in long rows."""
    if not pale:
        return set()
    middle = np.array([found[n].middle for n in pale])
    size = np.array([found[n].size for n in pale])
    pairs = [(int(one), int(two)) for one, two in np.argwhere(_are_beside(middle, size))]
    root = roots(len(pale), pairs)
    return {n for n, one in zip(pale, root, strict=True) if root.count(one) >= MANY}


def _are_beside(middle: NDArray[np.float64], size: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which boxes are beside each other, and alike: (N, N)."""
    off = np.abs(middle[:, None] - middle)
    unlike = np.abs(size[:, None] - size).max(axis=2) > ALIKE * size.min(axis=1)
    far = (off[..., 0] > NEAR * size[:, 0]) | (off[..., 1] > LEVEL * size[:, 1])
    return np.asarray(~(unlike | far), np.bool_)
