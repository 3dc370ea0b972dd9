"""A model of the user's own gets its calibration, and becomes a bundle."""

import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

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
from batchdigits.predict.bundle import CAREFUL_FILE, READER_FILE
from batchdigits.records import GreyImage, Source

LEAST = 200
"""Digits that a calibration takes at least: of fewer, one wrong value more or less decides."""
AT_ONCE = 8192
"""Pictures turned into floats at a time, 25 MiB."""
FILES = {"model.keras", "card.json"}
MORE_FILES = {CAREFUL_FILE, READER_FILE}

Card = dict[str, Any]
Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def calibrated(
    sets: Sequence[LabelledCrops],
    options: RunOptions,
    *,
    name: str,
    source: str,
) -> Card:
    """Calibrate a model on labelled crops, which are read and judged as `run` does.

    Args:
        sets: crops that the model was not trained on, a set for each source. Those labelled as no
            digit, or as empty, teach a model that knows "not a digit" how sure it may be of that;
            with any model they count as wrong where they are read as a digit.
        options: the model, and how it is to read (`invert`, `device`).
        name: what the card calls the model.
        source: what the card calls the data.

    Returns:
        What the bundle's `card.json` holds; of a bundle's own card what is about the weights.

    Raises:
        UsageError: too few digits, or one of the ten missing.
        ModelError: the model cannot be used, or reads hardly anything of the data.
    """
    card = load_card(options.model)
    data = join_labelled_crops(list(sets))
    enough(data, source)
    quick = predict.load_network(card, card.network, device=options.device)
    read = crops_read(data.crops, quick.logits, invert=options.invert)
    legible = read.legible.copy()
    legible[legible] = ~read.doubtful
    if legible.sum() < LEAST:
        raise UsageError(
            f"'{source}': expected {LEAST} crops or more in which a single thing stands out, "
            f"found {legible.sum()} of {len(legible)}: is --invert right?"
        )
    logits, labels = read.logits[~read.doubtful], data.labels[legible]
    sources = np.repeat(np.arange(len(sets)), [len(one.labels) for one in sets])[legible]
    temperature = round(calibrate.fit_median_temperature(logits, labels, sources), 4)
    careful: Card = {}
    if card.careful is not None:
        known = Known(logits, labels, sources, read.pictures[~read.doubtful])
        careful["careful"] = _second_look(known, card, temperature, options.device)
    fitted = calibrate.fit_calibration(logits, labels, sources=sources, temperature=temperature)
    unknown = [{"source": "not known: it came as a .keras file", "licence": "not known"}]
    return {
        **card.whole,
        **careful,
        "name": name,
        "classes": list(card.classes),
        "preprocessing": VERSION,
        "calibration": {
            "temperature": temperature,
            "fitted on": f"{len(data.labels)} labelled crops of {source}",
            "readings": [list(one) for one in fitted.readings],
        },
        "threshold": fitted.threshold,
        "measured": _measured(data, legible, fitted),
        "training": card.whole.get("training", unknown),
    }


class Known(NamedTuple):
    """Legible crops of known labels, as the quick network reads them; all of length N.

    Attributes:
        logits: float32, shape (N, classes).
        labels: int64, shape (N,), as in `labelled.LabelledCrops`.
        sources: int64, shape (N,), which set each comes from, counted from 0.
        pictures: uint8, shape (N, 28, 28, 1), as normalised.
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    sources: NDArray[np.int64]
    pictures: NDArray[np.uint8]


def _second_look(known: Known, card: predict.Card, temperature: float, device: str) -> Card:
    """Fit the careful network's temperature on what the quick one doubts.

    The doubted rows of `known.logits` become the careful network's, scaled as a cascade scales. On
    fewer digits than `calibrate.MIN_SOURCE_DIGITS` none is fitted: the card's temperature stays.
    """
    assert card.careful is not None
    gate = card.careful.gate
    doubted = predict.find_doubted(known.logits, temperature, gate)
    place = card.place / predict.CAREFUL_FILE
    network = predict.load_network(
        card, place, device=device, chunk=predict.CAREFUL_BATCH_SIZE
    ).logits
    again = in_parts(known.pictures[doubted], network)
    labels, own = known.labels[doubted], card.careful.temperature
    if labelled.is_digit(labels).sum() >= calibrate.MIN_SOURCE_DIGITS:
        fitted = calibrate.fit_median_temperature(again, labels, known.sources[doubted])
        own = round(fitted, 4)
    known.logits[doubted] = again * np.float32(temperature / own)
    again_share = round(float(doubted.mean()), 4)
    odds = {"field_odds": card.careful.field_odds, "field_power": card.careful.field_power}
    return {"gate": gate, "temperature": own, **odds, "read again": again_share}


class CropsRead(NamedTuple):
    """How N crops are read; M of them are legible.

    Attributes:
        logits: float32, shape (M, classes).
        legible: bool, shape (N,).
        pictures: uint8, shape (M, 28, 28, 1), as normalised.
        doubtful: bool, shape (M,), for review whatever is read: there is more ink than one digit.
    """

    logits: NDArray[np.float32]
    legible: NDArray[np.bool_]
    pictures: NDArray[np.uint8]
    doubtful: NDArray[np.bool_]


def crops_read(
    crops: Sequence[GreyImage] | NDArray[np.uint8], network: Network, *, invert: Invert = "auto"
) -> CropsRead:
    """Read crops as `run` does, as far as to logits.

    Args:
        crops: N crops, as in `labelled.LabelledCrops`.
        network: float32, shape (M, 28, 28, 1), in [0, 1] → float32, shape (M, classes).
        invert: as in `normalize`.
    """
    tasks = [Task(Source("", ""), image=crop) for crop in crops]
    prepared = extract_chunk(tasks, as_="digit", invert=invert, max_pixels=MAX_PIXELS)
    items = prepared.items
    legible = np.array([item.spots[0].status is None for item in items], bool)
    doubtful = np.array([bool(item.detail) for item in items], bool)[legible]
    return CropsRead(in_parts(prepared.pictures, network), legible, prepared.pictures, doubtful)


def in_parts(pictures: NDArray[np.uint8], network: Network) -> NDArray[np.float32]:
    """Compute the logits of pictures, uint8, shape (N, 28, 28, 1), not all at once."""
    parts = [pictures[at : at + AT_ONCE] for at in range(0, max(len(pictures), 1), AT_ONCE)]
    return np.concatenate([network(shares(part)) for part in parts])


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
        "how": "each half of the crops by the threshold of the other half",
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
    if place.exists() and not (place.is_dir() and _is_empty_or_bundle(place)):
        raise OutputError(
            f"--out '{out}' is there and is no bundle (model.keras and card.json alone): "
            "choose another name, or remove it"
        )
    with files.wrap_os_errors(out):
        aside = files.choose_temp_path(place)
        aside.mkdir()
        aside.rmdir()


def _is_empty_or_bundle(place: Path) -> bool:
    names = set(os.listdir(place))
    return not names or FILES <= names <= FILES | MORE_FILES


def write(out: str, model: str | None, card: Card, *, reader: Path | None = None) -> None:
    """Write a bundle: a model's weights byte for byte, and a card; the other networks' too.

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
    if card.get("careful"):
        contents[CAREFUL_FILE] = _read(predict.resolve_model_path(model) / CAREFUL_FILE)
    if card.get("numbers"):
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
