"""How a run goes, for those who ask."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from batchdigits.records import Status

Progress = Callable[[int], object]
"""Called with the number of files done since the last call."""


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
        moved: how many files were moved, as `done` and as `failed`.
        unchanged: whether the table stands as it was.
        seconds: wall-clock time, s.
        stages: the same, stage by stage.
    """

    statuses: Counter[Status] = field(default_factory=Counter)
    skipped: dict[str, int] = field(default_factory=dict)
    residuals: list[float] = field(default_factory=list)
    files: int = 0
    read: int = 0
    failed: int = 0
    left: int = 0
    gone: int = 0
    pruned: int = 0
    moved: Counter[str] = field(default_factory=Counter)
    unchanged: bool = False
    seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Take the time of a stage."""
        begin = time.monotonic()
        try:
            yield
        finally:
            took = time.monotonic() - begin
            self.stages[name] = self.stages.get(name, 0.0) + took
            self.seconds += took
