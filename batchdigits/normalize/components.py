"""The connected parts of the ink of many crops."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

SPECK = 50
"""A part is a speck, such as dust, if the digit has more than so many times its ink."""


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
    count, height, width = ink.shape
    mask = np.ascontiguousarray(ink).view(np.uint8)
    rows = cv2.reduce(mask.reshape(-1, width), 1, cv2.REDUCE_MAX).reshape(count, height)
    sides = rows, mask.max(1)
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
