"""Ruled lines are removed from the ink; what crosses them stays."""

import cv2
import numpy as np
from numpy.typing import NDArray


def without_ruled_lines(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Remove straight thin lines that cross a crop from side to side in its outer third."""
    mask = without_level_lines(mask)
    return without_level_lines(mask.swapaxes(1, 2)).swapaxes(1, 2)


def without_level_lines(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
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
        out[index] &= ~_find_ruled_lines(mask[index].view(np.uint8), thin, zone)
    return out


def _find_ruled_lines(
    one: NDArray[np.uint8], thin: int, zone: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Find the ruled lines in the rows `zone` of a mask (H, W): strokes up to `thin` px high."""
    height, width = one.shape
    band = np.ones((thin, 1), np.uint8)
    spans = (cv2.dilate(one, band).sum(1) * 20 >= width * 19) & zone
    if not spans.any():
        return np.zeros(one.shape, bool)
    edged = np.zeros((height + 2 * thin + 2, width), np.uint8)  # beyond the crop is no ink
    edged[thin + 1 : thin + 1 + height] = one
    opened = cv2.morphologyEx(edged, cv2.MORPH_OPEN, np.ones((thin + 1, 1), np.uint8))
    line = one & ~opened[thin + 1 : thin + 1 + height]
    rows = spans & (cv2.dilate(line, band).sum(1) * 10 >= width * 7)
    _, labels = cv2.connectedComponents(line, connectivity=8, ltype=cv2.CV_32S)
    ruled = np.bincount(labels[rows].ravel(), minlength=int(labels.max()) + 1) > 0
    ruled[0] = False  # what is not line
    near = cv2.dilate(rows.astype(np.uint8)[:, None], np.ones((2 * thin + 1, 1), np.uint8))
    found: NDArray[np.bool_] = ruled[labels] & near.astype(bool)
    return found
