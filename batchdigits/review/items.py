"""Which values a person is asked about, and what is shown of each."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from batchdigits.corrections import (
    Box,
    Correction,
    CorrectionBook,
    FieldPlace,
    apply_correction,
)
from batchdigits.errors import UsageError
from batchdigits.predict.findings import Finding
from batchdigits.records import Row
from batchdigits.review.results import OpenResults, ReadFile
from batchdigits.review.turns import find_quarters

MAX_OTHERS = 3
"""Other values that are offered for one reading."""


@dataclass(slots=True)
class ReviewItem:
    """A value that a person is asked about.

    Attributes:
        row: as the machine read it.
        place: what a correction of it belongs to.
        finding: what was found; None without a state.
        said: what counts now, by somebody's word; None if nothing was said.
        how: why it is shown: `one`, `audit` or `group`.
        quarters: by how many quarter turns, anticlockwise, its writing is turned.
    """

    row: Row
    place: FieldPlace
    finding: Finding | None
    said: Correction | None
    how: str
    quarters: int = 0
    others: list[tuple[str, float]] = field(default_factory=list)

    @property
    def shown(self) -> Row:
        """The row as the table shows it."""
        return self.row if self.said is None else apply_correction(self.row, self.said)

    @property
    def spots(self) -> list[Box]:
        """Where its digits are in the page as scanned, px."""
        if self.finding is None:
            return []
        reads = zip(self.finding.item.spots, self.finding.reads, strict=False)
        return [spot.place for spot, read in reads if read is not None] or [
            one.place for one in self.finding.digits
        ]


@dataclass(frozen=True)
class Selection:
    """Which values to show.

    Attributes:
        audit: how many `ok` values to show besides, drawn at random.
        groups: whether to show all values, for the sheets of equal digits.
        field: show the values of this field alone; None for all.
        again: whether to ask again about what was said before.
        seed: of the draw; None draws anew each time.
        session: what was said in this review before; it is shown with its answers.
    """

    audit: int = 0
    groups: bool = False
    field: str | None = None
    again: bool = False
    seed: int | None = None
    session: CorrectionBook | None = None


def select_items(results: OpenResults, selection: Selection) -> list[ReviewItem]:
    """Return the values that a person is asked about, in the order of the table.

    Raises:
        UsageError: the state knows more than the table shows, or no value has the field's name.
    """
    if results.is_stale:
        raise UsageError(
            f"'{results.path}' is older than what its state knows: run again, then review"
        )
    drawn = _draw_audit(results, selection)
    items, names, number = list[ReviewItem](), set[str](), 0
    for one in results.read_files():
        quarters = find_quarters(one.findings)
        for at, row in enumerate(one.rows.rows):
            names.add(row.field)
            if selection.field is not None and row.field != selection.field:
                continue
            said = results.book.find_latest(one.places[at])
            how = _choose_reason(row, said, number in drawn, selection)
            number += row.status == "ok"
            if how and selection.session is not None:
                said = selection.session.find_latest(one.places[at]) or said
            if how:
                items.append(make_item(one, at, said, how, quarters.get(row.page, 0)))
    if selection.field is not None and selection.field not in names:
        known = ", ".join(sorted(filter(None, names))[:20]) or "none"
        raise UsageError(
            f"--field {selection.field}: no such field in '{results.path}': expected {known}"
        )
    return items


def _choose_reason(row: Row, said: Correction | None, is_drawn: bool, selection: Selection) -> str:
    """Return why a value is shown; empty if it is not."""
    if said is not None and not selection.again:
        return ""
    if row.status == "review":
        return "one"
    if row.status == "ok" and is_drawn:
        return "audit"
    return "group" if row.status == "ok" and selection.groups else ""


def _draw_audit(results: OpenResults, selection: Selection) -> set[int]:
    """Draw which `ok` values are audited; return their numbers among all `ok` values."""
    if not selection.audit:
        return set()
    count = sum(
        row.status == "ok" and selection.field in (None, row.field)
        for row in _iterate_rows(results)
    )
    chance = random.SystemRandom() if selection.seed is None else random.Random(selection.seed)
    return set(chance.sample(range(count), min(selection.audit, count)))


def _iterate_rows(results: OpenResults) -> Iterator[Row]:
    for one in results.read_files():
        yield from one.rows.rows


def make_item(
    one: ReadFile, at: int, said: Correction | None = None, how: str = "one", quarters: int = 0
) -> ReviewItem:
    """Return a row of a file as a value to show; see `ReviewItem`."""
    finding = one.findings[at] if one.findings else None
    row, place = one.rows.rows[at], one.places[at]
    item = ReviewItem(row, place, finding, said, how, quarters)
    if finding is not None:
        item.others = list_others(row, finding)
    return item


def list_others(row: Row, finding: Finding) -> list[tuple[str, float]]:
    """List what else a value may be, the likeliest first, with the probability of each."""
    if finding.number is not None:
        found = [(text, share) for text, share in finding.number.candidates if text.isdecimal()]
    else:
        found = list(_vary_digits(row.value, finding))
    found = [(text, share) for text, share in found if text != row.value and share > 0.0005]
    return sorted(found, key=lambda one: -one[1])[:MAX_OTHERS]


def _vary_digits(value: str, finding: Finding) -> Iterator[tuple[str, float]]:
    """Yield a value with one digit replaced by what that one may be instead."""
    reads = [read for read in finding.reads if read is not None]
    digits = [at for at, sign in enumerate(value) if sign != "."]
    if len(reads) != len(digits):
        return
    for at, read in zip(digits, reads, strict=True):
        for digit, share in enumerate(read.likely):
            if str(digit) != value[at]:
                yield value[:at] + str(digit) + value[at + 1 :], float(share)


def rank_doubtful_digits(item: ReviewItem) -> list[int]:
    """Return the places in the value whose digits are doubted, the most doubtful first."""
    if item.finding is None:
        return []
    value = item.row.value
    digits = [at for at, sign in enumerate(value) if sign != "."]
    reads = [read for read in item.finding.reads if read is not None]
    if len(reads) != len(digits) or len(digits) < 2:
        return []
    doubts = sorted(zip((read.confidence for read in reads), digits, strict=True))
    return [at for sure, at in doubts if sure < 0.99][:2] or [doubts[0][1]]
