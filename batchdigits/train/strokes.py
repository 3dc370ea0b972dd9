"""Digits drawn by strokes, as they are written where the labelled sets have none.

MNIST and the other sets come from three countries. Elsewhere 1 has a long upstroke, 7 a bar, 4 is
open, 9 a small loop on a straight stem or on one that curls, 0 closes with a loop, 5 is like an S.
Points are x, y in a box of side 1; a stroke goes smoothly through them, a corner is a point told
twice.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import Grey
from batchdigits.train.alter import Random

SIDE, REACH = 64, 44
"""Of the canvas, and of a digit on it, px."""
FINE = 8
"""Points that are drawn for each that is given."""

Points = tuple[tuple[float, float], ...]


def _round(x: float, y: float, wide: float, high: float, start: float, end: float) -> Points:
    """Give points along an ellipse, angles in degrees from the right, clockwise."""
    angles = np.radians(np.linspace(start, end, 9))
    return tuple(
        (x + wide * float(np.cos(a)), y + high * float(np.sin(a))) for a in angles.tolist()
    )


_SHAPES: dict[int, tuple[tuple[Points, ...], ...]] = {
    0: (
        (_round(0.4, 0.55, 0.38, 0.45, -90, -440), ((0.5, 0.12), (0.62, 0.02), (0.72, 0.08))),
        (_round(0.4, 0.5, 0.38, 0.48, -60, -400) + ((0.55, 0.2), (0.4, 0.14), (0.36, 0.02)),),
        (_round(0.4, 0.5, 0.4, 0.46, -100, -430) + ((0.75, 0.06), (0.95, 0.0)),),
    ),
    1: (
        (((0.0, 0.5), (0.3, 0.28), (0.55, 0.0), (0.55, 0.0), (0.5, 0.5), (0.45, 1.0)),),
        (((0.0, 0.75), (0.35, 0.3), (0.6, 0.0), (0.6, 0.0), (0.55, 0.5), (0.5, 1.0)),),
        (
            ((0.1, 0.4), (0.5, 0.0), (0.5, 0.0), (0.45, 0.5), (0.45, 1.0)),
            ((0.1, 1.0), (0.45, 0.98), (0.85, 1.0)),
        ),
        (((0.0, 0.95), (0.3, 0.5), (0.6, 0.0), (0.6, 0.0), (0.6, 0.5), (0.55, 1.0)),),
    ),
    2: (
        (((0.1, 0.25), (0.3, 0.02), (0.65, 0.08), (0.6, 0.4), (0.3, 0.75), (0.1, 0.95),
          (0.1, 0.8), (0.3, 0.82), (0.6, 1.0), (0.9, 0.9)),),
        (((0.05, 0.2), (0.4, 0.0), (0.6, 0.25), (0.3, 0.7), (0.0, 1.0), (0.0, 1.0), (0.8, 0.98)),),
    ),
    4: (
        (((0.35, 0.0), (0.2, 0.3), (0.05, 0.6), (0.05, 0.6), (0.45, 0.6), (0.85, 0.55)),
         ((0.65, 0.3), (0.58, 0.65), (0.52, 1.0))),
        (((0.1, 0.0), (0.05, 0.45), (0.3, 0.52), (0.65, 0.4)), ((0.7, 0.05), (0.62, 0.5), (0.55, 1.0))),
        (((0.3, 0.0), (0.1, 0.5), (0.1, 0.5), (0.5, 0.45), (0.5, 0.45), (0.45, 1.0)),),
        (((0.35, 0.0), (0.1, 0.55), (0.3, 0.6), (0.6, 0.5), (0.6, 0.5), (0.35, 1.0)),),
    ),
    5: (
        (((0.85, 0.02), (0.5, 0.05), (0.25, 0.08), (0.2, 0.4), (0.45, 0.42), (0.65, 0.65),
          (0.45, 0.95), (0.05, 0.95)),),
        (((0.9, 0.0), (0.4, 0.1), (0.2, 0.35), (0.5, 0.5), (0.6, 0.75), (0.3, 1.0), (0.0, 0.9)),),
        (((0.2, 0.05), (0.15, 0.45), (0.5, 0.45), (0.6, 0.75), (0.3, 1.0), (0.0, 0.92)),
         ((0.2, 0.05), (0.6, 0.03), (0.95, 0.0))),
    ),
    7: (
        (((0.0, 0.12), (0.4, 0.08), (0.75, 0.02), (0.75, 0.02), (0.5, 0.5), (0.3, 1.0)),
         ((0.15, 0.55), (0.45, 0.5), (0.8, 0.48))),
        (((0.0, 0.2), (0.05, 0.05), (0.4, 0.12), (0.8, 0.0), (0.55, 0.4), (0.4, 1.0)),
         ((0.1, 0.5), (0.5, 0.48), (0.85, 0.45))),
        (((0.05, 0.25), (0.1, 0.02), (0.45, 0.1), (0.75, 0.0), (0.5, 0.45), (0.3, 1.0)),),
        (((0.1, 0.1), (0.5, 0.05), (0.6, 0.1), (0.5, 0.5), (0.42, 1.0)),
         ((0.05, 0.5), (0.45, 0.48), (0.95, 0.46))),
    ),
    9: (
        (_round(0.45, 0.24, 0.28, 0.23, -20, -370) + ((0.66, 0.5), (0.6, 0.8), (0.55, 1.0)),),
        (_round(0.4, 0.18, 0.2, 0.18, 0, -360) + ((0.58, 0.5), (0.5, 1.0)),),
        (_round(0.45, 0.24, 0.28, 0.22, -20, -380) + ((0.65, 0.5), (0.6, 0.85), (0.35, 1.0), (0.1, 0.9)),),
        (_round(0.45, 0.25, 0.3, 0.24, -30, -390) + ((0.4, 0.55), (0.62, 0.7), (0.5, 0.95), (0.15, 0.95), (0.1, 0.8)),),
        (((0.35, 1.0), (0.4, 0.5), (0.45, 0.1), (0.7, 0.02), (0.8, 0.22), (0.6, 0.42), (0.4, 0.42)),),
        (_round(0.4, 0.3, 0.3, 0.26, -40, -330) + ((0.68, 0.1), (0.68, 0.1), (0.66, 0.6), (0.6, 1.0)),),
    ),
}  # fmt: skip
DRAWN = tuple(_SHAPES)
"""The digits that can be drawn."""


def drawn(digit: int, random: Random) -> Grey:
    """Draw a digit: one of its shapes, unsteady, in a pen of any width.

    Args:
        digit: one of `DRAWN`.
        random: where the chance comes from.

    Returns:
        uint8, shape (64, 64), ink light on dark.
    """
    shapes = _SHAPES[digit]
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    size = np.array([REACH * random.uniform(0.45, 0.9), REACH])
    moved = random.normal(0, 0.035, 2) * REACH
    pen = int(random.integers(2, 6))
    for stroke in shapes[int(random.integers(len(shapes)))]:
        points = np.array(stroke) + random.normal(0, 0.035, (len(stroke), 2))
        points = _smooth(points) * size + (SIDE - size) / 2 + moved
        fixed = np.rint(points * 8).astype(np.int32)
        cv2.polylines(canvas, [fixed], False, 255, pen, cv2.LINE_AA, 3)
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
