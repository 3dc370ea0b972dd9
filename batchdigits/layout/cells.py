"""Lines → the places they close in: boxes, by their corners."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.layout.lines import GAP, LONG, Ink, Lines

LEAST = 9
"""px: least side of the paper in a box."""
LARGEST = 0.3
"""Share of the page that a box may take."""
FULL, FIT = 0.88, 0.12
"""Least share of its corners' area that a box fills; by what share of the shorter side its sides
may bend."""
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
RULED = 0.7
"""Least share of a side that lies in a run as long as most of it."""
STEEP = 0.2
"""Greatest slope of a side."""

Quad = NDArray[np.float64]
"""(4, 2): corners, clockwise from the top left, px of the view."""
Side = tuple[float, float]
"""Where a side is: at zero, and its slope."""


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
        sides = np.linalg.norm(self.quad - np.roll(self.quad, -1, axis=0), axis=1)
        return np.array([(sides[0] + sides[2]) / 2, (sides[1] + sides[3]) / 2])

    @property
    def middle(self) -> NDArray[np.float64]:
        """Give its middle, px."""
        return np.asarray(self.quad.mean(axis=0), np.float64)

    @property
    def area(self) -> float:
        """Give its area, px."""
        return float(self.size.prod())


def cells(found: Lines) -> list[Cell]:
    """Find the places that lines close in.

    What is bounded by shorter runs than its sides are long, or by dots, is taken where there is
    nothing else: strokes of a digit may look like it.
    """
    out: list[Cell] = []
    odd: list[Cell] = []
    *barriers, dots = found.barriers
    for barrier, long in list(zip(barriers, LONG, strict=True))[::-1]:
        for quad in _regions(barrier, max(LEAST, long - 5)):
            if (cell := lined(found.ink, quad)) is not None:
                (out if _ruled(barriers, cell.quad) else odd).append(cell)
    free = np.ones(dots.shape, np.uint8)
    for cell in out:
        cv2.fillConvexPoly(free, np.rint(cell.quad).astype(np.int32), 0)
    rest = [cell for cell in odd if _free(free, cell.quad)]
    for cell in rest:
        cv2.fillConvexPoly(free, np.rint(cell.quad).astype(np.int32), 0)
    dotted = (
        lined(found.ink, quad, dotted=True)
        for quad in _regions(dots, LONG[1] - 5)
        if _free(free, quad)
    )
    return out + rest + [cell for cell in dotted if cell is not None]


def _free(free: Ink, quad: Quad) -> bool:
    """Tell whether most of a box is where no other is."""
    share = np.linspace(0.1, 0.9, 5)[:, None, None]
    left, right = quad[0] + share * (quad[3] - quad[0]), quad[1] + share * (quad[2] - quad[1])
    at = left + share.reshape(1, 5, 1) * (right - left)
    high, wide = free.shape
    x, y = np.rint(at).astype(int).reshape(-1, 2).T
    return bool(free[y.clip(0, high - 1), x.clip(0, wide - 1)].mean() > 0.7)


def _ruled(barriers: Sequence[Ink], quad: Quad) -> bool:
    """Tell whether the sides of a box are runs as long as they can be."""
    for start, end in zip(quad, np.roll(quad, -1, axis=0), strict=True):
        length = float(np.linalg.norm(end - start))
        longest = [n for n, long in enumerate(LONG) if long <= 0.75 * length]
        if longest:
            share = np.linspace(0.05, 0.95, 25)[:, None]
            if _near(barriers[longest[-1]], start + share * (end - start), 1).mean() < RULED:
                return False
    return True


def _regions(barrier: Ink, least: int) -> list[Quad]:
    """Find regions with four straight sides, none shorter than `least` px."""
    high, wide = barrier.shape
    walls = barrier.copy()
    walls[[0, -1]] = walls[:, [0, -1]] = 255
    _, labels, stats, _ = cv2.connectedComponentsWithStats(255 - walls, connectivity=4)
    fits = stats[:, 2:4].min(axis=1) >= least
    fits &= stats[:, 2] * stats[:, 3] <= LARGEST * high * wide
    fits &= stats[:, 4] >= 0.4 * stats[:, 2] * stats[:, 3]  # leaning ones fill less of their frame
    fits[0] = False
    out = []
    for number in np.flatnonzero(fits).tolist():
        x, y, width, height = stats[number, :4].tolist()
        quad = _quad(labels[y : y + height, x : x + width] == number)
        if quad is not None:
            out.append(quad + np.array([x - 0.5, y - 0.5]))
    return out


def _quad(part: NDArray[np.bool_]) -> Quad | None:
    """Fit four straight sides to a region; None where it has others."""
    high, wide = part.shape
    fit = max(1.5, FIT * min(high, wide))
    left, right = _sides(part, fit)
    top, bottom = _sides(part.T, fit)
    if left is None or right is None or top is None or bottom is None:
        return None
    ends = ((top, left), (top, right), (bottom, right), (bottom, left))
    quad = np.array([_cross(level, upright) for level, upright in ends])
    area = cv2.contourArea(quad.astype(np.float32))
    filled = float(_span(part).sum())
    whole = FULL * area <= filled <= area / FULL + 2 * (high + wide)
    return quad if whole else None


def _span(part: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Say how far each row reaches, from first to last pixel: what is written does not count."""
    first, last = part.argmax(axis=1), part.shape[1] - part[:, ::-1].argmax(axis=1)
    return np.asarray(np.where(part.any(axis=1), last - first, 0), np.int64)


