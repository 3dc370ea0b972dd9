"""Draft a template from the picture of a blank form, for a person to edit."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from batchdigits.layout.turns import find_turn, lay_upright
from batchdigits.records import GreyImage
from batchdigits.templates.draft_fields import (
    DraftField,
    LeftOutField,
    find_fields,
    make_field_keys,
)
from batchdigits.templates.straight import (
    MIN_SKEW_DEGREES,
    deskew_page,
    detect_form_markers,
    measure_skew,
)
from batchdigits.templates.template import Marker


class Draft(NamedTuple):
    """A form as it was found.

    Attributes:
        size: width and height of the paper, mm.
        fields: in reading order.
        dictionary: the markers' squares, as in a template.
        markers: three or more, or none.
        grey: the picture laid straight, uint8, of the same size.
        turned: the angle by which it was turned back, degrees; 0 where it was straight.
        left_out: what is no field, in reading order.
    """

    size: tuple[float, float]
    fields: list[DraftField]
    dictionary: str
    markers: list[Marker]
    grey: GreyImage
    turned: float
    left_out: Sequence[LeftOutField] = ()


def draft_template(grey: GreyImage, size: tuple[float, float]) -> Draft:
    """Draft a template: find the fields and markers of a blank form.

    Args:
        grey: the blank form, uint8, (height, width), upright, dark lines on light paper; skewed by
            12 degrees at most.
        size: width and height of the paper in it, mm.
    """
    turn = find_turn(grey)
    quarters = turn.quarters if turn.sure else 0
    if quarters:
        grey, size = lay_upright(grey, turn), size if quarters == 2 else (size[1], size[0])
    turned = measure_skew(grey, size)
    turned = turned if abs(turned) >= MIN_SKEW_DEGREES else 0.0
    straight = deskew_page(grey, turned) if turned else grey
    dictionary, marks = detect_form_markers(straight, size)
    found = find_fields(straight, size, [one.box for one in marks])
    return Draft(
        size, found.fields, dictionary, marks, straight, 90 * quarters + turned, found.left_out
    )


def format_template(name: str, draft: Draft, reference: str | None = None) -> str:
    """Format a draft as TOML, for a person to edit. Fields are named by their order.

    Args:
        name: the form's name.
        draft: what was found on the form.
        reference: the path of the straight picture, relative to the template's folder.
    """
    anchor = "markers" if draft.markers else "image" if reference is not None else "page"
    lines = [
        "[form]",
        f"name = {_format_toml_string(name)}",
        f"size = {_format_toml_list(draft.size)}",
    ]
    lines.append(f'anchor = "{anchor}"')
    if reference is not None:
        lines.append(f"reference = {_format_toml_string(reference)}")
    if draft.markers:
        lines.append(f'dictionary = "{draft.dictionary}"')
    for marker in draft.markers:
        lines += [
            "",
            "[[form.markers]]",
            f"id = {marker.id}",
            f"box = {_format_toml_list(marker.box)}",
        ]
    names = [one.name or f"field_{n:03}" for n, one in enumerate(draft.fields, 1)]
    for field_name, field in zip(names, draft.fields, strict=True):
        lines += ["", *_format_field(field, field_name)]
    for n, (field, why) in enumerate(draft.left_out, 1):
        listed = _format_field(field, field.name or f"left_out_{n:03}")
        lines += ["", f"# Left out: {why}. To read it, take away the # of these lines:"]
        lines += [f"# {line}" for line in listed]
    return "\n".join(lines) + "\n"


def _format_field(field: DraftField, name: str) -> list[str]:
    """Return the lines of a field."""
    lines = ["[[field]]"]
    for key, value in make_field_keys(field, name).items():
        match value:
            case str():
                lines.append(f"{key} = {_format_toml_string(value)}")
            case list():
                lines.append(f"{key} = {_format_toml_list(value)}")
            case _:
                lines.append(f"{key} = {value:g}")
    return lines


def _format_toml_string(words: str) -> str:
    """Return a TOML string: as in JSON, except for one character that JSON does not escape."""
    return json.dumps(words, ensure_ascii=False).replace("\x7f", "\\u007f")


def _format_toml_list(numbers: Sequence[float]) -> str:
    return f"[{', '.join(f'{round(number, 2):g}' for number in numbers)}]"
