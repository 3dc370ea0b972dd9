"""The lines of printed boxes in a page: their offsets from where a pose puts them."""

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage

SAMPLE_STEP_MM = 0.08
"""Distance of samples across a line, mm."""
SAMPLES_ALONG = 16
"""Samples along a piece of a side."""
INSET_SHARE = 0.12
"""Share of a piece at either end that is left out, because other sides meet it there."""
MAX_PIECE_MM = 12.0
"""Longest piece of a side, mm: a small turn would blur the profile of a longer one."""
DARKNESS_QUANTILE = 0.3
"""A line's darkness is this quantile along it. So a broken line counts as a line, and a stroke or a
row of letters, which is dark only here and there, does not."""
MIN_DARKNESS = 0.04
"""Least darkness of a line, 0 (the page's paper) to 1 (black)."""
MIN_NOISE_RATIO = 5.0
"""Least ratio of a line's darkness over its surroundings to their deviation."""
MAX_LINE_HALF_WIDTH_MM = 0.5
"""Half the width, mm, of the widest line; beyond it, both sides must be light again."""
MAX_GROUND_DARKNESS = 0.5
"""Surroundings darker than this, 0 to 1, hide what is printed there."""
MERGE_DISTANCE_MM = 0.1
"""Sides of adjoining boxes are one printed line if their ends are nearer than this, mm."""

Points = NDArray[np.float64]
"""Shape (N, 2), x before y."""


class SidePieces(NamedTuple):
    """N pieces of the sides of boxes, on paper.

    Attributes:
        start: (N, 2), mm.
        end: (N, 2), mm.
        normal: (N, 2), unit vectors across the pieces, out of the box.
        box: (N,), index of the box.
    """

    start: Points
    end: Points
    normal: Points
    box: NDArray[np.int64]

    @property
    def middle(self) -> Points:
        """Middles of the pieces, (N, 2), mm."""
        return (self.start + self.end) / 2

    def select_pieces(self, which: NDArray[np.bool_]) -> "SidePieces":
        """Return the pieces that a mask (N,) selects."""
        return SidePieces(self.start[which], self.end[which], self.normal[which], self.box[which])


class LineOffsets(NamedTuple):
    """The lines that were found for N pieces.

    Attributes:
        offset: (N,), mm, of the line along the normal; nan if no line was found.
        darkness: (N,), 0 to 1, of the darkest place there over its surroundings.
        hidden: (N,), whether dark surroundings would hide a line.
    """

    offset: NDArray[np.float64]
    darkness: NDArray[np.float64]
    hidden: NDArray[np.bool_]

    @property
    def is_found(self) -> NDArray[np.bool_]:
        """Whether a line was found, (N,)."""
        return ~np.isnan(self.offset)


def list_side_pieces(boxes: NDArray[np.float64]) -> SidePieces:
    """Cut sides of boxes (N, 4: x, y, width, height, mm) into pieces; a shared line counts once."""
    x, y, wide, high = boxes.T
    left_top, right_top = np.column_stack([x, y]), np.column_stack([x + wide, y])
    left_end, right_end = np.column_stack([x, y + high]), np.column_stack([x + wide, y + high])
    start = np.concatenate([left_top, right_top, left_top, left_end])
    end = np.concatenate([left_end, right_end, right_top, right_end])
    normal = np.repeat(np.array([[-1, 0], [1, 0], [0, -1], [0, 1]], np.float64), len(boxes), axis=0)
    box = np.tile(np.arange(len(boxes)), 4)
    ends = np.rint(np.column_stack([start, end]) / MERGE_DISTANCE_MM).astype(np.int64)
    _, once = np.unique(ends, axis=0, return_index=True)
    count = np.ceil(np.linalg.norm(end - start, axis=1)[once] / MAX_PIECE_MM).astype(int)
    whole = np.repeat(once, count)
    part = np.concatenate([np.arange(n) for n in count])[:, None]
    step = (end - start)[whole] / np.repeat(count, count)[:, None]
    begin = start[whole] + part * step
    return SidePieces(begin, begin + step, normal[whole], box[whole])


