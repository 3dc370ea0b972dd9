"""Tasks for the workers: files, and single pages of files that have many."""

import os
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from batchdigits.records import FileSnapshot, GreyImage, Source

MAX_CHUNK_PAGES = 4
"""Pages per chunk."""
MULTIPAGE_BYTES_BY_SUFFIX = {".pdf": 0, ".tif": 1 << 18, ".tiff": 1 << 18}
"""Suffixes of files that may have many pages, and the bytes from which their pages are counted."""


NO_PAGES: frozenset[int] = frozenset()


class Task(NamedTuple):
    """A file, or one page of it, for a worker.

    Attributes:
        source: the file.
        page: counted from 1; None for all pages.
        last: whether this is the file's last task.
        entry: the file's size and time when it was listed; None if no snapshot is wanted.
        known: the file's pages that were read before.
        image: the one page of a file that is only in memory, uint8, (height, width).
        expected: how many pages it seems to have.
        archive: the archive that it is a member of, as the table spells it; else empty.
        content: a digest of a member whose findings are known, so that it is not read.
        closes: whether the source is an archive whose members were the tasks before this one.
    """

    source: Source
    page: int | None = None
    last: bool = True
    entry: FileSnapshot | None = None
    known: frozenset[int] = NO_PAGES
    image: GreyImage | None = None
    expected: int = 1
    archive: str = ""
    content: bytes | None = None
    closes: bool = False

    @property
    def is_read(self) -> bool:
        """Whether there is a file to read, and not only something to note about an archive."""
        return self.content is None and (not self.closes or bool(self.source.fault))


class KnownMembers(Protocol):
    """What is known of members of archives."""

    def is_known(self, file: str) -> bool:
        """Return whether a member is known by its name, and need not be looked at."""

    def has_content(self, content: bytes) -> bool:
        """Return whether content with this digest was read before."""


class FileTasks:
    """Tasks of files, each made at its turn: 200,000 at once would take 50 MB.

    Attributes:
        sources: the files.
        in_memory: whether the files are images in memory.
        page_counts: path → pages, of files that may have many and whose pages were counted.
        member_counts: path → members, of archives: an estimate.
        known_members: what is known of members of archives; None if all are read.
        skipped: as in `sources.FoundSources`; what is skipped in archives is added.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        entries: Sequence[FileSnapshot] = (),
        known_pages: Mapping[str, Iterable[int]] = MappingProxyType({}),
        images: Sequence[GreyImage] | NDArray[np.uint8] = (),
    ) -> None:
        """Take the files in the order of the table.

        Args:
            sources: the files.
            entries: each file's size and time when it was listed; empty if no snapshot is wanted.
            known_pages: file → its pages that were read before.
            images: the one page of each file, uint8, (height, width); empty for files on disk.
        """
        self.sources, self.in_memory = sources, len(images) > 0
        self.page_counts: dict[str, int] = {}
        self.member_counts: dict[str, int] = {}
        self.known_members: KnownMembers | None = None
        self.skipped: dict[str, int] = {}
        self._known, self._images = known_pages, images
        self._sizes = array("q", (entry.size for entry in entries))
        self._times = array("q", (entry.time for entry in entries))

    def __iter__(self) -> Iterator[Task]:
        """Make the tasks, in the order of the files."""
        known_pages = NO_PAGES
        for index, source in enumerate(self.sources):
            entry = None
            if self._sizes:
                entry = FileSnapshot(source.file, self._sizes[index], self._times[index], sure=0)
            if self._known:
                known_pages = frozenset(self._known.get(source.file, ()))
            image = self._images[index] if self.in_memory else None
            yield Task(source, None, True, entry, known_pages, image)

    def estimate_total(self) -> int:
        """Estimate how many pages are to be read: a file whose pages were not counted has one."""
        total = len(self.sources)
        for source in self.sources if self.page_counts else ():
            count = self.page_counts.get(source.path, 1)
            if count > MAX_CHUNK_PAGES:
                count = len(_list_unread_pages(count, self._known.get(source.file, ())))
            total += count - 1
        return self.count_files() + total - len(self.sources)

    def count_files(self) -> int:
        """Count the files; of an archive, the members that it seems to have."""
        return len(self.sources) + sum(count - 1 for count in self.member_counts.values())


def find_multipage_files(files: Sequence[Source]) -> list[Source]:
    """Return the files whose pages are worth counting; objects would have to be fetched for it."""
    multipage = []
    for source in files:
        min_bytes = MULTIPAGE_BYTES_BY_SUFFIX.get(get_suffix(source.path))
        if min_bytes is None or source.fault or source.listed is not None:
            continue
        if get_file_size(source) >= min_bytes:
            multipage.append(source)
    return multipage


def split_into_pages(tasks: FileTasks) -> Iterator[Task]:
    """Split the task of a file with more than `MAX_CHUNK_PAGES` pages into a task per page.

    So each page of a large file has its own limits of time and memory: a page that exceeds them
    fails alone.

    Args:
        tasks: of files, with the page counts of those that may have many.

    Yields:
        Tasks in order. Pages that were read before are left out, except the last.
    """
    for task in tasks:
        count = tasks.page_counts.get(task.source.path, 1)
        if count <= MAX_CHUNK_PAGES:
            yield task._replace(expected=count) if count > 1 else task
        else:
            for page in _list_unread_pages(count, task.known):
                yield task._replace(page=page, last=page == count, known=frozenset())


def _list_unread_pages(count: int, known: Iterable[int]) -> list[int]:
    """List the pages of a file that were not read before, and its last, which ends the file."""
    return [*sorted({*range(1, count)}.difference(known)), count]


def get_suffix(path: str) -> str:
    """Return a path from its last dot on, in lower case: a suffix, where there is one."""
    return path[path.rfind(".") :].lower()  # four times as fast as os.path.splitext


def get_file_size(source: Source) -> int:
    """Return the bytes of a file, as it was listed or as it is; 0 if it cannot be reached."""
    if source.listed is not None:
        return max(0, source.listed.size)
    try:
        return os.stat(source.path).st_size
    except (OSError, ValueError):
        return 0
