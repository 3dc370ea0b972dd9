"""Ink in a box drawn upright: its printed lines, and what was written."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import Grey

STROKE = 41
"""px, of the picture of a box: broader than any stroke, narrower than the box; what is dark over
more is shade on the paper."""
CONTRAST, NOISE = 18, 5
"""Ink is so many grey levels darker than the paper, and so many times its noise."""
CLEAR = 40
"""Darkness from which on Otsu's threshold parts ink from paper, and not the paper's noise."""
REACH = 12
"""px from where a line should be that it is looked for."""
FULL = (0.6, 0.8, 0.95)
"""Shares of a side that its line is dark along, the least that does first."""
THICK, DOUBLE = 10, 22
"""px that a line is thick at most, and that two close to each other are together."""
INSET = 0.1
"""Share of a side at its ends that says nothing: other lines meet it there."""
HEAVIER = 1.15
"""A line is so many times as heavy as where it is lightest, and a pixel of the page more; else a
stroke lies on it."""
THICKER = 2
"""px that a stroke reaches beyond a line on either side, where it crosses it."""
PEN = 4
"""px that a stroke is thick, at least, of which the line it touches can be cut off."""
SPECK = 8
"""px that ink must have to be more than a speck: a dot of a hairline pen has 9."""
APART = 0.35
"""A thing with a larger share of its ink outside the box is cut off at the box's edge."""

STRAIGHT = 0.15
"""What is so much narrower than long (standard deviations) is a straight line."""
BEYOND = 4
"""px that a line reaches beyond the box at both ends when it goes through."""
CORE = 0.25
"""What lies further in from all sides, as a share of the box, is its middle."""

Mask = NDArray[np.bool_]


class Lined(NamedTuple):
    """Where a box's four sides are in its picture, px: the outer edges of their lines."""

    left: float
    right: float
    top: float
    bottom: float


class Band(NamedTuple):
    """A printed line: its first row or column, and the one past its last."""

    start: int
    end: int


class Lines(NamedTuple):
    """The printed lines in the picture of a box.

    Attributes:
        upright: by their columns.
        level: by their rows.
        box: the box's own sides; where no line was found, as they should be.
    """

    upright: list[Band]
    level: list[Band]
    box: Lined


