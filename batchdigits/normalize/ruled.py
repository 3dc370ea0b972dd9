"""Ruled lines are removed from the ink; what crosses them stays. Crops are cut to within frames."""

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage

RING, SPAN = 0.27, 0.55
"""A frame's lines lie within the first share of a side from the border. They are narrower than the
second."""
CROSS, COVER = 0.2, 0.9
"""A line covers the second share of what lies between the first share of the other side and its
end: further out the lines across it hide it."""
MEAN, BAND = 0.3, 0.04
"""A line's levels are means over the first share of the side that it lies along, which leaves
little noise; it may lean by the second share of the side across."""
LINE_LEVELS, LINE_SHARE, LINE_EDGE = 8, 0.3, 0.6
"""Least contrast of a line, in grey levels and as a share of the clearest's; and the share of it by
which the levels change within 3 px at its edge: light that falls off changes less."""
SIDE_WIDTH, SIDE_GAP, SIDE_PIECE = 0.15, 0.35, 0.3
"""Greatest width of a line along a side of the crop, greatest gap in it, and least length, as
shares of the crop's sides."""
SIDE_DEPTH, SIDE_WHOLE = 0.17, 0.85
"""It lies within the first share of the side across from the border, or is as long as the second
share of the side along."""
SIDE_JAG = 1.1
"""It is straight: the box round it is higher than the line by so many px at most."""


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
    out = mask.copy(order="K")
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


def cut_to_frame(crop: GreyImage) -> GreyImage:
    """Cut a crop (H, W) to what lies within printed lines near its sides, dark or light."""
    top, bottom = _find_inside(crop)
    left, right = _find_inside(crop.T)
    return crop[top:bottom, left:right]


def _find_inside(crop: GreyImage) -> tuple[int, int]:
    """Find the rows from the last line above to the first line below: first, and one past."""
    height, width = crop.shape
    mean = cv2.blur(crop.astype(np.float32), (max(3, round(MEAN * width)), 1))
    kernel = np.ones((max(3, round(SPAN * height) | 1), 1), np.uint8)
    edge = cv2.morphologyEx(mean, cv2.MORPH_GRADIENT, np.ones((3, 1), np.uint8))
    depth = round(RING * height)
    outer = np.r_[:depth, height - depth : height]
    middle = slice(round(CROSS * width), width - round(CROSS * width))
    lined = np.zeros(height, bool)
    for way in (cv2.MORPH_BLACKHAT, cv2.MORPH_TOPHAT):
        hat = cv2.morphologyEx(mean, way, kernel)
        least = max(LINE_LEVELS, LINE_SHARE * float(hat[outer].max(initial=0)))
        found = (hat > least) & (edge >= LINE_EDGE * hat)
        band = np.ones((max(1, round(BAND * height)) * 2 + 1, 1), np.uint8)
        spans = cv2.dilate(found.view(np.uint8), band)[:, middle].mean(1) >= COVER
        lined |= spans
    above, below = np.flatnonzero(lined[:depth]), np.flatnonzero(lined[height - depth :])
    return (
        int(above[-1]) + 1 if len(above) else 0,
        height - depth + int(below[0]) if len(below) else height,
    )


def without_side_lines(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Remove lines along the sides of a crop, whole or in pieces, from its ink (H, W), 0 and 1."""
    left = ink & ~_find_level_sides(ink)
    return left & ~_find_level_sides(left.T).T


def _find_level_sides(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Find the lines along the upper and the lower side of a crop (H, W): uint8, 0 and 1.

    They lie in the outer `RING`, and are thin; pieces in one line with short gaps are one line.
    """
    height, width = ink.shape
    thin, deep = max(1, round(SIDE_WIDTH * height)), round(RING * height)
    thick = _open_mask(ink, (thin + 1, 1))
    found = ink & ~thick
    found[deep : height - deep] = 0
    runs = cv2.dilate(found, np.ones((3, 1), np.uint8))  # a line may lean by a pixel
    gap = max(1, round(SIDE_GAP * width))
    edged = cv2.copyMakeBorder(runs, 0, 0, gap, gap, cv2.BORDER_CONSTANT, value=0)
    joined = cv2.morphologyEx(edged, cv2.MORPH_CLOSE, np.ones((1, gap), np.uint8))[:, gap:-gap]
    lines = _open_mask(joined, (1, max(2, round(SIDE_PIECE * width))))
    count, labels = cv2.connectedComponents(lines, connectivity=8)
    labels[found == 0] = 0
    for part in range(1, count):
        y, x = np.nonzero(labels == part)
        if len(y) and not _is_straight(y, x, ink.shape):
            labels[y, x] = 0
    lined: NDArray[np.uint8] = (labels > 0).view(np.uint8)
    return lined


def _is_straight(y: NDArray[np.int64], x: NDArray[np.int64], shape: tuple[int, int]) -> bool:
    """Return whether the pixels of a level line in a crop (height, width) make a printed one.

    A short piece at the very border may be a neighbour's stroke, and one further in a 1.
    """
    height, width = shape
    long, deep = np.ptp(x) + 1, min(y.max() + 1, height - y.min())
    if deep > SIDE_DEPTH * height and long < SIDE_WHOLE * width:
        return False
    cut = y.min() == 0 or y.max() == height - 1
    straight = np.ptp(y) + 1 <= len(y) / len(np.unique(x)) + SIDE_JAG
    return bool(straight and not (cut and long < SPAN * width))


def _open_mask(mask: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Leave of a mask (H, W) what rectangles of a size (height, width) fit into; none beyond it."""
    down, across = size
    edged = cv2.copyMakeBorder(mask, down, down, across, across, cv2.BORDER_CONSTANT, value=0)
    opened = cv2.morphologyEx(edged, cv2.MORPH_OPEN, np.ones(size, np.uint8))
    return np.asarray(opened[down:-down, across:-across], np.uint8)
