"""What print and pens leave on a page: text in several fonts, lines of all kinds, hands, pictures.

A sheet is grey, at `FINE` pixels a millimetre; places and sizes are millimetres from its top left.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Grey = NDArray[np.uint8]
Digits = Mapping[int, NDArray[np.uint8]]
"""Label → pictures (N, 28, 28), ink light."""
Box = tuple[float, float, float, float]
"""x, y, width, height, mm."""

DPI = 300
FINE = DPI / 25.4
"""Pixels a millimetre."""
FACES = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSerif-Italic", "DejaVuSansMono"),
    *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "cmr10", "cmss10", "cmtt10"),
)
"""Fonts that matplotlib brings."""
PLAIN = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX)
HANDS = (cv2.FONT_HERSHEY_SCRIPT_SIMPLEX, cv2.FONT_HERSHEY_SCRIPT_COMPLEX)
_SHARP = 4
"""Bits of a pixel's fraction."""


class Pen(NamedTuple):
    """How lines are drawn.

    Attributes:
        width: mm.
        grey: level, 0 to 255.
        dash: length of a dash and of the gap after it, mm; None for a whole line.
        wave: how far a line drawn by hand leaves the ruler's, mm.
    """

    width: float
    grey: int
    dash: tuple[float, float] | None = None
    wave: float = 0.0


@cache
def _face(name: str, size: int) -> ImageFont.FreeTypeFont:
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf" / f"{name}.ttf", size)


def text(  # noqa: PLR0913, PLR0917 - what is printed, where, and how
    sheet: Grey, place: tuple[float, float], words: str, high: float, font: str | int, grey: int = 0
) -> float:
    """Print words, their top left at `place`, capitals `high` mm; returns their width, mm."""
    if isinstance(font, int):
        scale = high * FINE / 22
        thick = max(1, round(high * FINE / 14))
        at = (round(place[0] * FINE), round((place[1] + high) * FINE))
        cv2.putText(sheet, words, at, font, scale, grey, thick, cv2.LINE_AA)
        return float(cv2.getTextSize(words, font, scale, thick)[0][0] / FINE)
    face = _face(font, round(high * FINE / 0.72))
    left, top, right, bottom = face.getbbox(words)
    picture = Image.new("L", (int(right) + 4, int(bottom) + 4))
    ImageDraw.Draw(picture).text((0, 0), words, 255, font=face)
    ink = np.asarray(picture)[int(top) :, max(0, int(left)) :]
    _stain(sheet, place, ink.astype(np.float32) / 255 * (1 - grey / 255))
    return float(right / FINE)


def _stain(sheet: Grey, place: tuple[float, float], dark: NDArray[np.float32]) -> None:
    """Darken a part of a sheet: `dark` is the share of light taken away."""
    x, y = round(place[0] * FINE), round(place[1] * FINE)
    cut = dark[max(0, -y) :, max(0, -x) :]
    part = sheet[max(0, y) : max(0, y) + cut.shape[0], max(0, x) : max(0, x) + cut.shape[1]]
    part[:] = (part * (1 - cut[: part.shape[0], : part.shape[1]])).astype(np.uint8)


def line(
    sheet: Grey,
    ends: Sequence[tuple[float, float]],
    pen: Pen,
    random: np.random.Generator,
) -> None:
    """Draw a straight line, or what a hand makes of one."""
    start, end = np.array(ends, np.float64)
    length = float(np.linalg.norm(end - start))
    share = np.linspace(0, 1, max(2, int(length / 2)) if pen.wave else 2)[:, None]
    points = start + share * (end - start)
    if pen.wave:
        across = np.array([start[1] - end[1], end[0] - start[0]]) / max(length, 1e-6)
        phase, turns = random.uniform(0, 2 * np.pi), random.uniform(0.5, 1.5)
        points = points + across * pen.wave * np.sin(2 * np.pi * turns * share + phase)
    pieces = [points]
    if pen.dash:
        begins = np.arange(0, length, sum(pen.dash))
        along = (end - start) / max(length, 1e-6)
        pieces = [np.array([start + b * along, start + (b + pen.dash[0]) * along]) for b in begins]
    curves = [np.rint((piece * FINE - 0.5) * 2**_SHARP).astype(np.int32) for piece in pieces]
    thick = max(1, round(pen.width * FINE))
    cv2.polylines(sheet, curves, False, (pen.grey,), thick, cv2.LINE_AA, _SHARP)


def frame(sheet: Grey, box: Box, pen: Pen, random: np.random.Generator) -> None:
    """Draw the four sides of a box."""
    x, y, wide, high = box
    ends = ((x, y), (x + wide, y), (x + wide, y + high), (x, y + high))
    for n in range(4):
        line(sheet, (ends[n], ends[(n + 1) % 4]), pen, random)


def digit(sheet: Grey, box: Box, picture: Grey, dark: float, random: np.random.Generator) -> None:
    """Write a digit into a box: of varied size and place, now and then over its line."""
    x, y, wide, high = box
    rows, columns = (np.flatnonzero(picture.max(axis=axis) > 40) for axis in (1, 0))
    trimmed = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    tall = min(high, 1.4 * wide) * random.uniform(0.55, 0.9) * FINE / 20
    ink = cv2.resize(trimmed, None, fx=tall, fy=tall)
    ink = np.clip((ink.astype(np.float32) - 40) / 140, 0, 1) * dark
    room = np.array([wide, high]) - np.array(ink.shape[::-1]) / FINE
    share = np.clip(random.normal(0.5, 0.16, 2), -0.05, 1.05)
    _stain(sheet, (x + room[0] * share[0], y + room[1] * share[1]), ink)


