"""Find the printed lines of a box drawn upright, and erase them from the ink."""

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.cells.ink import BoxSides, Mask
from batchdigits.records import GreyImage

LINE_SEARCH_PX = 12
"""Largest distance of a line from where it should be, px."""
LINE_COVERAGE_LEVELS = (0.6, 0.8, 0.95)
"""Shares of a side along which its line is dark, tried in this order."""
MAX_LINE_PX, MAX_DOUBLE_LINE_PX = 10, 22
"""Largest thickness of a line, and of two close lines together, px."""
END_INSET_RATIO = 0.1
"""Share of a side that is left out at each end, because other lines meet it there."""
MAX_LINE_WEIGHT_FACTOR = 1.15
"""A line is at most so many times as heavy as where it is lightest, and a pixel of the page more.
Where it is heavier, a stroke lies on it."""
DOUBLE_LINE_WEIGHT_FACTOR = 1.5
"""Two lines that run together are more than so many times as heavy as one, where no stroke lies on
them."""
MIN_STROKE_REACH_PX = 2
"""Least px that a stroke reaches beyond a line, on both sides, where it crosses the line."""
MIN_STROKE_PX = 4
"""Least thickness of a stroke, px, beside which a touching line can be erased."""


class LineBand(NamedTuple):
    """A printed line: its first row or column, and the row or column after its last."""

    start: int
    end: int


class BoxLines(NamedTuple):
    """The printed lines in the picture of a box.

    Attributes:
        upright: their columns.
        level: their rows.
        box: the box's own sides; where no line was found, where they should be.
    """

    upright: list[LineBand]
    level: list[LineBand]
    box: BoxSides


def detect_box_lines(ink: Mask, core: Mask, box: BoxSides, *, double: bool = False) -> BoxLines:
    """Find the printed lines of a box, and those of its neighbours.

    Args:
        ink: where there is ink, (H, W).
        core: the dark middle of the ink, in which soft lines are not broad, (H, W).
        box: where its sides should be.
        double: whether the next box is so close that two upright lines may look like one.
    """
    rows, columns = (
        slice(*_shrink_range(box.top, box.bottom)),
        slice(*_shrink_range(box.left, box.right)),
    )
    masks = (ink, core) if double else (core, ink)
    across = (_compute_ink_shares(mask[rows], axis=0) for mask in masks)
    down = (_compute_ink_shares(mask[:, columns], axis=1) for mask in (core, ink))
    upright, left, right = _find_opposite_lines(
        across, box.left, box.right, MAX_DOUBLE_LINE_PX if double else MAX_LINE_PX
    )
    level, top, bottom = _find_opposite_lines(down, box.top, box.bottom, MAX_LINE_PX)
    return BoxLines(upright, level, BoxSides(left, right, top, bottom))


def _shrink_range(start: float, end: float) -> tuple[int, int]:
    by = END_INSET_RATIO * (end - start)
    return round(start + by), round(end - by)


def _compute_ink_shares(mask: Mask, *, axis: int) -> NDArray[np.float64]:
    """Return the share of each column (axis 0) or row (axis 1) that is ink."""
    return np.asarray(_sum_along(mask.view(np.uint8), axis) / max(1, mask.shape[axis]), np.float64)


