"""Tar archives, header by header: POSIX, GNU and the oldest form, packed by gzip or not.

`tarfile` of the standard library takes four times as long for a header, and does not tell an
archive that was cut between two members from one that is whole.
"""

import io
import os
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO

from batchdigits.formats import SIGNATURE_BYTES
from batchdigits.records import MAX_FILE_BYTES, Member
from batchdigits.sources.archives.entries import (
    MAX_STREAMED_BYTES,
    READ_BYTES,
    ArchiveEntry,
    ArchiveError,
    find_size,
    find_skip_reason,
    open_archive,
)
from batchdigits.sources.archives.gzip import GzipStream
from batchdigits.sources.archives.tar_headers import (
    TarHeader,
    apply_notes,
    has_checksum,
    parse_header,
    take_note,
)

BLOCK = 512
"""Bytes of a header; members begin at multiples of it."""
MAX_NOTE_BYTES = 1 << 20
"""Bytes that a note about the next member, such as its long name, may have."""
MAX_PADDING_BLOCKS = 2048
"""Blocks of zeros that may follow the last member, or stand between two archives in one file."""
GZIP_MAGIC = b"\x1f\x8b"
CUT_SHORT = "cut short: it ends %s; copy it again"
_REGULAR_TYPES = b"0\x007"
_LINK_TYPES = b"12"
_FOLDER_TYPE = b"5"
_NOTE_TYPES = b"LKxXg"
_OTHER_TYPES = {b"3": "a device", b"4": "a device", b"6": "a pipe", b"S": "a sparse file"}


def walk_tar(path: str) -> Iterator[ArchiveEntry]:
    """Yield the entries of a tar archive in its order, without folders.

    Raises:
        ArchiveError: it is no tar archive, or cannot be read from here on.
    """
    with closing(open_archive(path)) as file:
        is_packed = file.peek(2)[:2] == GZIP_MAGIC  # type: ignore[attr-defined]
        yield from (_PackedTar if is_packed else _PlainTar)(file).walk()


