"""Parts of the ink: ruled lines and neighbours' strokes go, what belongs to the digit stays."""

import cv2
import numpy as np
from numpy.typing import NDArray


def without_ruled_lines(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
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
    zone = np.zeros(height, bool)
    zone[: height // 3] = zone[height - height // 3 :] = True
    flat = np.ascontiguousarray(mask).view(np.uint8).reshape(-1, width)
    inked = cv2.reduce(flat, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S).reshape(-1, height)
    lined = (inked[:, zone] * 5 > width * 3).any(1)
    if not lined.any():
        return mask
    out = mask.copy()
    for index in np.flatnonzero(lined):
        out[index] &= ~_ruled(mask[index].view(np.uint8), thin, zone)
    return out


def _ruled(one: NDArray[np.uint8], thin: int, zone: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find the ruled lines in the rows `zone` of a mask (H, W): strokes up to `thin` px high."""
    height, width = one.shape
    edged = np.pad(one, ((thin + 1, thin + 1), (0, 0)))  # beyond the crop there is no ink
    opened = cv2.morphologyEx(edged, cv2.MORPH_OPEN, np.ones((thin + 1, 1), np.uint8))
    line = one & ~opened[thin + 1 : thin + 1 + height]
    band = np.ones((thin, 1), np.uint8)
    spans = cv2.dilate(one, band).sum(1) * 20 >= width * 19
    alone = cv2.dilate(line, band).sum(1) * 10 >= width * 7
    rows = spans & alone & zone
    _, labels = cv2.connectedComponents(line, connectivity=8, ltype=cv2.CV_32S)
    ruled = np.bincount(labels[rows].ravel(), minlength=int(labels.max()) + 1) > 0
    ruled[0] = False  # what is not line
    near = cv2.dilate(rows.astype(np.uint8)[:, None], np.ones((2 * thin + 1, 1), np.uint8))
    found: NDArray[np.bool_] = ruled[labels] & near.astype(bool)
    return found


def _mosaic(stack: NDArray[np.uint8], margin: int) -> NDArray[np.uint8]:
    """Lay crops (N, H, W) below each other with empty rows between: (N · (H + margin), W)."""
    count, height, width = stack.shape
    mosaic = np.zeros((count, height + margin, width), np.uint8)
    mosaic[:, :height] = stack
    return mosaic.reshape(-1, width)


def digit_parts(mask: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Keep of each mask (N, H, W) the parts that belong to the digit in its middle.

    A part is what hangs together. The digit's main part is the one with the most ink towards
    the middle of the crop that is no printed box; `_belongs` tells which others stay.

    Returns:
        The kept parts (N, H, W), and which crops hold nothing but marks at their very side (N,).
    """
    count, height, width = mask.shape
    tall = height + 1
    mosaic = _mosaic(mask.view(np.uint8), 1)
    _, labels, stats, _ = cv2.connectedComponentsWithStatsWithAlgorithm(
        mosaic, 8, cv2.CV_32S, cv2.CCL_BBDT
    )
    towards = np.pad(np.minimum.outer(_tent(height), _tent(width)), ((0, 1), (0, 0))).ravel()
    inked = np.flatnonzero(mosaic)
    part = labels.ravel()[inked]
    score = np.bincount(part, towards[inked % towards.size], len(stats)).astype(np.float64)
    printed = _printed_boxes(labels, stats, score, (height, width))
    score[printed] = 0
    owner = stats[:, cv2.CC_STAT_TOP] // tall
    order = np.lexsort((-score[1:], owner[1:])) + 1  # part 0 is what is not ink
    owners, first = np.unique(owner[order], return_index=True)
    main = np.zeros(count, np.int64)
    main[owners] = order[first]
    keep = _belongs(np.asarray(stats, np.int64), owner, main, score, (height, width))
    stray = _in_outer_fifth(stats[main], height, width) & (score[main] > 0)
    keep[main] = ~stray
    keep[printed] = False
    kept = np.zeros(mosaic.size, bool)
    kept[inked] = keep[part]
    return kept.reshape(count, tall, width)[:, :height], stray


def _printed_boxes(
    labels: NDArray[np.int32],
    stats: NDArray[np.int32],
    score: NDArray[np.float64],
    shape: tuple[int, int],
) -> list[int]:
    """Find the parts that are printed boxes: large, far out, and full along all four sides."""
    height, width = shape
    thick = max(1, round(min(shape) / 12))
    large = (stats[:, cv2.CC_STAT_HEIGHT] * 5 >= height * 3) & (
        stats[:, cv2.CC_STAT_WIDTH] * 5 >= width * 3
    )
    far_out = score < 6 * stats[:, cv2.CC_STAT_AREA]
    found = []
    for part in np.flatnonzero(large[1:] & far_out[1:]) + 1:
        left, top, across, down = stats[part, :4]
        box = labels[top : top + down, left : left + across] == part
        bands = (box[:thick], box[-thick:], box.T[:thick], box.T[-thick:])
        if all(band.any(0).mean() >= 0.8 for band in bands):
            found.append(int(part))
    return found


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
    stands beside it and is low (a full stop) or tall (a neighbour), and what touches the border,
    or lies in the outermost ninth, while the main part stands free (rests of the box and of
    neighbours).
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
    apart = np.maximum(aside, above) > np.maximum(size * 0.3, max(shape) * 0.12)
    low = 2 * top >= top[of] + bottom[of]
    tall = 2 * (bottom - top) >= (bottom - top)[of]
    beside = ((aside >= 0) & low & ~tall) | ((aside > size * 0.1) & tall)
    larger = (right - left > (right - left)[of]) | (bottom - top > (bottom - top)[of])
    touches = (borders > 0) & (score < 6 * area)
    shallow = (2 * score < 9 * area) & (larger | (aside >= 0) | (above >= 0))
    outer = (touches | shallow) & (borders[of] < 2)
    speck = area * 50 < area[of]
    belongs: NDArray[np.bool_] = ~(speck | apart | beside | outer)
    return belongs


def only(
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
