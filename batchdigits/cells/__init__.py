"""Cut the boxes out of a registered page, without their printed lines.

Each box is drawn upright at one scale, with a margin. Its printed lines are searched, since paper
stretches, and erased where no stroke crosses them. Each connected piece of the ink that is left
belongs to the box that holds most of it. A box without ink is blank, and not read by the model.
"""

import math
from collections.abc import Sequence
from itertools import pairwise, zip_longest
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.cells import boxes as rows
from batchdigits.cells.ink import (
    BoxSides,
    Mask,
    compute_darkness_on_paper,
    has_crossing_line,
    is_far_paler,
    keep_box_ink,
    measure_pattern,
    segment_ink,
    select_near,
)
from batchdigits.cells.lines import detect_box_lines, erase_box_lines
from batchdigits.cells.printed import (
    BOX_PX_PER_MM,
    Matrix,
    PrintedForm,
    Rect,
    erase_hint,
    erase_print,
    warp_page_part,
)
from batchdigits.records import GreyImage
from batchdigits.templates.boxes import project_box

__all__ = [
    "BOX_PX_PER_MM",
    "MIN_PAGE_PX_PER_MM",
    "CutBox",
    "PrintedForm",
    "Rect",
    "cut_boxes",
    "cut_free_field",
    "cut_strip_boxes",
]

BOX_MARGIN_MM = 1.5
"""Margin drawn round a box, mm: strokes leave their box, and lines lie beside their place."""
FREE_MARGIN_MM = 4.0
"""Margin drawn round a field without boxes, mm: people write across its frame."""
SHARED_LINE_GAP_MM, MERGED_LINES_GAP_MM = 0.1, 1.2
"""Distances between two boxes, mm. Up to the first, which rounding may leave, they share a line.
Under the second, their two lines may look like one."""
MAX_SHARED_INK_RATIO = 0.5
"""Share of a box's ink that may be in its neighbour's as well."""
MIN_PAGE_PX_PER_MM = 3.6
"""Pixels a millimetre of the page (91 dpi) under which a box is too coarse to be read."""
STRIP_BOX_HEIGHT_MM = 10.0
"""Height that the boxes of a strip are assumed to have, mm."""
LINE_THROUGH_DETAIL = "a line goes through it, as a crease does"
SHARED_INK_DETAIL = "its ink may be the next box's"
PALE_DETAIL = "far paler than its box, as a printed hint is"


class CutBox(NamedTuple):
    """One box of a page.

    Attributes:
        crop: uint8, shape (H, W), dark ink on white (255), nothing else in it.
        blank: whether there is no ink.
        through: whether a line goes right through the box and beyond, as a crease does. Alone, it
            would look like a 1.
        place: the upright box round the box in the page as scanned, px.
        fineness: pixels a millimetre that the page has there.
        shared: whether most of its ink is in the next box as well: one digit would be read twice.
        pale: whether its ink is far paler than the box's lines, as the letters of a printed hint.
        shown: the upright box round the crop in the page as scanned, px.
        quarters: by how many quarter turns, anticlockwise, the crop is turned in the page: 0 to 3.
    """

    crop: GreyImage
    blank: bool
    through: bool
    place: Rect
    fineness: float
    shown: Rect
    shared: bool = False
    pale: bool = False
    quarters: int = 0

    @property
    def doubt(self) -> str:
        """Why its ink is not to be read, in plain words; empty where it is."""
        doubts = (
            (self.through, LINE_THROUGH_DETAIL),
            (self.shared, SHARED_INK_DETAIL),
            (self.pale, PALE_DETAIL),
        )
        return next((why for holds, why in doubts if holds), "")


