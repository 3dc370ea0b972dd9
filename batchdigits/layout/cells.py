"""Lines → the places they close in: boxes, with their corners and their neighbours."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.layout.lines import Lines

LEAST = 9
"""px: least side of the paper in a box."""
LARGEST = 0.3
"""Share of the page that a box may take."""
FULL, FIT = 0.88, 0.12
"""Least share of its corners' area that a box fills; by what share of the shorter side its sides
may bend."""
THICK = 11
"""px that a line is thick at most; and, as a share of the box's shorter side:"""
HEAVY = 0.42
SPOTS = np.linspace(0.15, 0.85, 11)
"""Where along a side one looks at what lies beyond it."""
BESIDE = 0.3
"""Share of a side along which a neighbour is seen."""

Quad = NDArray[np.float64]
"""(4, 2): corners, clockwise from the top left."""


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """A place that lines close in.

    Attributes:
        quad: its corners, to the middle of its lines, px of the view.
        beside: which others are on its left, above, on its right, below: their numbers.
        thin: how many of its sides are thin lines.
        drawn: the least share of a side that there is ink on.
        inner: the paper within: x, y, width, height, px.
    """

    quad: Quad
    beside: tuple[tuple[int, ...], ...]
    thin: int
    drawn: float
    inner: tuple[int, int, int, int]

    @property
    def size(self) -> NDArray[np.float64]:
        """Give its width and height, px."""
        top, right, bottom, left = np.linalg.norm(
            self.quad - np.roll(self.quad, -1, axis=0), axis=1
        )
        return np.array([(top + bottom) / 2, (left + right) / 2])

    @property
    def middle(self) -> NDArray[np.float64]:
        """Give its middle, px."""
        return np.asarray(self.quad.mean(axis=0), np.float64)


def cells(found: Lines) -> list[Cell]:
    """Find all places that lines close in."""
    barrier = found.level | found.upright
    barrier[[0, -1]] = barrier[:, [0, -1]] = 255
    high, wide = barrier.shape
    _, labels, stats, _ = cv2.connectedComponentsWithStats(255 - barrier, connectivity=4)
    fits = (stats[:, 2:4].min(axis=1) >= LEAST) & (stats[:, 4] >= LEAST**2)
    fits &= stats[:, 2] * stats[:, 3] <= LARGEST * high * wide
    fits &= stats[:, 4] >= 0.5 * stats[:, 2] * stats[:, 3]  # leaning ones fill less of their frame
    fits[0] = False
    quads = {}
    for number in np.flatnonzero(fits).tolist():
        x, y, width, height = stats[number, :4].tolist()
        part = labels[y : y + height, x : x + width] == number
        quad = _quad(part)
        if quad is not None:
            quads[number] = quad + [x, y]
    out = []
    near = cv2.dilate(found.ink, np.ones((3, 3), np.uint8)) > 0
    order = {number: n for n, number in enumerate(quads)}
    for number, quad in quads.items():
        outer, beside, thin = _outside(labels, quad, number, order)
        inner = tuple(stats[number, :4].tolist())
        out.append(Cell(outer, beside, thin, _drawn(near, outer), inner))
    return out


def _quad(part: NDArray[np.bool_]) -> Quad | None:
    """Fit four straight sides to a region; None where it has others."""
    high, wide = part.shape
    fit = max(1.5, FIT * min(high, wide))
    left, right = _sides(part, fit)
    top, bottom = _sides(part.T, fit)
    if left is None or right is None or top is None or bottom is None:
        return None
    quad = np.array([_cross(a, b) for a, b in ((top, left), (top, right), (bottom, right), (bottom, left))])
    area = cv2.contourArea(quad.astype(np.float32))
    filled = float(_span(part).sum())
    whole = FULL * area <= filled <= area / FULL + 2 * (high + wide)
    return quad if whole and min(high, wide) >= LEAST else None


