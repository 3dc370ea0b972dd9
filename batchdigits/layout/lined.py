"""A box by its lines: whether there is one on each of its sides, and where exactly."""

import math
from dataclasses import dataclass
from functools import cached_property

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
OFF = 0.08
"""By what share of its shorter side the corners of a box that was sought may be off."""
BACK = 3
"""px within the paper of a box from which on its lines are looked for."""

Quad = NDArray[np.float64]
"""(4, 2): corners, clockwise from the top left, px of the view."""

_SHARES = SPOTS[:, None]
_WAYS = np.array([[-1.0, 0.0], [0.0, -1.0], [1.0, 0.0], [0.0, 1.0]])[:, None, None]


@dataclass(frozen=True, eq=False)
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

    @cached_property
    def size(self) -> NDArray[np.float64]:
        """Give its width and height, px."""
        sides = _sides(self.quad)
        return np.array([(sides[0] + sides[2]) / 2, (sides[1] + sides[3]) / 2])

    @cached_property
    def middle(self) -> NDArray[np.float64]:
        """Give its middle, px."""
        return np.asarray(self.quad.mean(axis=0), np.float64)

    @cached_property
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
    found = _measured(ink, quad, most)
    clear = [one for one in found if one is not None]
    if len(clear) < 3:
        return None
    usual = find_median(np.array([thickness for _, thickness in clear]))
    by = [usual / 2 if one is None else one[0] for one in found]
    outer = quad + np.array([[-by[0], -by[1]], [by[2], -by[1]], [by[2], by[3]], [-by[0], by[3]]])
    share = _drawn(ink, outer, usual, dotted=dotted)
    return Cell(outer, usual, share, dotted) if share else None


def fit_lines(ink: Reach, cell: Cell) -> Cell:
    """Return a box that was sought, with each side moved to its line; as it was if that is far off.

    Args:
        ink: how near it is, everywhere in the view.
        cell: the box.
    """
    inner = cell.thickness / 2 + 0.5
    paper = cell.quad + inner * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    found = lined(ink, paper, dotted=cell.dotted)
    if found is None or np.abs(found.quad - cell.quad).max() > max(BACK, OFF * cell.size.min()):
        return cell
    return found


def _measured(ink: Reach, quad: Quad, most: float) -> list[tuple[float, float] | None]:
    """Measure the line along each side: how far out its middle is, and its thickness, px.

    The sides are the left, the upper, the right, the lower.
    """
    steps = np.arange(-BACK, int(most) + 5)
    start, end = quad[[3, 0, 1, 2], None], quad[[0, 1, 2, 3], None]
    at = start + _SHARES * (end - start)
    places = at[:, :, None] + _WAYS * steps[:, None] + 0.5
    high, wide = ink.shape
    x = np.minimum(np.maximum(places[..., 0], 0), wide - 1).astype(np.int64)
    y = np.minimum(np.maximum(places[..., 1], 0), high - 1).astype(np.int64)
    seen = ink[y, x] == 3
    first = seen.argmax(axis=2)
    gone = ~seen & (steps + BACK > first[..., None])
    last = np.where(gone.any(axis=2), gone.argmax(axis=2), len(steps))
    there = seen[..., : BACK + 5].any(axis=2)
    return [
        _average_line(first[side, there[side]], last[side, there[side]], most)
        if 2 * np.count_nonzero(there[side]) >= len(SPOTS)
        else None
        for side in range(4)
    ]


def _average_line(
    first: NDArray[np.int64], last: NDArray[np.int64], most: float
) -> tuple[float, float] | None:
    """Return how far out the middle of a side's line is, and its thickness, px; None if too thick.

    Args:
        first: the step at which the line begins, of each spot along the side where it was seen.
        last: the step behind its end.
        most: its greatest thickness.
    """
    thick = last - first
    thickness = find_median(thick)
    if thickness > most:
        return None
    middle = (first + last - 1) / 2 - BACK
    usual = np.abs(thick - thickness) <= 1.5
    return find_median(middle[usual] if usual.any() else middle), thickness


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


def find_median(some: NDArray[np.float64] | NDArray[np.int64]) -> float:
    """Find the median of a few numbers, (N,): NumPy's own takes ten times as long to begin."""
    ordered = np.sort(some)
    half = len(ordered) // 2
    return float(ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2)


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
