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
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import datetime
from functools import partial
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from batchdigits.errors import OutputError, UsageError
from batchdigits.records import Row

if TYPE_CHECKING:
    import pandas as pd

COLUMNS: tuple[str, ...] = ("file", "page", "field", "value", "confidence", "status", "detail")
SHEET_ROWS = 1_048_576  # that one sheet of a spreadsheet holds, the header among them
_WIDTHS = (48, 6, 18, 14, 11, 9, 60)  # of the columns in a sheet, in characters
_ENDINGS = (".csv", ".tsv", ".jsonl", ".parquet", ".xlsx")
_LIBRARIES = {".parquet": "pyarrow.parquet", ".xlsx": "xlsxwriter"}
_CHUNK = 4096  # rows put at a time, so that a generator of a million is never held whole
_GROUP = 65_536  # rows of a Parquet row group: fixed, or the bytes would depend on the chunks
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_MARKUP = re.compile(r"\A(?=<r>.*</r>\Z)", re.DOTALL)  # XlsxWriter would not take it for text
_FORMULA = tuple("=+-@＝＋－＠")  # noqa: RUF001 (some spreadsheets take the wide forms too)

Put = Callable[[list[Row]], object]
Write = Callable[[Iterable[Row]], None]


def check(out: str, *, excel: bool = False) -> None:
    """Say now, before anything is read, whether a table can be written to `out`.

    Args:
        out: a path that ends in .csv, .tsv, .jsonl, .parquet or .xlsx; `-` is CSV to stdout.
        excel: as in `writer`.

    Raises:
        UsageError: unknown suffix, a missing library, or `excel` with neither CSV nor TSV.
        OutputError: the folder is missing or not writable, or `out` is there and no file.
    """
    ending = _ending(out)
    if excel and ending not in (".csv", ".tsv"):
        raise UsageError(f"--excel is for .csv, .tsv and -, got --out {out!r}: leave it out")
    try:
        import_module(_LIBRARIES.get(ending, "csv"))
    except ImportError as fault:
        install = f"pip install 'batchdigits[{ending[1:]}]'"
        raise UsageError(f"cannot import what writes {ending} ({fault}): {install}") from fault
    if out != "-":
        with _faults(out):
            _check_place(out)
    elif sys.stdout is None:
        raise OutputError("--out - writes to standard output, which is closed: open it")


def table(rows: Iterable[Row]) -> "pd.DataFrame":
    """Give the rows as a DataFrame with the columns `COLUMNS`, one line a row.

    Returns:
        DataFrame: `page` int64, `confidence` float64 (NaN where the row has none), the others
        `str` (007 stays 007); the index counts from 0.
    """
    import pandas as pd  # noqa: PLC0415 (half a second that the command line need not spend)

    dtypes = dict.fromkeys(COLUMNS, "str") | {"page": "int64", "confidence": "float64"}
    return pd.DataFrame([_cells(row) for row in rows], columns=list(COLUMNS)).astype(dtypes)


@contextmanager
def writer(out: str, *, excel: bool = False) -> Iterator[Write]:
    """Open the table `out` for writing; gives a function that writes rows to it, in order.

    The table takes its place when the block ends without an exception; else `out` is as it
    was (a hard kill leaves a hidden `.batchdigits-*.tmp` beside it). An existing table keeps
    its mode, and a symbolic link is followed. Confidence has four decimals in CSV and TSV, and
    is empty (JSON, Parquet: null) where a row has none.

    Args:
        out: as in `check`.
        excel: write a UTF-8 byte order mark, and for CSV only `;` between columns.

    Raises:
        UsageError, OutputError: as in `check`, and OutputError when writing fails or an .xlsx
            gets more rows than a sheet holds.
        BrokenPipeError: nobody reads standard output any more, which is no fault: end quietly.
    """
    check(out, excel=excel)
    with ExitStack() as stack:
        with _faults(out):
            place = _standard_output() if out == "-" else _aside(Path(os.path.realpath(out)))
            put = stack.enter_context(_format(out, stack.enter_context(place), excel))

        def write(rows: Iterable[Row]) -> None:
            remaining = iter(rows)
            while chunk := list(islice(remaining, _CHUNK)):
                with _faults(out):  # only around ours: a fault of whoever makes the rows is theirs
                    put(chunk)

        yield write
        with _faults(out):
            stack.close()


def _ending(out: str) -> str:
    ending = ".csv" if out == "-" else os.path.splitext(out)[1].lower()
    known = f"{', '.join(_ENDINGS)}, or - for CSV on standard output"
    if ending not in _ENDINGS:
        parts = " (a folder of parts, not available in this version)" if out[-1:] == "/" else ""
        raise UsageError(f"--out must end in {known}, got {out!r}{parts}")
    return ending


def _check_place(out: str) -> None:
    target = Path(os.path.realpath(out))
    folder = target.parent
    if not folder.is_dir():
        raise OutputError(f"{out!r}: {str(folder)!r} is no folder: make it, or choose another")
    if target.exists() and not target.is_file():
        raise OutputError(f"--out {out!r} is a folder or no regular file: give a file's name")
    # Only trying tells: permission bits say nothing of network drives, or to root.
    tempfile.TemporaryFile(prefix=".batchdigits-", suffix=".tmp", dir=folder).close()


