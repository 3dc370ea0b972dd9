"""Errors of templates, each in one line that the writer of the template understands."""

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

_MESSAGES_BY_TYPE = {
    "int_type": "expected a whole number",
    "float_type": "expected a number",
    "finite_number": "expected a number",
    "string_type": "expected text in quotes",
    "bool_type": "expected true or false",
    "tuple_type": "expected a list",
    "model_type": "expected a table of keys",
}
_SHAPES_BY_KEY = {
    "box": "[x, y, width, height], four numbers in millimetres",
    "size": "[width, height], two numbers in millimetres",
    "groups": "the boxes of each group, as [4, 2]",
}

_BRACKET_ERROR_TYPES = ("tuple_type", "model_type")
_EXPECTED_BRACKETS = {
    "form": "one table of keys: write [form], once",
    "field": "a list of tables: write [[field]] before each",
    "markers": "a list of tables: write [[form.markers]] before each",
}


def describe_first_error(
    error: ValidationError, tables: dict[str, Any], models: Mapping[str, type[BaseModel]]
) -> str:
    """Describe the first error, with its field and key. Unknown keys come first.

    Args:
        error: what pydantic raised.
        tables: the template's tables, as read from TOML.
        models: the model of the whole template, under "", and of each table, under its key.
    """
    errors = error.errors()
    first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
    path, model = list(first["loc"]), models[""]
    places: list[str] = []
    part = ""
    while path and path[0] in models and path[0] in _list_keys(model):
        part = str(path.pop(0))
        model = models[part]
        if path and isinstance(path[0], int):
            places.append(_name_field_or_marker(part, path.pop(0), tables))
        else:
            places.append(f"[{part}]" if part in tables else part)
    if first["type"] == "missing" and not path:
        return f"expected {'[form]' if places == ['form'] else 'a [[field]]'}, which is missing"
    if not path and first["type"] in _BRACKET_ERROR_TYPES and places[-1:] == [f"[{part}]"]:
        return f"[{part}]: expected {_EXPECTED_BRACKETS[part]}"
    key = str(path[0]) if path else ""
    return ": ".join([*places, _describe_key_error(first, key, model)])


def _describe_key_error(error: Any, key: str, model: type[BaseModel]) -> str:
    """Describe one error of a key; an empty key stands for the table itself."""
    kind, value = error["type"], error["input"]
    if kind == "extra_forbidden":
        return f"unknown key '{key}'{_suggest_key(key, _list_keys(model))}"
    if key in _SHAPES_BY_KEY and kind != "value_error" and error["loc"][-1] != key:
        return f"{key}: expected {_SHAPES_BY_KEY[key]}"  # one of its numbers
    if kind == "missing":
        return f"expected {key}, which is missing"
    if key in _SHAPES_BY_KEY and kind != "value_error":
        return f"{key}: expected {_SHAPES_BY_KEY[key]}, got {value!r}"
    text = _MESSAGES_BY_TYPE.get(kind) or error["msg"].removeprefix("Value error, ")
    text = text if not key else f"{key}: {text[0].lower()}{text[1:]}"
    return text if isinstance(value, dict | list) else f"{text}, got {value!r}"


def _name_field_or_marker(part: str, number: Any, tables: dict[str, Any]) -> str:
    """Name the n-th field or marker as the template does."""
    one = (tables if part == "field" else tables["form"])[part][number]
    label = one.get("name" if part == "field" else "id") if isinstance(one, dict) else None
    return f"{part} '{label}'" if label is not None else f"{part} {number + 1}"


def _list_keys(model: type[BaseModel]) -> list[str]:
    """List the keys of a table; `place` is not a key but the template's own path."""
    names = (field.alias or name for name, field in model.model_fields.items())
    return [name for name in names if name != "place"]


def _suggest_key(name: str, keys: list[str]) -> str:
    close = difflib.get_close_matches(name, keys, 1)
    return f"; did you mean '{close[0]}'?" if close else f"; expected one of {', '.join(keys)}"
