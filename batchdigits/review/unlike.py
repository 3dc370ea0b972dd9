"""How unlike the others of its sheet a digit looks, whatever the model says about it.

The features are directions of strokes in 4 x 4 fields of the picture (Dalal and Triggs: "Histograms
of oriented gradients for human detection", CVPR 2005). A digit is the more unlike the farther its
nearest neighbours on its own sheet are, and the nearer those on another sheet: a wrong 7 looks like
the digits that it is one of. The network's confidence has no part in this.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

FIELDS, DIRECTIONS = 4, 8
AXES = 24
"""Principal axes that are compared."""
NEIGHBOURS = 5
MAX_COMPARED = 2000
"""Digits of a sheet that every digit is compared with."""
LONELINESS = 0.25
"""Weight of how far a digit is from all others of its sheet, beside how it compares with others: it
brings up what is no digit at all."""
AT_ONCE = 512

Points = NDArray[np.float64]


def compute_features(digits: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the directions of strokes in each field of pictures.

    Args:
        digits: uint8, shape (N, 28, 28), light ink on dark.

    Returns:
        float32, shape (N, FIELDS * FIELDS * DIRECTIONS), each of length 1.
    """
    out = np.zeros((len(digits), FIELDS * FIELDS * DIRECTIONS), np.float32)
    for at, digit in enumerate(digits):
        smooth = cv2.GaussianBlur(digit.astype(np.float32), (0, 0), 0.8)
        across, down = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
        strength, angle = cv2.cartToPolar(across, down)
        place = angle / (2 * np.pi) * DIRECTIONS
        low = np.floor(place).astype(np.int64)
        share = place - low
        layers = np.zeros((DIRECTIONS, 28, 28), np.float32)
        rows, columns = np.indices((28, 28))
        np.add.at(layers, (low % DIRECTIONS, rows, columns), strength * (1 - share))
        np.add.at(layers, ((low + 1) % DIRECTIONS, rows, columns), strength * share)
        fields = [
            cv2.resize(layer, (FIELDS, FIELDS), interpolation=cv2.INTER_AREA) for layer in layers
        ]
        feature = np.sqrt(np.stack(fields).ravel())
        out[at] = feature / max(float(np.linalg.norm(feature)), 1e-6)
    return out


def order_by_unlikeness(
    digits: Sequence[str], pictures: Sequence[NDArray[np.uint8]]
) -> NDArray[np.float64]:
    """Return for each digit its rank among those read alike, as a share: 0 is the most unlike.

    Args:
        digits: what each was read as.
        pictures: of each, uint8, shape (28, 28).
    """
    read, ranks = np.array(digits), np.ones(len(digits))
    points = _project(compute_features(np.stack(pictures)))
    sheets = {digit: np.flatnonzero(read == digit) for digit in np.unique(read).tolist()}
    for digit, own in sheets.items():
        others = [_thin_out(points[sheet]) for name, sheet in sheets.items() if name != digit]
        odd = _measure_unlikeness(points[own], others)
        ranks[own[np.argsort(-odd, kind="stable")]] = np.arange(len(own)) / len(own)
    return ranks


def _project(features: NDArray[np.float32]) -> Points:
    """Return features along their principal axes, the strong ones a little reduced: (N, AXES)."""
    centred = np.asarray(features - features.mean(axis=0), np.float64)
    _, sizes, axes = np.linalg.svd(_thin_out(centred), full_matrices=False)
    spread = sizes[:AXES] / np.sqrt(min(len(features), MAX_COMPARED))
    weights = np.sqrt(np.maximum(spread + 0.25 * spread[0], 1e-9))
    return np.asarray(centred @ axes[:AXES].T / weights, np.float64)


def _measure_unlikeness(points: Points, others: Sequence[Points]) -> Points:
    """Return how unlike the others each digit of a sheet is: shape (N,), larger is odder."""
    if len(points) < 2:
        return np.zeros(len(points))
    own = _measure_distance(points, _thin_out(points), itself=True)
    lonely = own / max(float(np.median(own)), 1e-9)
    if not others:
        return lonely
    foreign = np.min([_measure_distance(points, sheet) for sheet in others], axis=0)
    return np.asarray(own / np.maximum(foreign, 1e-9) + LONELINESS * lonely, np.float64)


def _measure_distance(points: Points, among: Points, *, itself: bool = False) -> Points:
    """Return the mean distance of each point from its nearest neighbours: shape (N,).

    Args:
        points: shape (N, M).
        among: where the neighbours are, shape (K, M).
        itself: whether the points are among these, so that the nearest is no neighbour.
    """
    count = min(NEIGHBOURS + itself, len(among))
    out = np.empty(len(points))
    for start in range(0, len(points), AT_ONCE):
        part = points[start : start + AT_ONCE]
        gaps = (part**2).sum(1)[:, None] + (among**2).sum(1)[None] - 2 * part @ among.T
        nearest = np.sqrt(np.maximum(np.partition(gaps, count - 1, axis=1)[:, :count], 0))
        out[start : start + AT_ONCE] = nearest.sum(axis=1) / max(count - itself, 1)
    return out


def _thin_out(points: Points) -> Points:
    """Return some of many points, evenly chosen."""
    if len(points) <= MAX_COMPARED:
        return points
    kept: Points = points[np.linspace(0, len(points) - 1, MAX_COMPARED).astype(int)]
    return kept
