"""The number reader learns from the numbers of an inbox, part by part of its pages.

Numbers composed of digits of MNIST are mixed among those of the inbox, so that these are not all
that counts. The readers of all parts are averaged, and the mean with the one from before; see
`averaging`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits import predict
from batchdigits.labelled import LabelledCrops
from batchdigits.options import count_processors
from batchdigits.predict.bundle import READER_FILE
from batchdigits.training import corpus, reading
from batchdigits.training.composed import compose_numbers
from batchdigits.training.corrected import CorrectedNumbers
from batchdigits.training.course import Tell
from batchdigits.training.guard import load_guard_digits
from batchdigits.training.material import Material, Real
from batchdigits.training.number_bundle import load_start_reader
from batchdigits.training.number_comparison import NumberComparison, NumberReadings
from batchdigits.training.numbers import Plan, fit
from batchdigits.training.parting import FOLD_COUNT
from batchdigits.training.reader import network

ROUNDS, STRINGS = 1, 2_000
"""Rounds of the training, and the strings of each."""
RATE, REAL_SHARE = 5e-4, 0.5
"""The highest learning rate, and the share of the strings that are of the inbox."""
GUARD_NUMBERS = 500
"""Numbers that show whether something was forgotten."""
SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Of the tuned weights in the average with those from before; the first leaves it as it was."""


@dataclass(frozen=True, slots=True)
class NumberPlan:
    """How a tuning goes.

    Attributes:
        seed: makes it repeatable on one machine.
        device: as Keras names it.
    """

    seed: int
    device: str


class NumberTuning:
    """The trainings that make the number reader of one bundle."""

    def __init__(
        self, card: predict.Card, corrected: CorrectedNumbers, plan: NumberPlan, tell: Tell
    ) -> None:
        """Load the reader to start from, and what it must not forget.

        Args:
            card: of the bundle to start from, which has a number reader.
            corrected: what is learned from.
            plan: how.
            tell: takes lines for people.
        """
        assert card.numbers is not None
        self._temperature = card.numbers.temperature
        self._corrected, self._plan, self._tell = corrected, plan, tell
        self._start = load_start_reader(card.place / READER_FILE)
        guard = load_guard_digits()
        self._replayed = _gather(guard.replayed)
        self._guard = Real(*compose_numbers(_gather(guard.held), GUARD_NUMBERS, 0))

    def run(self, folds_by_page: NDArray[np.int64]) -> tuple[NumberComparison, Any]:
        """Train; return how numbers are read, and the reader of the new bundle.

        Args:
            folds_by_page: as from `parting.part_pages`.
        """
        folds = folds_by_page[self._corrected.pages]
        readers = [self._tune(folds, n) for n in range(FOLD_COUNT)]
        tuned = _average(readers, [1 / FOLD_COUNT] * FOLD_COUNT)
        corrected = [self._read_corrected(readers, folds, share) for share in SHARES]
        guard = [self._read(self._blend(tuned, share), self._guard) for share in SHARES]
        at = self._choose_share(corrected, guard)
        comparison = NumberComparison(corrected[0], corrected[at], guard[0], guard[at], SHARES[at])
        return comparison, self._blend(tuned, SHARES[at])

    def _tune(self, folds: NDArray[np.int64], part: int) -> Any:
        """Let a reader learn from all parts of the pages but one."""
        self._tell(f"numbers: learning from part {part + 1} of {FOLD_COUNT}")
        with TemporaryDirectory() as folder:
            plan = Plan(
                ROUNDS,
                self._plan.seed,
                Path(folder, "tuned.keras"),
                rate=RATE,
                real=REAL_SHARE,
                makers=min(corpus.MAKERS, count_processors()),
                strings=STRINGS,
            )
            material = Material(self._replayed, (), self._corrected.select(folds != part))
            return fit(material, plan, start=self._start)

    def _blend(self, tuned: Any, share: float) -> Any:
        return _average([self._start, tuned], [1 - share, share])

    def _read(self, reader: Any, strings: Real) -> NumberReadings:
        found = reading.read(reader, strings.crops, self._plan.device)
        return NumberReadings(found, strings.digits)

    def _read_corrected(
        self, readers: Sequence[Any], folds: NDArray[np.int64], share: float
    ) -> NumberReadings:
        """Read the numbers of each part by the reader that has not learned it, in their order."""
        parts = [
            self._read(self._blend(one, share), self._corrected.select(folds == n))
            for n, one in enumerate(readers)
        ]
        each = [iter(part.found) for part in parts]
        return NumberReadings([next(each[n]) for n in folds.tolist()], self._corrected.digits)

    def _choose_share(
        self, corrected: Sequence[NumberReadings], guard: Sequence[NumberReadings]
    ) -> int:
        """Choose the share, as an index, that forgets nothing and reads the corrections best."""
        allowed = guard[0].score(self._temperature).wrong
        scores = [one.score(self._temperature) for one in corrected]
        kept = [n for n, one in enumerate(guard) if one.score(self._temperature).wrong <= allowed]
        return min(kept, key=lambda n: (scores[n].wrong, scores[n].loss))


def _gather(digits: LabelledCrops) -> corpus.Corpus:
    return corpus.gather({"guard": digits})


def _average(readers: Sequence[Any], factors: Sequence[float]) -> Any:
    """Return a reader whose weights are the weighted mean of those of several."""
    out = network()
    each = zip(*(one.get_weights() for one in readers), strict=True)
    out.set_weights([sum(f * w for f, w in zip(factors, some, strict=True)) for some in each])
    return out
