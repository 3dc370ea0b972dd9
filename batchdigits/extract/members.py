"""Tasks of archives become tasks of their members, each made at its turn."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from batchdigits.extract.tasks import FileTasks, KnownMembers, Task
from batchdigits.records import Source
from batchdigits.sources.archives import (
    ArchiveError,
    MemberError,
    MemberReader,
    estimate_member_count,
    walk_archive,
)


def estimate_members(tasks: FileTasks) -> None:
    """Estimate how many members each archive has, for the progress and the size of chunks."""
    for source in tasks.sources:
        if source.is_archive and not source.fault:
            tasks.member_counts[source.path] = estimate_member_count(source)


def expand_archives(tasks: Iterable[Task], files: FileTasks) -> Iterator[Task]:
    """Replace the task of each archive by those of its members, and one that closes it.

    Args:
        tasks: of files, in order.
        files: has what is known of members, and counts what is skipped.

    Yields:
        Tasks in order. Members that are known by their names are left out. Those whose content is
        known come with its digest, and are not read. An archive that cannot be read, or not from
        some member on, is closed by a task with that fault.
    """
    for task in tasks:
        if task.source.is_archive and not task.source.fault:
            yield from _expand_archive(task, files)
        else:
            yield task


def _expand_archive(task: Task, files: FileTasks) -> Iterator[Task]:
    known, fault, count = files.known_members, "", 0
    try:
        with MemberReader() as reader:
            for source in walk_archive(task.source, files.skipped):
                if known is not None and known.is_known(source.file):
                    continue
                count += 1
                entry = None if task.entry is None else task.entry._replace(file=source.file)
                content = None if known is None else _find_known_content(reader, source, known)
                yield Task(source, entry=entry, archive=task.source.file, content=content)
    except ArchiveError as error:
        fault = str(error)
    left = files.member_counts.get(task.source.path, count) - count
    yield Task(
        replace(task.source, fault=fault),
        entry=task.entry,
        closes=True,
        expected=left + bool(fault),
    )


def _find_known_content(reader: MemberReader, source: Source, known: KnownMembers) -> bytes | None:
    """Return the digest of a member whose content was read before; else None."""
    if source.fault:
        return None
    try:
        reader.load(source)
    except MemberError:
        return None
    content = reader.digests.pop(source.file)
    return content if known.has_content(content) else None
