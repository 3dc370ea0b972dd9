"""Digits that a pen wrote on a tablet, as strokes: drawn anew with any pen, size, slant and hand.

A picture of a digit can be turned and stretched, but its stroke stays as it was scanned. Of strokes
every part can be redrawn, so few writers give many pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.labelled import LabelledCrops
from batchdigits.records import GreyImage

Random = np.random.Generator
Strokes = tuple[NDArray[np.float32], ...]
"""Strokes of one sign, each (points, 2): x, y downwards; their box is centred on 0, its longest
side is 1."""

PLAIN_SIDE, PLAIN_REACH, PLAIN_PEN = 48, 34.0, 3
"""Crop, longest side of the sign, and pen of a sign as it was written, px."""
PENS = (1, 2, 2, 3, 3, 3, 4, 4, 5, 6)
"""Widths of pens, px of a canvas of 64."""
WAVES = (18.0, 70.0)
"""Lengths of the waves by which a hand trembles, px of the canvas."""
SHIFT = 4
"""Binary digits behind the point of a position, as OpenCV draws it."""


def scale_strokes(strokes: Sequence[NDArray[np.generic]]) -> Strokes:
    """Bring strokes to the place and size of `Strokes`.

    Args:
        strokes: each (points, 2), x and y downwards, in any unit; at least one point in all.
    """
    every = np.concatenate(strokes).astype(np.float32)
    low, high = every.min(0), every.max(0)
    size = max(float((high - low).max()), 1e-6)
    return tuple((np.asarray(one, np.float32) - (low + high) / 2) / size for one in strokes)


def draw_strokes(canvas: GreyImage, strokes: Strokes, pen: int) -> None:
    """Draw strokes, in px of the canvas, uint8, with a round pen of 1 px or more.

    A stroke of one point is a dot: OpenCV draws nothing from a point to nowhere.
    """
    drawn = [np.repeat(one, 2, axis=0) if len(one) == 1 else one for one in strokes]
    fixed = [np.rint(one * (1 << SHIFT)).astype(np.int32) for one in drawn]
    cv2.polylines(canvas, fixed, False, 255, pen, cv2.LINE_AA, SHIFT)


def scan_plainly(strokes: Strokes) -> GreyImage:
    """Draw strokes as they were written, ink dark: uint8, shape (48, 48)."""
    canvas = np.zeros((PLAIN_SIDE, PLAIN_SIDE), np.uint8)
    middle = np.float32((PLAIN_SIDE - 1) / 2)
    placed = tuple(one * np.float32(PLAIN_REACH) + middle for one in strokes)
    draw_strokes(canvas, placed, PLAIN_PEN)
    return 255 - canvas


def add_tremor(points: NDArray[np.float64], reach: float, random: Random) -> NDArray[np.float64]:
    """Move points (N, 2) by waves of a height of about `reach` px, as an unsteady hand does."""
    length, angle, phase = (
        random.uniform(*WAVES, 2),
        random.uniform(0, 2 * np.pi, 2),
        random.uniform(0, 2 * np.pi, 2),
    )
    ways = np.stack([np.cos(angle), np.sin(angle)]) * (2 * np.pi / length)
    return np.asarray(points + reach * np.sin(points @ ways + phase))


def add_curl(strokes: Strokes, random: Random) -> Strokes:
    """Begin a 2 with a curl that comes from its stem, as old northern hands close its head.

    Returns:
        The strokes, of which the first has more points; as they are where it does not begin at the
        upper left of a stem.
    """
    first = strokes[0]
    stem = np.argmax(first[: len(first) // 2 + 1, 0])
    begin, right = first[0], first[stem]
    if len(first) < 6 or right[0] - begin[0] < 0.15:
        return strokes
    inside = random.uniform(0.5, 1.05)
    source = begin + (right - begin) * (inside, 1) + (0, random.uniform(-0.05, 0.2))
    low = np.array([begin[0] + random.uniform(-0.05, 0.1), max(source[1], begin[1])])
    low[1] += random.uniform(0.02, 0.2)
    along = np.linspace(0, 1, 12)[:-1, None]
    curl = (1 - along) ** 2 * source + 2 * along * (1 - along) * low + along**2 * begin
    return scale_strokes([np.concatenate([curl, first]), *strokes[1:]])


@dataclass(frozen=True)
class PenCrops:
    """Signs as strokes, with their labels; a set to learn from, as `LabelledCrops` is one.

    Attributes:
        strokes: N signs.
        labels: int64, shape (N,), as in `LabelledCrops`.
        names: where each comes from, for people.
    """

    strokes: Sequence[Strokes]
    labels: NDArray[np.int64]
    names: Sequence[str]

    @cached_property
    def crops(self) -> list[GreyImage]:
        """Return the signs drawn as they were written, as from `scan_plainly`."""
        return [scan_plainly(one) for one in self.strokes]

    def select(self, indices: NDArray[np.int64]) -> "PenCrops":
        """Return the entries with the indices `indices`, in that order."""
        chosen = indices.tolist()
        return PenCrops(
            [self.strokes[n] for n in chosen],
            self.labels[indices],
            [self.names[n] for n in chosen],
        )


LabelledSet = LabelledCrops | PenCrops


def draw_set(found: LabelledSet) -> LabelledCrops:
    """Return a set as crops: strokes are drawn as they were written."""
    if isinstance(found, LabelledCrops):
        return found
    return LabelledCrops(found.crops, found.labels, found.names)
