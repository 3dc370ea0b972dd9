"""Faint marks: whether a crop in which no digit was found is really empty.

The first look parts a crop's grey levels in two. That misses ink that is faint beside a frame or a
shadow, and takes the shadow itself for ink. Here only strokes count, narrow or bold: darker (or
lighter) than the paper on both their sides, and further from it than the paper's own noise. Specks
and what is left of a frame at the sides are none.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.normalize.components import sum_up
from batchdigits.normalize.mark_parts import (
    MAX_LINE_ANSWER,
    MAX_LINE_WIDTH,
    MIN_LENGTH,
    MIN_LINE,
    RING,
    Mark,
    find_marks,
)
from batchdigits.normalize.ruled import cut_to_frame, without_side_lines
from batchdigits.normalize.strokes import measure_strokes
from batchdigits.normalize.surface import has_area
from batchdigits.options import Invert
from batchdigits.records import GreyImage

MIN_SIDE_PX, MIN_LEVELS = 6, 7
"""Smaller crops have no room for a stroke and its paper: so many grey levels apart are marks."""
ROUGH_LEVELS = 9
"""Median difference of a rough paper's pixels from the mean over 9 x 9 px, grey levels: noise of
8 levels (standard deviation) makes 6."""
LONG = 0.5
"""Length of a long mark, as a share of the crop's shorter side."""
STRONG, LONG_STRONG, MOST_STRONG = 1.8, 1.4, 2.0
"""How many times as clear as a stroke must be a mark alone is, or a `LONG` one; more than the third
counts no more."""
TOGETHER, OTHER = 0.8, 0.5
"""Length of all marks together, times how clear they are, that is writing if those of the other
polarity make no more than the second share of it: noise makes as much of both."""
HALO = 1.5
"""Strokes that are so many times as clear as those of the other polarity are the ink; the others
are what seems light beside them."""
DUST, MOST_SPECKS = 0.18, 3
"""Specks of clear ink are less long, as a share of the crop's shorter side. More than so many away
from the border may be what a scanner left of a digit."""
SMALL_SIGN = 0.1
"""More than `MOST_SPECKS` so long, as a share of the shorter side, may be a row of digits."""
CLEAR_LEVELS, CLEAR_SPREADS = 40, 8
"""Clear ink differs by so many grey levels from the paper, and so many times as much as the paper's
median pixel does."""
WHOLE = 0.85
"""Least length of a line that is left, as a share of the side along it: a shorter one may be a 1
beside the middle."""
SHADE_LEVELS = 40
"""Ink of less contrast that comes in at the border may be shade, grey levels."""
BLOCK_FILL, BLOCK_SIDE = 0.87, 0.3
"""Ink that fills the box round it so far, with sides of such a share of the crop's longer side at
least, may be the paper within a frame."""
NARROW, TIGHT_LEVELS = 0.45, 60
"""A crop with a smaller ratio of its sides, and grey levels so far apart, may be a 1 cut tight."""


def has_marks(crop: GreyImage, invert: Invert = "auto", *, rests: bool = False) -> bool:
    """Return whether a crop shows strokes that could be writing, however faint.

    Args:
        crop: uint8, shape (H, W).
        invert: as for `normalize`.
        rests: whether what comes in at the border and ends there counts, as of a neighbour.
    """
    narrow = min(crop.shape) < NARROW * max(crop.shape)
    if min(crop.shape) < MIN_SIDE_PX or (narrow and np.ptp(crop) >= TIGHT_LEVELS):
        return int(np.ptp(crop)) >= MIN_LEVELS
    clean, kept = _without_dust(crop)
    long = kept.max(1) >= DUST * min(crop.shape)
    if rests and bool((long & ((kept / crop.shape).max(1) < MIN_LINE)).any()):
        return True
    return all(
        _has_strokes(inner, invert) or has_area(inner, invert)
        for inner in map(cut_to_frame, (crop, clean) if clean is not crop else (crop,))
    )


def _has_strokes(crop: GreyImage, invert: Invert) -> bool:
    """Return whether a crop shows lines that could be writing; arguments as for `has_marks`."""
    clear = measure_strokes(crop)
    clear[clear < 1] = 0
    sums = clear.sum((1, 2)).tolist()
    marks = [find_marks(one, rests=False, thick=MAX_LINE_ANSWER) for one in clear]
    totals = [sum(mark.length * min(mark.clear, MOST_STRONG) for mark in one) for one in marks]
    for n, wanted in enumerate(("yes", "no")):
        ink = invert == wanted or (invert == "auto" and sums[1 - n] <= HALO * sums[n])
        together = totals[n] >= TOGETHER and totals[1 - n] <= OTHER * totals[n]
        if ink and (together or any(_is_writing(mark) for mark in marks[n])):
            return True
    return False


