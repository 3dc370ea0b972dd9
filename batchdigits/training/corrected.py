"""What people said about a table's values → digits to learn from, cut out of their scans."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits.corrections import Correction
from batchdigits.corrections.book import list_unmatched
from batchdigits.errors import UsageError
from batchdigits.labelled import EMPTY_LABEL, LabelledCrops, is_digit
from batchdigits.paths import make_corrections_path
from batchdigits.predict.findings import Finding
from batchdigits.review import OpenResults, ReviewItem, find_quarters, make_item, open_results
from batchdigits.training.cutting import Wanted, cut_digits

MIN_DIGITS = 50
"""Digits that are learned from at least."""
MIN_PAGES = 3
"""Files or pages that they come from at least: each is read by a network that has not seen it."""
ENDING = make_corrections_path("")
"""What a table's name and that of its corrections differ by."""


class UncorrectedDigits(NamedTuple):
    """How many digits with boxes of their own nobody verified, by the status of their value.

    Attributes:
        sure: of values that are `ok`.
        doubtful: of values that are for review.
    """

    sure: int
    doubtful: int


class CorrectedDigits(NamedTuple):
    """Digits that people verified; entry n of each array belongs to digit n.

    Attributes:
        pictures: as a network sees them, uint8, shape (N, 28, 28).
        labels: int64, shape (N,): 0 to 9, or `EMPTY_LABEL` for a box that is blank.
        pages: int64, shape (N,): which page each is on, counted from 0.
        doubtful: bool, shape (N,): whether its value was for review.
        table: the table that they are from.
        remarks: what was left out, a line each.
        others: the digits of the table that nobody verified.
    """

    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64]
    pages: NDArray[np.int64]
    doubtful: NDArray[np.bool_]
    table: str
    remarks: Sequence[str]
    others: UncorrectedDigits

    @property
    def digit_count(self) -> int:
        """How many are digits."""
        return int(is_digit(self.labels).sum())

    @property
    def page_count(self) -> int:
        """How many pages have a digit."""
        return len(set(self.pages[is_digit(self.labels)].tolist()))

    def select(self, chosen: NDArray[np.bool_]) -> LabelledCrops:
        """Return those where `chosen`, shape (N,), is true, as a set to learn from."""
        labels = self.labels[chosen]
        return LabelledCrops(self.pictures[chosen], labels, [self.table] * len(labels))


@dataclass
class Gathered:
    """What a table's corrections give, before pictures are looked at.

    Attributes:
        wanted: values that can be learned from, by their file and its content.
        unreadable: how many nobody can read.
        unplaced: how many have no box for each digit.
        unmatched: corrections that belong to no row.
        others: how many digits of values that nobody verified, by the status of these.
    """

    wanted: dict[tuple[str, str], list[Wanted]] = field(
        default_factory=lambda: defaultdict[tuple[str, str], list[Wanted]](list)
    )
    unreadable: int = 0
    unplaced: int = 0
    unmatched: Sequence[Correction] = ()
    others: Counter[str] = field(default_factory=Counter)


def load_corrected_digits(path: str, folders: Sequence[str] = ()) -> CorrectedDigits:
    """Cut the digits that people verified out of the scans of their table.

    Args:
        path: of the corrections that are kept beside a table.
        folders: where files may have been moved to.

    Raises:
        UsageError: it is no such file, the table or its state is missing, or too little is left.
        BusyError: a run writes the table.
    """
    table = find_table(path)
    with open_results(table, None, 0.0) as results:
        _check_results(results, path)
        gathered = _gather_values(results)
        said = len(results.book.corrections)
    if len(gathered.unmatched) == said:
        raise UsageError(
            f"'{path}': none of its {said:,} corrections belongs to a row of '{table}': give the "
            "corrections beside the table that they are about"
        )
    cut = cut_digits(gathered.wanted, folders)
    out = CorrectedDigits(
        np.concatenate([np.zeros((0, 28, 28), np.uint8), *cut.pictures]),
        np.array(cut.labels, np.int64),
        np.array(cut.pages, np.int64),
        np.array(cut.doubtful, bool),
        Path(table).name,
        [*_describe_left_out(gathered), *(_describe_lost(*one) for one in cut.lost.items())],
        UncorrectedDigits(gathered.others["ok"], gathered.others["review"]),
    )
    _check_count(out, table)
    return out


