"""Results tables → DataFrames with checked columns."""

from collections.abc import Sequence
from typing import get_args

import pandas as pd

from batchdigits import outputs
from batchdigits.errors import UsageError
from batchdigits.records import Status
from batchdigits.sources.inspection import UNESCAPED_CHARACTER

KEY_COLUMNS = ("file", "page", "field")
"""Columns that identify a value, in results and in truth."""
VALUE_PATTERN = r"[0-9]+\.[0-9]+|[0-9]*"
"""A value: digits, an amount with a decimal point, or nothing."""
READING_COLUMNS = [*KEY_COLUMNS, "value", "confidence", "status"]
"""Columns of the results that an evaluation uses."""
STATUSES: tuple[str, ...] = get_args(Status)


def is_table(path: str) -> bool:
    """Return whether a path has the suffix of a table, and is not a picture or folder."""
    return outputs.find_format(path) is not None


def read_results(path: str) -> pd.DataFrame:
    """Read a results table.

    Args:
        path: as in `outputs.read_table`. Columns `page` and `field` may be missing: page 1, no
            field.

    Returns:
        A line per row, in the order of the table: `file`, `field`, `value` and `status` str,
        `page` int64, `confidence` float64 in [0, 1], NaN where there is none.

    Raises:
        UsageError: it cannot be read, lacks a column, or has a cell that no run writes.
    """
    table = read_text_table(path, ("file", "value", "confidence", "status"))
    table["page"] = parse_page_numbers(table.get("page", pd.Series("1", table.index)), path)
    table["field"] = table.get("field", pd.Series("", table.index, dtype="str"))
    refuse_wrong_cells(
        path, table["value"], ~table["value"].str.fullmatch(VALUE_PATTERN), "a value of digits"
    )
    for name in ("file", "field"):  # control characters could steer a terminal
        raw = table[name].map(lambda cell: bool(UNESCAPED_CHARACTER.search(cell))).astype(bool)
        refuse_wrong_cells(path, table[name], raw, f"a {name} as a run writes it")
    known = table["status"].isin(STATUSES)
    refuse_wrong_cells(path, table["status"], ~known, f"a status among {', '.join(STATUSES)}")
    written = table["confidence"]
    table["confidence"] = pd.to_numeric(written.where(written != ""), errors="coerce").astype(float)
    wrong = (written != "") & ~table["confidence"].between(0, 1)
    refuse_wrong_cells(path, written, wrong, "a confidence from 0 to 1")
    refuse_wrong_cells(
        path, table["file"], table.duplicated(list(KEY_COLUMNS)), "every file, page and field once"
    )
    return table[READING_COLUMNS]


def parse_page_numbers(written: pd.Series, path: str) -> pd.Series:
    """Turn page numbers as text into int64; empty text is page 1.

    Raises:
        UsageError: a page is not a whole number from 1.
    """
    numbers = pd.to_numeric(written.where(written != "", "1"), errors="coerce")
    refuse_wrong_cells(
        path, written, ~((numbers >= 1) & (numbers % 1 == 0)), "a page number from 1"
    )
    return numbers.astype("int64")


def refuse_wrong_cells(path: str, column: pd.Series, wrong: pd.Series, expected: str) -> None:
    """Check that no cell of a column is wrong.

    Args:
        path: of the table, for the message.
        column: its cells.
        wrong: bool, one for each cell.
        expected: what a cell should be, for the message.

    Raises:
        UsageError: a cell is wrong; it names the first, and counts the others.
    """
    if wrong.any():
        first, more = column[wrong].iloc[0], int(wrong.sum()) - 1
        others = f", and {more:,} more like it" if more else ""
        raise UsageError(
            f"'{path}': column '{column.name}': expected {expected}, got {str(first)!r}{others}: "
            "correct the table"
        )


def read_text_table(path: str, needed: Sequence[str]) -> pd.DataFrame:
    """Read a table as text, and check that it has some columns.

    Args:
        path: as in `outputs.read_table`.
        needed: names of the columns.

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
