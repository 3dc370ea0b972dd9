"""The checksum of a row, which shows that a disk spoilt it.

A function here is never edited, because states hold its results. A new way is a new function, and
a step in `state.migrations`.
"""

import zlib
from collections.abc import Iterable


def compute_checksum(*values: object) -> int:
    """Return the CRC-32 of a row's values, each None, an integer, text or bytes; from version 4 on.

    The values are written as ASCII. How Python writes other characters depends on its version of
    Unicode, and a state outlives a Python.
    """
    return zlib.crc32(ascii(values).encode())


def compute_old_checksum(*values: object) -> int:
    """Return the checksum of a row as states before version 4 have it."""
    return zlib.crc32(repr(values).encode("utf-8", "surrogatepass"))


def compute_checksums(rows: Iterable[tuple[object, ...]]) -> list[int]:
    """Return the checksums of many rows, each as of `compute_checksum`."""
    crc32 = zlib.crc32
    return [crc32(ascii(row).encode()) for row in rows]
