"""What the tables of a template have in common: strict keys, and boxes that are not empty."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic import Field as Setting

from batchdigits.templates.boxes import Box


class StrictModel(BaseModel):
    """A table without unknown keys, whose values have exactly their type: no "8" for 8."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _check_positive_area(box: Box) -> Box:
    if box[2] <= 0 or box[3] <= 0:
        raise ValueError(f"expected a width and a height over 0, got {box[2]:g} x {box[3]:g}")
    return box


def check_line_of_text(text: str) -> str:
    """Return a text as it is.

    Raises:
        ValueError: the text is empty, or more than one line.
    """
    if not text.isprintable() or not text.strip():
        raise ValueError("expected one line of text")
    return text


ALLOW_LIST = Setting(strict=False)  # TOML has lists, no tuples
NonEmptyBox = Annotated[Box, AfterValidator(_check_positive_area), ALLOW_LIST]
LineOfText = Annotated[str, Setting(max_length=80), AfterValidator(check_line_of_text)]
