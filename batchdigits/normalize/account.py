"""The account of the ink: what of a crop's ink is not in its picture, and when that matters."""

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.normalize.components import (
    SPECK,
    InkParts,
    count_borders,
    find_brighter,
    find_full_stops,
    lay_again,
    lay_beside,
    sum_up,
)

MAX_UNUSED_INSIDE, MAX_UNUSED_BORDER = 0.05, 1.0
"""Ink beside the digit, as a share of the digit's: with more than this inside the crop, or at its
border, a second sign may have been written. Of 49,000 clean digits of seven sources 0.07% have
more; of 1,000 pairs of digits 99.6%, of 1,000 pairs cut tight 96.8%."""
FAINT_SHARE, FAINT_LEVELS = 0.15, 8
"""Least contrast of faint ink, as a share of the digit's and in grey levels."""
FAINT_GAP, FAINT_LENGTH = 7, 0.15
"""Side of the square round each pixel of sure ink in which faint ink is its soft edge, px; and the
least length of a faint part, as a share of the crop's height."""
REST_BAND, REST_WIDTH, REST_COVER = 0.25, 0.12, 0.45
"""Where pieces of printed lines are, how wide they are, and how much of a side they cover; shares
of the crop's sides."""


def has_more_ink(unused: NDArray[np.float32], *, boxed: bool = False) -> NDArray[np.bool_]:
    """Return which crops (N,) hold ink, beside what is read, that may be a second sign.

    Args:
        unused: as in `normalize.Normalized`, shape (N, 3).
        boxed: whether the crops are printed boxes, cut out of a page. Rests of their lines are at
            the border, and what is faint there belongs to the page.
    """
    inside, border, faint = unused.T
    more: NDArray[np.bool_] = inside > MAX_UNUSED_INSIDE
    if not boxed:
        more |= (border > MAX_UNUSED_BORDER) | (inside + faint > MAX_UNUSED_INSIDE)
    return more


def measure_faint_ink(
    ink: NDArray[np.uint8], mask: NDArray[np.bool_], kept: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Measure ink that is fainter than the digit, and apart from all surer ink: (N,).

    Args:
        ink: uint8, shape (N, H, W), above the noise of the paper.
        mask: where ink surely is, shape (N, H, W).
        kept: where the digit is, shape (N, H, W).

    Returns:
        The area of the faint parts inside the crop, as a share of the digit's. Specks do not count.
    """
    count, height, width = ink.shape
    area = sum_up(kept)
    full = sum_up(ink * kept.view(np.uint8)) / np.maximum(area, 1)
    least = np.maximum(full * FAINT_SHARE, FAINT_LEVELS)
    wide = lay_beside(mask.view(np.uint8), 0, FAINT_GAP, fill=0)
    near = cv2.dilate(wide.reshape(height, -1), np.ones((FAINT_GAP,) * 2, np.uint8))
    faint = find_brighter(ink, least) & ~lay_again(near.reshape(wide.shape), 0, width).view(bool)
    found = np.zeros(count)
    for n in np.flatnonzero(sum_up(faint) * SPECK > area).tolist():
        _, _, stats, _ = cv2.connectedComponentsWithStats(faint[n].view(np.uint8), connectivity=8)
        left, top, wide, high, size = stats[1:].T
        inside = (left > 0) & (top > 0) & (left + wide < width) & (top + high < height)
        large = (
            inside & (size * SPECK > area[n]) & (np.maximum(wide, high) >= FAINT_LENGTH * height)
        )
        found[n] = size[large].sum() / max(area[n], 1)
    return found


def measure_unused(
    parts: InkParts,
    keep: NDArray[np.bool_],
    others: NDArray[np.bool_],
    digit: NDArray[np.int64],
    shape: tuple[int, int],
) -> NDArray[np.float64]:
    """Measure the ink of the parts that are not the digit's, as `DigitParts.unused`.

    Args:
        parts: the parts.
        keep: which belong to the digit, shape (parts,).
        others: which do not, and are no printed boxes, shape (parts,).
        digit: the box round each crop's digit, shape (N, 4).
        shape: height and width of the crops.
    """
    ink = np.bincount(parts.owner, parts.area * keep, len(parts.main))
    opposite = _stands_opposite(parts, digit, shape)
    rests = _find_line_rests(parts, others, shape) & ~opposite
    large = others & (parts.area * SPECK >= ink[parts.owner]) & ~find_full_stops(parts) & ~rests
    outer = (count_borders(parts.boxes, shape) > 0) | (2 * parts.score < 9 * parts.area)
    outer &= ~opposite
    inside, border = (
        np.bincount(parts.owner, parts.area * (large & which), len(parts.main))
        for which in (~outer, outer)
    )
    unused: NDArray[np.float64] = np.stack([inside, border], axis=1)
    return unused / np.maximum(ink, 1)[:, None]


def _find_line_rests(
    parts: InkParts, others: NDArray[np.bool_], shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Find the parts (parts,) that are pieces of a printed line along a side of the crop.

    They are thin, lie in the outer `REST_BAND`, and cover `REST_COVER` of the side together.
    """
    rests = np.zeros(len(parts.area), bool)
    for axis, side in ((0, shape[1]), (1, shape[0])):
        across = shape[0] if axis == 0 else shape[1]
        long = parts.boxes[:, axis + 2] - parts.boxes[:, axis]
        start, end = parts.boxes[:, 1 - axis], parts.boxes[:, 3 - axis]
        thin = others & (end - start <= max(2, REST_WIDTH * across))
        for near in (end <= REST_BAND * across, start >= (1 - REST_BAND) * across):
            covered = np.bincount(parts.owner, long * (thin & near), len(parts.main))
            rests |= thin & near & (covered >= REST_COVER * side)[parts.owner]
    return rests


def _stands_opposite(
    parts: InkParts, digit: NDArray[np.int64], shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Find the parts (parts,) that may be a second digit in a crop cut tight round two.

    They and the digit touch opposite borders, and they are not much smaller.
    """
    sides = [0, 0, shape[1], shape[0]]
    part, other = parts.boxes == sides, (digit == sides)[parts.owner]
    opposite = (part & other[:, [2, 3, 0, 1]]).any(1)
    tall = (
        10 * (parts.boxes[:, 3] - parts.boxes[:, 1]) >= 3 * (digit[:, 3] - digit[:, 1])[parts.owner]
    )
    found: NDArray[np.bool_] = (
        opposite & tall & (16 * parts.area >= parts.area[parts.main[parts.owner]])
    )
    return found
