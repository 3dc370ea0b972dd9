"""The summary of a run, its progress, and its stop."""

import os
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from batchdigits.records import Status

Step = TypeVar("Step")
Progress = Callable[[int, int], object]
"""Called with the number of pages that are done, and of all that will be; a crop is a page."""


class PageCount:
    """Counts pages that are done for a `Progress`, and corrects how many there will be."""

    def __init__(self, progress: Progress, total: int) -> None:
        """Tell the progress that none of `total` pages is done yet."""
        self._progress, self._total, self._done = progress, total, 0
        progress(0, total)

    def add_pages(self, pages: int, expected: int) -> None:
        """Tell that more pages are done, where so many were expected."""
        self._done += pages
        self._total += pages - expected
        self._progress(self._done, self._total)


MAX_LISTED = 1000
"""Files that a summary lists at most."""
MOST_PAGE_KINDS = 1000
"""Kinds of pages that are told apart at most."""


@dataclass(slots=True)
class PageKind:
    """Pages without a template on which the same fields were found.

    Attributes:
        file: the first of them, as the table spells it.
        page: its page, from 1.
        count: how many there are.
    """

    file: str
    page: int
    count: int = 0


def format_rate(rate: float) -> str:
    """Return a rate in words, with one digit that is not zero at least: 6,400, 12, 6.4, 0.6."""
    if rate >= 9.95:
        return f"{rate:,.0f}"
    return f"{rate:.1f}" if rate >= 0.95 else f"{rate:.1g}"


class FailedFile(NamedTuple):
    """A file that has an error row.

    Attributes:
        file: as the table spells it.
        page: the first that could not be read, from 1.
        detail: why, on one line.
    """

    file: str
    page: int
    detail: str


class ChangedValue(NamedTuple):
    """A value that was `ok`, and is another one since its file was read again.

    Attributes:
        file: as the table spells it.
        page: counted from 1.
        field: its name; empty for an image of one digit or number.
        old: the value that was `ok`.
        new: the value now.
        status: of the new value.
    """

    file: str
    page: int
    field: str
    old: str
    new: str
    status: str

    def __str__(self) -> str:
        """Return where it stands, the old value and the new."""
        place = self.file if self.page == 1 else f"{self.file}, page {self.page}"
        name = f", {self.field}" if self.field else ""
        return f"{place}{name}: {self.old!r} was ok, now {self.new!r} ({self.status})"


