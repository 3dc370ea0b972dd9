"""Draw what is made of digits and is none: struck out, written over, in fractions, two in one.

Each function draws one kind by chance on a canvas of 64 x 64: uint8, ink light on dark.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from batchdigits.records import GreyImage
from batchdigits.training.alter import SIDE, Ink, laid
from batchdigits.training.marks import (
    Choose,
    choose_pen,
    draw_cross,
    draw_scribble,
    draw_stroke,
)
from batchdigits.training.pen import Random

ANY_DIGIT = None
INK = 99
"""Pixels over this are ink of a stroke."""
LIKE_PENS = 1.6
"""Two pens of one hand differ by no more than this factor."""


def draw_crossed_out(random: Random, choose: Choose) -> GreyImage:
    """Draw a digit struck through, twice at least, or scribbled over."""
    canvas = laid(choose(ANY_DIGIT), random)
    if random.random() < 0.3:
        return np.maximum(canvas, draw_scribble(random, choose))
    thick, lean = choose_pen(random), random.choice((-1, 0, 1)) * random.uniform(6, 22)
    for height in np.linspace(22, 42, int(random.integers(2, 5))) + random.normal(0, 2):
        ends = np.array([[8, height + lean], [56, height - lean]]) + random.normal(0, 3, (2, 2))
        draw_stroke(canvas, ends, thick)
    if random.random() < 0.4:
        canvas = np.maximum(canvas, draw_cross(random, choose))
    return canvas


def draw_struck_once(random: Random, choose: Choose) -> GreyImage:
    """Draw a digit with one long stroke through it; not a 0, 1 or 7, which some people write so.

    The stroke is of the digit's own pen: of a wider one it would be all that a thin pen leaves.
    """
    canvas = laid(choose(int(random.choice((2, 3, 4, 5, 6, 8, 9)))), random)
    y, x = np.nonzero(canvas > INK)
    if not len(y):
        return draw_scribble(random, choose)
    middle = np.array([x.min() + x.max(), y.min() + y.max()]) / 2 + random.normal(0, 2, 2)
    angle = random.uniform(-1.1, 0.5)
    reach = np.hypot(np.ptp(x), np.ptp(y)) * random.uniform(0.5, 0.72)
    way = reach * np.array([np.cos(angle), np.sin(angle)])
    bend = random.normal(0, 1.2, 2)
    pen = max(1, round(_measure_pen(canvas)))
    draw_stroke(canvas, np.array([middle - way, middle + bend, middle + way]), pen)
    return canvas


def draw_overwritten(random: Random, choose: Choose) -> GreyImage:
    """Draw one digit over another, so that the two have clearly more ink than either."""
    for _ in range(8):
        labels = random.choice(10, 2, replace=False).tolist()
        one, two = _lay_two(labels, random, choose)
        both = np.maximum(one, two)
        inked = [np.count_nonzero(picture > INK) for picture in (one, two, both)]
        if inked[2] > 1.55 * max(inked[:2]):
            return both
    return draw_scribble(random, choose)


def _lay_two(
    labels: Sequence[int | None], random: Random, choose: Choose
) -> tuple[GreyImage, GreyImage]:
    """Lay two digits by pens about as wide as each other, so that neither is lost in the scan."""
    for _ in range(8):
        one, two = (laid(choose(label), random) for label in labels)
        pens = sorted(map(_measure_pen, (one, two)))
        if pens[1] < LIKE_PENS * pens[0]:
            break
    return one, two


def _measure_pen(canvas: GreyImage) -> float:
    """Measure how wide strokes are, px, by how far the ink is from its side in the mean.

    Across a stroke of w px that distance goes from 1 to w / 2, so w is four times its mean less 2.
    """
    ink = (canvas > INK).astype(np.uint8)
    depth = cv2.distanceTransform(ink, cv2.DIST_L2, 3)
    return 4 * float(depth[ink > 0].mean()) - 2 if ink.any() else 0.0


def draw_rolled(random: Random, choose: Choose) -> GreyImage:
    """Draw the lower part of one digit over the upper part of another, as a meter's wheel stops."""
    both = np.vstack([_cut_rows(one) for one in _lay_two((ANY_DIGIT, ANY_DIGIT), random, choose)])
    gap = int(random.integers(4, 12))
    half = len(both) // 2
    column = np.insert(both, [half] * gap, 0, axis=0)
    start = round(half * random.uniform(0.25, 0.7))
    out = np.zeros((SIDE, SIDE), np.uint8)
    shown = column[start : start + half + gap]
    out[8 : 8 + len(shown)] = shown[: SIDE - 8]
    return out


