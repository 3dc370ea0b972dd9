"""Crops of single digits become pictures in MNIST's own geometry: the heart of the reading.

A network trained on MNIST reads strangers' digits only as well as they are brought into the form
it knows: ink light on dark paper, even paper at zero, the box round the ink 20 px on its longest
side, its centre of mass in the middle of 28 x 28 (LeCun, Cortes, Burges: "The MNIST database of
handwritten digits"). Training and prediction both go through `normalize`.

Crops of one size are worked on together, as arrays of shape (N, H, W). Where OpenCV needs a
picture they are laid out as a mosaic: the crops below each other, with an empty margin, so that
one call serves them all. All sums are of integers and therefore exact: a crop's picture does
not depend on the crops beside it.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import Grey

Invert = Literal["auto", "yes", "no"]

VERSION = 1
"""Goes into a model's card: a model is only good with the preprocessing it was trained with."""

SIDE = 28
"""Height and width of a picture, px."""
INK_SIDE = 20
"""Longest side of the box round the ink, px, as in MNIST."""
WORKING_SIDE = 96
"""Larger crops are first reduced to this longest side, px: five times what the picture holds."""
SIDES = np.array([4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96])
"""Heights and widths worked in, px: a crop is enlarged to the next ones, so that crops of many
sizes share a few and are worked on together. All are even, which `_paper` uses."""
AT_ONCE = 256
"""Crops worked on together at most: their arrays fit into a processor's cache."""
BINS = 256
"""Grey levels of the histograms."""
MIN_CONTRAST = 10
"""Grey levels of 255 that ink must differ from paper; faint pencil measures about 20."""
BUSY_CONTRAST = 25
"""Grey levels between the two halves of a crop without clear ink from which it is no longer
called empty: paper with noise of 8 levels (standard deviation) reaches 15."""
MIN_CONTRAST_TO_NOISE = 3
"""How many times the paper's own spread ink must differ from it. Otsu's two halves of empty
paper with noise of any grain, JPEG or not, were measured to lie 1.6 to 3 such spreads apart."""


class Normalized(NamedTuple):
    """What `normalize` returns: row n of each array belongs to crop n.

    Attributes:
        pictures: float32, shape (N, 28, 28, 1), in [0, 1] in steps of 1/255, ink light on dark;
            all zero where there is no ink.
        extent: float32, shape (N, 2), height and width of the box round the ink as a share of
            the crop's height and width, in [0, 1]; zero where there is no ink.
        unclear: bool, shape (N,), true where there is something on the paper but nothing that
            stands out as a digit: a busy ground, or marks at the very side of the crop alone.
            Where it is false and the extent is zero, the paper is empty.
    """

    pictures: NDArray[np.float32]
    extent: NDArray[np.float32]
    unclear: NDArray[np.bool_]


def normalize(crops: Sequence[Grey], *, invert: Invert = "auto") -> Normalized:
    """Bring crops of single digits into MNIST's geometry.

    Args:
        crops: N arrays, uint8, each of shape (height, width), both at least 1, of any sizes.
        invert: "auto" decides for each crop whether its ink is dark or light; "yes" takes all
            for dark ink on light paper, "no" for light ink on dark paper, as in MNIST.

    Returns:
        The pictures and the ink's extent in its cell, in the order of the crops.

    Raises:
        ValueError: a crop is not a two-dimensional uint8 array with at least one pixel.
    """
    pictures = np.zeros((len(crops), SIDE, SIDE), np.uint8)
    extent = np.zeros((len(crops), 2), np.float32)
    unclear = np.zeros(len(crops), bool)
    for at, stack in _stacks(crops):
        shapes = np.array([crops[i].shape for i in at])
        pictures[at], extent[at], unclear[at] = _normalize_stack(stack, shapes, invert)
    scaled = pictures.astype(np.float32) / np.float32(255)
    return Normalized(scaled[..., np.newaxis], extent, unclear)


def _stacks(crops: Sequence[Grey]) -> Iterator[tuple[list[int], NDArray[np.uint8]]]:
    """Bring crops to the sizes worked in and group them: indices, and crops as (N, H, W)."""
    groups: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for index, crop in enumerate(crops):
        if crop.ndim != 2 or crop.dtype != np.uint8 or crop.size == 0:
            raise ValueError(
                f"crop {index}: expected uint8 of shape (height, width), both at least 1, "
                f"got {crop.dtype} of shape {crop.shape}"
            )
        groups[crop.shape].append(index)
    by_size: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for shape, indices in groups.items():
        by_size[_working_size(*shape)] += indices
    for size, indices in by_size.items():
        for start in range(0, len(indices), AT_ONCE):
            part = indices[start : start + AT_ONCE]
            yield part, np.stack([_resized(crops[i], size) for i in part])


