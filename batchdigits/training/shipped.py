"""The default recipe from labelled sets to a calibrated bundle, as the package ships one."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from batchdigits import labelled, predict
from batchdigits.errors import UsageError
from batchdigits.labelled import (
    NO_DIGIT_LABEL,
    LabelledCrops,
    join_labelled_crops,
    load_labelled_crops,
    parse_label_map,
)
from batchdigits.normalize import VERSION
from batchdigits.options import RunOptions, TrainOptions
from batchdigits.predict import backend
from batchdigits.training import bundle, course, default, digits, show
from batchdigits.training.alter import again, scanned
from batchdigits.training.corpus import cropped
from batchdigits.training.course import Tell
from batchdigits.training.default import DefaultPlan, fit, held_out
from batchdigits.training.diary import EpochDiary
from batchdigits.training.network import KINDS, Kind, with_weights_of
from batchdigits.training.pen import LabelledSet, draw_set

SEED = 1
"""Of a training without `--seed`: it is always repeatable, so that it can be resumed."""
HELD = f"the last of each class (one in {default.ONE_IN}), held out, as they are and degraded"
STRANGE = ", and sources and writers that nothing is learned from"
"""What the card calls the data that the bundle is calibrated on."""


@dataclass(frozen=True, slots=True)
class Shipped:
    """What came of a training.

    Attributes:
        epochs: how often the quick and the careful network saw all digits.
        card: the bundle's card.
        model: the bundle's folder.
    """

    epochs: tuple[int, ...]
    card: Mapping[str, Any]
    model: str

    def lines(self) -> list[str]:
        """Give what matters as lines, `name value`."""
        measured = self.card["measured"]
        return [
            "recipe default",
            f"epochs {' '.join(map(str, self.epochs))}",
            f"held_out_digits {measured['digits']}",
            f"held_out_accuracy {measured['right']:.4f}",
            f"model {self.model}",
        ]


def run(options: TrainOptions, tell: Tell, *, bar: bool = False) -> Shipped:
    """Train the default recipe as the options say, calibrate it, and write its bundle.

    Args:
        options: on what, how long, and where to.
        tell: takes lines for people.
        bar: of no use here: a line an epoch is told.

    Raises:
        UsageError: the data are not as expected, or too few to hold a part out; nothing is trained.
        ModelError: the model to start from, or the checkpoint, is of another training.
        OutputError: the bundle cannot be written.
    """
    del bar
    bundle.check(options.out)
    names = parse_label_map(options.labels)
    sets = {place: load_labelled_crops(place, part="train", names=names) for place in options.data}
    with backend.silence_stderr():
        predict.start_keras(options.device)
    return make(sets or {"MNIST": digits.mnist()[0]}, options, tell)


def make(  # noqa: PLR0913 - each is named
    sets: Mapping[str, LabelledSet],
    options: TrainOptions,
    tell: Tell,
    *,
    about: Mapping[str, tuple[str, str]] | None = None,
    strangers: Sequence[LabelledCrops] = (),
    teachers: Sequence[Any] = (),
) -> Shipped:
    """Train the default recipe's two networks on sets, calibrate them, and write their bundle.

    Of each set what `held_out` leaves is learned; the rest, as it is and degraded, serves to
    calibrate and to measure. A folder `OUT.training` beside the bundle holds samples.png and, of
    each network, its history and curves and, until the bundle is written, the checkpoint from
    which an interrupted training goes on.

    Args:
        sets: what to learn from, each by its name.
        options: how long, and where to; its `data` and `labels` are not looked at.
        tell: takes lines for people.
        about: of each set, for the card, its source and its licence.
        strangers: sets that nothing is learned from, which calibrate too.
        teachers: careful networks as `default.fit` returns them, which the new one learns from.

    Raises:
        As `run`.
    """
    bundle.check(options.out)
    _check(sets)
    with backend.silence_stderr():
        keras, device = predict.start_keras(options.device)
        starts = {kind: _load_start(options.fine_tune, kind) for kind in KINDS}
    if options.fine_tune is not None and starts["careful"] is None:
        tell(f"'{options.fine_tune}' has no careful network: it is trained from the beginning")
    seed = SEED if options.seed is None else options.seed
    parted = {name: held_out(found) for name, found in sets.items()}
    learned = {name: part for name, (part, _) in parted.items()}
    unseen = [draw_set(part) for _, part in parted.values()]
    held = [*with_degraded(unseen, seed), *strangers]
    bundle.enough(join_labelled_crops(held), HELD)  # now, and not when hours have passed
    place = Path(os.path.realpath(options.out))
    work = place.with_name(f"{place.name}.training")
    plans = [
        DefaultPlan(
            kind, options.epochs or default.EPOCHS[kind], seed, work / f"{kind}.checkpoint.keras"
        )
        for kind in KINDS
    ]
    with course.faults(work, device), note_kept_work(work), keras.device(device):
        work.mkdir(exist_ok=True)
        show.samples(work / "samples.png", digits.normalized(_some(learned)))
        planned = [(plan, starts[plan.kind]) for plan in plans]
        models = _train_networks(learned, planned, join_labelled_crops(unseen), tell, teachers)
        draft = write_uncalibrated(models, work)
    card = bundle.calibrated(
        held,
        RunOptions.from_settings({"model": draft, "device": options.device}),
        name=place.name,
        source=f"{HELD}{STRANGE if strangers else ''}",
    )
    known = about or {}
    card["training"] = [
        dict(zip(("source", "licence"), known.get(name, (name, "not known")), strict=True))
        | {"crops": len(found.labels), "epochs": [plan.count for plan in plans], "seed": seed}
        for name, found in learned.items()
    ]
    bundle.write(options.out, draft, card)
    for plan in plans:
        plan.checkpoint.unlink(missing_ok=True)
    shutil.rmtree(draft)
    return Shipped(tuple(plan.count for plan in plans), card, options.out)


def _train_networks(
    learned: Mapping[str, LabelledSet],
    planned: Sequence[tuple[DefaultPlan, Any]],
    unseen: LabelledCrops,
    tell: Tell,
    teachers: Sequence[Any],
) -> dict[Kind, Any]:
    """Train the careful network, and the quick one, which learns from it.

    Args:
        learned: what to learn from, each by its name.
        planned: how each network is trained, and the network that it starts from, or None.
        unseen: shows how far each epoch has come.
        tell: takes lines for people.
        teachers: of the careful network.
    """
    models: dict[Kind, Any] = {}
    for plan, start in sorted(planned, key=lambda one: one[0].kind != "careful"):
        diary = EpochDiary(plan.checkpoint.parent, plan, unseen, tell)
        models[plan.kind] = fit(
            learned,
            plan,
            tell=diary.note_epoch,
            start=start,
            teachers=[models["careful"]] if plan.kind == "quick" else teachers,
        )
        diary.draw_curves()
    return models


def _load_start(path: str | None, kind: Kind) -> Any:
    """Load the network of a kind that a training starts from; None to start from chance.

    Raises:
        ModelError: it cannot be loaded, or is of another recipe: this is known before any training.
    """
    if path is None:
        return None
    if kind == "quick":
        return with_weights_of(course.to_start_from(path), kind)
    careful = Path(path) / predict.CAREFUL_FILE
    return with_weights_of(predict.load_keras_model(careful), kind) if careful.is_file() else None


def _check(sets: Mapping[str, LabelledSet]) -> None:
    known = set(np.concatenate([[], *(found.labels for found in sets.values())]).tolist())
    if sets and (missing := sorted(set(range(10)) - known)):
        raise UsageError(
            f"expected all ten digits to learn from, got none of {', '.join(map(str, missing))}: "
            "add a set that has them by another --data"
        )


@contextmanager
def note_kept_work(work: Path) -> Iterator[None]:
    """Add to an interruption of the block whether a checkpoint is kept in the folder `work`."""
    try:
        yield
    except Exception:
        raise
    except BaseException as stopped:
        stopped.add_note(
            f"'{work}' keeps what was learned: the same command goes on from there"
            if any(work.glob("*.keras"))
            else "no epoch was finished, no model is kept"
        )
        raise


def _some(sets: Mapping[str, LabelledSet]) -> LabelledCrops:
    """Take the first few of each digit of each set."""
    few = -(-6 // len(sets))
    return join_labelled_crops(
        [
            draw_set(
                found.select(
                    np.concatenate([np.flatnonzero(found.labels == n)[:few] for n in range(10)])
                )
            )
            for found in sets.values()
        ]
    )


def write_uncalibrated(models: Mapping[Kind, Any], work: Path) -> str:
    """Write networks as a bundle that is not calibrated yet; return its folder, in `work`."""
    draft = work / "uncalibrated"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    for kind, name in (("quick", "model.keras"), ("careful", predict.CAREFUL_FILE)):
        models[kind].save(draft / name)  # type: ignore[index]
    card = {
        "name": "uncalibrated",
        "classes": [*predict.DIGIT_CLASSES, predict.NONE_CLASS],
        "preprocessing": VERSION,
        "calibration": {"temperature": 1.0},
        "threshold": 1.0,
        "careful": {"gate": default.GATE, "temperature": 1.0},
    }
    (draft / "card.json").write_text(bundle.text(card), "utf-8")
    return str(draft)


def with_degraded(unseen: Sequence[LabelledCrops], seed: int) -> list[LabelledCrops]:
    """Add to what was held out of each set its digits degraded: what a bundle is calibrated on."""
    return [join_labelled_crops([one, degraded(one, seed)]) for one in unseen]


def degraded(found: LabelledCrops, seed: int) -> LabelledCrops:
    """Write digits once more by the same hand, and scan them: coarse, one-bit, faint, as JPEG."""
    random = np.random.default_rng((seed, NO_DIGIT_LABEL))
    digit = np.flatnonzero(labelled.is_digit(found.labels))
    inks = cropped([found.crops[n] for n in digit.tolist()])
    crops = [scanned(again(ink, random), random) for ink in inks]
    return LabelledCrops(
        crops, found.labels[digit], [f"{found.names[n]}, degraded" for n in digit.tolist()]
    )
