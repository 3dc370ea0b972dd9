"""Upright frames round boxes, left, top, right, bottom, px, and what they have in common."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from batchdigits.layout.lined import Cell

Frames = NDArray[np.float64]
"""(N, 4): left, top, right, bottom, px."""


def frames(cells: Sequence[Cell]) -> Frames:
    """Give the frames of boxes."""
    ends = [[*cell.quad.min(axis=0), *cell.quad.max(axis=0)] for cell in cells]
    return np.array(ends, np.float64).reshape(-1, 4)


def areas(some: Frames) -> NDArray[np.float64]:
    """Measure frames: (N,), square px."""
    return np.asarray((some[:, 2:] - some[:, :2]).prod(axis=1), np.float64)


def share(one: Frames, two: Frames) -> NDArray[np.float64]:
    """Measure what each two frames have in common, as a share of the smaller: (N, M)."""
    low = np.maximum(one[:, None, :2], two[None, :, :2])
    high = np.minimum(one[:, None, 2:], two[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=2)
    least = np.minimum(areas(one)[:, None], areas(two)[None])
    return np.asarray(common / np.maximum(least, 1e-6), np.float64)