def _working_size(height: int, width: int) -> tuple[int, int]:
    """Find the size (height, width) that a crop of this size is worked on in."""
    share = min(1.0, WORKING_SIDE / max(height, width))
    at = np.searchsorted(SIDES, [math.floor(height * share), math.floor(width * share)])
    return int(SIDES[at[0]]), int(SIDES[at[1]])


def _resized(crop: Grey, size: tuple[int, int]) -> Grey:
    """Resize a crop to (height, width); averaged over area where it shrinks."""
    if crop.shape == size:
        return crop
    method = cv2.INTER_AREA if max(crop.shape) > WORKING_SIDE else cv2.INTER_LINEAR
    resized: Grey = cv2.resize(crop, size[::-1], interpolation=method)
    return resized


def _normalize_stack(
    stack: NDArray[np.uint8], shapes: NDArray[np.int64], invert: Invert
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.bool_]]:
    """Normalise crops brought to one size.

    Args:
        stack: uint8, shape (N, H, W).
        shapes: the crops' heights and widths before that, shape (N, 2).
        invert: as for `normalize`.

    Returns:
        Pictures, uint8 (N, 28, 28); extents (N, 2); which crops are unclear (N,).
    """
    light = _light_ink(stack, invert)
    bright = np.where(light[:, None, None], stack, 255 - stack)
    ink, mask, busy = _lift_off_paper(bright)
    mask = _without_ruled_lines(mask)
    kept = _digit_parts(mask)
    unclear = busy | (mask.any((1, 2)) & ~kept.any((1, 2)))
    ink = _only(ink, kept, mask)
    boxes = _boxes(ink)
    extent = np.stack([boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2]], axis=1)
    extent = extent / stack.shape[1:]
    return _centred(_scaled(ink, boxes, extent * shapes)), extent, unclear


def _light_ink(stack: NDArray[np.uint8], invert: Invert) -> NDArray[np.bool_]:
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
    shares = bright.reshape(count, -1).astype(np.float32) @ rings / rings.sum(0)
    whole, border, inner = shares[:, 0], shares[:, 1], shares[:, 2:]
    dark_frame = (border <= 0.1) & (inner >= 0.8).any(1) & (whole > 0.5)
    light_frame = (border >= 0.9) & (inner <= 0.2).any(1) & (whole < 0.5)
    light: NDArray[np.bool_] = ((whole + border < 1) & ~dark_frame) | light_frame
    return light


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