def cut_boxes(  # noqa: PLR0913 - each is said by its name
    grey: GreyImage,
    matrix: Matrix,
    boxes: Sequence[Rect],
    others: Sequence[Rect] = (),
    *,
    hints: Sequence[Rect] = (),
    alike: bool = True,
) -> list[CutBox]:
    """Cut boxes out of a page.

    Args:
        grey: the page, uint8, shape (height, width), dark ink on light paper.
        matrix: the transform from paper to the page.
        boxes: on paper, mm.
        others: the boxes of other fields, mm.
        hints: where a light letter is printed in each box, mm; empty for none.
        alike: whether all lines of a box are equally heavy, as in the fields of a form.
    """
    every = np.array([*boxes, *others])
    cells = [
        _cut_box(grey, matrix, box, hint, beside=_has_close_neighbour(box, every), alike=alike)
        for box, hint in zip_longest(boxes, hints)
    ]
    return _mark_shared_ink(cells, boxes)


def cut_free_field(
    grey: GreyImage, matrix: Matrix, box: Rect, printed: PrintedForm | None = None
) -> CutBox:
    """Cut the writing out of a field without boxes, and of what is around its frame.

    Args:
        grey: the page, uint8, shape (height, width), dark ink on light paper.
        matrix: the transform from paper to the page.
        box: the field's frame on paper, mm.
        printed: the blank form, whose words are no writing; None if there is no picture of it.
    """
    return _cut_box(grey, matrix, box, None, beside=False, alike=False, free=True, printed=printed)[
        0
    ]


def cut_strip_boxes(grey: GreyImage) -> list[CutBox]:
    """Cut the boxes out of a strip: a number written into a comb, or into separate boxes.

    Args:
        grey: the strip, uint8, shape (height, width), dark ink on light paper.

    Returns:
        The boxes from left to right; none where the strip is no row of boxes.
    """
    places = rows.detect_box_row(grey)
    if not places:
        return []
    scale = float(np.median([high for *_, high in places])) / STRIP_BOX_HEIGHT_MM
    matrix = np.array([[scale, 0, -0.5], [0, scale, -0.5], [0, 0, 1]])
    boxes = [tuple(side / scale for side in place) for place in places]
    return cut_boxes(grey, matrix, boxes)  # type: ignore[arg-type]


def _has_close_neighbour(box: Rect, boxes: NDArray[np.float64]) -> bool:
    """Return whether another box is so close beside this one that their lines run together."""
    left, top, wide, high = boxes.T
    gap = np.maximum(left - box[0] - box[2], box[0] - left - wide)
    level = (top < box[1] + box[3]) & (box[1] < top + high)
    return bool((level & (gap > SHARED_LINE_GAP_MM) & (gap < MERGED_LINES_GAP_MM)).any())


def _mark_shared_ink(found: Sequence[tuple[CutBox, Mask]], boxes: Sequence[Rect]) -> list[CutBox]:
    """Mark a box if most of its ink is in the next one as well: one stroke would be read twice."""
    cells = [cell for cell, _ in found]
    for n, ((_, ink), (_, other)) in enumerate(pairwise(found)):
        at = round((boxes[n + 1][0] - boxes[n][0]) * BOX_PX_PER_MM)
        if not 0 < at < ink.shape[1] or ink.shape[0] != other.shape[0]:
            continue
        both = np.count_nonzero(ink[:, at:][:, : other.shape[1]] & other[:, : ink.shape[1] - at])
        one, two = np.count_nonzero(ink), np.count_nonzero(other)
        if both > MAX_SHARED_INK_RATIO * min(one, two):
            less = n if one < two else n + 1
            cells[less] = cells[less]._replace(shared=True)
    return cells


