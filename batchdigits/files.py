"""Atomic writes: a file is written under another name, and renamed when it is complete."""

import hashlib
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from batchdigits.errors import OutputError


def write_file(path: str, data: bytes, *, mode_of: str | None = None) -> None:
    """Write a file, whole or not at all; an existing file is replaced and keeps its mode.

    Args:
        path: of the file.
        data: its contents.
        mode_of: a file whose mode it takes; None for the mode of `path`, or of a new file.

    Raises:
        OutputError: the file cannot be written.
    """
    with wrap_os_errors(path):
        check_writable(path)
        with open_atomic_file(Path(os.path.realpath(path)), mode_of=mode_of) as file:
            file.write(data)


def digest_file(path: str | os.PathLike[str]) -> bytes:
    """Return a digest of a file's bytes, 20 bytes; states keep it.

    Raises:
        OSError: the file cannot be read.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20)).digest()


def check_writable(path: str) -> None:
    """Check that a file can be written to `path`.

    Raises:
        OutputError: the folder is missing, or `path` exists and is not a file.
        OSError: the folder is not writable.
    """
    target = Path(os.path.realpath(path))
    folder = target.parent
    if not folder.is_dir():
        raise OutputError(f"{path!r}: {str(folder)!r} is no folder: make it, or choose another")
    if target.exists() and not target.is_file():
        raise OutputError(f"{path!r} is a folder or no regular file: give a file's name")
    if target.is_symlink():  # although links were followed
        raise OutputError(f"{path!r} is a link that leads round in a circle: choose another name")
    # Only trying tells: permission bits mean nothing on network drives, and to root.
    tempfile.TemporaryFile(prefix=".batchdigits-", suffix=".tmp", dir=folder).close()


@contextmanager
def wrap_os_errors(path: str) -> Iterator[None]:
    """Turn an OSError while `path` is written into an OutputError."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as fault:
        reason = f"{fault.strerror or fault} (what was there is unchanged)"
        raise OutputError(
            f"cannot write {path!r}: {reason}: make room, or choose another"
        ) from fault


@contextmanager
def open_atomic_file(
    target: Path,
    like: Path | None = None,
    *,
    mode_of: str | None = None,
    is_only_writer: bool = False,
) -> Iterator[BinaryIO]:
    """Open a hidden new file beside `target`, which replaces `target` if the block succeeds.

    Until then nobody else may read it.

    Args:
        target: path of the file when it is complete.
        like: a file whose mode, owner and times it takes; None for the mode of `target`, or of a
            new file.
        mode_of: a file whose mode alone it takes; None for what `like` says.
        is_only_writer: whether nobody else copies to this folder meanwhile. The hidden file then
            has a fixed name, and replaces what a killed run has left.
    """
    path = choose_temp_path(target)
    if is_only_writer:
        path = target.with_name(".batchdigits-copy.tmp")
        path.unlink(missing_ok=True)
    file = open(path, "xb", opener=open_private)  # noqa: SIM115
    try:
        yield file
        file.flush()
        _set_file_attributes(file.fileno(), like, target if mode_of is None else Path(mode_of))
        os.fsync(file.fileno())
        file.close()
        path.replace(target)
        sync_folder(target.parent)
    finally:
        for clean_up in (file.close, path.unlink):
            with suppress(OSError):
                clean_up()


def choose_temp_path(target: Path) -> Path:
    """Return an unused hidden path beside `target`, which no run takes for an input."""
    return target.with_name(f".batchdigits-{secrets.token_hex(8)}.tmp")


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Write the names in a folder to the disk, where the file system can."""
    with suppress(OSError):  # some network drives cannot
        handle = os.open(folder, os.O_RDONLY)
        with suppress(OSError):
            os.fsync(handle)
        os.close(handle)


def open_private(path: str, flags: int) -> int:
    """Open a file that nobody else may read: an opener for `open`."""
    return os.open(path, flags, 0o600)


def _set_file_attributes(handle: int, like: Path | None, mode_of: Path) -> None:
    if like is None:
        return os.fchmod(handle, _get_file_mode(mode_of))
    like_status = like.stat()
    with suppress(OSError):  # only root may give files away
        os.fchown(handle, like_status.st_uid, like_status.st_gid)
    os.fchmod(handle, like_status.st_mode & 0o777)  # no set-user-ID bits: the owner may differ now
    os.utime(handle, ns=(like_status.st_atime_ns, like_status.st_mtime_ns))
    return None


def _get_file_mode(target: Path) -> int:
    """Return the mode of a file, or the mode that a new file in its place would have."""
    try:
        return stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        umask = os.umask(0o077)  # the only way to ask for it
        os.umask(umask)
        return 0o666 & ~umask


def make_lock_path(path: str) -> str:
    """Return the path of an output's lock: hidden, beside it; it stays when the lock is free."""
    folder, name = os.path.split(os.path.realpath(path))
    return os.path.join(folder, f".{name}.lock")