def _histograms(stack: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count the grey levels of each crop: (N, H, W) → (N, 256)."""
    count = len(stack)
    flat = stack.reshape(count, -1) + np.arange(0, count * BINS, BINS, dtype=np.int32)[:, None]
    return np.bincount(flat.ravel(), minlength=count * BINS).reshape(count, BINS)


def _split(histograms: NDArray[np.int64]) -> _Split:
    """Part each histogram (N, 256) in two by Otsu's method (IEEE Trans. SMC 9, 1979, p. 62).

    Every fourth level is tried. The threshold is the middle between the means of the two parts:
    where a gap between them leaves Otsu's choice open (one-bit scans), it lies in the middle.
    """
    quads = histograms.reshape(len(histograms), -1, 4)
    below = quads.sum(2).cumsum(1)
    weight = (quads * np.arange(BINS).reshape(-1, 4)).sum(2).cumsum(1)
    above = below[:, -1:] - below
    dark = weight / np.maximum(below, 1)
    bright = (weight[:, -1:] - weight) / np.maximum(above, 1)
    best = (below * above * (bright - dark) ** 2).argmax(1)
    at = (np.arange(len(best)), best)
    return _Split((dark[at] + bright[at]) / 2, dark[at], bright[at], 4 * best + 3)


def _lift_off_paper(
    bright: NDArray[np.uint8],
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
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
    return above_noise, mask, ~clear & (contrast >= BUSY_CONTRAST)


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


def _without_ruled_lines(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Remove straight thin lines that cross a crop from side to side in its outer third."""
    mask = _without_rows(mask)
    return _without_rows(mask.swapaxes(1, 2)).swapaxes(1, 2)


def _without_rows(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Remove horizontal lines from masks (N, H, W); what crosses them stays.

    A line is thin (a twelfth of the height at most), its band reaches over 19/20 of the width,
    and seven tenths of the width is line alone. A digit's own bar is thicker or shorter.
    """
    _, height, width = mask.shape
    thin = max(1, round(height / 12))
    band = np.ones((thin, 1), np.uint8)
    zone = np.zeros(height, bool)
    zone[: height // 3] = zone[height - height // 3 :] = True
    lined = (mask[:, zone].sum(2) * 5 > width * 3).any(1)
    if not lined.any():
        return mask
    out = mask.copy()
    for index in np.flatnonzero(lined):
        one = mask[index].view(np.uint8)
        thick = cv2.morphologyEx(one, cv2.MORPH_OPEN, np.ones((thin + 1, 1), np.uint8))
        line = one & ~thick
        spans = cv2.dilate(one, band).sum(1) * 20 >= width * 19
        alone = cv2.dilate(line, band).sum(1) * 10 >= width * 7
        rows = (spans & alone & zone).astype(np.uint8)[:, None]
        rows = cv2.dilate(rows, np.ones((2 * thin + 1, 1), np.uint8))
        out[index] &= ~(line & rows).astype(bool)
    return out


def _mosaic(stack: NDArray[np.uint8], margin: int) -> NDArray[np.uint8]:
    """Lay crops (N, H, W) below each other with empty rows between: (N · (H + margin), W)."""
    count, height, width = stack.shape
    mosaic = np.zeros((count, height + margin, width), np.uint8)
    mosaic[:, :height] = stack
    return mosaic.reshape(-1, width)


def _digit_parts(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep of each mask (N, H, W) the parts that belong to the digit in its middle.

    A part is what hangs together. The digit's main part is the one with the most ink towards
    the middle of the crop; `_belongs` tells which others stay.
    """
    count, height, width = mask.shape
    tall = height + 1
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        _mosaic(mask.view(np.uint8), 1), connectivity=8, ltype=cv2.CV_32S
    )
    towards = np.pad(np.minimum.outer(_tent(height), _tent(width)), ((0, 1), (0, 0))).ravel()
    inked = np.flatnonzero(labels)
    counts = np.bincount(labels.ravel()[inked], towards[inked % towards.size], len(stats))
    score = counts.astype(np.float64)
    owner = stats[:, cv2.CC_STAT_TOP] // tall
    order = np.lexsort((-score[1:], owner[1:])) + 1  # part 0 is what is not ink
    owners, first = np.unique(owner[order], return_index=True)
    main = np.zeros(count, np.int64)
    main[owners] = order[first]
    keep = _belongs(np.asarray(stats, np.int64), owner, main, score, (height, width))
    keep[main] = ~_in_outer_fifth(stats[main], height, width)
    keep[0] = False
    kept: NDArray[np.bool_] = keep[labels].reshape(count, tall, width)[:, :height]
    return kept


def _in_outer_fifth(stats: NDArray[np.int32], height: int, width: int) -> NDArray[np.bool_]:
    """Tell for each part (a row of `stats`) whether it lies wholly in the outer fifth at a side."""
    left, top = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_TOP] % (height + 1)
    right, bottom = left + stats[:, cv2.CC_STAT_WIDTH], top + stats[:, cv2.CC_STAT_HEIGHT]
    outer: NDArray[np.bool_] = (
        (5 * right <= width)
        | (5 * left >= 4 * width)
        | (5 * bottom <= height)
        | (5 * top >= 4 * height)
    )
    return outer


def _tent(side: int) -> NDArray[np.int64]:
    """Weights from 1 at both ends to 16 in the middle of a side: (side,)."""
    along = np.arange(side)
    return 1 + 30 * np.minimum(along, side - 1 - along) // max(1, side - 1)


def _belongs(
    stats: NDArray[np.int64],
    owner: NDArray[np.int64],
    main: NDArray[np.int64],
    score: NDArray[np.float64],
    shape: tuple[int, int],
) -> NDArray[np.bool_]:
    """Tell for each part whether it belongs to the main part of its crop: (parts,).

    Not so are specks (under a fiftieth of the main part's ink), what lies apart from it, what
    stands beside it and is low (a full stop) or tall (a neighbour), what reaches past it on two
    opposite sides (a box line), and what touches the border, or lies in the outermost tenth,
    while the main part stands free (rests of the box and of neighbours).
    """
    height, width = shape
    left, area = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_AREA]
    top = stats[:, cv2.CC_STAT_TOP] - owner * (height + 1)
    right, bottom = left + stats[:, cv2.CC_STAT_WIDTH], top + stats[:, cv2.CC_STAT_HEIGHT]
    borders = (left == 0).astype(int) + (top == 0) + (right == width) + (bottom == height)
    of = main[owner]
    size = np.maximum(right - left, bottom - top)[of]
    aside = np.maximum(left - right[of], left[of] - right)
    above = np.maximum(top - bottom[of], top[of] - bottom)
    apart = np.maximum(aside, above) > size * 0.3
    low = 2 * top >= top[of] + bottom[of]
    tall = 2 * (bottom - top) >= (bottom - top)[of]
    past = size * 0.12
    across = (left < left[of] - past) & (right > right[of] + past)
    along = (top < top[of] - past) & (bottom > bottom[of] + past)
    outer = ((borders > 0) | (score <= 4 * area)) & (borders[of] < 2)
    speck = area * 50 < area[of]
    belongs: NDArray[np.bool_] = ~(
        speck | apart | ((aside >= 0) & (low | tall)) | across | along | outer
    )
    return belongs