@dataclass(slots=True)
class Summary:
    """How a run went.

    Attributes:
        statuses: number of rows of the table by status.
        page_kinds: of pages without a template, by the names of the fields that were found.
        blank_pages: number of pages with nothing on them, such as the backs of sheets.
        skipped: number of files skipped in folders, by reason.
        residuals: of each page of a form that was registered in this run, mm.
        files: number of files found.
        read: number of them that were read in this run.
        crops: number of images of one digit or number that were read in this run.
        pages: number of pages of forms that were read in this run.
        failed: number of them that have an error row.
        failures: the first of these files, with reasons.
        left: number of files left for the next run, because they are still being written.
        gone: number of files that have rows and were not found, though no run moved them.
        pruned: number of files whose rows were dropped.
        others: number of known rows of other INPUTs, which the table leaves out.
        moved: number of files that were moved, as `done` and as `failed`.
        changed: number of values that were `ok` and that the same files, read again, do not have.
        changes: the first of these values.
        unchanged: whether the table was left as it was.
        stages: wall-clock seconds by stage; a stage does not include the stages within it.
        work: seconds by kind of work while files are read. Several kinds go on at the same time:
            `extract`, processor time of the worker processes; and by the clock `wait`, until they
            had something to read, `predict`, in networks, and `keep`, in the state.
        model: the model's name and fingerprint; None until it is known.
    """

    statuses: "Counter[Status]" = field(default_factory=Counter)
    page_kinds: dict[tuple[str, ...], PageKind] = field(default_factory=dict)
    blank_pages: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    residuals: list[float] = field(default_factory=list)
    files: int = 0
    read: int = 0
    crops: int = 0
    pages: int = 0
    failed: int = 0
    failures: list[FailedFile] = field(default_factory=list)
    left: int = 0
    gone: int = 0
    pruned: int = 0
    others: int = 0
    moved: Counter[str] = field(default_factory=Counter)
    changed: int = 0
    changes: list[ChangedValue] = field(default_factory=list)
    unchanged: bool = False
    stages: dict[str, float] = field(default_factory=dict)
    work: dict[str, float] = field(default_factory=dict)
    model: dict[str, str] | None = None
    _running: list[str] = field(default_factory=list, repr=False)
    _since: float = field(default=0.0, repr=False)

    @property
    def seconds(self) -> float:
        """The wall-clock time of all stages, s."""
        return sum(self.stages.values())

    def count_page(self, fields: tuple[str, ...], file: str, page: int) -> None:
        """Count a page without a template, by the names of its fields; of the first kinds alone."""
        if len(self.page_kinds) < MOST_PAGE_KINDS:
            self.page_kinds.setdefault(fields, PageKind(file, page))
        if fields in self.page_kinds:
            self.page_kinds[fields].count += 1

    def count_failure(self, file: str, page: int, detail: str) -> None:
        """Count a file that has an error row, and keep the first ones with their reason."""
        self.failed += 1
        if len(self.failures) < MAX_LISTED:
            self.failures.append(FailedFile(file, page, detail))

    def count_change(self, change: ChangedValue) -> None:
        """Count a value that was `ok` and has changed, and keep the first ones."""
        self.changed += 1
        if len(self.changes) < MAX_LISTED:
            self.changes.append(change)

    @contextmanager
    def time_stage(self, name: str) -> Iterator[None]:
        """Measure the time of a stage; the clock of the stage around it stops meanwhile."""
        self._add_time()
        self._running.append(name)
        self.stages.setdefault(name, 0.0)
        try:
            yield
        finally:
            self._add_time()
            self._running.pop()

    @contextmanager
    def time_work(self, name: str) -> Iterator[None]:
        """Measure a piece of work of some kind; two threads may measure different kinds."""
        begin = time.monotonic()
        try:
            yield
        finally:
            self.work[name] = self.work.get(name, 0.0) + time.monotonic() - begin

    def time_steps(self, name: str, steps: Generator[Step]) -> Generator[Step]:
        """Yield steps, and measure how long each is waited for; close their source at the end."""
        with closing(steps):
            while True:
                with self.time_work(name):
                    step = next(steps, None)
                if step is None:
                    return
                yield step

    @contextmanager
    def time_children(self, name: str) -> Iterator[None]:
        """Measure the processor time of processes that end within the block."""
        begin = count_child_seconds()
        try:
            yield
        finally:
            self.work[name] = count_child_seconds() - begin

    def _add_time(self) -> None:
        now = time.monotonic()
        if self._running:
            self.stages[self._running[-1]] += now - self._since
        self._since = now


def count_child_seconds() -> float:
    """Return the processor time of all processes that this one started and that have ended, s."""
    spent = os.times()
    return spent.children_user + spent.children_system


class StopRequest:
    """A request to stop a run: at its next safe point within `defer_stop`, else at once.

    Attributes:
        gentle: whether the run checks for a request at its next safe point.
        asked: the exception to raise there; None without a request.
        left: the message about what the run leaves then.
    """

    def __init__(self) -> None:
        """Stop at once, until `defer_stop` is entered."""
        self.gentle = False
        self.asked: BaseException | None = None
        self.left = ""

    @contextmanager
    def defer_stop(self, left: str) -> Iterator[None]:
        """Defer a stop within the block to the next `raise_if_asked`; `left` is its message."""
        self.gentle, self.left = True, left
        try:
            yield
        finally:
            self.gentle = False
        self.raise_if_asked()

    def raise_if_asked(self) -> None:
        """Raise the exception of the request, if there is one."""
        if self.asked is not None:
            raise self.asked
