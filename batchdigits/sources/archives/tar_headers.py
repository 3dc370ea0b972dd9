"""Headers of tar archives, and the notes before them: POSIX records, GNU's long names."""

import tarfile
from typing import NamedTuple

from batchdigits.sources.archives.entries import ArchiveError

MAX_NAME_BYTES = 1 << 16
"""Bytes that a name may have."""


class TarHeader(NamedTuple):
    """A header, with what notes before it say.

    Attributes:
        name: bytes.
        kind: the type of the entry, one byte.
        size: of its data, bytes.
        link: what a link leads to, bytes.
    """

    name: bytes
    kind: bytes
    size: int
    link: bytes


def parse_header(block: bytes) -> TarHeader:
    """Parse a header block.

    Raises:
        ArchiveError: it is none.
    """
    if not has_checksum(block):
        raise ArchiveError("no tar archive, or damaged: a header is not what was written")
    name = block[:100].split(b"\0", 1)[0]
    if block[257:263] == b"ustar\0" and block[345]:
        name = block[345:500].split(b"\0", 1)[0] + b"/" + name
    size = _parse_number(block[124:136])
    return TarHeader(name, block[156:157], size, block[157:257].split(b"\0", 1)[0])


def has_checksum(block: bytes) -> bool:
    """Return whether a block has the checksum that it tells."""
    try:
        told = _parse_number(block[148:156])
    except ArchiveError:
        return False
    field = sum(block[148:156])
    return told == sum(block) - field + 256 or told in tarfile.calc_chksums(block)  # type: ignore[attr-defined]


def _parse_number(field: bytes) -> int:
    try:
        return int(field.strip(b"\0 ") or b"0", 8)
    except ValueError:
        pass
    try:
        number = int(tarfile.nti(field))  # type: ignore[attr-defined]
    except tarfile.TarError:
        number = -1
    if number < 0:
        raise ArchiveError("damaged: a header has no number where one must be")
    return number


def take_note(
    header: TarHeader, data: bytes, notes: dict[str, bytes], defaults: dict[str, bytes]
) -> None:
    """Note what an entry says about the next one, or about all that follow.

    Raises:
        ArchiveError: the note cannot be understood.
    """
    if header.kind == b"L":
        notes["path"] = data.split(b"\0", 1)[0]
    elif header.kind == b"K":
        notes["linkpath"] = data.split(b"\0", 1)[0]
    else:
        (defaults if header.kind == b"g" else notes).update(_parse_records(data))


def _parse_records(data: bytes) -> dict[str, bytes]:
    """Parse POSIX records: their length, a space, a key, `=`, a value, a line feed."""
    records: dict[str, bytes] = {}
    while data.strip(b"\0"):
        length, _, _ = data.partition(b" ")
        if not length.isdigit() or not len(length) + 2 < int(length) <= len(data):
            raise ArchiveError("damaged: a note before a member cannot be understood")
        key, _, value = data[len(length) + 1 : int(length) - 1].partition(b"=")
        records[key.decode("utf-8", "replace")] = value
        data = data[int(length) :]
    return records


def apply_notes(header: TarHeader, notes: dict[str, bytes]) -> TarHeader:
    """Return a header with what notes say in its place.

    Raises:
        ArchiveError: its name is empty or too long.
    """
    if notes:
        name = notes.get("GNU.sparse.name") or notes.get("path") or header.name
        size = notes.get("size", b"")
        header = TarHeader(
            name,
            header.kind,
            int(size) if size.isdigit() else header.size,
            notes.get("linkpath", header.link),
        )
    if not header.name or len(header.name) > MAX_NAME_BYTES:
        raise ArchiveError("damaged: a member without a name, or with a name beyond measure")
    return header
