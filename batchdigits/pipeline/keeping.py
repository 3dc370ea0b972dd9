"""A run with a ledger: what is known is not read again, and the table is made of what is known."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import cache

from batchdigits import classify, normalize, sources
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
from batchdigits.sources import GONE, unspell

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
        self, book: Ledger, found: sources.Found, options: RunOptions, known: Forms
    ) -> None:
        """Look at the files, and find out which are to be read.

        Args:
            book: the ledger.
            found: the files of this run, in the order of the table.
            options: the settings, with the threshold settled.
            known: the forms.
        """
        self.changed = False
        self.replaced = 0
        self._parts: list[Found] = []
        self._lost = 0
        self._moves = book.moves()
        self._found, files = found, found.sources
        self._book, self._options, self._known = book, options, known
        self._card = usable_card(options.model)
        thresholds = Thresholds.of(self._card, replace(options, min_confidence=None))
        entries = [looks.look(source) for source in files]
        with book.together():
            self._key = book.key(key_of(options, known), json.dumps(thresholds._asdict()))
        book.look(entries)
        places = range(len(files)) if options.fresh else book.to_read(self._key)
        gone = [at for at in places if files[at].fault == GONE]  # listed, and known perhaps
        places = sorted({*places}.difference(at for at in gone if book.knows(files[at].file)))
        waiting = {
            at
            for at in places
            if not files[at].named and looks.unsettled(entries[at], options.settle)
        }
        self.left = len(waiting)
        self._pages = {} if options.fresh else book.pages(self._key)
        places = [at for at in places if at not in waiting]
        if not options.fresh and book.any():
            places = self._unknown(files, places)
        self._tasks = Listed(
            [files[at] for at in places], [entries[at] for at in places], self._pages
        )

    def _unknown(self, files: Sequence[Source], places: Sequence[int]) -> list[int]:
        """Leave out files whose content was read before, under this name or another."""
        left = []
        for start in range(0, len(places), HASHED):
            part = places[start : start + HASHED]
            entries = [looks.look_into(files[at]) for at in part]
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
        """Say how many files are to be read, but for those that turned out to change meanwhile."""
        return len(self._tasks.sources) - self._lost

    def read(self, seen: Callable[[list[Found]], None]) -> Generator[int, None, None]:
        """Read, and keep what was found batch by batch, each while the next is read.

        Args:
            seen: called with each batch before it is kept, which happens once.

        Yields:
            How many files more are safe on disk.
        """
        tasks, files = self._tasks, self._tasks.sources
        with (
            closing(findings(tasks, files, self._options, self._card, self._known)) as batches,
            ThreadPoolExecutor(1) as beside,
        ):
            keeping = beside.submit(self._kept, [])
            try:
                for batch in batches:
                    seen(batch)
                    kept = keeping.result()  # or what was wrong: then no more is kept
                    keeping = beside.submit(self._kept, batch)
                    yield kept
            finally:
                kept = keeping.result()
            yield kept

    def _kept(self, batch: list[Found]) -> int:
        """Keep a batch; gives how many files it ends. Of one that goes on pages are kept."""
        with self._book.together():
            for found in batch:
                self._parts.append(found)
                if found.task.last:
                    self._keep(self._parts)
                    self._parts = []
                else:
                    self._keep_page(found)
        return sum(found.task.last for found in batch)

    def _keep(self, parts: Sequence[Found]) -> None:
        """Keep what was found of a file, page by page."""
        source, listed, stood = parts[0].task.source, parts[0].task.entry, parts[-1].stood
        if listed is None or stood is None or any(part.stood is None for part in parts):
            if source.named:  # and so has a row whatever happens
                entry = Entry(source.file, -1, -1)  # however it stands, it is not what was read
                self._put(entry, [Finding(Item(0, 1, "error", CHANGED))])
            else:
                self.left += 1
                self._lost += 1
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

    def missing(self) -> dict[str, int]:
        """Count the known files that were not met in folders of which not all was seen."""
        below = [(f"{place}/", place) for place in self._found.unseen]
        counts = Counter[str]()
        for file, _ in self._book.gone() if below else ():
            counts.update(place for start, place in below if file.startswith(start))
        return dict(counts)

    def prune(self) -> int:
        """Forget files that are gone; gives their number.

        One is not where it may lie in a folder of which not all was seen, nor where it is still
        there and was only not asked for, unless that was under another name.
        """
        unseen = tuple(f"{place}/" for place in self._found.unseen)
        gone = [file for file, _ in self._book.gone() if not file.startswith(unseen)]
        there = {os.fsencode(os.path.realpath(one.path)) for one in self._found.sources if gone}
        gone = [file for file in gone if (real := _real(file)) is None or real in there]
        with self._book.together():
            dropped = self._book.prune(gone, moved=True)
            if dropped:
                self._stale()
        return dropped

    def tidy(self) -> None:
        """Forget what no file is any more, and faults of folders that were met by earlier runs."""
        mended = [file for file, failed in self._book.gone() if failed and _is_folder(file)]
        with self._book.together():
            if self._book.prune(mended, moved=False):
                self._stale()
            self._book.tidy()

    def finished(self) -> Iterator[list[tuple[Source, Entry, str]]]:
        """Give the files of this run that were read, part by part.

        Of each: how it stood when it was read, and `failed` where it has an error row, else
        `done`; or nothing, where it is not known what was read.
        """
        after = ""
        while part := self._book.part(self._key, after, HASHED):
            after = part[-1][1].file
            files = self._found.sources
            yield [(files[at], entry, _ending(entry, told)) for at, entry, told in part]

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


def _real(file: str) -> bytes | None:
    """Give the real path of a file of the table; None where no file is there."""
    path = unspell(file)
    return os.path.realpath(path) if os.path.isfile(path) else None


def _is_folder(file: str) -> bool:
    return os.path.isdir(unspell(file))


def _ending(entry: Entry, told: str) -> str:
    if told and any(one.item.status == "error" for one in recalled(told)):
        return "failed"
    return "done" if entry.content is not None else ""
