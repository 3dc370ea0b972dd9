"""The picture of a blank form → the boxes printed on it, in millimetres.

Boxes are the regions that lines close in. Lines are long straight runs of ink, dashes joined, so
that print within a box or touching it does not matter; a side that the scanner lost altogether is
put back where the ends of its neighbours show it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import Grey

FINE = 10
"""Pixels a millimetre of the picture that is worked on, whatever the scan's."""
INK = 16
"""Grey levels by which ink is darker than what surrounds it."""
DASH, LONG = 1.2, 2.5
"""Gaps in a line that are joined, and the shortest run that is a line then, mm."""
THICK = 1.2
"""What is thicker, mm, is no line: a box beside it ends where it begins."""
LEAST, MOST = 2.5, 40.0
"""Least side of the paper in a box, and its greatest height, mm."""
WIDEST = 0.95
"""Share of the page's width that a box may have."""
FULL, PRINT = 0.85, 0.08
"""Least share of its frame that the region in a box fills; most of it that is printed on."""
LEVEL = 0.6
"""How far the ends of two lines that belong to one box may differ, mm."""
DRAWN = 0.9
"""Share of a side from which on it is there; one with less than half of that is lost."""

Ink = NDArray[np.uint8]
"""0 is paper, 255 is ink; `FINE` pixels a millimetre."""


class _Side(NamedTuple):
    """Where a line runs across: its inner edge, px from where it was looked for; its width, px."""

    begin: float
    width: float


