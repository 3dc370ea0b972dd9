"""Any page → the boxes on it that somebody may have written into: rows of boxes, boxes, tables.

A page is looked at as if from above, at one size whatever the scan's: its lines say how it lies.
Lines close in places; places that share lines, or stand in a row, are a group.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.layout import contents, straight
from batchdigits.layout.broken import join_broken
from batchdigits.layout.cells import cells
from batchdigits.layout.choosing import choose_groups
from batchdigits.layout.empty import is_empty as is_empty
from batchdigits.layout.groups import Group, Kind, groups, in_order
from batchdigits.layout.lined import Cell, fit_lines
from batchdigits.layout.lines import Ink, Lines, Reach, lines, reach
from batchdigits.layout.mended import mended
from batchdigits.layout.opened import find_open
from batchdigits.layout.pale import without_pale
from batchdigits.layout.pitch import fill_rows
from batchdigits.layout.runs import ruled
from batchdigits.layout.seeking import is_drawn
from batchdigits.layout.sorted import sorted_out, without_repeats, without_squares
from batchdigits.layout.turns import PageTurn, cut_signs, find_turn, lay_upright, turn_back
from batchdigits.layout.values import Value, part_into_values
from batchdigits.records import GreyImage

SIDE = 2000
"""px: the longest side of the picture that is searched; a smaller one is searched as it is."""
CUT, EDGE = 3, 5.0
"""A group is left out that comes so near to the edge of the picture, px, if there is a table of so
many times as many cells."""
ENLARGED, TINY, SOME_TINY, MOST_TINY = 1.75, 22.0, 12, 0.45
"""How many times as large a page is searched of whose boxes so many, and this share, have a side of
fewer px."""
LEAST_SIDE = 0.013
"""Usual shorter side of a group's boxes, at least, as a share of the page's: smaller ones are the
holes in printed letters. 2.7 mm of A4."""
THIN_PX, HEAVY_LINE = 4.0, 0.24
"""Greatest usual thickness of a group's lines: px, or this share of its boxes' shorter side."""
LONG_ROW, HEAVIER_LINE = 4, 0.34
"""The same share in a row of so many boxes: no letters' holes are so many and alike."""
MOST_FILL = 0.35
"""Share of a box, that was only sought, which ink may fill, or, if its lines are clear, ink that is
paler than they are: a watermark has no boxes."""
UPSIDE_DOWN = "may be upside down"
SHORT = 6.0
"""mm that the shorter side of a box is taken for: of a page that nobody described nobody knows how
large it is, and this is what `cells` is used to."""

UPRIGHT = PageTurn(0, True)

Matrix = NDArray[np.float64]
"""(3, 3)."""


class Found(NamedTuple):
    """Boxes that belong together.

    Attributes:
        kind: boxes in a row, whose digits are one value; one box for a whole number; or a table.
        names: of each box, that of its value: boxes of one value have one name, and follow on each
            other.
        boxes: (N, 4, 2): each box's corners, clockwise from the top left, px of the page.
        printed: of each box, whether it holds a printed label.
        doubts: of each box, why its value is for review; empty for no reason.
        opened: whether there are no boxes, but numbers written below each other.
    """

    kind: Kind
    names: tuple[str, ...]
    boxes: NDArray[np.float64]
    printed: tuple[bool, ...]
    doubts: tuple[str, ...]
    opened: bool = False


def find(grey: GreyImage, *, upright: bool = False) -> list[Found]:
    """Find the groups of boxes on a page, in reading order.

    Rows of boxes, and boxes that stand alone, are `box_001`, `box_002` and so on; cells of a table
    `r01c01`, by row and column; those of the page's second table `t2_r01c01`. A merged cell is
    named after its top left one.

    Args:
        grey: uint8, (height, width), dark ink on light paper, at any of four turns, give or take
            40 degrees.
        upright: whether the page is known to lie upright.

    Returns:
        The groups; the corners of their boxes begin at the top left of the page as it is read.
    """
    if upright:
        return _find_groups(grey, grey, UPRIGHT)[0]
    turn = find_turn(grey)
    if turn.sure:
        return _find_groups(lay_upright(grey, turn), grey, turn)[0]
    found, signs = _find_groups(grey, grey, UPRIGHT)
    turn = find_turn(grey, signs)
    if turn.sure and turn.quarters:
        return _find_groups(lay_upright(grey, turn), grey, turn)[0]
    if turn.sure:
        return found
    return [group._replace(doubts=(UPSIDE_DOWN,) * len(group.doubts)) for group in found]


