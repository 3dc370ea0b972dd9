"""Lines → the places they close in: boxes, by their corners."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.layout.lined import Cell, Quad, find_median, lined, near
from batchdigits.layout.lines import LONG, Ink, Lines, Reach, reach

LEAST = 9
"""px: least side of the paper in a box."""
LARGEST = 0.3
"""Share of the page that a box may take."""
FULL, FIT = 0.88, 0.12
"""Least share of its corners' area that a box fills; by what share of the shorter side its sides
may bend."""
RULED = 0.7
"""Least share of a side that lies in a run as long as most of it."""
STEEP = 0.2
"""Greatest slope of a side."""

Side = tuple[float, float]
"""Where a side is: at zero, and its slope."""


def cells(found: Lines) -> list[Cell]:
    """Find the places that lines close in.

    What is bounded by shorter runs than its sides are long, or by dots, is taken where there is
    nothing else: strokes of a digit may look like it.
    """
    out: list[Cell] = []
    odd: list[Cell] = []
    *barriers, dots = found.barriers
    ink, runs = reach(found.ink), [reach(barrier) for barrier in barriers]
    for barrier, long in list(zip(barriers, LONG, strict=True))[::-1]:
        for quad in _regions(barrier, max(LEAST, long - 5)):
            if (cell := lined(ink, quad)) is not None:
                (out if _ruled(runs, cell.quad) else odd).append(cell)
    free = np.ones(dots.shape, np.uint8)
    for cell in out:
        cv2.fillConvexPoly(free, np.rint(cell.quad).astype(np.int32), 0)
    rest = [cell for cell in odd if _free(free, cell.quad)]
    for cell in rest:
        cv2.fillConvexPoly(free, np.rint(cell.quad).astype(np.int32), 0)
    dotted = (
        lined(ink, quad, dotted=True) for quad in _regions(dots, LONG[1] - 5) if _free(free, quad)
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


def _ruled(barriers: Sequence[Reach], quad: Quad) -> bool:
    """Tell whether the sides of a box are runs as long as they can be."""
    for start, end in zip(quad, quad[[1, 2, 3, 0]], strict=True):
        length = math.dist(start, end)
        longest = [n for n, long in enumerate(LONG) if long <= 0.75 * length]
        if longest:
            share = np.linspace(0.05, 0.95, 25)[:, None]
            if near(barriers[longest[-1]], start + share * (end - start), 1).mean() < RULED:
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
    slope = find_median(slopes)
    start = find_median(at - slope * along)
    off = np.abs(at - slope * along - start)
    if (off <= fit).mean() < 0.66 or abs(slope) > STEEP:
        return None
    near = off <= max(1.5, find_median(off) * 2.5)
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
