"""The edges of the paper in a page."""

import cv2
import numpy as np

from batchdigits.records import GreyImage
from batchdigits.register.fits import Matrix
from batchdigits.register.reduced import reduce_page

MAX_SIDE_PX = 600
"""Longest side, px, of the reduced page in which edges are detected."""
MIN_PAPER_SHARE = 0.25
"""Least share of the picture that the paper fills."""


def list_paper_transforms(grey: GreyImage, size: tuple[float, float]) -> list[Matrix]:
    """List poses, mm → px, of paper of a size by its edges, four turns of each sheet.

    The sheets are the largest light area with four corners, if there is one, and then the whole
    picture.

    Args:
        grey: the page.
        size: width and height of the paper, mm.
    """
    high, wide = grey.shape
    whole = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32) - 0.5
    paper = np.array([[0, 0], [size[0], 0], size, [0, size[1]]], np.float32)
    transforms = []
    for ends in [*_detect_paper_corners(grey), whole]:
        for turn in range(4):
            matrix = cv2.getPerspectiveTransform(paper, np.roll(ends, turn, axis=0))
            transforms.append(np.asarray(matrix, np.float64))
    return transforms


def _detect_paper_corners(grey: GreyImage) -> list[np.ndarray]:
    """Return the corners of the largest light area, (4, 2), px, clockwise; none if not four."""
    small = reduce_page(grey, MAX_SIDE_PX)
    _, light = cv2.threshold(small.grey, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    light = cv2.morphologyEx(light, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    shapes, _ = cv2.findContours(light, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not shapes:
        return []
    hull = cv2.convexHull(max(shapes, key=cv2.contourArea))
    around = cv2.arcLength(hull, True)
    for slack in (0.01, 0.02, 0.04, 0.08):
        quad = cv2.approxPolyDP(hull, slack * around, True)
        if len(quad) == 4:
            if cv2.contourArea(quad) < MIN_PAPER_SHARE * small.grey.size:
                return []
            ends = quad.reshape(4, 2).astype(np.float64)
            x, y = ends.T
            if (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() < 0:
                ends = ends[::-1]  # clockwise on the screen, as the paper's
            return [small.map_to_page(ends).astype(np.float32)]
    return []
