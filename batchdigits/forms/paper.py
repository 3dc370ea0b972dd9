"""A template becomes a blank form to print: a vector PDF, its boxes where the template has them."""

from collections.abc import Iterator
from datetime import UTC, datetime

import cv2
import numpy as np
from fpdf import FPDF

from batchdigits.forms.template import Box, Field, Form, Template, overlap

LINE = 0.35
"""Width of a box's line, mm; its middle runs along the box's edge."""
TITLE, LABEL = 14, 8
"""Sizes of type, points."""
POINT = 25.4 / 72
"""mm."""
SPACE = 1.0
"""Between a label and its box, mm."""


def printed(template: Template) -> bytes:
    """Draw a blank form as a PDF of one page: markers, boxes, labels, the form's name.

    Boxes are separate where the template has a gap: digits in separate boxes are read better than
    digits in combs (Garris: "Teaching computers to read handprinted paragraphs", NISTIR 5894,
    1996).

    Args:
        template: its reference is not looked at.
    """
    form = template.form
    pdf = FPDF(unit="mm", format=form.size)
    pdf.set_auto_page_break(False)
    pdf.set_title(form.name)
    pdf.set_creation_date(datetime(2000, 1, 1, tzinfo=UTC))  # the same bytes on every day
    pdf.add_page()
    pdf.set_line_width(LINE)
    for marker in form.marks:
        for x, y, wide, high in _squares(marker.box, bits(form, marker.id)):
            pdf.rect(x, y, wide, high, style="F")
    for field in template.fields:
        for box in field.boxes():
            pdf.rect(*box)
    taken = [field.box for field in template.fields] + [marker.box for marker in form.marks]
    for field in template.fields:
        _label(pdf, field, form, taken)
    _line(pdf, form, form.name, TITLE, taken, from_top=True)
    _line(pdf, form, f"{form.name}, page 1 of 1", LABEL, taken, from_top=False)
    return bytes(pdf.output())


def bits(form: Form, number: int) -> np.ndarray:
    """Give a marker's squares, its black border included: bool, shape (N, N), true is black."""
    side = int(form.dictionary[0])
    name = f"DICT_{side}X{side}_1000"
    dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, name))
    picture = cv2.aruco.generateImageMarker(dictionary, number, side + 2)
    return np.asarray(picture == 0)


def _squares(box: Box, black: np.ndarray) -> Iterator[Box]:
    """Cut a marker's black squares into bars, one for each run within a row."""
    x, y, width, height = box
    high, wide = height / len(black), width / len(black)
    for row, line in enumerate(black):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], line, [False]]).astype(np.int8)))
        for start, end in edges.reshape(-1, 2).tolist():
            yield x + start * wide, y + row * high, (end - start) * wide, high


def _label(pdf: FPDF, field: Field, form: Form, taken: list[Box]) -> None:
    """Write a field's name above its box, or below, or beside it: where there is room."""
    text = field.name.replace("_", " ")
    pdf.set_font("Helvetica", size=LABEL)
    wide, high = pdf.get_string_width(text), LABEL * POINT
    x, y, width, height = field.box
    for left, top in (
        (x, y - high - SPACE),
        (x, y + height + SPACE),
        (x - wide - 2 * SPACE, y + (height - high) / 2),
        (x + width + 2 * SPACE, y + (height - high) / 2),
    ):
        place = (left, top, wide, high)
        on_page = left >= 0 and top >= 0 and left + wide <= form.size[0]
        if on_page and not any(overlap(place, other) for other in taken):
            pdf.text(left, top + 0.8 * high, text)
            taken.append(place)
            return


def _line(
    pdf: FPDF, form: Form, text: str, size: float, taken: list[Box], *, from_top: bool
) -> None:
    """Write a line in the middle of the page, as near to its top or bottom as there is room."""
    pdf.set_font("Helvetica", size=size)
    wide, high = pdf.get_string_width(text), size * POINT
    left = (form.size[0] - wide) / 2
    tops = np.arange(high, form.size[1] / 4, 1.0)
    for top in tops.tolist() if from_top else (form.size[1] - high - tops).tolist():
        place = (left, top, wide, high)
        if left > 0 and not any(overlap(place, other) for other in taken):
            pdf.text(left, top + 0.8 * high, text)
            return
