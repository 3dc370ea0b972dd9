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
from batchdigits.files import aside, check_place, faults
from batchdigits.outputs.layouts import COLUMNS, DIGITS, FIELDS, LONG, Column, Layout, Line, pages
from batchdigits.records import Row

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "COLUMNS",
    "DIGITS",
    "FIELDS",
    "LONG",
    "Layout",
    "check",
    "faults",
    "pages",
    "table",
    "writer",
]

SHEET_ROWS = 1_048_576  # that one sheet of a spreadsheet holds, the header among them
_ENDINGS = (".csv", ".tsv", ".jsonl", ".parquet", ".xlsx")
_LIBRARIES = {".parquet": "pyarrow.parquet", ".xlsx": "xlsxwriter"}
_CHUNK = 4096  # rows put at a time, so that a generator of a million is never held whole
_GROUP = 65_536  # rows of a Parquet row group: fixed, or the bytes would depend on the chunks
_MARKUP = re.compile(r"\A(?=<r>.*</r>\Z)", re.DOTALL)  # XlsxWriter would not take it for text
_DECIMALS = 4  # of a share, in text and in a sheet

Put = Callable[[list[Line]], object]
Write = Callable[[Iterable[Any]], None]


def check(out: str, *, excel: bool = False, option: str = "--out") -> None:
    """Say now, before anything is read, whether a table can be written to `out`.

    Args:
        out: a path that ends in .csv, .tsv, .jsonl, .parquet or .xlsx; `-` is CSV to stdout.
        excel: as in `writer`.
        option: that it was given by.

    Raises:
        UsageError: unknown suffix, a missing library, or `excel` with neither CSV nor TSV.
        OutputError: the folder is missing or not writable, or `out` is there and no file.
    """
    ending = _ending(out, option)
    if excel and ending not in (".csv", ".tsv"):
        raise UsageError(f"--excel is for .csv, .tsv and -, got {option} {out!r}: leave it out")
    try:
        import_module(_LIBRARIES.get(ending, "csv"))
    except ImportError as fault:
        install = f"pip install 'batchdigits[{ending[1:]}]'"
        raise UsageError(f"cannot import what writes {ending} ({fault}): {install}") from fault
    if out != "-":
        with faults(out):
            check_place(out)
    elif sys.stdout is None:
        raise OutputError("--out - writes to standard output, which is closed: open it")


def table(rows: Iterable[Row], layout: Layout = LONG) -> "pd.DataFrame":
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
def writer(out: str, *layouts: Layout, excel: bool = False) -> Iterator[Write]:
    """Open the table `out` for writing; gives a function that writes records to it, in order.

    The table takes its place when the block ends without an exception; else `out` is as it
    was (a hard kill leaves a hidden `.batchdigits-*.tmp` beside it). An existing table keeps
    its mode, and a symbolic link is followed. Confidence has four decimals in CSV and TSV, and
    is empty (JSON, Parquet: null) where a row has none.

    Args:
        out: as in `check`.
        layouts: what its lines hold; none for `LONG`. Of several, all are made from the same
            records: an .xlsx has a sheet for each, other formats hold the first alone.
        excel: write a UTF-8 byte order mark, and for CSV only `;` between columns.

    Raises:
        UsageError, OutputError: as in `check`, and OutputError when writing fails or an .xlsx
            gets more rows than a sheet holds.
        BrokenPipeError: nobody reads standard output any more, which is no fault: end quietly.
    """
    check(out, excel=excel)
    held = (layouts or (LONG,))[: None if _ending(out) == ".xlsx" else 1]
    with ExitStack() as stack:
        with faults(out):
            place = _standard_output() if out == "-" else aside(Path(os.path.realpath(out)))
            puts = stack.enter_context(_format(out, stack.enter_context(place), held, excel))

        def write(records: Iterable[Any]) -> None:
            given = records if len(held) == 1 else list(records)
            for layout, put in zip(held, puts, strict=True):
                lines = layout.lines(given)
                while chunk := list(islice(lines, _CHUNK)):
                    with faults(out):  # only around ours: a fault of who makes them is theirs
                        put(chunk)

        yield write
        with faults(out):
            stack.close()


