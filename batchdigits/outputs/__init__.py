"""Rows → the results table: a file put in place whole, standard output, or a DataFrame.

Rows are written as they come: memory stays flat, and the same rows give the same bytes however
they are handed over. A file is written aside, under a hidden name in its own folder, and renamed
into place when it is complete. In `detail`, control characters and halves of surrogate pairs
become spaces, and where it would begin with `= + - @` it begins with `'` (OWASP ASVS 5.0,
requirement 1.2.10; a space in front is often trimmed away on import).
"""

import csv
import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import datetime
from functools import partial
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from batchdigits.errors import OutputError, UsageError
from batchdigits.files import check_writable, open_atomic_file, wrap_os_errors
from batchdigits.outputs.layouts import (
    DIGITS_LAYOUT,
    FIELDS_LAYOUT,
    LONG_LAYOUT,
    RESULT_COLUMNS,
    Column,
    TableLayout,
    TableLine,
    make_page_layout,
)
from batchdigits.records import Row

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "DIGITS_LAYOUT",
    "FIELDS_LAYOUT",
    "LONG_LAYOUT",
    "RESULT_COLUMNS",
    "TableLayout",
    "build_dataframe",
    "check_table_path",
    "make_page_layout",
    "open_table_writer",
    "wrap_os_errors",
]

SHEET_ROWS = 1_048_576  # that one sheet of a spreadsheet holds, the header among them
_SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet", ".xlsx")
_LIBRARIES = {".parquet": "pyarrow.parquet", ".xlsx": "xlsxwriter"}
_LINES_PER_WRITE = 4096  # rows put at a time, so that a generator of a million is never held whole
_ROW_GROUP_SIZE = (
    65_536  # rows of a Parquet row group: fixed, or the bytes would depend on the chunks
)
_MARKUP = re.compile(r"\A(?=<r>.*</r>\Z)", re.DOTALL)  # XlsxWriter would not take it for text
_CONFIDENCE_DECIMALS = 4  # of a share, in text and in a sheet

LineWriter = Callable[[list[TableLine]], object]
RecordWriter = Callable[[Iterable[Any]], None]


def check_table_path(out: str, *, excel: bool = False, option: str = "--out") -> None:
    """Say now, before anything is read, whether a table can be written to `out`.

    Args:
        out: a path that ends in .csv, .tsv, .jsonl, .parquet or .xlsx; `-` is CSV to stdout.
        excel: as in `open_table_writer`.
        option: that it was given by.

    Raises:
        UsageError: unknown suffix, a missing library, or `excel` with neither CSV nor TSV.
        OutputError: the folder is missing or not writable, or `out` is there and no file.
    """
    ending = _parse_suffix(out, option)
    if excel and ending not in (".csv", ".tsv"):
        raise UsageError(f"--excel is for .csv, .tsv and -, got {option} {out!r}: leave it out")
    try:
        import_module(_LIBRARIES.get(ending, "csv"))
    except ImportError as fault:
        install = f"pip install 'batchdigits[{ending[1:]}]'"
        raise UsageError(f"cannot import what writes {ending} ({fault}): {install}") from fault
    if out != "-":
        with wrap_os_errors(out):
            check_writable(out)
    elif sys.stdout is None:
        raise OutputError("--out - writes to standard output, which is closed: open it")


def build_dataframe(rows: Iterable[Row], layout: TableLayout = LONG_LAYOUT) -> "pd.DataFrame":
    """Give the rows as a DataFrame.

    Args:
        rows: of the results.
        layout: what its lines hold.

    Returns:
        DataFrame: `page` int64, confidences float64 (NaN where there is none), the others `str`
        (007 stays 007); the index counts from 0.
    """
    import pandas as pd  # noqa: PLC0415 (half a second that the command line need not spend)

    kinds = {str: "str", int: "int64", float: "float64"}
    dtypes = {column.name: kinds[column.kind] for column in layout.columns}
    return pd.DataFrame(list(layout.lines(rows)), columns=layout.names).astype(dtypes)


