"""Archives in a run with a state: which are read again, and what is noted of their members."""

from collections.abc import Sequence

from batchdigits.extract.tasks import Task
from batchdigits.records import FileSnapshot, Source
from batchdigits.sources import inspection
from batchdigits.state.store import StateStore
from batchdigits.summary import Summary


class ArchiveKeeper:
    """The archives of a run: what is known of them, and what becomes of their members.

    An archive that is as it was left is not opened. In one that has changed, only members of new
    content are read; in one of which some members failed, only those.
    """

    def __init__(self, store: StateStore, key: int, summary: Summary) -> None:
        """Take the open state and the number of the run's key; the summary gets counts of files."""
        self._store, self._key, self._summary = store, key, summary
        self._archives: dict[str, Source] = {}
        self._troubled: set[str] = set()

    def set_run_files(self, sources: Sequence[Source], entries: Sequence[FileSnapshot]) -> None:
        """Take the files of this run, and all known members of the archives among them."""
        self._archives = {one.file: one for one in sources if one.is_archive}
        self._store.set_run_files(entries)
        for archive in self._archives:
            self._store.add_members(archive)

    def drop_unchanged(
        self,
        sources: Sequence[Source],
        entries: Sequence[FileSnapshot],
        wanted: Sequence[int],
        ready: Sequence[int],
        *,
        fresh: bool,
    ) -> list[int]:
        """Leave out archives of which size or time have changed, but nothing else.

        The summary gets the members that need not be read, in the place of their archives.

        Args:
            sources: the files of this run.
            entries: how they are.
            wanted: indexes of those that have changed.
            ready: those of them that can be read now.
            fresh: whether all is read again.

        Returns:
            The indexes of the files to read.
        """
        if not self._archives:
            return list(ready)
        kept = [
            index
            for index in ready
            if fresh or not sources[index].is_archive or not self._is_same(sources[index])
        ]
        for index in kept:
            if sources[index].is_archive and not sources[index].fault:
                self._store.drop_uncertain_members(entries[index], self._key, fresh=fresh)
        closed = {index for index, one in enumerate(sources) if one.is_archive}
        closed -= {*wanted}.difference(ready).union(kept)
        for index in closed:
            self._store.drop_vanished_members(sources[index].file)
        self._summary.files += self._store.count_members() - len(closed)
        return kept

    def _is_same(self, source: Source) -> bool:
        """Return whether an archive has the content that was read; if so, note how it is now."""
        content = self._store.load_content(source.file, self._key)
        if content is None or source.fault:
            return False
        now = inspection.hash_source(source)
        if now.content != content:
            return False
        with self._store.transaction():
            self._store.update_members(now)
            self._store.update_entries([now])
        return True

    # as `extract.tasks.KnownMembers`

    def is_known(self, file: str) -> bool:
        """Return whether a member need not be looked at."""
        return self._store.is_here(file)

    def has_content(self, content: bytes) -> bool:
        """Return whether content was read before."""
        return self._store.has_content(content, self._key)

    # what is read is noted

    def note_kept(self, task: Task, entry: FileSnapshot, *, failed: bool) -> None:
        """Note that findings of a member were kept."""
        if task.archive:
            self._store.add_new_members([entry])
            if failed:
                self._troubled.add(task.archive)

    def note_plain(
        self, tasks: Sequence[Task], indexes: Sequence[int], entries: Sequence[FileSnapshot]
    ) -> None:
        """Note that findings of plain crops were kept, of the tasks at these indexes."""
        found = zip(indexes, entries, strict=True)
        self._store.add_new_members([entry for index, entry in found if tasks[index].archive])

    def note_lost(self, task: Task) -> None:
        """Note that a file changed while it was read; a member is there all the same."""
        if task.archive:
            self._store.add_new_members([FileSnapshot(task.source.file, -1, -1)])
            self._troubled.add(task.archive)

    def is_troubled(self, task: Task) -> bool:
        """Return whether a task closes an archive of which some member is to be read again."""
        return task.closes and task.source.file in self._troubled

    def update_members(self, entries: Sequence[FileSnapshot]) -> None:
        """Note for the members of archives how these are now, or that they were moved."""
        for entry in entries:
            if entry.file in self._archives:
                self._store.update_members(entry)
