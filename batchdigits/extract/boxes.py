"""Extract the boxes of a page that no template describes."""

from collections.abc import Sequence
from itertools import groupby

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits import cells, layout
from batchdigits.cells.opened import cut_open_number
from batchdigits.extract.chunk_builder import ChunkBuilder
from batchdigits.normalize.minus import leads
from batchdigits.records import GreyImage
from batchdigits.templates.field import Field

NO_BOXES_DETAIL = "no boxes found"
FAINT_DARKNESS, TARGET_DARKNESS, MAX_DARKENING = 120.0, 190.0, 5.0
"""Ink under the first darkness is darkened to the second. Ink that would need a larger factor than
the third stays: it is the paper's grain."""
INK_DARKNESS_SHARE = 0.35
"""Darkness of ink, as a share of the darkest pixel's, at least."""
RIM_SHARE, CORNER_SPECK_SHARE, SIDE_SPECK_SHARE = 0.22, 0.22, 0.12
"""Shares of a box: its rim; the longest side of a speck in a corner; and of a speck at a side."""
MAIN_PIECE_SHARE, MAX_SIGN_ASPECT = 0.35, 0.95
"""Least height or area of a sign's main pieces, as a share of the largest piece's; and the greatest
width of a sign, times its height."""


def extract_boxes(
    builder: ChunkBuilder, index: int, page: int, variants: Sequence[GreyImage]
) -> Sequence[layout.Found]:
    """Find the boxes of a page and add them to the chunk, in reading order.

    Args:
        builder: gathers the chunk.
        index: of the page's file within the chunk.
        page: number of the page.
        variants: the page, uint8, (height, width), dark ink on light paper. If the ink's colour is
            unknown, also the page inverted; the one with more boxes is used.

    Returns:
        The groups of boxes that layout found.
    """
    tried = [(layout.find(variant), variant) for variant in variants]
    groups, grey = max(tried, key=lambda one: sum(len(group.boxes) for group in one[0]))
    grey = _darken_faint_ink(grey, groups)
    laid = 0
    for group in groups:
        places = range(len(group.boxes))
        for name, some in groupby(places, key=group.names.__getitem__):
            value = list(some)
            if all(group.printed[n] for n in value):
                continue
            cut = _cut_open if group.opened else _cut_box
            boxes = [cut(grey, group.boxes[n]) for n in value]
            if group.kind == "boxes" or len(value) > 1:
                reason = group.doubts[value[0]] or cells.describe_low_resolution(boxes)
                builder.add_boxes(index, page, _make_field(name, len(boxes)), boxes, reason)
            else:
                _add_cell(builder, (index, page), name, boxes[0], group.doubts[value[0]])
            laid += 1
    if not laid:
        builder.add_unreadable(index, page, "review", NO_BOXES_DETAIL)
    return groups


def cut_box_row(grey: GreyImage) -> list[cells.CutBox]:
    """Cut out the boxes of an image that is one row of boxes; return none if it is not.

    Args:
        grey: uint8, (height, width), dark ink on light paper.
    """
    groups = [group for group in layout.find(grey, upright=True) if not group.opened]
    if len(groups) != 1 or groups[0].kind != "boxes":
        return []
    clear = _darken_faint_ink(grey, groups)
    return [_cut_box(clear, box) for box in groups[0].boxes]


