"""Members of archives among the files of a state.

An archive is a file of its own, without rows unless it cannot be read; its members are files below
its name, each with the size and time of the archive. Members that this run knows to be there are
among its files with the index `MEMBER`.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager

from batchdigits.records import FileSnapshot
from batchdigits.state.checksums import compute_checksum
from batchdigits.state.table_records import TableRecords

MEMBER = -1
"""The index, among this run's files, of a member of an archive."""
_BELOW = "file > ? || '/' AND file < ? || '0'"  # 0 is the character after /

HAS_FINDINGS = "NOT failed AND substr(findings, -14) != '\"findings\":[]}'"
"""Of readings that a file may take over: that of an archive has no findings, and is none."""


class MemberRecords(TableRecords):
    """The part of a state that tells of members; see `StateStore`.

    Attributes:
        turn: held by the thread that uses the state while files are read.
    """

    turn: AbstractContextManager[object]

    def add_members(self, archive: str) -> None:
        """Take all known members of an archive as files of this run."""
        self._base.execute(
            f"INSERT OR IGNORE INTO here SELECT file, {MEMBER}, size, time, sure FROM files"
            f" WHERE {_BELOW}",
            (archive, archive),
        )

    def drop_uncertain_members(self, entry: FileSnapshot, key: int, *, fresh: bool) -> None:
        """Take only those members of an archive as files of this run that need not be read.

        Args:
            entry: the archive as it is now.
            key: number of the key that they must have been read under.
            fresh: whether all are read again.
        """
        certain = (
            "SELECT files.file FROM files JOIN readings ON readings.id = files.reading"
            f" WHERE {_BELOW} AND size = ? AND time = ? AND sure = ? AND sure AND key = ?"
            " AND NOT failed AND ?"
        )
        below = entry.file, entry.file
        self._base.execute(
            f"DELETE FROM here WHERE at = {MEMBER} AND {_BELOW} AND file NOT IN ({certain})",
            (*below, *below, entry.size, entry.time, entry.sure, key, not fresh),
        )

    def add_new_members(self, entries: Sequence[FileSnapshot]) -> None:
        """Take members that were read as files of this run."""
        self._base.executemany(
            "INSERT OR IGNORE INTO here VALUES (?, ?, ?, ?, ?)",
            [(entry.file, MEMBER, entry.size, entry.time, entry.sure) for entry in entries],
        )

    def count_members(self) -> int:
        """Count the members among the files of this run."""
        query = f"SELECT count(*) FROM here WHERE at = {MEMBER}"
        return int(self._base.execute(query).fetchone()[0])

    def is_here(self, file: str) -> bool:
        """Return whether a file is among those of this run; any thread may ask."""
        with self.turn:
            query = "SELECT 1 FROM here WHERE file = ?"
            return self._base.execute(query, (file,)).fetchone() is not None

    def has_content(self, content: bytes, key: int) -> bool:
        """Return whether content was read before, without an error; any thread may ask."""
        with self.turn:
            query = f"SELECT 1 FROM readings WHERE content = ? AND key = ? AND {HAS_FINDINGS}"
            return self._base.execute(query, (content, key)).fetchone() is not None

    def load_content(self, file: str, key: int) -> bytes | None:
        """Return the digest of a file that was read under a key, without an error; else None."""
        row = self._base.execute(
            "SELECT files.content FROM files JOIN readings ON readings.id = files.reading"
            " WHERE file = ? AND key = ? AND NOT failed",
            (file, key),
        ).fetchone()
        return None if row is None else row[0]

    def drop_vanished_members(self, archive: str) -> None:
        """Drop, from the files of this run, members that an unchanged archive does not hold.

        Those that were in it when it was read last have its size and time.
        """
        self._base.execute(
            f"DELETE FROM here WHERE at = {MEMBER} AND {_BELOW}"
            " AND (size, time) != (SELECT size, time FROM files WHERE file = ?)",
            (archive, archive, archive),
        )

    def update_members(self, entry: FileSnapshot) -> None:
        """Give the members of an archive its new size and time, before the archive itself."""
        query = (
            f"SELECT * FROM files WHERE {_BELOW}"
            " AND (size, time) = (SELECT size, time FROM files WHERE file = ?)"
        )
        for row in self._base.execute(query, (entry.file,) * 3).fetchall():
            file, _, _, _, content, reading, _ = row
            moved = (file, entry.size, entry.time, int(entry.sure), content, reading)
            self._base.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*moved, compute_checksum(*moved)),
            )
