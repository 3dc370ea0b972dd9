"""The picture of a blank form becomes a template to edit: its boxes, grouped into fields."""

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits import layout
from batchdigits.records import Grey
from batchdigits.templates.straight import LEAST, angle, markers, straightened
from batchdigits.templates.template import Box, Marker

WIDE = 1.8
"""A box alone that is so many times wider than high is for a number written freely."""
SHARED = 0.25
"""Boxes less than this apart, mm, share a line."""
CELLS = 64
"""Most boxes of one field that a template takes."""

Boxes = NDArray[np.float64]
"""(N, 4): x, y, width, height, mm."""


class Drafted(NamedTuple):
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
    fields: list[Drafted]
    dictionary: str
    markers: list[Marker]
    grey: Grey
    turned: float


def drafted(grey: Grey, size: tuple[float, float]) -> Draft:
    """Find what a template needs to say of a blank form.

    Args:
        grey: the blank form, uint8, (height, width), upright, dark lines on light paper; turned by
            12 degrees at most.
        size: width and height of the paper in it, mm.
    """
    turned = angle(grey, size)
    turned = turned if abs(turned) >= LEAST else 0.0
    straight = straightened(grey, turned) if turned else grey
    dictionary, marks = markers(straight, size)
    return Draft(size, fields(straight, size), dictionary, marks, straight, turned)


def fields(grey: Grey, size: tuple[float, float]) -> list[Drafted]:
    """Find boxes and the fields they are, in reading order, as pages without a template are read.

    A table's cells are fields of their own, but for those that hold a printed label.

    Args:
        grey: as for `drafted`, and straight.
        size: width and height of the paper in it, mm.
    """
    scale = np.array(size) / grey.shape[::-1]
    out = []
    for group in layout.find(grey):
        boxes = _upright((group.boxes + 0.5) * scale)
        if group.kind == "boxes":
            out += [_field(boxes[n : n + CELLS], size) for n in range(0, len(boxes), CELLS)]
        else:
            single = zip(boxes, group.printed, strict=True)
            out += [_field(box[None], size) for box, printed in single if not printed]
    return out


def _upright(quads: NDArray[np.float64]) -> Boxes:
    """Give the upright boxes of corners (N, 4, 2), mm."""
    ends = np.sort(quads, axis=1)
    low, high = ends[:, :2].mean(axis=1), ends[:, 2:].mean(axis=1)
    return np.hstack([low, high - low])


def _gaps(row: Boxes) -> NDArray[np.float64]:
    return np.asarray(row[1:, 0] - row[:-1, 0] - row[:-1, 2])


def _field(row: Boxes, size: tuple[float, float]) -> Drafted:
    left, top = max(0.0, float(row[0, 0])), max(0.0, float(np.median(row[:, 1])))
    right = min(size[0], row[-1, 0] + row[-1, 2])
    bottom = min(size[1], top + float(np.median(row[:, 3])))
    x, y, wide, high = (round(float(side), 2) for side in (left, top, right - left, bottom - top))
    if len(row) == 1 and row[0, 2] >= WIDE * row[0, 3]:
        return Drafted((x, y, wide, high), None, 0.0)
    gap = round(float(_gaps(row).mean()), 2) if len(row) > 1 else 0.0
    return Drafted((x, y, wide, high), len(row), gap if gap >= SHARED else 0.0)


def text(name: str, draft: Draft, reference: str | None = None) -> str:
    """Write a template as TOML, its fields named by their order, for a person to edit.

    Args:
        name: of the form.
        draft: what was found of it.
        reference: the picture of the blank form, straight, as seen from the template's folder.
    """
    anchor = "markers" if draft.markers else "image" if reference is not None else "page"
    lines = ["[form]", f"name = {_quoted(name)}", f"size = {_listed(draft.size)}"]
    lines.append(f'anchor = "{anchor}"')
    if reference is not None:
        lines.append(f"reference = {_quoted(reference)}")
    if draft.markers:
        lines.append(f'dictionary = "{draft.dictionary}"')
    for marker in draft.markers:
        lines += ["", "[[form.markers]]", f"id = {marker.id}", f"box = {_listed(marker.box)}"]
    for number, field in enumerate(draft.fields, 1):
        lines += ["", "[[field]]", f'name = "field_{number:03}"', f"box = {_listed(field.box)}"]
        if field.cells is not None:
            lines.append(f"cells = {field.cells}")
        if field.gap:
            lines.append(f"gap = {field.gap:g}")
    return "\n".join(lines) + "\n"


def _quoted(words: str) -> str:
    """Write a TOML string: JSON's, but for one character that JSON leaves as it is."""
    return json.dumps(words, ensure_ascii=False).replace("\x7f", "\\u007f")


def _listed(numbers: Sequence[float]) -> str:
    return f"[{', '.join(f'{round(number, 2):g}' for number in numbers)}]"