@contextmanager
def _faults(out: str) -> Iterator[None]:
    """Turn what the operating system says while the table is written into an OutputError."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as fault:
        why = f"{fault.strerror or fault} (a table that was there is unchanged)"
        raise OutputError(f"cannot write {out!r}: {why}: make room, or choose another") from fault


@contextmanager
def _aside(target: Path) -> Iterator[BinaryIO]:
    """Give a hidden new file beside `target`, which takes its place if all goes well."""
    path = target.with_name(f".batchdigits-{secrets.token_hex(8)}.tmp")
    file = path.open("xb")
    try:
        with suppress(FileNotFoundError):
            shutil.copymode(target, path)
        yield file
        file.flush()
        os.fsync(file.fileno())
        file.close()
        path.replace(target)
        with suppress(OSError):  # it is in place by now, and some network drives cannot do this
            folder = os.open(target.parent, os.O_RDONLY)
            with suppress(OSError):
                os.fsync(folder)
            os.close(folder)
    finally:
        for tidy in (file.close, path.unlink):
            with suppress(OSError):
                tidy()


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


def _format(out: str, file: BinaryIO, excel: bool) -> AbstractContextManager[Put]:
    """Open an empty file in the format of `out`; gives a function that puts rows into it."""
    ending = _ending(out)
    if ending in _LIBRARIES:
        return _parquet(file) if ending == ".parquet" else _xlsx(file)
    if ending == ".jsonl":
        encode = json.JSONEncoder(ensure_ascii=False).encode
        return _text(file, "", lambda rows: "".join(f"{encode(_cells(row))}\n" for row in rows))
    separator = "\t" if ending == ".tsv" else ";" if excel else ","
    header = ("\N{BYTE ORDER MARK}" if excel else "") + separator.join(COLUMNS) + "\n"
    return _text(file, header, partial(_delimited, separator=separator))


@contextmanager
def _text(file: BinaryIO, header: str, lines: Callable[[list[Row]], str]) -> Iterator[Put]:
    def put(text: str) -> None:
        rest = text.encode()
        while rest:  # with PYTHONUNBUFFERED, standard output may take only a part
            rest = rest[file.write(rest) :]

    put(header)
    yield lambda rows: put(lines(rows))


def _delimited(rows: list[Row], separator: str) -> str:
    text = io.StringIO(newline="")
    lines = csv.writer(text, delimiter=separator, lineterminator="\n")
    for cells in map(_cells, rows):
        if cells["confidence"] is not None:
            cells["confidence"] = f"{cells['confidence']:.4f}"
        lines.writerow(cells.values())
    return text.getvalue()


@contextmanager
def _parquet(file: BinaryIO) -> Iterator[Put]:
    pq, pa = import_module("pyarrow.parquet"), import_module("pyarrow")
    types = dict.fromkeys(COLUMNS, pa.string()) | {"page": pa.int64(), "confidence": pa.float64()}
    parquet = pq.ParquetWriter(file, pa.schema(list(types.items())))
    waiting: list[dict[str, Any]] = []

    def put(rows: list[Row], size: int = _GROUP) -> None:
        waiting.extend(map(_cells, rows))
        while len(waiting) >= size:
            parquet.write_table(pa.Table.from_pylist(waiting[:size], schema=parquet.schema))
            del waiting[:size]

    try:
        yield put
        put([], size=len(waiting) or 1)
        parquet.close()
    finally:
        with suppress(OSError):  # left open, it would write to a closed file when collected
            parquet.close()


@contextmanager
def _xlsx(file: BinaryIO) -> Iterator[Put]:
    xlsxwriter = import_module("xlsxwriter")
    path, height = Path(file.name), 0

    def put(rows: list[Row]) -> None:
        nonlocal height
        for row in rows:
            height += 1
            _write_line(sheet, height, row)

    with tempfile.TemporaryDirectory(".tmp", ".batchdigits-", path.parent, True) as spool:
        book = xlsxwriter.Workbook(str(path), {"constant_memory": True, "tmpdir": spool})
        sheet = book.add_worksheet("results")
        try:
            _head(book, sheet)
            yield put
            sheet.autofilter(0, 0, height, len(COLUMNS) - 1)
            book.close()
        except xlsxwriter.exceptions.XlsxFileError as fault:
            raise OSError(str(fault)) from fault
        finally:
            with suppress(OSError):
                sheet.row_data_fh.close()


def _head(book: Any, sheet: Any) -> None:
    book.set_properties({"created": datetime(2000, 1, 1)})  # not now: same rows, same bytes
    formats = {"value": {"num_format": "@"}, "confidence": {"num_format": "0.0000"}}
    bold = book.add_format({"bold": True})
    for column, (name, width) in enumerate(zip(COLUMNS, _WIDTHS, strict=True)):
        sheet.set_column(column, column, width, book.add_format(formats.get(name, {})))
        sheet.write_string(0, column, name, bold)
    sheet.freeze_panes(1, 0)


def _write_line(sheet: Any, at: int, row: Row) -> None:
    if at >= SHEET_ROWS:
        raise OutputError(f"an .xlsx holds {SHEET_ROWS - 1:,} rows, the results more: choose .csv")
    for column, cell in enumerate(_cells(row).values()):
        if isinstance(cell, (int, float)):
            sheet.write_number(at, column, cell)
        elif cell:  # a cell of empty text would not count as blank
            sheet.write_string(at, column, _MARKUP.sub("./", cell))


def _cells(row: Row) -> dict[str, Any]:
    cells = {name: getattr(row, name) for name in COLUMNS}
    detail = cells["detail"] = _UNPRINTABLE.sub(" ", row.detail)
    if detail.lstrip().startswith(_FORMULA):
        cells["detail"] = f"'{detail}"
    return cells