def _cut_box(  # noqa: PLR0913
    grey: GreyImage,
    matrix: Matrix,
    box: Rect,
    hint: Rect | None,
    *,
    beside: bool,
    alike: bool,
    free: bool = False,
    printed: PrintedForm | None = None,
) -> tuple[CutBox, Mask]:
    margin = FREE_MARGIN_MM if free else BOX_MARGIN_MM
    wide, high = (max(8, round((side + 2 * margin) * BOX_PX_PER_MM)) for side in box[2:])
    to_paper = np.array(
        [
            [1 / BOX_PX_PER_MM, 0, box[0] - margin],
            [0, 1 / BOX_PX_PER_MM, box[1] - margin],
            [0, 0, 1],
        ]
    )
    ends = project_box(box, matrix)
    fineness = float(np.sqrt(cv2.contourArea(ends.astype(np.float32)) / (box[2] * box[3])))
    drawn = warp_page_part(grey, matrix @ to_paper, (wide, high), fineness)
    dark = compute_darkness_on_paper(drawn)
    if hint is not None:
        erase_hint(dark, np.linalg.inv(to_paper), hint)
    if printed is not None:
        erase_print(dark, to_paper, printed)
    edge = margin * BOX_PX_PER_MM
    sides = BoxSides(edge, edge + box[2] * BOX_PX_PER_MM, edge, edge + box[3] * BOX_PX_PER_MM)

    def keep_ink(ink: Mask) -> tuple[Mask, Mask, BoxSides]:
        lines = detect_box_lines(ink, core, sides, double=beside)
        written = erase_box_lines(
            dark, ink, lines, BOX_PX_PER_MM / fineness, double=beside, alike=alike
        )
        return keep_box_ink(written, lines.box, whole=free), written, lines.box

    ink, core = segment_ink(dark)
    mask, written, frame = keep_ink(ink)
    if pattern := measure_pattern(dark, ink, core):
        clear, clear_written, clear_frame = keep_ink(dark > pattern)
        if clear.any():
            mask, written, frame = select_near(mask, clear), clear_written, clear_frame
    blank = not mask.any()
    through = not blank and has_crossing_line(written, mask, frame)
    crop, area = _crop_kept_ink(dark, mask, frame)
    shown = compute_bounding_rect(area, matrix @ to_paper)
    return CutBox(
        crop,
        blank,
        through,
        compute_bounding_rect(box, matrix),
        fineness,
        shown,
        pale=not blank and not free and is_far_paler(dark, mask, ink & ~written),
        quarters=count_quarters(box, matrix),
    ), mask


def count_quarters(box: Rect, matrix: Matrix) -> int:
    """Return by how many quarter turns, anticlockwise, a box on paper is turned in the page."""
    left, top, wide, high = box
    ends = np.array([[[left, top + high / 2], [left + wide, top + high / 2]]], np.float64)
    start, end = cv2.perspectiveTransform(ends, np.asarray(matrix, np.float64))[0]
    across, down = (end - start).tolist()
    return round(-math.atan2(down, across) / (math.pi / 2)) % 4


def compute_bounding_rect(box: Rect, matrix: Matrix) -> Rect:
    """Return the upright box round a box that a matrix takes to the page."""
    ends = project_box(box, matrix)
    low, size = ends.min(axis=0), np.ptp(ends, axis=0)
    return float(low[0]), float(low[1]), float(size[0]), float(size[1])


def _crop_kept_ink(
    dark: GreyImage, mask: NDArray[np.bool_], frame: BoxSides
) -> tuple[GreyImage, Rect]:
    """Crop the kept ink, with its soft edges, on white.

    The crop reaches from line to line, and further where ink does.

    Returns:
        The crop, and where it is in the picture, px.
    """
    near = cv2.dilate(mask.view(np.uint8), np.ones((3, 3), np.uint8))
    y, x = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    top, bottom = int(frame.top), int(np.ceil(frame.bottom))
    left, right = int(frame.left), int(np.ceil(frame.right))
    if len(x):
        top, bottom = min(top, int(y[0]) - 1), max(bottom, int(y[-1]) + 2)
        left, right = min(left, int(x[0]) - 1), max(right, int(x[-1]) + 2)
    top, left = max(0, top), max(0, left)
    shown = (255 - dark * near)[top:bottom, left:right]
    return np.ascontiguousarray(shown), (left, top, shown.shape[1], shown.shape[0])


def describe_low_resolution(boxes: Sequence[CutBox]) -> str:
    """Return why boxes have too few pixels to be read; empty where they have enough."""
    fine = min(box.fineness for box in boxes)
    if fine >= MIN_PAGE_PX_PER_MM:
        return ""
    high = min(round(min(box.place[2:])) for box in boxes)
    return f"boxes of {high} px ({25.4 * fine:.0f} dpi) are too few pixels: scan at 150 dpi or more"
