"""Draft a template from the picture of a blank form, for a person to edit."""

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits import layout
from batchdigits.records import GreyImage
from batchdigits.templates.boxes import Box
from batchdigits.templates.straight import (
    MIN_SKEW_DEGREES,
    deskew_page,
    detect_form_markers,
    measure_skew,
)
from batchdigits.templates.template import Marker

MIN_FREE_NUMBER_ASPECT = 1.8
"""A lone box that is at least so many times wider than high is for a number written freely."""
MIN_GAP_MM = 0.25
"""Boxes that are less than this apart, mm, share a line."""
MAX_FIELD_BOXES = 64
"""Most boxes of a field that a template may have."""

BoxArray = NDArray[np.float64]
"""(N, 4): x, y, width, height, mm."""


class DraftField(NamedTuple):
    """A field as it was found.

    Attributes:
        box: the whole field, mm.
        cells: how many boxes in a row; None for a number written freely.
        gap: the distance between two boxes, mm.
    """

    box: Box
    cells: int | None
    gap: float


class Draft(NamedTuple):
    """A form as it was found.

    Attributes:
        size: width and height of the paper, mm.
        fields: in reading order.
        dictionary: the markers' squares, as in a template.
        markers: three or more, or none.
        grey: the picture laid straight, uint8, of the same size.
        turned: the angle by which it was turned back, degrees; 0 where it was straight.
    """

    size: tuple[float, float]
    fields: list[DraftField]
    dictionary: str
    markers: list[Marker]
    grey: GreyImage
    turned: float


def draft_template(grey: GreyImage, size: tuple[float, float]) -> Draft:
    """Draft a template: find the fields and markers of a blank form.

    Args:
        grey: the blank form, uint8, (height, width), upright, dark lines on light paper; skewed by
            12 degrees at most.
        size: width and height of the paper in it, mm.
    """
    turned = measure_skew(grey, size)
    turned = turned if abs(turned) >= MIN_SKEW_DEGREES else 0.0
    straight = deskew_page(grey, turned) if turned else grey
    dictionary, marks = detect_form_markers(straight, size)
    return Draft(size, find_fields(straight, size), dictionary, marks, straight, turned)


def find_fields(grey: GreyImage, size: tuple[float, float]) -> list[DraftField]:
    """Find the fields of a form, in reading order, as on a page without a template.

    Each cell of a table is a field, unless it holds a printed label.

    Args:
        grey: as for `draft_template`, but straight.
        size: width and height of the paper in it, mm.
    """
    scale = np.array(size) / grey.shape[::-1]
    fields = []
    for group in layout.find(grey):
        boxes = _fit_upright_boxes((group.boxes + 0.5) * scale)
        if group.kind == "boxes":
            fields += [
                _draft_field(boxes[n : n + MAX_FIELD_BOXES], size)
                for n in range(0, len(boxes), MAX_FIELD_BOXES)
            ]
        else:
            single = zip(boxes, group.printed, strict=True)
            fields += [_draft_field(box[None], size) for box, printed in single if not printed]
    return fields


def _fit_upright_boxes(quads: NDArray[np.float64]) -> BoxArray:
    """Return the upright boxes of N boxes, given by their corners (N, 4, 2), mm."""
    ends = np.sort(quads, axis=1)
    low, high = ends[:, :2].mean(axis=1), ends[:, 2:].mean(axis=1)
    return np.hstack([low, high - low])


def _measure_gaps(row: BoxArray) -> NDArray[np.float64]:
    return np.asarray(row[1:, 0] - row[:-1, 0] - row[:-1, 2])


def _draft_field(row: BoxArray, size: tuple[float, float]) -> DraftField:
    left, top = max(0.0, float(row[0, 0])), max(0.0, float(np.median(row[:, 1])))
    right = min(size[0], row[-1, 0] + row[-1, 2])
    bottom = min(size[1], top + float(np.median(row[:, 3])))
    x, y, wide, high = (round(float(side), 2) for side in (left, top, right - left, bottom - top))
    if len(row) == 1 and row[0, 2] >= MIN_FREE_NUMBER_ASPECT * row[0, 3]:
        return DraftField((x, y, wide, high), None, 0.0)
    gap = round(float(_measure_gaps(row).mean()), 2) if len(row) > 1 else 0.0
    return DraftField((x, y, wide, high), len(row), gap if gap >= MIN_GAP_MM else 0.0)


def format_template(name: str, draft: Draft, reference: str | None = None) -> str:
    """Format a draft as TOML, for a person to edit. Fields are named by their order.

    Args:
        name: the form's name.
        draft: what was found on the form.
        reference: the path of the straight picture, relative to the template's folder.
    """
    anchor = "markers" if draft.markers else "image" if reference is not None else "page"
    lines = [
        "[form]",
        f"name = {_format_toml_string(name)}",
        f"size = {_format_toml_list(draft.size)}",
    ]
    lines.append(f'anchor = "{anchor}"')
    if reference is not None:
        lines.append(f"reference = {_format_toml_string(reference)}")
    if draft.markers:
        lines.append(f'dictionary = "{draft.dictionary}"')
    for marker in draft.markers:
        lines += [
            "",
            "[[form.markers]]",
            f"id = {marker.id}",
            f"box = {_format_toml_list(marker.box)}",
        ]
    for number, field in enumerate(draft.fields, 1):
        lines += [
            "",
            "[[field]]",
            f'name = "field_{number:03}"',
            f"box = {_format_toml_list(field.box)}",
        ]
        if field.cells is not None:
            lines.append(f"cells = {field.cells}")
        if field.gap:
            lines.append(f"gap = {field.gap:g}")
    return "\n".join(lines) + "\n"


def _format_toml_string(words: str) -> str:
    """Return a TOML string: as in JSON, except for one character that JSON does not escape."""
    return json.dumps(words, ensure_ascii=False).replace("\x7f", "\\u007f")


def _format_toml_list(numbers: Sequence[float]) -> str:
    return f"[{', '.join(f'{round(number, 2):g}' for number in numbers)}]"
