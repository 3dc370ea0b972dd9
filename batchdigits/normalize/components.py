"""The connected parts of the ink of many crops."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

SPECK = 50
"""A part is a speck, such as dust, if the digit has more than so many times its ink."""


def lay_beside(
    stack: NDArray[np.uint8], before: int, behind: int, fill: int | None = None
) -> NDArray[np.uint8]:
    """Lay crops (N, H, W) beside each other, for OpenCV's filters: (H, N, before + W + behind).

    A filter's time goes by the number of rows rather than by their length: below each other, crops
    of 28 px take ten times as long.

    Args:
        stack: the crops.
        before: columns to the left of each crop.
        behind: columns to the right of each crop.
        fill: what these columns hold; None for what the crop has beside them.
    """
    count, height, width = stack.shape
    wide = np.empty((height, count, before + width + behind), np.uint8)
    wide[:, :, before : before + width] = stack.swapaxes(0, 1)
    fill_margins(wide, before, behind, fill)
    return wide


def fill_margins(wide: NDArray[np.uint8], before: int, behind: int, fill: int | None) -> None:
    """Fill the margins of crops that `lay_beside` has laid; arguments as there."""
    end = wide.shape[2] - behind
    wide[:, :, :before] = wide[:, :, before : before + 1] if fill is None else fill
    wide[:, :, end:] = wide[:, :, end - 1 : end] if fill is None else fill


def lay_again(wide: NDArray[np.uint8], before: int, width: int) -> NDArray[np.uint8]:
    """Return the crops (N, H, W) of what `lay_beside` laid, without margins."""
    return np.ascontiguousarray(wide[:, :, before : before + width].swapaxes(0, 1))


def sum_up(stack: NDArray[np.uint8] | NDArray[np.bool_]) -> NDArray[np.int64]:
    """Sum up each crop of (N, H, W): (N,)."""
    flat = np.ascontiguousarray(stack).view(np.uint8).reshape(len(stack), -1)
    sums = cv2.reduce(flat, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
    return np.asarray(sums[:, 0], np.int64)


def sum_rows(stack: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Sum up each row of crops (N, H, W): (N, H)."""
    count, height, width = stack.shape
    sums = cv2.reduce(stack.reshape(-1, width), 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
    return np.asarray(sums, np.int32).reshape(count, height)


def sum_columns(stack: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Sum up each column of crops (N, H, W): (N, W)."""
    count, height, width = stack.shape
    wide = lay_beside(stack, 0, 0).reshape(height, -1)
    sums = cv2.reduce(wide, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
    return np.asarray(sums, np.int32).reshape(count, width)


def find_brighter(stack: NDArray[np.uint8], least: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return where crops (N, H, W) exceed a level, 0 to 255, one for each crop: (N, H, W)."""
    above: NDArray[np.bool_] = stack > np.floor(least).astype(np.uint8)[:, None, None]
    return above


def lay_mosaic(stack: NDArray[np.uint8], margin: int) -> NDArray[np.uint8]:
    """Lay crops (N, H, W) below each other with empty rows between: (N · (H + margin), W)."""
    count, height, width = stack.shape
    mosaic = np.zeros((count, height + margin, width), np.uint8)
    mosaic[:, :height] = stack
    return mosaic.reshape(-1, width)


def find_boxes(ink: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the boxes round the ink of crops (N, H, W): first row and column, and one past: (N, 2).

    Where there is no ink the box is the whole crop.
    """
    mask = np.ascontiguousarray(ink).view(np.uint8)
    sides = sum_rows(mask) > 0, sum_columns(mask) > 0
    start = np.stack([side.argmax(1) for side in sides], 1)
    end = np.stack([side.shape[1] - side[:, ::-1].argmax(1) for side in sides], 1)
    return start, end


class InkParts(NamedTuple):
    """The parts of N crops; part 0 is what is not ink.

    Attributes:
        boxes: left, top, right, bottom of each part in its crop, px, shape (parts, 4); the last
            two lie one past the part.
        area: px, shape (parts,).
        score: the area weighted by `_tent` in both directions, shape (parts,).
        owner: the crop each part lies in, shape (parts,).
        main: the main part of each crop, shape (N,); 0 where there is none.
    """

    boxes: NDArray[np.int64]
    area: NDArray[np.int64]
    score: NDArray[np.float64]
    owner: NDArray[np.int64]
    main: NDArray[np.int64]


def find_full_stops(parts: InkParts) -> NDArray[np.bool_]:
    """Find the parts (parts,) that are a full stop: a round spot at the foot, to the right."""
    left, top, right, bottom = parts.boxes.T
    main = parts.boxes[parts.main[parts.owner]]
    wide, high, tall = right - left, bottom - top, main[:, 3] - main[:, 1]
    long, short = np.maximum(wide, high), np.minimum(wide, high)
    spot = (10 * long <= 3 * tall) & (2 * short >= long) & (2 * parts.area >= wide * high)
    low = 10 * ((top + bottom) / 2 - main[:, 1]) >= 7 * tall
    aside = left + right >= main[:, 0] + main[:, 2]
    light = parts.area * 5 <= parts.area[parts.main[parts.owner]]
    found: NDArray[np.bool_] = spot & low & aside & light
    return found


def count_borders(boxes: NDArray[np.int64], shape: tuple[int, int]) -> NDArray[np.int64]:
    """Count the borders of its crop (height, width) that each box touches: (N, 4) → (N,)."""
    counted: NDArray[np.int64] = (boxes == [0, 0, shape[1], shape[0]]).sum(1)
    return counted
