"""Rows → a DataFrame, and tables in any format → DataFrames of text."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from batchdigits.errors import UsageError
from batchdigits.outputs.choice import FORMATS, find_format
from batchdigits.outputs.sharded import list_part_paths
from batchdigits.outputs.table_format import LONG_LAYOUT, TableLayout
from batchdigits.records import Row

if TYPE_CHECKING:
    import pandas as pd


def build_dataframe(rows: Iterable[Row], layout: TableLayout = LONG_LAYOUT) -> "pd.DataFrame":
    """Return the rows as a DataFrame.

    Args:
        rows: of the results.
        layout: of the table.

    Returns:
        DataFrame: `page` int64, confidences float64 (NaN where there is none), the others `str`
        (007 stays 007); the index counts from 0.
    """
    import pandas as pd  # noqa: PLC0415 (half a second that the command line need not spend)

    kinds = {str: "str", int: "int64", float: "float64"}
    dtypes = {column.name: kinds[column.kind] for column in layout.columns}
    return pd.DataFrame(list(layout.lines(rows)), columns=layout.names).astype(dtypes)


def read_table(path: str) -> "pd.DataFrame":
    """Read a table in any format that `open_table_writer` writes, as text.

    Args:
        path: a .csv or .tsv (separated by comma, semicolon or tab, with or without a byte order
            mark), .jsonl, .parquet or .xlsx; or a folder of parts.

    Returns:
        DataFrame: every column str, empty where a cell has nothing; names of columns without
        spaces around them.

    Raises:
        UsageError: unknown suffix, a missing library, or it cannot be read.
    """
    table_format = find_format(path)
    if table_format is None:
        raise UsageError(f"'{path}' is no table: expected {', '.join(FORMATS)}")
    if os.path.isdir(path):
        return _read_parts(path)
    try:
        table = table_format.read(path)
    except ImportError as error:
        raise UsageError(f"cannot read '{path}' ({error}): {table_format.install_hint}") from None
    except OSError as error:
        raise UsageError(f"cannot read '{path}': {error.strerror or error}") from None
    except Exception as error:  # each library has its own types for a damaged file
        raise UsageError(f"'{path}' cannot be read as a table: {error}") from None
    table.columns = table.columns.astype(str).str.strip()
    return table.astype(object).where(table.notna(), "").astype("str")


def _read_parts(folder: str) -> "pd.DataFrame":
    import pandas as pd  # noqa: PLC0415  (half a second, which only readers need)

    return pd.concat([read_table(path) for path in list_part_paths(folder)], ignore_index=True)
