"""What people said about a table → which of it can be learned from, and where it is."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from batchdigits.corrections import Correction
from batchdigits.corrections.book import list_unmatched
from batchdigits.labelled import EMPTY_LABEL
from batchdigits.predict.findings import Finding
from batchdigits.review import OpenResults, ReviewItem, find_quarters, make_item
from batchdigits.training.cutting import Wanted, WantedDigits, WantedNumber
from batchdigits.training.number_cutting import find_number_box


@dataclass
class Gathered:
    """What a table's corrections give, before pictures are looked at.

    Attributes:
        wanted: values that can be learned from, by their file and its content.
        unreadable: how many nobody can read.
        unplaced: how many have no box for each digit.
        unmatched: corrections that belong to no row.
        others: how many digits of values that nobody verified, by the status of these.
        other_numbers: how many numbers nobody verified, by their status.
    """

    wanted: dict[tuple[str, str], list[Wanted]] = field(
        default_factory=lambda: defaultdict[tuple[str, str], list[Wanted]](list)
    )
    unreadable: int = 0
    unplaced: int = 0
    unmatched: Sequence[Correction] = ()
    others: Counter[str] = field(default_factory=Counter)
    other_numbers: Counter[str] = field(default_factory=Counter)


def gather_values(results: OpenResults) -> Gathered:
    """Sort what people said about a table by what can be learned from it."""
    out, places = Gathered(), []
    for one in results.read_files():
        quarters = find_quarters(one.findings)
        for at, place in enumerate(one.places):
            said = results.book.find_latest(place)
            if said is None:
                _count_other(out, one.findings[at], one.rows.rows[at].status)
                continue
            turned = quarters.get(one.rows.rows[at].page, 0)
            _sort_value(out, make_item(one, at, said, quarters=turned), said)
        places += [place for place in one.places if results.book.find_matches(place)]
    out.unmatched = list_unmatched(results.book, places)
    return out


def _count_other(out: Gathered, finding: Finding, status: str) -> None:
    """Count a value that nobody verified, as those that are learned from are counted."""
    if finding.number is not None:
        out.other_numbers[status] += 1
    else:
        out.others[status] += sum(read is not None for read in finding.reads)


def _sort_value(out: Gathered, item: ReviewItem, said: Correction) -> None:
    """Add a value to those that can be learned from, or to those that cannot."""
    if said.answer == "unreadable":
        out.unreadable += 1
        return
    found = _find_number(item, said) or _pair_digits(item, said)
    if found is None:
        out.unplaced += 1
    else:
        out.wanted[item.place.file, item.place.content].append(found)


def _find_number(item: ReviewItem, said: Correction) -> WantedNumber | None:
    """Return a value as a number that is written freely; None where it is none."""
    finding, digits = item.finding, said.value.replace(".", "")
    if finding is None or finding.number is None or finding.item.number is None or not digits:
        return None
    placed = finding.item.number
    return WantedNumber(item, digits, find_number_box(finding, placed, len(digits)), placed)


def _pair_digits(item: ReviewItem, said: Correction) -> WantedDigits | None:
    """Return the boxes of a value with their digits; None where it has no box for each digit."""
    if item.finding is None or item.finding.number is not None:
        return None  # where the digits of a free number end is only guessed
    if said.answer == "blank":
        spots = [spot.place for spot in item.finding.item.spots]
        return WantedDigits(item, spots, [EMPTY_LABEL] * len(spots)) if spots else None
    digits = [int(sign) for sign in said.value if sign != "."]
    spots = item.spots
    return WantedDigits(item, spots, digits) if len(spots) == len(digits) else None


def describe_left_out(gathered: Gathered) -> Iterator[str]:
    """Yield a line for each reason why corrections are not learned from."""
    reasons = (
        (len(gathered.unmatched), "belong to no row of this table"),
        (gathered.unreadable, "are of values that nobody can read"),
        (gathered.unplaced, "are of values without a box for each digit"),
    )
    for count, reason in reasons:
        if count:
            yield f"{count:,} corrections are left out: they {reason}"
