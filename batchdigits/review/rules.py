"""The rule of a field as the page checks it; `correct` checks it again in Python."""

import re
from typing import Any

from batchdigits.templates.field import Field

_UNTRANSLATED = re.compile(r"\[\^?\]|\\N\{|\\U|\(\?[a-zA-Z-]+:")
"""Parts of Python's regular expressions that mean something else in a browser, and are rare."""
_TRANSLATIONS = (
    (r"\(\?#[^)]*\)", ""),
    (r"\(\?[aimsu]+\)", ""),
    (r"\(\?P<\w+>", "(?:"),
    (r"\\A", "^"),
    (r"\\[zZ]", "$"),
    (r"\{,([0-9]+)\}", r"{0,\1}"),
)


def describe_rule(field: Field, *, described: bool) -> dict[str, Any]:
    """Return what may be in a field, for the page.

    Args:
        field: the field.
        described: whether a template has it; else its number of boxes was found on the page.
    """
    rule: dict[str, Any] = {}
    if field.label:
        rule["label"] = field.label
    if field.decimals:
        rule["decimals"] = field.decimals
    if field.cells and described:
        rule["cells"] = field.cells
    if field.pattern is not None and (pattern := translate_pattern(field.pattern)):
        rule["pattern"] = pattern
    for key in ("min", "max", "check", "date"):
        if getattr(field, key) is not None:
            rule[key] = getattr(field, key)
    if not field.optional and described:
        rule["required"] = True
    return rule


def translate_pattern(pattern: str) -> str:
    """Return a pattern as JavaScript has it; empty where it may mean something else there."""
    if _UNTRANSLATED.search(pattern):
        return ""
    for python, javascript in _TRANSLATIONS:
        pattern = re.sub(python, javascript, pattern)
    return pattern