@contextmanager
def open_table_writer(
    out: str, *layouts: TableLayout, excel: bool = False
) -> Iterator[RecordWriter]:
    """Open the table `out` for writing; gives a function that writes records to it, in order.

    The table takes its place when the block ends without an exception; else `out` is as it
    was (a hard kill leaves a hidden `.batchdigits-*.tmp` beside it). An existing table keeps
    its mode, and a symbolic link is followed. Confidence has four decimals in CSV and TSV, and
    is empty (JSON, Parquet: null) where a row has none.

    Args:
        out: as in `check_table_path`.
        layouts: what its lines hold; none for `LONG`. Of several, all are made from the same
            records: an .xlsx has a sheet for each, other formats hold the first alone.
        excel: write a UTF-8 byte order mark, and for CSV only `;` between columns.

    Raises:
        UsageError, OutputError: as in `check_table_path`, and OutputError when writing fails or an .xlsx
            gets more rows than a sheet holds.
        BrokenPipeError: nobody reads standard output any more, which is no fault: end quietly.
    """
    check_table_path(out, excel=excel)
    held = (layouts or (LONG_LAYOUT,))[: None if _parse_suffix(out) == ".xlsx" else 1]
    with ExitStack() as stack:
        with wrap_os_errors(out):
            place = _open_stdout() if out == "-" else open_atomic_file(Path(os.path.realpath(out)))
            puts = stack.enter_context(
                _open_line_writers(out, stack.enter_context(place), held, excel)
            )

        def write(records: Iterable[Any]) -> None:
            given = records if len(held) == 1 else list(records)
            for layout, put in zip(held, puts, strict=True):
                lines = layout.lines(given)
                while chunk := list(islice(lines, _LINES_PER_WRITE)):
                    with wrap_os_errors(
                        out
                    ):  # only around ours: a fault of who makes them is theirs
                        put(chunk)

        yield write
        with wrap_os_errors(out):
            stack.close()


def _parse_suffix(out: str, option: str = "--out") -> str:
    ending = ".csv" if out == "-" else os.path.splitext(out)[1].lower()
    known = f"{', '.join(_SUFFIXES)}, or - for CSV on standard output"
    if ending not in _SUFFIXES:
        parts = " (a folder of parts, not available in this version)" if out[-1:] == "/" else ""
        raise UsageError(f"{option} must end in {known}, got {out!r}{parts}")
    return ending


@contextmanager
def _open_stdout() -> Iterator[BinaryIO]:
    sys.stdout.flush()
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except (OSError, OutputError):
        # The interpreter would try once more at its end, complain, and exit with 120.
        with suppress(OSError), Path(os.devnull).open("wb") as null:
            os.dup2(null.fileno(), sys.stdout.fileno())
        raise


def _open_line_writers(
    out: str, file: BinaryIO, layouts: Sequence[TableLayout], excel: bool
) -> AbstractContextManager[list[LineWriter]]:
    """Open an empty file in the format of `out`; gives what puts lines into it, by layout."""
    ending, columns = _parse_suffix(out), layouts[0].columns
    if ending in _LIBRARIES:
        return (
            _open_parquet_writer(file, columns)
            if ending == ".parquet"
            else _open_xlsx_writer(file, layouts)
        )
    if ending == ".jsonl":
        encode = json.JSONEncoder(ensure_ascii=False).encode
        return _open_text_writer(
            file, "", lambda lines: "".join(f"{encode(line)}\n" for line in lines)
        )
    separator = "\t" if ending == ".tsv" else ";" if excel else ","
    mark = "\N{BYTE ORDER MARK}" if excel else ""
    header = mark + separator.join(layouts[0].names) + "\n"
    return _open_text_writer(
        file, header, partial(_format_delimited, separator=separator, columns=columns)
    )


@contextmanager
def _open_text_writer(
    file: BinaryIO, header: str, text: Callable[[list[TableLine]], str]
) -> Iterator[list[LineWriter]]:
    def put(text: str) -> None:
        rest = text.encode()
        while rest:  # with PYTHONUNBUFFERED, standard output may take only a part
            rest = rest[file.write(rest) :]

    put(header)
    yield [lambda lines: put(text(lines))]


