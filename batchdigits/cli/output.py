"""Standard output, which a reader may close."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def exit_on_broken_pipe() -> Iterator[None]:
    """End quietly, as filters do, when nobody reads standard output any more."""
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for the interpreter's own last flush
        raise typer.Exit(0) from None