def _only(
    ink: NDArray[np.uint8], kept: NDArray[np.bool_], mask: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Leave of the ink (N, H, W) what lies at the kept parts, with their soft edges."""
    count, height, width = ink.shape

    def grown(parts: NDArray[np.bool_], side: int) -> NDArray[np.uint8]:
        mosaic = _mosaic(np.ascontiguousarray(parts).view(np.uint8), 2)
        out: NDArray[np.uint8] = cv2.dilate(mosaic, np.ones((side, side), np.uint8))
        return out.reshape(count, height + 2, width)[:, :height]

    near = grown(kept, 5)
    dropped = mask & ~kept
    if dropped.any():
        near &= ~(grown(dropped, 3) & ~grown(kept, 3))
    return ink * near


def _boxes(ink: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Find the box round the ink of each crop: (N, H, W) → top, bottom, left, right (N, 4).

    Bottom and right lie one past the ink; all four are zero where there is none.
    """
    rows: NDArray[np.bool_] = np.any(ink, axis=2)
    columns: NDArray[np.bool_] = np.any(ink, axis=1)
    height, width = rows.shape[1], columns.shape[1]
    inked = rows.any(1)
    top, left = rows.argmax(1), columns.argmax(1)
    bottom = np.where(inked, height - rows[:, ::-1].argmax(1), 0)
    right = np.where(inked, width - columns[:, ::-1].argmax(1), 0)
    return np.stack([top, bottom, left, right], axis=1)


def _scaled(
    ink: NDArray[np.uint8], boxes: NDArray[np.int64], sizes: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Scale what is in each box to a longest side of 20 px, at the top left of (N, 28, 28).

    `sizes` holds the boxes' heights and widths in the crops as they came, shape (N, 2).
    """
    pictures = np.zeros((len(ink), SIDE, SIDE), np.uint8)
    longest = sizes.max(1, keepdims=True)
    targets = np.rint(sizes * INK_SIDE / np.maximum(longest, 1e-9)).astype(int).clip(1)
    shrinks = (boxes[:, 1] - boxes[:, 0] > INK_SIDE) | (boxes[:, 3] - boxes[:, 2] > INK_SIDE)
    rows = zip(ink, boxes.tolist(), targets.tolist(), shrinks.tolist(), pictures, strict=True)
    for crop, (top, bottom, left, right), (height, width), shrink, picture in rows:
        if bottom:
            cv2.resize(
                crop[top:bottom, left:right],
                (width, height),
                picture[:height, :width],
                interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR,
            )
    return pictures


def _centred(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Move the digits (N, 28, 28) from the top left to the middle, and stretch ink to 255.

    As in MNIST they move by whole pixels, so that the centre of mass comes to lie in
    [13.5, 14.5) in both directions, counted from the first pixel's centre.
    """
    along = np.arange(SIDE)
    mass = np.maximum(pictures.sum((1, 2), dtype=np.int64), 1)
    moved = []
    for axis in (2, 1):  # sums over columns give the rows' share, and the reverse
        profile = pictures.sum(axis, dtype=np.int64)
        length = SIDE - (profile[:, ::-1] > 0).argmax(1)
        offset = np.ceil(SIDE / 2 - 0.5 - profile @ along / mass).astype(int)
        offset = np.minimum(np.maximum(offset, 0), SIDE - length)
        moved.append((along - offset[:, None]) % SIDE)
    rows, columns = moved
    crops = np.arange(len(pictures))[:, None, None]
    centred = pictures[crops, rows[:, :, None], columns[:, None, :]]
    stretch = np.float32(255) / np.maximum(centred.max((1, 2)), 1).astype(np.float32)
    stretched: NDArray[np.float32] = centred * stretch[:, None, None] + np.float32(0.5)
    return stretched.astype(np.uint8)
