"""Results tables and truth, in every format that `run` writes → DataFrames of checked columns."""

from collections.abc import Sequence
from typing import get_args

import pandas as pd

from batchdigits import outputs
from batchdigits.errors import UsageError
from batchdigits.records import Status
from batchdigits.sources.names import UNESCAPED_CHARACTER

KEY_COLUMNS = ("file", "page", "field")
"""What a value is known by, in results and in truth."""
VALUE_PATTERN = r"[0-9]+\.[0-9]+|[0-9]*"
"""What a value may be: digits, those of an amount with a separator, or nothing."""
READING_COLUMNS = [*KEY_COLUMNS, "value", "confidence", "status"]
"""The columns of the results that an evaluation uses."""
STATUSES: tuple[str, ...] = get_args(Status)


def is_table(path: str) -> bool:
    """Tell by the suffix whether a path is a table's, and no picture's or folder's."""
    return outputs.find_format(path) is not None


def read_results(path: str) -> pd.DataFrame:
    """Read a results table.

    Args:
        path: a table as `run` writes it: .csv or .tsv (separated by comma, semicolon or tab,
            with or without a byte order mark), .jsonl, .parquet or .xlsx. Columns `page` and
            `field` may be missing: page 1, no field.

    Returns:
        One line a row, in the order of the table: `file`, `field`, `value` and `status` str,
        `page` int64, `confidence` float64 in [0, 1], NaN where there is none.

    Raises:
        UsageError: it cannot be read, lacks a column, or holds what no run writes.
    """
    table = read_text_table(path, ("file", "value", "confidence", "status"))
    table["page"] = parse_page_numbers(table.get("page", pd.Series("1", table.index)), path)
    table["field"] = table.get("field", pd.Series("", table.index, dtype="str"))
    check_column(
        path, table["value"], ~table["value"].str.fullmatch(VALUE_PATTERN), "a value of digits"
    )
    for name in ("file", "field"):  # what is written by hand must not steer what shows it
        foul = table[name].map(lambda cell: bool(UNESCAPED_CHARACTER.search(cell))).astype(bool)
        check_column(path, table[name], foul, f"a {name} as a run writes it")
    known = table["status"].isin(STATUSES)
    check_column(path, table["status"], ~known, f"a status among {', '.join(STATUSES)}")
    written = table["confidence"]
    table["confidence"] = pd.to_numeric(written.where(written != ""), errors="coerce").astype(float)
    wrong = (written != "") & ~table["confidence"].between(0, 1)
    check_column(path, written, wrong, "a confidence from 0 to 1")
    check_column(
        path, table["file"], table.duplicated(list(KEY_COLUMNS)), "every file, page and field once"
    )
    return table[READING_COLUMNS]


def parse_page_numbers(written: pd.Series, path: str) -> pd.Series:
    """Turn page numbers as text into int64; an empty one is page 1.

    Raises:
        UsageError: one is no whole number from 1.
    """
    numbers = pd.to_numeric(written.where(written != "", "1"), errors="coerce")
    check_column(path, written, ~((numbers >= 1) & (numbers % 1 == 0)), "a page number from 1")
    return numbers.astype("int64")


def check_column(path: str, column: pd.Series, wrong: pd.Series, expected: str) -> None:
    """Name the first wrong cell of a column and count the others.

    Raises:
        UsageError: there is one.
    """
    if wrong.any():
        first, more = column[wrong].iloc[0], int(wrong.sum()) - 1
        others = f", and {more:,} more like it" if more else ""
        raise UsageError(
            f"'{path}': column '{column.name}': expected {expected}, got {str(first)!r}{others}: "
            "correct the table"
        )


def read_text_table(path: str, needed: Sequence[str]) -> pd.DataFrame:
    """Read any table as text: every column str, empty where a cell has nothing.

    Args:
        path: as in `read_results`.
        needed: columns that must be there.

    Raises:
        UsageError: it cannot be read, or lacks a column.
    """
    table = outputs.read_table(path)
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise UsageError(
            f"'{path}' lacks the column '{missing[0]}': expected {', '.join(needed)}, "
            f"got {', '.join(table.columns) or 'none'}"
        )
    return table
