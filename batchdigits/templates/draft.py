"""The picture of a blank form becomes a template to edit: its boxes, grouped into fields."""

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
"""A box alone that is so many times wider than high is for a number written freely."""
MIN_GAP_MM = 0.25
"""Boxes less than this apart, mm, share a line."""
MAX_FIELD_BOXES = 64
"""Most boxes of one field that a template takes."""

BoxArray = NDArray[np.float64]
"""(N, 4): x, y, width, height, mm."""


class DraftField(NamedTuple):
    """A field as it was found.

    Attributes:
        box: of the whole field, mm.
        cells: boxes in a row; None for a number written freely.
        gap: between them, mm.
    """

    box: Box
    cells: int | None
    gap: float


class Draft(NamedTuple):
    """A form as it was found.

    Attributes:
        size: of the paper, mm.
        fields: in reading order.
        dictionary: of the markers.
        markers: three or more, or none.
        grey: the picture, laid straight: uint8, as large as it was.
        turned: by how many degrees it had to be turned back; 0 where it was straight.
    """

    size: tuple[float, float]
    fields: list[DraftField]
    dictionary: str
    markers: list[Marker]
    grey: GreyImage
    turned: float


def draft_template(grey: GreyImage, size: tuple[float, float]) -> Draft:
    """Find what a template needs to say of a blank form.

    Args:
        grey: the blank form, uint8, (height, width), upright, dark lines on light paper; turned by
            12 degrees at most.
        size: width and height of the paper in it, mm.
    """
    turned = measure_skew(grey, size)
    turned = turned if abs(turned) >= MIN_SKEW_DEGREES else 0.0
    straight = deskew_page(grey, turned) if turned else grey
    dictionary, marks = detect_form_markers(straight, size)
    return Draft(size, find_fields(straight, size), dictionary, marks, straight, turned)


def find_fields(grey: GreyImage, size: tuple[float, float]) -> list[DraftField]:
    """Find boxes and the fields they are, in reading order, as pages without a template are read.

    A table's cells are fields of their own, but for those that hold a printed label.

    Args:
        grey: as for `draft_template`, and straight.
        size: width and height of the paper in it, mm.
    """
    scale = np.array(size) / grey.shape[::-1]
    out = []
    for group in layout.find(grey):
        boxes = _fit_upright_boxes((group.boxes + 0.5) * scale)
        if group.kind == "boxes":
            out += [
                _draft_field(boxes[n : n + MAX_FIELD_BOXES], size)
                for n in range(0, len(boxes), MAX_FIELD_BOXES)
            ]
        else:
            single = zip(boxes, group.printed, strict=True)
            out += [_draft_field(box[None], size) for box, printed in single if not printed]
    return out


def _fit_upright_boxes(quads: NDArray[np.float64]) -> BoxArray:
    """Give the upright boxes of corners (N, 4, 2), mm."""
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
    """Write a template as TOML, its fields named by their order, for a person to edit.

    Args:
        name: of the form.
        draft: what was found of it.
        reference: the picture of the blank form, straight, as seen from the template's folder.
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
    """Write a TOML string: JSON's, but for one character that JSON leaves as it is."""
    return json.dumps(words, ensure_ascii=False).replace("\x7f", "\\u007f")


def _format_toml_list(numbers: Sequence[float]) -> str:
    return f"[{', '.join(f'{round(number, 2):g}' for number in numbers)}]"
