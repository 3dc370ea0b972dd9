"""The line and the exit code of an error, for standard error and the summary."""

import errno
import signal

import typer

from batchdigits.errors import BatchdigitsError

DISK_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
"""Faults of a disk. They are reported here for standard output, elsewhere by what writes."""


class StoppedBySignal(BaseException):
    """A signal came. It unwinds everything, so that no half-written file and no worker stays.

    Attributes:
        at_once: whether it was raised wherever the program was; code that is being imported may
            turn it into another error.
        exit_code: of the command: 128 and the signal's number.
        word: "interrupted" or "terminated".
    """

    def __init__(self, number: int, *, at_once: bool) -> None:
        """Make the exception for a signal's number."""
        self.at_once = at_once
        self.exit_code = 128 + number
        self.word = "interrupted" if number == signal.SIGINT else "terminated"


def describe_error(error: BaseException) -> tuple[str, int]:
    """Return the line that reports an error, and the exit code."""
    if isinstance(error, BatchdigitsError):
        return str(error), error.exit_code
    if isinstance(error, typer.TyperException):
        return f"{error.format_message()} (see --help)", 2
    if isinstance(error, StoppedBySignal):
        (left, *_) = getattr(error, "__notes__", ["an earlier table still stands"])
        return f"{error.word}: {left}", error.exit_code
    if isinstance(error, OSError) and error.errno in DISK_ERRNOS:
        return f"cannot write to standard output: {error.strerror}", 5
    message = f"a bug in batchdigits: {type(error).__name__}: {error}"
    return f"{message} (BATCHDIGITS_DEBUG=1 shows where; please report it)", 1
