"""Signs laid side by side: apart, touching or overlapping, along a line that drifts and slants."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage
from batchdigits.training.pen import Random

SEPARATOR, FLOURISH, OTHER = 10, 11, 12
"""What signs mean beside the ten digits: `.` and `,`; `-`, `=`, `#` and the like; no digit."""
HIGH = 44
"""Height of a digit on the canvas, px, before chance has its say."""


SHRINKING, JOINED = 0.15, 0.15
"""Share of the strings that grow smaller towards their end, and of those with joined digits."""
Placed = Sequence[tuple[GreyImage, float, float]]
"""Inks with the x, y of their top left corners."""


class Sign(NamedTuple):
    """One sign of a string: what it is, and its ink, cut to it."""

    label: int
    ink: GreyImage


class Written(NamedTuple):
    """A string on a canvas.

    Attributes:
        ink: uint8, shape (H, W), ink light on no paper.
        labels: what is written, from left to right: digits, `SEPARATOR`, `FLOURISH`, `OTHER`.
        boxed: columns where one box ends and the next begins; none where there are no boxes.
    """

    ink: GreyImage
    labels: list[int]
    boxed: list[int]


def cut(ink: GreyImage) -> GreyImage:
    """Cut a picture to its ink."""
    mask = ink > 40
    x, y = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(x):
        return np.full((4, 4), 255, np.uint8)
    return ink[y[0] : y[-1] + 1, x[0] : x[-1] + 1]


def proportioned(ink: GreyImage, random: Random) -> GreyImage:
    """Give a digit other proportions: a small loop on a long stem, or the other way round."""
    out = ink
    for axis, spread in ((0, 0.22), (1, 0.12)):
        along = np.linspace(0, 1, ink.shape[axis]) ** np.exp(random.normal(0, spread))
        out = out.take(np.rint(along * (ink.shape[axis] - 1)).astype(int), axis=axis)
    return out


def pressed(ink: GreyImage, pen: int) -> GreyImage:
    """Bring a digit to full ink; or write it anew in a pen of another width, along its middle.

    Args:
        ink: uint8, shape (H, W), ink light, about 40 px high.
        pen: the width that its strokes shall have, px; 0 for as they are.
    """
    top = max(80, int(ink.max()))
    full = np.asarray(cv2.convertScaleAbs(np.maximum(ink, 10) - 10, alpha=290 / top), np.uint8)
    if not pen:
        return full
    edged = np.pad(full, 4)
    deep = cv2.distanceTransform((edged > 110).view(np.uint8), cv2.DIST_L2, 5)
    ridge = (deep > 0.5) & (deep >= cv2.dilate(deep, np.ones((3, 3), np.uint8)) - 0.35)
    point = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (pen, pen))
    drawn = cv2.dilate(np.where(ridge, 255, 0).astype(np.uint8), point)
    return np.asarray(cv2.GaussianBlur(drawn, (3, 3), 0.7), np.uint8)


def sized(
    ink: GreyImage, high: float, widest: float = 4 * HIGH, stretch: float | np.floating = 1.0
) -> GreyImage:
    """Scale ink to a height, stretched across by a factor, and no wider than so much."""
    share = min(high / ink.shape[0], widest / ink.shape[1])
    wide = min(ink.shape[1] * share * stretch, widest)
    size = [max(2, round(wide)), max(2, round(ink.shape[0] * share))]
    way = cv2.INTER_AREA if share < 0.8 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(ink, size, interpolation=way), np.uint8)


def lay(canvas: GreyImage, ink: GreyImage, x: int, y: int) -> None:
    """Lay ink on a canvas; what would leave it is cut off."""
    top, left = max(0, y), max(0, x)
    bottom, right = min(canvas.shape[0], y + ink.shape[0]), min(canvas.shape[1], x + ink.shape[1])
    if bottom > top and right > left:
        part = canvas[top:bottom, left:right]
        np.maximum(part, ink[top - y : bottom - y, left - x : right - x], out=part)


def in_row(signs: Sequence[Sign], random: Random) -> Written:
    """Write signs side by side: apart, touching or overlapping, along a line that drifts."""
    gap = HIGH * random.choice((0.0, 0.08, 0.2, 0.4), p=(0.4, 0.4, 0.15, 0.05))
    uneven = HIGH * random.uniform(0.02, 0.14)
    size, rough = random.uniform(0.8, 1.0), random.uniform(0.02, 0.11)
    stretch, small = np.exp(random.normal(0.12, 0.2)), random.uniform(0.55, 1.0)
    drift, slant = random.normal(0, 0.04), random.normal(0.12, 0.22)
    level = random.choice((1.0, 0.5), p=(0.7, 0.3))
    last = random.uniform(0.6, 1.0) if random.random() < SHRINKING else 1.0
    placed, x = [], 0.0
    for number, (label, ink) in enumerate(signs):
        inked = ink
        if label in (SEPARATOR, FLOURISH):
            y = _level(label, ink.shape[0], random)
        else:
            high = HIGH * size * np.exp(random.normal(0, rough))
            high *= 1 - (1 - last) * number / len(signs)
            high *= small if label == 0 and number else 1.0
            inked = sized(ink, high, 1.5 * HIGH, stretch)
            y = (HIGH - inked.shape[0]) * level + random.normal(0, HIGH * rough * 0.6)
        step = max(random.normal(gap, uneven), -0.35 * inked.shape[1])
        if number and random.random() < 0.025:
            step += HIGH * random.uniform(0.2, 0.9)
        x += step if number else 0
        placed.append((inked, x, y + drift * x))
        x += inked.shape[1]
    labels = [label for label, _ in signs]
    ink = laid_out(placed)
    if random.random() < JOINED:
        _join(ink, placed, random)
    return Written(cut(_slanted(ink, slant)), labels, [])


def _join(canvas: GreyImage, placed: Placed, random: Random) -> None:
    """Draw strokes from the end of a digit to the beginning of the next, as a quick hand does."""
    left, top = _find_corner(placed)
    pen = int(random.integers(1, 4))
    for (ink, x, y), (after, next_x, next_y) in pairwise(placed):
        apart = next_x - x - ink.shape[1]
        if random.random() < 0.5 or not 0 <= apart < 0.5 * HIGH:
            continue
        start = np.add(_find_end(ink, right=True), (x - left, y - top))
        end = np.add(_find_end(after, right=False), (next_x - left, next_y - top))
        bend = np.add((start + end) / 2, (0, random.normal(0, 3)))
        points = np.rint(np.array([start, bend, end]) * 8).astype(np.int32)
        cv2.polylines(canvas, [points], False, 255, pen, cv2.LINE_AA, 3)


def _find_end(ink: GreyImage, *, right: bool) -> NDArray[np.float64]:
    """Find the outermost point of a digit's ink: x, y."""
    columns = np.flatnonzero((ink > 80).any(axis=0))
    if not len(columns):
        return np.zeros(2)
    x = columns[-1 if right else 0]
    return np.array([x, np.flatnonzero(ink[:, x] > 80).mean()])


