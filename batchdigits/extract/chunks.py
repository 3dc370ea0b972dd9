"""Chunks of tasks for the workers: how large they are, and how they are sent."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from batchdigits.extract.tasks import MAX_CHUNK_PAGES, Task, get_file_size, get_suffix
from batchdigits.records import FileSnapshot, Member, Source

MIN_CHUNK_FILES, MAX_CHUNK_FILES = 64, 4096
"""Files per chunk. Many, because crops of one size are normalised together: where sizes differ, a
chunk of 4,096 takes three quarters of the time of four of 1,024. But every worker gets several
chunks. The size of chunks changes no result."""
MAX_CHUNK_BYTES = 16 << 20
"""Bytes of files per chunk: a run that is stopped waits for the chunks in work."""
LIKELY_PAGE_BYTES, LIKELY_PAGES_PER_CHUNK = 8 << 10, 16
"""A file of so many bytes may be a page without a template, which takes as long as hundreds of
crops. A chunk has so many of them at most, so that a run that is stopped ends soon."""
SURE_PAGE_BYTES = 64 << 10
"""A file of so many bytes is nearly always a page: `MAX_CHUNK_PAGES` of them fill a chunk."""
LIKELY_PAGE_BYTES_BY_SUFFIX = {".pdf": 0, ".tif": 2 << 10, ".tiff": 2 << 10}
"""As `LIKELY_PAGE_BYTES`, for formats that pack a page of a fax into less."""

_PLAIN_TASK = Task(Source("", ""))
_NO_PAGE = _PLAIN_TASK[4:7]
"""`known`, `image` and `expected` of a task of a whole file."""


class TaskChunk(list[Task]):
    """A list of tasks that is pickled as a few columns, if all are plain and of one kind.

    They are whole files of this machine, or members of one archive. A task is three records or
    four. To pickle these for a worker took ten times as long.
    """

    def __reduce__(self) -> tuple[Callable[..., "TaskChunk"], tuple[Any, ...]]:
        """Return what makes the same chunk in another process."""
        if columns := _collect_columns(self):
            return _restore_chunk, columns
        if members := _collect_members(self):
            return _restore_members, members
        return TaskChunk, (list(self),)


def _collect_members(chunk: list[Task]) -> tuple[Any, ...] | None:
    """Return the first task, and file and place of each member; None if one has more to it."""
    first = chunk[0] if chunk else _PLAIN_TASK
    source, entry = first.source, first.entry
    if not source.member or entry is None or first[1:3] != (None, True) or first[4:7] != _NO_PAGE:
        return None
    rows = []
    for task in chunk:
        one = task.source
        if one.path != source.path or one.fault or one.listed != source.listed:
            return None
        if one.member is None or task.entry is None or task.entry[:1] != (one.file,):
            return None
        if task.entry[1:] != entry[1:] or task[1:3] != (None, True) or task[4:7] != _NO_PAGE:
            return None
        if task[7:] != (first.archive, None, False):
            return None
        rows.append((one.file, *one.member))
    return first, *map(list, zip(*rows, strict=True))


def _restore_members(first: Task, *columns: list[Any]) -> TaskChunk:
    """Make a chunk of members, of the first task and the columns of all."""
    source, entry = first.source, first.entry
    rest = source.fault, source.named, source.top, source.listed
    chunk = TaskChunk()
    for file, *place in zip(*columns, strict=True):
        one = Source(file, source.path, *rest, Member(*place))
        own = None if entry is None else entry._replace(file=file)
        chunk.append(first._replace(source=one, entry=own))
    return chunk


def _collect_columns(chunk: list[Task]) -> tuple[list[Any], ...] | None:
    """Return file, path, size, time, `named` and `top` of each task; None if one has more to it."""
    rows = []
    for task in chunk:
        source, entry = task.source, task.entry
        if entry is None or entry[0] != source.file or entry[3:] != (0, None):
            return None
        if task[1:3] != (None, True) or task[4:] != _PLAIN_TASK[4:]:
            return None
        if source.fault or source.listed or source.member or source.is_archive:
            return None
        rows.append((source.file, source.path, entry.size, entry.time, source.named, source.top))
    return tuple(map(list, zip(*rows, strict=True)))


def _restore_chunk(*columns: list[Any]) -> TaskChunk:
    """Make a chunk of the columns of its tasks."""
    return TaskChunk(
        Task(Source(file, path, "", named, top), entry=FileSnapshot(file, size, time, sure=0))
        for file, path, size, time, named, top in zip(*columns, strict=True)
    )


def choose_chunk_files(count: int, workers: int, *, forms: bool = False) -> int:
    """Choose how many files a chunk has at most; arguments as for `make_chunks`."""
    if forms:
        return MAX_CHUNK_PAGES
    return min(max(count // (4 * max(workers, 1)), MIN_CHUNK_FILES), MAX_CHUNK_FILES)


def make_chunks(
    tasks: Iterable[Task], count: int, workers: int, *, forms: bool = False
) -> Iterator[list[Task]]:
    """Group tasks into chunks, limited by number, by size on disk, and by pages.

    Args:
        tasks: of all files, in order.
        count: number of files.
        workers: number of workers.
        forms: whether each file is a page, which takes as long as hundreds of crops.
    """
    max_count = choose_chunk_files(count, workers, forms=forms)
    chunk, bytes_left = TaskChunk(), MAX_CHUNK_BYTES
    for task in tasks:
        size = _estimate_task_bytes(task)
        if chunk and (len(chunk) == max_count or size > bytes_left):
            yield chunk
            chunk, bytes_left = TaskChunk(), MAX_CHUNK_BYTES
        chunk.append(task)
        bytes_left -= size
    if chunk:
        yield chunk


def _estimate_task_bytes(task: Task) -> int:
    """Estimate a task's share of a chunk's bytes: its size, or more if it is slow for its size."""
    if task.page is not None:
        return MAX_CHUNK_BYTES // MAX_CHUNK_PAGES
    if task.image is not None:
        size = task.image.size
    elif task.archive or task.closes:
        size = task.source.member.size if task.source.member and task.is_read else 0
    else:
        size = task.entry.size if task.entry else get_file_size(task.source)
    if size >= SURE_PAGE_BYTES:
        return max(size, MAX_CHUNK_BYTES // MAX_CHUNK_PAGES)
    name = task.source.file if task.archive else task.source.path
    if size >= LIKELY_PAGE_BYTES_BY_SUFFIX.get(get_suffix(name), LIKELY_PAGE_BYTES):
        return max(size, MAX_CHUNK_BYTES // LIKELY_PAGES_PER_CHUNK)
    return max(size, 0)
