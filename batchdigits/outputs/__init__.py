"""Rows → the tables of a run, each a file put in place whole or standard output; or a DataFrame.

Rows are written as they come: memory stays flat, and the same rows give the same bytes however
they are handed over. A file is written under a hidden name in its own folder, and renamed into
place when it is complete. In `detail`, control characters and halves of surrogate pairs become
spaces. A detail that would begin with `= + - @` begins with `'` (OWASP ASVS 5.0, requirement
1.2.10; a space in front is often trimmed away on import).

A table may be a folder of parts (`sharded`). A new format is one file here, which both writes and
reads it, and its name in `choice`.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from batchdigits.errors import OutputError, UsageError
from batchdigits.files import check_writable, open_atomic_file, wrap_os_errors
from batchdigits.outputs import sharded
from batchdigits.outputs.choice import choose_format, choose_part_format, find_format
from batchdigits.outputs.debug_pages import prepare_debug_folder
from batchdigits.outputs.delimited import Dialect
from batchdigits.outputs.frames import build_dataframe, read_table
from batchdigits.outputs.sharded import has_whole_parts, load_part_dialect
from batchdigits.outputs.table_format import (
    DIGITS_LAYOUT,
    FIELDS_LAYOUT,
    LONG_LAYOUT,
    RESULT_COLUMNS,
    TableLayout,
    make_page_layout,
)
from batchdigits.paths import OutputPaths
from batchdigits.postprocess.judge import OutputRows
from batchdigits.records import Row

__all__ = [
    "DIGITS_LAYOUT",
    "FIELDS_LAYOUT",
    "LONG_LAYOUT",
    "RESULT_COLUMNS",
    "Dialect",
    "TableLayout",
    "build_dataframe",
    "check_table_path",
    "find_format",
    "has_whole_parts",
    "load_part_dialect",
    "make_page_layout",
    "open_results_table",
    "open_table_writer",
    "open_tables",
    "prepare_outputs",
    "read_table",
    "wrap_os_errors",
]

_LINES_PER_WRITE = 4096  # so that the lines of a million rows are never held at once

RecordWriter = Callable[[Iterable[Any]], None]


def check_table_path(
    out: str, *, excel: bool = False, decimal_comma: bool = False, option: str = "--out"
) -> None:
    """Check that a table can be written to `out`, before anything is read.

    Args:
        out: a path that ends in .csv, .tsv, .jsonl, .parquet or .xlsx; `-` is CSV to stdout; a
            folder that ends in `/` is a table of parts, Parquet unless its name ends so.
        excel: as in `open_table_writer`.
        decimal_comma: likewise.
        option: the option that gave `out`, for messages.

    Raises:
        UsageError: unknown suffix, a missing library, or a dialect of neither CSV nor TSV.
        OutputError: the folder is missing or not writable, or `out` exists and is not a file.
    """
    table_format = choose_format(out, Dialect(excel, decimal_comma), option)
    try:
        if table_format.library:
            import_module(table_format.library)
    except ImportError as fault:
        raise UsageError(
            f"cannot import what writes {table_format.suffix} ({fault}): "
            f"{table_format.install_hint}"
        ) from fault
    if out.endswith("/"):
        with wrap_os_errors(out):
            sharded.check_part_folder(out)
    elif out != "-":
        with wrap_os_errors(out):
            check_writable(out)
    elif sys.stdout is None:
        raise OutputError("--out - writes to standard output, which is closed: open it")


def prepare_outputs(paths: OutputPaths) -> None:
    """Check that files can be written beside the tables, and make the folder for debug pages.

    Raises:
        OutputError: one of them cannot be written or made.
    """
    for path in (paths.state, paths.summary_json):
        if path is not None:
            with wrap_os_errors(path):
                check_writable(path)
    if paths.debug_pages is not None:
        prepare_debug_folder(paths.debug_pages)


@contextmanager
def open_tables(
    out: str,
    digits_out: str | None,
    layouts: Sequence[TableLayout],
    dialect: Dialect,
    settings: Mapping[str, Any] | None = None,
) -> Iterator[Callable[[Sequence[OutputRows]], None]]:
    """Open the results table, and the table of digits where one is wanted.

    Args:
        out: path of the results table, or `-`.
        digits_out: path of the table of digits; None for no such table.
        layouts: of the results table. Without any, it gets a row per page, with a column for each
            field found. These are known when all pages are read, so the rows wait until then.
        dialect: for spreadsheets.
        settings: how the rows were made, for the manifest of a table of parts; None for what it
            says already.

    Yields:
        A function that appends to both.
    """
    with ExitStack() as stack:
        write = stack.enter_context(open_results_table(out, layouts, dialect, settings))
        write_digits: RecordWriter | None = None
        if digits_out is not None:
            digits = open_table_writer(digits_out, DIGITS_LAYOUT, **dialect._asdict())
            write_digits = stack.enter_context(digits)

        def write_both(judged: Sequence[OutputRows]) -> None:
            write(row for one in judged for row in one.rows)
            if write_digits:
                write_digits(digit for one in judged for digit in one.digits)

        yield write_both


@contextmanager
def open_results_table(
    out: str,
    layouts: Sequence[TableLayout],
    dialect: Dialect,
    settings: Mapping[str, Any] | None = None,
) -> Iterator[RecordWriter]:
    """Open a table of results as `open_tables` does; yield a function that appends rows."""
    if layouts:
        with _open_file_or_parts(out, layouts, dialect, settings) as write:
            yield write
        return
    wide_rows: list[Row] = []
    yield wide_rows.extend
    _write_wide_table(out, wide_rows, dialect, settings)


def _open_file_or_parts(
    out: str,
    layouts: Sequence[TableLayout],
    dialect: Dialect,
    settings: Mapping[str, Any] | None,
) -> AbstractContextManager[RecordWriter]:
    """Open a table of results, which may be a folder of parts, whose layout is the first."""
    if not out.endswith("/"):
        return open_table_writer(out, *layouts, **dialect._asdict())
    check_table_path(out, **dialect._asdict())

    def open_part(path: str) -> AbstractContextManager[RecordWriter]:
        return open_table_writer(path, layouts[0], **dialect._asdict())

    suffix = choose_part_format(out).suffix
    facts = {"dialect": list(dialect), "columns": layouts[0].names}
    return sharded.open_part_writer(out, suffix, open_part, facts, settings)


def _write_wide_table(
    out: str, rows: list[Row], dialect: Dialect, settings: Mapping[str, Any] | None
) -> None:
    named_rows = [
        row._replace(field="value") if row.value and not row.field else row for row in rows
    ]
    names = dict.fromkeys(row.field for row in named_rows if row.field)
    layouts = [make_page_layout(list(names)), FIELDS_LAYOUT]
    with _open_file_or_parts(out, layouts, dialect, settings) as write:
        write(named_rows)


@contextmanager
def open_table_writer(
    out: str, *layouts: TableLayout, excel: bool = False, decimal_comma: bool = False
) -> Iterator[RecordWriter]:
    """Open the table `out` for writing, and yield a function that appends records to it.

    The table takes its place when the block ends without an exception. Otherwise `out` is as it
    was (a hard kill leaves a hidden `.batchdigits-*.tmp` beside it). An existing table keeps its
    mode, and a symbolic link is followed. Confidence has four decimals in CSV and TSV, and is
    empty (JSON, Parquet: null) where a row has none.

    Args:
        out: as in `check_table_path`.
        layouts: of the table; without any, `LONG_LAYOUT`. Several layouts lay out the same
            records: an .xlsx has a sheet for each, other formats hold the first alone.
        excel: write a UTF-8 byte order mark, and values that spreadsheets take for text.
        decimal_comma: write decimal commas, and for CSV `;` between columns.

    Raises:
        UsageError: as in `check_table_path`.
        OutputError: as in `check_table_path`, and when writing fails or an .xlsx gets more rows
            than a sheet holds.
        BrokenPipeError: nobody reads standard output any more, which is no fault: end quietly.
    """
    check_table_path(out, excel=excel, decimal_comma=decimal_comma)
    table_format = choose_format(out, Dialect(excel, decimal_comma))
    written_layouts = (layouts or (LONG_LAYOUT,))[: None if table_format.holds_sheets else 1]
    with ExitStack() as stack:
        with wrap_os_errors(out):
            place = (
                _open_binary_stdout()
                if out == "-"
                else open_atomic_file(Path(os.path.realpath(out)))
            )
            file = stack.enter_context(place)
            line_writers = stack.enter_context(table_format.open_writer(file, written_layouts))

        def write(records: Iterable[Any]) -> None:
            listed = records if len(written_layouts) == 1 else list(records)
            for layout, write_lines in zip(written_layouts, line_writers, strict=True):
                lines = layout.lines(listed)
                while chunk := list(islice(lines, _LINES_PER_WRITE)):
                    with wrap_os_errors(out):  # not around `lines`: the caller's errors stay theirs
                        write_lines(chunk)

        yield write
        with wrap_os_errors(out):
            stack.close()


@contextmanager
def _open_binary_stdout() -> Iterator[BinaryIO]:
    sys.stdout.flush()
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except (OSError, OutputError):
        # The interpreter would try once more at its end, complain, and exit with 120.
        with suppress(OSError), Path(os.devnull).open("wb") as null:
            os.dup2(null.fileno(), sys.stdout.fileno())
        raise
