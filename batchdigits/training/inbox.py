"""Corrections of an inbox, and what is known about its other digits → a threshold for all of it.

People correct what is doubtful first, so that corrections alone are no sample of an inbox.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits import calibrate, predict
from batchdigits.labelled import is_digit
from batchdigits.records import CalibrationBin
from batchdigits.training.corrected import CorrectedDigits


class InboxSample(NamedTuple):
    """Digits of known truth that stand for a whole inbox.

    Attributes:
        confidence: of each corrected digit, float64, shape (N,); 0 where it is read as no digit.
        wrong: whether it is read wrong, shape (N,).
        doubtful: whether its value was for review, shape (N,).
        stands: for how many digits each of the doubtful stands, in digits of the calibration data.
        others: for how many each of the others stands.
        known: calibration data that stand for the `ok` digits that nobody verified.
    """

    confidence: NDArray[np.float64]
    wrong: NDArray[np.bool_]
    doubtful: NDArray[np.bool_]
    stands: float
    others: float
    known: Sequence[CalibrationBin]

    def holds(self, threshold: float) -> bool:
        """Return whether so few digits at or over the threshold are wrong as a default allows.

        Of the doubtful, so many count as wrong as surely are (the lower 95% bound): one of a few
        hundred that each stand for many may be wrong by chance.
        """
        ok = self.confidence >= threshold
        doubtful, others = ok & self.doubtful, ok & ~self.doubtful
        count, right = int(doubtful.sum()), int((doubtful & ~self.wrong).sum())
        least = 1 - float(calibrate.compute_upper_bound(right, count))
        known = [one for one in self.known if one.confidence >= threshold]
        wrong = self.stands * count * least + self.others * int((others & self.wrong).sum())
        values = self.stands * count + self.others * int(others.sum())
        wrong += sum(one.wrong for one in known)
        values += sum(one.right + one.wrong for one in known)
        return wrong <= calibrate.MAX_WRONG_SHARE * values


def sample_inbox(
    card: predict.Card,
    read: calibrate.DigitPredictions,
    labels: NDArray[np.int64],
    corrected: CorrectedDigits,
) -> InboxSample:
    """Join corrected digits with what a bundle was calibrated on, so that they stand for an inbox.

    A corrected digit of a value that was for review stands for its share of all these. One of a
    value that was `ok` stands for itself, because it may have been looked at for being odd. The
    other `ok` ones are taken to be as the calibration data.

    Args:
        card: of the bundle to start from.
        read: how the corrected digits are read now.
        labels: of these.
        corrected: tells what was for review, and how many digits there are of each kind.
    """
    doubtful = corrected.doubtful[is_digit(corrected.labels)]
    count = corrected.others
    known = [one for one in card.readings if count.sure and one.confidence >= card.threshold]
    others = sum(one.right + one.wrong for one in known) / count.sure if known else 1.0
    return InboxSample(
        np.where(read.other, 0.0, read.confidence),
        read.digit != labels,
        doubtful,
        others * (1 + count.doubtful / max(1, int(doubtful.sum()))),
        others,
        known,
    )


def find_inbox_threshold(card: predict.Card, sample: InboxSample) -> float:
    """Find the lowest threshold that holds for an inbox, and is not under that from before.

    Returns:
        1, which no value reaches, if there is none.
    """
    over = np.unique(sample.confidence[sample.confidence > card.threshold]).tolist()
    return next((float(one) for one in [card.threshold, *over] if sample.holds(one)), 1.0)
