"""What the workers take at a time: files, and single pages of files that have many."""

import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits.records import FileSnapshot, GreyImage, Source

MIN_CHUNK_FILES, MAX_CHUNK_FILES = 64, 1024
"""Files a worker takes at a time: many, as crops of one size are worked on together, but so few
that every worker has several chunks to take. It changes no result."""
MAX_CHUNK_BYTES = 16 << 20
"""Bytes of files a worker takes at a time: a stopped run waits for the chunk in hand."""
MAX_CHUNK_PAGES = 4
"""Pages that a worker takes at a time."""
LIKELY_PAGE_BYTES, LIKELY_PAGES_PER_CHUNK = 8 << 10, 16
"""A file of so many bytes may be a page nobody described, which takes as long as hundreds of crops:
of such a worker takes so many at a time, so that a run that is stopped soon has them all."""
SURE_PAGE_BYTES = 64 << 10
"""Bytes from which on it is next to surely one: of such a worker takes `MAX_CHUNK_PAGES` at a time."""
LIKELY_PAGE_BYTES_BY_SUFFIX = {".pdf": 0, ".tif": 2 << 10, ".tiff": 2 << 10}
"""The same by suffix, of formats that pack a page of a fax into less."""
MULTIPAGE_BYTES_BY_SUFFIX = {".pdf": 0, ".tif": 1 << 18, ".tiff": 1 << 18}
"""Files that may have many pages, by suffix, and the bytes from which on they are looked into."""


class Task(NamedTuple):
    """What a worker takes at a time.

    Attributes:
        source: the file.
        page: counted from 1; None for all its pages.
        last: whether nothing of the file comes after it.
        entry: how the file stood when it was listed; None where nobody asks.
        known: its pages that were read before.
        image: the one page of a file that is in memory alone, uint8, (height, width).
    """

    source: Source
    page: int | None = None
    last: bool = True
    entry: FileSnapshot | None = None
    known: frozenset[int] = frozenset()
    image: GreyImage | None = None


class FileTasks:
    """Tasks of files, each made when it is its turn: of 200,000 at a time there would be 50 MB.

    Attributes:
        sources: the files.
        in_memory: whether there are images for the files.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        entries: Sequence[FileSnapshot] = (),
        known: Mapping[str, Iterable[int]] = MappingProxyType({}),
        images: Sequence[GreyImage] | NDArray[np.uint8] = (),
    ) -> None:
        """Take the files in the order of the table.

        Args:
            sources: the files.
            entries: how each stood when it was listed; none where nobody asks.
            known: the pages that were read before, of files that have such.
            images: of each file its one page, uint8, (height, width); none for files on disk.
        """
        self.sources, self.in_memory = sources, len(images) > 0
        self._known, self._images = known, images
        self._sizes = array("q", (entry.size for entry in entries))
        self._times = array("q", (entry.time for entry in entries))

    def __iter__(self) -> Iterator[Task]:
        """Make the tasks, in the order of the files."""
        for at, source in enumerate(self.sources):
            entry = None
            if self._sizes:
                entry = FileSnapshot(source.file, self._sizes[at], self._times[at], sure=0)
            known = frozenset(self._known.get(source.file, ()))
            image = self._images[at] if self.in_memory else None
            yield Task(source, entry=entry, known=known, image=image)


def find_multipage_files(files: Sequence[Source]) -> list[Source]:
    """Choose the files of which it is worth knowing how many pages they have."""
    found = []
    for source in files:
        least = MULTIPAGE_BYTES_BY_SUFFIX.get(_get_suffix(source.path))
        if least is not None and not source.fault and _get_file_size(source.path) >= least:
            found.append(source)
    return found


def split_into_pages(tasks: Iterable[Task], pages: Callable[[Source], int]) -> Iterator[Task]:
    """Make of the task of a file one for each page to read, where there are more than `MAX_CHUNK_PAGES`.

    So each page of a large file has its own limits of time and memory, and one that breaks them
    takes no other page along.
    """
    for task in tasks:
        count = pages(task.source)
        if count <= MAX_CHUNK_PAGES:
            yield task
        else:
            for page in [*sorted({*range(1, count)} - task.known), count]:
                yield task._replace(page=page, last=page == count, known=frozenset())


def make_chunks(
    tasks: Iterable[Task], count: int, workers: int, *, forms: bool = False
) -> Iterator[list[Task]]:
    """Cut tasks into chunks by number, by size on disk, and by pages.

    Args:
        tasks: of all files, in order.
        count: how many files there are.
        workers: how many share the work.
        forms: whether a file is a page, which takes as long as hundreds of crops.
    """
    most = min(max(count // (4 * max(workers, 1)), MIN_CHUNK_FILES), MAX_CHUNK_FILES)
    most = MAX_CHUNK_PAGES if forms else most
    chunk: list[Task] = []
    room = MAX_CHUNK_BYTES
    for task in tasks:
        size = _estimate_task_bytes(task)
        if chunk and (len(chunk) == most or size > room):
            yield chunk
            chunk, room = [], MAX_CHUNK_BYTES
        chunk.append(task)
        room -= size
    if chunk:
        yield chunk


def _estimate_task_bytes(task: Task) -> int:
    """Tell what a task takes of a chunk's bytes: as many as it has, or as its time is worth."""
    if task.page is not None:
        return MAX_CHUNK_BYTES // MAX_CHUNK_PAGES
    if task.image is not None:
        size = task.image.size
    else:
        size = task.entry.size if task.entry else _get_file_size(task.source.path)
    if size >= SURE_PAGE_BYTES:
        return max(size, MAX_CHUNK_BYTES // MAX_CHUNK_PAGES)
    if size >= LIKELY_PAGE_BYTES_BY_SUFFIX.get(_get_suffix(task.source.path), LIKELY_PAGE_BYTES):
        return max(size, MAX_CHUNK_BYTES // LIKELY_PAGES_PER_CHUNK)
    return max(size, 0)


def _get_suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def _get_file_size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return 0
