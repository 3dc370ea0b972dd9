"""Paper and ink: which of the two is dark, and what is left when the paper is taken away."""

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.normalize.components import (
    fill_margins,
    find_brighter,
    lay_again,
    lay_beside,
    sum_columns,
    sum_rows,
    sum_up,
)
from batchdigits.options import Invert

SLOPE = 0.4
"""See `levelled`."""
BINS = 256
"""Grey levels of the histograms."""
MIN_CONTRAST = 10
"""Grey levels of 255 that ink must differ from paper; faint pencil measures about 20."""
BUSY_CONTRAST = 25
"""Grey levels between the two halves of a crop without clear ink from which it is no longer
called empty: paper with noise of 8 levels (standard deviation) reaches 15."""
SHADE_AREA, SHADE_FILL = 0.08, 0.3
"""Shade covers so much of a crop, and of the box round it."""
SHADE_EDGE, FAINT_SHADE_EDGE, FAINT_SHADE_LEVELS = 0.33, 0.6, 30
"""Across 3 px at its edge shade changes by less than the first share of its contrast; by less than
the second where the contrast is under so many grey levels. Of 90,000 digits of eight sources none
does that covers so much."""
BLOCK_FILL, BLOCK_SIDE = 0.93, 0.4
"""A full rectangle fills the box round it so far, and its sides are at least so long, as a share of
the crop's longer side."""
MIN_CONTRAST_TO_NOISE = 3
"""How many times the paper's own spread ink must differ from it. Otsu's two halves of empty
paper with noise of any grain, JPEG or not, were measured to lie 1.6 to 3 such spreads apart."""


