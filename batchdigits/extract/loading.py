"""Where the files of a chunk are: on this machine, in an archive, or in an object store."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Self

from batchdigits import objects, pages, workers
from batchdigits.extract.tasks import Task
from batchdigits.objects import ObjectError, is_url
from batchdigits.pages.opening import TakeContent
from batchdigits.records import Failure, FileSnapshot, Source
from batchdigits.sources import inspection
from batchdigits.sources.archives import MemberError, MemberReader

AHEAD = 64
"""Objects that are fetched at once; the worker gives a sign of life after each such part."""
SMALL_BYTES = 4 << 20
"""Objects of up to so many bytes are fetched at once; a larger one alone, to the disk."""


class ChunkFiles:
    """The files of a chunk, opened one after another.

    Objects are fetched a part at a time, all of a part at once: one by one, a thousand crops would
    wait for the store a thousand times.
    """

    def __init__(self, chunk: Sequence[Task]) -> None:
        """Take the tasks, in order."""
        urls = {path for path in {task.source.path for task in chunk} if is_url(path)}
        self._urls = frozenset(urls)
        self._waiting = [
            task.source.path
            for task in (chunk if urls else ())
            if task.source.path in urls
            and not (task.source.fault or task.archive or task.closes)
            and 0 < _get_size(task.source) <= SMALL_BYTES
        ]
        self._fetched: dict[str, bytes | ObjectError] = {}
        self._snapshots: dict[str, FileSnapshot | None] = {}
        self._members = MemberReader()

    def __enter__(self) -> Self:
        """Return the files."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the archive that was read last."""
        self._members.__exit__()

    def find_plain_path(self, task: Task) -> str:
        """Return the path of a task's file, if that is all there is to open; else empty."""
        source = task.source
        return "" if source.member is not None or source.path in self._urls else source.path

    @contextmanager
    def open_file(self, task: Task) -> Iterator[str | bytes | Failure]:
        """Yield the path of a task's file on this machine, or its bytes, or why it has none."""
        url = task.source.path
        if task.source.member is not None:
            yield self._load_member(task.source)
            return
        if url not in self._urls:
            yield url
            return
        content = self._take_content(url)
        try:
            if isinstance(content, ObjectError):
                raise content
            with objects.open_local_copy(url, content) as path:
                self._note_snapshot(task, path, content)
                yield path
        except ObjectError as fault:
            self._snapshots[url] = task.entry  # the error is its row, until the next run
            yield Failure(1, f"could not be fetched: {fault}; {fault.advice}", whole=True)

    def inspect_file(self, task: Task, max_pixels: int) -> pages.ImageFileInfo | Failure:
        """Return what the header of a task's file says."""
        with self.open_file(task) as file:
            if isinstance(file, Failure):
                return file
            return pages.inspect_image_file(file, max_pixels=max_pixels)

    def choose_content_taker(self, task: Task) -> TakeContent | None:
        """Return what `pages.load_pages` calls with a file's bytes, so that they are read once.

        None where the digest comes another way, or not yet.
        """
        source = task.source
        if task.entry is None or task.page is not None or task.archive:
            return None
        if source.path in self._urls:
            return None
        return partial(self._keep_snapshot, source)

    def _keep_snapshot(
        self, source: Source, data: bytes, before: os.stat_result, after: os.stat_result
    ) -> None:
        self._snapshots[source.path] = inspection.make_content_snapshot(source, data, before, after)

    def _load_member(self, source: Source) -> bytes | Failure:
        try:
            return self._members.load(source)
        except MemberError as error:
            return Failure(1, str(error), whole=True)

    def _take_content(self, url: str) -> bytes | ObjectError | None:
        """Return the content of an object; None for a large one, which is fetched to the disk."""
        if url not in self._fetched and url in self._waiting:
            start = self._waiting.index(url)
            part = self._waiting[start : start + AHEAD]
            self._waiting = self._waiting[start + AHEAD :]
            self._fetched = objects.fetch_objects(part, SMALL_BYTES + 1)
            workers.send_heartbeat()
        content = self._fetched.pop(url, None)
        if isinstance(content, bytes) and len(content) > SMALL_BYTES:  # it has grown
            return None
        return content

    def _note_snapshot(self, task: Task, path: str, content: bytes | None) -> None:
        """Note what was read of an object, by the content that was fetched.

        Another size than the listing had means another object by now. One of the same size that
        was replaced meanwhile has another tag in the next listing, and is read again then.
        """
        if task.entry is None:
            return
        if content is None:
            now = inspection.hash_source(Source(task.source.file, path))
            size, digest = now.size, now.content
        else:
            digest = inspection.digest_bytes(content)
            size = len(content)
        same = task.entry.size in (-1, size)
        listed = task.source.listed
        tag = listed.sure if listed is not None else 0
        self._snapshots[task.source.path] = (
            task.entry._replace(content=digest, sure=tag) if same else None
        )

    def take_snapshot(self, task: Task) -> FileSnapshot | None:
        """Return a file's size, time and digest; None if it changed since it was listed.

        The digest comes with the last task of a file. A member of an archive has the size and time
        of its archive, and its own digest.
        """
        if task.entry is None or (task.source.fault and not task.closes):
            return task.entry
        if task.archive:
            digest = task.content or self._members.digests.get(task.source.file)
            now = inspection.stat_source(task.source)._replace(
                file=task.source.file, content=digest
            )
            return now if inspection.is_unchanged(now, task.entry) else None
        if task.source.path in self._urls:
            if task.closes:
                return inspection.hash_listed(task.source)
            return self._snapshots.get(task.source.path)
        look = inspection.hash_source if task.last else inspection.stat_source
        now = self._snapshots.get(task.source.path) or look(task.source)
        return now if inspection.is_unchanged(now, task.entry) else None


def _get_size(source: Source) -> int:
    return -1 if source.listed is None else source.listed.size
