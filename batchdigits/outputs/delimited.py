"""CSV and TSV, and their dialects for spreadsheets."""

import csv
import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from batchdigits.outputs.table_format import Column, TableLayout, TableLine, TextFormat

if TYPE_CHECKING:
    import pandas as pd

CONFIDENCE_DECIMALS = 4
_BYTE_ORDER_MARK = "\N{BYTE ORDER MARK}"
_GUARD = "\t"
"""Spreadsheets take what begins with a tab for text, show no tab, and compute nothing; `="007"` is
text in some and a formula that is shown in others (`jobs/bench/spreadsheets.py`)."""


@dataclass(frozen=True)
class DelimitedText(TextFormat):
    """Text with a header, and a separator between columns.

    Attributes:
        suffix: as in `TableFormat`.
        separator: one character.
        mark: what the file begins with: a byte order mark, or nothing.
        decimal: what stands before the decimals of a confidence.
        guard: what stands before values, so that spreadsheets take them for text; or nothing.
    """

    suffix: str
    separator: str
    mark: str = ""
    decimal: str = "."
    guard: str = ""

    def format_header(self, layout: TableLayout) -> str:
        """Return the names of the columns, after the byte order mark where the dialect has it."""
        return self.mark + self.separator.join(layout.names) + "\n"

    def format_lines(self, lines: list[TableLine], layout: TableLayout) -> str:
        """Return lines as text, confidences with four decimals."""
        text = io.StringIO(newline="")
        table = csv.writer(text, delimiter=self.separator, lineterminator="\n")
        if self.guard or self.decimal == ",":
            # a spreadsheet may part columns at commas and tabs too, but never within quotes
            table = csv.writer(
                text, delimiter=self.separator, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC
            )
        columns = [
            self._format_cells(column, cells)
            for column, cells in zip(layout.columns, zip(*lines, strict=True), strict=True)
        ]
        table.writerows(zip(*columns, strict=True))
        return text.getvalue()

    def _format_cells(self, column: Column, cells: Sequence[Any]) -> Sequence[Any]:
        """Return the cells of a column as `csv` takes them."""
        if column.kind is float:
            shares = [None if cell is None else f"{cell:.{CONFIDENCE_DECIMALS}f}" for cell in cells]
            if self.decimal == ".":
                return shares
            return [share and share.replace(".", self.decimal) for share in shares]
        if column.text and self.guard:
            return [f"{self.guard}{cell}" if cell else cell for cell in cells]
        return cells

    def read(self, path: str) -> "pd.DataFrame":
        """Read text as any of the dialects here writes it: guards and decimal commas are undone."""
        import pandas as pd  # noqa: PLC0415  (half a second, which only readers need)

        text = Path(path).read_text("utf-8-sig")
        header = text.partition("\n")[0]
        separator = max("\t;,", key=header.count)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
            table = pd.read_csv(
                io.StringIO(text),
                sep=separator,
                dtype="str",
                keep_default_na=False,
                index_col=False,
                quoting=csv.QUOTE_MINIMAL,
            )
        return table.replace(
            {rf"\A{_GUARD}(?=[\d.]+\Z)": "", r"\A([01]),(\d{4})\Z": r"\1.\2"}, regex=True
        )


CSV = DelimitedText(".csv", ",")
TSV = DelimitedText(".tsv", "\t")


class Dialect(NamedTuple):
    """What spreadsheets need of CSV and TSV.

    Attributes:
        excel: a byte order mark, and values that stay text.
        decimal_comma: decimal commas, and in CSV `;` between columns: spreadsheets of countries
            that write the one expect the other.
    """

    excel: bool = False
    decimal_comma: bool = False


def detect_dialect(path: str) -> Dialect:
    """Return the dialect that a CSV or TSV file was written in, by its first lines."""
    with Path(path).open(encoding="utf-8", errors="replace", newline="") as file:
        header, line = file.readline(), file.readline()
    comma = ";" in header or re.search(r"\t[01],\d{4}\t", line) is not None
    return Dialect(header.startswith(_BYTE_ORDER_MARK), comma)


def make_dialect(plain: DelimitedText, dialect: Dialect) -> DelimitedText:
    """Return CSV or TSV as spreadsheets need it."""
    separator = ";" if dialect.decimal_comma and plain.separator == "," else plain.separator
    decimal = "," if dialect.decimal_comma else "."
    mark, guard = (_BYTE_ORDER_MARK, _GUARD) if dialect.excel else ("", "")
    return DelimitedText(plain.suffix, separator, mark, decimal, guard)