def levelled(stack: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Take light that falls off to one side out of crops (N, H, W) where it outweighs the ink.

    That is where a plane explains more than `SLOPE` of the grey levels' variance. Digits alone
    give 0.01 in MNIST and up to 0.32 in tight crops; faint pencil under a lamp gives 0.9.
    """
    count, height, width = stack.shape
    across, down = (2.0 * np.arange(side) - side + 1 for side in (width, height))
    rows, columns = sum_rows(stack).astype(np.float64), sum_columns(stack).astype(np.float64)
    products = np.stack([columns @ across, rows @ down], axis=1)
    lengths = np.maximum([(across**2).sum() * height, (down**2).sum() * width], 1)
    levels = stack.reshape(count, -1).astype(np.float64)
    variance = np.einsum("np,np->n", levels, levels) - rows.sum(1) ** 2 / (height * width)
    sloped = (products**2 / lengths).sum(1) > SLOPE * np.maximum(variance, 1)
    if not sloped.any():
        return stack
    slopes = (products / lengths)[sloped][:, :, None, None]
    plane = slopes[:, 0] * across + slopes[:, 1] * down[:, None]
    out = stack.copy()
    out[sloped] = np.rint(stack[sloped] - plane).clip(0, 255)
    return out


def light_ink(stack: NDArray[np.uint8], invert: Invert) -> NDArray[np.bool_]:
    """Tell for each crop (N, H, W) whether its ink is light on dark paper → (N,).

    Ink is the rarer of the two sides of Otsu's threshold in the crop and at its very border
    taken together: paper shows at the border even when the digit fills its crop. A printed
    frame is seen by a border of one side and, a few pixels further in, a ring of the other.
    """
    if invert != "auto":
        return np.full(len(stack), invert == "no")
    count, height, width = stack.shape
    bright = find_brighter(stack, _split(_histograms(stack)).threshold)
    rings = _rings(height, width)
    counts = bright.reshape(count, -1).astype(np.float32) @ rings
    sizes = rings.sum(0)
    shares = counts / sizes
    whole, around = shares[:, 0], shares[:, 1:]
    inside = counts[:, :1] - counts[:, 1:].cumsum(1)
    within = inside / np.maximum(sizes[0] - sizes[1:].cumsum(), 1)
    light: NDArray[np.bool_] = (whole + around[:, 0] < 1) & ~_in_frame(around, within)
    return light | _in_frame(1 - around, 1 - within)


def _in_frame(around: NDArray[np.float32], within: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell for each crop whether bright paper lies in a dark frame at its border → (N,).

    Within two rings it turns from dark to bright, as no bold digit's rings do, it stays bright as
    far as the rings reach, and what the frame encloses is more bright than dark.

    Args:
        around: the share of bright pixels at the border and in each ring inside it, (N, rings).
        within: the share of bright pixels inside each of these, (N, rings).
    """
    before = np.minimum(around[:, :-1], np.roll(around, 1, axis=1)[:, :-1])
    before[:, :1] = around[:, :1]
    stays = np.minimum.accumulate(around[:, ::-1], axis=1)[:, ::-1][:, 1:] > 0.5
    turns = (before <= 0.2) & (around[:, 1:] >= 0.8) & stays & (within[:, :-1] > 0.5)
    framed: NDArray[np.bool_] = (around[:, 0] <= 0.1) & turns.any(1)
    return framed


@lru_cache(maxsize=64)
def _rings(height: int, width: int) -> NDArray[np.float32]:
    """Mark the pixels of a crop, of its border, and of each ring within its outer sixth.

    Shape (H · W, rings), ones and zeros, so that sums over them are exact.
    """
    down, across = np.arange(height), np.arange(width)
    depth = np.minimum.outer(
        np.minimum(down, height - 1 - down), np.minimum(across, width - 1 - across)
    )
    deepest = min(min(height, width) // 6, int(depth.max()))
    marks = [np.ones_like(depth), *(depth == d for d in range(deepest + 1))]
    return np.stack(marks, axis=-1).reshape(height * width, -1).astype(np.float32)


class _Split(NamedTuple):
    """Where Otsu's method parts dark from bright, per crop; of shape (N,), but for one.

    Attributes:
        threshold: between the two parts, grey levels.
        dark: the mean of the darker part.
        bright: the mean of the other.
        below: the highest level of the darker part.
        up_to: how many pixels are of each level or a lower one, shape (N, 256).
    """

    threshold: NDArray[np.float64]
    dark: NDArray[np.float64]
    bright: NDArray[np.float64]
    below: NDArray[np.int64]
    up_to: NDArray[np.int32]


def _histograms(stack: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Count the grey levels of each crop: (N, H, W), N up to 256 → (N, 256), whole numbers."""
    count = len(stack)
    owners = np.repeat(np.arange(count, dtype=np.uint8), stack[0].size)
    counted = cv2.calcHist(
        [owners[:, None], stack.reshape(-1, 1)], [0, 1], None, [count, BINS], [0, count, 0, BINS]
    )
    return np.asarray(counted, np.int32)


def _split(histograms: NDArray[np.int32]) -> _Split:
    """Part each histogram (N, 256) in two by Otsu's method (IEEE Trans. SMC 9, 1979, p. 62).

    Every fourth level is tried. The threshold is the middle between the means of the two parts:
    where a gap between them leaves Otsu's choice open (one-bit scans), it lies in the middle.
    """
    up_to = histograms.cumsum(1, dtype=np.int32)
    levels = histograms * np.arange(BINS, dtype=np.int32)
    below = up_to[:, 3::4].astype(np.float64)
    weight = levels.cumsum(1, dtype=np.int32)[:, 3::4].astype(np.float64)
    above = below[:, -1:] - below
    dark = weight / np.maximum(below, 1)
    bright = (weight[:, -1:] - weight) / np.maximum(above, 1)
    best = (below * above * (bright - dark) ** 2).argmax(1)
    at = (np.arange(len(best)), best)
    return _Split((dark[at] + bright[at]) / 2, dark[at], bright[at], 4 * best + 3, up_to)


def lift_off_paper(
    bright: NDArray[np.uint8],
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
    """Take the paper away, as `_lifted` does; grainy crops are smoothed and tried once more.

    Averaged over 3 x 3 px, empty paper of any grain measured at most 2.6 spreads of contrast,
    digits that its grain had hidden at least 3.7.

    Returns:
        The ink on zero (N, H, W), where it surely is, and which crops are busy, not plain (N,).
    """
    ink, mask, clear, busy = _lifted(bright)
    grainy = ~clear
    if grainy.any():
        smooth = np.stack([cv2.blur(crop, (3, 3)) for crop in bright[grainy]])
        ink[grainy], mask[grainy], cleared, _ = _lifted(smooth)
        busy[grainy] &= ~cleared
    return ink, mask, busy


def _lifted(
    bright: NDArray[np.uint8],
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Take the paper away: light ink (N, H, W) → ink on zero, where it surely is, busy crops.

    Uneven paper is what is left after an opening wider than any stroke. What then still varies
    is noise; ink begins above it. Crops whose two sides differ too little have no ink at all;
    those among them that are busy, not plain, are told (N,).
    """
    pairs = bright.reshape(len(bright), -1, 2, bright.shape[2])
    ink = (pairs - _paper(bright)[:, :, None]).reshape(bright.shape)
    split = _split(_histograms(ink))
    darker = np.take_along_axis(split.up_to, split.below[:, None], axis=1)
    middle = (2 * split.up_to >= darker).argmax(1)
    spread = middle - (10 * split.up_to >= darker).argmax(1)  # median less tenth percentile
    contrast = split.bright - split.dark
    clear = contrast >= MIN_CONTRAST_TO_NOISE * spread
    inked = clear & (contrast >= MIN_CONTRAST)
    mask = find_brighter(ink, split.threshold) & inked[:, None, None]
    floor = (middle + 2 * spread).clip(0, 255).astype(np.uint8)
    above_noise = np.maximum(ink, floor[:, None, None]) - floor[:, None, None]
    return above_noise, mask, clear, ~clear & (contrast >= BUSY_CONTRAST)


def _paper(bright: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Estimate the paper under light ink by an opening half as wide as the crop is long.

    It is done on the darkest of every 2 x 2 pixels, the first step of any such opening.

    Returns:
        Shape (N, H / 2, W): a row for every two.
    """
    height, width = bright.shape[1:]
    pairs = np.minimum(bright[:, ::2], bright[:, 1::2])
    quads = np.minimum(pairs[:, :, ::2], pairs[:, :, 1::2])
    side = max(height, width) // 4 | 1
    margin, reach = side // 2, np.ones((side, side), np.uint8)
    wide = lay_beside(quads, 0, margin, fill=255)
    eroded = cv2.erode(wide.reshape(height // 2, -1), reach).reshape(wide.shape)
    fill_margins(eroded, 0, margin, fill=0)
    opened = cv2.dilate(eroded.reshape(height // 2, -1), reach).reshape(wide.shape)
    paper = lay_again(opened, 0, width // 2).astype(np.uint16) * np.uint16(257)
    return paper.view(np.uint8)  # each level twice


def find_shade(
    bright: NDArray[np.uint8],
    ink: NDArray[np.bool_],
    boxes: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> NDArray[np.bool_]:
    """Find the crops whose ink is a broad area, such as light on paper or paper in a frame: (N,).

    Its edges are soft, or it is a full rectangle; a 1 that is cut tight is narrow.

    Args:
        bright: uint8, shape (N, H, W), light ink on dark paper.
        ink: where the ink is, shape (N, H, W).
        boxes: round the ink, as from `find_boxes`.
    """
    _, height, width = ink.shape
    start, end = boxes
    high, wide = (end - start).T
    area = sum_up(ink)
    broad = (area > SHADE_AREA * height * width) & (area > SHADE_FILL * wide * high)
    square = np.minimum(wide, high) >= BLOCK_SIDE * max(height, width)
    block: NDArray[np.bool_] = square & (area >= BLOCK_FILL * wide * high)
    shade: NDArray[np.bool_] = broad & (block | (area == height * width))
    likely = np.flatnonzero(broad & ~shade)
    if len(likely):
        shade[likely] = _have_soft_edges(bright[likely], ink[likely], area[likely])
    return shade


def _have_soft_edges(
    bright: NDArray[np.uint8], ink: NDArray[np.bool_], area: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return in which crops (N, H, W) the median edge pixel of the ink is soft: (N,).

    None of the crops may be all ink.
    """
    _, height, width = ink.shape
    smooth = lay_beside(bright, 1, 1)
    smooth[:, :, 0], smooth[:, :, -1] = smooth[:, :, 2], smooth[:, :, -3]  # reflected
    smooth = cv2.blur(smooth.reshape(height, -1), (3, 3)).reshape(smooth.shape)
    levels = lay_again(smooth, 1, width)
    inked = sum_up(levels * ink)
    contrast = inked * (1 / area) - (sum_up(levels) - inked) * (1 / (height * width - area))
    least = np.where(contrast < FAINT_SHADE_LEVELS, FAINT_SHADE_EDGE, SHADE_EDGE) * contrast
    fill_margins(smooth, 1, 1, fill=None)
    steps, edge = _measure_rises(smooth), _measure_rises(lay_beside(ink.view(np.uint8), 1, 1))
    enough = np.ceil(least).clip(0, 255).astype(np.uint8)[:, None, None]
    steps, edge = lay_again(steps, 1, width), lay_again(edge, 1, width)
    below, edges = sum_up(edge & (steps < enough)), sum_up(edge)
    soft: NDArray[np.bool_] = 2 * below > edges
    for n in np.flatnonzero(2 * below == edges).tolist():  # the median is a mean of two
        soft[n] = np.median(steps[n][edge[n] > 0]) < least[n]
    return soft


def _measure_rises(wide: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Measure how far levels rise within 3 px, in crops laid by `lay_beside`."""
    near, flat = np.ones((3, 3), np.uint8), wide.reshape(len(wide), -1)
    rises: NDArray[np.uint8] = cv2.dilate(flat, near) - cv2.erode(flat, near)
    return rises.reshape(wide.shape)
