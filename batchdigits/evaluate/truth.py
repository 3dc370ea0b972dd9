"""Readings matched with truth, from a file or from the names of folders."""

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from batchdigits.errors import UsageError
from batchdigits.evaluate.tables import (
    KEY_COLUMNS,
    VALUE_PATTERN,
    parse_page_numbers,
    read_text_table,
    refuse_wrong_cells,
)

NO_DIGIT_TRUTH = "none"
"""The truth of something that is not a digit."""
_SKIP = "skip"
_DIGITS = {str(digit): str(digit) for digit in range(10)}
_TRUTH_BY_WORD = _DIGITS | {"empty": "", NO_DIGIT_TRUTH: NO_DIGIT_TRUTH, _SKIP: _SKIP}


class MatchedReadings(NamedTuple):
    """Readings beside their truth.

    Attributes:
        readings: a line per value: `file`, `page`, `field`, `value`, `confidence`, `status` as in
            the results, and `truth` str: digits, empty for a blank box, `none` for something that
            is not a digit.
        unknown: how many rows of the results have no truth; they are left out.
        skipped: how many rows the labels leave out.
    """

    readings: pd.DataFrame
    unknown: int
    skipped: int


class Truth(NamedTuple):
    """The content of a truth file.

    Attributes:
        path: of the file, for messages.
        key: those of `KEY_COLUMNS` that it has, in their order.
        lines: the columns of `key`, and `truth` as in `MatchedReadings.readings`, or `skip`.
    """

    path: str
    key: list[str]
    lines: pd.DataFrame


def read_truth(path: str, labels: Mapping[str, str] | None = None) -> Truth:
    """Read a truth file.

    Args:
        path: a table in any format of `outputs.read_table`, with the columns `file` and `value`,
            and perhaps `page` and `field`. Values are digits, empty (the box is blank) or `none`
            (not a digit); an empty page is page 1.
        labels: what other values mean, as from `labelled.parse_label_map`.

    Raises:
        UsageError: it cannot be read, has a row twice, or a value without a meaning.
    """
    table = read_text_table(path, ("file", "value"))
    key = [name for name in KEY_COLUMNS if name in table.columns]
    if "page" in key:
        table["page"] = parse_page_numbers(table["page"], path)
    refuse_wrong_cells(path, table["file"], table.duplicated(key), f"every {', '.join(key)} once")
    value = table["value"].str.strip()
    meant = value.map({name: _TRUTH_BY_WORD[word] for name, word in (labels or {}).items()})
    truth = meant.astype("str").fillna(value)
    wrong = ~truth.str.fullmatch(f"{VALUE_PATTERN}|{NO_DIGIT_TRUTH}|{_SKIP}")
    refuse_wrong_cells(
        path, table["value"], wrong, "digits, nothing (blank) or none (--labels maps others)"
    )
    return Truth(path, key, table[key].assign(truth=truth))


def match_truth(results: pd.DataFrame, truth: Truth) -> MatchedReadings:
    """Match results with truth, by file, page and field.

    A column `page` or `field` that the truth lacks is not compared; each file with a truth then
    has one row.

    Args:
        results: as `read_results` returns them.
        truth: as `read_truth` returns it.

    Raises:
        UsageError: the truth has a row that the results lack, or one line for several rows.
    """
    check_truth_rows(truth, results)
    has_truth = results["file"].isin(truth.lines["file"])
    several = results.duplicated(truth.key, keep=False) & has_truth
    if several.any():
        raise UsageError(
            f"'{truth.path}' cannot tell the rows of '{results['file'][several].iloc[0]}' from "
            f"each other: add the columns {', '.join(n for n in KEY_COLUMNS if n not in truth.key)}"
        )
    return _select_matched(results.merge(truth.lines, on=truth.key, how="left"))


def check_truth_rows(truth: Truth, results: pd.DataFrame) -> None:
    """Check that the results have every row of the truth, by the key columns that both have.

    Raises:
        UsageError: the results lack a row.
    """
    key = [name for name in truth.key if name in results.columns]
    lines, rows = (pd.MultiIndex.from_frame(table[key]) for table in (truth.lines, results))
    has_row = lines.isin(rows)
    if not has_row.all():
        first, more = truth.lines[~has_row].iloc[0], int((~has_row).sum()) - 1
        place = "".join(f", {name} {first[name]}" for name in key[1:] if first[name] != "")
        others = f" (and {more:,} more)" if more else ""
        alike = f"; names there look like '{results['file'].iloc[0]}'" if len(results) else ""
        raise UsageError(
            f"'{truth.path}' has a truth for '{first['file']}'{place}{others}, which is not among "
            f"the results{alike}: correct or remove it"
        )


def match_folder_labels(
    results: pd.DataFrame, labels: Mapping[str, str] | None = None
) -> MatchedReadings:
    """Match results with the names of the files' folders: the truth of `inbox/7/a.png` is 7.

    Args:
        results: as `read_results` returns them; the column `file` is enough.
        labels: what names that are not digits mean, as from `labelled.parse_label_map`.

    Raises:
        UsageError: the name of a folder is not a digit, and not among `labels`.
    """
    folders = results["file"].str.rsplit("/", n=1).str[0].str.rsplit("/", n=1).str[-1]
    folders = folders.where(results["file"].str.contains("/", regex=False), "")
    known = _DIGITS | {name: _TRUTH_BY_WORD[word] for name, word in (labels or {}).items()}
    is_unknown = ~folders.isin(known)
    if is_unknown.any():
        others = int(folders[is_unknown].nunique()) - 1
        name = folders[is_unknown].iloc[0]
        raise UsageError(
            f"'{results['file'][is_unknown].iloc[0]}': its folder '{name}'"
            f"{f' (and {others} more)' if others else ''} is no digit 0 to 9: say what it means, "
            f"as in --labels '{name or 'NAME'}=empty' (or a digit, none, skip)"
        )
    return _select_matched(results.assign(truth=folders.map(known)))


def _select_matched(rows: pd.DataFrame) -> MatchedReadings:
    known = rows["truth"].notna()
    skipped = rows["truth"] == _SKIP
    readings = rows[known & ~skipped].reset_index(drop=True)
    if readings.empty:
        raise UsageError("no value has a truth to compare it with: expected one at least")
    return MatchedReadings(readings, int((~known).sum()), int(skipped.sum()))
