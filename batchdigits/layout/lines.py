"""A page laid straight → its ink, and its ruled lines: whole, dotted, faint or bent."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage

Ink = NDArray[np.uint8]
"""0 is paper, 255 is ink."""
Reach = NDArray[np.uint8]
"""3 is ink, 2 a pixel away from some, 1 two pixels, diagonally too; 0 is paper."""

BLOCK = 41
"""px of the neighbourhood that ink is darker than."""
CONTRAST, NOISE = 3, 4.0
"""Ink is so many grey levels darker than what surrounds it, and so many times the paper's grain."""
NEAR, RISE, GRAIN = 21, 2.6, 25
"""px about a pale line in which there is paper; what is so many times the paper's grain below that,
which is under so many grey levels, is ink."""
SHADE = 0.55
"""What has less than this share of the paper's light is ink however large it is: a black square."""
LONG = (13, 24, 44)
"""px that lines have at least: the first is a side of a box of 4 mm at 100 dpi, less its corners.
Of larger boxes the sides are longer, and what is written in them is not."""
AS_DARK = 0.3
"""Strong ink is at least this share as dark as the page's lines are."""
CLEAR, RIM = 0.2, 5
"""Ink has at least so much of the darkness that is found within so many px about it: where it is
blurred, it ends."""
GAP, WORDS = 9, 15
"""px between the dots of a line, at most; what is joined so and so high is a word."""
BRIDGED, WHOLE = 13, 40
"""px that may be missing from a line of so many px and more."""


class Lines(NamedTuple):
    """The ink of a page, and the lines in it.

    Attributes:
        ink: all of it.
        faint: with it, what is paler than its neighbourhood only for what is black beside it.
        barriers: lines of each length of `LONG`, across and down, a pixel thicker on either side;
            and those that dots make, text among them.
        level: those of them that lie across the page, of at least the second length.
        upright: those that go down.
        strong: the ink that is as dark as they are: a watermark is not.
    """

    ink: Ink
    faint: Ink
    barriers: tuple[Ink, ...]
    level: Ink
    upright: Ink
    strong: Ink


def lines(grey: GreyImage) -> Lines:
    """Find the lines of a page that lies straight, give or take four degrees.

    Args:
        grey: uint8, (height, width), dark ink on light paper.
    """
    soft = cv2.GaussianBlur(grey, (3, 3), 0)
    around = cv2.blur(soft, (BLOCK, BLOCK), borderType=cv2.BORDER_REPLICATE)
    dark = cv2.subtract(around, soft)
    ink, faint = _part_ink(grey, soft, dark)
    level, upright = _ruled(ink, level=True), _ruled(ink, level=False)
    barriers = [one | other for one, other in zip(level, upright, strict=True)]
    some = dark[((level[1] | upright[1]) & ink) > 0]
    least = AS_DARK * float(np.median(some)) if len(some) else 0.0
    strong = np.asarray(cv2.compare(dark, least, cv2.CMP_GE) & ink, np.uint8)
    return Lines(ink, faint, tuple(barriers), level[1], upright[1], strong)


def _part_ink(grey: GreyImage, soft: GreyImage, dark: GreyImage) -> tuple[Ink, Ink]:
    """Part ink from paper: what is darker than its neighbourhood, or dark altogether.

    Args:
        grey: the page.
        soft: the same, blurred a little.
        dark: by how much that is darker than its neighbourhood.

    Returns:
        Ink; and more of it, than which the paper about it is lighter at least.
    """
    least = max(CONTRAST, NOISE * _grain(soft))
    paper = _paper(grey)
    black = cv2.compare(soft, cv2.multiply(paper, SHADE), cv2.CMP_LT)
    ink = _sharp(dark, least) | black
    hats = cv2.subtract(cv2.morphologyEx(soft, cv2.MORPH_CLOSE, _square(NEAR)), soft)
    return ink, ink | _sharp(hats, max(least, RISE * _rise(hats)))


def _sharp(dark: GreyImage, least: float) -> Ink:
    """Keep what is dark, but for the blurred rims of what is much darker."""
    sharp = cv2.dilate(dark, _square(RIM))
    edge = cv2.compare(dark, cv2.multiply(sharp, CLEAR), cv2.CMP_GE)
    return np.asarray(cv2.compare(dark, least, cv2.CMP_GE) & edge, np.uint8)


def _rise(hats: GreyImage) -> float:
    """Measure by how much the paper's grain lies under its lightest."""
    some = hats[::3, ::3]
    grain = some[(some > 0) & (some < GRAIN)]
    return float(np.median(grain)) if len(grain) > 0.05 * some.size else 0.0


def _square(side: int) -> Ink:
    return np.ones((side, side), np.uint8)


def reach(ink: Ink) -> Reach:
    """Say of each pixel how near it is to ink."""
    whole = np.minimum(ink, 1)
    out = whole + cv2.dilate(whole, np.ones((3, 3), np.uint8))
    return np.asarray(out + cv2.dilate(whole, np.ones((5, 5), np.uint8)), np.uint8)


def _grain(soft: GreyImage) -> float:
    """Measure the grain of the paper, grey levels: the spread of what a blur takes away."""
    some = soft[::2, ::2]
    off = cv2.absdiff(some, cv2.medianBlur(some, 3))
    usual, least = np.quantile(off[::3, ::3], (0.6, 0.3)).tolist()
    # alike for paper alone; the second is less where print is on most of the page
    return float(min(1.4826 * usual, 3.24 * (least + 0.5)))


def _paper(grey: GreyImage) -> GreyImage:
    """Say how light the paper is about each pixel, shadows included."""
    size = [max(1, side // 16) for side in grey.shape[::-1]]
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    side = max(3, min(small.shape) // 6) | 1
    light = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    return np.asarray(cv2.resize(cv2.blur(light, (5, 5)), grey.shape[::-1]), np.uint8)


def _ruled(ink: Ink, *, level: bool) -> list[Ink]:
    """Keep runs of ink in one direction, of each length, and what is missing between long ones.

    The last are runs that dots make.
    """
    thick = cv2.dilate(ink, _bar(3, level=not level))
    runs = cv2.morphologyEx(thick, cv2.MORPH_OPEN, _bar(LONG[0], level=level))
    whole = cv2.morphologyEx(runs, cv2.MORPH_OPEN, _bar(WHOLE, level=level))
    runs |= cv2.morphologyEx(whole, cv2.MORPH_CLOSE, _bar(BRIDGED, level=level))
    longer = [cv2.morphologyEx(runs, cv2.MORPH_OPEN, _bar(long, level=level)) for long in LONG[1:]]
    joined = cv2.morphologyEx(thick, cv2.MORPH_CLOSE, _bar(GAP, level=level))
    words = cv2.morphologyEx(joined, cv2.MORPH_OPEN, _bar(WORDS, level=not level))
    dotted = cv2.morphologyEx(joined & ~words, cv2.MORPH_OPEN, _bar(LONG[1], level=level))
    return [runs, *longer, dotted]


def _bar(length: int, *, level: bool) -> Ink:
    return np.ones((1, length) if level else (length, 1), np.uint8)
