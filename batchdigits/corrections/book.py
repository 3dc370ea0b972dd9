"""All corrections of a table, found by what they belong to."""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from batchdigits.corrections.correction import Box, Correction
from batchdigits.corrections.file import read_corrections

LEAST_OVERLAP = 0.5
"""Share of the larger of two boxes that both cover, from which they are one place."""


class FieldPlace(NamedTuple):
    """A field of a page, as corrections know it.

    Attributes:
        file: the file as the table spells it.
        content: digest of its bytes, in hexadecimal; empty if it is not known.
        page: counted from 1.
        template: the name of the page's template; empty if there is none, or it is not known.
        field: its name; empty for an image that is one digit or one number.
        box: where it is in the page as scanned, px; None if it is not known.
        named: whether its name is a template's, and not one that was counted out on the page.
    """

    file: str
    content: str
    page: int
    template: str
    field: str
    box: Box | None
    named: bool


class CorrectionBook:
    """Corrections, found by what they belong to; of several for one field the last counts."""

    def __init__(self, corrections: Iterable[Correction] = ()) -> None:
        """Take the corrections in the order in which they were said."""
        self.corrections = list(corrections)
        self._by_content: defaultdict[tuple[str, int], list[Correction]] = defaultdict(list)
        self._by_file: defaultdict[tuple[str, int], list[Correction]] = defaultdict(list)
        self._order = {id(one): at for at, one in enumerate(self.corrections)}
        for one in self.corrections:
            self._by_content[one.content, one.page].append(one)
            self._by_file[one.file, one.page].append(one)

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self.corrections)

    def find_matches(self, place: FieldPlace) -> list[Correction]:
        """Return all corrections of a field, in the order in which they were said.

        Where a content is not known, the name of the file has to do.
        """
        near = self._by_file.get((place.file, place.page), [])
        if place.content:
            near = [one for one in near if not one.content]
            near += self._by_content.get((place.content, place.page), [])
        found = [one for one in near if is_about(one, place)]
        return sorted(found, key=lambda one: self._order[id(one)])

    def find_latest(self, place: FieldPlace) -> Correction | None:
        """Return the correction that counts for a field; None if there is none."""
        found = self.find_matches(place)
        if not found or found[-1].answer == "withdrawn":
            return None
        return found[-1]


def is_about(one: Correction, place: FieldPlace) -> bool:
    """Return whether a correction of a page belongs to a field of that page."""
    if not one.field and not place.field:  # an image that is one digit or one number
        return True
    if one.template and place.template:
        return (one.template, one.field) == (place.template, place.field)
    box = one.place
    if place.named and one.field != place.field:
        return False
    if box is not None and place.box is not None:
        return compute_overlap(box, place.box) >= LEAST_OVERLAP
    return one.field == place.field


def compute_overlap(one: Box, other: Box) -> float:
    """Return the share of the larger of two boxes that both cover, 0 to 1."""
    wide = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    high = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    most = max(one[2] * one[3], other[2] * other[3])
    return max(wide, 0) * max(high, 0) / most if most else 0.0


def load_book(path: str | None) -> CorrectionBook:
    """Load the corrections beside a table; none if there is no such file.

    Raises:
        UsageError: the file is there and cannot be read.
    """
    if path is None or not os.path.exists(path):
        return CorrectionBook()
    return CorrectionBook(read_corrections(path))


def list_unmatched(book: CorrectionBook, places: Sequence[FieldPlace]) -> list[Correction]:
    """Return the corrections that belong to none of the fields."""
    matched = {id(one) for place in places for one in book.find_matches(place)}
    return [one for one in book.corrections if id(one) not in matched]
