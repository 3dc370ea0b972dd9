"""Model bundles: where their files are, and the card, which is read without loading the model."""

import hashlib
import json
import os
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchdigits.errors import ModelError
from batchdigits.records import CalibrationBin

SHIPPED_BUNDLE = Path(__file__).parent.parent / "models" / "default"
"""The bundle inside the package."""
DIGIT_CLASSES = tuple("0123456789")
"""What the outputs of a model mean, in order; `NONE_CLASS` may follow, for what is not a digit."""
NONE_CLASS = "none"
CAREFUL_FILE, READER_FILE = "careful.keras", "number.keras"
"""The files of the careful network and of the number reader in a bundle's folder."""


@dataclass(frozen=True, slots=True)
class CarefulCard:
    """The part of a card about the careful network.

    Attributes:
        gate: the careful network reads what the quick one is less confident of.
        temperature: divides the careful network's logits before the softmax.
        field_odds: factor of the odds of the likeliest digit where a box of a field is looked at
            several times; see `Cascade.read_fields`.
        field_power: power that these odds are raised to before that.
    """

    gate: float
    temperature: float
    field_odds: float = 1.0
    field_power: float = 1.0


@dataclass(frozen=True, slots=True)
class NumberReaderCard:
    """The part of a card about the bundle's number reader.

    Attributes:
        preprocessing: version of `normalize.strips` that the reader was trained with.
        temperature: divides the logarithms of the candidates' probabilities.
        threshold: default confidence from which a number is `ok`.
        readings: right and wrong numbers of the calibration data by confidence.
    """

    preprocessing: int
    temperature: float
    threshold: float
    readings: tuple[CalibrationBin, ...] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """The card of a model, from a bundle's `card.json`; for a plain `.keras` file the defaults.

    Attributes:
        name: of the model.
        preprocessing: version of `normalize` that the model was trained with; None if unknown.
        temperature: divides the logits before the softmax; 1 if uncalibrated.
        threshold: default confidence from which a value is `ok`.
        calibrated: whether temperature and threshold were fitted on data.
        whole: everything that `card.json` holds, for people.
        classes: what the model's outputs mean: `DIGIT_CLASSES`, or those and `NONE_CLASS`.
        readings: right and wrong values of the calibration data by confidence; empty if the card
            has none.
        careful: the careful network's part; None if the bundle has none.
        numbers: the number reader's part; None if the bundle has no number reader.
        place: the bundle's folder, or the `.keras` file.
        network: the `.keras` file of single digits.
    """

    name: str
    preprocessing: int | None
    temperature: float
    threshold: float
    calibrated: bool
    whole: dict[str, Any]
    classes: tuple[str, ...] = DIGIT_CLASSES
    readings: tuple[CalibrationBin, ...] = ()
    careful: CarefulCard | None = None
    numbers: NumberReaderCard | None = None
    place: Path = field(default=SHIPPED_BUNDLE, compare=False)
    network: Path = field(default=SHIPPED_BUNDLE / "model.keras", compare=False)


UNCALIBRATED_THRESHOLD = 0.95


def resolve_model_path(path: str | None) -> Path:
    """Return the path of a model; None stands for the model in the package."""
    return SHIPPED_BUNDLE if path is None else Path(path)


def resolve_keras_path(path: str | None) -> Path:
    """Return the path of a model's `.keras` file, in a bundle's folder or by itself."""
    place = resolve_model_path(path)
    return place / "model.keras" if place.is_dir() else place


def fingerprint_model(path: str | None) -> str:
    """Compute the digest of a model's files (BLAKE2b, 160 bits), in hexadecimal.

    Raises:
        ModelError: a file cannot be read.
    """
    place = resolve_model_path(path)
    files = [place / name for name in ("card.json", "model.keras", READER_FILE)]
    if (careful := place / CAREFUL_FILE).exists():
        files.append(careful)
    digest = hashlib.blake2b(digest_size=20)
    try:
        for file in files if place.is_dir() else [place]:
            data = file.read_bytes() if file.exists() else b""
            digest.update(len(data).to_bytes(8, "big") + data)
    except OSError as error:
        raise ModelError(f"model '{place}' cannot be read: {error.strerror or error}") from None
    return digest.hexdigest()


def resolve_reader_path(path: str | None) -> Path:
    """Return the path of a bundle's number reader; the file need not exist."""
    return resolve_model_path(path) / READER_FILE


def load_card(path: str | None) -> Card:
    """Load the card of a model, without loading the model.

    Args:
        path: a bundle's folder, or a `.keras` file; None for the model in the package.

    Raises:
        ModelError: there is no model at the path, or its card is damaged.
    """
    place = resolve_model_path(path)
    if os.path.isdir(place):  # os.path accepts any name; Path raises for some
        return _load_bundle_card(place / "card.json")
    if not os.path.exists(place):
        raise ModelError(
            f"model '{place}' does not exist: expected a bundle's folder or a .keras file"
        )
    if not place.is_file() or not zipfile.is_zipfile(place):
        raise ModelError(
            f"'{place}' is not a model: expected a bundle's folder (model.keras and card.json) "
            "or a .keras file saved by Keras 3"
        )
    return Card(
        place.name, None, 1.0, UNCALIBRATED_THRESHOLD, False, {}, place=place, network=place
    )


def _load_bundle_card(place: Path) -> Card:
    from pydantic import ValidationError  # noqa: PLC0415  (slow to import)

    from batchdigits.predict.card_schema import CardSchema, describe_card_error  # noqa: PLC0415

    try:
        whole = json.loads(place.read_text("utf-8"))
        found = CardSchema.model_validate(whole)
    except FileNotFoundError:
        raise ModelError(
            f"'{place.parent}' is not a model bundle: expected card.json and model.keras in it"
        ) from None
    except ValidationError as error:
        raise ModelError(f"'{place}' cannot be used: {describe_card_error(error):.200}") from None
    except (OSError, ValueError, RecursionError) as error:
        what = f"{type(error).__name__}: {error}"
        raise ModelError(f"'{place}' cannot be used: {what:.200}") from None
    careful = None
    if found.careful is not None:
        careful = CarefulCard(**found.careful.model_dump())
    numbers = None
    if (reader := found.numbers) is not None:
        fitted = reader.calibration
        numbers = NumberReaderCard(
            reader.preprocessing, fitted.temperature, reader.threshold, fitted.readings
        )
    return Card(
        name=found.name,
        preprocessing=found.preprocessing,
        temperature=found.calibration.temperature,
        threshold=found.threshold,
        calibrated=True,
        whole=whole,
        classes=found.classes,
        readings=found.calibration.readings,
        careful=careful,
        numbers=numbers,
        place=place.parent,
        network=place.parent / "model.keras",
    )
