"""Logits become probabilities that can be acted on, and calibration data a threshold.

`probabilities` alone knows how logits are calibrated; `judged` alone what is read from the
probabilities; runs, training and calibration all go through it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits.calibrate.audit import audited
from batchdigits.calibrate.thresholds import (
    default_threshold,
    least_error,
    readings,
    threshold_for,
    upper_bound,
)

__all__ = [
    "DIGITS",
    "HIGHEST",
    "Judged",
    "audited",
    "default_threshold",
    "fit_temperature",
    "judged",
    "least_error",
    "probabilities",
    "readings",
    "threshold_for",
    "upper_bound",
    "written",
]

DIGITS = 10
"""Classes that are digits; where there is one more, it means "not a digit"."""
HIGHEST = 0.9999
"""No reading is certain; the table holds four decimals."""


def probabilities(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """Turn logits into probabilities.

    Args:
        logits: shape (N, classes), finite.
        temperature: above 0; what the logits are divided by before the softmax (Guo et al.:
            "On calibration of modern neural networks", ICML 2017).

    Returns:
        float64, shape (N, classes), each row summing to 1.
    """
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    out: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return out


def written(confidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cut (not round) probabilities of any shape to four decimals, and to `HIGHEST` at most.

    Thresholds compare what this gives, so that the table explains itself.
    """
    steps: NDArray[np.float64] = np.floor(confidence * 10_000)
    steps = steps + ((steps + 1) / 10_000 <= confidence)  # 0.57 * 10,000 falls short of 5,700
    return np.minimum(steps / 10_000, HIGHEST)


class Judged(NamedTuple):
    """What N pictures are read as: row n of each array belongs to picture n.

    Attributes:
        digit: int64, shape (N,), the likeliest of the ten digits.
        confidence: float64, shape (N,), its probability among all classes, as `written`.
        second: int64, shape (N,), the second likeliest digit.
        other: bool, shape (N,), true where "not a digit" is likelier than every digit: such a
            reading is for review whatever the threshold.
    """

    digit: NDArray[np.int64]
    confidence: NDArray[np.float64]
    second: NDArray[np.int64]
    other: NDArray[np.bool_]


def judged(logits: NDArray[np.float32], temperature: float) -> Judged:
    """Read digits and their confidences off a model's logits.

    Args:
        logits: shape (N, 10), or (N, 11) where the model knows "not a digit", finite.
        temperature: as for `probabilities`.
    """
    likely = probabilities(logits, temperature)
    order = likely[:, :DIGITS].argsort(axis=1, kind="stable")
    best = np.take_along_axis(likely, order[:, -1:], axis=1)
    other: NDArray[np.bool_] = np.any(likely[:, DIGITS:] > best, axis=1)
    return Judged(order[:, -1], written(best[:, 0]), order[:, -2], other)


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Find the temperature under which held-out labels are most likely, within 0.1 to 10.

    Args:
        logits: shape (N, classes).
        labels: shape (N,), the right class of each row.

    Returns:
        The temperature with the least mean negative log-likelihood, to one part in 500: it has a
        single minimum in log-temperature, so a fine grid finds it.
    """
    grid = np.exp(np.linspace(np.log(0.1), np.log(10), 2303))
    scaled = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    right = np.take_along_axis(scaled, labels[:, None], axis=1)[:, 0]

    def loss(temperature: float) -> float:
        normaliser = np.log(np.exp(scaled / temperature).sum(axis=1))
        return float(np.mean(normaliser - right / temperature))

    coarse = min(grid[::48], key=loss)
    near = grid[(grid > coarse / 1.12) & (grid < coarse * 1.12)]
    return float(min(near, key=loss))