def _format_delimited(lines: list[TableLine], separator: str, columns: Sequence[Column]) -> str:
    text = io.StringIO(newline="")
    shares = [column.name for column in columns if column.kind is float]
    table = csv.writer(text, delimiter=separator, lineterminator="\n")
    for line in lines:
        written = {n: f"{line[n]:.{_CONFIDENCE_DECIMALS}f}" for n in shares if line[n] is not None}
        table.writerow((line | written).values())
    return text.getvalue()


@contextmanager
def _open_parquet_writer(file: BinaryIO, columns: Sequence[Column]) -> Iterator[list[LineWriter]]:
    pq, pa = import_module("pyarrow.parquet"), import_module("pyarrow")
    types = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    parquet = pq.ParquetWriter(file, pa.schema([(c.name, types[c.kind]) for c in columns]))
    waiting: list[TableLine] = []

    def put(lines: list[TableLine], size: int = _ROW_GROUP_SIZE) -> None:
        waiting.extend(lines)
        while len(waiting) >= size:
            parquet.write_table(pa.Table.from_pylist(waiting[:size], schema=parquet.schema))
            del waiting[:size]

    try:
        yield [put]
        put([], size=len(waiting) or 1)
        parquet.close()
    finally:
        with suppress(OSError):  # left open, it would write to a closed file when collected
            parquet.close()


@contextmanager
def _open_xlsx_writer(file: BinaryIO, layouts: Sequence[TableLayout]) -> Iterator[list[LineWriter]]:
    xlsxwriter = import_module("xlsxwriter")
    path = Path(file.name)
    with tempfile.TemporaryDirectory(".tmp", ".batchdigits-", path.parent, True) as spool:
        book = xlsxwriter.Workbook(str(path), {"constant_memory": True, "tmpdir": spool})
        book.set_properties({"created": datetime(2000, 1, 1)})  # not now: same rows, same bytes
        sheets = [_SheetWriter(book, layout) for layout in layouts]
        try:
            yield [sheet.write_lines for sheet in sheets]
            for sheet in sheets:
                sheet.add_filter()
            book.close()
        except xlsxwriter.exceptions.XlsxFileError as fault:
            raise OSError(str(fault)) from fault
        finally:
            for sheet in sheets:
                sheet.close_spool_file()


class _SheetWriter:
    """One sheet of a book that is being written."""

    def __init__(self, book: Any, layout: TableLayout) -> None:
        self._sheet, self._columns, self._height = (
            book.add_worksheet(layout.sheet),
            layout.columns,
            0,
        )
        formats = {str: {}, int: {}, float: {"num_format": "0.0000"}}
        bold, text = book.add_format({"bold": True}), {"num_format": "@"}
        for at, column in enumerate(layout.columns):
            shown = text if column.text else formats[column.kind]
            self._sheet.set_column(at, at, column.width, book.add_format(shown))
            self._sheet.write_string(0, at, column.name, bold)
        self._sheet.freeze_panes(1, 0)

    def write_lines(self, lines: list[TableLine]) -> None:
        """Write lines below those that are there."""
        for line in lines:
            self._height += 1
            if self._height >= SHEET_ROWS:
                raise OutputError(
                    f"an .xlsx holds {SHEET_ROWS - 1:,} rows, the results more: choose .csv"
                )
            for at, cell in enumerate(line.values()):
                if isinstance(cell, (int, float)):
                    self._sheet.write_number(self._height, at, cell)
                elif cell:  # a cell of empty text would not count as blank
                    self._sheet.write_string(self._height, at, _MARKUP.sub("./", cell))

    def add_filter(self) -> None:
        """Put a filter over the columns."""
        self._sheet.autofilter(0, 0, self._height, len(self._columns) - 1)

    def close_spool_file(self) -> None:
        """Let go of the sheet's own file, be the book closed or not."""
        with suppress(OSError):
            self._sheet.row_data_fh.close()
