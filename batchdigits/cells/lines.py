"""The printed lines of a box drawn upright: found, and taken out of the ink."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits.cells.ink import BoxSides, Mask
from batchdigits.records import GreyImage

LINE_SEARCH_PX = 12
"""px from where a line should be that it is looked for."""
LINE_COVERAGE_LEVELS = (0.6, 0.8, 0.95)
"""Shares of a side that its line is dark along, the least that does first."""
MAX_LINE_PX, MAX_DOUBLE_LINE_PX = 10, 22
"""px that a line is thick at most, and that two close to each other are together."""
END_INSET_RATIO = 0.1
"""Share of a side at its ends that says nothing: other lines meet it there."""
MAX_LINE_WEIGHT_FACTOR = 1.15
"""A line is so many times as heavy as where it is lightest, and a pixel of the page more; else a
stroke lies on it."""
DOUBLE_LINE_WEIGHT_FACTOR = 1.5
"""Two lines that run together are so many times as heavy as one, wherever nothing lies on them."""
MIN_STROKE_REACH_PX = 2
"""px that a stroke reaches beyond a line on either side, where it crosses it."""
MIN_STROKE_PX = 4
"""px that a stroke is thick, at least, of which the line it touches can be cut off."""


class LineBand(NamedTuple):
    """A printed line: its first row or column, and the one past its last."""

    start: int
    end: int


class BoxLines(NamedTuple):
    """The printed lines in the picture of a box.

    Attributes:
        upright: by their columns.
        level: by their rows.
        box: the box's own sides; where no line was found, as they should be.
    """

    upright: list[LineBand]
    level: list[LineBand]
    box: BoxSides


def detect_box_lines(ink: Mask, core: Mask, box: BoxSides, *, double: bool = False) -> BoxLines:
    """Find the printed lines of a box, and those of its neighbours.

    Args:
        ink: where there is ink, (H, W).
        core: the dark middle of it, which soft lines do not make broad.
        box: where its sides should be.
        double: whether the next box stands so close that two upright lines may look like one.
    """
    rows, columns = (
        slice(*_shrink_range(box.top, box.bottom)),
        slice(*_shrink_range(box.left, box.right)),
    )
    across = [mask[rows].mean(axis=0) for mask in ((ink, core) if double else (core, ink))]
    down = [mask[:, columns].mean(axis=1) for mask in (core, ink)]
    upright, left, right = _find_opposite_lines(
        across, box.left, box.right, MAX_DOUBLE_LINE_PX if double else MAX_LINE_PX
    )
    level, top, bottom = _find_opposite_lines(down, box.top, box.bottom, MAX_LINE_PX)
    return BoxLines(upright, level, BoxSides(left, right, top, bottom))


def _shrink_range(start: float, end: float) -> tuple[int, int]:
    by = END_INSET_RATIO * (end - start)
    return round(start + by), round(end - by)


def _find_opposite_lines(
    dark: Sequence[NDArray[np.float64]], start: float, end: float, thick: int
) -> tuple[list[LineBand], float, float]:
    """Find the lines on and beyond two opposite sides, and where these are.

    Args:
        dark: the share of each row, or column, that is dark; of the core, and of all ink.
        start: where the first side should be, px.
        end: where the second should be.
        thick: px that a line is thick at most.
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
    """Give the outer edge of a box's line; between two in one, their middle."""
    if band is None:
        return near
    if band.end - band.start > MAX_LINE_PX:
        return (band.start + band.end) / 2
    return band.start if first else band.end


