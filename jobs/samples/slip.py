"""A small form for fixtures: its template by field, its boxes, and values to write into them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import drawings

HEAD = """\
[form]
name = "fixture"
size = [105, 148]
anchor = "markers"
"""
FIELDS = {
    "member": "box = [16, 24, 53, 9]\ncells = 6\ngap = 1\ncheck = 'luhn'\n",
    "room": "box = [16, 42, 35, 9]\ncells = 4\ngap = 1\npattern = '[12][0-9]{3}'\n",
    "amount": "box = [16, 60, 44, 9]\ncells = 5\ngap = 1\ndecimals = 2\n",
    "visits": "box = [70, 60, 17, 9]\ncells = 2\ngap = 1\noptional = true\n",
    "weight": "box = [16, 80, 45, 10]\n",
}
"""The lines of each field in a template; the last is a number written freely."""
_ROWS = {"member": (16, 24, 6), "room": (16, 42, 4), "amount": (16, 60, 5), "visits": (70, 60, 2)}
BOXES: Mapping[str, Sequence[drawings.Box]] = {
    name: [(left + 9 * at, top, 8, 9) for at in range(count)]
    for name, (left, top, count) in _ROWS.items()
} | {"weight": [(16, 80, 45, 10)]}
"""Of each field, mm."""
FIRST = {"member": "482638", "room": "1704", "amount": "01250", "visits": "  ", "weight": "3917"}
SECOND = {"member": "482635", "room": "9358", "amount": "60047", "visits": "12", "weight": "805"}
"""Values that keep the rules, and values of which two break them."""


def write_template(place: Path, names: Sequence[str]) -> None:
    """Write the template of a form that has these fields."""
    fields = [f'[[field]]\nname = "{name}"\n{FIELDS[name]}' for name in names]
    place.write_text("\n".join([HEAD, *fields]))


def fill(blank: drawings.Grey, values: Mapping[str, str], seed: int) -> drawings.Grey:
    """Write values into a blank form."""
    return drawings.fill_form(blank, BOXES, values, seed)
