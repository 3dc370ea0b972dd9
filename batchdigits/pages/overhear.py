"""What C libraries print on standard error: their complaints about a file, and nothing else."""

import os
import tempfile
import threading
from collections.abc import Callable
from functools import cache
from typing import TypeVar

Made = TypeVar("Made")

_lock = threading.Lock()  # a second thread would take the scratch file for standard error


@cache
def _open_scratch_file() -> int:
    """Open the file for what is overheard: in memory on Linux, else one without a name."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("overheard")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def capture_stderr(act: Callable[[], Made]) -> tuple[Made, str]:
    """Call `act`; return its result, and what it printed on file descriptor 2.

    It takes 2 µs, so it may stand around the decoding of a crop.
    """
    with _lock:
        scratch = _open_scratch_file()
        try:
            saved = os.dup(2)
        except OSError:  # the job was started without a standard error
            saved = os.open(os.devnull, os.O_WRONLY)
        os.dup2(scratch, 2)
        try:
            result = act()
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            said = _take_text(scratch)
    return result, said


def _take_text(scratch: int) -> str:
    """Return the beginning of what is in the file, and empty it."""
    if not os.lseek(scratch, 0, os.SEEK_CUR):  # its offset moved with what was printed
        return ""
    said = os.pread(scratch, 4096, 0).decode("ascii", "replace")
    os.ftruncate(scratch, 0)
    os.lseek(scratch, 0, os.SEEK_SET)
    return said
