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
from batchdigits.extract.desk import Item
from batchdigits.extract.tasks import Tasks
from batchdigits.job import Job
from batchdigits.predict.findings import Finding, Found, decode_findings, encode_findings
from batchdigits.records import Entry, Source
from batchdigits.sources import GONE, inspection
from batchdigits.state import Ledger, scope, tables
from batchdigits.state.known import Known, NoState
from batchdigits.summary import Progress, Stop, Summary

log = logging.getLogger(__name__)

CHANGED = "it changed while it was read: run again when it is complete"
HASHED = 256
"""Files that are looked into before what was found of them is kept, and that are recalled at a
time."""
KEPT = "what was read is kept for the next run; an earlier table stands"
"""What is said of a run that is stopped."""
MISSING = "no images found%s, as if a disk were missing: the rows of %d files are kept"


class State:
    """What earlier runs have read, what this one reads, and how the tables were left."""

    def __init__(self, job: Job, book: Ledger, summary: Summary) -> None:
        """Take the job and its ledger; the summary gets what is known of the files."""
        self._job, self._book, self._summary = job, book, summary
        self._stale = False
        self._wanted = self._lost = self._replaced = 0
        self._parts: list[Found] = []
        self._found = sources.Found([], {}, [])
        self._pages: dict[str, dict[int, str]] = {}
        self._moves = book.moves()
        with book.together():
            own = json.dumps(job.model_thresholds._asdict())
            self._key = book.key(job.reading_key, own)

    # What is to be read

    def plan(self, found: sources.Found) -> Tasks:
        """Return the tasks of the files that are new or changed, or failed before."""
        self._found, fresh = found, self._job.options.fresh
        entries = [inspection.stat_source(source) for source in found.sources]
        self._book.look(entries)
        self._choose_rows()
        places = range(len(entries)) if fresh else self._book.to_read(self._key)
        places = self._settled([*places], entries)
        self._pages = {} if fresh else self._book.pages(self._key)
        if not fresh and self._book.any():
            places = self._unknown(places)
        self._wanted = len(places)
        chosen = [found.sources[at] for at in places]
        return Tasks(chosen, [entries[at] for at in places], self._pages)

    def _choose_rows(self) -> None:
        """Find the known files that the table leaves out, as they are of other INPUTs.

        A file that another run spelled otherwise, but that lies below an INPUT of this one, gets
        the name that it has there, or makes room for the one that has it.
        """
        inputs = self._job.inputs
        asked = scope.Scope([*inputs.typed, *inputs.listed])
        named = ((file, asked.name(file)) for file in self._book.unmet())
        strange = [(file, name) for file, name in named if name != file]
        others = [file for file, name in strange if not name]
        with self._book.together():
            for file, name in strange:
                if name and self._book.knows(name):
                    self._book.prune([file], moved=False)
                elif name:
                    self._book.rename(file, name)
            self._mark_stale(len(others) < len(strange))
            self._book.leave_out([] if self._job.options.append else others)

    def _settled(self, places: Sequence[int], entries: Sequence[Entry]) -> list[int]:
        """Leave out files that are still written to, and known ones that were listed and are gone.

        The summary gets the number of the first.
        """
        met, seconds = self._found.sources, self._job.options.settle
        kept = []
        for at in places:
            if met[at].fault == GONE and self._book.knows(met[at].file):
                continue
            if not met[at].named and inspection.is_unsettled(entries[at], seconds):
                self._summary.left += 1
            else:
                kept.append(at)
        return kept

    def _unknown(self, places: Sequence[int]) -> list[int]:
        """Leave out files whose content was read before, under this name or another."""
        left = []
        for start in range(0, len(places), HASHED):
            part = places[start : start + HASHED]
            entries = [inspection.hash_source(self._found.sources[at]) for at in part]
            with self._book.together():
                for at, entry in zip(part, entries, strict=True):
                    replaces = self._moves and self._book.replaces(entry)
                    if entry.content is None or not self._book.same(entry, self._key):
                        left.append(at)
                    else:
                        self._replaced += replaces
                        self._mark_stale()
        return left

    # What is read is kept

    def keep(
        self, batches: Generator[list[Found]], progress: Progress, stop: Stop
    ) -> Iterator[list[Known]]:
        """Keep what is found, batch by batch; then return all that is known, in the table's order.

        A run that is stopped keeps the chunks in hand.
        """
        summary, done = self._summary, self._summary.files - self._wanted
        progress(done, summary.files)
        with stop.gently(KEPT), closing(self._keep_batches(batches)) as kept:
            for count in kept:
                done += count
                summary.read += count
                progress(done, summary.files)
                stop.check()
        summary.read -= self._lost
        if self._replaced:
            log.warning(
                "%d files came under the names of files that were moved, and their rows took the "
                "place of those: give each scan a name of its own, or each night another --out",
                self._replaced,
            )
        return self._recall()

    def _keep_batches(self, batches: Generator[list[Found]]) -> Generator[int]:
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

    def _keep_batch(self, batch: list[Found]) -> int:
        """Keep a batch; return how many files it ends. Of a file that goes on, pages are kept."""
        with self._book.together():
            for found in batch:
                self._parts.append(found)
                if found.task.last:
                    self._keep_file(self._parts)
                    self._parts = []
                else:
                    self._keep_page(found)
        return sum(found.task.last for found in batch)

    def _keep_file(self, parts: Sequence[Found]) -> None:
        """Keep what was found of a file, page by page."""
        source, listed, stood = parts[0].task.source, parts[0].task.entry, parts[-1].stood
        if listed is None or stood is None or any(part.stood is None for part in parts):
            if source.named:  # and so has a row whatever happens
                entry = Entry(source.file, -1, -1)  # however it stands, it is not what was read
                self._put(entry, [Finding(Item(0, 1, "error", CHANGED))])
            else:
                self._summary.left += 1
                self._lost += 1
            return
        pages = {part.task.page or 0: part.findings for part in parts}
        if parts[0].task.page is not None:  # those that were read before go with them
            before = self._pages.pop(source.file, {}).items()
            pages |= {page: decode_findings(one) for page, one in before if page not in pages}
        self._put(stood, [one for page in sorted(pages) for one in pages[page]])

    def _keep_page(self, found: Found) -> None:
        """Keep what was found of a page, should the run end before all of its file is read."""
        page, stood = found.task.page, found.stood
        failed = any(one.item.status == "error" for one in found.findings)
        if page is not None and stood is not None and stood.sure and not failed:
            self._book.put_page(stood, self._key, page, encode_findings(found.findings))

    def _put(self, entry: Entry, found: Sequence[Finding]) -> None:
        failed = any(one.item.status == "error" for one in found)
        self._replaced += self._moves and self._book.replaces(entry)
        self._book.put(entry, self._key, encode_findings(found), failed=failed)
        self._mark_stale()

    def _mark_stale(self, changed: bool = True) -> None:
        """Note, once, that the tables are not made of what is known now."""
        if changed and not self._stale:
            self._book.stale()
            self._stale = True

    def _recall(self) -> Iterator[list[Known]]:
        """Yield what is known of every file of the table, in its order."""
        chosen = self._job.threshold
        own: Callable[[str], Thresholds] = cache(lambda text: Thresholds(**json.loads(text)))
        lines = self._book.told()
        while part := list(islice(lines, HASHED)):
            yield [
                Known(
                    one.file,
                    decode_findings(one.findings),
                    own(one.thresholds) if chosen is None else Thresholds(chosen, chosen),
                    one.here,
                )
                for one in part
            ]

    # What the table is made of

    def close_books(self) -> None:
        """Forget what no row needs, and what the options say; tell of files that are missing."""
        with self._book.together():
            if self._job.options.prune and self._summary.files:
                self._summary.pruned = scope.prune_gone(self._book, self._found)
            forgotten = self._summary.pruned + scope.forget_mended(self._book)
            self._mark_stale(forgotten > 0)
            self._book.tidy()
        self._summary.gone = len(self._book.gone())
        self._summary.others = self._book.count_left_out()
        if self._summary.gone and not self._summary.files:
            log.error(MISSING, "", self._summary.gone)
            return
        for folder, count in scope.count_missing(self._book, self._found).items():
            log.error(MISSING, f" in '{folder}'", count)

    def table_stands(self) -> bool:
        """Return whether the tables need not be written, or must not be."""
        return tables.stand(self._job, self._book, self._summary)

    def guard_tables(self) -> AbstractContextManager[None]:
        """Keep tables that somebody edited under another name, and note how the new ones are left.

        Raises:
            OutputError: one cannot be kept, or written.
        """
        return tables.guard(self._job, self._book, self._summary)

    # What is moved away

    def list_read(self) -> Iterator[list[tuple[Source, Entry, str]]]:
        """Yield the files of this run that were read, part by part.

        Of each: how it stood when it was read, and `failed` where it has an error row, else
        `done`; or nothing, where it is not known what was read.
        """
        after = ""
        while part := self._book.part(self._key, after, HASHED):
            after = part[-1][1].file
            met = self._found.sources
            yield [(met[at], entry, _ending(entry, text)) for at, entry, text in part]

    def note_entries(self, entries: Sequence[Entry]) -> None:
        """Note how files stand now, or that they are moved."""
        if entries:
            with self._book.together():
                self._book.stand(entries)


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
    tables.narrow(path, out)
    with state.opened(path) as book:
        tables.narrow(path, out)  # a new one in the place of one that was damaged
        yield State(job, book, summary)


def _ending(entry: Entry, text: str) -> str:
    if text and any(one.item.status == "error" for one in decode_findings(text)):
        return "failed"
    return "done" if entry.content is not None else ""
