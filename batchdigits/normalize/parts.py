"""InkParts of the ink: neighbours' strokes go, what belongs to the digit stays."""

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.normalize.account import measure_unused
from batchdigits.normalize.components import (
    SPECK,
    InkParts,
    count_borders,
    find_full_stops,
    lay_again,
    lay_beside,
    lay_mosaic,
)

BOX_MARGIN = 0.14
"""Most of a crop's height and width between its border and an empty printed box."""
GATHERINGS = 4
"""How often a digit in pieces may grow by the pieces next to it."""


class DigitParts(NamedTuple):
    """What belongs to the digit of each crop, and an account of the ink that does not.

    Attributes:
        kept: the digit's parts, shape (N, H, W).
        unclear: shape (N,), true where there is no single digit: nothing but marks at the crop's
            very side.
        unused: float64, shape (N, 2), the ink of parts that are neither kept nor specks, as a
            share of the digit's ink: of those inside the crop, and of those at its border, where
            a neighbour's strokes and the rests of boxes are. Printed boxes do not count.
    """

    kept: NDArray[np.bool_]
    unclear: NDArray[np.bool_]
    unused: NDArray[np.float64]


def select_digit_parts(mask: NDArray[np.bool_]) -> DigitParts:
    """Select from each mask (N, H, W) the parts that belong to the digit in its middle.

    A part is what hangs together. The digit's main part is the one with the most ink towards
    the middle of the crop that is no printed box; `_belongs` tells which others stay.
    """
    count, height, width = mask.shape
    tall = height + 1
    mosaic = lay_mosaic(mask.view(np.uint8), 1)
    _, labels, stats, _ = cv2.connectedComponentsWithStatsWithAlgorithm(
        mosaic, 8, cv2.CV_32S, cv2.CCL_BBDT
    )
    inked = np.flatnonzero(mosaic.view(bool))
    part = labels.ravel()[inked]
    towards = np.tile(_list_weights(height, width), count)[inked]
    score = np.asarray(np.bincount(part, towards, len(stats)), np.float64)
    printed = _printed_boxes(labels, stats, score, (height, width))
    score[printed] = 0
    owner = stats[:, cv2.CC_STAT_TOP] // tall
    order = np.lexsort((-score[1:], owner[1:])) + 1  # part 0 is what is not ink
    owners, first = np.unique(owner[order], return_index=True)
    main = np.zeros(count, np.int64)
    main[owners] = order[first]
    boxes = np.asarray(stats[:, :4], np.int64)
    boxes[:, 1] -= owner * tall
    boxes[:, 2:] += boxes[:, :2]  # left, top, right, bottom; the last two lie one past
    parts = InkParts(boxes, stats[:, cv2.CC_STAT_AREA].astype(np.int64), score, owner, main)
    stray = _in_outer_fifth(boxes[main], height, width) & (score[main] > 0)
    keep, digit = _kept(parts, (height, width))
    keep &= ~stray[owner]
    keep[printed] = False
    others = ~keep
    others[[0, *printed]] = False
    unused = measure_unused(parts, keep, others, digit, (height, width))
    kept = np.zeros(mosaic.size, bool)
    kept[inked] = keep[part]
    return DigitParts(kept.reshape(count, tall, width)[:, :height], stray, unused)


def _printed_boxes(
    labels: NDArray[np.int32],
    stats: NDArray[np.int32],
    score: NDArray[np.float64],
    shape: tuple[int, int],
) -> list[int]:
    """Find the parts that are printed boxes: large, far out, and full along all four sides.

    A box has no bar within, as a square 8 has. It stands near the crop's sides, or has something
    in it; else it may be a square 0.
    """
    height, width = shape
    thick = max(1, round(min(shape) / 12))
    across, down, area = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT], stats[:, 4]
    large = (down * 5 >= height * 3) & (across * 5 >= width * 3)
    likely = large & (score < 6 * area) & (2 * area < across * down)
    found = []
    for part in np.flatnonzero(likely[1:]) + 1:
        left, top, across, down = stats[part, :4]
        box = labels[top : top + down, left : left + across] == part
        bands = (box[:thick], box[-thick:], box.T[:thick], box.T[-thick:])
        if not all(band.any(0).mean() >= 0.8 for band in bands):
            continue
        within = slice(2 * thick, -2 * thick or None)
        hollow = not box[within, within].any()
        others = labels[top : top + down, left : left + across][within, within]
        top -= stats[part, cv2.CC_STAT_TOP] // (height + 1) * (height + 1)
        margins = (
            left / width,
            1 - (left + across) / width,
            top / height,
            1 - (top + down) / height,
        )
        if hollow and (max(margins) <= BOX_MARGIN or others.any()):
            found.append(int(part))
    return found


