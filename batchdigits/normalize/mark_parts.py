"""Marks: the connected parts of strokes, but for dust, printed lines and frames, and rests."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

MIN_PIECE_LENGTH, MIN_LENGTH = 0.12, 0.15
"""Lengths as shares of the crop's shorter side: anything shorter is dust; a mark alone must be
`MIN_LENGTH` long."""
MIN_LINE, MIN_PIECE = 0.6, 0.35
"""Least length of a printed line and of a piece of one near the border, as shares of the crop's
sides."""
MAX_LINE_BOX, MAX_LINE_WIDTH, MAX_LINE_ANSWER = 0.3, 0.12, 0.24
"""Greatest height of the box round a line, greatest width of the line, and of what it answers when
strokes are measured; shares likewise."""
RING, MARGIN, RIM = 0.27, 0.17, 0.12
"""Frames, lines, and rests of neighbours lie within these shares of the sides from the border."""
CORNER = 0.12
"""Side of a frame's corners that hold ink, as a share of the frame's sides."""


class Mark(NamedTuple):
    """A connected part of the strokes.

    Attributes:
        length: the longer side of the box, as a share of the crop's shorter side.
        clear: how clear it is, as a multiple of what a stroke must be: exceeded by a fifth of it.
        box: left, top, width, height, px.
        shape: height and width of the crop, px.
        ink: bool, shape (height, width).
        depth: of each pixel of the ink, its distance from the border as a share of the side.
    """

    length: float
    clear: float
    box: tuple[int, int, int, int]
    shape: tuple[int, int]
    ink: NDArray[np.bool_]
    depth: NDArray[np.float64]


def find_marks(strokes: NDArray[np.float32], *, rests: bool, thick: float) -> list[Mark]:
    """Find the marks that are more than dust, printed lines, frames and, unless counted, rests.

    Args:
        strokes: how clear they are, shape (H, W), 0 where there is none.
        rests: as for `has_marks`.
        thick: greatest width of a line, as a share of the side across.
    """
    mask = (strokes > 0).view(np.uint8)
    height, width = mask.shape
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    found = []
    for part in range(1, count):
        left, top, wide, high, _ = stats[part].tolist()
        length = max(wide, high) / min(height, width)
        if length < MIN_PIECE_LENGTH:
            continue
        box = slice(top, top + high), slice(left, left + wide)
        ink = labels[box] == part
        clear = float(np.quantile(strokes[box][ink], 0.8))
        down, across = (
            np.minimum(at + 1, side - at) / side
            for at, side in (
                (np.arange(top, top + high), height),
                (np.arange(left, left + wide), width),
            )
        )
        depth = np.minimum.outer(down, across)[ink]
        mark = Mark(length, clear, (left, top, wide, high), (height, width), ink, depth)
        if not (_is_line(mark, thick) or _is_frame(mark) or (_is_rest(mark) and not rests)):
            found.append(mark)
    return found


def _is_rest(mark: Mark) -> bool:
    """Return whether a mark comes in at the border and ends there: a rest of a neighbour."""
    left, top, wide, high = mark.box
    height, width = mark.shape
    touches = left <= 1 or top <= 1 or left + wide >= width - 1 or top + high >= height - 1
    return touches and float(mark.depth.max()) < RIM


def _is_line(mark: Mark, thick: float) -> bool:
    """Return whether a mark is a straight line along a side, perhaps from border to border."""
    left, top, wide, high = mark.box
    height, width = mark.shape
    near = _is_near_border(mark, MARGIN)
    for long, side, start, across, other in (
        (wide, width, top, high, height),
        (high, height, left, wide, width),
    ):
        straight = long >= MIN_PIECE * side and across <= MAX_LINE_BOX * other
        thin = int(mark.ink.sum()) <= thick * long * other
        outer = abs(start + across / 2 - other / 2) > other / 6
        if straight and thin and (near or (outer and long >= side - 4)):
            return True
    return False


def _is_frame(mark: Mark) -> bool:
    """Return whether a mark has four corners, and nothing away from the border."""
    _, _, wide, high = mark.box
    height, width = mark.shape
    if not (wide >= MIN_LINE * width and high >= MIN_LINE * height and _is_near_border(mark, RING)):
        return False
    y, x = (max(1, round(CORNER * side)) for side in (high, wide))
    ink = mark.ink
    return all(part.any() for part in (ink[:y, :x], ink[:y, -x:], ink[-y:, :x], ink[-y:, -x:]))


def _is_near_border(mark: Mark, share: float) -> bool:
    return float(np.quantile(mark.depth, 0.95)) < share
