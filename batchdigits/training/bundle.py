"""A model of the user's own gets its calibration, and becomes a bundle."""

import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits import calibrate, files, labelled, predict
from batchdigits.errors import ModelError, OutputError, UsageError
from batchdigits.extract.tasks import Task
from batchdigits.extract.worker import extract_chunk
from batchdigits.job import load_card
from batchdigits.labelled import LabelledCrops, join_labelled_crops
from batchdigits.normalize import VERSION, shares
from batchdigits.options import MAX_PIXELS, Invert, RunOptions
from batchdigits.predict.bundle import READER_FILE
from batchdigits.records import GreyImage, Source

LEAST = 200
"""Digits that a calibration takes at least: of fewer, one wrong value more or less decides."""
AT_ONCE = 8192
"""Pictures turned into floats at a time, 25 MiB."""
FILES = ({"model.keras", "card.json"}, {"model.keras", "card.json", READER_FILE})

Card = dict[str, Any]
Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Beside:
    """What calibrates a model beside its own readings: those of models made by the same recipe.

    Attributes:
        logits: float32, shape (N, classes), of sources that those models never saw.
        labels: int64, shape (N,), as in `labelled.LabelledCrops`.
        sources: int64, shape (N,), which source each comes from, counted from 0.
        words: what the card says of them.
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    sources: NDArray[np.int64]
    words: str


def calibrated(
    sets: Sequence[LabelledCrops],
    options: RunOptions,
    *,
    name: str,
    source: str,
    beside: Beside | None = None,
) -> Card:
    """Calibrate a model on labelled crops, which are read and judged as `run` does.

    Args:
        sets: crops that the model was not trained on, a set for each source. Those labelled as no
            digit, or as empty, teach a model that knows "not a digit" how sure it may be of that;
            with any model they count as wrong where they are read as a digit.
        options: the model, and how it is to read (`invert`, `device`).
        name: what the card calls the model.
        source: what the card calls the data.
        beside: what else the calibration is fitted on.

    Returns:
        What the bundle's `card.json` holds; of a bundle's own card what is about the weights.

    Raises:
        UsageError: too few digits, or one of the ten missing.
        ModelError: the model cannot be used, or reads hardly anything of the data.
    """
    card = load_card(options.model)
    data = join_labelled_crops(list(sets))
    enough(data, source)
    classifier = predict.load_classifier(card, device=options.device)
    logits, legible = crops_read(data.crops, classifier.logits, invert=options.invert)
    if legible.sum() < LEAST:
        raise UsageError(
            f"'{source}': expected {LEAST} crops or more in which a single thing stands out, "
            f"found {legible.sum()} of {len(legible)}: is --invert right?"
        )
    labels, words = data.labels[legible], f"{len(data.labels)} labelled crops of {source}"
    sources = np.repeat(np.arange(len(sets)), [len(one.labels) for one in sets])[legible]
    if beside is not None:
        logits = np.concatenate([logits, beside.logits])
        labels = np.concatenate([labels, beside.labels])
        sources = np.concatenate([sources, beside.sources + len(sets)])
        words = f"{words}; {beside.words}"
    fitted = calibrate.fit_calibration(logits, labels, sources=sources)
    unknown = [{"source": "not known: it came as a .keras file", "licence": "not known"}]
    return {
        **card.whole,
        "name": name,
        "classes": list(card.classes),
        "preprocessing": VERSION,
        "calibration": {
            "temperature": round(fitted.temperature, 4),
            "fitted on": words,
            "readings": [list(one) for one in fitted.readings],
        },
        "threshold": fitted.threshold,
        "measured": _measured(data, legible, fitted),
        "training": card.whole.get("training", unknown),
    }


def crops_read(
    crops: Sequence[GreyImage] | NDArray[np.uint8], network: Network, *, invert: Invert = "auto"
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Read crops as `run` does, as far as to logits.

    Args:
        crops: N crops, as in `labelled.LabelledCrops`.
        network: float32, shape (M, 28, 28, 1), in [0, 1] → float32, shape (M, classes).
        invert: as in `normalize`.

    Returns:
        The logits of the M crops that are legible, shape (M, classes); which ones that are: (N,).
    """
    tasks = [Task(Source("", ""), image=crop) for crop in crops]
    prepared = extract_chunk(tasks, as_="digit", invert=invert, max_pixels=MAX_PIXELS)
    legible = np.array([item.spots[0].status is None for item in prepared.items], bool)
    if not legible.any():
        return np.zeros((0, len(predict.DIGIT_CLASSES)), np.float32), legible
    pictures = prepared.pictures
    parts = (pictures[at : at + AT_ONCE] for at in range(0, len(pictures), AT_ONCE))
    return np.concatenate([network(shares(part)) for part in parts]), legible