def _sum_along(part: NDArray[np.uint8], axis: int) -> NDArray[np.int32]:
    """Sum up each column (axis 0) or row (axis 1): OpenCV does in a third of NumPy's time."""
    if not part.size:
        return np.zeros(part.shape[1 - axis], np.int32)
    return np.asarray(cv2.reduce(part, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel(), np.int32)


def _find_opposite_lines(
    dark: Iterable[NDArray[np.float64]], start: float, end: float, thick: int
) -> tuple[list[LineBand], float, float]:
    """Find the lines on and beyond two opposite sides, and where these are.

    Args:
        dark: the share of each row, or column, that is dark; each array is tried in turn.
        start: where the first side should be, px.
        end: where the second side should be, px.
        thick: largest thickness of a line, px.
    """
    for shares in dark:
        first, second = (_find_nearest_line(shares, side, thick) for side in (start, end))
        if first and second:
            break
    low, high = (
        first.start if first else start - LINE_SEARCH_PX,
        second.end if second else end + LINE_SEARCH_PX,
    )
    beyond = shares >= LINE_COVERAGE_LEVELS[0]
    beyond[max(0, int(low)) : int(high)] = False
    edges = np.flatnonzero(np.diff(np.concatenate([[0], beyond.astype(np.int8), [0]])))
    others = [LineBand(*pair) for pair in edges.reshape(-1, 2).tolist()]
    own = [band for band in (first, second) if band]
    return (
        own + others,
        _compute_outer_edge(first, start, first=True),
        _compute_outer_edge(second, end, first=False),
    )


def _compute_outer_edge(band: LineBand | None, near: float, *, first: bool) -> float:
    """Return the outer edge of a box's line; for two lines in one, their middle."""
    if band is None:
        return near
    if band.end - band.start > MAX_LINE_PX:
        return (band.start + band.end) / 2
    return band.start if first else band.end


def _find_nearest_line(dark: NDArray[np.float64], near: float, thick: int) -> LineBand | None:
    """Find the line nearest to where it should be, by the share of each row that is dark.

    A digit may fill the rows beside the line. Larger shares then separate it from the line.
    """
    low = max(0, round(near) - LINE_SEARCH_PX)
    for full in LINE_COVERAGE_LEVELS:
        lined = dark >= full
        places = np.flatnonzero(lined[low : round(near) + LINE_SEARCH_PX]) + low
        if not len(places):
            return None
        start = end = int(places[np.abs(places - near).argmin()])
        while start > 0 and lined[start - 1]:
            start -= 1
        while end + 1 < len(lined) and lined[end + 1]:
            end += 1
        if end - start < thick:
            return LineBand(start, end + 1)
    return None


def erase_box_lines(  # noqa: PLR0913 - each is said by its name
    dark: GreyImage,
    mask: Mask,
    found: BoxLines,
    pixel: float,
    *,
    double: bool = False,
    alike: bool = True,
) -> Mask:
    """Erase printed lines, except where a stroke crosses or covers them.

    Args:
        dark: uint8, (H, W), as from `compute_darkness_on_paper`.
        mask: where there is ink, (H, W).
        found: the lines.
        pixel: side of the page's own pixels, px: a line of a black and white page is uneven by it.
        double: as for `detect_box_lines`.
        alike: whether all lines are as heavy as the lightest.

    Returns:
        The ink that is left, (H, W).
    """
    ink = mask.astype(np.uint8)
    level = [_extract_line(dark, ink, band) for band in found.level]
    lightest = 0.0
    if alike:
        upright = [_extract_line(dark.T, ink.T, band) for band in found.upright]
        lightest = min(
            [_measure_line_weight(side) for side in level + upright if side.whole], default=0
        )
    uneven = 255 * max(pixel, 1)
    for side in level:
        weight = lightest if alike else _measure_line_weight(side)
        _erase_line(side, MAX_LINE_WEIGHT_FACTOR * weight + uneven)
    for band in found.upright:
        side = _extract_line(dark.T, ink.T, band)  # again: the box's corners are erased by now
        weight = _measure_line_weight(side)
        lines = 2 if double and weight > DOUBLE_LINE_WEIGHT_FACTOR * lightest else 1
        _erase_line(side, MAX_LINE_WEIGHT_FACTOR * (lines * lightest if alike else weight) + uneven)
    return ink.view(bool)


class LevelledLine(NamedTuple):
    """A printed line, laid level, with the rows above and below it.

    Attributes:
        ink: (rows, W), a view: what is erased here is erased in the picture.
        runs: (rows, W), the ink that is connected with the line, straight above and below.
        weights: (W,), the darkness of `runs`, summed up by column. Unlike the line's thickness, it
            does not depend on how the line lies to the pixels.
        start: the line's first row.
        thick: how many rows the line has.
        whole: whether the line is not at the picture's edge.
    """

    ink: NDArray[np.uint8]
    runs: Mask
    weights: NDArray[np.int32]
    start: int
    thick: int
    whole: bool


def _extract_line(dark: GreyImage, ink: NDArray[np.uint8], band: LineBand) -> LevelledLine:
    first = max(0, band.start - LINE_SEARCH_PX)
    rows = slice(first, band.end + LINE_SEARCH_PX)
    runs = _find_attached_ink(ink[rows], band.start - first, band.end - first)
    weights = _sum_along(_lay_rows(dark[rows]) * runs, 0)
    whole = band.start > 0 and band.end < len(dark)
    return LevelledLine(ink[rows], runs, weights, band.start - first, band.end - band.start, whole)


def _measure_line_weight(side: LevelledLine) -> float:
    """Return the weight of a line where nothing crosses it: the first quartile."""
    some = np.sort(side.weights[side.weights > 0])
    return float(some[len(some) // 4]) if len(some) else 0.0


def _find_attached_ink(ink: NDArray[np.uint8], start: int, end: int) -> Mask:
    """Return the ink that is connected with a level line, straight above and below: (rows, W)."""
    part = _lay_rows(ink).astype(bool)
    for row in range(start - 1, -1, -1):  # a few short rows: `accumulate` takes longer
        part[row] &= part[row + 1]
    for row in range(end, len(part)):
        part[row] &= part[row - 1]
    return part


def _lay_rows(part: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a part of a picture with its rows one after another; of a turned one, a copy."""
    if part.flags.c_contiguous or not part.size:
        return part
    return np.asarray(cv2.transpose(part.T), np.uint8)


def _erase_line(side: LevelledLine, heavy: float) -> None:
    """Erase a line from a picture, except where a stroke crosses it, or lies half on it.

    Where a stroke only touches the line, the stroke beside the line stays.
    """
    start, end = max(0, side.start - 1), side.start + side.thick + 1
    runs = side.runs.view(np.uint8)
    before, after = _sum_along(runs[:start], 0), _sum_along(runs[end:], 0)
    line = side.weights <= heavy
    if line.any():  # since a soft line reaches beyond its core
        before, after = (
            some - np.minimum(some, _compute_median(some[line])) for some in (before, after)
        )
    crossed = (before >= MIN_STROKE_REACH_PX) & (after >= MIN_STROKE_REACH_PX)
    half = np.maximum(before, after) < MIN_STROKE_PX
    side.ink[side.runs & line] = 0
    side.ink[start:end, ~(line | crossed | half)] = 0


def _compute_median(counts: NDArray[np.int32]) -> int:
    return int(np.partition(counts, len(counts) // 2)[len(counts) // 2])