def number(  # noqa: PLR0913, PLR0917 - what is written, where, and how
    sheet: Grey, box: Box, value: str, digits: Digits, dark: float, random: np.random.Generator
) -> None:
    """Write a number freely into a box."""
    x, y, wide, high = box
    step = min(0.9 * wide / len(value), 0.72 * high)
    left = x + random.uniform(0.15, 0.85) * (wide - step * len(value))
    for n, sign in enumerate(value):
        kind = digits[int(sign)]
        place = (left + n * step, y + 0.04 * high, step, 0.92 * high)
        digit(sheet, place, kind[random.integers(len(kind))], dark, random)


def name(sheet: Grey, box: Box, words: str, grey: int, random: np.random.Generator) -> None:
    """Write words by hand into a box, as large as fit."""
    x, y, wide, high = box
    font = HANDS[random.integers(len(HANDS))]
    tall = min(random.uniform(0.45, 0.7) * high, 9)
    width = cv2.getTextSize(words, font, tall * FINE / 22, 2)[0][0] / FINE
    tall *= min(1, 0.9 * wide / width)
    thick = int(random.integers(2, 5))
    at = (round((x + 0.05 * wide) * FINE), round((y + random.uniform(0.7, 0.85) * high) * FINE))
    cv2.putText(sheet, words, at, font, tall * FINE / 22, grey, thick, cv2.LINE_AA)


def scrawl(sheet: Grey, box: Box, grey: int, random: np.random.Generator) -> None:
    """Sign in a box."""
    x, y, wide, high = box
    steps = np.linspace(0, 1, 60)
    up = np.sin(steps * random.uniform(20, 45) + random.uniform(0, 6)) * random.uniform(0.1, 0.35)
    up += 0.15 * np.sin(steps * random.uniform(3, 9))
    across = 0.1 + 0.75 * steps + 0.05 * np.cos(steps * 30)
    curve = np.column_stack([x + wide * across, y + high * (0.5 + up)]) * FINE
    cv2.polylines(sheet, [np.rint(curve).astype(np.int32)], False, (grey,), 4, cv2.LINE_AA)


def tick(sheet: Grey, box: Box, grey: int, random: np.random.Generator) -> None:
    """Tick or cross a box."""
    x, y, wide, high = box
    tick_ = [(0.15, 0.55), (0.4, 0.9), (0.95, 0.0)]
    cross = [(0.1, 0.1), (0.9, 0.9), (0.5, 0.5), (0.9, 0.1), (0.1, 0.9)]
    shape = np.array(tick_ if random.random() < 0.5 else cross) + random.normal(0, 0.06, 2)
    curve = (np.array([x, y]) + shape * [wide, high]) * FINE
    cv2.polylines(sheet, [np.rint(curve).astype(np.int32)], False, (grey,), 5, cv2.LINE_AA)


def paste(sheet: Grey, place: tuple[float, float], picture: Grey) -> None:
    """Print a picture, given at the sheet's own scale."""
    _stain(sheet, place, 1 - picture.astype(np.float32) / 255)


def bars(size: tuple[float, float], random: np.random.Generator) -> Grey:
    """Draw a bar code of so many millimetres."""
    wide, high = (round(side * FINE) for side in size)
    module = max(3, round(random.uniform(0.25, 0.5) * FINE))
    pattern = random.integers(0, 2, wide // module + 1).astype(np.uint8)
    row = np.repeat(1 - pattern, module)[:wide] * 255
    return np.tile(row.astype(np.uint8), (high, 1))


def square_code(side: float, random: np.random.Generator) -> Grey:
    """Draw a QR code, or an ArUco marker, of so many millimetres."""
    pixels = round(side * FINE)
    if random.random() < 0.5:
        kind = cv2.aruco.getPredefinedDictionary(int(random.choice([0, 4, 8, 12])))
        return np.asarray(kind.generateImageMarker(int(random.integers(50)), pixels), np.uint8)
    words = "https://example.org/" + "".join(map(str, random.integers(0, 10, 12)))
    code = cv2.QRCodeEncoder.create().encode(words)
    return np.asarray(cv2.resize(code, (pixels, pixels), interpolation=cv2.INTER_NEAREST), np.uint8)


def photograph(size: tuple[float, float], random: np.random.Generator) -> Grey:
    """Make up a picture: soft shades, and things with edges."""
    wide, high = (round(side * FINE) for side in size)
    soft = random.integers(40, 240, (5, 5)).astype(np.uint8)
    picture = cv2.resize(soft, (wide, high), interpolation=cv2.INTER_CUBIC)
    for _ in range(int(random.integers(2, 14))):
        shade = int(random.integers(0, 256))
        low = random.uniform(0, 1, 2) * [wide, high]
        size_ = random.uniform(0.05, 0.4, 2) * [wide, high]
        start, end = (tuple(map(int, one)) for one in (low, low + size_))
        if random.random() < 0.5:
            cv2.rectangle(picture, start, end, (shade,), -1)
        else:
            middle, axes = tuple(map(int, low)), tuple(map(int, size_ / 2))
            cv2.ellipse(picture, middle, axes, random.uniform(0, 180), 0, 360, (shade,), -1)
    return np.asarray(picture, np.uint8)
