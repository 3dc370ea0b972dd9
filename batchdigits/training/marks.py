"""Draw marks that are no digit: ticks, crosses, scribbles, lines, dots, blots, signs.

Each function draws one kind by chance on a canvas of 64 x 64: uint8, ink light on dark.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage
from batchdigits.training.alter import SIDE, Ink, laid
from batchdigits.training.pen import Random

Points = NDArray[np.float64]
Choose = Callable[[int | None], Ink]
"""Gives a digit of a label, or any digit for None."""


def draw_stroke(canvas: GreyImage, points: Points, thick: int) -> None:
    """Draw a smooth stroke through points (N, 2), x before y, in pixels of the canvas."""
    steps = np.linspace(0, len(points) - 1, 8 * len(points))
    x, y = (np.interp(steps, np.arange(len(points)), points[:, axis]) for axis in (0, 1))
    line = cv2.blur(np.column_stack([x, y]), (1, 5), borderType=cv2.BORDER_REPLICATE)
    line[[0, -1]] = points[[0, -1]]
    cv2.polylines(canvas, [np.rint(line * 8).astype(np.int32)], False, 255, thick, cv2.LINE_AA, 3)


def make_canvas() -> GreyImage:
    """Return a canvas without ink."""
    return np.zeros((SIDE, SIDE), np.uint8)


def choose_pen(random: Random) -> int:
    """Choose how wide a pen is, px."""
    return int(random.choice((2, 3, 3, 4, 4, 5, 6)))


def draw_tick(random: Random, _choose: Choose) -> GreyImage:
    """Draw a tick: a short stroke down and a long one up."""
    canvas = make_canvas()
    low = random.uniform((24, 40), (34, 52))
    left = low + random.uniform((-18, -20), (-8, -6))
    right = low + random.uniform((12, -42), (26, -22))
    bend = (low + right) / 2 + random.normal(0, 2, 2)
    draw_stroke(canvas, np.array([left, low]), thick := choose_pen(random))
    draw_stroke(canvas, np.array([low, bend, right]), thick)
    return canvas


def draw_cross(random: Random, _choose: Choose) -> GreyImage:
    """Draw an x, a plus, or a star of two to four strokes through one middle."""
    canvas, strokes = make_canvas(), int(random.choice((2, 2, 2, 3, 4)))
    start, thick = random.uniform(0, np.pi), choose_pen(random)
    for number in range(strokes):
        angle = start + np.pi * number / strokes + random.normal(0, 0.12)
        reach = random.uniform(13, 24) * np.array([np.cos(angle), np.sin(angle)])
        middle = SIDE / 2 + random.normal(0, 1.5, 2)
        draw_stroke(canvas, np.array([middle - reach, middle, middle + reach]), thick)
    return canvas


def draw_scribble(random: Random, _choose: Choose) -> GreyImage:
    """Draw a pen that goes to and fro, or wanders."""
    canvas, turns = make_canvas(), int(random.integers(8, 18))
    if random.random() < 0.5:
        points = random.uniform(6, 58, (turns, 2))
    else:
        along = np.linspace(random.uniform(4, 20), random.uniform(44, 60), turns)
        across = SIDE / 2 + np.where(np.arange(turns) % 2, 1, -1) * random.uniform(8, 22)
        points = np.column_stack([along, across]) + random.normal(0, 2, (turns, 2))
        turn = random.uniform(0, 2 * np.pi)
        cos, sin = np.cos(turn), np.sin(turn)
        points = (points - SIDE / 2) @ np.array([[cos, -sin], [sin, cos]]) + SIDE / 2
    draw_stroke(canvas, points, choose_pen(random))
    return canvas


def draw_void(random: Random, _choose: Choose) -> GreyImage:
    """Draw a stroke from the upper left to the lower right, as voids an empty box."""
    canvas = make_canvas()
    angle, reach = random.uniform(0.5, 1.1), random.uniform(16, 30)
    way = reach * np.array([np.cos(angle), np.sin(angle)])
    points = np.array([-way, random.normal(0, 1, 2), way]) + SIDE / 2
    draw_stroke(canvas, points, choose_pen(random))
    return canvas


def draw_corner(random: Random, _choose: Choose) -> GreyImage:
    """Draw a corner, a tee or a grid of ruled lines that meet within the picture."""
    canvas, thick = make_canvas(), int(random.integers(1, 5))
    x, y = random.uniform(14, 50, 2)
    meets = random.random()
    long = meets >= 0.4 or random.random() < 0.5  # lines that leave the picture, or end in it
    left, right = (0, SIDE) if long else sorted(random.uniform(6, 58, 2))
    top, bottom = (0, SIDE) if long else sorted(random.uniform(6, 58, 2))
    level = [[x if meets < 0.7 else left, y], [right, y]]
    upright = [[x, y if meets < 0.4 else top], [x, bottom]]
    for line in (level, upright):
        draw_stroke(canvas, np.array(line) + random.normal(0, 0.5, (2, 2)), thick)
    turned: GreyImage = np.ascontiguousarray(
        np.rot90(canvas, int(random.integers(3 if meets < 0.4 else 4)))
    )
    return turned


def draw_angle(random: Random, _choose: Choose) -> GreyImage:
    """Draw two strokes that meet, opening to a side, up or down: < > ^ v."""
    canvas = make_canvas()
    reach, half = random.uniform(18, 34), random.uniform(0.3, 0.9)
    opens = int(random.integers(4)) * np.pi / 2 + random.normal(0, 0.12)
    tip = SIDE / 2 - reach / 2 * np.array([np.cos(opens), np.sin(opens)])
    ends = [
        tip + reach * random.uniform(0.8, 1.2) * np.array([np.cos(opens + a), np.sin(opens + a)])
        for a in (half, -half)
    ]
    thick = choose_pen(random)
    for end in ends:
        draw_stroke(canvas, np.array([tip, (tip + end) / 2 + random.normal(0, 1, 2), end]), thick)
    return canvas


def draw_bracket(random: Random, _choose: Choose) -> GreyImage:
    """Draw brackets, braces and parentheses, and what lies on its side like them."""
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
    canvas = make_canvas()
    draw_stroke(canvas, points, choose_pen(random))
    if random.random() < 0.2:
        canvas = np.ascontiguousarray(np.rot90(canvas))
    return canvas


def draw_dashes(random: Random, _choose: Choose) -> GreyImage:
    """Draw level strokes: a dash, an equals sign, a tilde."""
    canvas, thick = make_canvas(), choose_pen(random)
    half, apart = random.uniform(10, 28), random.uniform(10, 18)
    strokes = int(random.choice((1, 1, 2, 3)))
    for number in range(strokes):
        y = SIDE / 2 + (number - (strokes - 1) / 2) * apart + random.normal(0, 1)
        wave = random.normal(0, random.choice((0.5, 3)), 4)
        x = SIDE / 2 + np.linspace(-half, half, 4)
        draw_stroke(canvas, np.column_stack([x, y + wave]), thick)
    return canvas


def draw_dots(random: Random, _choose: Choose) -> GreyImage:
    """Draw one to five dots and specks."""
    canvas = make_canvas()
    for _ in range(int(random.integers(1, 6))):
        middle = tuple(random.integers(12, 52, 2).tolist())
        axes = tuple(random.integers(1, 7, 2).tolist())
        cv2.ellipse(canvas, middle, axes, random.uniform(0, 180), 0, 360, 255, -1, cv2.LINE_AA)
    return canvas


def draw_blot(random: Random, _choose: Choose) -> GreyImage:
    """Draw a filled spot with an uneven edge."""
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    reach = random.uniform(8, 26, 2)
    rough = 1 + random.normal(0, random.uniform(0.02, 0.25), 12)
    points = np.column_stack([np.cos(angles), np.sin(angles)]) * rough[:, None] * reach + SIDE / 2
    return np.asarray(
        cv2.fillPoly(make_canvas(), [np.rint(points).astype(np.int32)], 255), np.uint8
    )


def draw_loops(random: Random, _choose: Choose) -> GreyImage:
    """Draw loops one after the other: a signature's beginning, a coil."""
    loops, thick = random.uniform(2.2, 5), choose_pen(random)
    angle = np.linspace(0, 2 * np.pi * loops, int(10 * loops))
    reach = random.uniform(6, 18, 2)
    along = np.linspace(12, 52, len(angle)) * random.uniform(0.4, 1)
    points = np.column_stack([along + reach[0] * np.cos(angle), 32 + reach[1] * np.sin(angle)])
    canvas = make_canvas()
    draw_stroke(canvas, points, thick)
    turned: GreyImage = np.ascontiguousarray(np.rot90(canvas, int(random.integers(4))))
    return turned


SIGNS: tuple[tuple[tuple[tuple[float, float], ...], ...], ...] = (
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


def draw_sign(random: Random, _choose: Choose) -> GreyImage:
    """Draw a sign of those that are written by hand."""
    canvas, thick = make_canvas(), choose_pen(random)
    wide, high = random.uniform(22, 40), random.uniform(30, 46)
    for stroke in SIGNS[int(random.integers(len(SIGNS)))]:
        points = (np.array(stroke) - 0.5) * (wide, high) + SIDE / 2
        draw_stroke(canvas, points + random.normal(0, 1, points.shape), thick)
    return laid(canvas, random)