def enough(data: LabelledCrops, source: str) -> None:
    """Say whether labelled crops are enough to calibrate on, as far as labels tell.

    Raises:
        UsageError: too few digits, or one of the ten missing.
    """
    counts = np.bincount(data.labels[data.labels >= 0], minlength=calibrate.DIGIT_COUNT)
    digits = counts[: calibrate.DIGIT_COUNT]
    if digits.sum() < LEAST:
        raise UsageError(
            f"'{source}': expected {LEAST} labelled digits or more to calibrate on, "
            f"got {digits.sum()}: add some"
        )
    if not digits.all():
        missing = ", ".join(str(digit) for digit in np.flatnonzero(digits == 0))
        raise UsageError(
            f"'{source}': expected digits of all ten kinds, got none labelled {missing}: add some"
        )


def _measured(
    data: LabelledCrops, legible: NDArray[np.bool_], fitted: calibrate.Calibration
) -> Card:
    """Say how the labelled crops are read, those among them that hold no legible digit too."""
    right, ok = np.zeros((2, len(legible)), bool)
    count = int(legible.sum())  # the first are the data's own
    right[legible], ok[legible] = fitted.right[:count], fitted.ok[:count]
    digit = labelled.is_digit(data.labels)
    out = {
        "how": "each half of the crops by temperature and threshold of the other half",
        "digits": int(digit.sum()),
        "right": round(float(right[digit].mean()), 4),
        "for review": round(float(1 - ok[digit].mean()), 4),
        "wrong among ok": int((ok & ~right & digit).sum()),
    }
    if not digit.all():
        out |= {"not digits": int((~digit).sum()), "not digits among ok": int((ok & ~digit).sum())}
    return out


def name_of(out: str) -> str:
    """Take a bundle's name from its folder."""
    return Path(os.path.realpath(out)).name


def check(out: str) -> None:
    """Say now, before anything is calibrated, whether a bundle can be written to `out`.

    Raises:
        OutputError: its folder is missing or not writable, or `out` is there and is neither an
            empty folder nor a bundle.
    """
    place = Path(os.path.realpath(out))
    if not place.parent.is_dir():
        raise OutputError(f"--out '{out}': '{place.parent}' is no folder: make it first")
    if place.exists() and not (place.is_dir() and set(os.listdir(place)) in (set(), *FILES)):
        raise OutputError(
            f"--out '{out}' is there and is no bundle (model.keras and card.json alone): "
            "choose another name, or remove it"
        )
    with files.wrap_os_errors(out):
        aside = files.choose_temp_path(place)
        aside.mkdir()
        aside.rmdir()


def write(out: str, model: str | None, card: Card, *, reader: Path | None = None) -> None:
    """Write a bundle: a model's weights byte for byte, and a card; the number reader's too.

    A bundle that is there is replaced when the new one is complete.

    Args:
        out: as in `check`.
        model: a bundle's folder, or a `.keras` file; None for the model in the package.
        card: what `card.json` holds; where it tells of numbers, there is a number reader.
        reader: that one's file; None for the one in the model's own bundle.

    Raises:
        OutputError: as in `check`, and when writing fails; a bundle that was there stays.
        ModelError: the model cannot be read any more.
    """
    check(out)
    contents = {"model.keras": _read(predict.resolve_keras_path(model))}
    if "numbers" in card:
        contents[READER_FILE] = _read(reader or predict.resolve_reader_path(model))
    contents["card.json"] = text(card).encode()
    place = Path(os.path.realpath(out))
    aside, old = files.choose_temp_path(place), files.choose_temp_path(place)
    with files.wrap_os_errors(out):
        try:
            aside.mkdir()
            for name, data in contents.items():
                with files.open_atomic_file(aside / name) as file:
                    file.write(data)
            if place.exists():
                place.rename(old)
            aside.rename(place)
        finally:
            if old.exists() and not place.exists():
                old.rename(place)
            for folder in (aside, old):
                shutil.rmtree(folder, ignore_errors=True)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ModelError(f"'{file}' cannot be read: {error.strerror}") from None


def text(card: Card) -> str:
    """Write a card as JSON that people can read: a reading takes one line."""
    whole = json.dumps(card, indent=2, ensure_ascii=False)
    return re.sub(r"\[\s+([\d.e-]+),\s+(\d+),\s+(\d+)\s+\]", r"[\1, \2, \3]", whole) + "\n"
