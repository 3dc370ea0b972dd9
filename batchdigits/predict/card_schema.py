"""What a bundle's `card.json` must hold, checked by pydantic.

Keys that no class here lists are for people and may hold anything.
"""

import math
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    model_validator,
)

from batchdigits.predict.bundle import DIGIT_CLASSES, NONE_CLASS
from batchdigits.records import CalibrationBin


def _check_length(listed: Any) -> Any:
    if not (isinstance(listed, list) and len(listed) == 3):
        raise ValueError(f"expected [confidence, right, wrong], got {listed!r}")
    return listed


def _check_bin(reading: CalibrationBin) -> CalibrationBin:
    if not (0 <= reading.confidence <= 1 and reading.right >= 0 and reading.wrong >= 0):
        raise ValueError(
            f"expected a confidence from 0 to 1 and two counts from 0, got {list(reading)}"
        )
    return reading


def _check_classes(classes: tuple[str, ...]) -> tuple[str, ...]:
    if classes not in (DIGIT_CLASSES, (*DIGIT_CLASSES, NONE_CLASS)):
        raise ValueError(
            f"expected the classes 0 to 9, with '{NONE_CLASS}' after them or without, "
            f"got {', '.join(classes):.100}"
        )
    return classes


Reading = Annotated[CalibrationBin, BeforeValidator(_check_length), AfterValidator(_check_bin)]


class CalibrationSchema(BaseModel):
    """What is fitted on data."""

    temperature: float
    readings: tuple[Reading, ...] = ()


class NetworkSchema(BaseModel):
    """What a card holds about one network."""

    preprocessing: int
    calibration: CalibrationSchema
    threshold: float

    @model_validator(mode="after")
    def _check_ranges(self) -> Self:
        temperature, threshold = self.calibration.temperature, self.threshold
        if not (0 < temperature < math.inf and 0 <= threshold <= 1):
            raise ValueError(
                "expected a temperature above 0 and a threshold from 0 to 1, "
                f"got {temperature} and {threshold}"
            )
        return self


class CarefulSchema(BaseModel):
    """What a card holds about the careful network."""

    gate: float
    temperature: float
    field_odds: float = 1.0
    field_power: float = 1.0

    @model_validator(mode="after")
    def _check_ranges(self) -> Self:
        if not (0 < self.temperature < math.inf and 0 <= self.gate <= 1):
            raise ValueError(
                "expected a temperature above 0 and a gate from 0 to 1, "
                f"got {self.temperature} and {self.gate}"
            )
        for name in ("field_power", "field_odds"):
            if not 0 < (value := getattr(self, name)) < math.inf:
                raise ValueError(f"expected {name} above 0, got {value}")
        return self


class CardSchema(NetworkSchema):
    """The whole card."""

    model_config = ConfigDict(coerce_numbers_to_str=True)  # classes may be numbers

    name: Annotated[str, BeforeValidator(lambda name: " ".join(str(name).split()))]
    classes: Annotated[tuple[str, ...], AfterValidator(_check_classes)]
    careful: CarefulSchema | None = None
    numbers: NetworkSchema | None = None


_MESSAGES_BY_TYPE = {
    "model_type": "expected an object with keys",
    "tuple_type": "expected a list",
}


def describe_card_error(error: ValidationError) -> str:
    """Describe the first mistake in a card on one line: the key, what was expected, what came."""
    first = error.errors()[0]
    kind, where = first["type"], [str(key) for key in first["loc"]]
    if kind == "missing":
        text = f"expected '{where.pop()}', which is missing"
    elif kind == "value_error":
        text = first["msg"].removeprefix("Value error, ")
    else:
        text = _MESSAGES_BY_TYPE.get(kind) or first["msg"].replace("Input should be", "expected")
        text += f", got {first['input']!r}"
    line = f"{'.'.join(where)}: {text}" if where else text
    return " ".join(line.split())
