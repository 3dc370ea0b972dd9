"""Where a file goes: written aside, and put in its place whole or not at all."""

import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from batchdigits.errors import OutputError


def write_file(out: str, data: bytes) -> None:
    """Write a file whole; one that is there is replaced, and keeps its mode.

    Raises:
        OutputError: it cannot be written.
    """
    with wrap_os_errors(out):
        check_writable(out)
        with open_atomic_file(Path(os.path.realpath(out))) as file:
            file.write(data)


def check_writable(out: str) -> None:
    """Say now whether a file can be written to `out`.

    Raises:
        OutputError: its folder is missing or not writable, or `out` is there and no file.
    """
    target = Path(os.path.realpath(out))
    folder = target.parent
    if not folder.is_dir():
        raise OutputError(f"{out!r}: {str(folder)!r} is no folder: make it, or choose another")
    if target.exists() and not target.is_file():
        raise OutputError(f"{out!r} is a folder or no regular file: give a file's name")
    if target.is_symlink():  # for all that could be followed
        raise OutputError(f"{out!r} is a link that leads round in a circle: choose another name")
    # Only trying tells: permission bits say nothing of network drives, or to root.
    tempfile.TemporaryFile(prefix=".batchdigits-", suffix=".tmp", dir=folder).close()


@contextmanager
def wrap_os_errors(out: str) -> Iterator[None]:
    """Turn what the operating system says while a file is written into an OutputError."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as fault:
        why = f"{fault.strerror or fault} (what was there is unchanged)"
        raise OutputError(f"cannot write {out!r}: {why}: make room, or choose another") from fault


@contextmanager
def open_atomic_file(
    target: Path, like: Path | None = None, *, alone: bool = False
) -> Iterator[BinaryIO]:
    """Give a hidden new file beside `target`, which takes its place if all goes well.

    Until then nobody else may read it.

    Args:
        target: what it will be.
        like: a file whose mode, owner and times it takes; None for the mode that `target` has.
        alone: whether nobody else copies to this folder meanwhile: what a killed run has left there
            makes room.
    """
    path = choose_temp_path(target)
    if alone:
        path = target.with_name(".batchdigits-copy.tmp")
        path.unlink(missing_ok=True)
    file = open(path, "xb", opener=open_private)  # noqa: SIM115
    try:
        yield file
        file.flush()
        _set_file_attributes(file.fileno(), like, target)
        os.fsync(file.fileno())
        file.close()
        path.replace(target)
        sync_folder(target.parent)
    finally:
        for tidy in (file.close, path.unlink):
            with suppress(OSError):
                tidy()


def choose_temp_path(target: Path) -> Path:
    """Name a file beside another that no run takes for an input, and that nothing has yet."""
    return target.with_name(f".batchdigits-{secrets.token_hex(8)}.tmp")


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Have the disk know what names a folder holds, where it can."""
    with suppress(OSError):  # some network drives cannot
        handle = os.open(folder, os.O_RDONLY)
        with suppress(OSError):
            os.fsync(handle)
        os.close(handle)


def open_private(path: str, flags: int) -> int:
    """Open a file that nobody else may read, for `open`."""
    return os.open(path, flags, 0o600)


def _set_file_attributes(handle: int, like: Path | None, target: Path) -> None:
    if like is None:
        return os.fchmod(handle, _get_file_mode(target))
    found = like.stat()
    with suppress(OSError):  # only root may give files away
        os.fchown(handle, found.st_uid, found.st_gid)
    os.fchmod(handle, found.st_mode & 0o777)  # no more: who owned it may not be who owns it now
    os.utime(handle, ns=(found.st_atime_ns, found.st_mtime_ns))
    return None


def _get_file_mode(target: Path) -> int:
    """Give the mode that a file has, or a new one in its place would have."""
    try:
        return stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        umask = os.umask(0o077)  # the only way to ask for it
        os.umask(umask)
        return 0o666 & ~umask


def make_lock_path(path: str) -> str:
    """Name the lock of an output: hidden, beside it, left there when it is free."""
    folder, name = os.path.split(os.path.realpath(path))
    return os.path.join(folder, f".{name}.lock")
