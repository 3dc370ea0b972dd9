"""Digits drawn by strokes, as they are written where the labelled sets have none.

MNIST and the other sets come from few countries. Elsewhere 1 has a long upstroke, 7 a bar, 4 is
open, 9 a small loop on a straight stem or on one that curls, 0 closes with a loop, 5 is like an S.
Points are x, y in a box of side 1; a stroke goes smoothly through them, a corner is a point told
twice.
"""

import re
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage
from batchdigits.training.pen import Random

SIDE, REACH = 64, 44
"""Of the canvas, and of a digit on it, px."""
FINE = 8
"""Points that are drawn for each that is given."""

_SHAPES = """
0: 40,10 14,22 2,53 11,85 37,100 64,90 78,61 71,28 47,11 | 50,12 62,2 72,8
0: 59,8 32,3 9,22 2,56 16,87 42,98 67,84 78,52 69,19 55,20 40,14 36,2
0: 33,5 9,21 0,52 11,82 37,96 64,87 79,60 75,28 54,7 75,6 95,0
0: 40,0 12,18 0,50 12,82 40,100 68,82 80,50 68,18 38,2
1: 50,0 48,50 50,100
1: 0,50 30,28 55,0 55,0 50,50 45,100
1: 0,75 35,30 60,0 60,0 55,50 50,100
1: 10,40 50,0 50,0 45,50 45,100 | 10,100 45,98 85,100
1: 0,95 30,50 60,0 60,0 60,50 55,100
2: 10,25 30,2 65,8 60,40 30,75 10,95 10,80 30,82 60,100 90,90
2: 5,20 40,0 60,25 30,70 0,100 0,100 80,98
2: 5,25 35,0 65,20 45,60 0,98 0,98 75,95
3: 10,10 40,0 70,20 40,45 40,45 75,65 50,98 5,90
3: 5,5 75,5 75,5 35,40 35,40 75,60 50,100 0,90
3: 10,20 35,2 65,18 45,45 30,48 55,48 75,72 45,100 5,88
4: 60,0 5,65 5,65 85,65 | 62,30 60,100
4: 35,0 20,30 5,60 5,60 45,60 85,55 | 65,30 58,65 52,100
4: 10,0 5,45 30,52 65,40 | 70,5 62,50 55,100
4: 30,0 10,50 10,50 50,45 50,45 45,100
4: 35,0 10,55 30,60 60,50 60,50 35,100
5: 85,2 50,5 25,8 20,40 45,42 65,65 45,95 5,95
5: 90,0 40,10 20,35 50,50 60,75 30,100 0,90
5: 20,5 15,45 50,45 60,75 30,100 0,92 | 20,5 60,3 95,0
6: 70,5 35,25 10,65 30,98 65,90 65,60 35,55 15,75
6: 55,0 20,40 10,80 40,100 70,80 50,55 15,70
7: 0,10 70,5 70,5 35,100
7: 0,12 40,8 75,2 75,2 50,50 30,100 | 15,55 45,50 80,48
7: 0,20 5,5 40,12 80,0 55,40 40,100 | 10,50 50,48 85,45
7: 5,25 10,2 45,10 75,0 50,45 30,100
7: 10,10 50,5 60,10 50,50 42,100 | 5,50 45,48 95,46
8: 65,15 40,0 15,20 40,45 70,75 40,100 10,75 40,45 65,18
8: 60,20 35,2 12,22 60,60 62,90 30,100 12,75 60,25 72,5
8: 75,8 40,2 20,25 55,50 65,80 35,100 12,80 45,45 75,12
9: 71,16 57,3 37,2 20,13 18,30 30,44 51,46 68,37 73,20 66,50 60,80 55,100
9: 60,18 54,5 40,0 26,5 20,18 26,31 40,36 54,31 60,18 58,50 50,100
9: 71,16 57,4 35,3 20,15 19,32 33,44 55,45 70,33 71,16 65,50 60,85 35,100 10,90
9: 71,13 53,2 30,4 16,19 19,37 37,48 60,46 74,31 71,13 40,55 62,70 50,95 15,95 10,80
9: 35,100 40,50 45,10 70,2 80,22 60,42 40,42
9: 63,13 47,5 29,6 14,17 10,32 17,47 34,55 52,54 66,43 68,10 68,10 66,60 60,100
"""
"""A shape a digit: x,y in hundredths; `|` parts its strokes."""


def _shapes(text: str) -> dict[int, list[list[NDArray[np.float64]]]]:
    out: dict[int, list[list[NDArray[np.float64]]]] = {}
    for digit, shape in re.findall(r"(\d): ([^:]+)(?=\n)", text):
        strokes = [
            np.array([pair.split(",") for pair in stroke.split()], np.float64) / 100
            for stroke in shape.split("|")
        ]
        out.setdefault(int(digit), []).append(strokes)
    return out


_DIGITS = _shapes(_SHAPES)


class Writer(NamedTuple):
    """How one person writes: which shape of each digit, and how wide a pen, px."""

    shapes: tuple[int, ...]
    pen: int


def writer(random: Random) -> Writer:
    """Choose a writer by chance."""
    shapes = [int(random.integers(len(_DIGITS[digit]))) for digit in range(10)]
    return Writer(tuple(shapes), int(random.integers(2, 6)))


def drawn(digit: int, by: Writer, random: Random) -> GreyImage:
    """Draw a digit, unsteady.

    Args:
        digit: 0 to 9.
        by: in whose shape.
        random: where the chance comes from.

    Returns:
        uint8, shape (64, 64), ink light on dark.
    """
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    size = np.array([REACH * random.uniform(0.45, 0.9), REACH])
    moved = random.normal(0, 0.035, 2) * REACH
    for stroke in _DIGITS[digit][by.shapes[digit]]:
        points = stroke + random.normal(0, 0.035, (len(stroke), 2))
        points = _smooth(points) * size + (SIDE - size) / 2 + moved
        fixed = np.rint(points * 8).astype(np.int32)
        cv2.polylines(canvas, [fixed], False, 255, by.pen, cv2.LINE_AA, 3)
    return canvas


def _smooth(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lead a smooth line through points (N, 2): a cubic through each four (Catmull and Rom)."""
    ends = np.vstack([points[:1], points, points[-1:]])
    steps = np.linspace(0, 1, FINE, endpoint=False)[:, None]
    parts = []
    for a, b, c, d in zip(ends, ends[1:], ends[2:], ends[3:], strict=False):
        parts.append(
            b
            + (c - a) / 2 * steps
            + (a - 2.5 * b + 2 * c - d / 2) * steps**2
            + (1.5 * (b - c) + (d - a) / 2) * steps**3
        )
    return np.vstack([*parts, points[-1:]])
