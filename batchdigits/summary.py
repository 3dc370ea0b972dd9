"""How a run goes, whom it tells, and how it is stopped."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchdigits.records import Status

Progress = Callable[[int, int], object]
"""Called with the number of files that are done, and of all files."""


@dataclass(slots=True)
class Summary:
    """How a run went.

    Attributes:
        statuses: number of rows of the table by status.
        skipped: number of files passed over in folders, by reason.
        residuals: of each page of a form that was laid straight in this run, mm.
        files: how many files there are.
        read: how many of them were read in this run.
        failed: how many of them have an error row.
        left: how many are left for next time, as they are still being written.
        gone: how many files have rows and were not met, though no run moved them.
        pruned: how many files' rows were dropped.
        others: how many rows of other INPUTs are known and left out of the table.
        moved: how many files were moved, as `done` and as `failed`.
        unchanged: whether the table stands as it was.
        stages: wall-clock seconds by stage; a stage within another counts for itself alone.
        model: the model's name and fingerprint; None until it is known.
    """

    statuses: "Counter[Status]" = field(default_factory=Counter)
    skipped: dict[str, int] = field(default_factory=dict)
    residuals: list[float] = field(default_factory=list)
    files: int = 0
    read: int = 0
    failed: int = 0
    left: int = 0
    gone: int = 0
    pruned: int = 0
    others: int = 0
    moved: Counter[str] = field(default_factory=Counter)
    unchanged: bool = False
    stages: dict[str, float] = field(default_factory=dict)
    model: dict[str, str] | None = None
    _running: list[str] = field(default_factory=list, repr=False)
    _since: float = field(default=0.0, repr=False)

    @property
    def seconds(self) -> float:
        """Give the wall-clock time of all stages, s."""
        return sum(self.stages.values())

    @contextmanager
    def time_stage(self, name: str) -> Iterator[None]:
        """Measure the time of a stage; the stage around it waits meanwhile."""
        self._add_time()
        self._running.append(name)
        self.stages.setdefault(name, 0.0)
        try:
            yield
        finally:
            self._add_time()
            self._running.pop()

    def _add_time(self) -> None:
        now = time.monotonic()
        if self._running:
            self.stages[self._running[-1]] += now - self._since
        self._since = now


class StopRequest:
    """How a signal ends a run: where it is safe, if it says so, else at once.

    Attributes:
        gentle: whether the run will come to a safe place by itself, and look there.
        asked: what is to be raised there; None while nobody asked.
        left: what is told of the run then.
    """

    def __init__(self) -> None:
        """Stop at once, until told otherwise."""
        self.gentle = False
        self.asked: BaseException | None = None
        self.left = ""

    @contextmanager
    def defer_stop(self, left: str) -> Iterator[None]:
        """Go on within the block until `check` is called; then say what is left."""
        self.gentle, self.left = True, left
        try:
            yield
        finally:
            self.gentle = False
        self.raise_if_asked()

    def raise_if_asked(self) -> None:
        """End the run here, if somebody asked for it."""
        if self.asked is not None:
            raise self.asked
