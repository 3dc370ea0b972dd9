"""Paper and ink: which of the two is dark, and what is left when the paper is taken away."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

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
    across = np.broadcast_to(2.0 * np.arange(width) - width + 1, (height, width)).ravel()
    down = np.broadcast_to(2.0 * np.arange(height)[:, None] - height + 1, (height, width)).ravel()
    axes = np.stack([across, down], axis=1)
    levels = stack.reshape(count, -1).astype(np.float64)
    products, lengths = levels @ axes, np.maximum((axes**2).sum(0), 1)
    variance = np.einsum("np,np->n", levels, levels) - levels.sum(1) ** 2 / levels.shape[1]
    sloped = (products**2 / lengths).sum(1) > SLOPE * np.maximum(variance, 1)
    if not sloped.any():
        return stack
    slopes = (products / lengths)[sloped]
    plane = slopes[:, :1] * across + slopes[:, 1:] * down
    out = stack.copy()
    out[sloped] = np.rint(levels[sloped] - plane).clip(0, 255).reshape(-1, height, width)
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
    bright = stack > _split(_histograms(stack)).threshold[:, None, None]
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
    """Where Otsu's method parts dark from bright, per crop; all of shape (N,)."""

    threshold: NDArray[np.float64]
    dark: NDArray[np.float64]
    bright: NDArray[np.float64]
    below: NDArray[np.int64]


