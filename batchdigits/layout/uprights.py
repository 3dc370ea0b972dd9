"""Upright lines between two level ones, and how they are drawn into the pictures of a page."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.layout.lines import Ink, Lines

OFF_PX = 2
"""px by which what is left of a line may leave it."""
WHOLE = 0.93
"""Share of a line that is there, if it is whole."""
APART_PX = 5
"""px between two boxes, at least."""


class Upright(NamedTuple):
    """A line between two level ones, or what is left of it.

    Attributes:
        x: where it is, px.
        top: where the level line above it ends.
        bottom: where that below it begins.
        share: of it that is there.
    """

    x: float
    top: int
    bottom: int
    share: float


Level = tuple[tuple[int, int], tuple[int, int]]
"""The ends of a level line, x before y."""
Row = list[Upright]
"""Lines between the same two level ones, from left to right."""


def draw_uprights(found: Lines, rows: Sequence[Row]) -> Lines:
    """Draw lines, and the level ones above and below them, into the pictures of a page."""
    thin = [found.ink.copy(), found.faint.copy(), found.strong.copy()]
    thick = [found.level.copy(), found.upright.copy()]
    thick += [barrier.copy() for barrier in found.barriers]
    for row in rows:
        ends = [(round(line.x), line.top - 2, line.bottom + 1) for line in row]
        sides = [((x, top), (x, bottom)) for x, top, bottom in ends]
        for (left, top, bottom), (right, above, below) in pairwise(ends):
            levels = [((left, top), (right, above)), ((left, bottom), (right, below))]
            sides += [] if _is_apart(found.strong, *levels) else levels
        for start, end in sides:
            for picture in thin:
                cv2.line(picture, start, end, (255,), 1)
            for picture in thick:
                cv2.line(picture, start, end, (255,), 3)
    level, upright, *barriers = thick
    return Lines(thin[0], thin[1], tuple(barriers), level, upright, thin[2])


def _is_apart(ink: Ink, one: Level, two: Level) -> bool:
    """Return whether whole lines above and below end at one place, as those of two boxes do.

    Args:
        ink: strong ink.
        one: the level line between two uprights that is above.
        two: that below.
    """
    above, below = (_look_along(ink, line) for line in (one, two))
    both = min(len(above), len(below))
    there = above[:both] | below[:both]
    ends = np.flatnonzero(np.diff(np.concatenate([[True], there, [True]]).astype(np.int8)))
    if not len(ends):
        return False
    longest = int((ends[1::2] - ends[::2]).argmax())
    start, end = ends[2 * longest : 2 * longest + 2].tolist()
    rest = np.concatenate([above[:start], above[end:], below[:start], below[end:]])
    return bool(end - start >= APART_PX and rest.size and rest.mean() >= WHOLE)


def _look_along(ink: Ink, line: Level) -> NDArray[np.bool_]:
    """Return where a level line has ink, (N,)."""
    (start, first), (end, last) = line
    top, bottom = min(first, last) - OFF_PX, max(first, last) + OFF_PX + 1
    return np.asarray(ink[max(0, top) : bottom, start:end].any(axis=0), np.bool_)
