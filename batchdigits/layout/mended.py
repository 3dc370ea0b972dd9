"""Lines that the scanner lost: the level side of a box whose three others are there."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from batchdigits.layout.lined import Cell
from batchdigits.layout.lines import Ink, Lines

THICK = 9
"""px that an upright side is thick at most."""
APART, TALL = 24, 16
"""px: least width of a box with a side that is lost, and least height."""
LEVEL = 4
"""px by which the ends of both uprights may differ."""
DRAWN = 0.9
"""Share of a side from which on it is there; one with less than half of that is lost."""
BEYOND = 20
"""px below an end, or above, in which a line that goes on is seen."""

End = tuple[int, int]


def mended(found: Lines, cells: Sequence[Cell]) -> Lines | None:
    """Put back what closes a box of which one level side is lost; None where nothing is.

    Args:
        found: the lines of a page.
        cells: the boxes that are closed: what stands in them is no side.
    """
    level, upright = found.level, found.upright
    _, _, stats, _ = cv2.connectedComponentsWithStats(upright, connectivity=8)
    fits = (stats[:, 2] <= THICK) & (stats[:, 3] >= TALL)
    fits[0] = False
    thin = sorted(tuple(one) for one in stats[fits, :4].tolist())
    inside = np.zeros(level.shape, np.uint8)
    for cell in cells:
        cv2.fillConvexPoly(inside, np.rint(cell.quad).astype(np.int32), (1,))
        cv2.polylines(inside, [np.rint(cell.quad).astype(np.int32)], True, (1,), THICK)
    thin = [one for one in thin if not inside[one[1] + one[3] // 2, one[0] + one[2] // 2]]
    lost = [
        side for n, one in enumerate(thin) for side in _lost(one, thin[n + 1 :], level, upright)
    ]
    if not lost:
        return None
    pictures = [
        found.ink.copy(),
        found.faint.copy(),
        found.strong.copy(),
        *(barrier.copy() for barrier in found.barriers),
    ]
    for start, end in lost:
        for picture in pictures:
            cv2.line(picture, start, end, (255,), 3)
    ink, faint, strong, *barriers = pictures
    return found._replace(ink=ink, faint=faint, strong=strong, barriers=tuple(barriers))


def _lost(
    one: Sequence[int], others: Sequence[Sequence[int]], level: Ink, upright: Ink
) -> Iterator[tuple[End, End]]:
    """Give the side that an upright line and the next of its kind lack."""
    x, y, wide, high = one
    beside = (
        other
        for other in others
        if other[0] - x >= APART
        and abs(other[1] - y) <= LEVEL
        and abs(other[1] + other[3] - y - high) <= LEVEL
    )
    if (other := next(beside, None)) is None:
        return
    left, right = x + wide // 2, other[0] + other[2] // 2
    inset = wide // 2 + 1  # the lost line was as thick
    top = (left, y + inset), (right, other[1] + inset)
    bottom = (left, y + high - 1 - inset), (right, other[1] + other[3] - 1 - inset)
    above, below = _share(level, *top), _share(level, *bottom)
    if above >= DRAWN and below < DRAWN / 2 and not _goes_on(upright, bottom, 1):
        yield bottom
    elif below >= DRAWN and above < DRAWN / 2 and not _goes_on(upright, top, -1):
        yield top


def _share(level: Ink, start: End, end: End) -> float:
    """Say what share of a level side has a line."""
    top, bottom = min(start[1], end[1]), max(start[1], end[1])
    strip = level[max(top - LEVEL, 0) : bottom + LEVEL + 1, start[0] : end[0]]
    return float(strip.any(axis=0).mean())


def _goes_on(upright: Ink, ends: Sequence[End], way: int) -> bool:
    """Tell whether beyond an end, downwards (1) or upwards (-1), its line begins again."""
    for x, y in ends:
        low, high = sorted((y + way * (LEVEL + THICK), y + way * BEYOND))
        if upright[max(low, 0) : max(high, 0), max(x - THICK, 0) : x + THICK].any():
            return True
    return False