def _span(part: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How far each row reaches, from its first pixel to its last: what is written does not count."""
    seen = part.any(axis=1)
    first, last = part.argmax(axis=1), part.shape[1] - part[:, ::-1].argmax(axis=1)
    return np.asarray(np.where(seen, last - first, 0), np.int64)


Side = tuple[float, float]
"""Where a side is: at its zero, and its slope."""


def _sides(part: NDArray[np.bool_], fit: float) -> tuple[Side | None, Side | None]:
    """Fit straight lines to the first and the last pixel of each row."""
    rows = np.flatnonzero(part.any(axis=1))
    rows = rows[len(rows) // 12 : len(rows) - len(rows) // 12]
    first = part[rows].argmax(axis=1)
    last = part.shape[1] - part[rows][:, ::-1].argmax(axis=1)
    return _line(rows + 0.5, first, fit), _line(rows + 0.5, last, fit)


def _line(along: NDArray[np.float64], at: NDArray[np.int64], fit: float) -> Side | None:
    """Fit a line to most of the points; None where fewer than two in three are near it."""
    half = len(along) // 2
    if half < 2:
        return None
    slopes = (at[half:][: half] - at[:half]) / (along[half:][: half] - along[:half])
    slope = float(np.median(slopes))
    start = float(np.median(at - slope * along))
    off = np.abs(at - slope * along - start)
    near = off <= fit
    if near.mean() < 0.66 or abs(slope) > 0.2:
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
    a, b = level
    c, d = upright
    x = (c + d * a) / (1 - d * b)
    return x, a + b * x


def _drawn(near: NDArray[np.bool_], quad: Quad) -> float:
    """Say what share of each side has ink, from corner to corner: the least of the four."""
    along = np.linspace(0, 1, 41)[:, None, None]
    at = np.rint(quad + along * (np.roll(quad, -1, axis=0) - quad)).astype(int)
    high, wide = near.shape
    x, y = np.clip(at[..., 0], 0, wide - 1), np.clip(at[..., 1], 0, high - 1)
    return float(near[y, x].mean(axis=0).min())


def _outside(
    labels: NDArray[np.int32], quad: Quad, number: int, order: dict[int, int]
) -> tuple[Quad, tuple[tuple[int, ...], ...], int]:
    """Look beyond each side: how thick its line is, and what is behind it.

    Returns:
        The box to the middle of its lines; its neighbours on the left, above, on the right, below;
        how many sides are thin lines.
    """
    top_left, top_right, bottom_right, bottom_left = quad
    sides = (
        (top_left, bottom_left, (-1.0, 0.0)),
        (top_left, top_right, (0.0, -1.0)),
        (top_right, bottom_right, (1.0, 0.0)),
        (bottom_left, bottom_right, (0.0, 1.0)),
    )
    short = min(np.ptp(quad, axis=0))
    far = int(max(THICK, min(2.5 * THICK, HEAVY * short))) + 3
    steps = np.arange(far)
    high, wide = labels.shape
    by, beside, thin = [], [], 0
    for start, end, (across, down) in sides:
        at = start + SPOTS[:, None] * (end - start)
        x = np.clip(np.rint(at[:, :1] + across * (steps + 0.5) - 0.5), 0, wide - 1).astype(int)
        y = np.clip(np.rint(at[:, 1:] + down * (steps + 0.5) - 0.5), 0, high - 1).astype(int)
        seen = labels[y, x]
        other = (seen != 0) & (seen != number)
        thickness = np.where(other.any(axis=1), other.argmax(axis=1), far) - 2  # lines grew
        beyond = seen[np.arange(len(seen)), np.minimum(thickness + 2, far - 1)]
        usual = float(np.median(thickness))
        line = 0 < usual <= min(THICK, max(3.0, HEAVY * short))
        thin += line
        by.append(usual / 2 + 1 if line else 1.0)
        names, counts = np.unique(beyond[other.any(axis=1)], return_counts=True)
        near = [
            order[name]
            for name, count in zip(names.tolist(), counts.tolist(), strict=True)
            if name in order and count >= BESIDE * len(SPOTS)
        ]
        beside.append(tuple(near) if line else ())
    out = quad + [[-by[0], -by[1]], [by[2], -by[1]], [by[2], by[3]], [-by[0], by[3]]]
    return out, tuple(beside), thin
