"""A run with a ledger: what is known is not read again, and the table is made of what is known."""

import hashlib
import json
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import cache

from batchdigits import classify, normalize
from batchdigits.ledger import Entry, Ledger, Told
from batchdigits.normalize import strips
from batchdigits.options import RunOptions
from batchdigits.pipeline import looks
from batchdigits.pipeline.desk import Item
from batchdigits.pipeline.findings import Finding, Found
from batchdigits.pipeline.judge import Done, Thresholds, done
from batchdigits.pipeline.references import Forms
from batchdigits.pipeline.stream import findings
from batchdigits.pipeline.tasks import Listed
from batchdigits.pipeline.terms import usable_card
from batchdigits.pipeline.told import recalled, told
from batchdigits.records import Source
from batchdigits.sources import GONE

READING = 1
"""Raised when the same file, model and templates would be read otherwise by a newer version."""
CHANGED = "it changed while it was read: run again when it is complete"
HASHED = 256
"""Files that are looked into before what was found of them is kept."""


def key_of(options: RunOptions, known: Forms) -> str:
    """Name all that a reading depends on but for the file: its digest, in hexadecimal."""
    parts = {
        "reading": (READING, normalize.VERSION, strips.VERSION),
        "model": classify.fingerprint(options.model),
        "as": options.as_,
        "invert": options.invert,
        "templates": [one.model_dump_json(exclude={"place"}) for one in known.templates],
        "references": {
            name: hashlib.blake2b(one.features.tobytes()).hexdigest()
            for name, one in known.references.items()
        },
    }
    return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=20).hexdigest()


