"""Segment the ink of a box drawn upright from its paper, and from the ink of its neighbours."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage

PAPER_KERNEL_PX = 41
"""Side of the kernel that estimates the paper, px of a box's picture: broader than any stroke, and
narrower than the box. What is dark over more is shade on the paper."""
MIN_CONTRAST_LEVELS, MIN_NOISE_MULTIPLE = 18, 5
"""Ink is darker than the paper by at least so many grey levels, and so many times the noise."""
MIN_OTSU_LEVEL = 40
"""Otsu's threshold separates ink from paper if it is at least so dark. Otherwise it splits the
paper's noise."""
MAX_PATTERN_RATIO = 0.25
"""Darkness of a pattern under the form, as of a watermark, as a share of the ink's, at most."""
INK_EDGE_PX, PATTERN_STROKE_PX = 9, 9
"""Sides of kernels, px: what is so near to ink may be its soft edge; what is pale and at least so
broad is no stroke of a pen."""
MIN_PATTERN_PX = 80
"""Least px of a pattern."""
MIN_INK_PX = 8
"""Least px of ink: less is a speck. A dot of a hairline pen has 9."""
MAX_OUTSIDE_RATIO = 0.35
"""A piece with a larger share of its ink outside the box is cut off at the box's edge."""
MAX_LINE_WIDTH_RATIO = 0.15
"""Largest ratio of width to length (standard deviations) of a straight line."""
MIN_CROSSING_PX = 4
"""Least px that a line through a box reaches beyond it, at both ends."""
MAX_HINT_RATIO, MIN_LINE_PX = 0.6, 40
"""Darkness of a printed hint as a share of the box's lines, at most, and least px of these. Of
1,284 boxes with writing, on scans and photographs of six forms, none is under 0.76; the hints of a
bank's form have 0.26 to 0.5."""
CENTRE_INSET_RATIO = 0.25
"""Distance of the box's middle from all sides, as a share of the box."""

Mask = NDArray[np.bool_]


class BoxSides(NamedTuple):
    """Where a box's four sides are in its picture, px: the outer edges of their lines."""

    left: float
    right: float
    top: float
    bottom: float


