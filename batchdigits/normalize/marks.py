"""Faint marks: whether a crop in which no digit was found is really empty.

The first look parts a crop's grey levels in two. That misses ink that is faint beside a frame or a
shadow, and takes the shadow itself for ink. Here only strokes count: narrow, darker (or lighter)
than the paper on both their sides, and further from it than the paper's own noise.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.options import Invert
from batchdigits.records import GreyImage

MIN_SIDE_PX = 6
"""Smaller crops have no room for a stroke and its paper: any contrast counts."""
MAX_STROKE = 0.3
"""Width of the widest stroke, as a share of the crop's shorter side."""
FINE_PX, COARSE, MIN_COARSE_PX = 1.0, 0.08, 2.5
"""Standard deviations of two Gaussian filters, the second as a share of the shorter side. Their
difference answers to strokes, and hardly to light that falls off."""
BAND_GAIN = 1.7
"""What that difference is multiplied with, so that a stroke gives its own contrast."""
MIN_LEVELS = 3.5
"""Least contrast of a smoothed stroke, grey levels: 1.5 px of 8 levels keep so many."""
MIN_SPREADS = 3.5
"""Least contrast of a stroke, as a multiple of the noise."""
NOISE, MIN_NOISE_PX = 0.15, 9
"""The noise is what differs from the mean over this share of the shorter side, and so many px."""
QUIET, QUIET_SPREADS = 0.3, 0.385
"""It is measured where little differs: this quantile of normally distributed absolute values is so
many standard deviations."""
ROUGH_LEVELS = 9
"""Median difference of a rough paper's pixels from the mean over 9 x 9 px, grey levels: noise of
8 levels (standard deviation) makes 6."""
MIN_LENGTH, LONG, STRONG = 0.18, 0.45, 3.0
"""Least length of a mark, as a share of the crop's shorter side; anything shorter is dust. A mark
that is not `LONG` counts if it is `STRONG` times as clear as a stroke must be: noise makes short
marks."""
MIN_LINE, MIN_PIECE, MAX_LINE_WIDTH = 0.6, 0.35, 0.12
"""Least length of a printed line and of a piece of one near the border, and the greatest width, as
shares of the crop's sides."""
RING, MARGIN, RIM = 0.27, 0.17, 0.12
"""Frames, lines, and rests of neighbours lie within these shares of the sides from the border."""
CORNER = 0.12
"""Side of a frame's corners that hold ink, as a share of the frame's sides."""
HALO = 1.5
"""Strokes that are so many times as clear as those of the other polarity are the ink; the others
are what seems light beside them."""
NARROW, TIGHT_LEVELS = 0.45, 60
"""A crop with a smaller ratio of its sides, and grey levels so far apart, may be a 1 cut tight."""


def has_marks(crop: GreyImage, invert: Invert = "auto", *, rests: bool = False) -> bool:
    """Return whether a crop shows strokes that could be writing, however faint.

    Args:
        crop: uint8, shape (H, W).
        invert: as for `normalize`.
        rests: whether what comes in at the border and ends there counts, as of a neighbour.
    """
    narrow = min(crop.shape) < NARROW * max(crop.shape)
    if min(crop.shape) < MIN_SIDE_PX or (narrow and np.ptp(crop) >= TIGHT_LEVELS):
        return int(np.ptp(crop)) >= 2 * MIN_LEVELS
    level = crop.astype(np.float32)
    fine = cv2.GaussianBlur(level, (0, 0), FINE_PX)
    coarse = cv2.GaussianBlur(level, (0, 0), max(MIN_COARSE_PX, COARSE * min(crop.shape)))
    dark, light = _find_strokes(fine, coarse), _find_strokes(-fine, -coarse)
    if invert == "auto" and max(dark.sum(), light.sum()) > HALO * min(dark.sum(), light.sum()):
        invert = "yes" if dark.sum() > light.sum() else "no"
    return (invert != "no" and _has_writing(dark, rests=rests)) or (
        invert != "yes" and _has_writing(light, rests=rests)
    )


