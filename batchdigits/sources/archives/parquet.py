"""Parquet files with a column of image files, a batch of rows at a time."""

from collections.abc import Iterator
from contextlib import closing
from importlib import import_module
from typing import Any

from batchdigits.records import Member
from batchdigits.sources.archives.entries import (
    MAX_STREAMED_BYTES,
    READ_BYTES,
    ArchiveEntry,
    ArchiveError,
    check_ratio,
    open_archive,
)

BATCH_BYTES, MAX_BATCH_ROWS = 8 << 20, 1024
"""Bytes of images that are read at a time, and rows at most."""
IMAGE_COLUMN = "image"
"""The name of the column, if several could be it."""
TABLE_COLUMNS = {"file", "page", "status", "detail"}
"""By these columns a table of results is known."""
SKIP_TABLE = "a table of results"
EXPECTED = (
    "expected a column of image files: bytes, or a structure of bytes and path; "
    f"of several, one named '{IMAGE_COLUMN}'"
)


def walk_parquet(path: str) -> Iterator[ArchiveEntry]:
    """Yield the images of a Parquet file in the order of its rows.

    An image has the path that stands beside its bytes as its name; else `row-` and the number of
    its row, from 0, of nine digits.

    Raises:
        ArchiveError: it is no Parquet file, has no column of images, or cannot be read from here
            on; or pyarrow is missing.
    """
    with closing(open_archive(path)) as raw:
        file = _open_parquet(raw)
        if set(file.schema_arrow.names) >= TABLE_COLUMNS:
            yield ArchiveEntry(path, None, "", SKIP_TABLE)
            return
        column = _choose_column(file.schema_arrow)
        size, given, row = raw.seek(0, 2), 0, 0
        for values in _read_batches(file, column):
            for value in values:
                entry = _make_entry(value, row)
                given += entry.member.size if entry.member else 0
                check_ratio(given, size)
                yield entry
                row += 1


def count_parquet_rows(path: str) -> int:
    """Return how many rows a Parquet file has.

    Raises:
        ArchiveError: it is none, or pyarrow is missing.
    """
    with closing(open_archive(path)) as raw:
        return int(_open_parquet(raw).metadata.num_rows)


def _open_parquet(raw: Any) -> Any:
    try:
        pq = import_module("pyarrow.parquet")
    except ImportError:
        raise ArchiveError(
            "reading Parquet needs pyarrow: pip install 'batchdigits[parquet]'"
        ) from None
    try:
        return pq.ParquetFile(raw, pre_buffer=False, buffer_size=READ_BYTES)
    except Exception as error:  # pyarrow has several types for it
        raise ArchiveError(f"no Parquet file, or damaged: {_shorten_message(error)}") from None


def _choose_column(schema: Any) -> str:
    """Return the name of the column of images.

    Raises:
        ArchiveError: there is none, or several of which none is named as expected.
    """
    names = [one.name for one in schema if _holds_images(one.type)]
    if IMAGE_COLUMN in names:
        return IMAGE_COLUMN
    if len(names) == 1:
        return str(names[0])
    found = f"several of bytes ({', '.join(names)[:80]})" if names else _describe_columns(schema)
    raise ArchiveError(f"{EXPECTED}; got {found}")


def _describe_columns(schema: Any) -> str:
    return f"the columns {', '.join(schema.names)[:80]}" if schema.names else "no column"


def _holds_images(kind: Any) -> bool:
    types = import_module("pyarrow").types
    if types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _holds_images(kind.field(index).type)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _read_batches(file: Any, column: str) -> Iterator[list[Any]]:
    """Yield the values of a column, a few megabytes at a time.

    Raises:
        ArchiveError: the file cannot be read from here on.
    """
    metadata = file.metadata
    groups = [metadata.row_group(n) for n in range(metadata.num_row_groups)]
    total = sum(one.total_byte_size for one in groups)
    rows = max(1, min(MAX_BATCH_ROWS, BATCH_BYTES * metadata.num_rows // max(total, 1)))
    try:
        for batch in file.iter_batches(batch_size=rows, columns=[column], use_threads=False):
            yield batch.column(0).to_pylist()
    except Exception as error:  # pyarrow has several types for it
        raise ArchiveError(f"damaged from here on: {_shorten_message(error)}") from None


def _make_entry(value: Any, row: int) -> ArchiveEntry:
    """Return the entry of a row: of bytes, or of a structure of bytes and path."""
    name = f"row-{row:09}"
    data = value
    if isinstance(value, dict):
        data, path = value.get("bytes"), value.get("path")
        name = path if isinstance(path, str) and path else name
    if not isinstance(data, bytes):
        return ArchiveEntry(name, None, "no image in this row: its bytes are missing")
    if len(data) > MAX_STREAMED_BYTES:
        fault = f"too large for Parquet: {len(data):,} bytes, over {MAX_STREAMED_BYTES:,}"
        return ArchiveEntry(name, None, f"{fault}: put it into a .tar or a .zip")
    return ArchiveEntry(name, Member(len(data), data=data))


def _shorten_message(error: Exception) -> str:
    plain = " ".join(str(error).split())
    return plain if len(plain) <= 120 else f"{plain[:117]}..."
