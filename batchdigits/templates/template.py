"""A template: where each field is on the paper, in millimetres, and what may be written in it."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ValidationError, field_validator, model_validator
from pydantic import Field as Setting

from batchdigits.errors import TemplateError
from batchdigits.templates import slips
from batchdigits.templates.boxes import MAX_OVERLAP_MM, has_overlap
from batchdigits.templates.field import Field
from batchdigits.templates.schema import ALLOW_LIST, LineOfText, NonEmptyBox, StrictModel

MARKER_SIDE_MM, MARKER_MARGIN_MM = 8.0, 8.0
"""Side of a corner marker, and its distance from the page's edges, mm, where a template lists no
markers."""
ARUCO_DICTIONARIES = ("4x4", "5x5", "6x6", "7x7")
"""Squares of a marker, across and down, without its border."""
MIN_PAGE_SIDE_MM, MAX_PAGE_SIDE_MM = 20.0, 2000.0
"""Limits of a page's sides, mm."""

Anchor = Literal["markers", "image", "page"]


class Marker(StrictModel):
    """One ArUco marker.

    Attributes:
        id: its number in the dictionary.
        box: its black square, mm.
    """

    id: int = Setting(ge=0, le=999)
    box: NonEmptyBox


class Form(StrictModel):
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

    name: LineOfText
    size: Annotated[tuple[float, float], ALLOW_LIST]
    anchor: Anchor
    reference: str | None = None
    dictionary: Literal["4x4", "5x5", "6x6", "7x7"] = "4x4"
    markers: Annotated[tuple[Marker, ...], ALLOW_LIST] = ()

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


class Template(StrictModel):
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
