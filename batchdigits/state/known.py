"""A run without a state: it knows only what it reads now."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from typing import NamedTuple

from batchdigits import sources
from batchdigits.calibrate import Thresholds
from batchdigits.extract.tasks import FileTasks
from batchdigits.job import Job
from batchdigits.predict.findings import Finding, TaskFindings
from batchdigits.summary import Progress, StopRequest, Summary


class FileFindings(NamedTuple):
    """The findings of a file.

    Attributes:
        file: as the table spells it.
        findings: in the order of the rows.
        thresholds: its values are judged by these.
        here: whether the file is among those of this run.
        content: a digest of the file's bytes; None if it is not known.
    """

    file: str
    findings: Sequence[Finding]
    thresholds: Thresholds
    here: bool = True
    content: bytes | None = None


class NoState:
    """Replaces `State` in a run without one: every file is read, its findings go straight on."""

    def __init__(self, job: Job, summary: Summary) -> None:
        """Take the job; the summary counts the files that are read."""
        self._job, self._summary = job, summary

    def plan_tasks(self, listing: sources.FoundSources) -> FileTasks:
        """Return the tasks of all files."""
        return FileTasks(listing.sources)

    def keep_findings(
        self,
        batches: Generator[list[TaskFindings]],
        progress: Progress,
        stop: StopRequest,  # noqa: ARG002 (a signal ends the run at once: there is nothing to save)
    ) -> Iterator[list[FileFindings]]:
        """Yield the findings of whole files, batch by batch, as they are read."""
        pages: list[Finding] = []
        with closing(batches):
            while True:
                with self._summary.time_stage("read"):
                    batch = next(batches, None)
                if batch is None:
                    return
                whole = []
                for one in batch:
                    pages += one.findings
                    if one.task.last:
                        whole.append(
                            FileFindings(one.task.source.file, pages, self._job.thresholds)
                        )
                        pages = []
                yield whole
                self._summary.read += sum(one.task.last for one in batch)
                progress(self._summary.read, self._summary.files)

    def prune_rows(self) -> None:
        """Do nothing: nothing is known of earlier runs."""

    def can_skip_tables(self) -> bool:
        """Return False: the tables are always written."""
        return False

    def guard_tables(self) -> AbstractContextManager[None]:
        """Return a context that does nothing: how earlier tables were left is not known."""
        return nullcontext()
