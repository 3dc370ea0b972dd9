"""Draw what stands where a digit should and is none: ticks, scribbles, lines, blots, pieces.

Letters and printed signs are not drawn here: they come with the data, under the label NONE.
A stroke that is upright or leans to the right is never drawn alone, nor a corner at the upper
right: no one could tell them from a 1 and a 7.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage
from batchdigits.training.alter import SIDE, Ink, laid, other_pen, scanned
from batchdigits.training.pen import Random

Points = NDArray[np.float64]
Choose = Callable[[int | None], Ink]
"""Gives a digit of a label, or any digit for None."""
ANY_DIGIT = None


def stranger(random: Random, choose: Choose) -> GreyImage:
    """Draw something that is no digit, as a pen would and a scanner would see it.

    Args:
        random: where the chance comes from.
        choose: gives the digits for what is made of digits, or of their pieces.

    Returns:
        uint8, shape (S, S) with S from 22 to 64, ink light on dark.
    """
    kind = KINDS[int(random.integers(len(KINDS)))]
    return scanned(other_pen(kind(random, choose), random), random)


def _stroke(canvas: GreyImage, points: Points, thick: int) -> None:
    """Draw a smooth stroke through points (N, 2), x before y, in pixels of the canvas."""
    steps = np.linspace(0, len(points) - 1, 8 * len(points))
    x, y = (np.interp(steps, np.arange(len(points)), points[:, axis]) for axis in (0, 1))
    line = cv2.blur(np.column_stack([x, y]), (1, 5), borderType=cv2.BORDER_REPLICATE)
    line[[0, -1]] = points[[0, -1]]
    cv2.polylines(canvas, [np.rint(line * 8).astype(np.int32)], False, 255, thick, cv2.LINE_AA, 3)


def _empty() -> GreyImage:
    return np.zeros((SIDE, SIDE), np.uint8)


def _thick(random: Random) -> int:
    return int(random.choice((2, 3, 3, 4, 4, 5, 6)))


def _tick(random: Random, _choose: Choose) -> GreyImage:
    canvas = _empty()
    low = random.uniform((24, 40), (34, 52))
    left = low + random.uniform((-18, -20), (-8, -6))
    right = low + random.uniform((12, -42), (26, -22))
    bend = (low + right) / 2 + random.normal(0, 2, 2)
    _stroke(canvas, np.array([left, low]), thick := _thick(random))
    _stroke(canvas, np.array([low, bend, right]), thick)
    return canvas


def _cross(random: Random, _choose: Choose) -> GreyImage:
    """An x, a plus, or a star of two to four strokes through one middle."""
    canvas, strokes = _empty(), int(random.choice((2, 2, 2, 3, 4)))
    start, thick = random.uniform(0, np.pi), _thick(random)
    for number in range(strokes):
        angle = start + np.pi * number / strokes + random.normal(0, 0.12)
        reach = random.uniform(13, 24) * np.array([np.cos(angle), np.sin(angle)])
        middle = SIDE / 2 + random.normal(0, 1.5, 2)
        _stroke(canvas, np.array([middle - reach, middle, middle + reach]), thick)
    return canvas


def _scribble(random: Random, _choose: Choose) -> GreyImage:
    """A pen that goes to and fro, or wanders."""
    canvas, turns = _empty(), int(random.integers(8, 18))
    if random.random() < 0.5:
        points = random.uniform(6, 58, (turns, 2))
    else:
        along = np.linspace(random.uniform(4, 20), random.uniform(44, 60), turns)
        across = SIDE / 2 + np.where(np.arange(turns) % 2, 1, -1) * random.uniform(8, 22)
        points = np.column_stack([along, across]) + random.normal(0, 2, (turns, 2))
        turn = random.uniform(0, 2 * np.pi)
        cos, sin = np.cos(turn), np.sin(turn)
        points = (points - SIDE / 2) @ np.array([[cos, -sin], [sin, cos]]) + SIDE / 2
    _stroke(canvas, points, _thick(random))
    return canvas


def _crossed_out(random: Random, choose: Choose) -> GreyImage:
    """A digit struck through, twice at least, or scribbled over."""
    canvas = laid(choose(ANY_DIGIT), random)
    if random.random() < 0.3:
        return np.maximum(canvas, _scribble(random, choose))
    thick, lean = _thick(random), random.choice((-1, 0, 1)) * random.uniform(6, 22)
    for height in np.linspace(22, 42, int(random.integers(2, 5))) + random.normal(0, 2):
        ends = np.array([[8, height + lean], [56, height - lean]]) + random.normal(0, 3, (2, 2))
        _stroke(canvas, ends, thick)
    if random.random() < 0.4:
        canvas = np.maximum(canvas, _cross(random, choose))
    return canvas


def _struck_once(random: Random, choose: Choose) -> GreyImage:
    """A digit with one long stroke through it; not a 0, 1 or 7, which some people write so."""
    canvas = laid(choose(int(random.choice((2, 3, 4, 5, 6, 8, 9)))), random)
    y, x = np.nonzero(canvas > 99)
    if not len(y):
        return _scribble(random, choose)
    middle = np.array([x.min() + x.max(), y.min() + y.max()]) / 2 + random.normal(0, 2, 2)
    angle = random.uniform(-1.1, 0.5)
    reach = np.hypot(np.ptp(x), np.ptp(y)) * random.uniform(0.5, 0.72)
    way = reach * np.array([np.cos(angle), np.sin(angle)])
    bend = random.normal(0, 1.2, 2)
    _stroke(canvas, np.array([middle - way, middle + bend, middle + way]), _thick(random))
    return canvas


def _overwritten(random: Random, choose: Choose) -> GreyImage:
    """One digit over another, so that the two have clearly more ink than either."""
    for _ in range(8):
        one, two = (laid(choose(ANY_DIGIT), random) for _ in range(2))
        both = np.maximum(one, two)
        inked = [np.count_nonzero(picture > 99) for picture in (one, two, both)]
        if inked[2] > 1.55 * max(inked[:2]):
            return both
    return _scribble(random, choose)


def _fraction(random: Random, choose: Choose) -> GreyImage:
    """A half or a quarter, alone or after a digit: 1/2, 2 1/2, 3/4; with a slash or a level bar."""
    canvas = np.zeros((SIDE + SIDE // 2,) * 2, np.uint8)
    thick = int(random.choice((2, 2, 3, 4, 4, 5)))
    upper = int(random.choice((1, 1, 1, 3)))
    lower = 4 if upper == 3 else int(random.choice((2, 2, 2, 4)))
    left, down = random.uniform(4, 40), random.uniform(0, 28)
    if random.random() < 0.65:
        left = random.uniform(2, 20)
        left += _put(canvas, choose(ANY_DIGIT), (left, down + random.uniform(8, 16)), 40, random)
    high = random.uniform(15, 22)
    top, low = down + random.uniform(4, 12), down + random.uniform(36, 42)
    if random.random() < 0.75:
        wide = _put(canvas, choose(upper), (left + 1, top), high, random)
        foot = left + wide * random.uniform(0.6, 1.2), low + high * random.uniform(0.6, 1)
        tip = left + wide + random.uniform(6, 13), top + high * random.uniform(-0.1, 0.5)
        _put(canvas, choose(lower), (left + wide + random.uniform(3, 8), low), high, random)
        _stroke(canvas, np.array([foot, np.add(foot, tip) / 2, tip]), thick)
    else:
        _put(canvas, choose(upper), (left + 5, top), high, random)
        _put(canvas, choose(lower), (left + 4, low), high, random)
        level = (top + high + low) / 2 + random.normal(0, 1.5)
        _stroke(canvas, np.array([[left, level + 1], [left + 20, level - 1]]), thick)
    return np.asarray(cv2.resize(canvas, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def _put(
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


def _void(random: Random, _choose: Choose) -> GreyImage:
    """A stroke from the upper left to the lower right, as voids an empty box."""
    canvas = _empty()
    angle, reach = random.uniform(0.5, 1.1), random.uniform(16, 30)
    way = reach * np.array([np.cos(angle), np.sin(angle)])
    points = np.array([-way, random.normal(0, 1, 2), way]) + SIDE / 2
    _stroke(canvas, points, _thick(random))
    return canvas


def _corner(random: Random, _choose: Choose) -> GreyImage:
    """A corner, a tee or a grid of ruled lines that meet within the picture."""
    canvas, thick = _empty(), int(random.integers(1, 5))
    x, y = random.uniform(14, 50, 2)
    meets = random.random()
    long = meets >= 0.4 or random.random() < 0.5  # lines that leave the picture, or end in it
    left, right = (0, SIDE) if long else sorted(random.uniform(6, 58, 2))
    top, bottom = (0, SIDE) if long else sorted(random.uniform(6, 58, 2))
    level = [[x if meets < 0.7 else left, y], [right, y]]
    upright = [[x, y if meets < 0.4 else top], [x, bottom]]
    for line in (level, upright):
        _stroke(canvas, np.array(line) + random.normal(0, 0.5, (2, 2)), thick)
    turned: GreyImage = np.ascontiguousarray(
        np.rot90(canvas, int(random.integers(3 if meets < 0.4 else 4)))
    )
    return turned


def _angle(random: Random, _choose: Choose) -> GreyImage:
    """Two strokes that meet, opening to a side, up or down: < > ^ v."""
    canvas = _empty()
    reach, half = random.uniform(18, 34), random.uniform(0.3, 0.9)
    opens = int(random.integers(4)) * np.pi / 2 + random.normal(0, 0.12)
    tip = SIDE / 2 - reach / 2 * np.array([np.cos(opens), np.sin(opens)])
    ends = [
        tip + reach * random.uniform(0.8, 1.2) * np.array([np.cos(opens + a), np.sin(opens + a)])
        for a in (half, -half)
    ]
    thick = _thick(random)
    for end in ends:
        _stroke(canvas, np.array([tip, (tip + end) / 2 + random.normal(0, 1, 2), end]), thick)
    return canvas


def _bracket(random: Random, _choose: Choose) -> GreyImage:
    """Brackets, braces and parentheses, and what lies on its side like them."""
    high, deep = random.uniform(15, 25), random.uniform(6, 14)
    shape = int(random.integers(3))
    if shape == 0:
        angle = np.linspace(-1, 1, 9) * random.uniform(0.7, 1.4)
        points = np.column_stack([-np.cos(angle) * high * 1.2, np.sin(angle) * high * 1.2])
    elif shape == 1:
        points = np.array([[deep, -high], [0, -high], [0, high], [deep, high]])
        points = np.repeat(points, 3, axis=0)
    else:
        x = np.array([deep, 2, 2, 2, -deep / 2, 2, 2, 2, deep])
        points = np.column_stack([x, np.linspace(-high, high, 9)])
    points = points + random.normal(0, 0.8, points.shape)
    points = (points - points.mean(axis=0)) * random.choice((-1, 1)) + SIDE / 2
    canvas = _empty()
    _stroke(canvas, points, _thick(random))
    if random.random() < 0.2:
        canvas = np.ascontiguousarray(np.rot90(canvas))
    return canvas


def _dashes(random: Random, _choose: Choose) -> GreyImage:
    """Level strokes: a dash, an equals sign, a tilde."""
    canvas, thick = _empty(), _thick(random)
    half, apart = random.uniform(10, 28), random.uniform(10, 18)
    strokes = int(random.choice((1, 1, 2, 3)))
    for number in range(strokes):
        y = SIDE / 2 + (number - (strokes - 1) / 2) * apart + random.normal(0, 1)
        wave = random.normal(0, random.choice((0.5, 3)), 4)
        x = SIDE / 2 + np.linspace(-half, half, 4)
        _stroke(canvas, np.column_stack([x, y + wave]), thick)
    return canvas


def _dots(random: Random, _choose: Choose) -> GreyImage:
    """One to five dots and specks."""
    canvas = _empty()
    for _ in range(int(random.integers(1, 6))):
        middle = tuple(random.integers(12, 52, 2).tolist())
        axes = tuple(random.integers(1, 7, 2).tolist())
        cv2.ellipse(canvas, middle, axes, random.uniform(0, 180), 0, 360, 255, -1, cv2.LINE_AA)
    return canvas


def _blot(random: Random, _choose: Choose) -> GreyImage:
    """A filled spot with an uneven edge."""
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    reach = random.uniform(8, 26, 2)
    rough = 1 + random.normal(0, random.uniform(0.02, 0.25), 12)
    points = np.column_stack([np.cos(angles), np.sin(angles)]) * rough[:, None] * reach + SIDE / 2
    return np.asarray(cv2.fillPoly(_empty(), [np.rint(points).astype(np.int32)], 255), np.uint8)


def _several(random: Random, choose: Choose) -> GreyImage:
    """Two whole digits that touch, as where boxes were cut apart wrongly."""
    first, second = (
        _columns(laid(choose(ANY_DIGIT), random), random.uniform(0.6, 1)) for _ in range(2)
    )
    left, wide = first.shape[1], second.shape[1]
    row = np.pad(first, ((0, 0), (0, wide)))
    while left > 1 and not np.any((row[:, left : left + wide] > 99) & (second > 99)):
        left -= 1
    left = max(0, left - 3)  # thinner pens must not part them
    row[:, left : left + wide] = np.maximum(row[:, left : left + wide], second)
    long = max(SIDE, row.shape[1])
    square = np.pad(row, (((long - SIDE) // 2,) * 2, ((long - row.shape[1]) // 2,) * 2))
    return np.asarray(cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def _columns(canvas: GreyImage, squeezed: float) -> GreyImage:
    """Cut a canvas to the columns with ink, and make them narrower by a factor."""
    x = np.flatnonzero(canvas.any(axis=0))
    cut = canvas[:, x[0] : x[-1] + 1] if len(x) else canvas
    wide = max(4, round(cut.shape[1] * squeezed))
    return np.asarray(cv2.resize(cut, (wide, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def _loops(random: Random, _choose: Choose) -> GreyImage:
    """Loops one after the other: a signature's beginning, a coil."""
    loops, thick = random.uniform(2.2, 5), _thick(random)
    angle = np.linspace(0, 2 * np.pi * loops, int(10 * loops))
    reach = random.uniform(6, 18, 2)
    along = np.linspace(12, 52, len(angle)) * random.uniform(0.4, 1)
    points = np.column_stack([along + reach[0] * np.cos(angle), 32 + reach[1] * np.sin(angle)])
    canvas = _empty()
    _stroke(canvas, points, thick)
    turned: GreyImage = np.ascontiguousarray(np.rot90(canvas, int(random.integers(4))))
    return turned


