"""A box by its lines: whether there is one on each of its sides, and where exactly."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batchdigits.layout.lines import GAP, Reach

THICK, HEAVY = 16, 0.6
"""px that a line is thick at most; and, as a share of the box's shorter side."""
SPOTS = np.linspace(0.12, 0.88, 13)
"""Where along a side one looks at its line."""
DRAWN = 0.72
"""Least share of each side that has ink; of one of dots:"""
DOTTED = 0.42
SMALL = 30
"""px of a side under which a box may be the hole in a letter."""
WEAK = 0.5
"""The same, of a box that its neighbours on both sides prove."""

Quad = NDArray[np.float64]
"""(4, 2): corners, clockwise from the top left, px of the view."""


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """A place that lines close in.

    Attributes:
        quad: its corners, to the middle of its lines.
        thickness: of its lines, px.
        drawn: how well: the least share of a side that has ink; less where a corner has none.
        dotted: whether they are of dots.
    """

    quad: Quad
    thickness: float
    drawn: float
    dotted: bool = False

    @property
    def size(self) -> NDArray[np.float64]:
        """Give its width and height, px."""
        sides = _sides(self.quad)
        return np.array([(sides[0] + sides[2]) / 2, (sides[1] + sides[3]) / 2])

    @property
    def middle(self) -> NDArray[np.float64]:
        """Give its middle, px."""
        return np.asarray(self.quad.mean(axis=0), np.float64)

    @property
    def area(self) -> float:
        """Give its area, px."""
        return float(self.size.prod())


def lined(ink: Reach, quad: Quad, *, dotted: bool = False) -> Cell | None:
    """Move each side of a box to the middle of its line; None where one has no thin line.

    Args:
        ink: how near it is, everywhere in the view.
        quad: the paper within the box.
        dotted: whether lines of dots will do.
    """
    short = min(_sides(quad))
    most = min(THICK, max(3.0, HEAVY * short))
    ends = (quad[[3, 0]], quad[[0, 1]], quad[[1, 2]], quad[[2, 3]])  # left, top, right, bottom
    ways = ((-1.0, 0.0), (0.0, -1.0), (1.0, 0.0), (0.0, 1.0))
    found = [
        _measured(ink, (end[0], end[1]), way, most) for end, way in zip(ends, ways, strict=True)
    ]
    clear = [one for one in found if one is not None]
    if len(clear) < 3:
        return None
    usual = float(np.median([thickness for _, thickness in clear]))
    by = [usual / 2 if one is None else one[0] for one in found]
    outer = quad + np.array([[-by[0], -by[1]], [by[2], -by[1]], [by[2], by[3]], [-by[0], by[3]]])
    share = _drawn(ink, outer, usual, dotted=dotted)
    return Cell(outer, usual, share, dotted) if share else None


def _measured(
    ink: Reach,
    side: tuple[NDArray[np.float64], NDArray[np.float64]],
    way: tuple[float, float],
    most: float,
) -> tuple[float, float] | None:
    """Measure the line along a side: how far out its middle is, and its thickness, px."""
    (start, end), back = side, 3
    steps = np.arange(-back, int(most) + 5)
    at = start + SPOTS[:, None] * (end - start)
    high, wide = ink.shape
    x = np.minimum(np.maximum(at[:, :1] + way[0] * steps + 0.5, 0), wide - 1).astype(np.int64)
    y = np.minimum(np.maximum(at[:, 1:] + way[1] * steps + 0.5, 0), high - 1).astype(np.int64)
    seen = ink[y, x] == 3
    there = seen[:, : back + 5].any(axis=1)
    if there.mean() < 0.5:
        return None
    first = seen.argmax(axis=1)
    gone = ~seen & (steps + back > first[:, None])
    last = np.where(gone.any(axis=1), gone.argmax(axis=1), len(steps))
    thickness = float(np.median((last - first)[there]))
    if thickness > most:
        return None
    middle = (first + last - 1)[there] / 2 - back
    usual = np.abs((last - first)[there] - thickness) <= 1.5
    return float(np.median(middle[usual])) if usual.any() else float(np.median(middle)), thickness


def _drawn(ink: Reach, quad: Quad, thickness: float, *, dotted: bool) -> float:
    """Say how much of each side has ink, from corner to corner: of the worst; 0 for too little.

    A box has ink at its corners too, three of them at least, a small one at all: a round letter
    has not.
    """
    corners = near(ink, quad, 1 if thickness < 5 else 2).sum()
    if corners < (4 if np.ptp(quad, axis=0).min() < SMALL else 3):
        return 0.0
    out = 1.0
    for length, start, end in zip(_sides(quad), quad, quad[[1, 2, 3, 0]], strict=True):
        share = np.linspace(0, 1, max(12, int(length / 1.5)))[:, None]
        there = near(ink, start + share * (end - start), 1)
        out = min(out, float(there.mean()))
        if out < (DOTTED if dotted else DRAWN) or (dotted and _gap(there) * 1.5 > GAP):
            return 0.0
    return out if corners == 4 else 0.8 * out


def weak(ink: Reach, like: Cell, quad: Quad, least: float = WEAK) -> Cell | None:
    """Take a box at a place where there must be one, if there is some ink on each of its sides.

    Args:
        ink: how near it is, everywhere in the view.
        like: a box of its group.
        quad: its corners, to the middle of its lines.
        least: share of each side.
    """
    share = np.linspace(0, 1, 41)[:, None, None]
    there = near(ink, quad + share * (quad[[1, 2, 3, 0]] - quad), 2).mean(axis=0)
    return Cell(quad, like.thickness, WEAK, like.dotted) if there.min() >= least else None


def inked(ink: Reach, start: NDArray[np.float64], end: NDArray[np.float64]) -> float:
    """Say what share of the way between two points has ink."""
    share = np.linspace(0.04, 0.96, 47)[:, None]
    return float(near(ink, start + share * (end - start), 1).mean())


def _gap(there: NDArray[np.bool_]) -> int:
    """Say how many in a row are false at most."""
    at = np.flatnonzero(np.concatenate([[True], there, [True]]))
    return int(np.diff(at).max()) - 1


def near(ink: Reach, at: NDArray[np.float64], far: int) -> NDArray[np.bool_]:
    """Tell whether there is ink within so many px, two at most, of points (…, 2)."""
    high, wide = ink.shape
    spots = (at + 0.5).astype(np.int64)
    x = np.minimum(np.maximum(spots[..., 0], 0), wide - 1)
    y = np.minimum(np.maximum(spots[..., 1], 0), high - 1)
    return np.asarray(ink[y, x] >= 3 - far)


def _sides(quad: Quad) -> list[float]:
    """Measure the four sides, px: the upper, the right, the lower, the left."""
    return [
        math.dist(one, two)
        for one, two in zip(quad.tolist(), quad[[1, 2, 3, 0]].tolist(), strict=True)
    ]