def project_points(matrix: NDArray[np.floating[Any]], points: Points) -> Points:
    """Map points (..., 2) by a transform, such as a pose, mm → px."""
    flat = points.reshape(1, -1, 2)
    if not flat.size:
        return points
    return np.asarray(cv2.perspectiveTransform(flat, matrix), np.float64).reshape(points.shape)


def measure_line_offsets(
    grey: GreyImage, matrix: NDArray[np.float64], pieces: SidePieces, reach: float
) -> LineOffsets:
    """Look for each piece's line, and measure its offset from where a pose puts it.

    Args:
        grey: the page, dark ink on light paper.
        matrix: (3, 3), mm on paper → px.
        pieces: of sides.
        reach: how far the line is looked for on either side, mm.
    """
    across = np.arange(-reach, reach + SAMPLE_STEP_MM / 2, SAMPLE_STEP_MM)
    profile = _sample_darkness_profiles(grey, matrix, pieces, across)  # (N, across)
    ground = np.median(profile, axis=1, keepdims=True)
    noise = 1.48 * np.median(np.abs(profile - ground), axis=1)
    rise = profile - ground
    peak = (rise * (1 - 0.4 * np.abs(across) / reach)).argmax(axis=1)  # prefers the nearer of two
    dark = rise[np.arange(len(peak)), peak]
    distance = np.abs(np.arange(len(across)) - peak[:, None]) * SAMPLE_STEP_MM
    weight = np.where(
        distance <= MAX_LINE_HALF_WIDTH_MM, np.maximum(rise - dark[:, None] / 2, 0), 0
    )
    total = weight.sum(axis=1)
    offset = (weight * across).sum(axis=1) / np.where(total > 0, total, 1)
    reached = np.abs(across[peak]) < reach - SAMPLE_STEP_MM / 2
    good = (
        reached
        & _select_narrow_peaks(rise, dark, peak)
        & (dark >= np.maximum(MIN_DARKNESS, MIN_NOISE_RATIO * noise))
    )
    return LineOffsets(
        np.where(good, offset, np.nan), dark, (ground[:, 0] > MAX_GROUND_DARKNESS) & ~good
    )


def _sample_darkness_profiles(
    grey: GreyImage, matrix: NDArray[np.float64], pieces: SidePieces, across: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return the darkness along each piece, at each distance across it: (N, across), 0 to 1."""
    along = np.linspace(INSET_SHARE, 1 - INSET_SHARE, SAMPLES_ALONG)
    line = pieces.start[:, None] + along[:, None] * (pieces.end - pieces.start)[:, None]
    points = line[:, None] + across[:, None, None] * pieces.normal[:, None, None]
    positions = project_points(matrix, points).astype(np.float32)  # (N, across, along, 2)
    rows = positions.reshape(len(pieces.start), -1, 2)
    sampled = cv2.remap(
        grey, rows, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=255
    )
    lit = sampled.reshape(positions.shape[:3])
    thick = lit.copy()  # the darkest of three neighbours: a line may be not quite straight
    np.minimum(lit[:, 1:], thick[:, :-1], out=thick[:, :-1])
    np.minimum(lit[:, :-1], thick[:, 1:], out=thick[:, 1:])
    nth = SAMPLES_ALONG - 1 - int(DARKNESS_QUANTILE * SAMPLES_ALONG)
    bright = np.partition(thick, nth, axis=2)[:, :, nth]
    paper = max(1.0, float(np.percentile(lit[:, ::4], 90)))
    return np.asarray(np.maximum(1 - bright.astype(np.float32) / paper, 0), np.float32)


def _select_narrow_peaks(
    rise: NDArray[np.float32], dark: NDArray[np.float32], peak: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return which peaks fall off on both sides, (N,): the edge of a dark area is no line."""
    falls_off = []
    for side in (-1, 1):
        columns = peak[:, None] + side * np.arange(
            round(MAX_LINE_HALF_WIDTH_MM / SAMPLE_STEP_MM),
            round(2 * MAX_LINE_HALF_WIDTH_MM / SAMPLE_STEP_MM),
        )
        beside = np.take_along_axis(rise, np.clip(columns, 0, rise.shape[1] - 1), axis=1)
        falls_off.append(beside.min(axis=1) < dark / 2)
    return np.asarray(falls_off[0] & falls_off[1])