def _find_corner(placed: Placed) -> tuple[int, int]:
    """Find the x, y that the canvas of `laid_out` begins at."""
    return int(min(x for _, x, _ in placed)) - 1, int(min(y for *_, y in placed)) - 1


def _level(label: int, tall: int, random: Random) -> float:
    """Choose how high a separator or flourish stands: points on the line, strokes in the middle."""
    if label == SEPARATOR:
        return HIGH - tall * random.uniform(0.2, 0.9) + random.normal(0, 2)
    return HIGH * random.uniform(0.1, 0.9) - tall / 2


def laid_out(placed: Placed) -> GreyImage:
    """Lay inks by their x, y on a canvas that holds them all."""
    left, top = _find_corner(placed)
    right = max(int(x) + ink.shape[1] for ink, x, _ in placed)
    bottom = max(int(y) + ink.shape[0] for ink, _, y in placed)
    canvas = np.zeros((bottom - top + 2, right - left + 2), np.uint8)
    for ink, x, y in placed:
        lay(canvas, ink, int(x) - left, int(y) - top)
    return canvas


def _slanted(ink: GreyImage, slant: float) -> GreyImage:
    """Slant a whole string to the right; at most by 0.7."""
    slant = float(np.clip(slant, -0.4, 0.7))
    height, width = ink.shape
    wider = int(abs(slant) * height)
    shift = slant * (height - 1) if slant > 0 else 0.0
    matrix = np.array([[1, -slant, shift], [0, 1, 0]])
    return np.asarray(cv2.warpAffine(ink, matrix, (width + wider, height)), np.uint8)
