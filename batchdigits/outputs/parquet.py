"""Parquet, by pyarrow."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, BinaryIO

from batchdigits.outputs.table_format import LineWriter, TableFormat, TableLayout, TableLine

if TYPE_CHECKING:
    import pandas as pd

ROW_GROUP_SIZE = 65_536
"""Rows of a row group: fixed, or the bytes would depend on how rows are handed over."""


class Parquet(TableFormat):
    """A Parquet file."""

    suffix = ".parquet"
    library = "pyarrow.parquet"

    @contextmanager
    def open_writer(
        self, file: BinaryIO, layouts: Sequence[TableLayout]
    ) -> Iterator[list[LineWriter]]:
        """Open an empty file for writing, as `TableFormat.open_writer`."""
        pq, pa = import_module("pyarrow.parquet"), import_module("pyarrow")
        types = {str: pa.string(), int: pa.int64(), float: pa.float64()}
        (layout,) = layouts
        schema = pa.schema([(column.name, types[column.kind]) for column in layout.columns])
        parquet = pq.ParquetWriter(file, schema)
        waiting: list[TableLine] = []

        def put(lines: list[TableLine], size: int = ROW_GROUP_SIZE) -> None:
            waiting.extend(lines)
            while len(waiting) >= size:
                columns = [*zip(*waiting[:size], strict=True)]
                parquet.write_table(pa.table(columns, schema=schema))
                del waiting[:size]

        try:
            yield [put]
            put([], size=len(waiting) or 1)
            parquet.close()
        finally:
            with suppress(OSError):  # left open, it would write to a closed file when collected
                parquet.close()

    def read(self, path: str) -> "pd.DataFrame":
        """Read a file, with nullable types."""
        import pandas as pd  # noqa: PLC0415  (half a second, which only readers need)

        return pd.read_parquet(path, dtype_backend="numpy_nullable")