def _histograms(stack: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Count the grey levels of each crop: (N, H, W), N up to 256 → (N, 256), whole numbers."""
    count = len(stack)
    owners = np.repeat(np.arange(count, dtype=np.uint8), stack[0].size)
    out: NDArray[np.float32] = cv2.calcHist(
        [owners[:, None], stack.reshape(-1, 1)], [0, 1], None, [count, BINS], [0, count, 0, BINS]
    )
    return out


_UP_TO = np.tri(BINS, dtype=np.float32)[3::4].T.copy()
"""(256, 64): summed with it, a histogram gives what lies up to every fourth level."""
_WEIGHTED = _UP_TO * np.arange(BINS, dtype=np.float32)[:, None]


def _split(histograms: NDArray[np.float32]) -> _Split:
    """Part each histogram (N, 256) in two by Otsu's method (IEEE Trans. SMC 9, 1979, p. 62).

    Every fourth level is tried. The threshold is the middle between the means of the two parts:
    where a gap between them leaves Otsu's choice open (one-bit scans), it lies in the middle.
    """
    below = (histograms @ _UP_TO).astype(np.float64)  # whole numbers under 2^24: exact
    weight = (histograms @ _WEIGHTED).astype(np.float64)
    above = below[:, -1:] - below
    dark = weight / np.maximum(below, 1)
    bright = (weight[:, -1:] - weight) / np.maximum(above, 1)
    best = (below * above * (bright - dark) ** 2).argmax(1)
    at = (np.arange(len(best)), best)
    return _Split((dark[at] + bright[at]) / 2, dark[at], bright[at], 4 * best + 3)


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
    ink = bright - _paper(bright)
    histograms = _histograms(ink)
    split = _split(histograms)
    below = np.where(np.arange(BINS) <= split.below[:, None], histograms, 0).cumsum(1)
    middle = (2 * below >= below[:, -1:]).argmax(1)
    spread = middle - (10 * below >= below[:, -1:]).argmax(1)  # median less tenth percentile
    contrast = split.bright - split.dark
    clear = contrast >= MIN_CONTRAST_TO_NOISE * spread
    inked = clear & (contrast >= MIN_CONTRAST)
    mask = (ink > split.threshold[:, None, None]) & inked[:, None, None]
    floor = (middle + 2 * spread).clip(0, 255).astype(np.uint8)
    above_noise = np.maximum(ink, floor[:, None, None]) - floor[:, None, None]
    return above_noise, mask, clear, ~clear & (contrast >= BUSY_CONTRAST)


def _paper(bright: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Estimate the paper under light ink by an opening half as wide as the crop is long.

    It is done on the darkest of every 2 x 2 pixels, the first step of any such opening.
    """
    count, height, width = bright.shape
    pairs = np.minimum(bright[:, ::2], bright[:, 1::2])
    quads = np.minimum(pairs[:, :, ::2], pairs[:, :, 1::2])
    reach = np.ones((1, max(height, width) // 4 | 1), np.uint8)
    eroded = cv2.erode(quads.reshape(-1, width // 2), reach)
    turned = _turned(eroded.reshape(quads.shape))
    turned = cv2.dilate(cv2.erode(turned.reshape(-1, height // 2), reach), reach)
    back = _turned(turned.reshape(count, width // 2, height // 2))
    paper: NDArray[np.uint8] = cv2.dilate(back.reshape(-1, width // 2), reach)
    return paper.reshape(quads.shape).repeat(2, axis=1).repeat(2, axis=2)


def _turned(stack: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Swap rows and columns of every crop, laid out anew for OpenCV."""
    return np.ascontiguousarray(stack.swapaxes(1, 2))


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
    count, height, width = ink.shape
    shade = np.zeros(count, bool)
    start, end = boxes
    high, wide = (end - start).T
    area = _sum_up(ink)
    broad = (area > SHADE_AREA * height * width) & (area > SHADE_FILL * wide * high)
    square = np.minimum(wide, high) >= BLOCK_SIDE * max(height, width)
    block: NDArray[np.bool_] = square & (area >= BLOCK_FILL * wide * high)
    inner = ((start >= 2) & (end <= np.array([height, width]) - 2)).all(1)
    likely = np.flatnonzero(broad & inner & ~block)
    if len(likely):
        broad[likely] = ~_have_steep_edges(bright[likely], ink[likely], area[likely])
    for n in np.flatnonzero(broad).tolist():
        mask = ink[n].view(np.uint8)
        shade[n] = block[n] or _has_soft_edges(cv2.blur(bright[n], (3, 3)), mask)
    return shade


def _have_steep_edges(
    bright: NDArray[np.uint8], ink: NDArray[np.bool_], area: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return in which crops (N, H, W) most edge pixels are steep, so that no edges are soft: (N,).

    It measures as `_has_soft_edges`, all crops at once. No ink may lie within 2 px of a border.
    """
    count, height, width = ink.shape
    mask, near = ink.view(np.uint8).reshape(-1, width), np.ones((3, 3), np.uint8)
    padded = np.empty((count, height + 2, width), np.uint8)  # each crop's border, reflected
    padded[:, 1:-1], padded[:, 0], padded[:, -1] = bright, bright[:, 1], bright[:, -2]
    smooth = cv2.blur(padded.reshape(-1, width), (3, 3)).reshape(count, -1, width)[:, 1:-1]
    smooth = np.ascontiguousarray(smooth)
    inked = _sum_up(smooth * ink)
    contrast = inked / area - (_sum_up(smooth) - inked) / (height * width - area)
    least = np.where(contrast < FAINT_SHADE_LEVELS, FAINT_SHADE_EDGE, SHADE_EDGE) * contrast
    steps = cv2.morphologyEx(smooth.reshape(-1, width), cv2.MORPH_GRADIENT, near)
    edge = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, near).reshape(count, -1)
    enough = np.ceil(least).clip(0, 255).astype(np.uint8)[:, None]
    steep = edge & (steps.reshape(count, -1) >= enough)
    return 2 * _sum_up(steep) > _sum_up(edge)


def _sum_up(stack: NDArray[np.uint8] | NDArray[np.bool_]) -> NDArray[np.int64]:
    """Sum up each crop of (N, H, W) or (N, H · W): (N,)."""
    flat = stack.view(np.uint8).reshape(len(stack), -1)
    sums = cv2.reduce(flat, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
    return np.asarray(sums[:, 0], np.int64)


def _has_soft_edges(smooth: NDArray[np.uint8], mask: NDArray[np.uint8]) -> bool:
    """Return whether a mask's median edge pixel is soft; uint8, both of shape (H, W)."""
    if mask.all():
        return True
    near = np.ones((3, 3), np.uint8)
    edge = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, near).astype(bool)
    steps = cv2.morphologyEx(smooth, cv2.MORPH_GRADIENT, near)[edge]
    contrast = cv2.mean(smooth, mask)[0] - cv2.mean(smooth, 1 - mask)[0]
    least = FAINT_SHADE_EDGE if contrast < FAINT_SHADE_LEVELS else SHADE_EDGE
    return bool(np.median(steps) < least * contrast)