def _darken_faint_ink(grey: GreyImage, groups: Sequence[layout.Found]) -> GreyImage:
    """Darken the ink of a faint page, such as a photograph out of focus."""
    if not groups:
        return grey
    ends = np.concatenate([group.boxes.reshape(-1, 2) for group in groups])
    x, y = np.floor(ends.min(axis=0)).astype(int).clip(0).tolist()
    right, bottom = np.ceil(ends.max(axis=0)).astype(int).tolist()
    size = [max(8, side // 8) for side in grey.shape[::-1]]
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    paper = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    paper = cv2.resize(cv2.blur(paper, (5, 5)), grey.shape[::-1])
    some = np.s_[y:bottom, x:right]
    dark = 255 - float(np.quantile(cv2.divide(grey[some], paper[some], scale=255)[::2, ::2], 0.02))
    if dark >= FAINT_DARKNESS or dark < FAINT_DARKNESS / MAX_DARKENING:
        return grey
    even = cv2.divide(grey, paper, scale=255)
    return np.asarray(255 - cv2.multiply(255 - even, TARGET_DARKNESS / dark), np.uint8)


def _make_field(name: str, count: int | None) -> Field:
    """Make a field for a group that was found: it has no rules, and its size means nothing."""
    box = (0.0, 0.0, 10.0 * (count or 1), 10.0)
    return Field(name=name, box=box, cells=count, gap=0, decimals=0, optional=True)


def _cut_box(grey: GreyImage, box: NDArray[np.float64]) -> cells.CutBox:
    matrix, (wide, high) = layout.flat(box)
    return _remove_specks(cells.cut_boxes(grey, matrix, [(0, 0, wide, high)], alike=False)[0])


def _cut_open(grey: GreyImage, place: NDArray[np.float64]) -> cells.CutBox:
    """Cut out a number that stands in no box."""
    matrix, size = layout.flat(place)
    return cut_open_number(grey, matrix, size)


def _remove_specks(box: cells.CutBox) -> cells.CutBox:
    """Erase specks at a box's rim, which are remains of crossing lines."""
    if box.blank:
        return box
    ink = _binarize_ink(box.crop)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    high, wide = ink.shape
    x, y, right, bottom = (
        stats[:, 0],
        stats[:, 1],
        stats[:, 0] + stats[:, 2],
        stats[:, 1] + stats[:, 3],
    )
    across, down = RIM_SHARE * wide, RIM_SHARE * high
    beside = (right <= across) | (x >= wide - across)
    above = (bottom <= down) | (y >= high - down)
    small = (stats[:, 2] <= CORNER_SPECK_SHARE * wide) & (stats[:, 3] <= CORNER_SPECK_SHARE * high)
    left = (above & beside) | (
        (above | beside) & (np.maximum(stats[:, 2] / wide, stats[:, 3] / high) <= SIDE_SPECK_SHARE)
    )
    left &= small
    left[0] = False
    if not left.any():
        return box
    crop = box.crop.copy()
    gone = cv2.dilate(left[labels].view(np.uint8), np.ones((5, 5), np.uint8)) > 0
    kept = ~left
    kept[0] = False
    gone &= cv2.dilate(kept[labels].view(np.uint8), np.ones((3, 3), np.uint8)) == 0
    crop[gone] = 255
    return box._replace(crop=crop, blank=not kept.any())


def _binarize_ink(crop: GreyImage) -> GreyImage:
    """Return a mask of a crop's ink: 255 where it is dark enough, by `INK_DARKNESS_SHARE`."""
    ink_level = 255 - INK_DARKNESS_SHARE * (255 - int(crop.min()))
    return np.asarray(cv2.compare(crop, ink_level, cv2.CMP_LT), np.uint8)


def _add_cell(
    builder: ChunkBuilder, page: tuple[int, int], name: str, box: cells.CutBox, doubt: str
) -> None:
    """Add a box or a table's cell, as one digit or as a number.

    Args:
        builder: gathers the chunk.
        page: the index of its file within the chunk, and its number.
        name: of the value.
        box: as it was cut out.
        doubt: as in `layout.Found`.
    """
    index, number = page
    reason = doubt or cells.describe_low_resolution([box])
    if box.blank or (has_single_sign(box.crop) and not leads(_binarize_ink(box.crop) > 0)):
        builder.add_boxes(index, number, _make_field(name, 1), [box], reason)
    else:
        builder.add_number(
            index, number, _make_field(name, None), box.crop, box.shown, reason, box.quarters
        )


def has_single_sign(crop: GreyImage) -> bool:
    """Return whether a crop holds one sign: in one piece, or in pieces above each other."""
    ink = _binarize_ink(crop)
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    if len(stats) == 1:
        return True
    x, y, wide, high, area = stats[1:].T
    parts = (high >= MAIN_PIECE_SHARE * high.max()) | (area >= MAIN_PIECE_SHARE * area.max())
    left, right = int(x[parts].min()), int((x + wide)[parts].max())
    tall = int((y + high)[parts].max() - y[parts].min())
    return (
        right - left <= max(1.25 * int(wide[parts].max()), 2)
        and right - left <= MAX_SIGN_ASPECT * tall
    )
