"""What people said about a table's values → digits and numbers, cut out of their scans again."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import UsageError
from batchdigits.labelled import LabelledCrops, is_digit
from batchdigits.paths import make_corrections_path
from batchdigits.records import GreyImage
from batchdigits.review import OpenResults, open_results
from batchdigits.training.cutting import CutDigits, CutNumbers, cut_values
from batchdigits.training.gathered import describe_left_out, gather_values
from batchdigits.training.material import Real

MIN_DIGITS, MIN_NUMBERS = 50, 50
"""Digits that the digit networks learn from at least, and numbers that the number reader does."""
MIN_PAGES = 3
"""Files or pages that they come from at least: each is read by a network that has not seen it."""
ENDING = make_corrections_path("")
"""What a table's name and that of its corrections differ by."""


class UncorrectedCounts(NamedTuple):
    """How many digits with boxes of their own nobody verified, or numbers; by the value's status.

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
        others: the digits of the table that nobody verified.
    """

    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64]
    pages: NDArray[np.int64]
    doubtful: NDArray[np.bool_]
    others: UncorrectedCounts

    @property
    def digit_count(self) -> int:
        """How many are digits."""
        return int(is_digit(self.labels).sum())

    @property
    def page_count(self) -> int:
        """How many pages have a digit."""
        return len(set(self.pages[is_digit(self.labels)].tolist()))

    @property
    def is_enough(self) -> bool:
        """Whether the digit networks can learn from them."""
        return self.digit_count >= MIN_DIGITS and self.page_count >= MIN_PAGES

    def select(self, chosen: NDArray[np.bool_]) -> LabelledCrops:
        """Return those where `chosen`, shape (N,), is true, as a set to learn from."""
        labels = self.labels[chosen]
        return LabelledCrops(self.pictures[chosen], labels, ["corrected"] * len(labels))


class CorrectedNumbers(NamedTuple):
    """Numbers written freely that people verified; entry n of each belongs to number n.

    Attributes:
        crops: as scanned, uint8 each, dark ink on light paper.
        digits: of each, as text.
        pages: int64, shape (N,), counted as those of the digits.
        doubtful: bool, shape (N,): whether it was for review.
        others: the numbers of the table that nobody verified.
    """

    crops: Sequence[GreyImage]
    digits: Sequence[str]
    pages: NDArray[np.int64]
    doubtful: NDArray[np.bool_]
    others: UncorrectedCounts

    @property
    def page_count(self) -> int:
        """How many pages have a number."""
        return len(set(self.pages.tolist()))

    @property
    def is_enough(self) -> bool:
        """Whether the number reader can learn from them."""
        return len(self.digits) >= MIN_NUMBERS and self.page_count >= MIN_PAGES

    def select(self, chosen: NDArray[np.bool_]) -> Real:
        """Return those where `chosen`, shape (N,), is true, as strings to learn from."""
        places = np.flatnonzero(chosen).tolist()
        return Real([self.crops[n] for n in places], [self.digits[n] for n in places])


class CorrectedValues(NamedTuple):
    """What people verified of a table.

    Attributes:
        digits: the single digits.
        numbers: the numbers written freely.
        table: its name.
        remarks: what was left out, a line each.
    """

    digits: CorrectedDigits
    numbers: CorrectedNumbers
    table: str
    remarks: Sequence[str]

    @property
    def page_count(self) -> int:
        """How many pages have a value that is learned from."""
        return len({*self.digits.pages.tolist(), *self.numbers.pages.tolist()})


def load_corrected_values(path: str, folders: Sequence[str] = ()) -> CorrectedValues:
    """Cut the values that people verified out of the scans of their table.

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
        gathered = gather_values(results)
        said = len(results.book.corrections)
    if len(gathered.unmatched) == said:
        raise UsageError(
            f"'{path}': none of its {said:,} corrections belongs to a row of '{table}': give the "
            "corrections beside the table that they are about"
        )
    cut = cut_values(gathered.wanted, folders)
    out = CorrectedValues(
        _collect_digits(cut.digits, gathered.others),
        _collect_numbers(cut.numbers, gathered.other_numbers),
        Path(table).name,
        [*describe_left_out(gathered), *(_describe_lost(*one) for one in cut.lost.items())],
    )
    _check_count(out, table)
    return out


def _collect_digits(cut: CutDigits, others: Counter[str]) -> CorrectedDigits:
    return CorrectedDigits(
        np.concatenate([np.zeros((0, 28, 28), np.uint8), *cut.pictures]),
        np.array(cut.labels, np.int64),
        np.array(cut.pages, np.int64),
        np.array(cut.doubtful, bool),
        UncorrectedCounts(others["ok"], others["review"]),
    )


def _collect_numbers(cut: CutNumbers, others: Counter[str]) -> CorrectedNumbers:
    return CorrectedNumbers(
        cut.crops,
        cut.digits,
        np.array(cut.pages, np.int64),
        np.array(cut.doubtful, bool),
        UncorrectedCounts(others["ok"], others["review"]),
    )


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
        f"expected {MIN_DIGITS} digits or more on {MIN_PAGES} files or pages that people verified, "
        f"or {MIN_NUMBERS} numbers; settle values by batchdigits review {table} --out review.html"
    )


def _check_count(found: CorrectedValues, table: str) -> None:
    digits, numbers = found.digits, found.numbers
    if digits.is_enough or numbers.is_enough:
        return
    left_out = f" ({'; '.join(found.remarks)})" if found.remarks else ""
    raise UsageError(
        f"too few corrections: got {digits.digit_count} digits on {digits.page_count} files or "
        f"pages and {len(numbers.digits)} numbers on {numbers.page_count}{left_out}, "
        f"{_tell_needed(table)}"
    )


def _describe_lost(fault: str, files: Sequence[str]) -> str:
    return (
        f"{len(files):,} values are left out, such as that of '{files[0]}': {fault} "
        "(--pictures FOLDER says where files were moved to)"
    )
