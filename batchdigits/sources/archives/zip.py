"""Zip archives, by their table of contents, which is read piece by piece.

`zipfile` of the standard library holds the whole table in memory: half a gigabyte for a million
members.
"""

import os
import stat
import struct
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO, NamedTuple

from batchdigits.formats import SIGNATURE_BYTES
from batchdigits.records import MAX_FILE_BYTES, Member
from batchdigits.sources.archives.entries import (
    ArchiveEntry,
    ArchiveError,
    check_ratio,
    find_size,
    find_skip_reason,
    open_archive,
)
from batchdigits.sources.archives.members import MemberError, load_zip_member

END = struct.Struct("<4s4H2LH")
"""The record at the end of a zip (APPNOTE 4.3.16)."""
END_64_LOCATOR, END_64 = struct.Struct("<4sLQL"), struct.Struct("<4sQ2H2L4Q")
ENTRY = struct.Struct("<4s6H3L5H2L")
"""A file header of the table of contents (APPNOTE 4.3.12)."""
MAX_COMMENT_BYTES = 0xFFFF
STORED, DEFLATED = 0, 8
METHODS = {1: "shrunk", 6: "imploded", 9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard"}
ENCRYPTED_FLAG, UTF_8_FLAG = 1, 0x800
FULL_32, ZIP64_EXTRA = 0xFFFFFFFF, 1


class ZipEnd(NamedTuple):
    """What the end of a zip tells.

    Attributes:
        entries: how many it has.
        start: of the table of contents, in bytes.
        shift: bytes that stand before the archive in its file, as a program that unpacks it.
    """

    entries: int
    start: int
    shift: int


def walk_zip(path: str) -> Iterator[ArchiveEntry]:
    """Yield the entries of a zip in the order of its table of contents, without folders.

    Raises:
        ArchiveError: it is no zip, or cannot be read from here on.
    """
    with closing(open_archive(path)) as table, closing(open_archive(path)) as data:
        size, unpacked = find_size(table), 0
        end = _read_end(table, size)
        table.seek(end.start)
        for _ in range(end.entries):
            fields, name = _read_table_entry(table)
            unpacked += fields[9]
            check_ratio(unpacked, size)
            if not name.endswith(b"/"):
                yield _make_entry(data, fields, _decode_name(name, fields[3]), end.shift)


def count_zip_members(path: str) -> int:
    """Return how many entries a zip has, by its end.

    Raises:
        ArchiveError: it is no zip.
    """
    with closing(open_archive(path)) as file:
        return _read_end(file, find_size(file)).entries


def _read_end(file: BinaryIO, size: int) -> ZipEnd:
    """Read where the table of contents is."""
    start = max(0, size - END.size - MAX_COMMENT_BYTES)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) < at + END.size:
        raise ArchiveError(
            "no zip, or cut short: the table of contents at its end is missing; copy it again"
        )
    _, disk, _, _, count, table_size, table_start, _ = END.unpack_from(tail, at)
    place = start + at
    if FULL_32 in (table_size, table_start) or count == 0xFFFF:
        place, (count, table_size, table_start) = _read_end_64(
            file, place, (count, table_size, table_start)
        )
    elif disk:
        raise ArchiveError("one part of several of a zip: join them first")
    shift = place - table_size - table_start
    if shift < 0:
        raise ArchiveError("damaged zip: its table of contents is not where it must be")
    return ZipEnd(count, table_start + shift, shift)


def _read_end_64(
    file: BinaryIO, place: int, fields: tuple[int, int, int]
) -> tuple[int, tuple[int, int, int]]:
    """Read the end of a zip of more than 65,535 entries or 4 GiB; without one, `fields` hold."""
    file.seek(max(0, place - END_64_LOCATOR.size))
    locator = file.read(END_64_LOCATOR.size)
    if len(locator) < END_64_LOCATOR.size or locator[:4] != b"PK\6\7":
        return place, fields
    place -= END_64_LOCATOR.size + END_64.size
    file.seek(max(0, place))
    record = file.read(END_64.size)
    if len(record) < END_64.size or record[:4] != b"PK\6\6":
        raise ArchiveError("damaged zip: its end is not what was written; copy it again")
    *_, count, table_size, table_start = END_64.unpack(record)
    return place, (count, table_size, table_start)


def _read_table_entry(table: BinaryIO) -> tuple[list[int], bytes]:
    """Read an entry of the table of contents: its fields, with the sizes of zip64, and its name.

    Raises:
        ArchiveError: the table breaks off here.
    """
    header = table.read(ENTRY.size)
    if len(header) < ENTRY.size or header[:4] != b"PK\1\2":
        raise ArchiveError("damaged zip: its table of contents breaks off; copy it again")
    fields = list(ENTRY.unpack(header))
    name, extra = table.read(fields[10]), table.read(fields[11])
    table.read(fields[12])
    wide = _find_extra(extra, ZIP64_EXTRA)
    for field in (9, 8, 16):  # size, packed size, offset: in this order, those that are too large
        if fields[field] == FULL_32 and len(wide) >= 8:
            fields[field] = int.from_bytes(wide[:8], "little")
            wide = wide[8:]
    return fields, name


def _find_extra(extra: bytes, wanted: int) -> bytes:
    """Return the data of an extra field; empty if there is none."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<2H", extra)
        if kind == wanted:
            return extra[4 : 4 + size]
        extra = extra[4 + size :]
    return b""


def _decode_name(name: bytes, flags: int) -> str:
    """Return a name as text: many programs write UTF-8 without saying so; else it is cp437."""
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return os.fsdecode(name) if flags & UTF_8_FLAG else name.decode("cp437")


def _make_entry(data: BinaryIO, fields: list[int], name: str, shift: int) -> ArchiveEntry:
    _, _, _, flags, method, _, _, crc, packed, size, *_, outer, offset = fields
    member = Member(size, offset + shift, packed, method == DEFLATED, crc)
    fault = _find_fault(flags, method, size, outer >> 16)

    def load_head() -> bytes:
        try:
            return b"" if fault else load_zip_member(data, member, SIGNATURE_BYTES)
        except MemberError:
            return b""

    if reason := find_skip_reason(name, load_head):
        return ArchiveEntry(name, None, "", reason)
    return ArchiveEntry(name, None if fault else member, fault)


def _find_fault(flags: int, method: int, size: int, mode: int) -> str:
    """Return why an entry cannot be read; empty if it can."""
    if flags & ENCRYPTED_FLAG:
        return "encrypted: it needs a password; make the zip again without one"
    if stat.S_ISLNK(mode):
        return "a link, not followed: put the file itself in"
    if method not in (STORED, DEFLATED):
        how = METHODS.get(method, f"by method {method}")
        return f"packed in a way that is not read ({how}): expected stored or deflated"
    if size > MAX_FILE_BYTES:
        return f"too large: {size:,} bytes, over the limit of {MAX_FILE_BYTES:,}"
    return ""
