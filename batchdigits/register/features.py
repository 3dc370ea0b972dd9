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
PRINTED_PX = 1600
"""Longest side, px, of the picture of a blank form that is kept: letters are seen in it."""
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
MIN_FIRM_SHARE = 0.5
"""Least share of all matching features that agree on a pose that lines need only confirm. On pages
laid out as the reference it was 0.6 and more, on pages of the same words in other places 0.4."""
TURN_BIN_DEGREES = 10
TURN_BINS = 360 // TURN_BIN_DEGREES
MIN_TURNED_FEATURES, MIN_TURNED_SHARE, MIN_TURN_RATIO = 40, 0.55, 2.5
"""The page's print is the reference's if so many features are turned by one angle, that are such a
share of all that match, and so many times as many as are turned by the opposite angle. Of pages of
other forms the share was at most 0.47, of pages of the same print at least 0.75."""


class Reference(NamedTuple):
    """A blank form's picture, as `register_page` needs it.

    Attributes:
        points: (N, 2), as shares of the picture's width and height.
        features: uint8 (N, 32), the ORB descriptors at the points.
        angles: (N,), the direction of each feature, degrees clockwise.
        printed: uint8, (height, width), the picture itself, reduced.
    """

    points: Points
    features: NDArray[np.uint8]
    angles: NDArray[np.float64]
    printed: GreyImage


class Features(NamedTuple):
    """Features of a picture.

    Attributes:
        points: (N, 2), px.
        descriptors: uint8 (N, 32), ORB.
        angles: (N,), degrees clockwise.
    """

    points: Points
    descriptors: NDArray[np.uint8]
    angles: NDArray[np.float64]


class FeaturePose(NamedTuple):
    """A pose of the paper by features.

    Attributes:
        matrix: (3, 3), mm → px.
        held: some of the features that agree on it.
        agree: how many features agree on it.
        is_firm: whether most of the print that page and reference share agrees on it. Else other
            parts of the page lie otherwise, and what is looked for may be among them.
    """

    matrix: Matrix
    held: ControlPoints
    agree: int
    is_firm: bool


class ReferenceMatch(NamedTuple):
    """What a page shares with a reference.

    Attributes:
        poses: at most two, the one with the most support first.
        turn: the angle, degrees clockwise, by which print of the reference is turned in the page,
            wherever it is; None if the page's print is not the reference's.
    """

    poses: list[FeaturePose]
    turn: float | None


def build_reference(grey: GreyImage) -> Reference:
    """Find the features of a blank form.

    Args:
        grey: the whole page of the form, uint8 (height, width), upright, from edge to edge.
    """
    found = detect_features(grey)
    points = (found.points + 0.5) / grey.shape[::-1]
    printed = reduce_page(grey, PRINTED_PX).grey
    return Reference(points, found.descriptors, found.angles, printed)


def match_reference(
    page: Features, reference: Reference, size: tuple[float, float]
) -> ReferenceMatch:
    """Match a page with a reference.

    Args:
        page: the page's features.
        reference: of the blank form.
        size: of the paper, mm.
    """
    if min(len(page.descriptors), len(reference.features)) < MIN_AGREEING_FEATURES:
        return ReferenceMatch([], None)
    neighbours = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(page.descriptors, reference.features, k=2)
    matches = [one for one, next_ in neighbours if one.distance < LOWE_RATIO * next_.distance]
    mine, theirs = [one.queryIdx for one in matches], [one.trainIdx for one in matches]
    turn = _measure_print_turn(page.angles[mine] - reference.angles[theirs])
    poses = _fit_poses(page.points[mine], (reference.points * size)[theirs])
    if turn is None:
        poses = [one._replace(is_firm=False) for one in poses]
    return ReferenceMatch(poses, turn)


def _measure_print_turn(angles: NDArray[np.float64]) -> float | None:
    """Return the angle, degrees, that most of N features share; None if few more do than by chance.

    Words that stand elsewhere on the page count too. Straight strokes look the same upside down,
    so chance matches have two opposite angles; the angle of print that is the same stands out.
    """
    bins = np.bincount((angles % 360 // TURN_BIN_DEGREES).astype(int), minlength=TURN_BINS)
    near = bins + np.roll(bins, 1) + np.roll(bins, -1)
    best = int(near.argmax())
    count, opposite = int(near[best]), int(near[(best + TURN_BINS // 2) % TURN_BINS])
    least = max(MIN_TURNED_FEATURES, MIN_TURNED_SHARE * len(angles), MIN_TURN_RATIO * opposite)
    if count < least:
        return None
    return (best + 0.5) * TURN_BIN_DEGREES


def _fit_poses(here: Points, paper: Points) -> list[FeaturePose]:
    """Fit at most two poses to matching features, (N, 2) px and mm, the best supported first."""
    poses: list[FeaturePose] = []
    firm = MIN_FIRM_SHARE * len(here)
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
        matrix, agree = np.asarray(forth / forth[2, 2], np.float64), int(mask.sum())
        poses.append(FeaturePose(matrix, held, agree, agree >= firm))
        here, paper = here[left], paper[left]
    return poses


def detect_features(grey: GreyImage) -> Features:
    """Find the features of a picture, uint8 (height, width)."""
    small = reduce_page(grey, MAX_SIDE_PX)
    nothing = Features(np.zeros((0, 2)), np.zeros((0, 32), np.uint8), np.zeros(0))
    if min(small.grey.shape) <= BORDER_PX:  # OpenCV fails on strips of a few px
        return nothing
    orb = cv2.ORB.create(MAX_FEATURES, edgeThreshold=BORDER_PX, fastThreshold=10)
    keys, descriptors = orb.detectAndCompute(small.grey, None)
    if descriptors is None:
        return nothing
    points = small.map_to_page(np.array([key.pt for key in keys], np.float64))
    angles = np.array([key.angle for key in keys], np.float64)
    return Features(points, np.asarray(descriptors, np.uint8), angles)
