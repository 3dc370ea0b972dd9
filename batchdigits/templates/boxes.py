"""Boxes on paper, and their corners on a page."""

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_OVERLAP_MM = 0.2
"""Boxes that overlap by less, in mm, touch."""

Box = tuple[float, float, float, float]
"""x and y of the top left corner, width and height, mm from the page's top left corner."""


def compute_box_corners(box: Box) -> NDArray[np.float64]:
    """Return the corners of a box: (4, 2), mm, clockwise from the top left."""
    x, y, wide, high = box
    return np.array([[x, y], [x + wide, y], [x + wide, y + high], [x, y + high]], np.float64)


def project_box(box: Box, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the corners of a box on a page.

    Args:
        box: on paper.
        matrix: (3, 3), mm on paper, 1 → px in the page, up to scale.

    Returns:
        (4, 2), px, in the order of `compute_box_corners`.
    """
    corners = compute_box_corners(box)[None]
    return np.asarray(cv2.perspectiveTransform(corners, matrix)[0], np.float64)


def has_overlap(one: Box, two: Box) -> bool:
    """Return whether two boxes share more than an edge."""
    return all(
        min(one[n] + one[n + 2], two[n] + two[n + 2]) - max(one[n], two[n]) > MAX_OVERLAP_MM
        for n in (0, 1)
    )
