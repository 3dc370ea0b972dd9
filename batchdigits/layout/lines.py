"""A page laid straight → its ink, and its ruled lines: whole, dotted, faint or bent."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import Grey

Ink = NDArray[np.uint8]
"""0 is paper, 255 is ink."""

BLOCK = 41
"""px of the neighbourhood that ink is darker than."""
CONTRAST, NOISE = 9, 4.0
"""Ink is so many grey levels darker than what surrounds it, and so many times the paper's grain."""
SHADE = 0.55
"""What has less than this share of the paper's light is ink however large it is: a black square."""
LONG = 13
"""px that the shortest line has: the side of a box of 4 mm at 100 dpi, less its corners."""
GAP, DOTS = 9, 27
"""px between dots of a line, and the least length of such a line."""
DOT = 12
"""px that a dot or a dash has at most."""
THIN = 7
"""px that a line of dots is thick at most."""
BRIDGED, WHOLE = 13, 40
"""px that may be missing from a line of so many px and more."""


class Lines(NamedTuple):
    """The ink of a page, and the lines in it.

    Attributes:
        ink: all of it, and between the dots of lines.
        level: lines across the page, a pixel thicker on either side.
        upright: lines down the page, likewise.
    """

    ink: Ink
    level: Ink
    upright: Ink


def lines(grey: Grey) -> Lines:
    """Find the lines of a page that lies straight, give or take four degrees.

    Args:
        grey: uint8, (height, width), dark ink on light paper.
    """
    ink = inked(grey)
    thick = cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((THIN + 1, THIN + 1), np.uint8))
    thin, dots = cv2.bitwise_and(ink, cv2.bitwise_not(thick)), _dots(ink)
    level, dotted = _ruled(ink, thin, dots, level=True)
    upright, dotted_too = _ruled(ink, thin, dots, level=False)
    return Lines(ink | dotted | dotted_too, level, upright)


def inked(grey: Grey) -> Ink:
    """Part ink from paper: what is darker than its neighbourhood, or dark altogether."""
    soft = cv2.GaussianBlur(grey, (3, 3), 0)
    around = cv2.blur(soft, (BLOCK, BLOCK), borderType=cv2.BORDER_REPLICATE)
    least = max(CONTRAST, NOISE * _grain(soft))
    dark = cv2.subtract(around, soft)
    paper = _paper(grey)
    black = cv2.compare(soft, cv2.multiply(paper, SHADE), cv2.CMP_LT)
    return np.asarray(cv2.compare(dark, least, cv2.CMP_GE) | black, np.uint8)


def _grain(soft: Grey) -> float:
    """Measure the grain of the paper, grey levels: the spread of what a blur takes away."""
    some = soft[::2, ::2]
    off = cv2.absdiff(some, cv2.medianBlur(some, 3))
    return 1.4826 * float(np.quantile(off[::3, ::3], 0.6))


def _paper(grey: Grey) -> Grey:
    """Say how light the paper is about each pixel, shadows included."""
    small = cv2.resize(grey, None, fx=1 / 16, fy=1 / 16, interpolation=cv2.INTER_AREA)
    side = max(3, min(small.shape) // 6) | 1
    light = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    return np.asarray(cv2.resize(cv2.blur(light, (5, 5)), grey.shape[::-1]), np.uint8)


def _dots(ink: Ink) -> Ink:
    """Keep what is as small as a dot or a dash."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    small = (stats[:, 2] <= DOT) & (stats[:, 3] <= DOT)
    small[0] = False
    return np.asarray(np.where(small, 255, 0).astype(np.uint8)[labels], np.uint8)


def _ruled(ink: Ink, thin: Ink, dots: Ink, *, level: bool) -> tuple[Ink, Ink]:
    """Keep long runs of ink in one direction, lines of dots, and what is missing between runs.

    Returns:
        All lines, and those of dots.
    """
    across = _bar(3, level=not level)
    runs = cv2.morphologyEx(cv2.dilate(ink, across), cv2.MORPH_OPEN, _bar(LONG, level=level))
    pieces = cv2.dilate(dots | (runs & thin), across)
    joined = cv2.morphologyEx(pieces, cv2.MORPH_CLOSE, _bar(GAP, level=level))
    dotted = _slim(cv2.morphologyEx(joined, cv2.MORPH_OPEN, _bar(DOTS, level=level)), level=level)
    runs |= dotted
    whole = cv2.morphologyEx(runs, cv2.MORPH_OPEN, _bar(WHOLE, level=level))
    runs |= cv2.morphologyEx(whole, cv2.MORPH_CLOSE, _bar(BRIDGED, level=level))
    return runs, dotted


def _bar(length: int, *, level: bool) -> Ink:
    return np.ones((1, length) if level else (length, 1), np.uint8)


def _slim(mask: Ink, *, level: bool) -> Ink:
    """Leave out what is no line but text."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    slim = stats[:, 4] <= (THIN + 2) * stats[:, 2 if level else 3]
    slim[0] = False
    return np.asarray(np.where(slim, 255, 0).astype(np.uint8)[labels], np.uint8)
