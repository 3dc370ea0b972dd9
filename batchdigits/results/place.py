"""Where a file goes: written aside, and put in its place whole or not at all."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from batchdigits.errors import OutputError


def put(out: str, data: bytes) -> None:
    """Write a file whole; one that is there is replaced, and keeps its mode.

    Raises:
        OutputError: it cannot be written.
    """
    with faults(out):
        check_place(out)
        with aside(Path(os.path.realpath(out))) as file:
            file.write(data)


def check_place(out: str) -> None:
    """Say now whether a file can be written to `out`.

    Raises:
        OutputError: its folder is missing or not writable, or `out` is there and no file.
    """
    target = Path(os.path.realpath(out))
    folder = target.parent
    if not folder.is_dir():
        raise OutputError(f"{out!r}: {str(folder)!r} is no folder: make it, or choose another")
    if target.exists() and not target.is_file():
        raise OutputError(f"--out {out!r} is a folder or no regular file: give a file's name")
    # Only trying tells: permission bits say nothing of network drives, or to root.
    tempfile.TemporaryFile(prefix=".batchdigits-", suffix=".tmp", dir=folder).close()


@contextmanager
def faults(out: str) -> Iterator[None]:
    """Turn what the operating system says while a file is written into an OutputError."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as fault:
        why = f"{fault.strerror or fault} (what was there is unchanged)"
        raise OutputError(f"cannot write {out!r}: {why}: make room, or choose another") from fault


@contextmanager
def aside(target: Path) -> Iterator[BinaryIO]:
    """Give a hidden new file beside `target`, which takes its place if all goes well."""
    path = target.with_name(f".batchdigits-{secrets.token_hex(8)}.tmp")
    file = path.open("xb")
    try:
        with suppress(FileNotFoundError):
            shutil.copymode(target, path)
        yield file
        file.flush()
        os.fsync(file.fileno())
        file.close()
        path.replace(target)
        with suppress(OSError):  # it is in place by now, and some network drives cannot do this
            folder = os.open(target.parent, os.O_RDONLY)
            with suppress(OSError):
                os.fsync(folder)
            os.close(folder)
    finally:
        for tidy in (file.close, path.unlink):
            with suppress(OSError):
                tidy()