def find_table(path: str) -> str:
    """Return the path of the table that corrections are kept beside.

    Raises:
        UsageError: the file is not kept beside a table.
    """
    if not Path(path).is_file():
        raise UsageError(f"--from-corrections '{path}' does not exist: expected NAME{ENDING}")
    table = path.removesuffix(ENDING)
    if table == path or not Path(table).is_file():
        raise UsageError(
            f"--from-corrections '{path}': expected the file that `correct` keeps beside a table, "
            f"as in results.csv{ENDING}: merge corrections by batchdigits correct RESULTS {path}"
        )
    return table


def _check_results(results: OpenResults, path: str) -> None:
    if not results.book:
        raise UsageError(f"'{path}' is empty: {_tell_needed(results.path)}")
    if results.store is None or results.record is None:
        raise UsageError(
            f"'{results.path}' has no state, which knows where its digits are: run again with "
            "--out and the same INPUTs"
        )
    if results.is_stale:
        raise UsageError(f"'{results.path}' is older than what its state knows: run again first")


def _tell_needed(table: str) -> str:
    return (
        f"expected {MIN_DIGITS} digits or more on {MIN_PAGES} files or pages that people verified; "
        f"settle values by batchdigits review {table} --out review.html"
    )


def _check_count(found: CorrectedDigits, table: str) -> None:
    if found.digit_count < MIN_DIGITS or found.page_count < MIN_PAGES:
        left_out = f" ({'; '.join(found.remarks)})" if found.remarks else ""
        raise UsageError(
            f"too few corrections: got {found.digit_count} digits on {found.page_count} files or "
            f"pages{left_out}, {_tell_needed(table)}"
        )


def _gather_values(results: OpenResults) -> Gathered:
    out, places = Gathered(), []
    for one in results.read_files():
        quarters = find_quarters(one.findings)
        for at, place in enumerate(one.places):
            said = results.book.find_latest(place)
            if said is None:
                out.others[one.rows.rows[at].status] += _count_boxed_digits(one.findings[at])
                continue
            turned = quarters.get(one.rows.rows[at].page, 0)
            _sort_value(out, make_item(one, at, said, quarters=turned), said)
        places += [place for place in one.places if results.book.find_matches(place)]
    out.unmatched = list_unmatched(results.book, places)
    return out


def _count_boxed_digits(finding: Finding) -> int:
    """Count the digits that have a box of their own, as those that are learned from do."""
    return 0 if finding.number is not None else sum(read is not None for read in finding.reads)


def _sort_value(out: Gathered, item: ReviewItem, said: Correction) -> None:
    """Add a value to those that can be learned from, or to those that cannot."""
    if said.answer == "unreadable":
        out.unreadable += 1
        return
    found = _pair_digits(item, said)
    if found is None:
        out.unplaced += 1
    else:
        out.wanted[item.place.file, item.place.content].append(found)


def _pair_digits(item: ReviewItem, said: Correction) -> Wanted | None:
    """Return the boxes of a value with their digits; None where it has no box for each digit."""
    if item.finding is None or item.finding.number is not None:
        return None  # where the digits of a free number end is only guessed
    if said.answer == "blank":
        spots = [spot.place for spot in item.finding.item.spots]
        return Wanted(item, spots, [EMPTY_LABEL] * len(spots)) if spots else None
    digits = [int(sign) for sign in said.value if sign != "."]
    spots = item.spots
    return Wanted(item, spots, digits) if len(spots) == len(digits) else None


def _describe_lost(fault: str, files: Sequence[str]) -> str:
    return (
        f"{len(files):,} values are left out, such as that of '{files[0]}': "
        f"{fault or 'its boxes are not in the picture'} (--pictures FOLDER says where files were "
        "moved to)"
    )


def _describe_left_out(gathered: Gathered) -> Iterator[str]:
    """Yield a line for each reason why corrections are not learned from."""
    reasons = (
        (len(gathered.unmatched), "belong to no row of this table"),
        (gathered.unreadable, "are of values that nobody can read"),
        (gathered.unplaced, "are of values without a box for each digit"),
    )
    for count, reason in reasons:
        if count:
            yield f"{count:,} corrections are left out: they {reason}"
