"""A run with a state: it reads only what is not known, and keeps what it reads."""

import json
import logging
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager

from batchdigits import sources, state
from batchdigits.extract.tasks import FileTasks
from batchdigits.formats import has_archive_suffix
from batchdigits.job import Job
from batchdigits.predict.findings import decode_findings
from batchdigits.predict.plain_digits import ChunkFindings
from batchdigits.records import FileSnapshot, Source
from batchdigits.sources import FILE_MISSING, inspection
from batchdigits.state import StateStore, renewal, scope, settling, tables
from batchdigits.state.archives import ArchiveKeeper
from batchdigits.state.findings_keeper import FindingsKeeper
from batchdigits.state.known import FileFindings, NoState, count_batch
from batchdigits.summary import PageCount, StopRequest, Summary

log = logging.getLogger(__name__)

FILES_PER_PART = 256
"""Files whose contents are digested in one transaction."""
READ_STOPPED_MESSAGE = "what was read is kept for the next run; an earlier table stands"
"""The message of a run that is stopped."""


class State:
    """What earlier runs have read, what this run reads, and how the tables were left."""

    def __init__(self, job: Job, store: StateStore, summary: Summary) -> None:
        """Take the job and its open state; the summary gets the counts of files."""
        self._job, self._store, self._summary = job, store, summary
        self._listing = sources.FoundSources([], {}, [])
        with store.transaction():
            own = json.dumps(job.model_thresholds._asdict())
            self._key = store.add_key(job.reading_key, own)
            self._mark = renewal.load_or_make_mark(store, job.threshold)
        self._archives = ArchiveKeeper(store, self._key, summary)
        self._keeper = FindingsKeeper(job, store, self._key, summary, self._archives)

    # What is to be read

    def plan_tasks(self, listing: sources.FoundSources) -> FileTasks:
        """Return the tasks of the files that are new or changed, or failed before."""
        self._listing, fresh = listing, self._job.options.fresh
        self._keeper.unseen = listing.unseen
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
        pages = self._keeper.pages = {} if fresh else self._store.load_findings_by_page(self._key)
        is_known = not fresh and self._store.has_readings()
        if is_known:
            indexes = self._drop_known_content(indexes)
        files = [listing.sources[index] for index in indexes]
        tasks = FileTasks(files, [entries[index] for index in indexes], pages)
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
                    if not self._keeper.reuse_reading(entry):
                        unknown.append(index)
        return unknown

    # What is read is kept

    def keep_findings(
        self, batches: Generator[list[ChunkFindings]], pages: PageCount, stop: StopRequest
    ) -> Iterator[list[FileFindings]]:
        """Keep findings batch by batch; then return all that is known, in the table's order.

        A run that is stopped keeps the batches that it has.
        """
        with stop.defer_stop(READ_STOPPED_MESSAGE), closing(self._keep_batches(batches)) as kept:
            for batch in kept:
                count_batch(batch, self._summary, pages)
                stop.raise_if_asked()
        self._summary.read -= self._keeper.lost
        if self._keeper.replaced:
            log.warning(
                "%d files came under the names of files that were moved, and their rows took the "
                "place of those: give each scan a name of its own, or each night another --out",
                self._keeper.replaced,
            )
        return renewal.recall_findings(self._store, self._job, self._mark, self._keeper.reused)

    def _keep_batches(
        self, batches: Generator[list[ChunkFindings]]
    ) -> Generator[list[ChunkFindings]]:
        """Keep each batch while the next is read; yield those that are safe on disk."""
        with closing(batches), ThreadPoolExecutor(1) as beside:
            keeping = beside.submit(self._keeper.keep_batch, [])
            try:
                for batch in batches:
                    kept = keeping.result()  # raises what went wrong: then no more is kept
                    keeping = beside.submit(self._keeper.keep_batch, batch)
                    yield kept
            finally:
                kept = keeping.result()
            yield kept

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
