"""The tables that a run writes: rows, and single digits beside them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from batchdigits import files, outputs
from batchdigits.outputs import TableLayout, debug_pages
from batchdigits.paths import OutputPaths
from batchdigits.postprocess.judge import OutputRows
from batchdigits.records import Row


def prepare_outputs(paths: OutputPaths) -> None:
    """Check that files can be written beside the tables, and make the folder for debug pages.

    Raises:
        OutputError: one of them cannot be written or made.
    """
    for path in (paths.state, paths.summary_json):
        if path is not None:
            with files.wrap_os_errors(path):
                files.check_writable(path)
    if paths.debug_pages is not None:
        debug_pages.prepare_debug_folder(paths.debug_pages)


@contextmanager
def open_tables(
    out: str, digits_out: str | None, layouts: Sequence[TableLayout], *, excel: bool
) -> Iterator[Callable[[Sequence[OutputRows]], None]]:
    """Open the results table, and the table of digits where one is wanted.

    Args:
        out: path of the results table, or `-`.
        digits_out: path of the table of digits; None for no such table.
        layouts: of the results table. Without any, it gets a row per page, with a column for each
            field found. These are known when all pages are read, so the rows wait until then.
        excel: as in `outputs.open_table_writer`.

    Yields:
        A function that appends to both.
    """
    with ExitStack() as stack:
        kept: list[Row] = []
        write: outputs.RecordWriter = kept.extend
        if layouts:
            write = stack.enter_context(outputs.open_table_writer(out, *layouts, excel=excel))
        write_digits: outputs.RecordWriter | None = None
        if digits_out is not None:
            digits = outputs.open_table_writer(digits_out, outputs.DIGITS_LAYOUT, excel=excel)
            write_digits = stack.enter_context(digits)

        def write_both(judged: Sequence[OutputRows]) -> None:
            write(row for found in judged for row in found.rows)
            if write_digits:
                write_digits(digit for found in judged for digit in found.digits)

        yield write_both
        if not layouts:
            _write_wide_table(out, kept, excel=excel)


def _write_wide_table(out: str, rows: list[Row], *, excel: bool) -> None:
    named = [replace(row, field="value") if row.value and not row.field else row for row in rows]
    names = dict.fromkeys(row.field for row in named if row.field)
    layouts = [outputs.make_page_layout(list(names)), outputs.FIELDS_LAYOUT]
    with outputs.open_table_writer(out, *layouts, excel=excel) as write:
        write(named)
