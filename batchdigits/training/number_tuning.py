"""The number reader learns from the numbers of an inbox, part by part of its pages.

Numbers composed of digits of MNIST are mixed among those of the inbox, so that these are not all
that counts. The readers of all parts are averaged, and the mean with the one from before; see
`averaging`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits import predict
from batchdigits.labelled import LabelledCrops
from batchdigits.options import count_processors
from batchdigits.predict import backend
from batchdigits.predict.bundle import READER_FILE
from batchdigits.training import corpus, reading
from batchdigits.training.composed import compose_numbers
from batchdigits.training.corrected import CorrectedNumbers
from batchdigits.training.course import Tell
from batchdigits.training.guard import load_guard_digits
from batchdigits.training.material import Material, Real
from batchdigits.training.number_bundle import load_start_reader
from batchdigits.training.number_comparison import NumberComparison, NumberReadings
from batchdigits.training.numbers import DROPOUT, Plan, compile_network, learn_rounds
from batchdigits.training.parting import FOLD_COUNT
from batchdigits.training.reader import network

Weights = list[Any]
"""Arrays, as a network's `get_weights` gives them."""

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
        self._start: Weights = load_start_reader(card.place / READER_FILE).get_weights()
        guard = load_guard_digits()
        self._replayed = _gather(guard.replayed)
        self._guard = Real(*compose_numbers(_gather(guard.held), GUARD_NUMBERS, 0))
        # one network reads with all weights, and one learns: each width of strips is traced once
        self._reader = network()
        self._learner = network(backend.choose_training_dtype(), DROPOUT[1])
        compile_network(self._learner, self._training)

    @property
    def _training(self) -> Plan:
        return Plan(
            ROUNDS,
            self._plan.seed,
            Path(),
            rate=RATE,
            real=REAL_SHARE,
            makers=min(corpus.MAKERS, count_processors()),
            strings=STRINGS,
        )

    def run(self, folds_by_page: NDArray[np.int64]) -> tuple[NumberComparison, Any]:
        """Train; return how numbers are read, and the reader of the new bundle.

        Args:
            folds_by_page: as from `parting.part_pages`.
        """
        folds = folds_by_page[self._corrected.pages]
        parts = [self._tune(folds, n) for n in range(FOLD_COUNT)]
        tuned = _average(parts, [1 / FOLD_COUNT] * FOLD_COUNT)
        corrected = [self._read_corrected(parts, folds, share) for share in SHARES]
        guard = [self._read(tuned, share, self._guard) for share in SHARES]
        at = self._choose_share(corrected, guard)
        comparison = NumberComparison(corrected[0], corrected[at], guard[0], guard[at], SHARES[at])
        self._reader.set_weights(self._blend(tuned, SHARES[at]))
        return comparison, self._reader

    def _tune(self, folds: NDArray[np.int64], part: int) -> Weights:
        """Let a reader learn from all parts of the pages but one."""
        import keras  # noqa: PLC0415

        self._tell(f"numbers: learning from part {part + 1} of {FOLD_COUNT}")
        keras.utils.set_random_seed(self._plan.seed)
        self._learner.set_weights(self._start)
        for one in self._learner.optimizer.variables:
            one.assign(keras.ops.zeros_like(one))
        material = Material(self._replayed, (), self._corrected.select(folds != part))
        for _ in learn_rounds(self._learner, material, self._training, 0, warm=False):
            pass
        weights: Weights = self._learner.get_weights()
        return weights

    def _blend(self, tuned: Weights, share: float) -> Weights:
        return _average([self._start, tuned], [1 - share, share])

    def _read(self, tuned: Weights, share: float, strings: Real) -> NumberReadings:
        """Read strings by the reader that has so much of the tuned weights."""
        self._reader.set_weights(self._blend(tuned, share))
        found = reading.read(self._reader, strings.crops, self._plan.device)
        return NumberReadings(found, strings.digits)

    def _read_corrected(
        self, tuned: Sequence[Weights], folds: NDArray[np.int64], share: float
    ) -> NumberReadings:
        """Read the numbers of each part by the reader that has not learned it, in their order."""
        parts = [
            self._read(one, share, self._corrected.select(folds == n))
            for n, one in enumerate(tuned)
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


def _average(many: Sequence[Weights], factors: Sequence[float]) -> Weights:
    """Return the weighted mean of the weights of several readers."""
    each = zip(*many, strict=True)
    return [sum(f * w for f, w in zip(factors, some, strict=True)) for some in each]
