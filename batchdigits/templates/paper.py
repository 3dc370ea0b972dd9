"""Draw a template as a blank form to print: a vector PDF with its boxes at their places."""

import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime

import cv2
import numpy as np
from fpdf import FPDF

from batchdigits.templates.boxes import Box, has_overlap
from batchdigits.templates.hints import HINT_GREY_LEVEL, list_hints
from batchdigits.templates.template import Form, Template

LINE_WIDTH_MM = 0.35
"""Width of a box's line, mm. The middle of the line is the box's edge."""
TITLE_POINTS, LABEL_POINTS, MIN_TEXT_POINTS = 14, 8, 5
"""Sizes of type, points."""
CAPITAL_SHARE = 0.72
"""Height of a capital or a digit, as a share of the size of the type."""
MM_PER_POINT = 25.4 / 72
"""Length of a point, mm."""
SEPARATOR_SHARE = 0.6
"""Size of the type of a separator, as a share of the height of its field."""
LABEL_SPACE_MM = 1.0
"""Distance between a label and its box, mm."""


def draw_blank_form(template: Template) -> bytes:
    """Draw a blank form as a PDF of one page, with markers, boxes, labels and the form's name.

    Separators stand between the groups of a field, and light letters in the boxes of a date.

    Boxes are separate where the template has a gap: digits in separate boxes are read better than
    digits in combs (Garris: "Teaching computers to read handprinted paragraphs", NISTIR 5894,
    1996).

    Args:
        template: its reference is not used.
    """
    form = template.form
    sheet = _FormSheet(template)
    for marker in form.effective_markers:
        for bar in _find_black_bars(marker.box, compute_marker_bits(form, marker.id)):
            sheet.pdf.rect(*bar, style="F")
    for field in template.fields:
        for box in field.boxes():
            sheet.pdf.rect(*box)
        for box in field.group_gaps() if field.separator else ():
            sheet.write_inside(field.separator or "", box, SEPARATOR_SHARE)
        for letter, box in list_hints(field):
            sheet.write_inside(letter, box, 1.0, HINT_GREY_LEVEL)
    for field in template.fields:
        sheet.write_label(field.label or field.name.replace("_", " "), field.box)
    sheet.write_line(form.name, TITLE_POINTS, at_top=True)
    sheet.write_line(f"{form.name}, page 1 of 1", LABEL_POINTS, at_top=False)
    return bytes(sheet.pdf.output())


def list_replaced_texts(template: Template) -> list[tuple[str, str]]:
    """Return the texts of a form that are printed otherwise, each with what is printed."""
    texts = [template.form.name]
    for field in template.fields:
        texts += [one for one in (field.label, field.separator) if one is not None]
    pairs = [(text, convert_to_latin1(text)) for text in dict.fromkeys(texts)]
    return [(text, printed) for text, printed in pairs if text != printed]


def convert_to_latin1(text: str) -> str:
    """Convert text to the letters of a PDF's own fonts, Western Europe's; others become `?`."""
    latin = (one if one.encode("latin-1", "ignore") else _remove_accents(one) for one in text)
    return "".join(latin).encode("latin-1", "replace").decode("latin-1")


def _remove_accents(letter: str) -> str:
    """Return a letter without its accents."""
    return unicodedata.normalize("NFKD", letter)[0]


def compute_marker_bits(form: Form, number: int) -> np.ndarray:
    """Return a marker's squares with its black border: bool, (N, N), true is black."""
    side = int(form.dictionary[0])
    name = f"DICT_{side}X{side}_1000"
    dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, name))
    picture = cv2.aruco.generateImageMarker(dictionary, number, side + 2)
    return np.asarray(picture == 0)


def _find_black_bars(box: Box, black: np.ndarray) -> Iterator[Box]:
    """Yield a marker's black bars, one for each run of black squares in a row."""
    x, y, width, height = box
    high, wide = height / len(black), width / len(black)
    for row, line in enumerate(black):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], line, [False]]).astype(np.int8)))
        for start, end in edges.reshape(-1, 2).tolist():
            yield x + start * wide, y + row * high, (end - start) * wide, high


class _FormSheet:
    """A page on which text is written where there is room."""

    def __init__(self, template: Template) -> None:
        form = template.form
        self.wide, self.high = form.size
        self.taken = [field.box for field in template.fields] + [
            one.box for one in form.effective_markers
        ]
        self.pdf = FPDF(unit="mm", format=form.size)
        self.pdf.set_auto_page_break(False)
        self.pdf.set_title(form.name)
        self.pdf.set_creation_date(datetime(2000, 1, 1, tzinfo=UTC))  # the same bytes on any day
        self.pdf.add_page()
        self.pdf.set_line_width(LINE_WIDTH_MM)

    def write_label(self, text: str, box: Box) -> None:
        """Write a field's label above its box, below it, or beside it."""
        x, y, width, height = box
        text = convert_to_latin1(text)
        for size in (LABEL_POINTS, MIN_TEXT_POINTS):
            wide, high = self._measure_text(text, size)
            level = y + (height - high) / 2
            for place in (
                (x, y - high - LABEL_SPACE_MM),
                (x, y + height + LABEL_SPACE_MM),
                (x - wide - 2 * LABEL_SPACE_MM, level),
                (x + width + 2 * LABEL_SPACE_MM, level),
            ):
                if self._write_if_free(text, size, place):
                    return

    def write_inside(self, text: str, box: Box, share: float, grey_level: int = 0) -> None:
        """Write a sign in the middle of a box, on a line that suits digits as high as the box.

        Args:
            text: the sign.
            box: where, mm.
            share: size of the type, as a share of the box's height.
            grey_level: 0 for black, 255 for white.
        """
        x, y, width, height = box
        text = convert_to_latin1(text)
        wide, high = self._measure_text(text, share * height / MM_PER_POINT)
        self.pdf.set_text_color(grey_level)
        self.pdf.text(x + (width - wide) / 2, y + (height + CAPITAL_SHARE * high) / 2, text)
        self.pdf.set_text_color(0)

    def write_line(self, text: str, size: float, *, at_top: bool) -> None:
        """Write a line centred between left and right, as near to the top or bottom as possible."""
        text = convert_to_latin1(text)
        while (
            size > MIN_TEXT_POINTS
            and self._measure_text(text, size)[0] > self.wide - 4 * LABEL_SPACE_MM
        ):
            size -= 1
        wide, high = self._measure_text(text, size)
        for down in np.arange(high, self.high / 4, LABEL_SPACE_MM).tolist():
            top = down if at_top else self.high - high - down
            if self._write_if_free(text, size, ((self.wide - wide) / 2, top)):
                return

    def _measure_text(self, text: str, size: float) -> tuple[float, float]:
        self.pdf.set_font("Helvetica", size=size)
        return self.pdf.get_string_width(text), size * MM_PER_POINT

    def _write_if_free(self, text: str, size: float, place: tuple[float, float]) -> bool:
        """Write text with its top left corner at a place; return False if something is there."""
        wide, high = self._measure_text(text, size)
        left, top = place
        box = (left, top, wide, high)
        inside = left >= 0 and top >= 0 and left + wide <= self.wide and top + high <= self.high
        if not inside or any(has_overlap(box, other) for other in self.taken):
            return False
        self.pdf.text(left, top + 0.8 * high, text)
        self.taken.append(box)
        return True