def _without_dust(crop: GreyImage) -> tuple[GreyImage, NDArray[np.int32]]:
    """Paint specks and lines along the sides over with paper, where a crop (H, W) has clear ink.

    Returns:
        The crop, and height and width of the other parts of its clear ink, px, shape (parts, 2).
    """
    paper = _estimate_paper(crop)
    hat = cv2.absdiff(paper, crop)
    most = int(hat.max())
    ink = (hat > max(MIN_LEVELS, most // 2)).view(np.uint8)
    left = without_side_lines(ink)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(left, connectivity=8)
    small = stats[:, 2:4].max(1) < DUST * min(crop.shape)
    small[0] = False  # what is not ink
    signs = stats[:, 2:4].max(1) >= SMALL_SIGN * min(crop.shape)
    signs &= _lies_apart(stats, crop.shape)
    for group in (small & _lies_inside(stats, crop.shape), small & signs):
        if group.sum() > MOST_SPECKS:
            small &= ~group
    kept = stats[1:][~small[1:]][:, [3, 2]]
    dust = (ink & ~left) | small[labels].view(np.uint8)
    if most < max(CLEAR_LEVELS, CLEAR_SPREADS * float(np.median(hat))) or not dust.any():
        return crop, kept
    near = cv2.dilate(dust, np.ones((3, 3), np.uint8)).view(bool)
    return np.where(near, paper, crop), kept


def _estimate_paper(crop: GreyImage) -> GreyImage:
    """Estimate the paper under the narrow ink of a crop (H, W), dark or light, as differs more."""
    reach = round(RING * min(crop.shape)) | 1
    level = int(np.median(crop))
    dark = level - int(crop.min()) >= int(crop.max()) - level
    edged = cv2.copyMakeBorder(crop, *(reach,) * 4, cv2.BORDER_CONSTANT, value=level)
    way = cv2.MORPH_CLOSE if dark else cv2.MORPH_OPEN
    paper = cv2.morphologyEx(edged, way, np.ones((reach, reach), np.uint8))
    return np.asarray(paper[reach:-reach, reach:-reach], np.uint8)


def _lies_inside(stats: NDArray[np.int32], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Tell which parts (parts,) of OpenCV's statistics have their middle within the outer ring."""
    left, top, wide, high = stats[:, :4].T
    x, y = (left + wide / 2) / shape[1], (top + high / 2) / shape[0]
    inside: NDArray[np.bool_] = np.maximum(abs(x - 0.5), abs(y - 0.5)) < 0.5 - RING
    return inside


def _lies_apart(stats: NDArray[np.int32], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Tell which parts (parts,) of OpenCV's statistics do not touch the border."""
    left, top, wide, high = stats[:, :4].T
    apart: NDArray[np.bool_] = (left > 0) & (top > 0)
    apart &= (left + wide < shape[1]) & (top + high < shape[0])
    return apart


def find_printed(ink: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find the crops whose ink is printed lines and frames alone: (N,).

    Args:
        ink: where the ink is, shape (N, H, W).
    """
    _, height, width = ink.shape
    down, across = round(RING * height), round(RING * width)
    middle = ink[:, down : height - down, across : width - across]
    printed: NDArray[np.bool_] = sum_up(middle) == 0
    for n in np.flatnonzero(printed).tolist():
        _, _, wide, high = cv2.boundingRect(ink[n].view(np.uint8))
        printed[n] = (wide >= MIN_LINE * width or high >= MIN_LINE * height) and not any(
            mark.length >= DUST
            for mark in find_marks(ink[n].astype(np.float32), rests=True, thick=MAX_LINE_WIDTH)
        )
    return printed


def find_unmarked(
    stack: NDArray[np.uint8],
    ink: NDArray[np.bool_],
    boxes: tuple[NDArray[np.int64], NDArray[np.int64]],
    invert: Invert,
    asked: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Find the crops whose ink may be no writing, and that show no strokes: (N,).

    That is what is left of a line, faint shade that comes in at the border, or the paper within a
    frame.

    Args:
        stack: uint8, shape (N, H, W).
        ink: where the ink is, shape (N, H, W).
        boxes: round the ink, as from `find_boxes`.
        invert: as for `normalize`.
        asked: which crops are asked about, shape (N,); they have ink.
    """
    size, (start, end) = np.array(ink.shape[1:]), boxes
    long = end - start
    band = (end <= RING * size) | (start >= (1 - RING) * size)
    line = np.asarray((band[:, ::-1] & (long >= WHOLE * size)).any(1))
    block = long.min(1) >= BLOCK_SIDE * size.max()
    block &= sum_up(ink) >= BLOCK_FILL * long.prod(1)
    border = ((start == 0) | (end == size)).any(1) & ~band.any(1)
    unmarked: NDArray[np.bool_] = np.asarray(asked & (line | block | border))
    for n in np.flatnonzero(unmarked).tolist():
        likely = line[n] or block[n] or _is_faint(stack[n], ink[n].view(np.uint8))
        unmarked[n] = likely and not has_marks(stack[n], invert)
    return unmarked


def _is_faint(crop: GreyImage, mask: NDArray[np.uint8]) -> bool:
    """Return whether the ink of a crop (H, W) is so faint that it may be shade."""
    contrast = cv2.mean(crop, mask)[0] - cv2.mean(crop, 1 - mask)[0]
    return abs(contrast) < SHADE_LEVELS


def is_rough(crop: GreyImage) -> bool:
    """Return whether a crop (H, W) has a grain or pattern so strong that writing may hide in it."""
    return float(np.median(cv2.absdiff(crop, cv2.blur(crop, (9, 9))))) >= ROUGH_LEVELS


def _is_writing(mark: Mark) -> bool:
    """Return whether a mark is long and clear enough to be writing by itself."""
    strong = mark.length >= MIN_LENGTH and mark.clear >= STRONG
    return strong or (mark.length >= LONG and mark.clear >= LONG_STRONG)
