"""Boxes in a row on a strip: a number written into a comb, or into boxes apart.

A box is a region of paper that printed lines close in. What is written in it may part it into
pieces, and one that a stroke opens is missing; both are seen by their neighbours' size.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.cells.ink import darkness, inked
from batchdigits.records import Grey
from batchdigits.templates.template import Box

HIGH = 100
"""Height that a strip is reduced to, px."""
FULL = 0.4
"""Share of its upright box that a piece of a box fills at least: a loop of a digit fills less of
what is as tall as a box."""
TALL = 0.35
"""Share of the strip's height that a box is high, at least."""
ALIKE = 0.2
"""By what share boxes of a row differ from the median in height, width and distance, at most."""
WHOLE = 0.8
"""Quantile of the pieces' widths that is a whole box's: strokes part some."""
BEYOND, LINED = 3, 0.85
"""Within so many px beyond a box's sides there is ink along this share of each, at least."""


class _Piece(NamedTuple):
    """The upright box round a region, px: the last two lie one past."""

    left: int
    top: int
    right: int
    bottom: int


def boxes(grey: Grey) -> list[Box]:
    """Find the boxes of a strip.

    Args:
        grey: uint8, shape (height, width), dark ink on light paper.

    Returns:
        Of each box x, y, width, height within its lines, px, from left to right; none where the
        strip is no row of two boxes or more.
    """
    share = min(1.0, HIGH / grey.shape[0])
    size = [max(1, round(side * share)) for side in grey.shape[::-1]]
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA) if share < 1 else grey
    ink, _ = inked(darkness(np.asarray(small, np.uint8)))
    row = _row(_pieces(ink))
    if len(row) < 2 or not _even(row) or not all(_lined(ink, piece) for piece in row):
        return []
    return [
        (p.left / share, p.top / share, (p.right - p.left) / share, (p.bottom - p.top) / share)
        for p in row
    ]


def _pieces(ink: NDArray[np.bool_]) -> list[_Piece]:
    """Find the regions of paper that lines close in, as tall as a box."""
    height, width = ink.shape
    paper = (~ink).view(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(paper, connectivity=4)
    out = []
    for left, top, wide, tall, area in stats[1:].tolist():
        inside = left > 0 and top > 0 and left + wide < width and top + tall < height
        if inside and tall >= TALL * height and area >= FULL * wide * tall:
            out.append(_Piece(left, top, left + wide, top + tall))
    return sorted(out)


def _row(pieces: list[_Piece]) -> list[_Piece]:
    """Keep the pieces of one row, put together what a stroke has parted, and fill gaps."""
    if not pieces:
        return []
    tall = float(np.median([p.bottom - p.top for p in pieces]))
    top = float(np.median([p.top for p in pieces]))
    same = [
        p
        for p in pieces
        if abs(p.bottom - p.top - tall) <= ALIKE * tall and abs(p.top - top) <= ALIKE * tall
    ]
    if not same:
        return []
    wide = float(np.quantile([p.right - p.left for p in same], WHOLE, method="higher"))
    return _filled(_joined(same, wide), wide)


def _joined(pieces: list[_Piece], wide: float) -> list[_Piece]:
    """Put together neighbours that are one box in width."""
    out: list[_Piece] = []
    for piece in pieces:
        if out and piece.right - out[-1].left <= (1 + ALIKE) * wide:
            out[-1] = _around([out[-1], piece])
        else:
            out.append(piece)
    return out


def _filled(row: list[_Piece], wide: float) -> list[_Piece]:
    """Put a box where one is missing between two others."""
    if len(row) < 3:
        return row
    steps = np.diff([(p.left + p.right) / 2 for p in row])
    step = float(np.median(steps))
    out = [row[0]]
    for piece, apart in zip(row[1:], steps.tolist(), strict=True):
        for n in range(1, round(apart / step)):
            middle = (piece.left + piece.right) / 2 - apart * (1 - n / round(apart / step))
            left = round(middle - wide / 2)
            out.append(_Piece(left, piece.top, round(left + wide), piece.bottom))
        out.append(piece)
    return out


def _lined(ink: NDArray[np.bool_], box: _Piece) -> bool:
    """Tell whether there are lines on all sides of a box, and not round it as in a digit's loop."""
    left, top, right, bottom = box
    left, top = max(1, left), max(1, top)
    sides = (
        ink[max(0, top - BEYOND) : top, left:right].any(axis=0),
        ink[bottom : bottom + BEYOND, left:right].any(axis=0),
        ink[top:bottom, max(0, left - BEYOND) : left].any(axis=1),
        ink[top:bottom, right : right + BEYOND].any(axis=1),
    )
    return all(bool(side.mean() >= LINED) for side in sides)


def _around(pieces: list[_Piece]) -> _Piece:
    low, high = np.min(pieces, axis=0), np.max(pieces, axis=0)
    return _Piece(int(low[0]), int(low[1]), int(high[2]), int(high[3]))


def _even(row: list[_Piece]) -> bool:
    """Tell whether boxes are as wide as each other, and stand at one distance."""
    wide = np.array([p.right - p.left for p in row], np.float64)
    tall = np.array([p.bottom - p.top for p in row], np.float64)
    steps = np.diff([(p.left + p.right) / 2 for p in row])
    alike = all(
        np.abs(values / np.median(values) - 1).max() <= ALIKE for values in (wide, tall, steps)
    )
    return bool(alike and 0.3 < np.median(wide / tall) < 2.5 and np.median(steps) < 3 * wide.max())
