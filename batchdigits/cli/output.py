"""Standard output, which its reader may close."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def exit_on_broken_pipe() -> Iterator[None]:
    """Exit with 0 and no message, as filters do, when the reader closes standard output."""
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # where the interpreter's last flush goes
        raise typer.Exit(0) from None
