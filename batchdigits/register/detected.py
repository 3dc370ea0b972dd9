"""Printed boxes in a page."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage
from batchdigits.register.lines import Points
from batchdigits.register.reduced import reduce_page

MAX_SIDE_PX = 1600
"""Longest side, px, of the reduced page in which boxes are detected."""
MIN_BOX_SIDE_PX = 10
"""Least side of a box, px, in the reduced page."""
LINE_WIDTH_PX = 3.0
"""What a box's light area lacks of its width and height in the reduced page: half of the lines on
either side, and what is eroded."""
MIN_FILL_SHARE = 0.86
"""Least share of its smallest rectangle that a box fills; an ellipse fills π / 4."""

Quads = NDArray[np.float64]
"""Corners of boxes, (N, 4, 2), px, those of each box in order around it."""


class PageBoxes(NamedTuple):
    """N boxes in a page.

    Attributes:
        centre: (N, 2), px.
        size: (N, 2), px, along and across `angle`.
        angle: (N,), radians, within half a right angle of upright.
    """

    centre: Points
    size: Points
    angle: NDArray[np.float64]


def detect_boxes(grey: GreyImage) -> Quads:
    """Find printed boxes at any turn: light areas with four sides and a line around them.

    Returns:
        The corners, in the middle of the lines.
    """
    small = reduce_page(grey, MAX_SIDE_PX)
    light = cv2.adaptiveThreshold(
        small.grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 41, 12
    )
    light = cv2.erode(light, np.ones((2, 2), np.uint8))  # close small breaks in lines
    shapes, tree = cv2.findContours(light, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    quads = []
    for shape, links in zip(shapes, [] if tree is None else tree[0], strict=True):
        if links[3] >= 0 or len(shape) < 4:
            continue
        frame = cv2.minAreaRect(shape)
        wide, high = frame[1]
        if min(wide, high) < MIN_BOX_SIDE_PX or max(wide, high) > MAX_SIDE_PX / 2:
            continue
        if cv2.contourArea(cv2.convexHull(shape)) >= MIN_FILL_SHARE * wide * high:
            whole = (frame[0], (wide + LINE_WIDTH_PX, high + LINE_WIDTH_PX), frame[2])
            quads.append(cv2.boxPoints(whole))
    return small.map_to_page(np.array(quads, np.float64).reshape(-1, 4, 2))


def measure_short_sides(quads: Quads) -> NDArray[np.float64]:
    """Return the shorter side of each box: (N,), px."""
    return np.asarray(measure_boxes(quads).size.min(axis=1))


def measure_boxes(quads: Quads) -> PageBoxes:
    """Measure boxes, given by their corners."""
    edge = np.roll(quads, -1, axis=1) - quads
    sides = np.linalg.norm((edge[:, :2] - edge[:, 2:]) / 2, axis=2)
    along = (edge[:, 0] - edge[:, 2]) @ [1, 1j]
    angle = np.angle(along)
    quarter = np.rint(angle / (np.pi / 2))
    size = np.where((quarter % 2 == 1)[:, None], sides[:, ::-1], sides)
    return PageBoxes(quads.mean(axis=1), size, angle - quarter * np.pi / 2)
