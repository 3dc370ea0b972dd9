"""The checksum of a row: what a disk spoilt is found out by it.

A function here is never edited: states have what it gave. Another way is another function, and a
step in `ledger.migrations`.
"""

import zlib


def compute_checksum(*values: object) -> int:
    """Return the CRC-32 of a row's values, each None, an integer, text or bytes; from version 4 on.

    They are written as ASCII: how Python writes other characters changes with its version of
    Unicode, and a state outlives a Python.
    """
    return zlib.crc32(ascii(values).encode())


def compute_old_checksum(*values: object) -> int:
    """Return the checksum that states before version 4 have."""
    return zlib.crc32(repr(values).encode("utf-8", "surrogatepass"))
