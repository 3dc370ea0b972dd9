"""Turns and shifts by which a template's boxes fall on each other."""

import numpy as np
from numpy.typing import NDArray

from batchdigits.register.boxes import MATCH_DISTANCE_SHARE, build_similarity, build_tree
from batchdigits.register.fits import Matrix
from batchdigits.register.lines import Points, project_points

SHIFT_GRID_MM = 0.5
"""Shifts of a template that are equal to so many mm count as one."""
MAX_SHIFTS = 8
"""Most shifts that are tried."""
MIN_SYMMETRY_SHARE = 0.85
"""Least share of a template's boxes that fall on each other if it looks the same when turned."""


def list_symmetry_turns(boxes: NDArray[np.float64]) -> list[Matrix]:
    """List quarter turns, mm → mm, by which almost all of a template's boxes fall on each other."""
    middle = boxes[:, :2] + boxes[:, 2:] / 2
    tree = build_tree(middle)
    centre = (boxes[:, :2].min(axis=0) + (boxes[:, :2] + boxes[:, 2:]).max(axis=0)) / 2 @ [1, 1j]
    candidates = (build_similarity(turn, centre - turn * centre) for turn in (1j, -1, -1j))
    short_sides = boxes[:, 2:].min(axis=1)
    return [
        turn
        for turn in candidates
        if (tree.query(project_points(turn, middle))[0] < MATCH_DISTANCE_SHARE * short_sides).mean()
        > MIN_SYMMETRY_SHARE
    ]


def list_symmetry_shifts(boxes: NDArray[np.float64]) -> Points:
    """List shifts, (N, 2), mm, by which over a third of a template's boxes fall on others."""
    middle = boxes[:, :2] + boxes[:, 2:] / 2
    shifts = (middle[:, None] - middle[None]).reshape(-1, 2)
    rounded = np.rint(shifts / SHIFT_GRID_MM).astype(np.int64)
    _, first, count = np.unique(rounded, axis=0, return_index=True, return_counts=True)
    often = (count > len(boxes) / 3) & (count < len(boxes))
    order = np.argsort(-count[often], kind="stable")[:MAX_SHIFTS]
    return np.asarray(shifts[first[often][order]])


def build_shift(across: float, down: float) -> Matrix:
    """Return the matrix of a shift, mm → mm."""
    return np.array([[1, 0, across], [0, 1, down], [0, 0, 1]], np.float64)
