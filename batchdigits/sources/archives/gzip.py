"""A gzip stream, unpacked as it is read and never whole in memory."""

import io
import zlib
from typing import BinaryIO

from batchdigits.sources.archives.entries import ArchiveError, check_ratio

PIECE_BYTES = 1 << 18
"""Packed bytes that are read at a time."""
GZIP_WINDOW = 31
"""zlib's number for a gzip header with the largest window."""


class GzipStream(io.RawIOBase):
    """The bytes that a gzip file unpacks to; it may be several streams, one after another.

    Attributes:
        unpacked: bytes given so far.
        packed: bytes read so far.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Take the packed file, open at its beginning."""
        self._file = file
        self._inflate = zlib.decompressobj(GZIP_WINDOW)
        self._waiting = b""
        self._begun = False
        self.unpacked = self.packed = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Unpack into a buffer; return how many bytes, 0 at the end.

        Raises:
            ArchiveError: the stream is damaged, cut short, or a bomb.
        """
        view = memoryview(buffer)
        while True:
            if not self._waiting and not self._read_piece():
                return 0
            try:
                data = self._inflate.decompress(self._waiting, len(view))
            except zlib.error:
                raise ArchiveError("damaged: it cannot be unpacked from here on") from None
            self._begun, self._waiting = True, self._inflate.unconsumed_tail
            if self._inflate.eof:
                self._begin_next_stream()
            if data:
                view[: len(data)] = data
                self.unpacked += len(data)
                check_ratio(self.unpacked, self.packed)
                return len(data)

    def _read_piece(self) -> bool:
        """Read packed bytes; return whether there were any.

        Raises:
            ArchiveError: they end within a stream.
        """
        self._waiting = self._file.read(PIECE_BYTES)
        self.packed += len(self._waiting)
        if not self._waiting and self._begun:
            raise ArchiveError("cut short: it ends within its packed data; copy it again")
        return bool(self._waiting)

    def _begin_next_stream(self) -> None:
        """Go on with the stream behind one that has ended; zeros behind it are no stream."""
        self._waiting = self._inflate.unused_data.lstrip(b"\0")
        self._inflate, self._begun = zlib.decompressobj(GZIP_WINDOW), False
