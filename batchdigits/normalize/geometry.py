"""MNIST's geometry: the ink's box scaled to 20 px, its centre of mass in the middle of 28 x 28."""

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 28
"""Height and width of a picture, px."""
INK_SIDE = 20
"""Longest side of the box round the ink, px, as in MNIST."""


def boxes_of(ink: NDArray[np.uint8]) -> NDArray[np.int64]:
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


def scaled(
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


def centred(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
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
