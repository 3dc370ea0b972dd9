"""MNIST's geometry: the ink's box scaled to 20 px, its centre of mass in the middle of 28 x 28."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.normalize.components import sum_columns, sum_rows

SIDE = 28
"""Height and width of a picture, px."""
BRIGHTEST = 255
"""Level of the brightest pixel of a picture."""
INK_SIDE = 20
"""Longest side of the box round the ink, px, as in MNIST."""


class Along(NamedTuple):
    """The ink of N crops along one of their sides; all of shape (N,).

    Attributes:
        start: of the box round the ink, px.
        end: one past the box; 0 where there is no ink.
        centre: of the ink's mass, counted in px from the box's first pixel's centre.
    """

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    centre: NDArray[np.float64]


def measured(ink: NDArray[np.uint8]) -> tuple[Along, Along]:
    """Measure the ink of crops (N, H, W) down and across."""
    return _along(sum_rows(ink)), _along(sum_columns(ink))


def _along(mass: NDArray[np.int32]) -> Along:
    """Find box and centre from the ink's mass along a side: (N, side)."""
    inked = mass > 0
    start = inked.argmax(1)
    end = np.where(inked.any(1), mass.shape[1] - inked[:, ::-1].argmax(1), 0)
    exact = mass.astype(np.float64)  # sums of integers: exact in any order
    centre = exact @ np.arange(mass.shape[1], dtype=np.float64) / np.maximum(exact.sum(1), 1)
    return Along(start, end, centre - start)


def placed(
    ink: NDArray[np.uint8], down: Along, across: Along, sizes: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Scale the ink to a longest side of 20 px, centre it in (N, 28, 28), and stretch it to 255.

    As in MNIST the digits lie on whole pixels, so that the centre of mass falls, but for the
    rounding of grey levels, in [13.5, 14.5) both ways, counted from the first pixel's centre.

    Args:
        ink: uint8, shape (N, H, W).
        down: as `measured` gives it.
        across: likewise.
        sizes: the boxes' heights and widths in the crops as they came, px, shape (N, 2).
    """
    pictures = np.zeros((len(ink), SIDE, SIDE), np.uint8)
    boxes = np.stack([down.end - down.start, across.end - across.start], axis=1)
    targets = sizes * INK_SIDE / np.maximum(sizes.max(1, keepdims=True), 1e-9)
    targets = np.maximum(np.rint(targets).astype(np.int64), 1)
    centres = np.stack([down.centre, across.centre], axis=1)
    centres = (centres + 0.5) * targets / np.maximum(boxes, 1) - 0.5
    starts = np.ceil(SIDE / 2 - 0.5 - centres).astype(np.int64)
    starts = np.minimum(np.maximum(starts, 0), SIDE - targets)
    ends = starts + targets
    shrinks = (boxes > INK_SIDE).any(1)
    where = [down.start, down.end, across.start, across.end, *starts.T, *ends.T, shrinks]
    places = np.stack(where, axis=1).tolist()
    for crop, picture, place in zip(ink, pictures, places, strict=True):
        top, bottom, left, right, y, x, to_y, to_x, shrink = place
        if bottom - top == to_y - y and right - left == to_x - x:
            picture[y:to_y, x:to_x] = crop[top:bottom, left:right]
        elif bottom:
            method = cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
            ink_box = crop[top:bottom, left:right]
            cv2.resize(ink_box, (to_x - x, to_y - y), picture[y:to_y, x:to_x], 0, 0, method)
    brightest = pictures.reshape(len(pictures), -1).max(1)
    dim = np.flatnonzero((brightest > 0) & (brightest < BRIGHTEST))
    stretch = np.float32(BRIGHTEST) / brightest[dim].astype(np.float32)
    stretched = pictures[dim] * stretch[:, None, None] + np.float32(0.5)
    pictures[dim] = stretched.astype(np.uint8)
    return pictures
