"""CSV and TSV, and their dialects for spreadsheets."""

import csv
import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from batchdigits.outputs.table_format import TableLayout, TableLine, TextFormat

if TYPE_CHECKING:
    import pandas as pd

CONFIDENCE_DECIMALS = 4
_BYTE_ORDER_MARK = "\N{BYTE ORDER MARK}"


@dataclass(frozen=True)
class DelimitedText(TextFormat):
    """Text with a header, and a separator between columns.

    Attributes:
        suffix: as in `TableFormat`.
        separator: one character.
        mark: what the file begins with: a byte order mark, or nothing.
    """

    suffix: str
    separator: str
    mark: str = ""

    def format_header(self, layout: TableLayout) -> str:
        """Return the names of the columns, after the byte order mark where the dialect has it."""
        return self.mark + self.separator.join(layout.names) + "\n"

    def format_lines(self, lines: list[TableLine], layout: TableLayout) -> str:
        """Return lines as text, confidences with four decimals."""
        text = io.StringIO(newline="")
        shares = [column.name for column in layout.columns if column.kind is float]
        table = csv.writer(text, delimiter=self.separator, lineterminator="\n")
        for line in lines:
            rounded = {
                name: f"{line[name]:.{CONFIDENCE_DECIMALS}f}"
                for name in shares
                if line[name] is not None
            }
            table.writerow((line | rounded).values())
        return text.getvalue()

    def read(self, path: str) -> "pd.DataFrame":
        """Read text separated by comma, semicolon or tab, with or without a byte order mark."""
        import pandas as pd  # noqa: PLC0415  (half a second, which only readers need)

        text = Path(path).read_text("utf-8-sig")
        header = text.partition("\n")[0]
        separator = max("\t;,", key=header.count)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
            return pd.read_csv(
                io.StringIO(text),
                sep=separator,
                dtype="str",
                keep_default_na=False,
                index_col=False,
                quoting=csv.QUOTE_MINIMAL,
            )


CSV = DelimitedText(".csv", ",")
TSV = DelimitedText(".tsv", "\t")
EXCEL_CSV = DelimitedText(".csv", ";", _BYTE_ORDER_MARK)
EXCEL_TSV = DelimitedText(".tsv", "\t", _BYTE_ORDER_MARK)
