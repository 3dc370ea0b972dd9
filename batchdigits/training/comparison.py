"""How a bundle reads before and after it learned from an inbox; and the card that says so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from batchdigits import calibrate, predict
from batchdigits.errors import ModelError
from batchdigits.records import CalibrationBin
from batchdigits.training.corrected import CorrectedDigits
from batchdigits.training.inbox import find_inbox_threshold, sample_inbox
from batchdigits.training.network import Kind

OWN_LICENCE = "of whoever owns the scans"

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

    def check(self, name: str, temperature: float) -> None:
        """Refuse a bundle that is no better.

        Args:
            name: of the bundle to start from.
            temperature: of that bundle.

        Raises:
            ModelError: it forgot something, or reads held-out corrections no better.
        """
        before, after = self.guard_before.count_wrong(), self.guard_after.count_wrong()
        if after > before:
            raise ModelError(
                f"not kept: of {len(self.guard_after.labels):,} guard digits {after} would be "
                f"wrong, and {before} are with '{name}': keep that, or settle more values"
            )
        old, new = (
            (one.count_wrong(), round(one.compute_loss(temperature), 4))  # beyond it is noise
            for one in (self.corrected_before, self.corrected_after)
        )
        if new >= old:
            raise ModelError(
                f"not kept: of {len(self.corrected_after.labels):,} corrected digits {new[0]} "
                f"would be wrong (held out, loss {new[1]:.4f}), and {old[0]} are with '{name}' "
                f"(loss {old[1]:.4f}): keep that, or settle more values"
            )


def make_card(
    card: predict.Card, comparison: Comparison, corrected: CorrectedDigits, name: str
) -> dict[str, Any]:
    """Return the card of a tuned bundle, calibrated anew.

    No temperature is lower than before, and no threshold: a few hundred digits show that a reader
    became less sure of itself than it may be, and not that it may be surer.

    Args:
        card: of the bundle to start from.
        comparison: how digits are read.
        corrected: what was learned from.
        name: of the bundle.
    """
    assert card.careful is not None
    after = comparison.corrected_after
    temperature = fit_tuned_temperature(card, comparison)
    sample = sample_inbox(card, after.predict(temperature), after.labels, corrected)
    threshold = find_inbox_threshold(card, sample)
    readings = [*group_readings(after, temperature), *card.readings]
    careful = card.whole["careful"] | {
        "temperature": round(card.careful.temperature * temperature / card.temperature, 4)
    }
    said = f"{len(after.labels)} corrected digits, each read by networks that had not learned "
    said += f"from its page, and what '{card.name}' was calibrated on"
    return {
        **card.whole,
        "name": name,
        "careful": careful,
        "calibration": {
            "temperature": temperature,
            "fitted on": said,
            "readings": [list(one) for one in sorted(readings, reverse=True)],
        },
        "threshold": threshold,
        "measured": describe_comparison(comparison, temperature, threshold),
        "fine-tuned": {
            "from": card.name,
            "shares of the tuned weights": dict(comparison.shares),
            "numbers": "the number reader is as it was",
            "measured before": card.whole.get("measured", {}),
        },
        "training": [
            *card.whole.get("training", []),
            {
                "source": f"what people said about {corrected.table}",
                "licence": OWN_LICENCE,
                "crops": len(corrected.labels),
                "pages": corrected.page_count,
            },
        ],
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
