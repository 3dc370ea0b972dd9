"""A run with a state: what is known is not read again, and what is read is kept."""

import json
import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from functools import cache
from itertools import islice

from batchdigits import sources, state
from batchdigits.calibrate import Thresholds
from batchdigits.extract.chunk import ExtractedItem
from batchdigits.extract.tasks import FileTasks
from batchdigits.job import Job
from batchdigits.predict.findings import Finding, TaskFindings, decode_findings, encode_findings
from batchdigits.records import FileSnapshot, Source
from batchdigits.sources import FILE_MISSING, inspection
from batchdigits.state import StateStore, scope, tables
from batchdigits.state.known import FileFindings, NoState
from batchdigits.summary import Progress, StopRequest, Summary

log = logging.getLogger(__name__)

CHANGED_DETAIL = "it changed while it was read: run again when it is complete"
FILES_PER_PART = 256
"""Files that are looked into before what was found of them is kept, and that are recalled at a
time."""
READ_STOPPED_MESSAGE = "what was read is kept for the next run; an earlier table stands"
"""What is said of a run that is stopped."""
MISSING_FILES_MESSAGE = (
    "no images found%s, as if a disk were missing: the rows of %d files are kept"
)


class State:
    """What earlier runs have read, what this one reads, and how the tables were left."""

    def __init__(self, job: Job, book: StateStore, summary: Summary) -> None:
        """Take the job and its ledger; the summary gets what is known of the files."""
        self._job, self._book, self._summary = job, book, summary
        self._stale = False
        self._wanted = self._lost = self._replaced = 0
        self._parts: list[TaskFindings] = []
        self._found = sources.FoundSources([], {}, [])
        self._pages: dict[str, dict[int, str]] = {}
        self._moves = book.has_moved_files()
        with book.transaction():
            own = json.dumps(job.model_thresholds._asdict())
            self._key = book.add_key(job.reading_key, own)

    # What is to be read

    def plan_tasks(self, found: sources.FoundSources) -> FileTasks:
        """Return the tasks of the files that are new or changed, or failed before."""
        self._found, fresh = found, self._job.options.fresh
        entries = [inspection.stat_source(source) for source in found.sources]
        self._book.set_run_files(entries)
        self._select_rows()
        places = range(len(entries)) if fresh else self._book.find_files_to_read(self._key)
        places = self._drop_unready([*places], entries)
        self._pages = {} if fresh else self._book.load_page_findings(self._key)
        if not fresh and self._book.has_readings():
            places = self._drop_known_content(places)
        self._wanted = len(places)
        chosen = [found.sources[at] for at in places]
        return FileTasks(chosen, [entries[at] for at in places], self._pages)

    def _select_rows(self) -> None:
        """Find the known files that the table leaves out, as they are of other INPUTs.

        A file that another run spelled otherwise, but that lies below an INPUT of this one, gets
        the name that it has there, or makes room for the one that has it.
        """
        inputs = self._job.inputs
        asked = scope.InputScope([*inputs.typed, *inputs.listed])
        named = ((file, asked.find_table_name(file)) for file in self._book.list_absent_files())
        strange = [(file, name) for file, name in named if name != file]
        others = [file for file, name in strange if not name]
        with self._book.transaction():
            for file, name in strange:
                if name and self._book.has_file(name):
                    self._book.prune_files([file], moved=False)
                elif name:
                    self._book.rename_file(file, name)
            self._mark_tables_stale(len(others) < len(strange))
            self._book.exclude_files([] if self._job.options.append else others)

    def _drop_unready(self, places: Sequence[int], entries: Sequence[FileSnapshot]) -> list[int]:
        """Leave out files that are still written to, and known ones that were listed and are gone.

        The summary gets the number of the first.
        """
        met, seconds = self._found.sources, self._job.options.settle
        kept = []
        for at in places:
            if met[at].fault == FILE_MISSING and self._book.has_file(met[at].file):
                continue
            if not met[at].named and inspection.is_unsettled(entries[at], seconds):
                self._summary.left += 1
            else:
                kept.append(at)
        return kept

    def _drop_known_content(self, places: Sequence[int]) -> list[int]:
        """Leave out files whose content was read before, under this name or another."""
        left = []
        for start in range(0, len(places), FILES_PER_PART):
            part = places[start : start + FILES_PER_PART]
            entries = [inspection.hash_source(self._found.sources[at]) for at in part]
            with self._book.transaction():
                for at, entry in zip(part, entries, strict=True):
                    replaces = self._moves and self._book.has_moved_predecessor(entry)
                    if entry.content is None or not self._book.reuse_reading(entry, self._key):
                        left.append(at)
                    else:
                        self._replaced += replaces
                        self._mark_tables_stale()
        return left

    # What is read is kept

    def keep_findings(
        self, batches: Generator[list[TaskFindings]], progress: Progress, stop: StopRequest
    ) -> Iterator[list[FileFindings]]:
        """Keep what is found, batch by batch; then return all that is known, in the table's order.

        A run that is stopped keeps the chunks in hand.
        """
        summary, done = self._summary, self._summary.files - self._wanted
        progress(done, summary.files)
        with stop.defer_stop(READ_STOPPED_MESSAGE), closing(self._keep_batches(batches)) as kept:
            for count in kept:
                done += count
                summary.read += count
                progress(done, summary.files)
                stop.raise_if_asked()
        summary.read -= self._lost
        if self._replaced:
            log.warning(
                "%d files came under the names of files that were moved, and their rows took the "
                "place of those: give each scan a name of its own, or each night another --out",
                self._replaced,
            )
        return self._recall_findings()

    def _keep_batches(self, batches: Generator[list[TaskFindings]]) -> Generator[int]:
        """Keep batches, each while the next is read; yield how many files more are safe on disk."""
        with closing(batches), ThreadPoolExecutor(1) as beside:
            keeping = beside.submit(self._keep_batch, [])
            try:
                for batch in batches:
                    kept = keeping.result()  # or what was wrong: then no more is kept
                    keeping = beside.submit(self._keep_batch, batch)
                    yield kept
            finally:
                kept = keeping.result()
            yield kept

    def _keep_batch(self, batch: list[TaskFindings]) -> int:
        """Keep a batch; return how many files it ends. Of a file that goes on, pages are kept."""
        with self._book.transaction():
            for found in batch:
                self._parts.append(found)
                if found.task.last:
                    self._keep_file(self._parts)
                    self._parts = []
                else:
                    self._keep_page(found)
        return sum(found.task.last for found in batch)

    def _keep_file(self, parts: Sequence[TaskFindings]) -> None:
        """Keep what was found of a file, page by page."""
        source, listed, stood = parts[0].task.source, parts[0].task.entry, parts[-1].stood
        if listed is None or stood is None or any(part.stood is None for part in parts):
            if source.named:  # and so has a row whatever happens
                entry = FileSnapshot(
                    source.file, -1, -1
                )  # however it stands, it is not what was read
                self._put_findings(entry, [Finding(ExtractedItem(0, 1, "error", CHANGED_DETAIL))])
            else:
                self._summary.left += 1
                self._lost += 1
            return
        pages = {part.task.page or 0: part.findings for part in parts}
        if parts[0].task.page is not None:  # those that were read before go with them
            before = self._pages.pop(source.file, {}).items()
            pages |= {page: decode_findings(one) for page, one in before if page not in pages}
        self._put_findings(stood, [one for page in sorted(pages) for one in pages[page]])

    def _keep_page(self, found: TaskFindings) -> None:
        """Keep what was found of a page, should the run end before all of its file is read."""
        page, stood = found.task.page, found.stood
        failed = any(one.item.status == "error" for one in found.findings)
        if page is not None and stood is not None and stood.sure and not failed:
            self._book.save_page_findings(stood, self._key, page, encode_findings(found.findings))

    def _put_findings(self, entry: FileSnapshot, found: Sequence[Finding]) -> None:
        failed = any(one.item.status == "error" for one in found)
        self._replaced += self._moves and self._book.has_moved_predecessor(entry)
        self._book.save_findings(entry, self._key, encode_findings(found), failed=failed)
        self._mark_tables_stale()

    def _mark_tables_stale(self, changed: bool = True) -> None:
        """Note, once, that the tables are not made of what is known now."""
        if changed and not self._stale:
            self._book.mark_tables_stale()
            self._stale = True

    def _recall_findings(self) -> Iterator[list[FileFindings]]:
        """Yield what is known of every file of the table, in its order."""
        chosen = self._job.threshold
        own: Callable[[str], Thresholds] = cache(lambda text: Thresholds(**json.loads(text)))
        lines = self._book.list_file_records()
        while part := list(islice(lines, FILES_PER_PART)):
            yield [
                FileFindings(
                    one.file,
                    decode_findings(one.findings),
                    own(one.thresholds) if chosen is None else Thresholds(chosen, chosen),
                    one.here,
                )
                for one in part
            ]

    # What the table is made of

    def prune_rows(self) -> None:
        """Forget what no row needs, and what the options say; tell of files that are missing."""
        with self._book.transaction():
            if self._job.options.prune and self._summary.files:
                self._summary.pruned = scope.prune_gone_files(self._book, self._found)
            forgotten = self._summary.pruned + scope.prune_mended_folders(self._book)
            self._mark_tables_stale(forgotten > 0)
            self._book.drop_unused_findings()
        self._summary.gone = len(self._book.list_gone_files())
        self._summary.others = self._book.count_excluded_rows()
        if self._summary.gone and not self._summary.files:
            log.error(MISSING_FILES_MESSAGE, "", self._summary.gone)
            return
        for folder, count in scope.count_missing_files(self._book, self._found).items():
            log.error(MISSING_FILES_MESSAGE, f" in '{folder}'", count)

    def can_skip_tables(self) -> bool:
        """Return whether the tables need not be written, or must not be."""
        return tables.can_skip_tables(self._job, self._book, self._summary)

    def guard_tables(self) -> AbstractContextManager[None]:
        """Keep tables that somebody edited under another name, and note how the new ones are left.

        Raises:
            OutputError: one cannot be kept, or written.
        """
        return tables.guard_tables(self._job, self._book, self._summary)

    # What is moved away

    def list_read_files(self) -> Iterator[list[tuple[Source, FileSnapshot, str]]]:
        """Yield the files of this run that were read, part by part.

        Of each: how it stood when it was read, and `failed` where it has an error row, else
        `done`; or nothing, where it is not known what was read.
        """
        after = ""
        while part := self._book.list_read_files(self._key, after, FILES_PER_PART):
            after = part[-1][1].file
            met = self._found.sources
            yield [(met[at], entry, _get_outcome(entry, text)) for at, entry, text in part]

    def update_snapshots(self, entries: Sequence[FileSnapshot]) -> None:
        """Note how files stand now, or that they are moved."""
        if entries:
            with self._book.transaction():
                self._book.update_entries(entries)


@contextmanager
def open_state(job: Job, summary: Summary) -> Iterator[State | NoState]:
    """Open the job's state, where it keeps one; the outputs are locked.

    Raises:
        OutputError: it cannot be opened or written, or is of a newer version.
    """
    path, out = job.paths.state, job.paths.out
    if path is None or out is None:
        yield NoState(job, summary)
        return
    tables.restrict_state_access(path, out)
    with state.open_store(path) as book:
        tables.restrict_state_access(path, out)  # a new one in the place of one that was damaged
        yield State(job, book, summary)


def _get_outcome(entry: FileSnapshot, text: str) -> str:
    if text and any(one.item.status == "error" for one in decode_findings(text)):
        return "failed"
    return "done" if entry.content is not None else ""