def _sides(part: NDArray[np.bool_], fit: float) -> tuple[Side | None, Side | None]:
    """Fit straight lines to the first and the last pixel of each row."""
    rows = np.flatnonzero(part.any(axis=1))
    rows = rows[len(rows) // 12 : len(rows) - len(rows) // 12]
    along = rows.astype(np.float64) + 0.5
    first = part[rows].argmax(axis=1)
    last = part.shape[1] - part[rows][:, ::-1].argmax(axis=1)
    return _line(along, first, fit), _line(along, last, fit)


def _line(along: NDArray[np.float64], at: NDArray[np.int64], fit: float) -> Side | None:
    """Fit a line to most of the points; None where fewer than two in three are near it."""
    half = len(along) // 2
    if half < 2:
        return None
    slopes = (at[half : 2 * half] - at[:half]) / (along[half : 2 * half] - along[:half])
    slope = float(np.median(slopes))
    start = float(np.median(at - slope * along))
    off = np.abs(at - slope * along - start)
    if (off <= fit).mean() < 0.66 or abs(slope) > STEEP:
        return None
    near = off <= max(1.5, float(np.median(off)) * 2.5)
    if near.sum() >= 4:
        x, y = along[near], at[near].astype(np.float64)
        centre = x.mean()
        spread = float(((x - centre) ** 2).sum())
        slope = float(((x - centre) * (y - y.mean())).sum() / max(spread, 1e-9))
        start = float(y.mean() - slope * centre)
    return start, slope


def _cross(level: Side, upright: Side) -> tuple[float, float]:
    """Find where y = a + b x and x = c + d y meet."""
    (a, b), (c, d) = level, upright
    x = (c + d * a) / (1 - d * b)
    return x, a + b * x


def lined(ink: Ink, quad: Quad, *, dotted: bool = False) -> Cell | None:
    """Move each side of a box to the middle of its line; None where one has no thin line.

    Args:
        ink: of the view.
        quad: the paper within the box.
        dotted: whether lines of dots will do.
    """
    short = float(np.linalg.norm(quad - np.roll(quad, -1, axis=0), axis=1).min())
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
    ink: Ink,
    side: tuple[NDArray[np.float64], NDArray[np.float64]],
    way: tuple[float, float],
    most: float,
) -> tuple[float, float] | None:
    """Measure the line along a side: how far out its middle is, and its thickness, px."""
    (start, end), back = side, 3
    steps = np.arange(-back, int(most) + 5)
    at = start + SPOTS[:, None] * (end - start)
    high, wide = ink.shape
    x = np.clip(np.rint(at[:, :1] + way[0] * steps), 0, wide - 1).astype(int)
    y = np.clip(np.rint(at[:, 1:] + way[1] * steps), 0, high - 1).astype(int)
    seen = ink[y, x] > 0
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


def _drawn(ink: Ink, quad: Quad, thickness: float, *, dotted: bool) -> float:
    """Say how much of each side has ink, from corner to corner: of the worst; 0 for too little.

    A box has ink at its corners too, three of them at least, a small one at all: a round letter
    has not.
    """
    corners = _near(ink, quad, 1 if thickness < 5 else 2).sum()
    if corners < (4 if np.ptp(quad, axis=0).min() < SMALL else 3):
        return 0.0
    out = 1.0
    for start, end in zip(quad, np.roll(quad, -1, axis=0), strict=True):
        length = float(np.linalg.norm(end - start))
        share = np.linspace(0, 1, max(12, int(length / 1.5)))[:, None]
        there = _near(ink, start + share * (end - start), 1)
        out = min(out, float(there.mean()))
        if out < (DOTTED if dotted else DRAWN) or (dotted and _gap(there) * 1.5 > GAP):
            return 0.0
    return out if corners == 4 else 0.8 * out


def weak(ink: Ink, like: Cell, quad: Quad) -> Cell | None:
    """Take a box at a place where there must be one, if there is some ink on each of its sides.

    Args:
        ink: of the view.
        like: a box of its group.
        quad: its corners, to the middle of its lines.
    """
    share = np.linspace(0, 1, 41)[:, None, None]
    there = _near(ink, quad + share * (np.roll(quad, -1, axis=0) - quad), 2).mean(axis=0)
    return Cell(quad, like.thickness, WEAK, like.dotted) if there.min() >= WEAK else None


def inked(ink: Ink, start: NDArray[np.float64], end: NDArray[np.float64]) -> float:
    """Say what share of the way between two points has ink."""
    share = np.linspace(0.04, 0.96, 47)[:, None]
    return float(_near(ink, start + share * (end - start), 1).mean())


def _gap(there: NDArray[np.bool_]) -> int:
    """Say how many in a row are false at most."""
    at = np.flatnonzero(np.concatenate([[True], there, [True]]))
    return int(np.diff(at).max()) - 1


def _near(ink: Ink, at: NDArray[np.float64], far: int) -> NDArray[np.bool_]:
    """Tell whether there is ink within so many px of points (…, 2)."""
    high, wide = ink.shape
    out = np.zeros(at.shape[:-1], bool)
    spots = np.rint(at).astype(int)
    for down in range(-far, far + 1):
        for across in range(-far, far + 1):
            x = np.clip(spots[..., 0] + across, 0, wide - 1)
            y = np.clip(spots[..., 1] + down, 0, high - 1)
            out |= ink[y, x] > 0
    return out
