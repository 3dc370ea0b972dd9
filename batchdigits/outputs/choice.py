"""Which format a path names, and which dialect of it the options ask for."""

import os
from collections.abc import Sequence

from batchdigits.errors import UsageError
from batchdigits.outputs.delimited import CSV, TSV, DelimitedText, Dialect, make_dialect
from batchdigits.outputs.json_lines import JsonLines
from batchdigits.outputs.parquet import Parquet
from batchdigits.outputs.table_format import TableFormat
from batchdigits.outputs.xlsx import Xlsx
from batchdigits.paths import is_part_folder


def _index_formats(formats: Sequence[TableFormat]) -> dict[str, TableFormat]:
    return {table_format.suffix: table_format for table_format in formats}


FORMATS = _index_formats([CSV, TSV, JsonLines(), Parquet(), Xlsx()])


def find_format(path: str) -> TableFormat | None:
    """Return the format that the suffix of a path names, in any case; None for other suffixes.

    A folder is a table only if it holds a manifest.
    """
    if os.path.isdir(path):
        return choose_part_format(path) if is_part_folder(path.rstrip("/")) else None
    return _find_suffix_format(path)


def _find_suffix_format(path: str) -> TableFormat | None:
    return FORMATS.get(os.path.splitext(path)[1].lower())


def choose_part_format(folder: str) -> TableFormat:
    """Return the format of the parts in a folder: that of its name's suffix, else Parquet.

    Raises:
        UsageError: the suffix is that of a workbook.
    """
    table_format = _find_suffix_format(folder.rstrip("/")) or FORMATS[".parquet"]
    if table_format.holds_sheets:
        raise UsageError(
            f"parts are no {table_format.suffix}: expected {folder!r} to be named otherwise, as "
            "results/ for Parquet or results.csv/ for CSV"
        )
    return table_format


def choose_format(out: str, dialect: Dialect, option: str = "--out") -> TableFormat:
    """Return the format of a table that is to be written.

    Args:
        out: its path; `-` is CSV.
        dialect: for spreadsheets.
        option: the option that gave `out`, for messages.

    Raises:
        UsageError: unknown suffix, or a dialect of a format that has none.
    """
    if out.endswith("/") and option == "--out":
        table_format: TableFormat | None = choose_part_format(out)
    else:
        table_format = FORMATS[".csv"] if out == "-" else _find_suffix_format(out)
    if table_format is None:
        folder = "a folder ending in / for parts, " if option == "--out" else ""
        expected = f"{', '.join(FORMATS)}, {folder}or - for CSV on standard output"
        raise UsageError(f"{option} must end in {expected}, got {out!r}")
    if not any(dialect):
        return table_format
    if not isinstance(table_format, DelimitedText):
        asked = "--excel" if dialect.excel else "--decimal-comma"
        expected = f"{CSV.suffix}, {TSV.suffix} and -"
        raise UsageError(f"{asked} is for {expected}, got {option} {out!r}: leave it out")
    return make_dialect(table_format, dialect)
