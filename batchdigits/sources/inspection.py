"""One path: how the table spells it, its type, whether it is an image, size, times and digest.

This module opens nothing that could block.
"""

import contextlib
import hashlib
import os
import re
import stat
import time

from batchdigits import formats, workers
from batchdigits.objects import is_url
from batchdigits.records import MAX_ARCHIVE_BYTES, MAX_FILE_BYTES, FileSnapshot, Source

FILE_MISSING = "no such file: it was listed but is not there"
"""`Source.fault` of a missing file."""
_SPECIAL_TYPES = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
CLOCK_GRAIN_NS = 2_000_000_000
"""ns within which two writes may leave the same time on a file: the coarsest clock of a file
system, FAT's."""
MAX_TIME_NS = (1 << 63) - 1
"""Largest time, ns since 1970, that the state can store; some file systems go beyond."""
DIGEST_BYTES = 20
"""Length of the digest of a file's content (BLAKE2b), bytes."""
HASH_PIECE_BYTES = 1 << 20
"""Bytes that are read and digested at a time."""
_CONTROL_RANGES = r"\x00-\x1f\x7f-\x9f"
_NEEDS_ESCAPE = re.compile(rf"[\\{_CONTROL_RANGES}\ud800-\udfff]")
_RISKY_START = re.compile(rf"[=+\-@{_CONTROL_RANGES}]")
UNESCAPED_CHARACTER = re.compile(rf"\A[=+\-@]|[{_CONTROL_RANGES}\ud800-\udfff]")
"""What no path that `escape_path` returns contains."""
_ESCAPE_SEQUENCE = re.compile(rb"\\(?:\\|x([0-9a-fA-F]{2}))")


def escape_path(path: str) -> str:
    r"""Return a path as the table's `file` column spells it: one line, valid UTF-8, no formula.

    Backslashes are doubled. Undecodable bytes and control characters (Unicode category Cc) become
    `\xNN`, one for each byte of their UTF-8. A path that begins with `= + - @` or a control
    character gets `./` in front, which names the same file.

    Args:
        path: as Python gives it, undecodable bytes as surrogates (`surrogateescape`).
    """
    spelled = _NEEDS_ESCAPE.sub(_escape_character, path)
    return "./" + spelled if _RISKY_START.match(path) else spelled


def unescape_path(file: str) -> bytes:
    r"""Return the bytes of a path that `escape_path` spelled.

    A `./` that `escape_path` put in front stays, as it names the same file. A backslash that
    `escape_path` would not have written stands for itself.
    """
    raw = file.encode("utf-8", "surrogateescape")
    return _ESCAPE_SEQUENCE.sub(
        lambda match: bytes.fromhex(match[1].decode()) if match[1] else b"\\", raw
    )


def _escape_character(match: re.Match[str]) -> str:
    char = match[0]
    if char == "\\":
        return "\\\\"
    # \udc80-\udcff stand for bytes; no disk gives other surrogates, but they must not crash.
    errors = "surrogateescape" if "\udc80" <= char <= "\udcff" else "surrogatepass"
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", errors))


def get_entry_type(item: os.DirEntry[str]) -> int:
    """Return the type of a plain file or folder, known from its listing; 0 for anything else."""
    with contextlib.suppress(OSError):
        if item.is_file(follow_symlinks=False):
            return stat.S_IFREG
        if item.is_dir(follow_symlinks=False):
            return stat.S_IFDIR
    return 0


def inspect_path(path: str) -> tuple[int, str]:
    """Return the mode of what a path leads to, and the fault that keeps it from being read.

    The path is not opened, as opening a pipe would wait for ever.

    Returns:
        The mode, 0 where nothing can be reached; and the fault, empty for a file or folder.
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
        OSError: the file cannot be read.
    """
    return formats.has_image_signature(_load_first_bytes(path))


def _load_first_bytes(path: str) -> bytes:
    # O_NONBLOCK: a pipe that took the file's place after the listing would hang the run.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.read(handle, formats.SIGNATURE_BYTES)
    finally:
        os.close(handle)


