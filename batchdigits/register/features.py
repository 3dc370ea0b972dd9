"""Features of a reference picture, found again in a page."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage
from batchdigits.register.fits import ControlPoints, Matrix
from batchdigits.register.lines import Points
from batchdigits.register.reduced import reduce_page

MAX_SIDE_PX = 1000
"""Longest side, px, of the reduced page in which features are detected: print is a few px high."""
MAX_FEATURES = 2000
"""Most features of a picture."""
BORDER_PX = 31
"""Width, px, of a picture's border without features: a descriptor needs so many px around it."""
LOWE_RATIO = 0.85
"""A feature matches if its nearest descriptor is nearer than this share of the distance to the
second nearest (Lowe, "Distinctive image features from scale-invariant keypoints", 2004)."""
MAX_INLIER_DISTANCE_MM = 0.8
"""Largest distance, mm, of matching features under a pose."""
CONTROL_POINT_TARGET, CONTROL_POINT_WEIGHT = 60, 0.1
"""About how many features hold a pose while it is refined on lines, and the weight of each against
a line: its place is known to a px of the reduced page, 0.3 mm."""
MIN_AGREEING_FEATURES = 12
"""Least number of features that agree on a pose."""


class Reference(NamedTuple):
    """A blank form's picture, as `register_page` needs it.

    Attributes:
        points: (N, 2), as shares of the picture's width and height.
        features: uint8 (N, 32), the ORB descriptors at the points.
    """

    points: Points
    features: NDArray[np.uint8]


class FeaturePose(NamedTuple):
    """A pose of the paper by features.

    Attributes:
        matrix: (3, 3), mm → px.
        held: some of the features that agree on it.
        agree: how many features agree on it.
    """

    matrix: Matrix
    held: ControlPoints
    agree: int


def build_reference(grey: GreyImage) -> Reference:
    """Find the features of a blank form.

    Args:
        grey: the whole page of the form, uint8 (height, width), upright, from edge to edge.
    """
    points, features = _detect_features(grey)
    return Reference((points + 0.5) / grey.shape[::-1], features)


def find_feature_poses(
    grey: GreyImage, reference: Reference, size: tuple[float, float]
) -> list[FeaturePose]:
    """Find poses of the paper by features, at most two, the one with the most support first.

    Args:
        grey: the page.
        reference: of the blank form.
        size: of the paper, mm.
    """
    points, features = _detect_features(grey)
    if len(features) < MIN_AGREEING_FEATURES or len(reference.features) < MIN_AGREEING_FEATURES:
        return []
    neighbours = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(features, reference.features, k=2)
    matches = [one for one, next_ in neighbours if one.distance < LOWE_RATIO * next_.distance]
    here = points[[one.queryIdx for one in matches]].reshape(-1, 2)
    paper = (reference.points * size)[[one.trainIdx for one in matches]].reshape(-1, 2)
    poses: list[FeaturePose] = []
    while len(here) >= MIN_AGREEING_FEATURES and len(poses) < 2:
        back, mask = cv2.findHomography(
            here, paper, cv2.USAC_MAGSAC, MAX_INLIER_DISTANCE_MM, maxIters=2000, confidence=0.999
        )
        if back is None or mask.sum() < MIN_AGREEING_FEATURES or abs(np.linalg.det(back)) < 1e-12:
            break
        forth = np.linalg.inv(back)
        left = mask.ravel() == 0
        some = np.flatnonzero(~left)[:: max(1, int(mask.sum()) // CONTROL_POINT_TARGET)]
        held = ControlPoints(paper[some], here[some], CONTROL_POINT_WEIGHT)
        poses.append(
            FeaturePose(np.asarray(forth / forth[2, 2], np.float64), held, int(mask.sum()))
        )
        here, paper = here[left], paper[left]
    return poses


def _detect_features(grey: GreyImage) -> tuple[Points, NDArray[np.uint8]]:
    small = reduce_page(grey, MAX_SIDE_PX)
    nothing = np.zeros((0, 2)), np.zeros((0, 32), np.uint8)
    if min(small.grey.shape) <= BORDER_PX:  # OpenCV fails on strips of a few px
        return nothing
    orb = cv2.ORB.create(MAX_FEATURES, edgeThreshold=BORDER_PX, fastThreshold=10)
    keys, features = orb.detectAndCompute(small.grey, None)
    if features is None:
        return nothing
    return small.map_to_page(np.array([key.pt for key in keys], np.float64)), features