def darkness(drawn: Grey) -> Grey:
    """Take the paper away, shaded as it may be: how dark each pixel is, 255 for black.

    What ink takes away is a share of the light there is: under a shadow it looks as on white.
    """
    side = np.ones((STROKE, STROKE), np.uint8)
    smooth = cv2.medianBlur(drawn, 5)  # which keeps the edge of a shadow where it is
    paper = cv2.morphologyEx(smooth, cv2.MORPH_CLOSE, side, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(255 - cv2.divide(drawn, cv2.max(paper, 1), scale=255), np.uint8)


def inked(dark: Grey) -> tuple[Mask, Mask]:
    """Tell ink from paper: what is darker than the noise of the paper alone.

    Args:
        dark: uint8, shape (H, W), as from `darkness`.

    Returns:
        The ink with its soft edges, and its core: what is nearer to the darkest ink than to paper.
        Where nothing stands out clearly, both are the same.
    """
    split, _ = cv2.threshold(dark, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    counts = np.bincount(dark.ravel(), minlength=256)
    if split >= CLEAR:
        counts[int(split) + 1 :] = 0
    quiet = _median(np.arange(256), counts)
    noise = 1.4826 * _median(np.abs(np.arange(256) - quiet), counts)
    least = max(CONTRAST, quiet + NOISE * noise)
    ink = dark >= least
    return ink, dark >= split if split >= max(CLEAR, least) else ink


def _median(values: NDArray[np.int64], counts: NDArray[np.int64]) -> int:
    """Find the median of values that come so often each."""
    order = np.argsort(values, kind="stable")
    along = counts[order].cumsum()
    return int(values[order[np.searchsorted(2 * along, along[-1])]])


def lines(ink: Mask, core: Mask, box: Lined, *, double: bool = False) -> Lines:
    """Find the printed lines of a box, and those of its neighbours.

    Args:
        ink: where there is ink, (H, W).
        core: the dark middle of it, which soft lines do not make broad.
        box: where its sides should be.
        double: whether the next box stands so close that two upright lines may look like one.
    """
    rows, columns = slice(*_inset(box.top, box.bottom)), slice(*_inset(box.left, box.right))
    across = [mask[rows].mean(axis=0) for mask in ((ink, core) if double else (core, ink))]
    down = [mask[:, columns].mean(axis=1) for mask in (core, ink)]
    upright, left, right = _bands(across, box.left, box.right, DOUBLE if double else THICK)
    level, top, bottom = _bands(down, box.top, box.bottom, THICK)
    return Lines(upright, level, Lined(left, right, top, bottom))


def _inset(start: float, end: float) -> tuple[int, int]:
    by = INSET * (end - start)
    return round(start + by), round(end - by)


def _bands(
    dark: Sequence[NDArray[np.float64]], start: float, end: float, thick: int
) -> tuple[list[Band], float, float]:
    """Find the lines on and beyond two opposite sides, and where these are.

    Args:
        dark: the share of each row, or column, that is dark; of the core, and of all ink.
        start: where the first side should be, px.
        end: where the second should be.
        thick: px that a line is thick at most.
    """
    for shares in dark:
        first, second = (_band(shares, side, thick) for side in (start, end))
        if first and second:
            break
    low, high = first.start if first else start - REACH, second.end if second else end + REACH
    beyond = shares >= FULL[0]
    beyond[max(0, int(low)) : int(high)] = False
    edges = np.flatnonzero(np.diff(np.concatenate([[0], beyond.astype(np.int8), [0]])))
    others = [Band(*pair) for pair in edges.reshape(-1, 2).tolist()]
    own = [band for band in (first, second) if band]
    return own + others, _outer(first, start, first=True), _outer(second, end, first=False)


def _outer(band: Band | None, near: float, *, first: bool) -> float:
    """Give the outer edge of a box's line; between two in one, their middle."""
    if band is None:
        return near
    if band.end - band.start > THICK:
        return (band.start + band.end) / 2
    return band.start if first else band.end


def _band(dark: NDArray[np.float64], near: float, thick: int) -> Band | None:
    """Find the line nearest to where it should be, by the share of each row that is dark.

    Rows that a digit fills beside the line are told from it by a larger share.
    """
    low = max(0, round(near) - REACH)
    for full in FULL:
        lined = dark >= full
        places = np.flatnonzero(lined[low : round(near) + REACH]) + low
        if not len(places):
            return None
        start = end = int(places[np.abs(places - near).argmin()])
        while start > 0 and lined[start - 1]:
            start -= 1
        while end + 1 < len(lined) and lined[end + 1]:
            end += 1
        if end - start < thick:
            return Band(start, end + 1)
    return None


def without_lines(
    dark: Grey, mask: Mask, found: Lines, pixel: float, *, double: bool = False
) -> Mask:
    """Take printed lines out, but for where a stroke crosses or covers them.

    Args:
        dark: uint8, shape (H, W).
        mask: where there is ink.
        found: the lines.
        pixel: side of the page's own pixels, px: by so much a line in one bit is uneven.
        double: as for `lines`.

    Returns:
        The ink that is left, (H, W).
    """
    ink = mask.astype(np.uint8)
    sides = [(dark, ink, band) for band in found.level]
    sides += [(dark.T, ink.T, band) for band in found.upright]
    whole = [s for s in sides if s[2].start > 0 and s[2].end < len(s[0])]
    lightest = min([_weight(*side) for side in whole], default=0)
    for side in sides:
        wide = double and side[0] is not dark and side[2].end - side[2].start > THICK / 2
        _erase(*side, (2 if wide else 1) * HEAVIER * lightest + 255 * max(pixel, 1))
    return ink.view(bool)


def _weight(dark: Grey, ink: NDArray[np.uint8], band: Band) -> float:
    """Weigh a level line where nothing crosses it: darkness down a column, in the lightest quarter.

    A weight does not depend on how the line lies to the pixels, as its thickness does.
    """
    weights = _weights(dark, _runs(ink, band), band)
    some = np.sort(weights[weights > 0])
    return float(some[len(some) // 4])


def _weights(dark: Grey, runs: Mask, band: Band) -> NDArray[np.int64]:
    rows = dark[max(0, band.start - REACH) : band.end + REACH]
    return np.asarray((rows * runs).sum(axis=0, dtype=np.int64))


def _runs(ink: NDArray[np.uint8], band: Band) -> Mask:
    """Tell what hangs together with a level line, straight above and below: (rows, W)."""
    first = max(0, band.start - REACH)
    part = ink[first : band.end + REACH].astype(bool)
    start, end = band.start - first, band.end - first
    above = np.logical_and.accumulate(part[start::-1])[::-1]
    below = np.logical_and.accumulate(part[end - 1 :])
    part[: start + 1], part[end - 1 :] = above, below
    return part


def _erase(dark: Grey, ink: NDArray[np.uint8], band: Band, heavy: float) -> None:
    """Take a level line out of a picture, but where a stroke crosses it, or lies half on it.

    A stroke that only touches the line ends at it: the rest of the stroke stays.
    """
    runs = _runs(ink, band)
    first = max(0, band.start - REACH)
    start, end = max(0, band.start - 1 - first), band.end + 1 - first
    before, after = runs[:start].sum(axis=0), runs[end:].sum(axis=0)
    line = _weights(dark, runs, band) <= heavy
    if line.any():  # a soft line reaches beyond its core
        before, after = (some - np.minimum(some, _middling(some[line])) for some in (before, after))
    crossed = (before >= THICKER) & (after >= THICKER)
    half = np.maximum(before, after) < PEN
    part = ink[first : band.end + REACH]
    part[runs & line] = 0
    part[start:end, ~(line | crossed | half)] = 0


def _middling(counts: NDArray[np.int64]) -> int:
    return int(np.partition(counts, len(counts) // 2)[len(counts) // 2])


def kept(ink: Mask, frame: Lined) -> Mask:
    """Keep what belongs to the box: things with most of their ink within it, or some in its middle.

    Args:
        ink: (H, W), without printed lines.
        frame: the box's sides.

    Returns:
        (H, W): no specks, nothing of the neighbours; what leaves the box far is cut at its edge.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(ink.view(np.uint8), connectivity=8)
    if count == 1:
        return ink
    box = (
        slice(int(frame.top), int(np.ceil(frame.bottom))),
        slice(int(frame.left), int(np.ceil(frame.right))),
    )
    area = stats[:, cv2.CC_STAT_AREA]
    within = np.bincount(labels[box].ravel(), minlength=count)
    centred = np.bincount(labels[_middle(box)].ravel(), minlength=count)
    ours = ((2 * within > area) | (centred >= SPECK)) & (within >= SPECK)
    ours[0] = False
    out: Mask = ours[labels]
    leaves = ours & (area - within > APART * area)
    if leaves.any():
        cut = np.zeros(ink.shape, bool)
        cut[box] = True
        out &= cut | ~leaves[labels]
    return out


def crossed(ink: Mask, mask: Mask, frame: Lined) -> bool:
    """Tell whether a straight line goes through a box and beyond, as a crease does.

    A crease is lighter than the printed lines that it breaks, so that it comes in pieces.

    Args:
        ink: (H, W), without printed lines.
        mask: what was kept of it; some of it is true.
        frame: the box's sides.
    """
    points = np.argwhere(mask).astype(np.float64)
    spreads, axes = np.linalg.eigh(np.cov(points.T) + np.eye(2) * 1e-9)
    if spreads[0] > STRAIGHT**2 * spreads[1]:
        return False
    near = cv2.dilate(ink.view(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    steps = np.arange(sum(ink.shape))[:, None] * axes[:, 1]
    return all(_goes_on(near, points.mean(axis=0) + way * steps, frame) for way in (-1, 1))


def _goes_on(near: Mask, points: NDArray[np.float64], frame: Lined) -> bool:
    """Tell whether there is ink near most of those points (N, 2: y, x) that lie beyond a box."""
    y, x = np.rint(points).astype(int).T
    shown = (y >= 0) & (y < near.shape[0]) & (x >= 0) & (x < near.shape[1])
    inside = (y >= frame.top - 1) & (y <= frame.bottom) & (x >= frame.left - 1) & (x <= frame.right)
    there = near[y[shown & ~inside], x[shown & ~inside]]
    return len(there) >= BEYOND and bool(there.mean() > 0.5)


def _middle(box: tuple[slice, slice]) -> tuple[slice, slice]:
    down, across = (round(CORE * (side.stop - side.start)) for side in box)
    return (
        slice(box[0].start + down, box[0].stop - down),
        slice(box[1].start + across, box[1].stop - across),
    )
