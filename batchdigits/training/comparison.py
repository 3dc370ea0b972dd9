"""How digits are read before and after a bundle learned from an inbox; what its card says of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from batchdigits import calibrate, predict
from batchdigits.labelled import is_digit
from batchdigits.records import CalibrationBin
from batchdigits.training.corrected import CorrectedDigits
from batchdigits.training.inbox import (
    CheckedReadings,
    ReaderPromise,
    find_inbox_threshold,
    sample_inbox,
)
from batchdigits.training.network import Kind
from batchdigits.training.verdict import BeforeAfter, ReadingScore, describe_fault

Logits = NDArray[np.float32]


class Readings(NamedTuple):
    """How N digits are read.

    Attributes:
        logits: shape (N, 11).
        labels: shape (N,), 0 to 9.
    """

    logits: Logits
    labels: NDArray[np.int64]

    def predict(self, temperature: float) -> calibrate.DigitPredictions:
        """Predict the digits with their confidences."""
        return calibrate.predict_digits(self.logits, temperature)

    def count_wrong(self) -> int:
        """Count the digits that are read as another one."""
        digits = self.logits[:, : calibrate.DIGIT_COUNT].argmax(axis=1)
        return int((digits != self.labels).sum())

    def compute_loss(self, temperature: float) -> float:
        """Compute the mean negative log-likelihood."""
        likely = log_softmax(self.logits.astype(np.float64) / temperature, axis=1)
        return -float(np.mean(np.take_along_axis(likely, self.labels[:, None], axis=1)))

    def score(self, temperature: float) -> ReadingScore:
        """Return how well they are read."""
        loss = self.compute_loss(temperature)
        return ReadingScore(len(self.labels), self.count_wrong(), loss)

    def check(self, temperature: float, doubtful: NDArray[np.bool_]) -> CheckedReadings:
        """Return how sure and how right they are; `doubtful` tells which were for review, (N,)."""
        read = self.predict(temperature)
        sure = np.where(read.other, 0.0, read.confidence)
        return CheckedReadings(sure, read.digit != self.labels, doubtful)


@dataclass(frozen=True)
class Comparison:
    """How digits are read before and after.

    Attributes:
        corrected_before: those of the corrections, by the networks to start from.
        corrected_after: the same, each by networks that have not learned from its page.
        guard_before: the guard digits, by the networks to start from.
        guard_after: the same, by the networks of the new bundle.
        shares: of the tuned weights, in each network.
    """

    corrected_before: Readings
    corrected_after: Readings
    guard_before: Readings
    guard_after: Readings
    shares: Mapping[Kind, float]

    def list_scores(self, temperature: float) -> tuple[BeforeAfter, BeforeAfter]:
        """Return how well the corrected digits are read, and the guard digits."""
        corrected = (
            self.corrected_before.score(temperature),
            self.corrected_after.score(temperature),
        )
        guard = self.guard_before.score(temperature), self.guard_after.score(temperature)
        return BeforeAfter(*corrected), BeforeAfter(*guard)

    def describe_fault(self, name: str, temperature: float) -> str:
        """Return why the networks are not kept; empty if they read better and forgot nothing.

        Args:
            name: of the bundle to start from.
            temperature: of that bundle.
        """
        return describe_fault(*self.list_scores(temperature), "digits", name)


def describe_digits(
    card: predict.Card, comparison: Comparison, corrected: CorrectedDigits
) -> dict[str, Any]:
    """Return what a card says of tuned digit networks, calibrated anew.

    No temperature is lower than before, and no threshold: a few hundred digits show that a reader
    became less sure of itself than it may be, and not that it may be surer.

    Args:
        card: of the bundle to start from.
        comparison: how digits are read.
        corrected: what was learned from.
    """
    assert card.careful is not None
    after = comparison.corrected_after
    temperature = fit_tuned_temperature(card, comparison)
    doubtful = corrected.doubtful[is_digit(corrected.labels)]
    promise = ReaderPromise(card.threshold, card.readings)
    read = after.check(temperature, doubtful)
    threshold = find_inbox_threshold(sample_inbox(promise, read, corrected.others))
    readings = [*group_readings(after, temperature), *card.readings]
    careful = card.whole["careful"] | {
        "temperature": round(card.careful.temperature * temperature / card.temperature, 4)
    }
    said = f"{len(after.labels)} corrected digits, each read by networks that had not learned "
    said += f"from its page, and what '{card.name}' was calibrated on"
    return {
        "careful": careful,
        "calibration": {
            "temperature": temperature,
            "fitted on": said,
            "readings": [list(one) for one in sorted(readings, reverse=True)],
        },
        "threshold": threshold,
        "measured": describe_comparison(comparison, temperature, threshold),
    }


def fit_tuned_temperature(card: predict.Card, comparison: Comparison) -> float:
    """Fit the temperature: it rises as far as the networks became surer than they may be.

    The temperature that fits is compared before and after on the same digits. Corrected digits are
    mostly what was doubted before, so that the one that fits them is not that of the inbox.
    """
    pairs = (
        (comparison.corrected_before, comparison.corrected_after),
        (comparison.guard_before, comparison.guard_after),
    )
    rises = [
        calibrate.fit_temperature(*after) / calibrate.fit_temperature(*before)
        for before, after in pairs
    ]
    return round(card.temperature * max(1.0, *rises), 4)


def group_readings(found: Readings, temperature: float) -> list[CalibrationBin]:
    """Group digits by their confidence; see `calibrate.group_by_confidence`."""
    read = found.predict(temperature)
    kept = ~read.other
    return calibrate.group_by_confidence(read.confidence[kept], (read.digit == found.labels)[kept])


def describe_comparison(
    comparison: Comparison, temperature: float, threshold: float
) -> dict[str, Any]:
    """Return what was measured, as the card has it."""
    corrected = _count_readings(comparison.corrected_after, temperature, threshold)
    guard = _count_readings(comparison.guard_after, temperature, threshold)
    return {
        "how": "corrected digits, each by networks that had not learned from its page",
        **corrected,
        "wrong before": comparison.corrected_before.count_wrong(),
        "guard digits": guard | {"wrong before": comparison.guard_before.count_wrong()},
    }


def _count_readings(one: Readings, temperature: float, threshold: float) -> dict[str, Any]:
    read = one.predict(temperature)
    wrong, ok = read.digit != one.labels, (read.confidence >= threshold) & ~read.other
    return {
        "digits": len(wrong),
        "right": round(float(1 - wrong.mean()), 4),
        "wrong": int(wrong.sum()),
        "for review": round(float(1 - ok.mean()), 4),
        "wrong among ok": int((wrong & ok).sum()),
    }
