"""The recipe `numbers`, from labelled sets to a bundle with a number reader."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchdigits import predict
from batchdigits.errors import ModelError
from batchdigits.labelled import parse_label_map
from batchdigits.options import TrainOptions, count_processors
from batchdigits.predict import backend
from batchdigits.predict.decoding import DecodedStrip
from batchdigits.training import bundle, course, digits, reading, shipped
from batchdigits.training.composed import compose_numbers
from batchdigits.training.corpus import MAKERS
from batchdigits.training.course import Tell
from batchdigits.training.material import (
    Material,
    Real,
    assign_folds,
    join_strings,
    select_strings,
)
from batchdigits.training.number_data import NumberData, gather_number_data, load_number_data
from batchdigits.training.numbers import Plan, fit
from batchdigits.training.reader import network

EPOCHS, FINER_EPOCHS = 30, 5
"""Rounds of composed strings, and of those with real ones among them."""
FINER_RATE, REAL_SHARE = 1e-3, 0.45
"""Of the latter: the highest learning rate, and the share of real strings."""
COMPOSED_STRINGS = 500
"""Strings that are composed to calibrate on, where there are no real ones."""
PARTS = 5
"""Parts of these; each is measured by the temperature of the others."""

Part = tuple[list[DecodedStrip | None], list[str]]
"""How a network read strings that it had not learned, and what they are."""


@dataclass(frozen=True, slots=True)
class NumberTraining:
    """What came of a training.

    Attributes:
        epochs: rounds of composed strings.
        card: the bundle's card.
        model: the bundle's folder.
    """

    epochs: int
    card: Mapping[str, Any]
    model: str

    def lines(self) -> list[str]:
        """Return what matters as lines, `name value`."""
        measured = self.card["numbers"]["measured"]
        return [
            "recipe numbers",
            f"epochs {self.epochs}",
            f"held_out_strings {measured['strings']}",
            f"held_out_accuracy {measured['right']:.4f}",
            f"model {self.model}",
        ]


def train_number_reader(options: TrainOptions, tell: Tell, *, bar: bool = False) -> NumberTraining:
    """Train the recipe as the options say, and write a bundle with the number reader.

    The bundle's digit model is that of `options.fine_tune`, or of the package. A number reader in
    `options.fine_tune` is what the training starts from.

    Args:
        options: on what, how long, and where to.
        tell: takes lines for people.
        bar: of no use here: a line is told for each round.

    Raises:
        UsageError: the data are not as expected; nothing is trained.
        ModelError: the bundle to start from cannot be used, or a checkpoint is of another training.
        OutputError: the bundle cannot be written.
    """
    del bar
    bundle.check(options.out)
    card = load_digit_card(options.fine_tune)
    sets, real = load_number_data(options.data, parse_label_map(options.labels))
    with backend.silence_stderr():
        predict.start_keras(options.device)
        start = None
        if options.fine_tune is not None and card.numbers is not None:
            start = load_start_reader(predict.resolve_reader_path(options.fine_tune))
    about = [{"source": name, "crops": len(one.labels)} for name, one in sets.items()]
    if real is not None:
        about.append({"source": "strings of --data", "strings": len(real.digits)})
    data = gather_number_data(sets or {"MNIST": digits.mnist()[0]}, real, about)
    return make_number_bundle(data, options, tell, start=start)


def load_digit_card(path: str | None) -> predict.Card:
    """Load the card of the bundle that a number reader joins; None for the one in the package.

    Raises:
        ModelError: it is no bundle.
    """
    card = predict.load_card(path)
    if not card.calibrated:
        raise ModelError(
            f"--fine-tune '{path}': expected a bundle's folder, got a .keras file: make a bundle "
            "of it by batchdigits calibrate"
        )
    return card


def load_start_reader(file: Path) -> Any:
    """Load a number reader to start from.

    Raises:
        ModelError: it cannot be loaded, or is of another recipe.
    """
    start = predict.load_keras_model(file)
    shapes, wanted = ([tuple(w.shape) for w in one.weights] for one in (start, network()))
    if shapes != wanted:
        raise ModelError(
            f"'{file}' is not of recipe numbers: expected weights {wanted}, got {shapes}"
        )
    return start


def make_number_bundle(
    data: NumberData,
    options: TrainOptions,
    tell: Tell,
    *,
    start: Any = None,
    keep: bool = False,
) -> NumberTraining:
    """Train the number reader, calibrate it, and write its bundle.

    A network learns from composed strings. With real strings, one goes on from there for each fold
    with those of the others, and calibrates; and one with all of them, which joins the bundle.
    Each is kept in the folder `OUT.training` until the bundle is written, so that an interrupted
    training goes on.

    Args:
        data: what to learn from.
        options: how long, where to, and whose digit model the reader joins (`fine_tune`); its
            `data` and `labels` are not looked at.
        tell: takes lines for people.
        start: a number reader to start from: with real strings it takes the place of the network
            that learns from composed ones.
        keep: whether the networks stay in `OUT.training`.

    Raises:
        As `train_number_reader`.
    """
    digit_card = load_digit_card(options.fine_tune)
    with backend.silence_stderr():
        keras, device = predict.start_keras(options.device)
    place = Path(os.path.realpath(options.out))
    work = place.with_name(f"{place.name}.training")
    epochs = options.epochs or EPOCHS
    seed = shipped.SEED if options.seed is None else options.seed
    plan = Plan(epochs, seed, work / "composed.keras", makers=min(MAKERS, count_processors()))
    with course.faults(work, device), shipped.note_kept_work(work):
        work.mkdir(exist_ok=True)
        with keras.device(device):
            training = _Training(data, plan, device, tell)
            reader, parts = training.run(start)
    said = reading.calibrated(parts)
    said["training"] = data.about
    same = place == Path(os.path.realpath(predict.resolve_model_path(options.fine_tune)))
    card = {**digit_card.whole, "name": digit_card.name if same else place.name, "numbers": said}
    bundle.write(options.out, options.fine_tune, card, reader=reader)
    if not keep:
        _remove_networks(work)
    return NumberTraining(epochs, card, options.out)


def _remove_networks(work: Path) -> None:
    for pattern in ("composed.keras", "fold-*.keras", "all.keras"):
        for file in work.glob(pattern):
            file.unlink()
    with suppress(OSError):  # a training by another recipe may have left something there
        work.rmdir()


class _Training:
    """The trainings that make one number reader; each leaves its network in the work folder."""

    def __init__(self, data: NumberData, plan: Plan, device: str, tell: Tell) -> None:
        self._data, self._plan, self._device, self._tell = data, plan, device, tell

    def run(self, start: Any) -> tuple[Path, list[Part]]:
        """Train; return the reader's file, and how strings that were not learned are read."""
        if self._data.real is not None:
            return self._run_folds(self._data.real, start or self._fit("composed", self._plan))
        plan = self._plan
        if start is not None:
            plan = plan.finer(plan.rounds, FINER_RATE, 0.0)
        reader = self._fit("composed", plan, start=start)
        return plan.checkpoint, self._read_composed(reader)

    def _run_folds(self, real: Real, start: Any) -> tuple[Path, list[Part]]:
        fold = assign_folds(len(real.digits))
        rounds = max(1, round(self._plan.rounds * FINER_EPOCHS / EPOCHS))
        plan = self._plan.finer(rounds, FINER_RATE, REAL_SHARE)
        held = self._data.held
        held_fold = assign_folds(len(held.digits) if held else 0)
        parts: list[Part] = []
        for n in range(int(fold.max()) + 1):
            some, unseen = select_strings(real, fold != n), select_strings(real, fold == n)
            if held is not None:
                unseen = join_strings(unseen, select_strings(held, held_fold == n))
            some = join_strings(some, self._data.always)
            reader = self._fit(f"fold-{n}", plan, real=some, start=start)
            read = reading.read(reader, unseen.crops, self._device)
            parts.append((read, list(unseen.digits)))
        self._fit("all", plan, real=join_strings(real, self._data.always), start=start)
        return self._find_file("all"), parts

    def _fit(self, name: str, plan: Plan, *, real: Real | None = None, start: Any = None) -> Any:
        def tell(number: int, loss: float, _: Any) -> None:
            self._tell(f"{name}: epoch {number} of {plan.rounds}: loss {loss:.4f}")

        plan = plan.keep_in(self._find_file(name))
        material = Material(self._data.learned, self._data.written, real)
        return fit(material, plan, start=start, tell=tell)

    def _find_file(self, name: str) -> Path:
        return self._plan.checkpoint.with_name(f"{name}.keras")

    def _read_composed(self, reader: Any) -> list[Part]:
        """Read strings that are composed of digits which were held out, in parts."""
        seed = (self._plan.seed, COMPOSED_STRINGS)
        crops, truth = compose_numbers(self._data.unseen, COMPOSED_STRINGS, seed)
        found = reading.read(reader, crops, self._device)
        return [(found[n::PARTS], truth[n::PARTS]) for n in range(PARTS)]
