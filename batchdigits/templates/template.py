"""A template: where each field is on the paper, in millimetres, and what may be written in it."""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic import Field as Setting

from batchdigits.errors import TemplateError
from batchdigits.templates import patterns, slips
from batchdigits.templates.boxes import MAX_OVERLAP_MM, Box, has_overlap

MARKER_SIDE_MM, MARKER_MARGIN_MM = 8.0, 8.0
"""Side of a corner marker, and its distance from the page's edges, mm, where a template lists no
markers."""
ARUCO_DICTIONARIES = ("4x4", "5x5", "6x6", "7x7")
"""Squares of a marker, across and down, without its border."""
MIN_PAGE_SIDE_MM, MAX_PAGE_SIDE_MM, MIN_BOX_SIDE_MM = 20.0, 2000.0, 1.0
"""Limits of a page's sides, and the smallest side of a box, mm: nobody writes in smaller boxes."""

Anchor = Literal["markers", "image", "page"]
CheckDigitKind = Literal["luhn", "mod11", "mod97"]


class _StrictModel(BaseModel):
    """A table without unknown keys, whose values have exactly their type: no "8" for 8."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _check_positive_area(box: Box) -> Box:
    if box[2] <= 0 or box[3] <= 0:
        raise ValueError(f"expected a width and a height over 0, got {box[2]:g} x {box[3]:g}")
    return box


_ALLOW_LIST = Setting(strict=False)  # TOML has lists, no tuples
NonEmptyBox = Annotated[Box, AfterValidator(_check_positive_area), _ALLOW_LIST]


class Marker(_StrictModel):
    """One ArUco marker.

    Attributes:
        id: its number in the dictionary.
        box: its black square, mm.
    """

    id: int = Setting(ge=0, le=999)
    box: NonEmptyBox


class Form(_StrictModel):
    """The page.

    Attributes:
        name: the form's name.
        size: width and height, mm.
        anchor: what shows where the page lies in a scan: markers, the features of a reference
            picture, or the page's edges and printed lines.
        reference: a picture of the blank form; a path relative to the template's folder.
        dictionary: the markers' squares: 4x4, 5x5, 6x6 or 7x7.
        markers: ids and boxes. Empty for four markers in the corners, with the ids 0 to 3 clockwise
            from the top left.
    """

    name: str = Setting(max_length=80)
    size: Annotated[tuple[float, float], _ALLOW_LIST]
    anchor: Anchor
    reference: str | None = None
    dictionary: Literal["4x4", "5x5", "6x6", "7x7"] = "4x4"
    markers: Annotated[tuple[Marker, ...], _ALLOW_LIST] = ()

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not name.isprintable() or not name.strip():
            raise ValueError("expected one line of text")
        return name

    @field_validator("size")
    @classmethod
    def _check_size(cls, size: tuple[float, float]) -> tuple[float, float]:
        if not all(MIN_PAGE_SIDE_MM <= side <= MAX_PAGE_SIDE_MM for side in size):
            sides = (
                f"{MIN_PAGE_SIDE_MM:g} to {MAX_PAGE_SIDE_MM:g} mm, got {size[0]:g} x {size[1]:g}"
            )
            raise ValueError(f"expected sides of {sides}")
        return size

    @model_validator(mode="after")
    def _check_anchor(self) -> Self:
        if self.anchor == "image" and self.reference is None:
            raise ValueError('anchor = "image" needs a reference: the picture of a blank form')
        if self.markers and self.anchor != "markers":
            raise ValueError(f'markers are for anchor = "markers", not "{self.anchor}"')
        ids = [marker.id for marker in self.markers]
        if duplicates := sorted({one for one in ids if ids.count(one) > 1}):
            raise ValueError(f"two markers have the id {duplicates[0]}")
        if 0 < len(ids) < 3:
            raise ValueError(f"expected three markers or more, got {len(ids)}")
        return self

    @property
    def effective_markers(self) -> tuple[Marker, ...]:
        """Return the template's own markers, or the four in the corners."""
        if self.markers or self.anchor != "markers":
            return self.markers
        left, top = MARKER_MARGIN_MM, MARKER_MARGIN_MM
        right, bottom = (side - MARKER_MARGIN_MM - MARKER_SIDE_MM for side in self.size)
        places = ((left, top), (right, top), (right, bottom), (left, bottom))
        return tuple(
            Marker(id=number, box=(x, y, MARKER_SIDE_MM, MARKER_SIDE_MM))
            for number, (x, y) in enumerate(places)
        )


