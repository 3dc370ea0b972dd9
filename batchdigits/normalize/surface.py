"""Faint ink against the smooth surface that the light makes of the paper's levels.

Bold strokes have no paper close by on both sides. They differ from the paper as a whole: as an area
of even level, with an edge that is sharper than that of a shadow, or of what shows through from the
back of the sheet.
"""

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.normalize.mark_parts import MAX_LINE_ANSWER, MIN_LENGTH, Mark, find_marks
from batchdigits.normalize.strokes import scale_to_look
from batchdigits.options import Invert
from batchdigits.records import GreyImage

RING = 0.12
"""Paper shows at the border: the surface is first fitted to so much of the shorter side there."""
FITS, INLIERS, LEAST_INLIERS = 5, 2.5, 0.3
"""How often it is fitted, each time to what differs from it by so many standard deviations at most,
while that is so large a share of the crop."""
LEAST_LEVELS = 0.5
"""Whole grey levels are off by so much at most: what differs less always belongs to the paper."""
SMOOTH_PX = 1.0
"""Standard deviation of the Gaussian filter that goes before, px."""
MAD = 1.4826
"""The standard deviation of normally distributed values, as a multiple of their median absolute
value."""

AREA_FROM = 2.5, 2.0
"""An area is what differs from the paper by so many levels, and by so many times the noise."""
AWAY = 2, 4
"""The paper beside an area lies between so many px from it."""
LENGTH, SPREADS, SIDES, OTHER = 0.4, 3.8, 1, 0.4
"""Areas of writing are so long together, as a share of the crop's shorter side. Each differs from
the paper by so many times the noise, and touches so many sides of the crop at most, for shade comes
in at corners. What is of the other polarity has at most the last share of their weight."""
EDGES = (3.3, 0.45), (2.8, 0.8)
"""Its edge rises by so many grey levels within 3 px, and by so large a share of its contrast. What
shows through from the back of the sheet rises by 2.5."""


def has_area(crop: GreyImage, invert: Invert) -> bool:
    """Return whether a crop shows an area of ink with sharp edges, and hardly any of the other.

    Args:
        crop: uint8, shape (height, width).
        invert: as for `normalize`.
    """
    rise, noise = lift_off_surface(crop)
    areas = [_find_areas(way, noise) for way in (-rise, rise)]
    weights = [max((area.mark.length * area.contrast for area in one), default=0) for one in areas]
    for n, wanted in enumerate(("yes", "no")):
        clear = weights[1 - n] <= OTHER * weights[n]
        length = sum(area.mark.length for area in areas[n] if _is_sharp(area, noise))
        if invert in (wanted, "auto") and clear and length >= LENGTH:
            return True
    return False


class _Area(NamedTuple):
    """A mark that is an area.

    Attributes:
        mark: the mark.
        contrast: how far it lies above the paper beside it, grey levels.
        edge: by how much its median edge pixel rises within 3 px, grey levels.
    """

    mark: Mark
    contrast: float
    edge: float


def _find_areas(rise: NDArray[np.float32], noise: float) -> list[_Area]:
    """Find the areas above the paper in levels (H, W) lifted off it, with its noise."""
    least = max(AREA_FROM[0], AREA_FROM[1] * noise)
    above = np.where(rise > least, rise, np.float32(0))
    marks = find_marks(above, rests=False, thick=MAX_LINE_ANSWER)
    return [_measure_area(rise, mark) for mark in marks if mark.length >= MIN_LENGTH]


def _measure_area(rise: NDArray[np.float32], mark: Mark) -> _Area:
    """Measure the contrast and the edge of a mark in the levels (H, W) that it is found in."""
    left, top, wide, high = mark.box
    (up, down), (before, after) = (
        (min(start, AWAY[1]), min(side - start - long, AWAY[1]))
        for start, long, side in ((top, high, rise.shape[0]), (left, wide, rise.shape[1]))
    )
    ink = np.pad(mark.ink.view(np.uint8), ((up, down), (before, after)))
    level = rise[top - up : top + high + down, left - before : left + wide + after]
    near, far = (cv2.dilate(ink, np.ones((2 * away + 1,) * 2, np.uint8)) for away in AWAY)
    beside = far > near
    paper = float(level[beside].mean()) if beside.any() else 0.0
    step = np.ones((3, 3), np.uint8)
    edge = cv2.morphologyEx(ink, cv2.MORPH_GRADIENT, step).view(bool)
    rises = cv2.morphologyEx(level, cv2.MORPH_GRADIENT, step)[edge]
    contrast = float(np.quantile(level[ink.view(bool)], 0.6)) - paper
    return _Area(mark, contrast, float(np.median(rises)))


def _is_sharp(area: _Area, noise: float) -> bool:
    """Return whether an area is clear and sharp enough to be writing, if it is long enough."""
    left, top, wide, high = area.mark.box
    height, width = area.mark.shape
    sides = (left == 0) + (top == 0) + (left + wide == width) + (top + high == height)
    sharp = any(area.edge >= max(least, share * area.contrast) for least, share in EDGES)
    return sharp and area.contrast >= SPREADS * noise and sides <= SIDES


def lift_off_surface(crop: GreyImage) -> tuple[NDArray[np.float32], float]:
    """Measure how far a crop's levels, smoothed a little, lie above its paper, and the noise.

    Args:
        crop: uint8, shape (height, width).

    Returns:
        Grey levels, shape (H, W), the crop scaled as by `scale_to_look`; and the standard deviation
        of the paper's.
    """
    level = cv2.GaussianBlur(scale_to_look(crop), (0, 0), SMOOTH_PX)
    height, width = level.shape
    powers, ring = _list_powers(height, width)
    paper, levels = ring, level.ravel().astype(np.float64)
    for _ in range(FITS):
        seen = powers[paper]
        weights = np.linalg.solve(seen.T @ seen, seen.T @ levels[paper])
        rise = levels - powers @ weights
        noise = MAD * float(np.median(np.abs(rise[paper])))
        near = np.abs(rise) <= max(INLIERS * noise, LEAST_LEVELS)
        if near.mean() < LEAST_INLIERS:
            break
        paper = near
    return rise.reshape(height, width).astype(np.float32), noise


@lru_cache(maxsize=64)
def _list_powers(height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """List the powers of place up to the second, (H · W, 6), and mark the border, (H · W,)."""
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    powers = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    deep = max(2, round(RING * min(height, width)))
    ring = np.ones((height, width), bool)
    ring[deep:-deep, deep:-deep] = False
    return powers.reshape(-1, 6), ring.ravel()
