"""Corrections of an inbox, and what is known about its other values → a threshold for all of it.

People correct what is doubtful first, so that corrections alone are no sample of an inbox. The
values are digits with boxes of their own, or numbers.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits import calibrate
from batchdigits.records import CalibrationBin
from batchdigits.training.corrected import UncorrectedCounts


class ReaderPromise(NamedTuple):
    """What a card promises of the values that one of its readers reads.

    Attributes:
        threshold: the confidence from which a value is `ok`.
        readings: what it was calibrated on.
        allowed: share of the `ok` values that may be wrong.
    """

    threshold: float
    readings: Sequence[CalibrationBin]
    allowed: float = calibrate.MAX_WRONG_SHARE


class CheckedReadings(NamedTuple):
    """How N corrected values are read now.

    Attributes:
        confidence: float64, shape (N,); 0 where a value is for review whatever the threshold.
        wrong: whether it is read wrong, shape (N,).
        doubtful: whether it was for review before, shape (N,).
    """

    confidence: NDArray[np.float64]
    wrong: NDArray[np.bool_]
    doubtful: NDArray[np.bool_]


class InboxSample(NamedTuple):
    """Values of known truth that stand for a whole inbox.

    Attributes:
        read: the corrected values.
        stands: for how many values each of the doubtful stands, in values of the calibration data.
        others: for how many each of the others stands.
        known: calibration data that stand for the `ok` values that nobody verified.
        promise: what was promised before.
    """

    read: CheckedReadings
    stands: float
    others: float
    known: Sequence[CalibrationBin]
    promise: ReaderPromise

    def holds(self, threshold: float) -> bool:
        """Return whether so few values at or over the threshold are wrong as is allowed.

        Of the doubtful, so many count as wrong as surely are (the lower 95% bound): one of a few
        hundred that each stand for many may be wrong by chance.
        """
        ok = self.read.confidence >= threshold
        doubtful, others = ok & self.read.doubtful, ok & ~self.read.doubtful
        count, right = int(doubtful.sum()), int((doubtful & ~self.read.wrong).sum())
        least = 1 - float(calibrate.compute_upper_bound(right, count))
        known = [one for one in self.known if _is_ok(one, threshold)]
        wrong = self.stands * count * least + self.others * int((others & self.read.wrong).sum())
        values = self.stands * count + self.others * int(others.sum())
        wrong += sum(one.wrong for one in known)
        values += sum(one.right + one.wrong for one in known)
        return wrong <= self.promise.allowed * values


def sample_inbox(
    promise: ReaderPromise, read: CheckedReadings, others: UncorrectedCounts
) -> InboxSample:
    """Join corrected values with what a reader was calibrated on, so that they stand for an inbox.

    A corrected value that was for review stands for its share of all these. One that was `ok`
    stands for itself, because it may have been looked at for being odd. The other `ok` ones are
    taken to be as the calibration data.

    Args:
        promise: of the bundle to start from.
        read: how the corrected values are read now.
        others: how many values of each kind nobody corrected.
    """
    known = [one for one in promise.readings if others.sure and _is_ok(one, promise.threshold)]
    each = sum(one.right + one.wrong for one in known) / others.sure if known else 1.0
    stands = each * (1 + others.doubtful / max(1, int(read.doubtful.sum())))
    return InboxSample(read, stands, each, known, promise)


def _is_ok(reading: CalibrationBin, threshold: float) -> bool:
    return reading.confidence >= threshold


def find_inbox_threshold(sample: InboxSample) -> float:
    """Find the lowest threshold that holds for an inbox, and is not under that from before.

    Returns:
        1, which no value reaches, if there is none.
    """
    before, sure = sample.promise.threshold, sample.read.confidence
    over = np.unique(sure[sure > before]).tolist()
    return next((float(one) for one in [before, *over] if sample.holds(one)), 1.0)
