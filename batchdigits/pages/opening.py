"""Files are opened without blocking, and read once: from the same bytes all else is made."""

import os
import stat
from collections.abc import Callable

from batchdigits.formats import FORMAT_BYTES, FORMATS, identify_format
from batchdigits.pages.trouble import UnreadableFileError
from batchdigits.records import MAX_FILE_BYTES

FIRST_BYTES = 1 << 16
"""Bytes of a file that are read at first: all of a crop, or the head of a PDF."""

TakeContent = Callable[[bytes, os.stat_result, os.stat_result], object]
"""Called with the bytes of a file, and with its status before and after they were read."""


def open_file(path: str) -> tuple[int, os.stat_result]:
    """Open a regular file of at most `MAX_FILE_BYTES`, without blocking.

    A blocking call would wait for ever if the path is a named pipe.

    Returns:
        Its descriptor, which the caller closes, and its status.

    Raises:
        UnreadableFileError: it cannot be opened, or is no such file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError:
        raise UnreadableFileError("no such file") from None
    except PermissionError:
        raise UnreadableFileError("permission denied: let this account read the file") from None
    except OSError as error:
        raise UnreadableFileError(f"cannot be opened: {error.strerror}") from None
    except ValueError:
        raise UnreadableFileError("not a path: it holds a zero byte") from None
    status = os.fstat(descriptor)
    fault = ""
    if stat.S_ISDIR(status.st_mode):
        fault = "not a file but a folder"
    elif not stat.S_ISREG(status.st_mode):
        fault = "not a regular file but a pipe, socket or device"
    elif status.st_size > MAX_FILE_BYTES:
        fault = f"too large: {status.st_size:,} bytes, over the limit of {MAX_FILE_BYTES:,}"
    if fault:
        os.close(descriptor)
        raise UnreadableFileError(fault)
    return descriptor, status


def read_content(descriptor: int, status: os.stat_result) -> tuple[str, bytes]:
    """Read an open file; return the name of its format, and its bytes.

    Of a PDF only the first bytes are read.

    Raises:
        OSError: it cannot be read.
        UnreadableFileError: its format is none that is read.
    """
    data = os.read(descriptor, FIRST_BYTES)
    kind = require_readable_format(data[:FORMAT_BYTES])
    if kind != "PDF" and len(data) < status.st_size:
        with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
            data += file.read()
    return kind, data


def require_readable_format(head: bytes) -> str:
    """Return the name of the format that a file's first bytes show; suffixes are often wrong."""
    if not head:
        raise UnreadableFileError("empty file (0 bytes)")
    file_format = identify_format(head)
    if file_format is None:
        *names, last = (one.name for one in FORMATS if one.is_read)
        raise UnreadableFileError(
            f"not an image: begins with {head[:8]!r}; expected {', '.join(names)} or {last}"
        )
    if not file_format.is_read:
        raise UnreadableFileError(f"{file_format.name} is not read: convert it to PNG or JPEG")
    return file_format.name
