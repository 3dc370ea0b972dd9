"""Settings are checked by pydantic against their declared types; errors are in plain words."""

from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from batchdigits.errors import UsageError

Kind = TypeVar("Kind")


def validate_settings(kind: type[Kind], settings: dict[str, Any]) -> Kind:
    """Make an instance of a dataclass from settings by field name.

    Raises:
        UsageError: a value does not fit, or one without a default is missing. It tells the first
            of several mistakes.
    """
    try:
        validated: Kind = _make_adapter(cast("Hashable", kind)).validate_python(settings)
    except ValidationError as error:
        raise UsageError(_describe_error(error)) from None
    return validated


@cache
def _make_adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _describe_error(error: ValidationError) -> str:
    """Return the first mistake in the settings, on one line."""
    first = error.errors()[0]
    name = str(first["loc"][0]).rstrip("_").replace("_", "-")
    if first["type"] == "missing":
        return f"--{name} is missing (--help tells what it takes)"
    text = first["msg"].removeprefix("Value error, ")
    expected = text[0].lower() + text[1:]
    return f"{name}: {expected}, got {first['input']!r}"
