"""The formats of tables by suffix: a new format is one file beside this one, and its name here."""

import os
from collections.abc import Sequence

from batchdigits.outputs.delimited import CSV, EXCEL_CSV, EXCEL_TSV, TSV
from batchdigits.outputs.json_lines import JsonLines
from batchdigits.outputs.parquet import Parquet
from batchdigits.outputs.table_format import TableFormat
from batchdigits.outputs.xlsx import Xlsx


def _index_formats(formats: Sequence[TableFormat]) -> dict[str, TableFormat]:
    return {table_format.suffix: table_format for table_format in formats}


FORMATS = _index_formats([CSV, TSV, JsonLines(), Parquet(), Xlsx()])
EXCEL_FORMATS = _index_formats([EXCEL_CSV, EXCEL_TSV])
"""What `--excel` writes instead of the format of the same suffix."""


def find_format(path: str) -> TableFormat | None:
    """Return the format that the suffix of a path names, in any case; None for other suffixes."""
    return FORMATS.get(os.path.splitext(path)[1].lower())