def _find_groups(
    upright: GreyImage, grey: GreyImage, turn: PageTurn, enlarged: float = 1.0
) -> tuple[list[Found], NDArray[np.uint8]]:
    """Find the groups of boxes on a page that was laid upright.

    Args:
        upright: the page, uint8, (height, width).
        grey: the page as it lay.
        turn: how it lay.
        enlarged: how many times as large as it is it is searched, if it is small.

    Returns:
        The groups, in px of `grey`, and the signs in their boxes, as from `turns.cut_signs`.
    """
    scale = min(enlarged, SIDE / max(upright.shape))
    small = upright
    if scale != 1:
        size = [max(1, round(side * scale)) for side in upright.shape[::-1]]
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        small = np.asarray(cv2.resize(upright, size, interpolation=how), np.uint8)
    view = straight.view(small)
    laid = np.asarray(cv2.warpPerspective(small, view.matrix, view.size, borderValue=255), np.uint8)
    seen = join_broken(lines(laid))
    closed = cells(seen)
    if scale == 1 and _are_tiny(sorted_out(without_repeats(closed))):
        return _find_groups(upright, grey, turn, ENLARGED)
    if (repaired := mended(seen, closed)) is not None:
        seen, closed = repaired, cells(repaired)
    near = reach(seen.ink)
    least = LEAST_SIDE * min(small.shape)
    whole = without_squares(sorted_out(without_repeats(closed)))
    boxes = without_pale(whole, near, reach(seen.strong))
    if len(boxes) < len(whole):  # there is a pattern under the print, which is no ink
        seen = seen._replace(ink=seen.strong, faint=seen.strong)
        near = reach(seen.strong)
    known, pale = set(map(id, boxes)), cv2.bitwise_and(seen.faint, cv2.bitwise_not(seen.strong))
    sought = fill_rows(ruled(boxes, reach(seen.faint)), reach(seen.faint))
    boxes = [cell for cell in sought if id(cell) in known] + [
        fit_lines(near, cell)
        for cell in sought
        if id(cell) not in known and _is_box_of_row(cell, seen, pale, near)
    ]
    found = [
        group
        for group in groups(boxes, near)
        if _is_large(group, least, seen.ink) and contents.group(laid, seen.ink, group.cells)
    ]
    found = _whole(found, view.matrix, (small.shape[1], small.shape[0]))
    found = in_order(choose_groups(found, find_open(laid, small, view.matrix)))
    larger = np.array(
        [[1 / scale, 0, 0.5 / scale - 0.5], [0, 1 / scale, 0.5 / scale - 0.5], [0, 0, 1]]
    )
    back = turn_back(turn, (grey.shape[1], grey.shape[0])) @ larger @ _inverse(view.matrix)
    signs = cut_signs(
        contents.select_ink_inside(seen.ink, [cell for group in found for cell in group.cells])
    )
    labels = [_labels(group, seen.ink) for group in found]
    values = [
        part_into_values(group, printed, seen.ink, near)
        for group, printed in zip(found, labels, strict=True)
    ]
    return [
        _name_boxes(group, own, names, _projected(group.cells, back), printed)
        for group, own, names, printed in zip(found, values, _named(found), labels, strict=True)
    ], signs


def _is_box_of_row(cell: Cell, seen: Lines, pale: Ink, near: Reach) -> bool:
    """Return whether a box that was only sought is one: strokes that cross lines look like it.

    Args:
        cell: the box.
        seen: the page's ink.
        pale: what of it is paler than lines are.
        near: how near ink is, everywhere in the view.
    """
    if contents.measure_fill(seen.faint, cell) <= MOST_FILL:
        return True
    firm = cell.dotted or is_drawn(near, cell.quad, cell.thickness)
    return firm and contents.measure_fill(pale, cell) <= MOST_FILL


