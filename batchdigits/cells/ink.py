"""Ink in a box drawn upright: told from paper, and its own from its neighbours'."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage

PAPER_KERNEL_PX = 41
"""px, of the picture of a box: broader than any stroke, narrower than the box; what is dark over
more is shade on the paper."""
MIN_CONTRAST_LEVELS, MIN_NOISE_MULTIPLE = 18, 5
"""Ink is so many grey levels darker than the paper, and so many times its noise."""
MIN_OTSU_LEVEL = 40
"""Darkness from which on Otsu's threshold parts ink from paper, and not the paper's noise."""
MIN_INK_PX = 8
"""px that ink must have to be more than a speck: a dot of a hairline pen has 9."""
MAX_OUTSIDE_RATIO = 0.35
"""A thing with a larger share of its ink outside the box is cut off at the box's edge."""

MAX_LINE_WIDTH_RATIO = 0.15
"""What is so much narrower than long (standard deviations) is a straight line."""
MIN_CROSSING_PX = 4
"""px that a line reaches beyond the box at both ends when it goes through."""
CENTRE_INSET_RATIO = 0.25
"""What lies further in from all sides, as a share of the box, is its middle."""

Mask = NDArray[np.bool_]


class BoxSides(NamedTuple):
    """Where a box's four sides are in its picture, px: the outer edges of their lines."""

    left: float
    right: float
    top: float
    bottom: float


def compute_darkness(drawn: GreyImage) -> GreyImage:
    """Take the paper away, shaded as it may be: how dark each pixel is, 255 for black.

    What ink takes away is a share of the light there is: under a shadow it looks as on white.
    """
    side = np.ones((PAPER_KERNEL_PX, PAPER_KERNEL_PX), np.uint8)
    smooth = cv2.medianBlur(drawn, 5)  # which keeps the edge of a shadow where it is
    paper = cv2.morphologyEx(smooth, cv2.MORPH_CLOSE, side, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(255 - cv2.divide(drawn, cv2.max(paper, 1), scale=255), np.uint8)


def segment_ink(dark: GreyImage) -> tuple[Mask, Mask]:
    """Tell ink from paper: what is darker than the noise of the paper alone.

    Args:
        dark: uint8, shape (H, W), as from `compute_darkness`.

    Returns:
        The ink with its soft edges, and its core: what is nearer to the darkest ink than to paper.
        Where nothing stands out clearly, both are the same.
    """
    split, _ = cv2.threshold(dark, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    counts = np.bincount(dark.ravel(), minlength=256)
    if split >= MIN_OTSU_LEVEL:
        counts[int(split) + 1 :] = 0
    quiet = _compute_weighted_median(np.arange(256), counts)
    noise = 1.4826 * _compute_weighted_median(np.abs(np.arange(256) - quiet), counts)
    least = max(MIN_CONTRAST_LEVELS, quiet + MIN_NOISE_MULTIPLE * noise)
    ink = dark >= least
    return ink, dark >= split if split >= max(MIN_OTSU_LEVEL, least) else ink


def _compute_weighted_median(values: NDArray[np.int64], counts: NDArray[np.int64]) -> int:
    """Find the median of values that come so often each."""
    order = np.argsort(values, kind="stable")
    along = counts[order].cumsum()
    return int(values[order[np.searchsorted(2 * along, along[-1])]])


def keep_box_ink(ink: Mask, frame: BoxSides) -> Mask:
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
    centred = np.bincount(labels[_compute_centre_slices(box)].ravel(), minlength=count)
    ours = ((2 * within > area) | (centred >= MIN_INK_PX)) & (within >= MIN_INK_PX)
    ours[0] = False
    out: Mask = ours[labels]
    leaves = ours & (area - within > MAX_OUTSIDE_RATIO * area)
    if leaves.any():
        cut = np.zeros(ink.shape, bool)
        cut[box] = True
        out &= cut | ~leaves[labels]
    return out


def has_crossing_line(ink: Mask, mask: Mask, frame: BoxSides) -> bool:
    """Tell whether a straight line goes through a box and beyond, as a crease does.

    A crease is lighter than the printed lines that it breaks, so that it comes in pieces.

    Args:
        ink: (H, W), without printed lines.
        mask: what was kept of it; some of it is true.
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
    return all(_has_ink_beyond_box(near, middle + way * steps, frame) for way in (-1, 1))


def _has_ink_beyond_box(near: Mask, points: NDArray[np.float64], frame: BoxSides) -> bool:
    """Tell whether there is ink near most of those points (N, 2: y, x) that lie beyond a box."""
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