_SIGNS: tuple[tuple[tuple[tuple[float, float], ...], ...], ...] = (
    (((0.35, 0), (0.2, 1)), ((0.8, 0), (0.65, 1)), ((0, 0.35), (1, 0.3)), ((0, 0.7), (1, 0.65))),
    (
        ((0.85, 0), (0.15, 1)),
        ((0.3, 0.1), (0.1, 0.25), (0.25, 0.4), (0.4, 0.25), (0.3, 0.1)),
        ((0.8, 0.6), (0.6, 0.75), (0.75, 0.9), (0.9, 0.75), (0.8, 0.6)),
    ),
    (((0.95, 1), (0.2, 0.25), (0.4, 0), (0.6, 0.2), (0.1, 0.65), (0.3, 1), (0.9, 0.5)),),
    (((0.1, 0.25), (0.4, 0), (0.85, 0.2), (0.5, 0.5), (0.48, 0.72)), ((0.46, 0.9), (0.5, 0.95))),
    (
        ((0.9, 0.2), (0.4, 0.1), (0.15, 0.3), (0.8, 0.6), (0.7, 0.85), (0.1, 0.8)),
        ((0.55, -0.05), (0.45, 1.05)),
    ),
    (
        ((0.65, 0.35), (0.35, 0.4), (0.35, 0.65), (0.65, 0.6), (0.7, 0.3), (0.8, 0.65)),
        ((0.8, 0.65), (1, 0.4), (0.7, 0), (0.1, 0.2), (0.1, 0.8), (0.5, 1), (0.9, 0.9)),
    ),
    (
        ((0.95, 0.1), (0.5, 0), (0.2, 0.5), (0.5, 1), (0.95, 0.9)),
        ((0, 0.4), (0.75, 0.38)),
        ((0, 0.6), (0.7, 0.58)),
    ),
)
"""Strokes of # % & ? $ @ and the Euro sign, by points (x, y) of a square of side 1."""


def _sign(random: Random, _choose: Choose) -> GreyImage:
    """A sign of those that are written by hand."""
    canvas, thick = _empty(), _thick(random)
    wide, high = random.uniform(22, 40), random.uniform(30, 46)
    for stroke in _SIGNS[int(random.integers(len(_SIGNS)))]:
        points = (np.array(stroke) - 0.5) * (wide, high) + SIDE / 2
        _stroke(canvas, points + random.normal(0, 1, points.shape), thick)
    return laid(canvas, random)


KINDS: tuple[Callable[[Random, Choose], GreyImage], ...] = (
    _tick,
    _cross,
    _cross,
    _scribble,
    _scribble,
    _crossed_out,
    _crossed_out,
    _struck_once,
    _struck_once,
    _overwritten,
    _overwritten,
    _fraction,
    _fraction,
    _fraction,
    _corner,
    _angle,
    _bracket,
    _dashes,
    _dots,
    _blot,
    _several,
    _several,
    _several,
    _loops,
    _sign,
    _sign,
    _void,
)
"""How often each is drawn, in proportion."""
