"""How unlike the others of its sheet a digit looks, whatever the model says about it.

The features are directions of strokes in 4 x 4 fields of the picture (Dalal and Triggs: "Histograms
of oriented gradients for human detection", CVPR 2005). A digit is as unlike as its nearest
neighbours among the sheet's digits are far, and as it is far from their middle: a lone wrong digit
has no neighbours of its kind.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

FIELDS, DIRECTIONS = 4, 8
AXES = 24
"""Principal axes that are compared."""
NEIGHBOURS = 5
MAX_COMPARED = 3000
"""Digits of a sheet that every digit is compared with."""


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


def measure_unlikeness(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return how unlike the others each digit of a sheet is: float64, shape (N,), larger is odder.

    Args:
        features: of the digits that were read as the same digit, float32, shape (N, M).
    """
    count = len(features)
    if count < 3:
        return np.zeros(count)
    centred = np.asarray(features - np.median(features, axis=0), np.float64)
    _, sizes, axes = np.linalg.svd(_thin_out(centred), full_matrices=False)
    spread = sizes[:AXES] / np.sqrt(min(count, MAX_COMPARED))
    points = centred @ axes[:AXES].T / np.sqrt(np.maximum(spread + 0.25 * spread[0], 1e-9))
    others = _thin_out(points)
    near = min(NEIGHBOURS, len(others) - 1)
    far = np.empty(count)
    for start in range(0, count, 512):
        part = points[start : start + 512]
        gaps = (part**2).sum(1)[:, None] + (others**2).sum(1)[None] - 2 * part @ others.T
        nearest = np.sort(np.sqrt(np.maximum(gaps, 0)), axis=1)[:, : near + 1]
        far[start : start + 512] = nearest.sum(axis=1) / near  # its own distance is 0
    middle = np.linalg.norm(points, axis=1)
    typical = max(float(np.median(far)), 1e-9), max(float(np.median(middle)), 1e-9)
    return np.asarray(far / typical[0] + middle / typical[1], np.float64)


def _thin_out(points: NDArray[np.float64]) -> NDArray[np.float64]:
    if len(points) <= MAX_COMPARED:
        return points
    kept: NDArray[np.float64] = points[np.linspace(0, len(points) - 1, MAX_COMPARED).astype(int)]
    return kept


def order_by_unlikeness(
    digits: Sequence[str], pictures: Sequence[NDArray[np.uint8]]
) -> NDArray[np.float64]:
    """Return for each digit its rank among those read alike, as a share: 0 is the most unlike.

    Args:
        digits: what each was read as.
        pictures: of each, uint8, shape (28, 28).
    """
    ranks = np.ones(len(digits))
    read = np.array(digits)
    for digit in np.unique(read):
        own = np.flatnonzero(read == digit)
        odd = measure_unlikeness(compute_features(np.stack([pictures[n] for n in own.tolist()])))
        ranks[own[np.argsort(-odd, kind="stable")]] = np.arange(len(own)) / len(own)
    return ranks