def _ending(out: str, option: str = "--out") -> str:
    ending = ".csv" if out == "-" else os.path.splitext(out)[1].lower()
    known = f"{', '.join(_ENDINGS)}, or - for CSV on standard output"
    if ending not in _ENDINGS:
        parts = " (a folder of parts, not available in this version)" if out[-1:] == "/" else ""
        raise UsageError(f"{option} must end in {known}, got {out!r}{parts}")
    return ending


@contextmanager
def _standard_output() -> Iterator[BinaryIO]:
    sys.stdout.flush()
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except (OSError, OutputError):
        # The interpreter would try once more at its end, complain, and exit with 120.
        with suppress(OSError), Path(os.devnull).open("wb") as null:
            os.dup2(null.fileno(), sys.stdout.fileno())
        raise


def _format(
    out: str, file: BinaryIO, layouts: Sequence[Layout], excel: bool
) -> AbstractContextManager[list[Put]]:
    """Open an empty file in the format of `out`; gives what puts lines into it, by layout."""
    ending, columns = _ending(out), layouts[0].columns
    if ending in _LIBRARIES:
        return _parquet(file, columns) if ending == ".parquet" else _xlsx(file, layouts)
    if ending == ".jsonl":
        encode = json.JSONEncoder(ensure_ascii=False).encode
        return _text(file, "", lambda lines: "".join(f"{encode(line)}\n" for line in lines))
    separator = "\t" if ending == ".tsv" else ";" if excel else ","
    mark = "\N{BYTE ORDER MARK}" if excel else ""
    header = mark + separator.join(layouts[0].names) + "\n"
    return _text(file, header, partial(_delimited, separator=separator, columns=columns))


@contextmanager
def _text(file: BinaryIO, header: str, text: Callable[[list[Line]], str]) -> Iterator[list[Put]]:
    def put(text: str) -> None:
        rest = text.encode()
        while rest:  # with PYTHONUNBUFFERED, standard output may take only a part
            rest = rest[file.write(rest) :]

    put(header)
    yield [lambda lines: put(text(lines))]


def _delimited(lines: list[Line], separator: str, columns: Sequence[Column]) -> str:
    text = io.StringIO(newline="")
    shares = [column.name for column in columns if column.kind is float]
    table = csv.writer(text, delimiter=separator, lineterminator="\n")
    for line in lines:
        written = {n: f"{line[n]:.{_DECIMALS}f}" for n in shares if line[n] is not None}
        table.writerow((line | written).values())
    return text.getvalue()


@contextmanager
def _parquet(file: BinaryIO, columns: Sequence[Column]) -> Iterator[list[Put]]:
    pq, pa = import_module("pyarrow.parquet"), import_module("pyarrow")
    types = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    parquet = pq.ParquetWriter(file, pa.schema([(c.name, types[c.kind]) for c in columns]))
    waiting: list[Line] = []

    def put(lines: list[Line], size: int = _GROUP) -> None:
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
def _xlsx(file: BinaryIO, layouts: Sequence[Layout]) -> Iterator[list[Put]]:
    xlsxwriter = import_module("xlsxwriter")
    path = Path(file.name)
    with tempfile.TemporaryDirectory(".tmp", ".batchdigits-", path.parent, True) as spool:
        book = xlsxwriter.Workbook(str(path), {"constant_memory": True, "tmpdir": spool})
        book.set_properties({"created": datetime(2000, 1, 1)})  # not now: same rows, same bytes
        sheets = [_Sheet(book, layout) for layout in layouts]
        try:
            yield [sheet.put for sheet in sheets]
            for sheet in sheets:
                sheet.done()
            book.close()
        except xlsxwriter.exceptions.XlsxFileError as fault:
            raise OSError(str(fault)) from fault
        finally:
            for sheet in sheets:
                sheet.abandon()


class _Sheet:
    """One sheet of a book that is being written."""

    def __init__(self, book: Any, layout: Layout) -> None:
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

    def put(self, lines: list[Line]) -> None:
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

    def done(self) -> None:
        """Put a filter over the columns."""
        self._sheet.autofilter(0, 0, self._height, len(self._columns) - 1)

    def abandon(self) -> None:
        """Let go of the sheet's own file, be the book closed or not."""
        with suppress(OSError):
            self._sheet.row_data_fh.close()
