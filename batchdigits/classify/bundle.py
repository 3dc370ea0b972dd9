"""What is known about a model without loading it: the card in its bundle."""

import json
import math
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchdigits.errors import ModelError

SHIPPED = Path(__file__).parent.parent / "models" / "default"
"""The bundle inside the package."""
CLASSES = tuple("0123456789")


@dataclass(frozen=True, slots=True)
class Card:
    """What a bundle's `card.json` says; for a plain `.keras` file what is assumed.

    Attributes:
        name: of the model.
        preprocessing: version of `normalize` it was trained with; None where unknown.
        temperature: what logits are divided by before the softmax; 1 where uncalibrated.
        threshold: default confidence from which a value is `ok`.
        calibrated: whether temperature and threshold were fitted on data.
        whole: the card as read, for people.
    """

    name: str
    preprocessing: int | None
    temperature: float
    threshold: float
    calibrated: bool
    whole: dict[str, Any]


UNCALIBRATED_THRESHOLD = 0.95


def place_of(path: str | None) -> Path:
    """Tell where a model lies: None is the one in the package."""
    return SHIPPED if path is None else Path(path)


def card(path: str | None) -> Card:
    """Read what is known about a model without loading it.

    Args:
        path: a bundle's folder, or a `.keras` file; None for the model in the package.

    Raises:
        ModelError: there is no such thing, or its card is damaged.
    """
    place = place_of(path)
    if os.path.isdir(place):  # os.path takes any name, where Path raises for some
        return _read_card(place / "card.json")
    if not os.path.exists(place):
        raise ModelError(
            f"model '{place}' does not exist: expected a bundle's folder or a .keras file"
        )
    if not place.is_file() or not zipfile.is_zipfile(place):
        raise ModelError(
            f"'{place}' is not a model: expected a bundle's folder (model.keras and card.json) "
            "or a .keras file saved by Keras 3"
        )
    return Card(place.name, None, 1.0, UNCALIBRATED_THRESHOLD, False, {})


def _read_card(place: Path) -> Card:
    try:
        whole = json.loads(place.read_text("utf-8"))
        found = Card(
            name=" ".join(str(whole["name"]).split()),
            preprocessing=int(whole["preprocessing"]),
            temperature=float(whole["calibration"]["temperature"]),
            threshold=float(whole["threshold"]),
            calibrated=True,
            whole=whole,
        )
        classes = [str(name) for name in whole["classes"]]
    except FileNotFoundError:
        raise ModelError(
            f"'{place.parent}' is not a model bundle: expected card.json and model.keras in it"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        what = f"{type(error).__name__}: {error}"
        raise ModelError(f"'{place}' cannot be used: {what:.200}") from None
    if classes != list(CLASSES):
        got = " ".join(", ".join(classes).split())
        raise ModelError(f"'{place}': expected the classes 0 to 9, got {got:.100}")
    if not (0 < found.temperature < math.inf and 0 <= found.threshold <= 1):
        raise ModelError(
            f"'{place}': expected a temperature above 0 and a threshold from 0 to 1, "
            f"got {found.temperature} and {found.threshold}"
        )
    return found
