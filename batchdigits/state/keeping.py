"""A run with a state: it reads only what is not known, and keeps what it reads."""

import json
import logging
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager

from batchdigits import sources, state
from batchdigits.extract.chunk_builder import ExtractedItem
from batchdigits.extract.tasks import FileTasks
from batchdigits.formats import has_archive_suffix
from batchdigits.job import Job
from batchdigits.predict.findings import Finding, TaskFindings, decode_findings, encode_findings
from batchdigits.records import FileSnapshot, Source
from batchdigits.sources import FILE_MISSING, inspection
from batchdigits.state import StateStore, renewal, scope, settling, tables
from batchdigits.state.archives import ArchiveKeeper
from batchdigits.state.known import FileFindings, NoState, count_batch
from batchdigits.summary import PageCount, StopRequest, Summary

log = logging.getLogger(__name__)

CHANGED_DETAIL = "it changed while it was read: run again when it is complete"
FILES_PER_PART = 256
"""Files whose contents are digested in one transaction."""
READ_STOPPED_MESSAGE = "what was read is kept for the next run; an earlier table stands"
"""The message of a run that is stopped."""


class State:
    """What earlier runs have read, what this run reads, and how the tables were left."""

    def __init__(self, job: Job, store: StateStore, summary: Summary) -> None:
        """Take the job and its open state; the summary gets the counts of files."""
        self._job, self._store, self._summary = job, store, summary
        self._lost = self._replaced = 0
        self._parts: list[TaskFindings] = []
        self._listing = sources.FoundSources([], {}, [])
        self._pages: dict[str, dict[int, str]] = {}
        self._moves = store.has_moved_files()
        self._reused: set[str] = set()
        with store.transaction():
            own = json.dumps(job.model_thresholds._asdict())
            self._key = store.add_key(job.reading_key, own)
            self._mark = renewal.load_or_make_mark(store, job.threshold)
        self._archives = ArchiveKeeper(store, self._key, summary)

    # What is to be read

    def plan_tasks(self, listing: sources.FoundSources) -> FileTasks:
        """Return the tasks of the files that are new or changed, or failed before."""
        self._listing, fresh = listing, self._job.options.fresh
        entries = [inspection.stat_source(source) for source in listing.sources]
        self._archives.set_run_files(listing.sources, entries)
        scope.select_rows(self._job, self._store)
        if settling.wait_for_first_files(self._store, listing, entries, self._job.options.settle):
            self._archives.set_run_files(listing.sources, entries)
        wanted = range(len(entries)) if fresh else self._store.find_files_to_read(self._key)
        indexes = self._drop_unready([*wanted], entries)
        indexes = self._archives.drop_unchanged(
            listing.sources, entries, wanted, indexes, fresh=fresh
        )
        self._pages = {} if fresh else self._store.load_findings_by_page(self._key)
        is_known = not fresh and self._store.has_readings()
        if is_known:
            indexes = self._drop_known_content(indexes)
        files = [listing.sources[index] for index in indexes]
        tasks = FileTasks(files, [entries[index] for index in indexes], self._pages)
        tasks.known_members, tasks.skipped = self._archives if is_known else None, listing.skipped
        return tasks

    def _drop_unready(self, indexes: Sequence[int], entries: Sequence[FileSnapshot]) -> list[int]:
        """Leave out files that are still being written, and known files of a list that are gone.

        The summary counts the files that are still being written.
        """
        files, seconds = self._listing.sources, self._job.options.settle
        kept = []
        for index in indexes:
            if files[index].fault == FILE_MISSING and self._store.has_file(files[index].file):
                continue
            if not files[index].named and inspection.is_unsettled(entries[index], seconds):
                self._summary.left += 1
            else:
                kept.append(index)
        return kept

    def _drop_known_content(self, indexes: Sequence[int]) -> list[int]:
        """Leave out files whose content was read before, under any name: they get its findings."""
        unknown = []
        for start in range(0, len(indexes), FILES_PER_PART):
            part = indexes[start : start + FILES_PER_PART]
            files = [self._listing.sources[index] for index in part]
            entries = [
                inspection.stat_source(one) if one.is_archive else inspection.hash_source(one)
                for one in files
            ]
            with self._store.transaction():
                for index, entry in zip(part, entries, strict=True):
                    if not self._reuse_reading(entry):
                        unknown.append(index)
        return unknown

    def _reuse_reading(self, entry: FileSnapshot) -> bool:
        """Give a file the findings of its content, if that was read; return whether it was."""
        replaces = self._moves and self._store.has_moved_predecessor(entry)
        is_new = self._store.load_earlier_reading(entry) is None
        if entry.content is None or not self._store.reuse_reading(entry, self._key):
            return False
        self._replaced += replaces
        self._reused.update([entry.file] if is_new else [])
        self._store.mark_tables_stale()
        return True

    # What is read is kept

    def keep_findings(
        self, batches: Generator[list[TaskFindings]], pages: PageCount, stop: StopRequest
    ) -> Iterator[list[FileFindings]]:
        """Keep findings batch by batch; then return all that is known, in the table's order.

        A run that is stopped keeps the batches that it has.
        """
        with stop.defer_stop(READ_STOPPED_MESSAGE), closing(self._keep_batches(batches)) as kept:
            for batch in kept:
                count_batch(batch, self._summary, pages)
                stop.raise_if_asked()
        self._summary.read -= self._lost
        if self._replaced:
            log.warning(
                "%d files came under the names of files that were moved, and their rows took the "
                "place of those: give each scan a name of its own, or each night another --out",
                self._replaced,
            )
        return renewal.recall_findings(self._store, self._job, self._mark, self._reused)

    def _keep_batches(
        self, batches: Generator[list[TaskFindings]]
    ) -> Generator[list[TaskFindings]]:
        """Keep each batch while the next is read; yield those that are safe on disk."""
        with closing(batches), ThreadPoolExecutor(1) as beside:
            keeping = beside.submit(self._keep_batch, [])
            try:
                for batch in batches:
                    kept = keeping.result()  # raises what went wrong: then no more is kept
                    keeping = beside.submit(self._keep_batch, batch)
                    yield kept
            finally:
                kept = keeping.result()
            yield kept

    def _keep_batch(self, batch: list[TaskFindings]) -> list[TaskFindings]:
        """Keep a batch, and return it. Of a file that goes on, keep the pages."""
        with self._store.transaction():
            for task_findings in batch:
                self._parts.append(task_findings)
                if task_findings.task.last:
                    self._keep_file(self._parts)
                    self._parts = []
                else:
                    self._keep_page(task_findings)
        self._store.write_shard()
        return batch

    def _keep_file(self, parts: Sequence[TaskFindings]) -> None:
        """Keep the findings of a file, in the order of its pages."""
        task, stood = parts[0].task, parts[-1].stood
        source, listed = task.source, task.entry
        if stood is not None and task.content is not None and self._reuse_reading(stood):
            self._archives.note_kept(task, stood, failed=False)
            return
        if listed is None or stood is None or any(part.stood is None for part in parts):
            if source.named:  # it has a row whatever happens
                entry = FileSnapshot(source.file, -1, -1)  # differs from any file, so is read again
                self._put_findings(entry, [Finding(ExtractedItem(0, 1, "error", CHANGED_DETAIL))])
            else:
                self._summary.left += 1
                self._lost += 1
            self._archives.note_lost(task)
            return
        pages = {part.task.page or 0: part.findings for part in parts}
        if parts[0].task.page is not None:  # pages that earlier runs read belong to it too
            before = self._pages.pop(source.file, {}).items()
            pages |= {page: decode_findings(one) for page, one in before if page not in pages}
        if task.closes and source.fault:  # more may be in it than was found
            self._listing.unseen.append(source.file)
        again = self._archives.is_troubled(task)
        findings = [one for page in sorted(pages) for one in pages[page]]
        failed = self._put_findings(stood, findings, again=again)
        self._archives.note_kept(task, stood, failed=failed)

    def _keep_page(self, task_findings: TaskFindings) -> None:
        """Keep the findings of a page, in case the run ends before all of its file is read."""
        page, stood = task_findings.task.page, task_findings.stood
        failed = any(one.item.status == "error" for one in task_findings.findings)
        if page is not None and stood is not None and stood.sure and not failed:
            self._store.save_page_findings(
                stood, self._key, page, encode_findings(task_findings.findings)
            )

    def _put_findings(
        self, entry: FileSnapshot, findings: Sequence[Finding], *, again: bool = False
    ) -> bool:
        """Keep findings; return whether the file is read again next time, as `again` asks."""
        failed = again or any(one.item.status == "error" for one in findings)
        self._replaced += self._moves and self._store.has_moved_predecessor(entry)
        if earlier := self._store.load_earlier_reading(entry):
            renewal.count_changes(entry.file, earlier, findings, self._job, self._summary)
        self._store.save_findings(entry, self._key, encode_findings(findings), failed=failed)
        self._store.mark_tables_stale()
        return failed

    # What the tables show

    def prune_rows(self) -> None:
        """Delete what no row needs, and with --prune files that are gone; log missing files."""
        with self._store.transaction():
            if self._job.options.prune and self._summary.files:
                self._summary.pruned = scope.prune_gone_files(self._store, self._listing)
            if self._summary.pruned + scope.prune_mended_folders(self._store):
                self._store.mark_tables_stale()
            self._store.drop_unused_findings()
        gone = self._store.list_gone_files()  # an archive has no rows, unless it failed
        self._summary.gone = sum(failed or not has_archive_suffix(file) for file, failed in gone)
        self._summary.others = self._store.count_excluded_rows()
        scope.log_missing_files(self._store, self._listing, self._summary)

    def can_skip_tables(self) -> bool:
        """Return whether the tables need not or must not be written."""
        return tables.can_skip_tables(self._job, self._store, self._summary)

    @property
    def said_before(self) -> int:
        """How many corrections the last run applied."""
        return self._mark.said

    def note_shown_readings(self, said: int) -> None:
        """Note that the tables in place show all readings, so that later ones are new.

        Args:
            said: how many corrections were applied to them.
        """
        with self._store.transaction():
            renewal.move_mark(self._store, self._mark, self._job.threshold, said)

    def guard_tables(self) -> AbstractContextManager[None]:
        """Keep edited tables under another name, and note how the new tables are left.

        Raises:
            OutputError: a table cannot be kept or written.
        """
        return tables.guard_tables(self._job, self._store, self._summary)

    # What is moved away

    def list_read_files(self) -> Iterator[list[tuple[Source, FileSnapshot, str]]]:
        """Yield the files of this run that were read, part by part.

        Each comes with how it was when it was read, and with `failed` if it has an error row,
        else `done`; the text is empty if its content is not known.
        """
        last_file = ""
        while part := self._store.list_read_files(self._key, last_file, FILES_PER_PART):
            last_file = part[-1][1].file
            files = self._listing.sources
            yield [(files[index], entry, _get_outcome(entry, text)) for index, entry, text in part]

    def update_snapshots(self, entries: Sequence[FileSnapshot]) -> None:
        """Note how files are now, or that they are moved."""
        if entries:
            with self._store.transaction():
                self._archives.update_members(entries)
                self._store.update_entries(entries)


@contextmanager
def open_state(job: Job, summary: Summary) -> Iterator[State | NoState]:
    """Open the job's state; a `NoState` if the job keeps none. The caller holds the output locks.

    Raises:
        OutputError: it cannot be opened or written, or is of a newer version.
    """
    path = job.paths.state
    if path is None or job.paths.out is None:
        yield NoState(job, summary)
        return
    table = job.paths.tables[0]
    tables.restrict_state_access(path, table)
    with state.open_store(path) as store:
        tables.restrict_state_access(path, table)  # a new file may have replaced a damaged one
        yield State(job, store, summary)


def _get_outcome(entry: FileSnapshot, text: str) -> str:
    findings = decode_findings(text) if text else []
    if text and (not findings or any(one.item.status == "error" for one in findings)):
        return "failed"  # without findings: an archive of which a member failed
    return "done" if entry.content is not None else ""
