"""What an error is told in: one line and an exit code, on standard error and in a summary alike."""

import errno
import signal

import typer

from batchdigits.errors import BatchdigitsError

DISK_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
"""Faults of a disk; but for standard output each place that writes tells its own."""


class StoppedBySignal(BaseException):
    """A signal came: unwinds all, so that nothing half-written and no worker stays.

    Attributes:
        at_once: whether it was raised wherever the program stood: what is being imported there may
            make another error of it.
        exit_code: of the command.
        word: for what the signal did.
    """

    def __init__(self, number: int, *, at_once: bool) -> None:
        """Take the signal's number."""
        self.at_once = at_once
        self.exit_code = 128 + number
        self.word = "interrupted" if number == signal.SIGINT else "terminated"


def describe_error(error: BaseException) -> tuple[str, int]:
    """Give the line that an error is told in, and the exit code."""
    if isinstance(error, BatchdigitsError):
        return str(error), error.exit_code
    if isinstance(error, typer.TyperException):
        return f"{error.format_message()} (see --help)", 2
    if isinstance(error, StoppedBySignal):
        (left, *_) = getattr(error, "__notes__", ["an earlier table still stands"])
        return f"{error.word}: {left}", error.exit_code
    if isinstance(error, OSError) and error.errno in DISK_ERRNOS:
        return f"cannot write to standard output: {error.strerror}", 5
    told = f"a bug in batchdigits: {type(error).__name__}: {error}"
    return f"{told} (BATCHDIGITS_DEBUG=1 shows where; please report it)", 1
