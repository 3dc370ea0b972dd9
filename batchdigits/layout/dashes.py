"""What a scan kept of printed lines that it broke: level lines, and dashes of upright ones."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.layout.lines import GAP, Ink, Lines

THIN_PX, SHORT_PX, TALL_PX = 5, 3, 8
"""px that a dash is thick at most, and long at least; and the longest of a line, at least."""
RUN_PX, FLAT_PX, LONG_PX = 24, 7, 44
"""px from which on a thin run of ink is a dash, whatever touches it; the same of a level one; and
of a level line, at least."""
GAP_PX, AVERAGED_PX, DASHED = 25, 61, 0.5
"""px that may be missing in a level line; and what share of so many px about each is there."""
WORD_PX, FAT_PX = 9, 15
"""px of height from which on what is joined is a word; and from which on what looks like a level
line is a black place, whose sides are lines."""


class Dashes(NamedTuple):
    """What is left of the lines of a page.

    Attributes:
        level: level lines, whole ones and those of dashes.
        upright: thin upright pieces of ink.
        pieces: the frames of the longer ones of these: (N, 4), x, y, width, height.
    """

    level: Ink
    upright: Ink
    pieces: NDArray[np.int64]


def find_dashes(found: Lines) -> Dashes:
    """Find what is left of the lines of a page, by its strong ink."""
    level = _find_level(found.strong)
    return Dashes(level, *_find_upright(found.strong, level))


def _find_level(strict: Ink) -> Ink:
    """Find level lines, whole ones and those of dashes."""
    thick = cv2.dilate(strict, np.ones((3, 1), np.uint8))
    level = cv2.morphologyEx(thick, cv2.MORPH_OPEN, np.ones((1, LONG_PX), np.uint8))
    some = cv2.morphologyEx(thick, cv2.MORPH_OPEN, np.ones((1, FLAT_PX), np.uint8))
    some &= ~cv2.morphologyEx(some, cv2.MORPH_OPEN, np.ones((THIN_PX + 4, 1), np.uint8))
    words = cv2.morphologyEx(thick, cv2.MORPH_CLOSE, np.ones((1, GAP), np.uint8))
    words = cv2.morphologyEx(words, cv2.MORPH_OPEN, np.ones((WORD_PX, 1), np.uint8))
    some = (some & ~words) | (level & ~_find_fat(level))
    often = cv2.blur(some, (AVERAGED_PX, 1), borderType=cv2.BORDER_REPLICATE)
    joined = cv2.morphologyEx(some, cv2.MORPH_CLOSE, np.ones((1, GAP_PX), np.uint8))
    joined &= cv2.compare(often, 255 * DASHED, cv2.CMP_GE)
    joined = cv2.morphologyEx(joined, cv2.MORPH_OPEN, np.ones((1, LONG_PX), np.uint8))
    whole = np.ones((1, 2 * WORD_PX), np.uint8)  # from corner to corner
    return np.asarray(cv2.morphologyEx(level | joined, cv2.MORPH_CLOSE, whole), np.uint8)


def _find_fat(level: Ink) -> Ink:
    square = np.ones((FAT_PX, FAT_PX), np.uint8)
    return np.asarray(cv2.morphologyEx(level, cv2.MORPH_OPEN, square), np.uint8)


def _find_upright(strict: Ink, level: Ink) -> tuple[Ink, NDArray[np.int64]]:
    """Find thin upright pieces of ink, and the frames of the long ones: (N, 4), x, y, size."""
    rest = strict & ~cv2.dilate(level, np.ones((3, 1), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(rest, connectivity=8)
    thin = (stats[:, 2] <= THIN_PX) & (stats[:, 3] >= SHORT_PX)
    thin[0] = False
    dashes = thin[labels].view(np.uint8) * np.uint8(255)
    thick = cv2.dilate(rest, np.ones((1, 3), np.uint8))
    runs = cv2.morphologyEx(thick, cv2.MORPH_OPEN, np.ones((RUN_PX, 1), np.uint8))
    runs &= ~cv2.morphologyEx(runs, cv2.MORPH_OPEN, np.ones((1, THIN_PX + 4), np.uint8))
    fat = _find_fat(level)
    dashes |= (runs & rest) | (cv2.dilate(fat, np.ones((1, 3), np.uint8)) & ~fat)
    _, _, stats, _ = cv2.connectedComponentsWithStats(dashes, connectivity=8)
    return dashes, np.asarray(stats[1:][stats[1:, 3] >= TALL_PX, :4], np.int64)