def find_printed(ink: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find the crops whose ink is printed lines and frames alone: (N,).

    Args:
        ink: where the ink is, shape (N, H, W).
    """
    _, height, width = ink.shape
    down, across = round(RING * height), round(RING * width)
    middle = ink[:, down : height - down, across : width - across]
    printed = np.array(~middle.reshape(len(ink), -1).any(1), bool)
    for n in np.flatnonzero(printed).tolist():
        _, _, wide, high = cv2.boundingRect(ink[n].view(np.uint8))
        printed[n] = (wide >= MIN_LINE * width or high >= MIN_LINE * height) and not _has_writing(
            ink[n] * np.float32(STRONG), rests=True
        )
    return printed


def is_rough(crop: GreyImage) -> bool:
    """Return whether a crop (H, W) has a grain or pattern so strong that writing may hide in it."""
    return float(np.median(cv2.absdiff(crop, cv2.blur(crop, (9, 9))))) >= ROUGH_LEVELS


def _find_strokes(fine: NDArray[np.float32], coarse: NDArray[np.float32]) -> NDArray[np.float32]:
    """Measure how clear dark strokes are, as a multiple of what a stroke must be: (H, W), 0 or ≥ 1.

    The black top-hat gives 0 at the edge of a shadow, the difference of Gaussians gives 0 in a
    slow fall of light: a stroke answers to both.
    """
    side = max(3, round(MAX_STROKE * min(fine.shape)) | 1)
    kernel = np.ones((side, side), np.uint8)
    hat = cv2.morphologyEx(fine, cv2.MORPH_BLACKHAT, kernel)
    band = coarse - fine
    near = max(MIN_NOISE_PX, round(NOISE * min(fine.shape)))
    rough = band - cv2.blur(band, (near, near))
    noise = float(np.quantile(np.abs(rough[2:-2, 2:-2]), QUIET)) / QUIET_SPREADS
    depth = np.minimum(hat, np.float32(BAND_GAIN) * band)
    found: NDArray[np.float32] = depth / np.float32(max(MIN_LEVELS, MIN_SPREADS * noise))
    found[found < 1] = 0
    return found


class _Mark(NamedTuple):
    """A connected part of a mask.

    Attributes:
        box: left, top, width, height, px.
        shape: height and width of the crop, px.
        ink: bool, shape (height, width).
        depth: of each pixel of the ink, its distance from the border as a share of the side.
    """

    box: tuple[int, int, int, int]
    shape: tuple[int, int]
    ink: NDArray[np.bool_]
    depth: NDArray[np.float64]


def _has_writing(strokes: NDArray[np.float32], *, rests: bool) -> bool:
    """Return whether strokes are more than dust, printed lines, frames and, unless counted, rests.

    Args:
        strokes: as from `_find_strokes`, shape (H, W).
        rests: as for `has_marks`.
    """
    mask = (strokes > 0).view(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    for part in range(1, count):
        left, top, wide, high, _ = stats[part].tolist()
        if max(wide, high) < MIN_LENGTH * min(mask.shape):
            continue
        part_box = slice(top, top + high), slice(left, left + wide)
        ink = labels[part_box] == part
        clear = float(np.quantile(strokes[part_box][ink], 0.8))
        if clear < STRONG and max(wide, high) < LONG * min(mask.shape):
            continue
        down, across = (
            np.minimum(at + 1, side - at) / side
            for at, side in (
                (np.arange(top, top + high), mask.shape[0]),
                (np.arange(left, left + wide), mask.shape[1]),
            )
        )
        depth = np.minimum.outer(down, across)[ink]
        mark = _Mark((left, top, wide, high), (mask.shape[0], mask.shape[1]), ink, depth)
        if not (_is_line(mark) or _is_frame(mark) or (_is_rest(mark) and not rests)):
            return True
    return False


def _is_rest(mark: _Mark) -> bool:
    """Return whether a mark comes in at the border and ends there: a rest of a neighbour."""
    left, top, wide, high = mark.box
    height, width = mark.shape
    touches = left <= 1 or top <= 1 or left + wide >= width - 1 or top + high >= height - 1
    return touches and float(mark.depth.max()) < RIM


def _is_line(mark: _Mark) -> bool:
    """Return whether a mark is a straight line along a side, perhaps from border to border."""
    left, top, wide, high = mark.box
    height, width = mark.shape
    near = _is_near_border(mark, MARGIN)
    for long, side, start, across, other in (
        (wide, width, top, high, height),
        (high, height, left, wide, width),
    ):
        straight = long >= MIN_PIECE * side and across <= MAX_STROKE * other
        thin = int(mark.ink.sum()) <= MAX_LINE_WIDTH * long * other
        outer = abs(start + across / 2 - other / 2) > other / 6
        if straight and thin and (near or (outer and long >= side - 4)):
            return True
    return False


def _is_frame(mark: _Mark) -> bool:
    """Return whether a mark has four corners, and nothing away from the border."""
    _, _, wide, high = mark.box
    height, width = mark.shape
    if not (wide >= MIN_LINE * width and high >= MIN_LINE * height and _is_near_border(mark, RING)):
        return False
    y, x = (max(1, round(CORNER * side)) for side in (high, wide))
    ink = mark.ink
    return all(part.any() for part in (ink[:y, :x], ink[:y, -x:], ink[-y:, :x], ink[-y:, -x:]))


def _is_near_border(mark: _Mark, share: float) -> bool:
    return float(np.quantile(mark.depth, 0.95)) < share
