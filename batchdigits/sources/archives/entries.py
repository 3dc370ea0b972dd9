"""What the kinds of archives share: their entries, which of these are read, limits and faults."""

import os
import re
import stat
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from batchdigits import formats
from batchdigits.objects import ObjectError, is_url, open_ranged
from batchdigits.records import MAX_ARCHIVE_BYTES, Member

MAX_STREAMED_BYTES = 32 << 20
"""Largest member of an archive that can only be read from its beginning on, bytes: several of them
are in memory at a time."""
MIN_BOMB_BYTES, MAX_UNPACKED_RATIO = 1 << 30, 200
"""An archive that unpacks to more than both, in bytes and in times its own size, is a bomb. The
ratio of scans in archives is seldom above 2, because their formats pack them already."""
READ_BYTES = 1 << 20
"""Bytes that are read from an archive at a time."""

SKIP_HIDDEN = "hidden or half-written"
SKIP_NO_IMAGE = "not an image"
SKIP_NESTED = "an archive in an archive, which is not opened"
_UNFINISHED_PART = re.compile(
    r"(?:\A|/)(?:\.(?!\.?(?:/|\Z))|~\$)|(?:\.(?:part|tmp|crdownload|filepart)|~)(?:/|\Z)",
    re.IGNORECASE,
)
"""A part of a name by which it is hidden or half-written, as `search` has it for files."""


class ArchiveError(Exception):
    """An archive cannot be read, or not from here on; the message is in plain words."""


class ArchiveEntry(NamedTuple):
    """An entry of an archive that is no folder.

    Attributes:
        name: as the archive spells it, undecodable bytes as surrogates.
        member: where its bytes are; None for an entry that cannot be read, or is skipped.
        fault: why it cannot be read; else empty.
        reason: why it is skipped, in the words of `FoundSources.skipped`; else empty.
    """

    name: str
    member: Member | None = None
    fault: str = ""
    reason: str = ""


def find_skip_reason(name: str, load_head: Callable[[], bytes]) -> str:
    """Return why an entry is skipped, by the rules for files in folders; empty if it is read.

    Args:
        name: of the entry.
        load_head: returns its first bytes; called only where the name does not tell.
    """
    if _UNFINISHED_PART.search(name):
        return SKIP_HIDDEN
    if formats.has_image_suffix(name):
        return ""
    if formats.has_archive_suffix(name):
        return SKIP_NESTED
    return "" if formats.has_image_signature(load_head()) else SKIP_NO_IMAGE


def open_archive(path: str) -> BinaryIO:
    """Open an archive, buffered; it is never waited for, as a pipe would be.

    Args:
        path: of the archive, or the URL of one, of which then only parts are fetched.

    Raises:
        ArchiveError: it is no regular file, too large, or cannot be opened.
    """
    file = _open_object(path) if is_url(path) else _open_file(path)
    size = find_size(file)
    fault = ""
    if not size:
        fault = "empty file (0 bytes)"
    elif size > MAX_ARCHIVE_BYTES:
        fault = (
            f"too large: {size:,} bytes, over the limit of {MAX_ARCHIVE_BYTES:,} for archives: "
            "split it"
        )
    if fault:
        file.close()
        raise ArchiveError(fault)
    return file


def find_size(file: BinaryIO) -> int:
    """Return the bytes of an archive that is open at its beginning."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size


def _open_object(url: str) -> BinaryIO:
    try:
        return open_ranged(url)
    except ObjectError as fault:
        raise ArchiveError(f"cannot be fetched: {fault}; {fault.advice}") from None


def _open_file(path: str) -> BinaryIO:
    try:
        file = open(  # noqa: SIM115 (the caller closes it; flags need an opener)
            path, "rb", READ_BYTES, opener=lambda p, f: os.open(p, f | os.O_NONBLOCK | os.O_NOCTTY)
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ArchiveError(f"cannot be opened: {reason}") from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ArchiveError("not a regular file")
    return file


def check_ratio(unpacked: int, size: int) -> None:
    """Refuse a bomb.

    Args:
        unpacked: bytes that an archive has given so far, or says that it gives.
        size: of the archive, or of what was read of it, bytes.

    Raises:
        ArchiveError: it unpacks to far more than archives of scans do.
    """
    if unpacked > MIN_BOMB_BYTES and unpacked > MAX_UNPACKED_RATIO * size:
        raise ArchiveError(
            f"unpacks to more than {MAX_UNPACKED_RATIO} times its size, as a bomb does: what "
            "follows is not read; if it is none, give its files outside of an archive"
        )
