"""The state's file: every query and every change is a method here, or of a class under this one."""

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from batchdigits.records import FileSnapshot
from batchdigits.state import base
from batchdigits.state.checksums import compute_checksum
from batchdigits.state.entries import MOVED, FileRecord
from batchdigits.state.member_records import HAS_FINDINGS
from batchdigits.state.reading_records import ReadingRecords
from batchdigits.state.shards import ShardRecorder


class StateStore(ReadingRecords):
    """An open state; see `open_store`.

    Attributes:
        folder: the real path of the folder that its file is in.
    """

    def __init__(self, path: str) -> None:
        """Open the file, or make it.

        Raises:
            DamagedError: it is no state, or not what was written.
            sqlite3.Error: it cannot be opened or written.
        """
        self.folder = os.path.dirname(os.path.realpath(path))
        super().__init__(base.open_database(path))
        self.turn = threading.RLock()
        self._recorder: ShardRecorder | None = None
        self._base.execute(
            "CREATE TEMP TABLE here (file TEXT PRIMARY KEY, at INTEGER, size INTEGER, time INTEGER,"
            " sure INTEGER) WITHOUT ROWID"
        )
        self._base.execute("CREATE TEMP TABLE left_out (file TEXT PRIMARY KEY) WITHOUT ROWID")

    def record_shards(self, folder: str, *, whole: bool) -> None:
        """Write what is kept from now on as shards too.

        Args:
            folder: for the shards.
            whole: whether a copy of what is known comes first.
        """
        self._recorder = ShardRecorder(self._base, folder)
        if whole:
            self._recorder.write_whole()

    def write_shard(self, *, last: bool = False) -> None:
        """Write a shard of what was kept, if shards are wanted and it is time for one."""
        if self._recorder is not None:
            with self.turn:
                self._recorder.write_shard(last=last)

    def close(self) -> None:
        """Close the file."""
        with suppress(sqlite3.Error, OSError):
            self.write_shard(last=True)
        with suppress(sqlite3.Error):
            self._base.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep all changes of the block or none; they are on disk when it ends."""
        with self.turn:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._stale = False
                with suppress(sqlite3.Error):
                    self._base.execute("ROLLBACK")
                raise
            self._base.execute("COMMIT")

    def add_key(self, key: str, thresholds: str) -> int:
        """Return the number of a key; a new key is kept with the thresholds that go with it."""
        self._base.execute(
            "INSERT OR IGNORE INTO keys (key, thresholds, checksum) VALUES (?, ?, ?)",
            (key, thresholds, compute_checksum(key, thresholds)),
        )
        return int(self._base.execute("SELECT id FROM keys WHERE key = ?", (key,)).fetchone()[0])

    def set_run_files(self, entries: Iterable[FileSnapshot]) -> None:
        """Take the files of this run, as they are now; other methods give their index here."""
        self._base.execute("SAVEPOINT run_files")  # else each row would be a transaction
        self._base.execute("DELETE FROM here")
        self._base.executemany(
            "INSERT INTO here VALUES (?, ?, ?, ?, ?)",
            ((one.file, index, one.size, one.time, one.sure) for index, one in enumerate(entries)),
        )
        self._base.execute("RELEASE run_files")

    def list_absent_files(self) -> Iterator[str]:
        """Yield the names of known files that are not among those of this run."""
        query = "SELECT file FROM files WHERE file NOT IN (SELECT file FROM here)"
        return (file for (file,) in self._base.execute(query))

    def rename_file(self, file: str, name: str) -> None:
        """Rename a known file to a name that no known file has."""
        cursor = self._base.execute(
            "SELECT size, time, sure, content, reading FROM files WHERE file = ?", (file,)
        )
        *entry, reading = cursor.fetchone()
        self._save_file(FileSnapshot(name, *entry), reading)
        self._base.execute("DELETE FROM files WHERE file = ?", (file,))

    def exclude_files(self, files: Iterable[str]) -> None:
        """Hide known files from the records, gone files and pruning of this run; they are kept."""
        self._base.execute("DELETE FROM left_out")
        self._base.executemany("INSERT INTO left_out VALUES (?)", ((file,) for file in files))

    def has_file_records(self) -> bool:
        """Return whether `list_file_records` yields anything."""
        query = "SELECT 1 FROM files WHERE file NOT IN (SELECT file FROM left_out) LIMIT 1"
        return self._base.execute(query).fetchone() is not None

    def find_files_to_read(self, key: int) -> list[int]:
        """Return the indexes of this run's files that are new, changed, or failed before."""
        rows = self._base.execute(
            "SELECT at FROM here LEFT JOIN files USING (file)"
            " LEFT JOIN readings ON readings.id = files.reading"
            " WHERE at >= 0 AND (files.file IS NULL OR NOT files.sure OR files.sure != here.sure"
            " OR files.size != here.size OR files.time != here.time OR readings.key != ?"
            " OR readings.failed) ORDER BY at",
            (key,),
        )
        return [index for (index,) in rows]

    def reuse_reading(self, entry: FileSnapshot, key: int) -> bool:
        """Return whether a file's content was read before; if so, the file gets its findings."""
        query = f"SELECT id FROM readings WHERE content = ? AND key = ? AND {HAS_FINDINGS}"
        row = self._base.execute(query, (entry.content, key)).fetchone()
        if row:
            self._save_file(entry, row[0])
        return bool(row)

    def save_page_findings(self, entry: FileSnapshot, key: int, page: int, findings: str) -> None:
        """Keep the findings of a page until all of its file is read."""
        row = (entry.file, page, entry.size, entry.time, key, findings)
        self._base.execute(
            "INSERT OR REPLACE INTO pages VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*row, compute_checksum(*row)),
        )

    def load_findings_by_page(self, key: int) -> dict[str, dict[int, str]]:
        """Return the findings of pages of unchanged files, by file and by page from 1."""
        rows = self._base.execute(
            "SELECT file, page, findings FROM pages JOIN here USING (file)"
            " WHERE pages.size = here.size AND pages.time = here.time AND key = ?",
            (key,),
        )
        by_file: dict[str, dict[int, str]] = {}
        for file, page, findings in rows:
            by_file.setdefault(file, {})[page] = findings
        return by_file

    def list_file_records(self) -> Iterator[FileRecord]:
        """Iterate over a record of every file, in the order of the UTF-8 bytes of its name."""
        rows = self._base.execute(
            "SELECT files.file, thresholds, findings, here.file IS NOT NULL, files.reading,"
            " files.content FROM files JOIN readings ON readings.id = files.reading"
            " JOIN keys ON keys.id = readings.key"
            " LEFT JOIN here ON here.file = files.file"
            " WHERE files.file NOT IN (SELECT file FROM left_out) ORDER BY files.file"
        )
        return map(FileRecord._make, rows)

    def list_read_files(
        self, key: int, after: str, count: int
    ) -> list[tuple[int, FileSnapshot, str]]:
        """List files of this run that were read under a key, in the order of their names.

        Args:
            key: number of the key.
            after: the name that they come after.
            count: how many to list at most.

        Returns:
            Of each its index among this run's files, how it was when it was read, and its
            findings if it is to be read again, else an empty text.
        """
        rows = self._base.execute(
            "SELECT at, files.file, files.size, files.time, files.sure, files.content,"
            " CASE WHEN failed THEN findings ELSE '' END"
            " FROM here JOIN files USING (file) JOIN readings ON readings.id = files.reading"
            " WHERE here.at >= 0 AND here.file > ? AND readings.key = ? ORDER BY here.file LIMIT ?",
            (after, key, count),
        )
        return [(index, FileSnapshot(*entry), findings) for index, *entry, findings in rows]

    def update_entries(self, entries: Iterable[FileSnapshot]) -> None:
        """Update how known files are; their findings stay.

        Size and time are `MOVED` for a file that was moved away. A new file of its name is then
        read, even if it has the same size and time.
        """
        for entry in entries:
            cursor = self._base.execute("SELECT reading FROM files WHERE file = ?", (entry.file,))
            self._save_file(entry, cursor.fetchone()[0])

    def has_moved_files(self) -> bool:
        """Return whether any file was read and moved away."""
        query = "SELECT 1 FROM files WHERE size = ? LIMIT 1"
        return self._base.execute(query, (MOVED,)).fetchone() is not None

    def has_moved_predecessor(self, entry: FileSnapshot) -> bool:
        """Return whether another file of this name was read without error and moved away."""
        cursor = self._base.execute(
            "SELECT 1 FROM files JOIN readings ON readings.id = files.reading"
            " WHERE file = ? AND size = ? AND files.content != ? AND NOT failed",
            (entry.file, MOVED, entry.content),
        )
        return bool(cursor.fetchone())

    def has_file(self, file: str) -> bool:
        """Return whether a file is known."""
        return bool(self._base.execute("SELECT 1 FROM files WHERE file = ?", (file,)).fetchone())

    def list_gone_files(self) -> list[tuple[str, bool]]:
        """List the files of the table that are not among those of this run and were not moved.

        Returns:
            Of each its name, and whether it has an error row.
        """
        rows = self._base.execute(
            "SELECT file, failed FROM files JOIN readings ON readings.id = files.reading"
            " WHERE size != ? AND file NOT IN (SELECT file FROM here)"
            " AND file NOT IN (SELECT file FROM left_out)",
            (MOVED,),
        )
        return [(file, bool(failed)) for file, failed in rows]

    def prune_files(self, files: Iterable[str], *, moved: bool) -> int:
        """Delete files, with `moved` also those that were moved away; return their number."""
        gone = [(file,) for file in files]
        if moved:
            gone += self._base.execute(
                "SELECT file FROM files WHERE size = ? AND file NOT IN (SELECT file FROM here)"
                " AND file NOT IN (SELECT file FROM left_out)",
                (MOVED,),
            ).fetchall()
        self._base.executemany("DELETE FROM files WHERE file = ?", gone)
        return len(gone)

    def drop_unused_findings(self) -> None:
        """Delete the findings of content that no file has any more, and those of single pages."""
        self._base.execute("DELETE FROM pages WHERE true")  # the file stays as it is if none are
        self._base.execute("DELETE FROM readings WHERE id NOT IN (SELECT reading FROM files)")
        self.lower_mark()