def _are_tiny(boxes: Sequence[Cell]) -> bool:
    """Return whether a page has so many boxes of few pixels that some will be lost."""
    tiny = sum(float(cell.size.min()) < TINY for cell in boxes)
    return tiny >= max(SOME_TINY, MOST_TINY * len(boxes))


def _name_boxes(
    group: Group,
    values: Sequence[Value],
    names: Sequence[str],
    boxes: NDArray[np.float64],
    printed: Sequence[bool],
) -> Found:
    """Name a group's boxes after their values, of which each has the name of its first box."""
    order = [n for value in values for n in value.members]
    firsts = _each_once(names[value.members[0]] for value in values)
    return Found(
        group.kind,
        tuple(name for name, value in zip(firsts, values, strict=True) for _ in value.members),
        boxes[order],
        tuple(printed[n] for n in order),
        tuple(value.doubt for value in values for _ in value.members),
        group.opened,
    )


def _is_large(group: Group, least: float, ink: Ink) -> bool:
    """Return whether a group's boxes are not too small, and not too heavy in line, to write in."""
    side = float(np.median([min(cell.size) for cell in group.cells]))
    line = float(np.median([cell.thickness for cell in group.cells]))
    if side < least or line > max(THIN_PX, HEAVIER_LINE * side):
        return False
    if line <= max(THIN_PX, HEAVY_LINE * side):
        return True
    row = group.kind == "boxes" and len(group.cells) >= LONG_ROW
    return row and contents.have_corners(ink, group.cells)


def _whole(found: list[Group], matrix: Matrix, size: tuple[int, int]) -> list[Group]:
    """Leave out what the picture's edge cuts off beside a table many times as large."""
    most = max((len(group.cells) for group in found if group.kind == "table"), default=0)
    return [
        group
        for group in found
        if CUT * len(group.cells) > most or not _cut(group, _inverse(matrix), size)
    ]


def _inverse(matrix: Matrix) -> Matrix:
    return np.asarray(np.linalg.inv(matrix), np.float64)


def _cut(group: Group, back: Matrix, size: tuple[int, int]) -> bool:
    ends = _projected(group.cells, back)
    low, high = ends.min(axis=(0, 1)), ends.max(axis=(0, 1))
    return bool((low < EDGE).any() or (high > np.array(size) - 1 - EDGE).any())


def _labels(group: Group, ink: Ink) -> tuple[bool, ...]:
    if group.kind != "table" or group.opened:
        return (False,) * len(group.cells)
    return tuple(contents.labels(ink, group.cells, group.places))


def _projected(cells_: Sequence[Cell], matrix: Matrix) -> NDArray[np.float64]:
    quads = np.array([cell.quad for cell in cells_]).reshape(1, -1, 2)
    return np.asarray(cv2.perspectiveTransform(quads, matrix), np.float64).reshape(-1, 4, 2)


def _named(found: Sequence[Group]) -> Iterator[tuple[str, ...]]:
    """Name groups, and of tables the cells."""
    boxes, tables = 0, 0
    for group in found:
        if group.kind == "table":
            tables += 1
            table = "" if tables == 1 else f"t{tables}_"
            yield tuple(f"{table}r{row:02}c{column:02}" for row, column in group.places)
        else:
            boxes += 1
            yield (f"box_{boxes:03}",) * len(group.cells)


def _each_once(names: Iterable[str]) -> tuple[str, ...]:
    """Tell names apart that are the same: of two cells in one place of a table ruled by hand."""
    count: Counter[str] = Counter()
    out = []
    for name in names:
        count[name] += 1
        out.append(name if count[name] == 1 else f"{name}_{count[name]}")
    return tuple(out)


def flat(box: NDArray[np.float64]) -> tuple[Matrix, tuple[float, float]]:
    """Lay a box flat: mm in it → px of the page, and its width and height, mm.

    Args:
        box: (4, 2): its corners, px of the page.
    """
    sides = np.linalg.norm(box - np.roll(box, -1, axis=0), axis=1)
    size = np.array([(sides[0] + sides[2]) / 2, (sides[1] + sides[3]) / 2])
    wide, high = (size * SHORT / max(size.min(), 1e-6)).tolist()
    ends = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32)
    matrix = cv2.getPerspectiveTransform(ends, box.astype(np.float32))
    return np.asarray(matrix, np.float64), (wide, high)
