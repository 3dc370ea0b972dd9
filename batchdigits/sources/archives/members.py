"""Members of archives are read, each by itself: this runs in the workers."""

import struct
import zlib
from typing import BinaryIO, Self

from batchdigits.records import Member, Source
from batchdigits.sources.archives.entries import ArchiveError, open_archive
from batchdigits.sources.inspection import digest_bytes

LOCAL_HEADER = struct.Struct("<4s5H3L2H")
"""The header before a member of a zip (APPNOTE 4.3.7)."""


class MemberError(Exception):
    """A member of an archive cannot be read; the message is in plain words."""


class MemberReader:
    """Reads members of archives, and keeps the archive that it read last open.

    Attributes:
        digests: of the members that were read, by their names as of `Source.file`.
    """

    def __init__(self) -> None:
        """Open nothing yet."""
        self.digests: dict[str, bytes] = {}
        self._path = ""
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        """Return the reader."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the archive."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def load(self, source: Source) -> bytes:
        """Return the bytes of a member, and keep their digest.

        Raises:
            MemberError: they cannot be read, or are not what the archive says.
        """
        member = source.member
        if member is None:
            raise MemberError("no member of an archive")
        data = member.data if member.data is not None else self._load(source.path, member)
        self.digests[source.file] = digest_bytes(data)
        return data

    def _load(self, path: str, member: Member) -> bytes:
        try:
            if self._file is None or path != self._path:
                self.__exit__()
                self._file, self._path = open_archive(path), path
            if member.packed is not None:
                return load_zip_member(self._file, member)
            self._file.seek(member.offset)  # members stand in order, so the next is in the buffer
            data = self._file.read(member.size)
        except ArchiveError as error:
            raise MemberError(f"its archive {error}") from None
        except OSError as error:
            raise MemberError(f"cannot be read: {error.strerror or error}") from None
        if len(data) < member.size:
            raise MemberError("cut short: its archive has changed while it was read; run again")
        return data


def load_zip_member(file: BinaryIO, member: Member, most: int | None = None) -> bytes:
    """Return the bytes of a member of a zip.

    Args:
        file: the zip.
        member: where it is in it.
        most: how many bytes are wanted; None for all, which are checked.

    Raises:
        MemberError: they cannot be read, or are not what the archive says.
    """
    file.seek(member.offset)
    header = file.read(LOCAL_HEADER.size)
    if len(header) < LOCAL_HEADER.size or header[:4] != b"PK\3\4":
        raise MemberError("damaged zip: the member is not where its table of contents says")
    *_, name_size, extra_size = LOCAL_HEADER.unpack(header)
    file.seek(member.offset + LOCAL_HEADER.size + name_size + extra_size)
    wanted = member.size if most is None else min(most, member.size)
    packed_size = member.packed or 0
    packed = file.read(packed_size if most is None else min(packed_size, 512))
    data = (
        _inflate_member(packed, wanted, whole=most is None)
        if member.is_deflated
        else packed[:wanted]
    )
    if len(data) != wanted or (most is None and zlib.crc32(data) != member.crc):
        raise MemberError("damaged zip: the member is not what was packed; copy it again")
    return data


def _inflate_member(packed: bytes, size: int, *, whole: bool) -> bytes:
    """Unpack so many bytes and no more, whatever they would unpack to.

    Raises:
        MemberError: they cannot be unpacked, or to another size.
    """
    unpack = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = unpack.decompress(packed, size) if size else b""
        more = whole and unpack.decompress(unpack.unconsumed_tail, 1)
    except zlib.error:
        raise MemberError("damaged zip: the member cannot be unpacked; copy it again") from None
    if more:
        raise MemberError("damaged zip, or a bomb: the member is larger than the zip says")
    return data
