"""Pictures for fixtures, drawn with OpenCV's fonts alone: digits, numbers, forms.

They need no data set and nothing of the package, so that they stay the same whatever it becomes.
All are grey, uint8, shape (height, width), dark ink on white; the same seed gives the same picture.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Grey = NDArray[np.uint8]
Box = tuple[float, float, float, float]
"""x, y, width, height."""

FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX)
SCRIPT = cv2.FONT_HERSHEY_SCRIPT_COMPLEX
WHITE, BLACK, LINE = 255, 0, 70
DPI = 150
MM = DPI / 25.4
"""Pixels a millimetre of a form."""
DAY = time.gmtime(1_735_689_600)
"""When all PDFs were made, so that they are the same each time."""


def draw_digit(digit: int, seed: int, side: int = 28) -> Grey:
    """Draw one digit in the middle of a square picture, each seed in another place and font."""
    random = np.random.default_rng((digit, seed))
    canvas = np.full((112, 112), WHITE, np.uint8)
    place = (25 + int(random.integers(0, 12)), 80 + int(random.integers(0, 12)))
    thick = int(random.integers(4, 8))
    font = FONTS[seed % len(FONTS)]
    cv2.putText(canvas, str(digit), place, font, 2.4, BLACK, thick, cv2.LINE_AA)
    return np.asarray(cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def draw_scribble() -> Grey:
    """Draw ink that is no digit: two crossing waves."""
    canvas = np.full((56, 56), WHITE, np.uint8)
    turns = np.linspace(0, 6 * np.pi, 60)
    wave = np.column_stack([4 + np.linspace(0, 48, 60), 28 + 20 * np.sin(turns)])
    for curve in (wave, wave[:, ::-1]):
        points = np.rint(curve).astype(np.int32)
        cv2.polylines(canvas, [points], False, (BLACK,), 2, cv2.LINE_AA)
    return canvas


def draw_dot(side: int = 56) -> Grey:
    """Draw a mark that is too small for a digit."""
    return np.asarray(cv2.circle(np.full((side, side), WHITE, np.uint8), (38, 42), 3, (BLACK,), -1))


def draw_number(text: str, font: int = SCRIPT, gap: int = 2) -> Grey:
    """Write digits, points and spaces on a strip 56 px high, `gap` px apart."""
    strip = np.full((56, 40 + 40 * len(text)), WHITE, np.uint8)
    x = 14
    for sign in text:
        cv2.putText(strip, sign, (x, 44), font, 1.4, BLACK, 3, cv2.LINE_AA)
        x += cv2.getTextSize(sign, font, 1.4, 3)[0][0] + gap
    return strip[:, : x + 12]


def draw_comb(text: str, wide: int = 44) -> Grey:
    """Write a number into adjoining boxes, a digit a box; a space leaves one empty."""
    strip = np.full((56, 12 + wide * len(text)), WHITE, np.uint8)
    for at, sign in enumerate(text):
        left = 6 + wide * at
        cv2.rectangle(strip, (left, 3), (left + wide, 52), LINE, 2)
        write_in(strip, (left, 3, wide, 49), sign, FONTS[at % 2])
    return strip


def write_in(page: Grey, box: Box, text: str, font: int = FONTS[0]) -> None:
    """Write text into the middle of a box, given in pixels, as high as 0.55 of it."""
    x, y, wide, high = box
    scale = 0.55 * high / 22
    (width, height), _ = cv2.getTextSize(text, font, scale, 1)
    place = (round(x + (wide - width) / 2), round(y + (high + height) / 2))
    thick = max(2, round(high / 16))
    cv2.putText(page, text, place, font, scale, BLACK, thick, cv2.LINE_AA)


def fill_form(
    blank: Grey, boxes: Mapping[str, Sequence[Box]], values: Mapping[str, str], seed: int
) -> Grey:
    """Write values into the boxes of a blank form.

    Args:
        blank: the form, at `DPI`.
        boxes: of each field, in millimetres.
        values: by field, a sign a box, or all of them where there is one box; spaces leave boxes
            empty.
        seed: chooses the fonts.
    """
    page = blank.copy()
    for name, value in values.items():
        signs = [value] if len(boxes[name]) == 1 else list(value)
        for at, (box, sign) in enumerate(zip(boxes[name], signs, strict=True)):
            inner = (box[0] * MM, box[1] * MM, box[2] * MM, box[3] * MM)
            write_in(page, inner, sign, FONTS[(seed + at) % len(FONTS)])
    return page


def draw_undescribed() -> Grey:
    """Draw a page of boxes that no template describes: a row, a wide box, a table with headings."""
    page = np.full((round(210 * MM), round(148 * MM)), WHITE, np.uint8)
    for at, sign in enumerate("40917"):
        _frame(page, (20 + 9 * at, 30, 9, 11), sign)
    _frame(page, (20, 55, 45, 11), "2586")
    _frame(page, (80, 55, 45, 11), "")
    for row, line in enumerate((("May", "June", "July"), ("12", "7", "305"), ("48", "", "91"))):
        for column, text in enumerate(line):
            _frame(page, (20 + 30 * column, 85 + 12 * row, 30, 12), text)
    return page


def _frame(page: Grey, box: Box, text: str) -> None:
    """Draw a box, given in millimetres, and write into it."""
    x, y, wide, high = (side * MM for side in box)
    cv2.rectangle(page, (round(x), round(y)), (round(x + wide), round(y + high)), BLACK, 2)
    write_in(page, (x, y, wide, high), text)


def save_png(place: Path, picture: Grey) -> None:
    """Write a picture as PNG."""
    place.write_bytes(cv2.imencode(".png", picture)[1].tobytes())


def save_pages(place: Path, pages: Sequence[Grey]) -> None:
    """Write pages in black and white: a TIFF or a PDF, both packed as faxes are."""
    first, *others = [
        Image.fromarray(page).convert("1", dither=Image.Dither.NONE) for page in pages
    ]
    more = {"save_all": True, "append_images": others}
    if place.suffix == ".pdf":
        first.save(place, "PDF", resolution=DPI, creationDate=DAY, modDate=DAY, **more)
    else:
        first.save(place, "TIFF", compression="group4", dpi=(DPI, DPI), **more)
