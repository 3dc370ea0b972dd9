"""Cut out a number that is written without a box, between others above and below it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.cells import CutBox, compute_bounding_rect, count_quarters
from batchdigits.cells.ink import BoxSides, Mask, compute_darkness_on_paper
from batchdigits.cells.printed import warp_page_part
from batchdigits.layout.pen import find_pen
from batchdigits.records import GreyImage

ABOVE, BESIDE = 1.0, 0.25
"""What is drawn above and below the number's place, and beside it, as shares of its height."""
HEIGHT_PX = 96
"""px that the place is high in the picture that is drawn of it."""
LEVEL, UPRIGHT = 0.75, 1.9
"""Least length of a ruled line across the place and down it, as shares of its height."""
FULL_DARKNESS, MOST_TIMES = 190, 5.0
"""Darkness that paler ink is given, and by what factor at most."""
FLAT, LEAD = 0.17, 0.04
"""A dash that leads to the number is so low at most, and so long at least; the same share."""
TALL, OUTSIDE = 0.4, 0.35
"""A piece that is so high in the row is of this row, as a share of the height; and a piece with a
larger share of its ink outside it is cut off at its edge."""
RIM = 0.15
"""What lies within this share of the height at the top or the bottom is the rest of a line."""
SPECK = 0.12
"""A piece under this share of the height, in both directions, is a speck."""

Matrix = NDArray[np.float64]


def cut_open_number(grey: GreyImage, matrix: Matrix, size: tuple[float, float]) -> CutBox:
    """Cut out a number that is written without a box.

    Ruled lines are taken away, and so is a dash that leads to the number from the left.

    Args:
        grey: the page, uint8, shape (height, width), dark ink on light paper.
        matrix: (3, 3), mm in its place, 1 → px in the page.
        size: width and height of its place, mm.
    """
    wide, high = size
    by, over, fine = BESIDE * high, ABOVE * high, HEIGHT_PX / high
    drawn = round((wide + 2 * by) * fine), round((high + 2 * over) * fine)
    to_place = np.array([[1 / fine, 0, -by], [0, 1 / fine, -over], [0, 0, 1]])
    place = compute_bounding_rect((0.0, 0.0, wide, high), matrix)
    fineness = float(np.sqrt(place[2] * place[3] / (wide * high)))
    picture = warp_page_part(grey, matrix @ to_place, drawn, fineness, fine)
    ink = find_pen(picture, (round(LEVEL * HEIGHT_PX), round(UPRIGHT * HEIGHT_PX))).ink > 0
    sides = BoxSides(by * fine, (by + wide) * fine, over * fine, (over + high) * fine)
    mask = _without_lead(_without_rests(_keep_row(ink, sides), sides), sides)
    dark = _darken_pale_ink(compute_darkness_on_paper(picture), mask)
    near = cv2.dilate(mask.view(np.uint8), np.ones((3, 3), np.uint8))
    top, bottom, left, right = _find_shown_part(mask, sides)
    crop = np.ascontiguousarray((255 - dark * near)[top:bottom, left:right])
    area = (float(left), float(top), float(right - left), float(bottom - top))
    shown = compute_bounding_rect(area, matrix @ to_place)
    quarters = count_quarters((0.0, 0.0, wide, high), matrix)
    return CutBox(crop, not mask.any(), False, place, fineness, shown, quarters=quarters)


def _keep_row(ink: Mask, sides: BoxSides) -> Mask:
    """Keep pieces with most of their ink in a row, or as high as a digit in it.

    A piece that leaves the row far is cut at its edge.
    """
    count, labels = cv2.connectedComponents(ink.view(np.uint8), connectivity=8)
    row = slice(round(sides.top), round(sides.bottom))
    across = slice(max(0, round(sides.left)), round(sides.right))
    inside = labels[row, across]
    area, within = (np.bincount(part.ravel(), minlength=count) for part in (labels, inside))
    high = np.zeros(count, int)
    for line in inside:
        high[np.unique(line)] += 1
    ours = (2 * within > area) | (high >= TALL * HEIGHT_PX)
    ours[0] = False
    out: Mask = ours[labels]
    leaves = ours & (area - within > OUTSIDE * area)
    cut: Mask = leaves[labels]
    cut[row, across] = False
    return np.asarray(out & ~cut)


def _without_rests(mask: Mask, sides: BoxSides) -> Mask:
    """Leave out specks, and rests of the lines above and below."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    top, wide, high = stats[:, 1], stats[:, 2], stats[:, 3]
    kept = np.maximum(wide, high) >= SPECK * HEIGHT_PX
    rim = RIM * HEIGHT_PX
    kept &= (top + high > sides.top + rim) & (top < sides.bottom - rim)
    kept[0] = False
    return np.asarray(kept[labels])


def _without_lead(mask: Mask, sides: BoxSides) -> Mask:
    """Erase a flat stroke that comes in from the left and leads to the first digit."""
    inside = mask[:, round(sides.left) :]
    columns = np.asarray(inside.any(axis=0))
    first = inside.argmax(axis=0)
    last = inside.shape[0] - 1 - inside[::-1].argmax(axis=0)
    low = np.asarray(~columns | (last - first < FLAT * HEIGHT_PX))
    if not columns[: max(1, round(LEAD * HEIGHT_PX))].any():
        return mask
    end = int(low.argmin()) if not low.all() else 0
    if end < LEAD * HEIGHT_PX:
        return mask
    out = mask.copy()
    out[:, : round(sides.left) + end] = False
    return out


def _find_shown_part(mask: Mask, sides: BoxSides) -> tuple[int, int, int, int]:
    """Give the rows and columns of a place, and of the ink that leaves it."""
    top, bottom = int(sides.top), int(np.ceil(sides.bottom))
    left, right = int(sides.left), int(np.ceil(sides.right))
    y, x = np.nonzero(mask)
    if len(x):
        top, bottom = min(top, int(y.min()) - 1), max(bottom, int(y.max()) + 2)
        left, right = min(left, int(x.min()) - 1), max(right, int(x.max()) + 2)
    return max(0, top), bottom, max(0, left), right


def _darken_pale_ink(dark: GreyImage, mask: Mask) -> GreyImage:
    """Darken pale ink."""
    if not mask.any():
        return dark
    times = FULL_DARKNESS / max(1.0, float(np.quantile(dark[mask], 0.9)))
    return np.asarray(cv2.multiply(dark, min(max(times, 1.0), MOST_TIMES)), np.uint8)
