"""Which format a path names, and which dialect of it the options ask for."""

import os
from collections.abc import Sequence

from batchdigits.errors import UsageError
from batchdigits.outputs.delimited import CSV, TSV, DelimitedText, Dialect, make_dialect
from batchdigits.outputs.json_lines import JsonLines
from batchdigits.outputs.parquet import Parquet
from batchdigits.outputs.table_format import TableFormat
from batchdigits.outputs.xlsx import Xlsx


def _index_formats(formats: Sequence[TableFormat]) -> dict[str, TableFormat]:
    return {table_format.suffix: table_format for table_format in formats}


FORMATS = _index_formats([CSV, TSV, JsonLines(), Parquet(), Xlsx()])


def find_format(path: str) -> TableFormat | None:
    """Return the format that the suffix of a path names, in any case; None for other suffixes."""
    return FORMATS.get(os.path.splitext(path)[1].lower())


def choose_format(out: str, dialect: Dialect, option: str = "--out") -> TableFormat:
    """Return the format of a table that is to be written.

    Args:
        out: its path; `-` is CSV.
        dialect: for spreadsheets.
        option: the option that gave `out`, for messages.

    Raises:
        UsageError: unknown suffix, or a dialect of a format that has none.
    """
    table_format = FORMATS[".csv"] if out == "-" else find_format(out)
    if table_format is None:
        expected = f"{', '.join(FORMATS)}, or - for CSV on standard output"
        parts = " (a folder of parts, not available in this version)" if out[-1:] == "/" else ""
        raise UsageError(f"{option} must end in {expected}, got {out!r}{parts}")
    if not any(dialect):
        return table_format
    if not isinstance(table_format, DelimitedText):
        asked = "--excel" if dialect.excel else "--decimal-comma"
        expected = f"{CSV.suffix}, {TSV.suffix} and -"
        raise UsageError(f"{asked} is for {expected}, got {option} {out!r}: leave it out")
    return make_dialect(table_format, dialect)
