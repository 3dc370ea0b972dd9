"""A large object as a file that is read in parts, wherever one looks."""

import io
from typing import Any, BinaryIO

from batchdigits.objects.store import ObjectError, call_store, open_store

RANGE_BYTES = 4 << 20
"""Bytes that are asked for at a time: fewer cost more requests, more are often thrown away."""


def open_ranged(url: str) -> BinaryIO:
    """Open an object without fetching all of it; the file is buffered.

    Raises:
        UsageError: the scheme of the URL cannot be read.
        ObjectError: there is nothing, or it cannot be reached.
    """
    store, place = open_store(url)
    size = call_store(lambda: store.size(place))
    if size is None:
        raise ObjectError("other", "its store does not tell its size")
    return io.BufferedReader(_RangedObject(store, place, int(size)), RANGE_BYTES)


class _RangedObject(io.RawIOBase):
    """An object, part by part; a fault of its store is an `OSError`."""

    def __init__(self, store: Any, place: str, size: int) -> None:
        super().__init__()
        self._store, self._place, self._size = store, place, size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        end = min(self._size, self._at + len(buffer))
        if end <= self._at:
            return 0
        try:
            data = call_store(lambda: self._store.cat_file(self._place, start=self._at, end=end))
        except ObjectError as fault:
            raise OSError(None, f"{fault}; {fault.advice}") from None
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