def stat_source(source: Source) -> FileSnapshot:
    """Return a file's size and times; size and time are -1 where the file cannot be reached.

    An object is as its listing had it: asking again would be a request for each.
    """
    if source.listed is not None:
        return source.listed
    try:
        status = os.stat(source.path)
    except (OSError, ValueError):
        return FileSnapshot(source.file, -1, -1)
    return _make_snapshot(source, status)


def hash_source(source: Source) -> FileSnapshot:
    """Return a file's size and times, with a digest of its content.

    The digest is None where the file cannot be read, changes meanwhile, or is over
    `MAX_FILE_BYTES`: a sparse file of terabytes costs nothing to make, and hours to digest. An
    archive may be larger, up to a limit of its own. The digest is None for an object too, which
    would have to be fetched: then it can be read as well.
    """
    if source.listed is not None:
        return source.listed
    try:
        # O_NONBLOCK: a pipe that took the file's place would hang the run.
        handle = os.open(source.path, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError):
        return stat_source(source)
    before = os.fstat(handle)
    is_large = before.st_size > (MAX_ARCHIVE_BYTES if source.is_archive else MAX_FILE_BYTES)
    if not stat.S_ISREG(before.st_mode) or is_large:
        os.close(handle)
        return _make_snapshot(source, before)
    with os.fdopen(handle, "rb", buffering=0) as file:
        digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
        try:
            while piece := file.read(HASH_PIECE_BYTES):
                digest.update(piece)
                workers.send_heartbeat()
        except OSError:
            return _make_snapshot(source, before)
        after = _make_snapshot(source, os.fstat(handle))
    if not is_unchanged(after, _make_snapshot(source, before)):
        return after
    return after._replace(content=digest.digest())


def digest_bytes(data: bytes) -> bytes:
    """Return the digest of a file's content, as of `hash_source`."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()


def hash_listed(source: Source) -> FileSnapshot:
    """Return an archive in an object store as it was listed, with a digest of what that says.

    Its content would have to be fetched; its tag says as much.
    """
    listed = stat_source(source)
    said = f"{source.path} {listed.size} {listed.time} {listed.sure}".encode()
    return listed._replace(content=digest_bytes(said))


def make_content_snapshot(
    source: Source, data: bytes, before: os.stat_result, after: os.stat_result
) -> FileSnapshot:
    """Return a file's size and times, with a digest of its content unless it changed meanwhile.

    Args:
        source: the file.
        data: its bytes.
        before: its status before they were read.
        after: its status afterwards.
    """
    snapshot = _make_snapshot(source, after)
    times = (before.st_size, before.st_mtime_ns), (after.st_size, after.st_mtime_ns)
    if times[0] != times[1] or len(data) != after.st_size:
        return snapshot
    return snapshot._replace(content=digest_bytes(data))


def is_unchanged(one: FileSnapshot, other: FileSnapshot) -> bool:
    """Return whether two snapshots of a file have the same size and time."""
    return (one.size, one.time) == (other.size, other.time)


def is_unsettled(entry: FileSnapshot, seconds: float) -> bool:
    """Return whether a file's time is less than `seconds` from now, before or after.

    A skewed clock gives times shortly after now. A file with a time further in the future was
    there before the clock was set back. An object is complete as soon as it is listed.
    """
    age = time.time() - entry.time / 1e9
    return entry.time >= 0 and abs(age) < seconds and not is_url(entry.file)


def _make_snapshot(source: Source, status: os.stat_result) -> FileSnapshot:
    time_ns = min(max(status.st_mtime_ns, -MAX_TIME_NS), MAX_TIME_NS)
    is_sure = time.time_ns() - time_ns > CLOCK_GRAIN_NS and time_ns != -MAX_TIME_NS
    return FileSnapshot(
        source.file, status.st_size, time_ns, min(status.st_ctime_ns, MAX_TIME_NS) if is_sure else 0
    )