def _find_nearest_line(dark: NDArray[np.float64], near: float, thick: int) -> LineBand | None:
    """Find the line nearest to where it should be, by the share of each row that is dark.

    Rows that a digit fills beside the line are told from it by a larger share.
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
    """Take printed lines out, but for where a stroke crosses or covers them.

    Args:
        dark: uint8, shape (H, W).
        mask: where there is ink.
        found: the lines.
        pixel: side of the page's own pixels, px: by so much a line in one bit is uneven.
        double: as for `detect_box_lines`.
        alike: whether all lines are as heavy as the lightest.

    Returns:
        The ink that is left, (H, W).
    """
    ink = mask.astype(np.uint8)
    level = [_extract_line(dark, ink, band) for band in found.level]
    upright = [_extract_line(dark.T, ink.T, band) for band in found.upright]
    lightest = min(
        [_measure_line_weight(side) for side in level + upright if side.whole], default=0
    )
    uneven = 255 * max(pixel, 1)
    for side in level:
        _erase_line(
            side,
            MAX_LINE_WEIGHT_FACTOR * (lightest if alike else _measure_line_weight(side)) + uneven,
        )
    for band in found.upright:
        side = _extract_line(dark.T, ink.T, band)  # again: the corners of the box are gone by now
        weight = _measure_line_weight(side)
        lines = 2 if double and weight > DOUBLE_LINE_WEIGHT_FACTOR * lightest else 1
        _erase_line(side, MAX_LINE_WEIGHT_FACTOR * (lines * lightest if alike else weight) + uneven)
    return ink.view(bool)


class LevelledLine(NamedTuple):
    """A printed line, laid level, with what stands above and below it.

    Attributes:
        ink: (rows, W), a view: what is taken out here is out of the picture.
        runs: (rows, W), what hangs together with the line, straight above and below.
        weights: (W,), how dark these are together: it does not depend on how the line lies to the
            pixels, as its thickness does.
        start: its first row.
        thick: its rows.
        whole: whether the line does not lie at the picture's edge.
    """

    ink: NDArray[np.uint8]
    runs: Mask
    weights: NDArray[np.int64]
    start: int
    thick: int
    whole: bool


def _extract_line(dark: GreyImage, ink: NDArray[np.uint8], band: LineBand) -> LevelledLine:
    first = max(0, band.start - LINE_SEARCH_PX)
    rows = slice(first, band.end + LINE_SEARCH_PX)
    runs = _find_attached_ink(ink[rows], band.start - first, band.end - first)
    weights = np.asarray((dark[rows] * runs).sum(axis=0, dtype=np.int64))
    whole = band.start > 0 and band.end < len(dark)
    return LevelledLine(ink[rows], runs, weights, band.start - first, band.end - band.start, whole)


def _measure_line_weight(side: LevelledLine) -> float:
    """Weigh a line where nothing crosses it: the lightest quarter."""
    some = np.sort(side.weights[side.weights > 0])
    return float(some[len(some) // 4]) if len(some) else 0.0


def _find_attached_ink(ink: NDArray[np.uint8], start: int, end: int) -> Mask:
    """Tell what hangs together with a level line, straight above and below: (rows, W)."""
    part = ink.astype(bool)
    above = np.logical_and.accumulate(part[start::-1])[::-1]
    below = np.logical_and.accumulate(part[end - 1 :])
    part[: start + 1], part[end - 1 :] = above, below
    return part


def _erase_line(side: LevelledLine, heavy: float) -> None:
    """Take a line out of a picture, but where a stroke crosses it, or lies half on it.

    A stroke that only touches the line ends at it: the rest of the stroke stays.
    """
    start, end = max(0, side.start - 1), side.start + side.thick + 1
    before, after = side.runs[:start].sum(axis=0), side.runs[end:].sum(axis=0)
    line = side.weights <= heavy
    if line.any():  # a soft line reaches beyond its core
        before, after = (
            some - np.minimum(some, _compute_median(some[line])) for some in (before, after)
        )
    crossed = (before >= MIN_STROKE_REACH_PX) & (after >= MIN_STROKE_REACH_PX)
    half = np.maximum(before, after) < MIN_STROKE_PX
    side.ink[side.runs & line] = 0
    side.ink[start:end, ~(line | crossed | half)] = 0


def _compute_median(counts: NDArray[np.int64]) -> int:
    return int(np.partition(counts, len(counts) // 2)[len(counts) // 2])
