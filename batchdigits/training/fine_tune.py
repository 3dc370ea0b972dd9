"""A bundle learns from what people said about an inbox, and is kept only if it is better for it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from batchdigits import predict
from batchdigits.errors import ModelError
from batchdigits.options import TrainOptions
from batchdigits.predict import backend
from batchdigits.predict.bundle import READER_FILE
from batchdigits.training import bundle, course, shipped
from batchdigits.training.averaging import Networks
from batchdigits.training.corrected import (
    MIN_DIGITS,
    MIN_NUMBERS,
    MIN_PAGES,
    CorrectedValues,
    load_corrected_values,
)
from batchdigits.training.course import Tell
from batchdigits.training.digit_tuning import DigitTuning
from batchdigits.training.number_tuning import NumberPlan, NumberTuning
from batchdigits.training.parting import part_pages
from batchdigits.training.tuned_card import Learned, make_card
from batchdigits.training.tuning import EPOCHS, TuningPlan
from batchdigits.training.verdict import BeforeAfter

WHATS = ("digits", "numbers")
"""What is tuned, each apart."""


@dataclass(frozen=True, slots=True)
class FineTuned:
    """What came of a fine-tuning.

    Attributes:
        learned: how values are read before and after.
        card: the bundle's card.
        model: the bundle's folder.
    """

    learned: Learned
    card: Mapping[str, Any]
    model: str

    def lines(self) -> list[str]:
        """Return what matters as lines, `name value`."""
        digits, numbers = self.learned.digits, self.learned.numbers
        out = ["recipe default"]
        if digits is not None:
            out += _list_scores(
                "digits", "", digits.list_scores(self.card["calibration"]["temperature"])
            )
        if numbers is not None:
            fitted = self.card["numbers"]["calibration"]
            out += _list_scores("numbers", "numbers_", numbers.list_scores(fitted["temperature"]))
        return [*out, f"model {self.model}"]


def _list_scores(what: str, prefix: str, scores: tuple[BeforeAfter, BeforeAfter]) -> Iterator[str]:
    for name, (before, after) in zip(("corrected", "guard"), scores, strict=True):
        yield f"{name}_{what} {after.total}"
        yield f"{name}_{prefix}wrong_before {before.wrong}"
        yield f"{name}_{prefix}wrong {after.wrong}"


class Tuned(NamedTuple):
    """What was tuned and is kept.

    Attributes:
        learned: how values are read before and after.
        networks: of digits; None where they stay as they were.
        reader: of numbers; None where it stays as it was.
    """

    learned: Learned
    networks: Networks | None
    reader: Any


def fine_tune_bundle(options: TrainOptions, tell: Tell, *, bar: bool = False) -> FineTuned:
    """Adapt a bundle to the hands of an inbox, as its corrections show them.

    The pages are parted into three, and each part is read by networks that learned from the other
    two: this decides what is kept, and calibrates it. The bundle's own networks are the mean of
    these, averaged with those from before. The digit networks and the number reader are tuned
    apart: where one of them has too few corrections, or is no better, it stays as it was.

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
    values = load_corrected_values(options.from_corrections, options.pictures)
    for remark in values.remarks:
        tell(remark)
    tell(
        f"{values.digits.digit_count:,} verified digits on {values.digits.page_count:,} files or "
        f"pages, and {len(values.numbers.digits):,} numbers on {values.numbers.page_count:,}"
    )
    with backend.silence_stderr():
        keras, device = predict.start_keras(options.device)
    with course.faults(Path(options.out), device), keras.device(device):
        tuned = _tune_parts(card, values, options, device, tell)
    made = make_card(card, tuned.learned, values, bundle.name_of(options.out))
    _write_bundle(options, tuned, made)
    return FineTuned(tuned.learned, made, options.out)


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


def _tune_parts(
    card: predict.Card, values: CorrectedValues, options: TrainOptions, device: str, tell: Tell
) -> Tuned:
    """Tune what has enough corrections, and keep what became better.

    Raises:
        ModelError: nothing did.
    """
    seed = shipped.SEED if options.seed is None else options.seed
    folds = part_pages(values.digits.pages, values.numbers.pages, seed)
    digits = numbers = networks = reader = None
    reasons = _list_lacks(card, values)
    faults = dict[str, str]()
    if "digits" not in reasons:
        plan = TuningPlan(options.epochs or EPOCHS, seed)
        digits, networks = DigitTuning(card, values.digits, plan, tell).run(folds)
        faults["digits"] = digits.describe_fault(card.name, card.temperature)
    if card.numbers is not None and "numbers" not in reasons:
        tuning = NumberTuning(card, values.numbers, NumberPlan(seed, device), tell)
        numbers, reader = tuning.run(folds)
        faults["numbers"] = numbers.describe_fault(card.name, card.numbers.temperature)
    reasons |= {what: why for what, why in faults.items() if why}
    if not set(WHATS) - set(reasons):
        why = "; ".join(filter(None, faults.values()))
        raise ModelError(f"not kept: {why}: keep that, or settle more values")
    for what, why in reasons.items():
        tell(f"{what} are read as before: {why}")
    if "digits" in reasons:
        digits = networks = None
    if "numbers" in reasons:
        numbers = reader = None
    return Tuned(Learned(digits, numbers, reasons), networks, reader)


def _list_lacks(card: predict.Card, values: CorrectedValues) -> dict[str, str]:
    """Return why something cannot be learned, by what it is."""
    digits, numbers = values.digits, values.numbers
    out = {}
    if not digits.is_enough:
        out["digits"] = _describe_lack(digits.digit_count, digits.page_count, MIN_DIGITS)
    if card.numbers is None:
        out["numbers"] = f"'{card.name}' has no number reader"
    elif not numbers.is_enough:
        out["numbers"] = _describe_lack(len(numbers.digits), numbers.page_count, MIN_NUMBERS)
    return out


def _describe_lack(count: int, pages: int, least: int) -> str:
    return f"{count} on {pages} files or pages are too few to learn from: {least} on {MIN_PAGES}"


def _write_bundle(options: TrainOptions, tuned: Tuned, card: dict[str, Any]) -> None:
    """Write what was tuned, the other networks as they were, and the card."""
    with TemporaryDirectory() as folder:
        draft, reader = options.fine_tune, predict.resolve_reader_path(options.fine_tune)
        if tuned.networks is not None:
            draft = shipped.write_uncalibrated(tuned.networks, Path(folder))
        if tuned.reader is not None:
            reader = Path(folder, READER_FILE)
            tuned.reader.save(reader)
        bundle.write(options.out, draft, card, reader=reader)
