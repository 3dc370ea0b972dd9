"""A run without a state: it knows only what it reads now."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from typing import NamedTuple

from batchdigits import sources
from batchdigits.calibrate import Thresholds
from batchdigits.extract.tasks import FileTasks
from batchdigits.job import Job
from batchdigits.predict.findings import Finding, TaskFindings
from batchdigits.predict.plain_digits import ChunkFindings
from batchdigits.state.sorting import FindingsSorter
from batchdigits.summary import PageCount, StopRequest, Summary


class FileFindings(NamedTuple):
    """The findings of a file.

    Attributes:
        file: as the table spells it.
        findings: in the order of the rows.
        thresholds: its values are judged by these.
        here: whether the file is among those of this run.
        is_new: whether it was read since the last tables were written.
        earlier: what those tables were judged by, if that is something else; else None.
        content: a digest of the file's bytes; None if it is not known.
    """

    file: str
    findings: Sequence[Finding]
    thresholds: Thresholds
    here: bool = True
    is_new: bool = True
    earlier: Thresholds | None = None
    content: bytes | None = None


def count_batch(batch: Sequence[ChunkFindings], summary: Summary, pages: PageCount) -> None:
    """Count what was read, and tell that it is done."""
    done = expected = 0
    for chunk in batch:
        plain = 0 if chunk.plain is None else len(chunk.plain.digits)
        summary.crops += plain
        summary.read += plain
        if chunk.plain is not None:  # a member is a file
            summary.files += sum(bool(chunk.tasks[n].archive) for n in chunk.plain.crops.indexes)
        for one in chunk.others:
            _count_task(one, summary)
        done += plain + sum(map(_count_pages, chunk.others))
        expected += plain + sum(one.task.expected for one in chunk.others)
    pages.add_pages(done, expected)


def _count_task(one: TaskFindings, summary: Summary) -> None:
    """Count what was read of a task."""
    crops, forms = _count_kinds(one)
    summary.crops += crops
    summary.pages += forms
    summary.read += one.task.last and one.task.is_read
    # a member is a file; an archive is none, unless it has a row of its own
    summary.files += bool(one.task.archive) - (one.task.closes and not one.task.is_read)


def _count_pages(one: TaskFindings) -> int:
    """Count the pages of a task; a file that cannot be read counts as one."""
    return len({finding.item.page for finding in one.findings}) or int(one.task.is_read)


def _count_kinds(one: TaskFindings) -> tuple[int, int]:
    """Count the images of one digit or number that were read, and the pages of forms."""
    items = [finding.item for finding in one.findings if finding.item.status != "error"]
    crops = {
        item.page
        for item in items
        if item.field is None and (item.spots or item.number is not None)
    }
    return len(crops), len({item.page for item in items} - crops)


class NoState:
    """Replaces `State` in a run without one: every file is read, its findings go straight on."""

    def __init__(self, job: Job, summary: Summary) -> None:
        """Take the job; the summary counts the files that are read."""
        self._job, self._summary = job, summary

    def plan_tasks(self, listing: sources.FoundSources) -> FileTasks:
        """Return the tasks of all files."""
        tasks = FileTasks(listing.sources)
        tasks.skipped = listing.skipped
        return tasks

    def keep_findings(
        self,
        batches: Generator[list[ChunkFindings]],
        pages: PageCount,
        stop: StopRequest,  # noqa: ARG002 (a signal ends the run at once: there is nothing to save)
    ) -> Iterator[list[FileFindings]]:
        """Yield the findings of whole files, batch by batch, as they are read.

        From the first archive on, they are sorted by name: its members come in its own order.
        """
        parts: list[Finding] = []
        with closing(batches), closing(FindingsSorter()) as sorter:
            while True:
                with self._summary.time_stage("read"):
                    batch = next(batches, None)
                if batch is None:
                    break
                whole = []
                for one in (one for chunk in batch for one in chunk.list_findings()):
                    parts += one.findings
                    sorter.is_needed |= bool(one.task.archive) or one.task.closes
                    if one.task.last and one.task.is_read:
                        file = one.task.source.file
                        if sorter.is_needed:
                            sorter.add(file, parts)
                        else:
                            whole.append(FileFindings(file, parts, self._job.thresholds))
                    parts = [] if one.task.last else parts
                yield whole
                count_batch(batch, self._summary, pages)
            for sorted_files in sorter.list_sorted():
                yield [FileFindings(*one, self._job.thresholds) for one in sorted_files]

    def prune_rows(self) -> None:
        """Do nothing: nothing is known of earlier runs."""

    def can_skip_tables(self) -> bool:
        """Return False: the tables are always written."""
        return False

    @property
    def said_before(self) -> int:
        """Return 0: what earlier runs did is not known."""
        return 0

    def note_shown_readings(self, said: int) -> None:
        """Do nothing: there is no next run that knows of this one."""

    def guard_tables(self) -> AbstractContextManager[None]:
        """Return a context that does nothing: how earlier tables were left is not known."""
        return nullcontext()
