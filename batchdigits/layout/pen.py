"""A page laid straight → what was written or printed on it, without its ruled lines."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage

PAPER_PX, LEAST_DARKNESS, SHARE_OF_OTSU = 31, 15, 0.7
"""Ink is darker by so many grey levels than the paper within so many px, and by this share of the
level that Otsu's method finds."""
FAINTEST = 12
"""Grey levels from which on a pixel is asked for when that level is sought."""
LEVEL_PX, UPRIGHT_PX, UPRIGHT_SHARE = 60, 110, 1 / 7
"""px of a ruled line across the page, at least; and of one down it, or this share of its height:
a 1 is no line."""
LONG_SHARE = 1 / 4
"""Share of the page's height from which on an upright line goes on to the edges: the sides of
digits below each other are shorter."""
THICK_PX = 15
"""px from which on what is long is no line."""
GAP_PX = 9
"""px that may be missing in a line."""
CROSSED_PX = 6
"""px: a stroke goes through a line if there is ink so near on both sides of it."""
ROUNDS = 2
"""The lines that were found are left out when the level of ink is sought again: they may be darker
than the pencil."""
BESIDE_PX = 3
"""px from the way of an upright line within which what is thin is a piece of it."""

Mask = NDArray[np.uint8]
"""0 or 1, (height, width)."""


class Pen(NamedTuple):
    """The ink of a page.

    Attributes:
        ink: without ruled lines.
        level: ruled lines across the page, as far as they were found.
        upright: ruled lines down the page, long ones on to its edges.
    """

    ink: Mask
    level: Mask
    upright: Mask


def find_pen(grey: GreyImage, least: tuple[int, int] | None = None) -> Pen:
    """Part what is written or printed on a page from its paper and its ruled lines.

    Args:
        grey: uint8, (height, width), dark ink on light paper, laid straight.
        least: lengths of ruled lines across it and down it, px; None for those of a whole page.
    """
    least = least or (LEVEL_PX, max(UPRIGHT_PX, round(UPRIGHT_SHARE * grey.shape[0])))
    near = np.ones((PAPER_PX, PAPER_PX), np.uint8)
    dark = cv2.subtract(cv2.morphologyEx(cv2.blur(grey, (3, 3)), cv2.MORPH_CLOSE, near), grey)
    lines = np.zeros_like(dark)
    for _ in range(ROUNDS):
        ink = _take_ink(dark, lines)
        level = _find_lines(ink, least[0], level=True)
        upright = _find_lines(ink, least[1], level=False)
        lines = cv2.dilate(level | upright, np.ones((3, 3), np.uint8))
    rest = ink & ~(level | upright)
    rest |= ink & (_find_crossed(rest, level, across=True))
    rest |= ink & (_find_crossed(rest, upright, across=False))
    long = _lengthen_lines(upright)
    rest &= ~long | _find_crossed(rest & ~long, long, across=False)
    return Pen(rest, level, long)


def _take_ink(dark: GreyImage, lines: Mask) -> Mask:
    some = dark[(dark > FAINTEST) & (lines == 0)]
    level = cv2.threshold(some, 0, 255, cv2.THRESH_OTSU)[0] if len(some) else 255
    return (dark > max(LEAST_DARKNESS, SHARE_OF_OTSU * level)).view(np.uint8)


def _find_lines(ink: Mask, least: int, *, level: bool) -> Mask:
    """Find thin runs of ink in one direction that are `least` px long."""
    thick = cv2.dilate(ink, _make_bar(3, level=not level))
    joined = cv2.morphologyEx(thick, cv2.MORPH_CLOSE, _make_bar(GAP_PX, level=level))
    runs = cv2.morphologyEx(joined, cv2.MORPH_OPEN, _make_bar(least, level=level))
    fat = cv2.morphologyEx(runs, cv2.MORPH_OPEN, _make_bar(THICK_PX, level=not level))
    return np.asarray(runs & ~fat, np.uint8)


def _find_crossed(rest: Mask, lines: Mask, *, across: bool) -> Mask:
    """Find the pixels of lines that have other ink on both sides."""
    bar = _make_bar(2 * CROSSED_PX + 1, level=not across)
    last = (0, 2 * CROSSED_PX) if across else (2 * CROSSED_PX, 0)
    both = cv2.dilate(rest, bar, anchor=(0, 0)) & cv2.dilate(rest, bar, anchor=last)
    return np.asarray(lines & both, np.uint8)


def _lengthen_lines(upright: Mask) -> Mask:
    """Draw upright lines on to the edges of the page: pieces of them may be too faint."""
    out = upright.copy()
    count, labels, stats, _ = cv2.connectedComponentsWithStats(upright, connectivity=8)
    for n in range(1, count):
        left, top, wide, high = stats[n, :4].tolist()
        if high < LONG_SHARE * upright.shape[0]:
            continue
        y, x = np.nonzero(labels[top : top + high, left : left + wide] == n)
        slope, start = np.polyfit(y, x + left, 1)
        start -= slope * top
        ends = [(round(start + slope * at), at) for at in (0, upright.shape[0] - 1)]
        cv2.line(out, ends[0], ends[1], 1, 2 * BESIDE_PX + 1)
    return out


def _make_bar(length: int, *, level: bool) -> Mask:
    return np.ones((1, length) if level else (length, 1), np.uint8)
