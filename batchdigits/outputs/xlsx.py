"""Excel workbooks: written by XlsxWriter, read by openpyxl."""

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from batchdigits.errors import OutputError
from batchdigits.outputs.table_format import LineWriter, TableFormat, TableLayout, TableLine

if TYPE_CHECKING:
    import pandas as pd

SHEET_ROWS = 1_048_576
"""Rows that one sheet holds, with the header."""
STATUS_FILLS = {
    "ok": "#E2F0D9",
    "verified": "#C5E0F5",
    "review": "#FFE699",
    "blank": "#EDEDED",
    "error": "#F8CBAD",
}
"""Colours of the cells of each status: light ones, under black text."""
_MARKUP = re.compile(r"\A(?=<r>.*</r>\Z)", re.DOTALL)  # XlsxWriter would not take it for text


class Xlsx(TableFormat):
    """A workbook, with a sheet for each table."""

    suffix = ".xlsx"
    library = "xlsxwriter"
    holds_sheets = True

    @contextmanager
    def open_writer(
        self, file: BinaryIO, layouts: Sequence[TableLayout]
    ) -> Iterator[list[LineWriter]]:
        """Open an empty file for writing, as `TableFormat.open_writer`.

        Raises:
            OutputError: a sheet gets more rows than it can hold.
        """
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

    def read(self, path: str) -> "pd.DataFrame":
        """Read the first sheet as text."""
        import pandas as pd  # noqa: PLC0415  (half a second, which only readers need)

        return pd.read_excel(path, dtype="str", keep_default_na=False)


class _SheetWriter:
    """One sheet of a book that is being written."""

    def __init__(self, book: Any, layout: TableLayout) -> None:
        self._fills = make_status_formats(book)
        self._sheet = book.add_worksheet(layout.sheet)
        self._columns = layout.columns
        self._height = 0
        formats = {str: {}, int: {}, float: {"num_format": "0.0000"}}
        bold, text = book.add_format({"bold": True}), {"num_format": "@"}
        for at, column in enumerate(layout.columns):
            cell_format = text if column.text else formats[column.kind]
            self._sheet.set_column(at, at, column.width, book.add_format(cell_format))
            self._sheet.write_string(0, at, column.name, bold)
        self._sheet.freeze_panes(1, 0)

    def write_lines(self, lines: list[TableLine]) -> None:
        """Append lines."""
        for line in lines:
            self._height += 1
            if self._height >= SHEET_ROWS:
                raise OutputError(
                    f"an .xlsx holds {SHEET_ROWS - 1:,} rows, the results more: choose .csv"
                )
            for at, (column, cell) in enumerate(zip(self._columns, line, strict=True)):
                if isinstance(cell, (int, float)):
                    self._sheet.write_number(self._height, at, cell)
                elif column.name == "status":
                    self._sheet.write_string(self._height, at, cell, self._fills.get(cell))
                elif cell:  # a cell of empty text would not count as blank
                    self._sheet.write_string(self._height, at, _MARKUP.sub("./", cell))

    def add_filter(self) -> None:
        """Put a filter over the columns."""
        self._sheet.autofilter(0, 0, self._height, len(self._columns) - 1)

    def close_spool_file(self) -> None:
        """Close the file in which the sheet's rows wait, whether the book is closed or not."""
        with suppress(OSError):
            self._sheet.row_data_fh.close()


def make_status_formats(book: Any) -> dict[str, Any]:
    """Return the format of the cells of each status."""
    return {status: book.add_format({"bg_color": fill}) for status, fill in STATUS_FILLS.items()}