def boxes(grey: Grey, size: tuple[float, float]) -> NDArray[np.float64]:
    """Find the boxes on a blank form.

    Args:
        grey: the form, uint8, (height, width), upright and straight, dark lines on light paper.
        size: width and height of the paper in it, mm.

    Returns:
        (N, 4): x, y, width, height, mm, to the middle of the lines.
    """
    ink = inked(grey, size)
    flat, tall = _lines(ink, 1), _lines(ink, 0)
    barrier = _mended(flat, tall)
    outlines, tree = cv2.findContours(255 - barrier, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    regions = [] if tree is None else np.flatnonzero(tree[0, :, 3] < 0).tolist()  # not their holes
    out: list[tuple[float, ...]] = []
    for outline in (outlines[n] for n in regions):
        x, y, wide, high = cv2.boundingRect(outline)
        fits = min(wide, high) >= LEAST * FINE and high <= MOST * FINE
        if not fits or wide > WIDEST * ink.shape[1]:
            continue
        filled = cv2.contourArea(outline) >= FULL * (wide - 1) * (high - 1)
        if filled and _printed(ink, x, y, wide, high) <= PRINT:
            out += _measured(barrier, x, y, wide, high)
    found = np.array(out, np.float64).reshape(-1, 4) / FINE
    return found[~_frames(found)]


def inked(grey: Grey, size: tuple[float, float]) -> Ink:
    """Part ink from paper, at `FINE` pixels a millimetre."""
    pixels = [max(1, round(side * FINE)) for side in size]
    smaller = pixels[0] < grey.shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    picture = cv2.resize(grey, pixels, interpolation=how)
    block = 8 * FINE + 1
    return np.asarray(
        cv2.adaptiveThreshold(
            picture, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, block, INK
        ),
        np.uint8,
    )


def _lines(ink: Ink, along: int) -> Ink:
    """Keep long runs of ink, level (`along` 1) or upright (0), with their dashes joined.

    Lines are made a pixel thicker on either side first, for they are never quite straight.
    """
    closed, opened = (
        cv2.getStructuringElement(cv2.MORPH_RECT, (n, 1) if along else (1, n))
        for n in (int(DASH * FINE), int(LONG * FINE))
    )
    across = cv2.getStructuringElement(cv2.MORPH_RECT, (1, 3) if along else (3, 1))
    joined = cv2.morphologyEx(cv2.dilate(ink, across), cv2.MORPH_CLOSE, closed)
    return np.asarray(cv2.morphologyEx(joined, cv2.MORPH_OPEN, opened), np.uint8)


def _mended(flat: Ink, tall: Ink) -> Ink:
    """Put lines together, and put back what closes a box of which one level side is lost."""
    barrier = flat | tall
    _, _, stats, _ = cv2.connectedComponentsWithStats(tall, connectivity=8)
    thin = sorted(one[:4] for one in stats[1:].tolist() if one[2] <= THICK * FINE)
    for n, (x, y, wide, high) in enumerate(thin):
        beside = (
            one
            for one in thin[n + 1 :]
            if one[0] - x >= LEAST * FINE
            and abs(one[1] - y) <= LEVEL * FINE
            and abs(one[1] + one[3] - y - high) <= LEVEL * FINE
        )
        if (other := next(beside, None)) is None:
            continue
        inset = max(0, min(wide, other[2]) // 2 - 1)  # the lost line was as thick
        ends_x = (x + wide // 2, other[0] + other[2] // 2)
        tops = ((ends_x[0], y + inset), (ends_x[1], other[1] + inset))
        ends = (
            (ends_x[0], y + high - 1 - inset),
            (ends_x[1], other[1] + other[3] - 1 - inset),
        )
        top, bottom = _drawn(flat, *tops), _drawn(flat, *ends)
        if top >= DRAWN and bottom < DRAWN / 2 and not _goes_on(tall, ends, 1):
            cv2.line(barrier, ends[0], ends[1], (255,), 2)
        elif bottom >= DRAWN and top < DRAWN / 2 and not _goes_on(tall, tops, -1):
            cv2.line(barrier, tops[0], tops[1], (255,), 2)
    return barrier


def _goes_on(tall: Ink, ends: Sequence[tuple[int, int]], way: int) -> bool:
    """Tell whether beyond an end, downwards (1) or upwards (-1), its line begins again."""
    near = int(THICK * FINE)
    for x, y in ends:
        from_, to = sorted((y + way * FINE // 2, y + way * 3 * near))
        if tall[max(from_, 0) : max(to, 0), max(x - near, 0) : x + near].any():
            return True
    return False


def _drawn(flat: Ink, start: tuple[int, int], end: tuple[int, int]) -> float:
    """Say what share of a level side has a line."""
    near = int(LEVEL * FINE)
    top, bottom = min(start[1], end[1]), max(start[1], end[1])
    strip = flat[max(top - near, 0) : bottom + near + 1, start[0] : end[0]]
    return float(strip.any(axis=0).mean())


def _printed(ink: Ink, x: int, y: int, wide: int, high: int) -> float:
    inset = FINE // 2
    return float((ink[y + inset : y + high - inset, x + inset : x + wide - inset] > 0).mean())


def _measured(barrier: Ink, x: int, y: int, wide: int, high: int) -> list[tuple[float, ...]]:
    """Measure a box to the middle of its lines, px; none where it has fewer than two lines."""
    sides = [
        _side(part)
        for part in (
            _strips(barrier.T[::-1], barrier.shape[1] - x, y, high),
            _strips(barrier.T, x + wide, y, high),
            _strips(barrier[::-1], barrier.shape[0] - y, x, wide),
            _strips(barrier, y + high, x, wide),
        )
    ]
    widths = [side.width for side in sides if 0 < side.width <= THICK * FINE]
    if len(widths) < 2:
        return []
    usual = float(np.median(widths))
    left, right, top, bottom = (
        side.begin + (side.width if 0 < side.width <= THICK * FINE else usual) / 2 for side in sides
    )
    return [(x - left, y - top, wide + left + right, high + top + bottom)]


def _strips(barrier: Ink, edge: int, start: int, length: int) -> NDArray[np.bool_]:
    """Cut strips (N, M) across the middle half of a side, downwards from 1 mm before its edge."""
    reach = int((THICK + 0.2) * FINE)
    rows = barrier[edge - FINE : edge + reach, start + length // 4 : start + length - length // 4]
    return np.asarray(rows.T > 0)


def _side(strips: NDArray[np.bool_]) -> _Side:
    """Find the first run of ink in strips: the median of its begin, from the edge, and width."""
    seen = strips[strips.any(axis=1)]
    if not len(seen):
        return _Side(0.0, 0.0)
    begin = seen.argmax(axis=1)
    after = ~seen & (np.arange(seen.shape[1]) > begin[:, None])
    end = np.where(after.any(axis=1), after.argmax(axis=1), seen.shape[1])
    return _Side(float(np.median(begin)) - FINE, float(np.median(end - begin)))


def _frames(found: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which boxes hold others: frames of a section, and no fields."""
    low, high = found[:, :2], found[:, :2] + found[:, 2:]
    middle = (low + high) / 2
    holds = (low[:, None] < middle) & (middle < high[:, None])
    return np.asarray(holds.all(axis=2).sum(axis=1) > 1)
