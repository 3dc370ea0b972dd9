"""A page's lines → how it lies: the view that makes both families of its lines level and upright.

Straight parallel lines of a photographed page meet in a point; that point follows from the slopes
of all of them. A view that puts the two points infinitely far away shows the page from above.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage

SIDE = 1100
"""px, the longest side of the picture that lines are sought in."""
SHORT, ENOUGH = 0.012, 0.12
"""Lines shorter than this share of the longest side say nothing; longer ones than the second say no
more: edges of the paper are among them."""
NEAR = 14.0
"""Degrees from the page's own turn within which lines are of its two families."""
STRAY = 0.02
"""Slope by which a line may differ before it counts less."""
CALM = 0.4
"""How much lines must weigh, in longest sides, to overcome that most pages lie flat."""
STEEP = 0.6
"""Greatest perspective, as the change of scale over half the picture's longest side."""

Matrix = NDArray[np.float64]
"""(3, 3)."""
Segments = NDArray[np.float64]
"""(N, 4): x, y of both ends."""


class View(NamedTuple):
    """How a page is laid straight.

    Attributes:
        matrix: px of the page → px of the view, whose top left corner is at 0, 0.
        size: of the view, width and height, px.
    """

    matrix: Matrix
    size: tuple[int, int]


def view(grey: GreyImage) -> View:
    """Find the view that a page lies straight in, by its lines alone.

    Args:
        grey: uint8, (height, width).
    """
    high, wide = grey.shape
    scale = min(1.0, SIDE / max(high, wide))
    size = [max(1, round(side * scale)) for side in (wide, high)]
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(grey, size, interpolation=how), np.uint8)
    found = cv2.createLineSegmentDetector().detect(small)[0]
    segments = np.zeros((0, 4)) if found is None else found.reshape(-1, 4).astype(np.float64)
    half = max(size) / 2
    middle = np.array([size[0], size[1]]) / 2
    segments = (segments - np.tile(middle, 2)) / half
    back = _laid(segments)
    whole = np.array([[wide, 0, wide / 2], [0, wide, high / 2], [0, 0, 1]], np.float64)
    whole[[0, 1], [0, 1]] = max(high, wide) / 2
    return _framed(np.linalg.inv(back) @ np.linalg.inv(whole), wide, high)


def _framed(matrix: Matrix, wide: int, high: int) -> View:
    """Scale a view to the page's own pixels, and move it so that it begins at 0, 0."""
    side = max(wide, high) / 2
    matrix = np.diag([side, side, 1.0]) @ matrix
    ends = np.array([[[0, 0], [wide, 0], [wide, high], [0, high]]], np.float64)
    seen = cv2.perspectiveTransform(ends, matrix)[0]
    low, size = seen.min(axis=0), np.ceil(np.ptp(seen, axis=0)).astype(int) + 1
    moved = np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1]]) @ matrix
    return View(moved, (int(size[0]), int(size[1])))


def _laid(segments: Segments) -> Matrix:
    """Fit where the two families of lines meet; gives view → picture, both from -1 to 1."""
    step = segments[:, 2:] - segments[:, :2]
    length = np.hypot(*step.T) / 2
    kept = length >= SHORT
    segments, step, length = segments[kept], step[kept], length[kept]
    weight = np.minimum(length, ENOUGH)
    turn = _turn(step, weight)
    around = _about(turn)
    middle = (segments[:, :2] + segments[:, 2:]) / 2 @ around
    step = step @ around
    level, across = _met(middle, step, weight)
    upright, down = _met(middle[:, ::-1], step[:, ::-1], weight)
    laid = np.array([[1, upright, 0], [level, 1, 0], [across, down, 1]], np.float64)
    turned = np.eye(3)
    turned[:2, :2] = around
    return np.asarray(turned @ laid, np.float64)


def _about(radians: float) -> Matrix:
    cos, sin = np.cos(radians), np.sin(radians)
    return np.array([[cos, -sin], [sin, cos]])


def _turn(step: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    """Find the turn that most lines share, up to a quarter turn: radians, within 45 degrees."""
    if not len(step):
        return 0.0
    angle = np.degrees(np.arctan2(step[:, 1], step[:, 0])) % 90
    bins = np.bincount((angle * 2).astype(int) % 180, weight**1.5, minlength=180)
    kernel = np.array([1, 2, 3, 4, 5, 4, 3, 2, 1], np.float64)
    smooth = np.convolve(np.tile(bins, 3), kernel, "same")[180:360]
    peak = (int(smooth.argmax()) + 0.5) / 2
    off = (angle - peak + 45) % 90 - 45
    near = np.abs(off) <= 4
    peak += float(np.average(off[near], weights=weight[near])) if near.any() else 0.0
    return float(np.radians((peak + 45) % 90 - 45))


def _met(
    middle: NDArray[np.float64], step: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[float, float]:
    """Fit the point where lines that are nearly level meet: its slope from the middle, and 1 / far.

    A line through (x, y) with slope t meets (1, a, b) where t = a - b (y - t x).
    """
    flat = np.abs(step[:, 1]) <= np.tan(np.radians(NEAR)) * np.abs(step[:, 0])
    middle, step, weight = middle[flat], step[flat], weight[flat]
    if not len(step):
        return 0.0, 0.0
    slope = step[:, 1] / step[:, 0]
    terms = np.column_stack([np.ones(len(slope)), -(middle[:, 1] - slope * middle[:, 0])])
    a, b = 0.0, 0.0
    for spread in (8 * STRAY, 4 * STRAY, 2 * STRAY, STRAY, STRAY, STRAY):
        off = slope - terms @ [a, b]
        heavy = weight / (1 + (off / spread) ** 2) ** 2
        normal = terms.T @ (terms * heavy[:, None])
        normal[1, 1] += CALM * STRAY
        normal[0, 0] += 1e-3 * STRAY
        a, b = np.linalg.solve(normal, terms.T @ (heavy * slope))
    return float(a), float(np.clip(b, -STEEP, STEEP))