class Field(_StrictModel):
    """One field.

    Attributes:
        name: lower case letters, digits and `_`, a letter first.
        box: the whole field, mm.
        cells: how many boxes in a row; None for a number written freely.
        gap: the distance between two boxes, mm.
        pattern: a regular expression that matches the whole value.
        min: the least value.
        max: the greatest value.
        check: the kind of check digit.
        decimals: how many of the digits stand after the decimal point.
        optional: whether the field may be blank.
    """

    name: str = Setting(max_length=64)
    box: NonEmptyBox
    cells: int | None = Setting(None, ge=1, le=64)
    gap: float = Setting(0, ge=0)
    pattern: str | None = None
    min: float | None = None
    max: float | None = None
    check: CheckDigitKind | None = None
    decimals: int = Setting(0, ge=0, le=9)
    optional: bool = False

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise ValueError("expected lower case letters, digits and _, a letter first")
        return name

    @model_validator(mode="after")
    def _check_settings(self) -> Self:
        if self.cells is None and self.gap:
            raise ValueError("gap is for boxes in a row: give cells, or leave gap out")
        if self.cells is not None and self.box[2] <= self.gap * (self.cells - 1):
            raise ValueError(
                f"{self.cells} boxes with {self.gap:g} mm between them need more than "
                f"{self.gap * (self.cells - 1):g} mm, the box is {self.box[2]:g} mm wide"
            )
        wide, high = self.boxes()[0][2:]
        if min(wide, high) < MIN_BOX_SIDE_MM:
            raise ValueError(
                f"expected boxes of {MIN_BOX_SIDE_MM:g} mm or more, got {wide:.2f} x {high:.2f}"
            )
        if self.pattern is not None:
            try:
                patterns.check_pattern(self.pattern, self.cells)
            except ValueError as error:
                raise ValueError(f"pattern: {error}") from None
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is over max {self.max:g}")
        if self.cells is not None and self.decimals >= self.cells:
            raise ValueError(f"{self.decimals} decimals leave none of {self.cells} boxes before")
        max_value = (10 ** (self.cells or patterns.MAX_VALUE_DIGITS) - 1) / 10**self.decimals
        if self.min is not None and self.min > max_value:
            raise ValueError(
                f"min {self.min:g} is over {max_value:g}, the most that fits the boxes"
            )
        if self.max is not None and self.max < 0:
            raise ValueError(f"max {self.max:g} is under 0, the least that can be written")
        return self

    @property
    def has_rule(self) -> bool:
        """Return whether the field limits its values."""
        return any(one is not None for one in (self.pattern, self.min, self.max, self.check))

    def boxes(self) -> list[Box]:
        """Return the box of each cell, from left to right; the field's box if it has no cells."""
        if self.cells is None:
            return [self.box]
        x, y, width, height = self.box
        wide = (width - self.gap * (self.cells - 1)) / self.cells
        return [(x + n * (wide + self.gap), y, wide, height) for n in range(self.cells)]


class Template(_StrictModel):
    """A form's template.

    Attributes:
        form: the page.
        fields: in the order of the table's rows.
        place: the template's own path, which its reference is relative to; empty for none.
    """

    form: Form
    fields: tuple[Field, ...] = Setting(alias="field", min_length=1, strict=False)
    place: str = ""

    @field_validator("fields")
    @classmethod
    def _check_field_names(cls, fields: tuple[Field, ...]) -> tuple[Field, ...]:
        names = [field.name for field in fields]
        if duplicates := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"two fields are named '{duplicates[0]}'")
        return fields

    @model_validator(mode="after")
    def _check_boxes(self) -> Self:
        width, height = self.form.size
        places = [(f"marker {one.id}", one.box) for one in self.form.effective_markers]
        places += [(f"field '{one.name}'", one.box) for one in self.fields]
        for words, box in places:
            over = {
                "left": -box[0],
                "top": -box[1],
                "right": box[0] + box[2] - width,
                "bottom": box[1] + box[3] - height,
            }
            for side, excess in over.items():
                if excess > MAX_OVERLAP_MM:
                    raise ValueError(
                        f"{words} goes {excess:g} mm over the {side} edge of a page of "
                        f"{width:g} x {height:g} mm"
                    )
        for n, (words, box) in enumerate(places):
            for other, other_box in places[:n]:
                if has_overlap(box, other_box):
                    raise ValueError(f"{words} overlaps {other}")
        return self


def load_template(path: str) -> Template:
    """Load a template from a file.

    Raises:
        TemplateError: the file cannot be read, is not TOML, or is not a sound template.
    """
    name, file = f"template '{path}'", Path(path)
    try:
        if file.exists() and not (file.is_file() or file.is_dir()):  # a pipe would hang the run
            raise TemplateError(f"{name} is no regular file: expected one of TOML")
        text = file.read_text("utf-8-sig")
    except OSError as error:
        raise TemplateError(f"{name} cannot be read: {error.strerror}") from None
    except UnicodeError:
        raise TemplateError(f"{name}: expected text in UTF-8: save it so") from None
    except ValueError:
        raise TemplateError(f"{name}: not a path: it holds a zero byte") from None
    return parse_template(text, path)


def parse_template(text: str, path: str) -> Template:
    """Parse a template's text; `path` is where the file is.

    Raises:
        TemplateError: as for `load_template`.
    """
    name = f"template '{path}'"
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is no TOMLDecodeError
        raise TemplateError(f"{name} is no TOML: {error}") from None
    if "place" in tables:
        raise TemplateError(f"{name}: unknown key 'place'; expected one of form, field")
    try:
        return Template(**tables, place=path)
    except ValidationError as error:
        models: dict[str, type[BaseModel]] = {"form": Form, "field": Field, "markers": Marker}
        raise TemplateError(
            f"{name}: {slips.describe_first_error(error, tables, {'': Template, **models})}"
        ) from None
