"""Marks that people put into boxes they leave empty: what a picture looks like if it is no digit.

The shape is told by the ink's geometry alone, and says nothing about digits: a digit may have it as
well, though few do. The model's "not a digit" and the shape together make a filler.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

CROSS, DASH, STAR = "x", "-", "*"
"""What `detect_mark` returns, and what a template's `filler` lists."""
INK_LEVEL = 96
"""Least grey level of ink in a picture."""
MIN_INK_PX = 12
"""Least pixels of ink in a picture that are a mark."""
MIN_DASH_ASPECT, MAX_DASH_DEGREES, MAX_DASH_BEND = 2.2, 25, 0.07
"""A dash is so many times as long as high, so near to horizontal, and the middle of its stroke
stays so near to a straight line, as a share of its length."""
MAX_ASPECT = 2.4
"""Greatest ratio of the sides of an X or an asterisk."""
MIN_POCKET = 0.15
"""Depth of the four open spaces between the strokes of an X, as a share of the ink's sides."""
MIN_DIAGONAL_DEGREES, MAX_DIAGONAL_DEGREES, ANGLE_STEP_DEGREES = 20, 68, 4
"""Angles between the strokes of an X and the horizontal, and the step of their search, degrees."""
MIN_STROKE_RATIO = 0.55
"""Least length of the shorter stroke of an X, as a share of the longer one."""
CROSSINGS = ((0.85, 0.25), (0.95, 0.13))
"""How much of an X's ink lies on its two strokes at least, and how far from their ends they cross,
as a share of their length: the straighter the strokes, the further from their middles."""
STAR_RADII = (0.5, 0.7)
"""Radii of two circles round the middle of an asterisk, as shares of its greatest radius."""
MIN_STAR_RAYS, MAX_STAR_GAP_DEGREES = 5, 110
"""How many rays of an asterisk cross these circles at least, and how far two are apart at most."""


def detect_mark(picture: NDArray[np.uint8]) -> str:
    """Return which mark a picture looks like: `CROSS`, `DASH`, `STAR`, or empty for none.

    Args:
        picture: uint8, (28, 28), ink light on dark, as `normalize` makes it.
    """
    mask = picture >= INK_LEVEL
    y, x = np.nonzero(mask)
    if len(x) < MIN_INK_PX:
        return ""
    points = np.stack([x, y], axis=1).astype(np.float64)
    size = np.ptp(points, axis=0) + 1
    if size[0] > MIN_DASH_ASPECT * size[1] / 2 and _is_dash(points):
        return DASH
    if size.max() > MAX_ASPECT * size.min():
        return ""
    inside = mask[y.min() : y.max() + 1, x.min() : x.max() + 1]
    if _has_pockets(inside) and _is_cross(points, _measure_stroke_width(mask)):
        return CROSS
    return STAR if _is_star(mask, points.mean(axis=0)) else ""


def _is_dash(points: NDArray[np.float64]) -> bool:
    """Return whether ink, points of (N, 2), is one flat stroke."""
    middle = points - points.mean(axis=0)
    (across2, both), (_, down2) = np.cov(middle.T)
    angle = np.arctan2(2 * both, across2 - down2) / 2
    long = middle @ [np.cos(angle), np.sin(angle)]
    across = middle @ [-np.sin(angle), np.cos(angle)]
    length = float(np.ptp(long)) + 1
    if abs(np.degrees(angle)) > MAX_DASH_DEGREES:
        return False
    if float(np.ptp(across)) + 1 > length / MIN_DASH_ASPECT:
        return False
    at = np.minimum((long - long.min()) / length * 10, 9).astype(int)
    counts = np.bincount(at, minlength=10)
    means = np.bincount(at, across, 10) / np.maximum(counts, 1)
    return bool(counts.all() and np.abs(means).max() <= MAX_DASH_BEND * length + 0.5)


