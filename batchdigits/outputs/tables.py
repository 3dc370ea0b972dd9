"""The tables of a run, as they are written: rows, and single digits beside them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from batchdigits import files, outputs
from batchdigits.outputs import TableLayout, debug_pages
from batchdigits.paths import OutputPaths
from batchdigits.postprocess.judge import OutputRows
from batchdigits.records import Row


def prepare_outputs(paths: OutputPaths) -> None:
    """Find out whether files can be written beside the tables; make the folder for pages.

    Raises:
        OutputError: one of them cannot.
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
    """Open the table, and that of single digits where one is wanted; give what writes to both.

    Args:
        out: the table's path, or `-`.
        digits_out: that of single digits; None where it is not wanted.
        layouts: of the table; none for a row a page, with the columns of the fields that are found:
            they are known only when all pages are read, so the rows are kept until then.
        excel: write CSV for spreadsheets that want a byte-order mark and `;`.
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

        def both(judged: Sequence[OutputRows]) -> None:
            write(row for one in judged for row in one.rows)
            if write_digits:
                write_digits(digit for one in judged for digit in one.digits)

        yield both
        if not layouts:
            _write_wide_table(out, kept, excel=excel)


def _write_wide_table(out: str, rows: list[Row], *, excel: bool) -> None:
    named = [replace(row, field="value") if row.value and not row.field else row for row in rows]
    names = dict.fromkeys(row.field for row in named if row.field)
    both = [outputs.make_page_layout(list(names)), outputs.FIELDS_LAYOUT]
    with outputs.open_table_writer(out, *both, excel=excel) as put:
        put(named)
