"""Hints in the boxes of a date: a light D, M or Y in a corner of each, where few digits reach."""

from batchdigits.templates.boxes import Box
from batchdigits.templates.field import Field

HINT_GREY_LEVEL = 215
"""Grey level in which hints are printed: light enough to be told from ink."""
MAX_HINT_DARKNESS = 64
"""Greatest darkness of a hint in a scan, grey levels; a pen's strokes are darker."""
HINT_SHARE, HINT_INSET = 0.3, 0.05
"""Sides of a hint, and its distance from the sides of its box, as shares of the box's sides."""


def list_hints(field: Field) -> list[tuple[str, Box]]:
    """Return for each box of a date its letter, and the part of the box, mm, that holds it.

    The list is empty for a field that is no date.
    """
    if field.date is None:
        return []
    return [
        (letter, _find_corner(box)) for letter, box in zip(field.date, field.boxes(), strict=True)
    ]


def _find_corner(box: Box) -> Box:
    """Return the lower right corner of a box, mm."""
    x, y, wide, high = box
    side = HINT_SHARE * min(wide, high)
    return (
        x + (1 - HINT_INSET) * wide - side,
        y + (1 - HINT_INSET) * high - side,
        side,
        side,
    )