def _has_pockets(inside: NDArray[np.bool_]) -> bool:
    """Return whether ink, cut out at its sides, is open at the middle of each side, as an X is."""
    for turned in (inside, inside[::-1], inside.T, inside.T[::-1]):
        wide = turned.shape[1]
        column = turned[:, round(0.35 * wide) : round(0.65 * wide) + 1]
        depth = column.argmax(axis=0) + turned.shape[0] * ~column.any(axis=0)
        if depth.max() < MIN_POCKET * turned.shape[0]:
            return False
    return True


def _measure_stroke_width(mask: NDArray[np.bool_]) -> float:
    """Return the usual width of a mask's strokes, px."""
    depth = cv2.distanceTransform(np.pad(mask, 1).view(np.uint8), cv2.DIST_L2, 5)
    ridge = (depth >= cv2.dilate(depth, np.ones((3, 3), np.uint8))) & (depth > 0)
    return float(2 * np.median(depth[ridge]))


def _is_cross(points: NDArray[np.float64], width: float) -> bool:
    """Return whether ink, points of (N, 2), is two diagonal strokes that cross in their middles."""
    angles = np.radians(
        np.arange(MIN_DIAGONAL_DEGREES, MAX_DIAGONAL_DEGREES + 1, ANGLE_STEP_DEGREES)
    )
    down, up = _find_strokes(points, angles, width), _find_strokes(points, -angles, width)
    covered = down.sum(1)[:, None] + up.sum(1) - down.astype(int) @ up.T.astype(int)
    n, m = np.unravel_index(covered.argmax(), covered.shape)
    both = down[n] & up[m]
    share = covered[n, m] / len(points)
    least = min((end for some, end in CROSSINGS if share >= some), default=1.0)
    if not both.any():
        return False
    lengths = []
    for on, angle in ((down[n], angles[n]), (up[m], -angles[m])):
        along = points @ [np.cos(angle), np.sin(angle)]
        start, length = along[on].min(), np.ptp(along[on]) + 1
        if not least <= (along[both].mean() - start) / length <= 1 - least:
            return False
        lengths.append(length)
    return bool(min(lengths) >= MIN_STROKE_RATIO * max(lengths))


def _find_strokes(
    points: NDArray[np.float64], angles: NDArray[np.float64], width: float
) -> NDArray[np.bool_]:
    """Find for each direction the straight stroke that holds most of the ink.

    Args:
        points: x, y of the ink, (N, 2).
        angles: directions, radians, (M,).
        width: of a stroke, px.

    Returns:
        (M, N), which points are on it.
    """
    across = np.stack([-np.sin(angles), np.cos(angles)], axis=1) @ points.T
    bins = np.round(2 * (across - across.min(axis=1, keepdims=True))).astype(int)
    reach = width + 1  # half a stroke's width and half a pixel, in half pixels
    out = np.zeros(across.shape, bool)
    for n, row in enumerate(bins):
        counts = np.convolve(np.bincount(row), np.ones(2 * round(reach) + 1, int), "same")
        out[n] = np.abs(row - counts.argmax()) <= reach
    return out


def _is_star(mask: NDArray[np.bool_], centre: NDArray[np.float64]) -> bool:
    """Return whether rays go out from the middle of a mask to all sides."""
    y, x = np.nonzero(mask)
    radius = float(np.quantile(np.hypot(x - centre[0], y - centre[1]), 0.97))
    angles = np.radians(np.arange(0, 360, 5))
    for share in STAR_RADII:
        at_x = np.rint(centre[0] + share * radius * np.cos(angles)).astype(int)
        at_y = np.rint(centre[1] + share * radius * np.sin(angles)).astype(int)
        shown = mask[np.clip(at_y, 0, len(mask) - 1), np.clip(at_x, 0, mask.shape[1] - 1)]
        starts = np.flatnonzero(shown & ~np.roll(shown, 1))
        if len(starts) < MIN_STAR_RAYS:
            return False
        if np.diff([*starts, starts[0] + len(angles)]).max() * 5 > MAX_STAR_GAP_DEGREES:
            return False
    return True