def _cut_rows(canvas: GreyImage) -> GreyImage:
    """Cut a canvas to the rows with ink, and bring it to a height of 40 px."""
    y = np.flatnonzero(canvas.any(axis=1))
    cut = canvas[y[0] : y[-1] + 1] if len(y) else canvas
    return np.asarray(cv2.resize(cut, (SIDE, 40), interpolation=cv2.INTER_AREA), np.uint8)


def draw_fraction(random: Random, choose: Choose) -> GreyImage:
    """Draw a half or a quarter, alone or after a digit: 1/2, 2 1/2, 3/4."""
    canvas = np.zeros((SIDE + SIDE // 2,) * 2, np.uint8)
    thick = int(random.choice((2, 2, 3, 4, 4, 5)))
    upper = int(random.choice((1, 1, 1, 3)))
    lower = 4 if upper == 3 else int(random.choice((2, 2, 2, 4)))
    left, down = random.uniform(4, 40), random.uniform(0, 28)
    if random.random() < 0.65:
        left = random.uniform(2, 20)
        left += _paste_digit(
            canvas, choose(ANY_DIGIT), (left, down + random.uniform(8, 16)), 40, random
        )
    high = random.uniform(15, 22)
    top, low = down + random.uniform(4, 12), down + random.uniform(36, 42)
    if random.random() < 0.75:
        wide = _paste_digit(canvas, choose(upper), (left + 1, top), high, random)
        foot = left + wide * random.uniform(0.6, 1.2), low + high * random.uniform(0.6, 1)
        tip = left + wide + random.uniform(6, 13), top + high * random.uniform(-0.1, 0.5)
        _paste_digit(canvas, choose(lower), (left + wide + random.uniform(3, 8), low), high, random)
        draw_stroke(canvas, np.array([foot, np.add(foot, tip) / 2, tip]), thick)
    else:
        _paste_digit(canvas, choose(upper), (left + 5, top), high, random)
        _paste_digit(canvas, choose(lower), (left + 4, low), high, random)
        level = (top + high + low) / 2 + random.normal(0, 1.5)
        draw_stroke(canvas, np.array([[left, level + 1], [left + 20, level - 1]]), thick)
    return np.asarray(cv2.resize(canvas, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def _paste_digit(
    canvas: GreyImage, ink: Ink, at: tuple[float, float], high: float, random: Random
) -> float:
    """Write a digit small on a canvas, its top left corner at x, y; return its width, px."""
    drawn = laid(ink, random)
    y, x = np.nonzero(drawn > 60)
    if not len(y):
        return 0.0
    cut = drawn[y.min() : y.max() + 1, x.min() : x.max() + 1]
    share = min(high / cut.shape[0], high / cut.shape[1])
    size = [max(2, round(side * share)) for side in cut.shape[::-1]]
    small = cv2.resize(cut, size, interpolation=cv2.INTER_AREA)
    left, top = round(at[0]), round(at[1])
    part = canvas[top : top + small.shape[0], left : left + small.shape[1]]
    np.maximum(part, small[: part.shape[0], : part.shape[1]], out=part)
    return float(small.shape[1])


def draw_several(random: Random, choose: Choose) -> GreyImage:
    """Draw two whole digits that touch, as where boxes were cut apart wrongly."""
    first, second = (
        _cut_columns(canvas, random.uniform(0.6, 1))
        for canvas in _lay_two((ANY_DIGIT, ANY_DIGIT), random, choose)
    )
    left, wide = first.shape[1], second.shape[1]
    least = left - min(left, wide) // 3  # both are seen, though they never touch
    row = np.pad(first, ((0, 0), (0, wide)))
    while left > least and not np.any((row[:, left : left + wide] > INK) & (second > INK)):
        left -= 1
    left = max(least, left - 3)  # thinner pens must not part them
    row[:, left : left + wide] = np.maximum(row[:, left : left + wide], second)
    long = max(SIDE, row.shape[1])
    square = np.pad(row, (((long - SIDE) // 2,) * 2, ((long - row.shape[1]) // 2,) * 2))
    return np.asarray(cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def _cut_columns(canvas: GreyImage, squeezed: float) -> GreyImage:
    """Cut a canvas to the columns with ink, and make them narrower by a factor."""
    x = np.flatnonzero(canvas.any(axis=0))
    cut = canvas[:, x[0] : x[-1] + 1] if len(x) else canvas
    wide = max(4, round(cut.shape[1] * squeezed))
    return np.asarray(cv2.resize(cut, (wide, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