def estimate_tar_members(path: str, most: int = 200) -> int:
    """Estimate how many entries an archive has, by the first ones.

    Raises:
        ArchiveError: as `walk_tar`.
    """
    with closing(open_archive(path)) as file:
        size = find_size(file)
        is_packed = file.peek(2)[:2] == GZIP_MAGIC  # type: ignore[attr-defined]
        tar = (_PackedTar if is_packed else _PlainTar)(file)
        count = 0
        for _ in tar.walk():
            count += 1
            if count == most:
                return max(count, count * size // max(tar.count_read_bytes(), 1))
        return count


class _PlainTar:
    """A tar archive of which any part can be read: workers read the members by themselves."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = find_size(file)

    def walk(self) -> Iterator[ArchiveEntry]:
        """Yield the entries, without folders."""
        notes: dict[str, bytes] = {}
        defaults: dict[str, bytes] = {}
        begun = False
        while (block := self._read_header_block(begun)) is not None:
            begun = True
            header = parse_header(block)
            if header.kind in _NOTE_TYPES:
                take_note(header, self._read_note(header.size), notes, defaults)
                continue
            header = apply_notes(header, {**defaults, **notes} if notes or defaults else notes)
            is_sparse = any(key.startswith("GNU.sparse.") for key in notes)
            notes.clear()
            entry = self._take_entry(header, is_sparse)
            if entry is not None:
                yield entry

    def count_read_bytes(self) -> int:
        """Return how many bytes of the archive were read."""
        return self._file.tell()

    def _read_header_block(self, begun: bool) -> bytes | None:
        """Read the next header; None at the end of the archive.

        Raises:
            ArchiveError: the archive ends without a mark, or is none.
        """
        block = self._read(BLOCK)
        if len(block) == BLOCK and block[0]:
            return block
        zeros = 0
        while len(block) == BLOCK and not any(block):
            zeros += 1
            block = self._read(BLOCK) if zeros < MAX_PADDING_BLOCKS else b""
        if zeros:  # two archives may stand in one file; anything else behind the mark is no member
            return block if len(block) == BLOCK and has_checksum(block) else None
        if len(block) == BLOCK:
            return block  # its name is empty, which a note may give
        if not begun:
            raise ArchiveError("no tar archive: shorter than a header; copy it again")
        where = "within a header" if block else "without the mark of its end"
        raise ArchiveError(CUT_SHORT % where)

    def _take_entry(self, header: TarHeader, is_sparse: bool) -> ArchiveEntry | None:
        """Return an entry, and go on to the next header; None for a folder."""
        name = os.fsdecode(header.name)
        is_folder = header.kind == _FOLDER_TYPE or header.name.endswith(b"/")
        if is_folder or header.kind in _LINK_TYPES or is_sparse or header.kind in _OTHER_TYPES:
            self._skip(header.size if header.kind not in _LINK_TYPES else 0)
            if is_folder:
                return None
            kind = "a sparse file" if is_sparse else _OTHER_TYPES.get(header.kind, "a link")
            return _make_faulty_entry(name, kind, header.link)
        if header.size > MAX_FILE_BYTES:
            self._skip(header.size)
            reason = find_skip_reason(name, bytes)
            fault = f"too large: {header.size:,} bytes, over the limit of {MAX_FILE_BYTES:,}"
            return ArchiveEntry(name, None, "" if reason else fault, reason)
        return self._take_file(name, header.size)

    def _take_file(self, name: str, size: int) -> ArchiveEntry:
        offset = self._file.tell()
        if offset + size > self._size:
            raise ArchiveError(CUT_SHORT % f"within '{_format_name(name)}'")
        reason = find_skip_reason(name, lambda: self._read(min(size, SIGNATURE_BYTES)))
        self._file.seek(offset + _pad_to_blocks(size))
        return ArchiveEntry(name, None if reason else Member(size, offset), "", reason)

    def _read(self, count: int) -> bytes:
        return self._file.read(count)

    def _skip(self, size: int) -> None:
        end = self._file.tell() + size
        if end > self._size:
            raise ArchiveError(CUT_SHORT % "within an entry")
        self._file.seek(end + _pad_to_blocks(size) - size)

    def _read_note(self, size: int) -> bytes:
        """Read the data of an entry that tells about the next one."""
        if size > MAX_NOTE_BYTES:
            raise ArchiveError(f"damaged: a name or a note of {size:,} bytes")
        data = self._read(_pad_to_blocks(size))
        if len(data) < size:
            raise ArchiveError(CUT_SHORT % "within a header")
        return data[:size]


class _PackedTar(_PlainTar):
    """A tar archive that is packed as a whole: the members' bytes are read as they come."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self._stream = GzipStream(file)
        self._unpacked = io.BufferedReader(self._stream, READ_BYTES)

    def count_read_bytes(self) -> int:
        """Return how many bytes of the packed archive were read."""
        return self._stream.packed

    def _read(self, count: int) -> bytes:
        return self._unpacked.read(count)

    def _skip(self, size: int) -> None:
        left = _pad_to_blocks(size)
        while left:
            piece = self._read(min(left, READ_BYTES))
            if not piece:
                if left <= _pad_to_blocks(size) - size:
                    return
                raise ArchiveError(CUT_SHORT % "within an entry")
            left -= len(piece)

    def _take_file(self, name: str, size: int) -> ArchiveEntry:
        head = self._read(min(size, SIGNATURE_BYTES))
        reason = find_skip_reason(name, lambda: head)
        left = size - len(head)
        if reason or size > MAX_STREAMED_BYTES:
            self._skip_rest(size, left)
            fault = (
                f"too large for a packed archive: {size:,} bytes, over the limit of "
                f"{MAX_STREAMED_BYTES:,}: put it into a .tar or a .zip"
            )
            return ArchiveEntry(name, None, "" if reason else fault, reason)
        data = head + self._read(left)
        if len(data) < size:
            raise ArchiveError(CUT_SHORT % f"within '{_format_name(name)}'")
        self._read(_pad_to_blocks(size) - size)
        return ArchiveEntry(name, Member(size, data=data))

    def _skip_rest(self, size: int, left: int) -> None:
        while left:
            piece = self._read(min(left, READ_BYTES))
            if not piece:
                raise ArchiveError(CUT_SHORT % "within an entry")
            left -= len(piece)
        self._read(_pad_to_blocks(size) - size)


def _make_faulty_entry(name: str, kind: str, link: bytes) -> ArchiveEntry:
    """Return an entry that cannot be read, if its name is that of an image; else it is skipped."""
    if reason := find_skip_reason(name, bytes):
        return ArchiveEntry(name, None, "", reason)
    if kind != "a link":
        return ArchiveEntry(name, None, f"not a regular file but {kind}: put the file itself in")
    where = _format_name(os.fsdecode(link))
    return ArchiveEntry(name, None, f"a link to '{where}', not followed: put the file itself in")


def _pad_to_blocks(size: int) -> int:
    """Return the bytes that data of a size take, as blocks."""
    return -(-size // BLOCK) * BLOCK


def _format_name(name: str) -> str:
    """Return a name for a message: short, and printable."""
    plain = "".join(c if c.isprintable() else "?" for c in name)
    return plain if len(plain) <= 80 else f"{plain[:77]}..."
