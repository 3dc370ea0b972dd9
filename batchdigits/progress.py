"""The bar that shows on a terminal how far a command is."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from tqdm import tqdm

from batchdigits.summary import Progress, format_rate

TICK_SECONDS = 0.5
"""s after which the bar's clock moves on, also while nothing is done, as when TensorFlow loads."""


class PageBar(tqdm):  # type: ignore[type-arg]
    """A bar that tells its rate with one digit at least, however slow."""

    @property
    def format_dict(self) -> dict[str, Any]:
        """Return what the bar's format may name, with `pace`: the rate in words."""
        shown: dict[str, Any] = dict(super().format_dict)
        rate = shown["rate"] or (self.n - self.initial) / max(shown["elapsed"], 1e-9)
        return shown | {"pace": f", {format_rate(rate)} a second" if self.n else ""}


@contextmanager
def show_progress(quiet: bool, unit: str = "pages") -> Iterator[Progress]:
    """Show a bar that counts pages on a terminal; elsewhere, and when quiet, nothing.

    Args:
        quiet: show nothing.
        unit: what is counted, in the plural.

    Yields:
        A function that takes the number of pages done, and of all pages.
    """
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda _done, _pages: None
        return
    # standard error is sent elsewhere while TensorFlow loads (see predict.backend), the bar is not
    with os.fdopen(os.dup(sys.stderr.fileno()), "w") as terminal, _open_bar(terminal, unit) as bar:

        def show_done(done: int, pages: int) -> None:
            bar.total = pages
            bar.update(done - bar.n)
            bar.refresh()

        yield show_done


@contextmanager
def _open_bar(terminal: TextIO, unit: str) -> Iterator[PageBar]:
    """Open a bar whose clock moves until the block ends."""
    shape = f"{{percentage:3.0f}}%|{{bar}}| {{n_fmt}} of {{total_fmt}} {unit}, {{elapsed}}{{pace}}"
    ended = threading.Event()
    with PageBar(file=terminal, bar_format=shape, smoothing=0.1, leave=False, delay=1e-9) as bar:

        def move_clock() -> None:
            while not ended.wait(TICK_SECONDS):
                with suppress(OSError, ValueError):  # the terminal is closed
                    if bar.total is not None:
                        bar.refresh()

        clock = threading.Thread(target=move_clock, daemon=True)
        clock.start()
        try:
            yield bar
        finally:
            ended.set()
            clock.join()