def _in_outer_fifth(boxes: NDArray[np.int64], height: int, width: int) -> NDArray[np.bool_]:
    """Tell for each box (N, 4) whether it lies wholly in the outer fifth at a side."""
    left, top, right, bottom = boxes.T
    outer: NDArray[np.bool_] = (
        (5 * right <= width)
        | (5 * left >= 4 * width)
        | (5 * bottom <= height)
        | (5 * top >= 4 * height)
    )
    return outer


@lru_cache(maxsize=64)
def _list_weights(height: int, width: int) -> NDArray[np.uint8]:
    """List the weights of a crop's pixels towards its middle, and of an empty row below it."""
    weights = np.minimum.outer(_tent(height), _tent(width))
    return np.pad(weights, ((0, 1), (0, 0))).ravel().astype(np.uint8)


def _tent(side: int) -> NDArray[np.int64]:
    """Weights from 1 at both ends to 16 in the middle of a side: (side,)."""
    along = np.arange(side)
    return 1 + 30 * np.minimum(along, side - 1 - along) // max(1, side - 1)


def _kept(parts: InkParts, shape: tuple[int, int]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Tell for each part whether it belongs to its crop's digit (parts,), and its box (N, 4).

    What belongs to the main part makes the digit larger, and more may belong to that: a digit
    in many pieces is gathered from its middle.
    """
    digit = parts.boxes[parts.main]
    keep = np.zeros(len(parts.boxes), bool)
    keep[parts.main] = True
    keep[0] = False
    stops = find_full_stops(parts)
    for _ in range(GATHERINGS):
        more = _belongs(parts, digit, shape) & ~stops
        more[parts.main] = True
        more[0] = False  # what is not ink lies in no crop
        if (more == keep).all():
            break
        keep = more
        digit = digit.copy()
        np.minimum.at(digit[:, :2], parts.owner[keep], parts.boxes[keep, :2])
        np.maximum.at(digit[:, 2:], parts.owner[keep], parts.boxes[keep, 2:])
    return keep, digit


def _belongs(
    parts: InkParts, digit: NDArray[np.int64], shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Tell for each part whether it belongs to the digit in a box of its crop (N, 4): (parts,).

    Not so are specks (under a fiftieth of the main part's ink), what lies apart from the digit,
    what stands beside it and is low (a full stop) or tall (a neighbour), and what touches the
    border, or lies in the outermost ninth, while the digit stands free (rests of the box and of
    neighbours).
    """
    left, top, right, bottom = parts.boxes.T
    at_left, at_top, at_right, at_bottom = digit[parts.owner].T
    across, down = at_right - at_left, at_bottom - at_top
    aside = np.maximum(left - at_right, at_left - right)
    above = np.maximum(top - at_bottom, at_top - bottom)
    size = np.maximum(across, down)
    gap = np.maximum(aside, above)
    apart = gap > np.maximum(size * 0.3, max(shape) * 0.12)
    low = 2 * top >= at_top + at_bottom
    tall = 2 * (bottom - top) >= down
    beside = ((aside > size * 0.05) & low & ~tall) | ((aside > size * 0.1) & tall)
    larger = (right - left > across) | (bottom - top > down)
    borders = count_borders(parts.boxes, shape)
    touches = (borders > 0) & (parts.score < 6 * parts.area)
    shallow = (2 * parts.score < 9 * parts.area) & (larger | (gap > size * 0.06))
    outer = (touches | shallow) & (count_borders(digit, shape)[parts.owner] < 2)
    speck = parts.area * SPECK < parts.area[parts.main[parts.owner]]
    belongs: NDArray[np.bool_] = ~(speck | apart | beside | outer)
    return belongs


def only(
    ink: NDArray[np.uint8], kept: NDArray[np.bool_], mask: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Leave of the ink (N, H, W) what lies at the kept parts, with their soft edges."""
    wide = lay_beside(np.ascontiguousarray(kept).view(np.uint8), 0, 2, fill=0)

    def grown(parts: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
        out: NDArray[np.uint8] = cv2.dilate(
            parts.reshape(len(parts), -1), np.ones((side, side), np.uint8)
        )
        return out

    near = grown(wide, 5)
    dropped = mask & ~kept
    if dropped.any():
        others = grown(lay_beside(dropped.view(np.uint8), 0, 2, fill=0), 3)
        near &= ~(others & ~grown(wide, 3))
    return ink * lay_again(near.reshape(wide.shape), 0, ink.shape[2])