class Keeper:
    """Reads what a ledger does not know yet, and gives the rows of all that it knows."""

    def __init__(
        self, book: Ledger, sources: Sequence[Source], options: RunOptions, known: Forms
    ) -> None:
        """Look at the files, and find out which are to be read.

        Args:
            book: the ledger.
            sources: the files of this run, in the order of the table.
            options: the settings, with the threshold settled.
            known: the forms.
        """
        self.changed = False
        self.replaced = 0
        self._parts: list[Found] = []
        self._moves = book.moves()
        self._sources = sources
        self._book, self._options, self._known = book, options, known
        self._card = usable_card(options.model)
        thresholds = Thresholds.of(self._card, options.model_copy(update={"min_confidence": None}))
        entries = [looks.look(source) for source in sources]
        with book.together():
            self._key = book.key(key_of(options, known), json.dumps(thresholds._asdict()))
        book.look(entries)
        places = range(len(sources)) if options.fresh else book.to_read(self._key)
        gone = [at for at in places if sources[at].fault == GONE]  # listed, and known perhaps
        places = sorted({*places}.difference(at for at in gone if book.knows(sources[at].file)))
        waiting = {
            at
            for at in places
            if not sources[at].named and looks.unsettled(entries[at], options.settle)
        }
        self.left = len(waiting)
        self._pages = {} if options.fresh else book.pages(self._key)
        places = [at for at in places if at not in waiting]
        if not options.fresh and book.any():
            places = self._unknown(sources, places)
        self._tasks = Listed(
            [sources[at] for at in places], [entries[at] for at in places], self._pages
        )

    def _unknown(self, sources: Sequence[Source], places: Sequence[int]) -> list[int]:
        """Leave out files whose content was read before, under this name or another."""
        left = []
        for start in range(0, len(places), HASHED):
            part = places[start : start + HASHED]
            entries = [looks.look_into(sources[at]) for at in part]
            with self._book.together():
                for at, entry in zip(part, entries, strict=True):
                    moved = self._moves and self._book.replaces(entry)
                    if entry.content is None or not self._book.same(entry, self._key):
                        left.append(at)
                    else:
                        self.replaced += moved
                        self._stale()
        return left

    @property
    def count(self) -> int:
        """Say how many files are to be read."""
        return len(self._tasks.sources)

    def read(self) -> Generator[list[Found], None, None]:
        """Read, and keep what was found batch by batch: what is yielded is safe on disk.

        The disk has its time while the next batch is read.
        """
        tasks, files = self._tasks, self._tasks.sources
        with (
            closing(findings(tasks, files, self._options, self._card, self._known)) as batches,
            ThreadPoolExecutor(1) as beside,
        ):
            keeping = beside.submit(self._kept, [])
            try:
                for batch in batches:
                    kept = keeping.result()  # or what was wrong: then no more is kept
                    keeping = beside.submit(self._kept, batch)
                    yield kept
            finally:
                kept = keeping.result()
            yield kept

    def _kept(self, batch: list[Found]) -> list[Found]:
        """Keep a batch, and give it back; of a file that goes on in the next, page by page."""
        with self._book.together():
            for found in batch:
                self._parts.append(found)
                if found.task.last:
                    self._keep(self._parts)
                    self._parts = []
                else:
                    self._keep_page(found)
        return batch

    def _keep(self, parts: Sequence[Found]) -> None:
        """Keep what was found of a file, page by page."""
        source, listed, stood = parts[0].task.source, parts[0].task.entry, parts[-1].stood
        if listed is None or stood is None or any(part.stood is None for part in parts):
            self.left += 1
            if source.named:  # and so has a row whatever happens
                entry = Entry(source.file, -1, -1)  # however it stands, it is not what was read
                self._put(entry, [Finding(Item(0, 1, "error", CHANGED))])
            return
        pages = {part.task.page or 0: part.findings for part in parts}
        if parts[0].task.page is not None:  # those that were read before go with them
            before = self._pages.pop(source.file, {}).items()
            pages |= {page: recalled(one) for page, one in before if page not in pages}
        self._put(stood, [one for page in sorted(pages) for one in pages[page]])

    def _keep_page(self, found: Found) -> None:
        """Keep what was found of a page, should the run end before all of its file is read."""
        page, stood = found.task.page, found.stood
        failed = any(one.item.status == "error" for one in found.findings)
        if page is not None and stood is not None and stood.sure and not failed:
            self._book.put_page(stood, self._key, page, told(found.findings))

    def _put(self, entry: Entry, found: Sequence[Finding]) -> None:
        failed = any(one.item.status == "error" for one in found)
        self.replaced += self._moves and self._book.replaces(entry)
        self._book.put(entry, self._key, told(found), failed=failed)
        self._stale()

    def _stale(self) -> None:
        if not self.changed:
            self._book.stale()
            self.changed = True

    def prune(self) -> int:
        """Forget files that are gone; gives their number."""
        with self._book.together():
            dropped = self._book.prune()
            if dropped:
                self._stale()
        return dropped

    def tidy(self) -> None:
        """Forget what no file is any more."""
        with self._book.together():
            self._book.tidy()

    def finished(self) -> Iterator[list[tuple[Source, Entry, str]]]:
        """Give the files of this run that were read, part by part.

        Of each: how it stood when it was read, and `failed` where it has an error row, else
        `done`; or nothing, where it is not known what was read.
        """
        after = ""
        while part := self._book.part(self._key, after, HASHED):
            after = part[-1][1].file
            yield [(self._sources[at], entry, _ending(entry, told)) for at, entry, told in part]

    def stand(self, entries: Sequence[Entry]) -> None:
        """Note how files stand."""
        if entries:
            with self._book.together():
                self._book.stand(entries)

    def told(self) -> Iterator[tuple[Told, Done]]:
        """Give the rows of each file that is known, in the order of the table."""
        chosen = self._options.min_confidence
        with_digits = self._options.digits_out is not None
        own = cache(lambda terms: Thresholds(**json.loads(terms)))
        for one in self._book.told():
            thresholds = own(one.terms) if chosen is None else Thresholds(chosen, chosen)
            yield one, done(one.file, recalled(one.told), thresholds, with_digits=with_digits)


def _ending(entry: Entry, told: str) -> str:
    if told and any(one.item.status == "error" for one in recalled(told)):
        return "failed"
    return "done" if entry.content is not None else ""
