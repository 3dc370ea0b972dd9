"""Where the lines of printed boxes really are, against where a pose says they are."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import Grey

STEP = 0.06
"""Distance of samples across a line, mm."""
ALONG = 16
"""Samples along a side."""
INSET = 0.12
"""Share of a side at either end that is left out: there other sides meet it."""
CONTRAST = 0.12
"""Least darkness of a line, as a share from paper to black, on the mean along the side."""

Points = NDArray[np.float64]
"""Shape (N, 2), x before y."""


class Sides(NamedTuple):
    """Sides of boxes, N of them, on paper.

    Attributes:
        start: (N, 2), mm.
        end: (N, 2), mm.
        normal: (N, 2), unit vectors across, out of the box.
    """

    start: Points
    end: Points
    normal: Points


class Found(NamedTuple):
    """What was found of N sides.

    Attributes:
        offset: (N,), mm, how far along the normal the line stands from where it should; nan where
            there is none.
        darkness: (N,), mean darkness of the line over its surroundings, 0 to 1.
    """

    offset: NDArray[np.float64]
    darkness: NDArray[np.float64]


def sides(boxes: NDArray[np.float64]) -> Sides:
    """List the four sides of boxes (N, 4: x, y, width, height, mm): left, right, top, bottom."""
    x, y, wide, high = boxes.T
    corners = {
        "tl": np.column_stack([x, y]),
        "tr": np.column_stack([x + wide, y]),
        "bl": np.column_stack([x, y + high]),
        "br": np.column_stack([x + wide, y + high]),
    }
    pairs = (("tl", "bl"), ("tr", "br"), ("tl", "tr"), ("bl", "br"))
    out = np.array([[-1, 0], [1, 0], [0, -1], [0, 1]], np.float64)
    start, end = (np.concatenate([corners[pair[n]] for pair in pairs]) for n in (0, 1))
    return Sides(start, end, np.repeat(out, len(boxes), axis=0))


def projected(matrix: NDArray[np.float64], points: Points) -> Points:
    """Carry points on paper, mm, (..., 2), into the picture, px."""
    flat = points.reshape(1, -1, 2)
    return np.asarray(cv2.perspectiveTransform(flat, matrix)).reshape(points.shape)


def measured(grey: Grey, matrix: NDArray[np.float64], lines: Sides, reach: float) -> Found:
    """Look for each side's line, as far as `reach` mm on either side of where it should be.

    Args:
        grey: the page, dark ink on light paper.
        matrix: (3, 3), mm on paper → px.
        lines: the sides.
        reach: mm.
    """
    across = np.arange(-reach, reach + STEP / 2, STEP)
    along = np.linspace(INSET, 1 - INSET, ALONG)
    middle = lines.start[:, None] + along[:, None] * (lines.end - lines.start)[:, None]
    points = middle[:, None] + across[:, None, None] * lines.normal[:, None, None]
    where = projected(matrix, points).astype(np.float32)  # (N, across, along, 2)
    rows = where.reshape(len(lines.start), -1, 2)
    seen = np.asarray(
        cv2.remap(
            grey, rows, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=255
        )
    )
    profile = 1 - seen.reshape(where.shape[:3]).mean(axis=2, dtype=np.float64) / 255
    ground = np.median(profile, axis=1, keepdims=True)
    nearer = 0.3 * np.abs(across) / reach  # of two lines as dark the nearer one
    peak = (profile - nearer * (profile > ground + CONTRAST)).argmax(axis=1)
    dark = profile[np.arange(len(peak)), peak] - ground[:, 0]
    above = np.maximum(profile - ground - 0.5 * dark[:, None], 0)
    weight = np.where(_around(above > 0, peak), above, 0)
    total = weight.sum(axis=1)
    offset = (weight * across).sum(axis=1) / np.where(total > 0, total, 1)
    inside = (peak > 0) & (peak < len(across) - 1)
    return Found(np.where((dark >= CONTRAST) & inside, offset, np.nan), dark)


def _around(run: NDArray[np.bool_], at: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Keep of each row's true places those that are joined to the one at `at`: (N, M), (N,)."""
    part = np.cumsum(np.diff(run, axis=1, prepend=run[:, :1]), axis=1)
    found: NDArray[np.bool_] = run & (part == np.take_along_axis(part, at[:, None], axis=1))
    return found
