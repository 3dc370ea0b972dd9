"""Logits become calibrated probabilities, and calibration data becomes a threshold.

Only `compute_probabilities` knows how logits are calibrated, and only `predict_digits` how digits
are read from probabilities. Runs, training and calibration all use these two.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits.calibrate.audit import load_audit_table
from batchdigits.calibrate.strings import Candidates, calibrate_candidates, fit_string_temperature
from batchdigits.calibrate.thresholds import (
    MAX_WRONG_SHARE,
    compute_min_target_error,
    compute_upper_bound,
    find_default_threshold,
    find_threshold,
    group_by_confidence,
)
from batchdigits.records import CalibrationBin

__all__ = [
    "DIGIT_COUNT",
    "MAX_CONFIDENCE",
    "MAX_WRONG_SHARE",
    "MIN_SOURCE_DIGITS",
    "Calibration",
    "Candidates",
    "DigitPredictions",
    "Thresholds",
    "calibrate_candidates",
    "compute_min_target_error",
    "compute_probabilities",
    "compute_upper_bound",
    "find_default_threshold",
    "find_threshold",
    "fit_calibration",
    "fit_median_temperature",
    "fit_string_temperature",
    "fit_temperature",
    "group_by_confidence",
    "load_audit_table",
    "predict_digits",
    "truncate_confidence",
    "truncate_probabilities",
]

DIGIT_COUNT = 10
"""Classes that are digits; an eleventh class means "not a digit"."""
MIN_SOURCE_DIGITS = 50
"""A source with fewer digits gets no temperature of its own."""
MAX_CONFIDENCE = 0.9999
"""The highest confidence: no reading is certain, and the table has four decimals."""


def compute_probabilities(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """Turn logits into probabilities.

    Args:
        logits: shape (N, classes), finite.
        temperature: above 0; divides the logits before the softmax (Guo et al.: "On calibration of
            modern neural networks", ICML 2017).

    Returns:
        float64, shape (N, classes), each row summing to 1.
    """
    from scipy.special import softmax  # noqa: PLC0415  (slow to import)

    return softmax(logits.astype(np.float64) / temperature, axis=1)


def truncate_probabilities(confidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cut (not round) probabilities of any shape to four decimals, and to `MAX_CONFIDENCE` at most.

    Thresholds are compared with the result, so that the table explains itself.
    """
    steps: NDArray[np.float64] = np.floor(confidence * 10_000)
    steps = steps + ((steps + 1) / 10_000 <= confidence)  # 0.57 * 10,000 falls short of 5,700
    return np.minimum(steps / 10_000, MAX_CONFIDENCE)


class Thresholds(NamedTuple):
    """The confidences from which values are `ok`.

    Attributes:
        digits: for single digits, and for numbers that are read box by box.
        numbers: for numbers that are read as a whole.
    """

    digits: float
    numbers: float


def truncate_confidence(confidence: float | np.floating) -> float:
    """Cut one probability as `truncate_probabilities` does."""
    return float(truncate_probabilities(np.array([confidence], np.float64))[0])


class DigitPredictions(NamedTuple):
    """Predictions for N pictures: row n of each array belongs to picture n.

    Attributes:
        digit: int64, shape (N,), the likeliest of the ten digits.
        confidence: float64, shape (N,), its probability among all classes, cut as by
            `truncate_probabilities`.
        second: int64, shape (N,), the second likeliest digit.
        other: bool, shape (N,), whether "not a digit" is likelier than every digit: such a reading
            is for review whatever the threshold.
        likely: float64, shape (N, 10), the probability of each digit among all classes.
    """

    digit: NDArray[np.int64]
    confidence: NDArray[np.float64]
    second: NDArray[np.int64]
    other: NDArray[np.bool_]
    likely: NDArray[np.float64]


def predict_digits(logits: NDArray[np.float32], temperature: float) -> DigitPredictions:
    """Predict digits and their confidences from a model's logits.

    Args:
        logits: shape (N, 10), or (N, 11) if the model knows "not a digit"; finite.
        temperature: as for `compute_probabilities`.
    """
    likely = compute_probabilities(logits, temperature)
    order = likely[:, :DIGIT_COUNT].argsort(axis=1, kind="stable")
    best = np.take_along_axis(likely, order[:, -1:], axis=1)
    other: NDArray[np.bool_] = np.any(likely[:, DIGIT_COUNT:] > best, axis=1)
    return DigitPredictions(
        order[:, -1],
        truncate_probabilities(best[:, 0]),
        order[:, -2],
        other,
        likely[:, :DIGIT_COUNT],
    )


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Fit the temperature that makes held-out labels most likely, within 0.1 to 10.

    Args:
        logits: shape (N, classes).
        labels: shape (N,), the right class of each row.

    Returns:
        The temperature with the least mean negative log-likelihood, to one part in 500. The loss
        has a single minimum in log-temperature, so a fine grid finds it.
    """
    from scipy.special import log_softmax  # noqa: PLC0415  (slow to import)

    grid = np.exp(np.linspace(np.log(0.1), np.log(10), 2303))
    scaled = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)

    def loss(temperature: float) -> float:
        likely = log_softmax(scaled / temperature, axis=1)
        return -float(np.mean(np.take_along_axis(likely, labels[:, None], axis=1)))

    coarse = min(grid[::48], key=loss)
    near = grid[(grid > coarse / 1.12) & (grid < coarse * 1.12)]
    return float(min(near, key=loss))


class Calibration(NamedTuple):
    """The calibration of a model on N labelled pictures; see `fit_calibration`.

    Attributes:
        temperature: fitted on all pictures.
        readings: right and wrong values by confidence, under the other half's temperature.
        threshold: the default threshold for these readings.
        right: bool, shape (N,), whether the reading is the label.
        ok: bool, shape (N,), whether the reading is `ok` under the other half's temperature and
            threshold.
    """

    temperature: float
    readings: list[CalibrationBin]
    threshold: float
    right: NDArray[np.bool_]
    ok: NDArray[np.bool_]


def fit_calibration(
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    sources: NDArray[np.int64] | None = None,
    temperature: float | None = None,
    seed: int = 0,
) -> Calibration:
    """Fit the temperature, unless it is given, and the default threshold; cross-validate them.

    The pictures are split at random into two halves, label by label. Each half is judged with the
    temperature and the threshold of the other: so all pictures measure, and none judges itself. The
    temperature that is returned is fitted on both halves. With several sources it is the median of
    the sources' temperatures: fitted on all together, a source with many wrong labels would decide
    for the others.

    Args:
        logits: shape (N, 10), or (N, 11) if the model knows "not a digit".
        labels: shape (N,), 0 to 9, or any other value for what is not a digit; not without digits.
        sources: shape (N,), the source of each picture; None if there is one source.
        temperature: where it is fitted already.
        seed: of the random split.
    """
    labels = np.where((labels >= 0) & (labels < DIGIT_COUNT), labels, DIGIT_COUNT)
    if sources is None:
        sources = np.zeros(len(labels), np.int64)
    first = _choose_stratified_half(labels, seed)
    temperatures = [
        temperature or fit_median_temperature(logits[half], labels[half], sources[half])
        for half in (first, ~first)
    ]
    one, two = (predict_digits(logits, temperature) for temperature in temperatures)
    right = one.digit == labels
    confidence = np.where(first, two.confidence, one.confidence)
    of_one, of_two = (
        find_default_threshold(_group_masked_confidences(of.confidence, right, half & ~of.other))
        for of, half in ((one, first), (two, ~first))
    )
    found = _group_masked_confidences(confidence, right, ~one.other)
    return Calibration(
        temperature=temperature or fit_median_temperature(logits, labels, sources),
        readings=found,
        threshold=find_default_threshold(found),
        right=right,
        ok=~one.other & (confidence >= np.where(first, of_two, of_one)),
    )


def _choose_stratified_half(labels: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    """Choose a random half of the pictures of each label; bool, shape (N,)."""
    chance = np.random.default_rng(seed).random(len(labels))
    half = np.zeros(len(labels), bool)
    half[np.lexsort((chance, labels))[::2]] = True
    return half


def fit_median_temperature(
    logits: NDArray[np.float32], labels: NDArray[np.int64], sources: NDArray[np.int64]
) -> float:
    """Fit the temperature on the pictures whose label is a class of the model.

    Args:
        logits: shape (N, classes).
        labels: shape (N,), 0 to 9, or any other value for what is not a digit.
        sources: shape (N,), the source of each picture.

    Returns:
        The median of the sources' temperatures; sources with few digits are left out.
    """
    labels = np.where((labels >= 0) & (labels < DIGIT_COUNT), labels, DIGIT_COUNT)
    known = labels < logits.shape[1]
    digits = np.bincount(sources[labels < DIGIT_COUNT])
    each = [known & (sources == one) for one in np.flatnonzero(digits >= MIN_SOURCE_DIGITS)]
    parts = each or [known]
    return float(np.median([fit_temperature(logits[one], labels[one]) for one in parts]))


def _group_masked_confidences(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], among: NDArray[np.bool_]
) -> list[CalibrationBin]:
    return group_by_confidence(confidence[among], right[among])
