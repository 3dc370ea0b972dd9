"""Both digit networks learn from the digits of an inbox, part by part of its pages."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from batchdigits import predict
from batchdigits.labelled import is_digit
from batchdigits.training import digits
from batchdigits.training.averaging import (
    UNTUNED,
    Networks,
    SharedReadings,
    average_networks,
    blend_networks,
    choose_shares,
    find_doubted_digits,
    join_parts,
    read_at_shares,
)
from batchdigits.training.comparison import Comparison
from batchdigits.training.corrected import CorrectedDigits
from batchdigits.training.course import Tell
from batchdigits.training.guard import load_guard_digits
from batchdigits.training.network import KINDS, with_weights_of
from batchdigits.training.parting import FOLD_COUNT
from batchdigits.training.tuning import (
    DOUBTED_TIMES,
    OWN_TIMES,
    TuningPlan,
    repeat_digits,
    tune_networks,
)


class DigitTuning:
    """The trainings that make the digit networks of one bundle."""

    def __init__(
        self, card: predict.Card, corrected: CorrectedDigits, plan: TuningPlan, tell: Tell
    ) -> None:
        """Load the networks to start from, and the digits that they must not forget.

        Args:
            card: of the bundle to start from.
            corrected: what is learned from.
            plan: how.
            tell: takes lines for people.
        """
        self._card, self._corrected, self._plan, self._tell = card, corrected, plan, tell
        files = (card.network, card.place / predict.CAREFUL_FILE)
        self._start: Networks = {
            kind: with_weights_of(predict.load_keras_model(file), kind)
            for kind, file in zip(KINDS, files, strict=True)
        }
        guard = load_guard_digits()
        self._guard = digits.normalized(guard.held)
        pictures, _ = digits.normalized(guard.replayed)
        doubted = find_doubted_digits(self._start, pictures, card)
        self._replayed = repeat_digits(guard.replayed, np.where(doubted, DOUBTED_TIMES, 1))

    def run(self, folds_by_page: NDArray[np.int64]) -> tuple[Comparison, Networks]:
        """Train; return how digits are read, and the networks of the new bundle.

        Args:
            folds_by_page: as from `parting.part_pages`.
        """
        folds = folds_by_page[self._corrected.pages]
        parts = [self._tune(folds != n, f"part {n + 1} of {FOLD_COUNT}") for n in range(FOLD_COUNT)]
        tuned = average_networks(parts)
        corrected = self._read_corrected(parts, folds)
        guard = read_at_shares(self._start, tuned, self._guard, self._card)
        chosen = choose_shares(corrected, guard)
        comparison = Comparison(
            corrected.combine(UNTUNED),
            corrected.combine(chosen),
            guard.combine(UNTUNED),
            guard.combine(chosen),
            chosen.describe(),
        )
        return comparison, blend_networks(self._start, tuned, chosen)

    def _read_corrected(
        self, networks: Sequence[Networks], folds: NDArray[np.int64]
    ) -> SharedReadings:
        """Read the digits of each part of the pages by the networks for it, in their order."""
        digit = is_digit(self._corrected.labels)
        rows = [digit & (folds == n) for n in range(len(networks))]
        found = self._corrected
        parts = [
            read_at_shares(self._start, one, (found.pictures[some], found.labels[some]), self._card)
            for one, some in zip(networks, rows, strict=True)
        ]
        order = np.argsort(np.concatenate([np.flatnonzero(some) for some in rows]))
        return join_parts(parts, order)

    def _tune(self, chosen: NDArray[np.bool_], name: str) -> Networks:
        self._tell(f"digits: learning from {name}")
        own = self._corrected.select(chosen)
        often = repeat_digits(own, np.full(len(own.labels), OWN_TIMES))
        return tune_networks(self._start, [often, self._replayed], self._plan)
