"""How numbers are read before and after a reader learned from an inbox; what its card says."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from batchdigits import calibrate, predict
from batchdigits.calibrate.strings import MIN_REST_PROBABILITY
from batchdigits.predict.decoding import DecodedStrip
from batchdigits.training import reading
from batchdigits.training.corrected import CorrectedNumbers
from batchdigits.training.inbox import (
    CheckedReadings,
    ReaderPromise,
    find_inbox_threshold,
    sample_inbox,
)
from batchdigits.training.verdict import BeforeAfter, ReadingScore, describe_fault


class NumberReadings(NamedTuple):
    """How numbers are read.

    Attributes:
        found: of each; None where there is nothing to read.
        truth: the digits of each.
    """

    found: Sequence[DecodedStrip | None]
    truth: Sequence[str]

    def judge(self, temperature: float) -> reading.Judged:
        """Judge them as a run does, without a field's rules."""
        return reading.judged(self.found, self.truth, temperature)

    def score(self, temperature: float) -> ReadingScore:
        """Return how well they are read."""
        wrong = int((~self.judge(temperature).right).sum())
        loss = sum(self._compute_losses(temperature)) / max(1, len(self.truth))
        return ReadingScore(len(self.truth), wrong, loss)

    def fit_temperature(self) -> float:
        """Fit the temperature that makes them most likely."""
        return reading.temperature([self])

    def _compute_losses(self, temperature: float) -> list[float]:
        shares = [
            dict(calibrate.calibrate_candidates(one.candidates, temperature)).get(right, 0.0)
            if one
            else 0.0
            for one, right in zip(self.found, self.truth, strict=True)
        ]
        return [-math.log(max(share, MIN_REST_PROBABILITY)) for share in shares]


@dataclass(frozen=True)
class NumberComparison:
    """How numbers are read before and after.

    Attributes:
        corrected_before: those of the corrections, by the reader to start from.
        corrected_after: the same, each by a reader that has not learned from its page.
        guard_before: the guard numbers, by the reader to start from.
        guard_after: the same, by the reader of the new bundle.
        share: of the tuned weights.
    """

    corrected_before: NumberReadings
    corrected_after: NumberReadings
    guard_before: NumberReadings
    guard_after: NumberReadings
    share: float

    def list_scores(self, temperature: float) -> tuple[BeforeAfter, BeforeAfter]:
        """Return how well the corrected numbers are read, and the guard numbers."""
        corrected = (
            self.corrected_before.score(temperature),
            self.corrected_after.score(temperature),
        )
        guard = self.guard_before.score(temperature), self.guard_after.score(temperature)
        return BeforeAfter(*corrected), BeforeAfter(*guard)

    def describe_fault(self, name: str, temperature: float) -> str:
        """Return why the reader is not kept; empty if it reads better and forgot nothing.

        Args:
            name: of the bundle to start from.
            temperature: of its reader.
        """
        return describe_fault(*self.list_scores(temperature), "numbers", name)

    def fit_temperature(self, before: float) -> float:
        """Fit the temperature as `comparison.fit_tuned_temperature` does: it never falls."""
        pairs = (
            (self.corrected_before, self.corrected_after),
            (self.guard_before, self.guard_after),
        )
        rises = [after.fit_temperature() / old.fit_temperature() for old, after in pairs]
        return round(before * max(1.0, *rises), 4)


def describe_numbers(
    card: predict.Card, comparison: NumberComparison, corrected: CorrectedNumbers
) -> dict[str, Any]:
    """Return what a card says of a tuned number reader, calibrated anew.

    Neither its temperature nor its threshold falls, as those of digits.

    Args:
        card: of the bundle to start from.
        comparison: how numbers are read.
        corrected: what was learned from.
    """
    assert card.numbers is not None
    temperature = comparison.fit_temperature(card.numbers.temperature)
    after = comparison.corrected_after.judge(temperature)
    promise = make_promise(card.numbers)
    read = CheckedReadings(after.confidence, ~after.right, corrected.doubtful)
    threshold = find_inbox_threshold(sample_inbox(promise, read, corrected.others))
    sure = after.confidence > 0
    own = calibrate.group_by_confidence(after.confidence[sure], after.right[sure])
    said = f"{len(after.right)} corrected numbers, each read by a reader that had not learned "
    said += f"from its page, and what that of '{card.name}' was calibrated on"
    return {
        **card.whole["numbers"],
        "calibration": {
            "temperature": temperature,
            "fitted on": said,
            "readings": [list(one) for one in sorted([*own, *promise.readings], reverse=True)],
        },
        "threshold": threshold,
        "measured": _describe_readings(comparison, temperature, threshold),
    }


def make_promise(reader: predict.NumberReaderCard) -> ReaderPromise:
    """Return what a card promises of its number reader.

    So many `ok` numbers may be wrong as its calibration data do not rule out: of real strings'
    labels some are wrong themselves.
    """
    ok = [one for one in reader.readings if one.confidence >= reader.threshold]
    wrong, count = sum(one.wrong for one in ok), sum(one.right + one.wrong for one in ok)
    bound = float(calibrate.compute_upper_bound(wrong, count)) if count else 0.0
    allowed = max(calibrate.MAX_WRONG_SHARE, bound)
    return ReaderPromise(reader.threshold, reader.readings, allowed)


def _describe_readings(
    comparison: NumberComparison, temperature: float, threshold: float
) -> dict[str, Any]:
    """Return what was measured, as the card has it."""
    corrected, guard = comparison.list_scores(temperature)
    after = comparison.corrected_after.judge(temperature)
    ok = after.confidence >= threshold
    return {
        "how": "corrected numbers, each by a reader that had not learned from its page",
        "strings": len(ok),
        "right": round(float(after.right.mean()), 4),
        "wrong": corrected.after.wrong,
        "wrong before": corrected.before.wrong,
        "for review": round(float(1 - ok.mean()), 4),
        "wrong among ok": int((ok & ~after.right).sum()),
        "guard numbers": {
            "strings": guard.after.total,
            "wrong": guard.after.wrong,
            "wrong before": guard.before.wrong,
        },
    }