def compute_darkness_on_paper(drawn: GreyImage) -> GreyImage:
    """Compute how dark each pixel is against the paper around it; 255 for black.

    Ink absorbs a share of the light, so the result is the same under a shadow.
    """
    side = np.ones((PAPER_KERNEL_PX, PAPER_KERNEL_PX), np.uint8)
    smooth = cv2.medianBlur(drawn, 5)  # keeps the edges of shadows in place
    paper = cv2.morphologyEx(smooth, cv2.MORPH_CLOSE, side, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(255 - cv2.divide(drawn, cv2.max(paper, 1), scale=255), np.uint8)


def segment_ink(dark: GreyImage) -> tuple[Mask, Mask]:
    """Segment ink from paper: ink is darker than the paper's noise.

    Args:
        dark: uint8, shape (H, W), as from `compute_darkness_on_paper`.

    Returns:
        The ink with its soft edges, and its core, which is nearer to the darkest ink than to paper.
        Where nothing stands out clearly, both are the same.
    """
    split, _ = cv2.threshold(dark, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    counts = cv2.calcHist([dark], [0], None, [256], [0, 256]).ravel().astype(np.int64)
    if split >= MIN_OTSU_LEVEL:
        counts[int(split) + 1 :] = 0
    quiet = _compute_weighted_median(np.arange(256), counts)
    noise = 1.4826 * _compute_weighted_median(np.abs(np.arange(256) - quiet), counts)
    least = max(MIN_CONTRAST_LEVELS, quiet + MIN_NOISE_MULTIPLE * noise)
    ink = dark >= least
    return ink, dark >= split if split >= max(MIN_OTSU_LEVEL, least) else ink


def measure_pattern(dark: GreyImage, ink: Mask, core: Mask) -> float:
    """Measure how dark a pattern printed under the form is, such as a watermark.

    Args:
        dark: uint8, shape (H, W), as from `compute_darkness_on_paper`.
        ink: as from `segment_ink`, (H, W).
        core: likewise.

    Returns:
        The level that nearly all of it is under; 0 where there is no pattern.
    """
    near = cv2.dilate(core.view(np.uint8), _make_ink_edge_kernel())
    pale = (ink & (near == 0)).view(np.uint8)
    if np.count_nonzero(pale) < MIN_PATTERN_PX:
        return 0.0
    stroke = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (PATTERN_STROKE_PX, PATTERN_STROKE_PX))
    broad = cv2.morphologyEx(pale, cv2.MORPH_OPEN, stroke) > 0
    if np.count_nonzero(broad) < MIN_PATTERN_PX:
        return 0.0
    level = float(np.quantile(dark[broad], 0.98))
    return level if level <= MAX_PATTERN_RATIO * float(np.median(dark[core])) else 0.0


def select_near(ink: Mask, clear: Mask) -> Mask:
    """Select the clear ink, and of other ink what may be its soft edge: masks (H, W)."""
    near = cv2.dilate(clear.view(np.uint8), _make_ink_edge_kernel()) > 0
    return np.asarray(clear | (ink & near), bool)


def _make_ink_edge_kernel() -> NDArray[np.uint8]:
    return np.ones((INK_EDGE_PX, INK_EDGE_PX), np.uint8)


def _compute_weighted_median(values: NDArray[np.int64], counts: NDArray[np.int64]) -> int:
    """Return the median of values, each of which occurs `counts` times."""
    order = np.argsort(values, kind="stable")
    along = counts[order].cumsum()
    return int(values[order[np.searchsorted(2 * along, along[-1])]])


def keep_box_ink(ink: Mask, frame: BoxSides, *, whole: bool = False) -> Mask:
    """Keep the box's own ink: pieces with most of their ink in the box, or some in its middle.

    Args:
        ink: (H, W), without printed lines.
        frame: the box's sides.
        whole: whether a piece is kept whole if a third of it is in the box, as in a field without
            boxes, of whose writing a part may lie beyond the frame.

    Returns:
        (H, W), without specks and neighbours. A piece that leaves the box far is cut at its edge,
        unless it is kept whole.
    """
    # sizes are counted here: OpenCV's statistics take ten times as long as its labels
    count, labels = cv2.connectedComponents(ink.view(np.uint8), connectivity=8)
    if count == 1:
        return ink
    box = (
        slice(int(frame.top), int(np.ceil(frame.bottom))),
        slice(int(frame.left), int(np.ceil(frame.right))),
    )
    centre = _compute_centre_slices(box)
    area, within, centred = (
        np.bincount(labels[part][ink[part]], minlength=count) for part in (..., box, centre)
    )
    share = 3 if whole else 2
    ours = ((share * within > area) | (centred >= MIN_INK_PX)) & (within >= MIN_INK_PX)
    ours[0] = False
    out: Mask = ours[labels]
    leaves = ours & (area - within > MAX_OUTSIDE_RATIO * area)
    if leaves.any() and not whole:
        cut = np.zeros(ink.shape, bool)
        cut[box] = True
        out &= cut | ~leaves[labels]
    return out


def is_far_paler(dark: GreyImage, mask: Mask, lines: Mask) -> bool:
    """Return whether ink is far paler than the lines of its box, as a light print in it is.

    Args:
        dark: the picture of the box, as from `compute_darkness_on_paper`.
        mask: the ink that was kept, (H, W); not empty.
        lines: the ink of the box's lines, (H, W).
    """
    if np.count_nonzero(lines) < MIN_LINE_PX:
        return False
    written, printed = _compute_quantile(dark[mask], 0.9), _compute_quantile(dark[lines], 0.5)
    return written < MAX_HINT_RATIO * printed


def _compute_quantile(levels: GreyImage, share: float) -> float:
    """Return the quantile of grey levels (N,) as `np.quantile` does, in a tenth of its time."""
    rank = (len(levels) - 1) * share
    at = int(rank)
    after = min(at + 1, len(levels) - 1)
    some = np.partition(levels, (at, after))
    low, high, part = int(some[at]), int(some[after]), rank - at
    return low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part)


def has_crossing_line(ink: Mask, mask: Mask, frame: BoxSides) -> bool:
    """Return whether a straight line goes through a box and beyond, as a crease does.

    A crease is lighter than the printed lines and breaks them, so it may be in pieces.

    Args:
        ink: (H, W), without printed lines.
        mask: the ink that was kept, (H, W); not empty.
        frame: the box's sides.
    """
    found = cv2.moments(mask.view(np.uint8), binaryImage=True)
    across, down, both = (found[f"mu{which}"] / found["m00"] for which in ("20", "02", "11"))
    mean, half = (across + down) / 2, np.hypot((across - down) / 2, both)
    if mean - half > MAX_LINE_WIDTH_RATIO**2 * (mean + half):
        return False
    angle = np.arctan2(2 * both, across - down) / 2
    middle = np.array([found["m01"], found["m10"]]) / found["m00"]
    steps = np.arange(sum(ink.shape))[:, None] * [np.sin(angle), np.cos(angle)]
    near = cv2.dilate(ink.view(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    return all(_has_ink_along_line_outside(near, middle + way * steps, frame) for way in (-1, 1))


def _has_ink_along_line_outside(near: Mask, points: NDArray[np.float64], frame: BoxSides) -> bool:
    """Return whether there is ink near most of the points (N, 2: y, x) that are outside a box."""
    y, x = np.rint(points).astype(int).T
    shown = (y >= 0) & (y < near.shape[0]) & (x >= 0) & (x < near.shape[1])
    inside = (y >= frame.top - 1) & (y <= frame.bottom) & (x >= frame.left - 1) & (x <= frame.right)
    there = near[y[shown & ~inside], x[shown & ~inside]]
    return len(there) >= MIN_CROSSING_PX and bool(there.mean() > 0.5)


def _compute_centre_slices(box: tuple[slice, slice]) -> tuple[slice, slice]:
    down, across = (round(CENTRE_INSET_RATIO * (side.stop - side.start)) for side in box)
    return (
        slice(box[0].start + down, box[0].stop - down),
        slice(box[1].start + across, box[1].stop - across),
    )
