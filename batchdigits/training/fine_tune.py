"""A bundle learns from what people said about an inbox, and is kept only if it is better for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits import predict
from batchdigits.errors import ModelError
from batchdigits.labelled import is_digit
from batchdigits.options import TrainOptions
from batchdigits.predict import backend
from batchdigits.training import bundle, course, digits, shipped
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
from batchdigits.training.comparison import Comparison, make_card
from batchdigits.training.corrected import CorrectedDigits, load_corrected_digits
from batchdigits.training.course import Tell
from batchdigits.training.guard import load_guard_digits
from batchdigits.training.network import KINDS, with_weights_of
from batchdigits.training.tuning import (
    DOUBTED_TIMES,
    EPOCHS,
    OWN_TIMES,
    TuningPlan,
    repeat_digits,
    tune_networks,
)

FOLD_COUNT = 3
"""Parts of the pages: each is read by networks that learned from the other two."""


@dataclass(frozen=True, slots=True)
class FineTuned:
    """What came of a fine-tuning.

    Attributes:
        comparison: how digits are read before and after.
        card: the bundle's card.
        model: the bundle's folder.
    """

    comparison: Comparison
    card: Mapping[str, Any]
    model: str

    def lines(self) -> list[str]:
        """Return what matters as lines, `name value`."""
        one = self.comparison
        return [
            "recipe default",
            f"corrected_digits {len(one.corrected_after.labels)}",
            f"corrected_wrong_before {one.corrected_before.count_wrong()}",
            f"corrected_wrong {one.corrected_after.count_wrong()}",
            f"guard_digits {len(one.guard_after.labels)}",
            f"guard_wrong_before {one.guard_before.count_wrong()}",
            f"guard_wrong {one.guard_after.count_wrong()}",
            f"model {self.model}",
        ]


def fine_tune_bundle(options: TrainOptions, tell: Tell, *, bar: bool = False) -> FineTuned:
    """Adapt a bundle to the hands of an inbox, as its corrections show them.

    The pages are parted into three, and each part is read by networks that learned from the other
    two: this decides whether the bundle is kept, and calibrates it. The bundle's own networks are
    the mean of these, averaged with those from before.

    Args:
        options: the bundle to start from, the corrections, and where to.
        tell: takes lines for people.
        bar: of no use here: a line is told for each part.

    Raises:
        UsageError: the corrections are not as expected, or too few.
        ModelError: the bundle to start from cannot be used, or the new one is no better.
        OutputError: the bundle cannot be written.
    """
    del bar
    assert options.from_corrections is not None
    bundle.check(options.out)
    card = load_start_card(options.fine_tune)
    corrected = load_corrected_digits(options.from_corrections, options.pictures)
    for remark in corrected.remarks:
        tell(remark)
    tell(f"{corrected.digit_count:,} verified digits on {corrected.page_count:,} files or pages")
    with backend.silence_stderr():
        keras, device = predict.start_keras(options.device)
    seed = shipped.SEED if options.seed is None else options.seed
    tuning = _Tuning(card, corrected, TuningPlan(options.epochs or EPOCHS, seed), tell)
    with course.faults(Path(options.out), device), keras.device(device):
        comparison, networks = tuning.run()
        comparison.check(card.name, card.temperature)
        made = make_card(card, comparison, corrected, bundle.name_of(options.out))
        _write_bundle(options, networks, made)
    return FineTuned(comparison, made, options.out)


def load_start_card(path: str | None) -> predict.Card:
    """Load the card of the bundle to start from; None for the one in the package.

    Raises:
        ModelError: it is no bundle with both networks.
    """
    card = predict.load_card(path)
    if card.careful is None or predict.NONE_CLASS not in card.classes:
        raise ModelError(
            f"--fine-tune '{path}': expected a bundle of the recipe default, which has a quick and "
            "a careful network: give default, or a bundle that was made by it"
        )
    return card


class _Tuning:
    """The trainings that make one bundle."""

    def __init__(
        self, card: predict.Card, corrected: CorrectedDigits, plan: TuningPlan, tell: Tell
    ) -> None:
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

    def run(self) -> tuple[Comparison, Networks]:
        """Train; return how digits are read, and the networks of the new bundle."""
        folds = assign_folds(self._corrected.pages, self._plan.seed)
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
        self._tell(f"learning from {name}")
        own = self._corrected.select(chosen)
        often = repeat_digits(own, np.full(len(own.labels), OWN_TIMES))
        return tune_networks(self._start, [often, self._replayed], self._plan)


def assign_folds(pages: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return the fold of each digit, shape (N,): those of a page are in the same one."""
    count = int(pages.max()) + 1
    order = np.random.default_rng(seed).permutation(count)
    return np.asarray((order % FOLD_COUNT)[pages], np.int64)


def _write_bundle(options: TrainOptions, networks: Networks, card: dict[str, Any]) -> None:
    """Write the networks and the card; the number reader is that of the bundle to start from."""
    with TemporaryDirectory() as folder:
        draft = shipped.write_uncalibrated(networks, Path(folder))
        reader = predict.resolve_reader_path(options.fine_tune)
        bundle.write(options.out, draft, card, reader=reader)
