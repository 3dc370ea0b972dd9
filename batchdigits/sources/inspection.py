"""What stands under a path: its type, its kind, how it stands, and what is in it.

Nothing that could block is ever opened.
"""

import contextlib
import hashlib
import os
import stat
import time

from batchdigits import formats
from batchdigits.records import MAX_FILE_BYTES, FileSnapshot, Source

FILE_MISSING = "no such file: it was listed but is not there"
"""`Source.fault` of what is not there."""
_SPECIAL_TYPES = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
CLOCK_GRAIN_NS = 2_000_000_000
"""ns within which a file may be written to twice and bear the same time: the coarsest clock of a
file system, FAT's."""
MAX_TIME_NS = (1 << 63) - 1
"""ns since 1970 that a ledger holds; some file systems hold years by the billion."""
DIGEST_BYTES = 20
"""Bytes of a content's digest (BLAKE2b)."""
HASH_PIECE_BYTES = 1 << 20
"""Bytes that are read at a time."""


def get_entry_type(item: os.DirEntry[str]) -> int:
    """Return the type of a plain file or folder, which its listing knows; 0 for anything else."""
    with contextlib.suppress(OSError):
        if item.is_file(follow_symlinks=False):
            return stat.S_IFREG
        if item.is_dir(follow_symlinks=False):
            return stat.S_IFDIR
    return 0


def inspect_path(path: str) -> tuple[int, str]:
    """Return the mode of what a path leads to (0: nothing), and why it cannot be read, or nothing.

    It is asked for and not opened: opening a pipe would wait for ever.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0, "a symbolic link to something that is not there" if os.path.islink(
            path
        ) else FILE_MISSING
    except OSError as error:
        return 0, f"it cannot be reached: {describe_error(error)}"
    except ValueError:  # a NUL or a lone surrogate, which no name can hold
        return 0, FILE_MISSING
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return mode, ""
    return (
        mode,
        f"not a regular file: {_SPECIAL_TYPES.get(stat.S_IFMT(mode), 'of an unknown type')}",
    )


def describe_error(error: OSError) -> str:
    """Return the operating system's words for an error."""
    return (error.strerror or str(error)).lower()


def has_image_signature(path: str) -> bool:
    """Return whether a file's first bytes are those of an image.

    Raises:
        OSError: it cannot be read.
    """
    return formats.has_image_signature(_load_first_bytes(path))


def _load_first_bytes(path: str) -> bytes:
    # Without O_NONBLOCK, a pipe put in the file's place since it was listed would hang the run.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.read(handle, formats.SIGNATURE_BYTES)
    finally:
        os.close(handle)


def stat_source(source: Source) -> FileSnapshot:
    """Return how a file stands; size and time are -1 where the system does not tell."""
    try:
        found = os.stat(source.path)
    except (OSError, ValueError):
        return FileSnapshot(source.file, -1, -1)
    return _make_entry(source, found)


def hash_source(source: Source) -> FileSnapshot:
    """Return how a file stands, with a digest of its content; None where it cannot be read.

    A file that is too large to be read is not digested either: a sparse one of terabytes costs
    nothing to make, and hours to digest.
    """
    try:
        # without O_NONBLOCK a pipe put in the file's place would hang the run
        handle = os.open(source.path, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError):
        return stat_source(source)
    before = os.fstat(handle)
    if not stat.S_ISREG(before.st_mode) or before.st_size > MAX_FILE_BYTES:
        os.close(handle)
        return _make_entry(source, before)
    with os.fdopen(handle, "rb", buffering=0) as file:
        digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
        try:
            while piece := file.read(HASH_PIECE_BYTES):
                digest.update(piece)
        except OSError:
            return _make_entry(source, before)
        entry = _make_entry(source, os.fstat(handle))
    if not is_unchanged(entry, _make_entry(source, before)):
        return entry
    return entry._replace(content=digest.digest())


def is_unchanged(one: FileSnapshot, other: FileSnapshot) -> bool:
    """Return whether a file has the size and the time that it had."""
    return (one.size, one.time) == (other.size, other.time)


def is_unsettled(entry: FileSnapshot, seconds: float) -> bool:
    """Return whether a file was written to in the last seconds, or will be, by a skewed clock.

    One that is much further in the future was there when the clock went back.
    """
    age = time.time() - entry.time / 1e9
    return entry.time >= 0 and abs(age) < seconds


def _make_entry(source: Source, found: os.stat_result) -> FileSnapshot:
    when = min(max(found.st_mtime_ns, -MAX_TIME_NS), MAX_TIME_NS)
    sure = time.time_ns() - when > CLOCK_GRAIN_NS and when != -MAX_TIME_NS
    return FileSnapshot(
        source.file, found.st_size, when, min(found.st_ctime_ns, MAX_TIME_NS) if sure else 0
    )
