"""Find the fields of a form for a draft: what is a field, what belongs together, what is none."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from batchdigits import layout
from batchdigits.records import GreyImage
from batchdigits.templates.boxes import MAX_OVERLAP_MM, Box, has_overlap
from batchdigits.templates.field import Field

MIN_FREE_NUMBER_ASPECT = 1.8
"""A lone box that is at least so many times wider than high is for a number written freely."""
MIN_GAP_MM = 0.25
"""Boxes that are less than this apart, mm, share a line."""
MAX_FIELD_BOXES = 64
"""Most boxes of a field that a template may have."""
MAX_GROUP_GAP, MIN_GROUP_GAP, MAX_SIZE_DIFFERENCE = 0.75, 0.2, 0.1
"""Groups of boxes belong to one field if the gap between them is wider than the others by no more
than the first share of a box's width, and no less than the second; and if their boxes differ in
size and height on the page by no more than the third."""
MAX_TICK_MM, MAX_TICK_ASPECT, MIN_TICK_GAP = 6.2, 1.3, 0.5
"""Greatest side, mm, and ratio of the sides of a box for a tick; and how far ticks of a row stand
apart at least, as a share of their width."""
MIN_SIGNATURE_MM = (30.0, 12.5)
"""Least width and height of a box for a signature, mm: nobody writes numbers so large."""
MAX_TRIMMED = 0.12
"""Share of its side by which a box that overlaps another is made smaller, at most."""

BoxArray = NDArray[np.float64]
"""(N, 4): x, y, width, height, mm."""


class DraftField(NamedTuple):
    """A field as it was found.

    Attributes:
        box: the whole field, mm.
        cells: how many boxes in a row; None for a number written freely.
        gap: the distance between two boxes, mm.
        name: as `run` names it without a template; empty for none.
        groups: the boxes of each group, from left to right; empty for one row of boxes.
        group_gap: the distance between two groups, mm.
    """

    box: Box
    cells: int | None
    gap: float
    name: str = ""
    groups: tuple[int, ...] = ()
    group_gap: float = 0.0


class LeftOutField(NamedTuple):
    """A field that is in the draft as a comment alone.

    Attributes:
        field: what was found.
        why: what it seems to be, in plain words.
    """

    field: DraftField
    why: str


class FoundFields(NamedTuple):
    """The fields of a form, and those that are left out, both in reading order."""

    fields: list[DraftField]
    left_out: list[LeftOutField]


class _Row(NamedTuple):
    """Boxes of one group that layout found: their name, and the boxes from left to right, mm."""

    name: str
    boxes: BoxArray
    groups: tuple[int, ...]

    @property
    def size(self) -> tuple[float, float]:
        """Return the median width and height of the boxes, mm."""
        wide, high = np.median(self.boxes[:, 2:], axis=0).tolist()
        return wide, high


def find_fields(
    grey: GreyImage, size: tuple[float, float], taken: Sequence[Box] = ()
) -> FoundFields:
    """Find the fields of a form, in reading order, named as on a page without a template.

    Each cell of a table is a field, unless it holds a printed label. Boxes for ticks and for
    signatures are left out, and so is what would overlap another field.

    Args:
        grey: the form, uint8, (height, width), straight, dark lines on light paper.
        size: width and height of the paper in it, mm.
        taken: boxes that are no fields, such as markers, mm.
    """
    scale = np.array(size) / grey.shape[::-1]
    rows: list[_Row] = []
    singles: list[_Row] = []
    for group in layout.find(grey):
        if group.opened:  # what somebody wrote is no field of the form
            continue
        boxes = _fit_upright_boxes((group.boxes + 0.5) * scale)
        if group.kind == "table":
            places = range(len(boxes))
            for name, some in groupby(places, key=group.names.__getitem__):
                value = list(some)
                if not all(group.printed[n] for n in value):
                    singles.append(_Row(name, boxes[value], (len(value),)))
            continue
        if not all(group.printed) or len(boxes) > 1:
            rows += _split_row(group.names[0], boxes)
    fields = [(_draft_field(row, size), _describe_other_use(row)) for row in _merge_rows(rows)]
    fields += [(_draft_field(row, size), "") for row in singles]
    return _leave_out(fields, taken)


def _fit_upright_boxes(quads: NDArray[np.float64]) -> BoxArray:
    """Return the upright boxes of N boxes, given by their corners (N, 4, 2), mm."""
    ends = np.sort(quads, axis=1)
    low, high = ends[:, :2].mean(axis=1), ends[:, 2:].mean(axis=1)
    return np.hstack([low, high - low])


def _measure_gaps(row: BoxArray) -> NDArray[np.float64]:
    return np.asarray(row[1:, 0] - row[:-1, 0] - row[:-1, 2])


def _split_row(name: str, boxes: BoxArray) -> list[_Row]:
    """Split a row where it has more boxes than a field may have, and count its groups."""
    parts = [boxes[n : n + MAX_FIELD_BOXES] for n in range(0, len(boxes), MAX_FIELD_BOXES)]
    return [
        _Row(name if n == 0 else f"{name}_{n + 1}", part, _count_groups(part))
        for n, part in enumerate(parts)
    ]


def _count_groups(row: BoxArray) -> tuple[int, ...]:
    """Count the boxes of each group of a row, in which some gaps are wider than the others."""
    gaps = _measure_gaps(row)
    if not len(gaps):
        return (1,)
    wider = gaps > gaps.min() + MIN_GROUP_GAP * np.median(row[:, 2])
    ends = np.flatnonzero(wider) + 1
    return tuple(np.diff([0, *ends, len(row)]).tolist())


def _merge_rows(rows: Sequence[_Row]) -> list[_Row]:
    """Merge rows that stand close beside each other: they are groups of one field."""
    out: list[_Row] = []
    for row in rows:
        at = next((n for n, other in enumerate(out) if _are_groups(other, row)), None)
        if at is None:
            out.append(row)
            continue
        left, right = sorted((out[at], row), key=lambda one: float(one.boxes[0, 0]))
        boxes = np.concatenate([left.boxes, right.boxes])
        out[at] = _Row(out[at].name, boxes, left.groups + right.groups)
    return out


def _are_groups(one: _Row, two: _Row) -> bool:
    """Return whether two rows are groups of one field: boxes of one size, at one height, close."""
    left, right = sorted((one, two), key=lambda row: float(row.boxes[0, 0]))
    (wide, high), other = left.size, right.size
    alike = all(
        abs(a - b) <= MAX_SIZE_DIFFERENCE * max(a, b)
        for a, b in zip((wide, high), other, strict=True)
    )
    level = abs(float(np.median(left.boxes[:, 1]) - np.median(right.boxes[:, 1])))
    if not alike or level > MAX_SIZE_DIFFERENCE * high or len(one.boxes) + len(two.boxes) < 3:
        return False
    if len(left.boxes) + len(right.boxes) > MAX_FIELD_BOXES or wide > MIN_FREE_NUMBER_ASPECT * high:
        return False
    gaps = [row for row in (left.boxes, right.boxes) if len(row) > 1]
    usual = float(np.min(np.concatenate([_measure_gaps(row) for row in gaps])))
    apart = float(right.boxes[0, 0] - left.boxes[-1, 0] - left.boxes[-1, 2])
    if any(
        abs(apart - gap) > MIN_GROUP_GAP * wide
        for row in (left, right)
        for gap in _list_group_gaps(row)
    ):
        return False
    return max(usual, 0) + MIN_GROUP_GAP * wide < apart <= max(usual, 0) + MAX_GROUP_GAP * wide


def _list_group_gaps(row: _Row) -> list[float]:
    """Return the distance between each two groups of a row, mm."""
    ends = np.cumsum(row.groups)[:-1] - 1
    return [float(one) for one in _measure_gaps(row.boxes)[ends]]


def _describe_other_use(row: _Row) -> str:
    """Return what boxes seem to be for, if not for numbers; empty if for numbers."""
    wide, high = row.size
    square = max(wide, high) <= min(MAX_TICK_MM, MAX_TICK_ASPECT * min(wide, high))
    gaps = _measure_gaps(row.boxes)
    if square and (not len(gaps) or gaps.min() >= MIN_TICK_GAP * wide):
        return "a small box, as for a tick" if not len(gaps) else "small boxes, as for ticks"
    if len(row.boxes) == 1 and wide >= MIN_SIGNATURE_MM[0] and high >= MIN_SIGNATURE_MM[1]:
        return "a large box, as for a signature"
    return ""


def _draft_field(row: _Row, size: tuple[float, float]) -> DraftField:
    boxes = row.boxes
    left, top = max(0.0, float(boxes[0, 0])), max(0.0, float(np.median(boxes[:, 1])))
    right = min(size[0], boxes[-1, 0] + boxes[-1, 2])
    bottom = min(size[1], top + float(np.median(boxes[:, 3])))
    x, y, wide, high = (round(float(side), 2) for side in (left, top, right - left, bottom - top))
    if len(boxes) == 1 and boxes[0, 2] >= MIN_FREE_NUMBER_ASPECT * boxes[0, 3]:
        return DraftField((x, y, wide, high), None, 0.0, row.name)
    between = _list_group_gaps(row)
    within = np.delete(_measure_gaps(boxes), np.cumsum(row.groups)[:-1] - 1)
    gap = round(float(within.mean()), 2) if len(within) else 0.0
    gap = gap if gap >= MIN_GAP_MM else 0.0
    if len(row.groups) < 2:
        return DraftField((x, y, wide, high), len(boxes), gap, row.name)
    group_gap = round(float(np.mean(between)), 2)
    return DraftField((x, y, wide, high), len(boxes), gap, row.name, row.groups, group_gap)


def make_field_keys(field: DraftField, name: str) -> dict[str, Any]:
    """Return the keys of a field in a template, in their order."""
    keys: dict[str, Any] = {"name": name, "box": list(field.box)}
    if field.groups:
        keys |= {"groups": list(field.groups), "group_gap": field.group_gap}
    elif field.cells is not None:
        keys["cells"] = field.cells
    return {**keys, "gap": field.gap} if field.gap else keys


def _leave_out(found: Iterable[tuple[DraftField, str]], taken: Sequence[Box]) -> FoundFields:
    """Leave out what is for other uses, what is no sound field, and what overlaps another.

    Of two that overlap, that with more boxes stays, or else the smaller one: the other may be a
    frame round it.
    """
    listed = list(found)
    order = sorted(
        range(len(listed)),
        key=lambda n: (-(listed[n][0].cells or 0), listed[n][0].box[2] * listed[n][0].box[3]),
    )
    kept: dict[int, DraftField] = {}
    whys = {n: why for n, (_, why) in enumerate(listed) if why}
    for n in order:
        if n in whys:
            continue
        field = listed[n][0]
        for other in (*(DraftField(box, None, 0.0) for box in taken), *kept.values()):
            field = _trim(field, other.box)
        boxes = [*((box, "a marker") for box in taken)]
        boxes += [(one.box, f"'{one.name}'") for one in kept.values()]
        over = next((words for box, words in boxes if has_overlap(field.box, box)), "")
        if over:
            whys[n] = f"it overlaps {over}"
        elif not _is_sound(field):
            whys[n] = "it is too small for digits"
        else:
            kept[n] = field
    left_out = [LeftOutField(listed[n][0], whys[n]) for n in sorted(whys)]
    return FoundFields([kept[n] for n in sorted(kept)], left_out)


def _trim(field: DraftField, other: Box) -> DraftField:
    """Make a field a little smaller where it overlaps a box."""
    if not has_overlap(field.box, other):
        return field
    box = list(field.box)
    depths = []
    for n in (0, 1):
        low = other[n] + other[n + 2] - box[n]
        high = box[n] + box[n + 2] - other[n]
        depths.append((min(low, high), n, low < high))
    depth, n, at_start = min(depths, key=lambda one: one[0] / box[one[1] + 2])
    depth = round(max(depth - MAX_OVERLAP_MM / 2, 0), 2)
    if depth > MAX_TRIMMED * box[n + 2]:
        return field
    box[n] = round(box[n] + depth * at_start, 2)
    box[n + 2] = round(box[n + 2] - depth, 2)
    return field._replace(box=(box[0], box[1], box[2], box[3]))


def _is_sound(field: DraftField) -> bool:
    try:
        Field.model_validate(make_field_keys(field, "a"))
    except ValidationError:
        return False
    return True
