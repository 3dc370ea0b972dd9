"""Find a row of boxes on a strip: a number written into a comb, or into separate boxes.

A box is a region of paper that printed lines enclose. Strokes may split it into pieces, or open it,
so that it is missing. The size of the neighbours shows both.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.cells.ink import compute_darkness_on_paper, segment_ink
from batchdigits.records import GreyImage
from batchdigits.templates.boxes import Box

REDUCED_HEIGHT_PX = 100
"""Height to which a strip is reduced, px."""
MIN_FILL_RATIO = 0.4
"""Least share of its upright box that a piece of a box fills. The loop of a digit as tall as a box
fills less."""
MIN_BOX_HEIGHT_RATIO = 0.35
"""Least height of a box, as a share of the strip's height."""
BOX_SIZE_TOLERANCE = 0.2
"""Largest share by which the boxes of a row differ from the median height, width and distance."""
WHOLE_WIDTH_QUANTILE = 0.8
"""Quantile of the pieces' widths that is the width of a whole box: strokes split some boxes."""
LINE_REACH_PX, MIN_LINE_COVERAGE = 3, 0.85
"""Beyond each side of a box, within so many px, there is ink along at least this share of it."""


class _EnclosedRegion(NamedTuple):
    """The upright box round a region, px; `right` and `bottom` are one past its last pixels."""

    left: int
    top: int
    right: int
    bottom: int


def detect_box_row(grey: GreyImage) -> list[Box]:
    """Find the boxes of a strip.

    Args:
        grey: uint8, shape (height, width), dark ink on light paper.

    Returns:
        The inside of each box: x, y, width, height, px, from left to right; none where the strip is
        no row of two boxes or more.
    """
    share = min(1.0, REDUCED_HEIGHT_PX / grey.shape[0])
    size = [max(1, round(side * share)) for side in grey.shape[::-1]]
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA) if share < 1 else grey
    ink, _ = segment_ink(compute_darkness_on_paper(np.asarray(small, np.uint8)))
    row = _build_box_row(_detect_enclosed_regions(ink))
    if (
        len(row) < 2
        or not _is_regular_row(row)
        or not all(_has_surrounding_lines(ink, piece) for piece in row)
    ):
        return []
    return [
        (p.left / share, p.top / share, (p.right - p.left) / share, (p.bottom - p.top) / share)
        for p in row
    ]


def _detect_enclosed_regions(ink: NDArray[np.bool_]) -> list[_EnclosedRegion]:
    """Find the regions of paper that lines enclose, as tall as a box, from left to right."""
    height, width = ink.shape
    paper = (~ink).view(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(paper, connectivity=4)
    out = []
    for left, top, wide, tall, area in stats[1:].tolist():
        inside = left > 0 and top > 0 and left + wide < width and top + tall < height
        if (
            inside
            and tall >= MIN_BOX_HEIGHT_RATIO * height
            and area >= MIN_FILL_RATIO * wide * tall
        ):
            out.append(_EnclosedRegion(left, top, left + wide, top + tall))
    return sorted(out)


def _build_box_row(pieces: list[_EnclosedRegion]) -> list[_EnclosedRegion]:
    """Build a row: keep the pieces of one row, merge split boxes, and insert missing boxes."""
    if not pieces:
        return []
    tall = float(np.median([p.bottom - p.top for p in pieces]))
    top = float(np.median([p.top for p in pieces]))
    same = [
        p
        for p in pieces
        if abs(p.bottom - p.top - tall) <= BOX_SIZE_TOLERANCE * tall
        and abs(p.top - top) <= BOX_SIZE_TOLERANCE * tall
    ]
    if not same:
        return []
    wide = float(
        np.quantile([p.right - p.left for p in same], WHOLE_WIDTH_QUANTILE, method="higher")
    )
    return _insert_missing_boxes(_merge_split_boxes(same, wide), wide)


def _merge_split_boxes(pieces: list[_EnclosedRegion], wide: float) -> list[_EnclosedRegion]:
    """Merge neighbours that are together as wide as one box."""
    out: list[_EnclosedRegion] = []
    for piece in pieces:
        if out and piece.right - out[-1].left <= (1 + BOX_SIZE_TOLERANCE) * wide:
            out[-1] = _compute_bounding_region([out[-1], piece])
        else:
            out.append(piece)
    return out


def _insert_missing_boxes(row: list[_EnclosedRegion], wide: float) -> list[_EnclosedRegion]:
    """Insert boxes where some are missing between two others."""
    if len(row) < 3:
        return row
    steps = np.diff([(p.left + p.right) / 2 for p in row])
    step = float(np.median(steps))
    out = [row[0]]
    for piece, apart in zip(row[1:], steps.tolist(), strict=True):
        for n in range(1, round(apart / step)):
            middle = (piece.left + piece.right) / 2 - apart * (1 - n / round(apart / step))
            left = round(middle - wide / 2)
            out.append(_EnclosedRegion(left, piece.top, round(left + wide), piece.bottom))
        out.append(piece)
    return out


def _has_surrounding_lines(ink: NDArray[np.bool_], box: _EnclosedRegion) -> bool:
    """Return whether a box has straight lines on all sides; the loop of a digit has none."""
    left, top, right, bottom = box
    left, top = max(1, left), max(1, top)
    sides = (
        ink[max(0, top - LINE_REACH_PX) : top, left:right].any(axis=0),
        ink[bottom : bottom + LINE_REACH_PX, left:right].any(axis=0),
        ink[top:bottom, max(0, left - LINE_REACH_PX) : left].any(axis=1),
        ink[top:bottom, right : right + LINE_REACH_PX].any(axis=1),
    )
    return all(bool(side.mean() >= MIN_LINE_COVERAGE) for side in sides)


def _compute_bounding_region(pieces: list[_EnclosedRegion]) -> _EnclosedRegion:
    low, high = np.min(pieces, axis=0), np.max(pieces, axis=0)
    return _EnclosedRegion(int(low[0]), int(low[1]), int(high[2]), int(high[3]))


def _is_regular_row(row: list[_EnclosedRegion]) -> bool:
    """Return whether boxes have the same size and the same distance."""
    wide = np.array([p.right - p.left for p in row], np.float64)
    tall = np.array([p.bottom - p.top for p in row], np.float64)
    steps = np.diff([(p.left + p.right) / 2 for p in row])
    alike = all(
        np.abs(values / np.median(values) - 1).max() <= BOX_SIZE_TOLERANCE
        for values in (wide, tall, steps)
    )
    return bool(alike and 0.3 < np.median(wide / tall) < 2.5 and np.median(steps) < 3 * wide.max())
