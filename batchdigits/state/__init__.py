"""What was read, kept beside the table: nothing is read twice, and nothing is lost.

One SQLite file with a rollback journal, which works on network drives, and one writer, which the
lock on the output sees to. It knows for each file of the table its size, time and content, and
what was found in that content under a key: the model, the templates and all else that changes a
reading. Every row has a checksum: what a disk spoilt is found out, never believed.
"""

import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from batchdigits.errors import OutputError
from batchdigits.records import FileSnapshot
from batchdigits.state import base
from batchdigits.state.aside import find_free_name, set_aside
from batchdigits.state.checksums import compute_checksum
from batchdigits.state.entries import MOVED, FileRecord, TableRecord
from batchdigits.state.soundness import DamagedError

__all__ = [
    "MOVED",
    "FileRecord",
    "FileSnapshot",
    "StateStore",
    "TableRecord",
    "find_free_name",
    "open_store",
    "set_aside",
]

log = logging.getLogger(__name__)


class StateStore:
    """An open ledger; see `open_store`.

    Attributes:
        folder: the real one that its file lies in.
    """

    def __init__(self, path: str) -> None:
        """Open the file, or make it.

        Raises:
            DamagedError: it is no ledger, or not what was written.
            sqlite3.Error: it cannot be opened or written.
        """
        self.folder = os.path.dirname(os.path.realpath(path))
        self._base = base.open_database(path)
        self._base.execute(
            "CREATE TEMP TABLE here (file TEXT PRIMARY KEY, at INTEGER, size INTEGER, time INTEGER,"
            " sure INTEGER) WITHOUT ROWID"
        )
        self._base.execute("CREATE TEMP TABLE left_out (file TEXT PRIMARY KEY) WITHOUT ROWID")

    def close(self) -> None:
        """Let go of the file."""
        with suppress(sqlite3.Error):
            self._base.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep all that is put within the block, or none of it; the disk has it when it ends."""
        self._base.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with suppress(sqlite3.Error):
                self._base.execute("ROLLBACK")
            raise
        self._base.execute("COMMIT")

    def add_key(self, key: str, thresholds: str) -> int:
        """Give the number of a key; the first time, the thresholds that go with it are kept."""
        self._base.execute(
            "INSERT OR IGNORE INTO keys (key, thresholds, checksum) VALUES (?, ?, ?)",
            (key, thresholds, compute_checksum(key, thresholds)),
        )
        return int(self._base.execute("SELECT id FROM keys WHERE key = ?", (key,)).fetchone()[0])

    def has_readings(self) -> bool:
        """Tell whether anything at all was read before."""
        return self._base.execute("SELECT 1 FROM readings LIMIT 1").fetchone() is not None

    def set_run_files(self, entries: Iterable[FileSnapshot]) -> None:
        """Take the files of this run, as they stand now."""
        self._base.execute("DELETE FROM here")
        self._base.executemany(
            "INSERT INTO here VALUES (?, ?, ?, ?, ?)",
            ((one.file, at, one.size, one.time, one.sure) for at, one in enumerate(entries)),
        )

    def list_absent_files(self) -> Iterator[str]:
        """Yield the names of known files that are not among those of this run."""
        found = self._base.execute(
            "SELECT file FROM files WHERE file NOT IN (SELECT file FROM here)"
        )
        return (file for (file,) in found)

    def rename_file(self, file: str, name: str) -> None:
        """Give a known file another name, which no known file has."""
        found = self._base.execute(
            "SELECT size, time, sure, content, reading FROM files WHERE file = ?", (file,)
        )
        *entry, reading = found.fetchone()
        self._save_file(FileSnapshot(name, *entry), reading)
        self._base.execute("DELETE FROM files WHERE file = ?", (file,))

    def exclude_files(self, files: Iterable[str]) -> None:
        """Leave known files out of what `told`, `gone` and `prune` are about, in this run."""
        self._base.execute("DELETE FROM left_out")
        self._base.executemany("INSERT INTO left_out VALUES (?)", ((file,) for file in files))

    def count_excluded_rows(self) -> int:
        """Count the rows of the files that are left out."""
        found = self._base.execute(
            "SELECT sum(json_array_length(findings, '$.findings')) FROM left_out"
            " JOIN files USING (file) JOIN readings ON readings.id = files.reading"
        )
        return int(found.fetchone()[0] or 0)

    def has_file_records(self) -> bool:
        """Return whether `told` gives anything."""
        found = self._base.execute(
            "SELECT 1 FROM files WHERE file NOT IN (SELECT file FROM left_out) LIMIT 1"
        )
        return found.fetchone() is not None

    def find_files_to_read(self, key: int) -> list[int]:
        """Give the places, as handed to `look`, of files that are new, changed, or failed."""
        found = self._base.execute(
            "SELECT at FROM here LEFT JOIN files USING (file)"
            " LEFT JOIN readings ON readings.id = files.reading"
            " WHERE files.file IS NULL OR NOT files.sure OR files.sure != here.sure"
            " OR files.size != here.size OR files.time != here.time OR readings.key != ?"
            " OR readings.failed ORDER BY at",
            (key,),
        )
        return [at for (at,) in found]

    def reuse_reading(self, entry: FileSnapshot, key: int) -> bool:
        """Tell whether this content was read before, under any name; then it is this file's."""
        found = self._base.execute(
            "SELECT id FROM readings WHERE content = ? AND key = ? AND NOT failed",
            (entry.content, key),
        ).fetchone()
        if found:
            self._save_file(entry, found[0])
        return bool(found)

    def save_findings(self, entry: FileSnapshot, key: int, findings: str, *, failed: bool) -> None:
        """Keep what was found of a file, instead of what was found of it before.

        Args:
            entry: the file, as it stood when it was read.
            key: what it was read under.
            findings: what was found of it.
            failed: whether it is to be read again next time.
        """
        row = (entry.content, key, int(failed or entry.content is None), findings)
        cursor = self._base.execute(
            "INSERT INTO readings (content, key, failed, findings, checksum) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            (*row, compute_checksum(*row)),
        )
        number = cursor.lastrowid
        if not cursor.rowcount:  # the same content was read before, under any name
            number, before = self._base.execute(
                "SELECT id, findings FROM readings WHERE content = ? AND key = ? AND NOT failed",
                row[:2],
            ).fetchone()
            if before != findings:
                self._base.execute(
                    "UPDATE readings SET findings = ?, checksum = ? WHERE id = ?",
                    (findings, compute_checksum(*row), number),
                )
        self._save_file(entry, int(number or 0))

    def save_page_findings(self, entry: FileSnapshot, key: int, page: int, findings: str) -> None:
        """Keep what was found of a page until all of its file is read."""
        row = (entry.file, page, entry.size, entry.time, key, findings)
        self._base.execute(
            "INSERT OR REPLACE INTO pages VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*row, compute_checksum(*row)),
        )

    def load_page_findings(self, key: int) -> dict[str, dict[int, str]]:
        """Give what was found of single pages of this run's files, if they stand as they did."""
        found = self._base.execute(
            "SELECT file, page, findings FROM pages JOIN here USING (file)"
            " WHERE pages.size = here.size AND pages.time = here.time AND key = ?",
            (key,),
        )
        out: dict[str, dict[int, str]] = {}
        for file, page, findings in found:
            out.setdefault(file, {})[page] = findings
        return out

    def _save_file(self, entry: FileSnapshot, reading: int) -> None:
        row = (entry.file, entry.size, entry.time, int(entry.sure), entry.content, reading)
        self._base.execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*row, compute_checksum(*row)),
        )

    def list_file_records(self) -> Iterator[FileRecord]:
        """Give what is known of every file, in the order of the UTF-8 bytes of its name."""
        found = self._base.execute(
            "SELECT files.file, thresholds, findings, here.file IS NOT NULL FROM files"
            " JOIN readings ON readings.id = files.reading JOIN keys ON keys.id = readings.key"
            " LEFT JOIN here ON here.file = files.file"
            " WHERE files.file NOT IN (SELECT file FROM left_out) ORDER BY files.file"
        )
        for file, thresholds, findings, here in found:
            yield FileRecord(file, thresholds, findings, bool(here))

    def list_read_files(
        self, key: int, after: str, count: int
    ) -> list[tuple[int, FileSnapshot, str]]:
        """Give files of this run that were read under a key: so many, that come after a name.

        Returns:
            Of each its place, as handed to `look`, how it stood when it was read, and what was
            found of it, where it is to be read again; else nothing.
        """
        found = self._base.execute(
            "SELECT at, files.file, files.size, files.time, files.sure, files.content,"
            " CASE WHEN failed THEN findings ELSE '' END"
            " FROM here JOIN files USING (file) JOIN readings ON readings.id = files.reading"
            " WHERE here.file > ? AND readings.key = ? ORDER BY here.file LIMIT ?",
            (after, key, count),
        )
        return [(at, FileSnapshot(*entry), findings) for at, *entry, findings in found]

    def update_entries(self, entries: Iterable[FileSnapshot]) -> None:
        """Note how files that are known stand, of which nothing else is told now.

        Of size and time `MOVED` are those that are moved away: what comes under their names is
        looked into, be it ever so like.
        """
        for entry in entries:
            found = self._base.execute("SELECT reading FROM files WHERE file = ?", (entry.file,))
            self._save_file(entry, found.fetchone()[0])

    def has_moved_files(self) -> bool:
        """Tell whether any file was read and moved away."""
        found = self._base.execute("SELECT 1 FROM files WHERE size = ? LIMIT 1", (MOVED,))
        return found.fetchone() is not None

    def has_moved_predecessor(self, entry: FileSnapshot) -> bool:
        """Tell whether another file was read under this name, well, and moved away."""
        found = self._base.execute(
            "SELECT 1 FROM files JOIN readings ON readings.id = files.reading"
            " WHERE file = ? AND size = ? AND files.content != ? AND NOT failed",
            (entry.file, MOVED, entry.content),
        )
        return bool(found.fetchone())

    def has_file(self, file: str) -> bool:
        """Tell whether anything is known of a file."""
        return bool(self._base.execute("SELECT 1 FROM files WHERE file = ?", (file,)).fetchone())

    def list_gone_files(self) -> list[tuple[str, bool]]:
        """List the files of the table that are not among those of this run, nor moved by one.

        Returns:
            Of each its name, and whether it has an error row.
        """
        found = self._base.execute(
            "SELECT file, failed FROM files JOIN readings ON readings.id = files.reading"
            " WHERE size != ? AND file NOT IN (SELECT file FROM here)"
            " AND file NOT IN (SELECT file FROM left_out)",
            (MOVED,),
        )
        return [(file, bool(failed)) for file, failed in found]

    def prune_files(self, files: Iterable[str], *, moved: bool) -> int:
        """Forget files, and those that were moved if `moved` says so; gives their number."""
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
        """Forget what was found in content that no file has any more, and of single pages."""
        self._base.execute("DELETE FROM pages")
        self._base.execute("DELETE FROM readings WHERE id NOT IN (SELECT reading FROM files)")

    def load_table_record(self, name: str) -> TableRecord | None:
        """Give how a table was left; None where none was written."""
        found = self._base.execute(
            "SELECT size, time, content, settings, summary FROM written WHERE name = ?", (name,)
        ).fetchone()
        return TableRecord(*found) if found else None

    def mark_tables_stale(self) -> None:
        """Note that the tables are not made of what is known now."""
        found = self._base.execute("SELECT name, size, time, content FROM written").fetchall()
        for name, size, when, content in found:
            self.save_table_record(name, TableRecord(size, when, content, "", ""))

    def save_table_record(self, name: str, table: TableRecord) -> None:
        """Note how a table was left."""
        self._base.execute(
            "INSERT OR REPLACE INTO written VALUES (?, ?, ?, ?, ?, ?, ?)",
            (name, *table, compute_checksum(name, *table)),
        )


@contextmanager
def open_store(path: str) -> Iterator[StateStore]:
    """Open a ledger for a run; one that is damaged is set aside, and a new one begun.

    Raises:
        OutputError: it cannot be opened or written, or a newer batchdigits wrote it.
    """
    try:
        ledger = _open_or_replace(path)
    except (sqlite3.Error, DamagedError, OSError) as fault:
        raise _make_output_error(path, fault) from fault
    try:
        yield ledger
    except sqlite3.Error as fault:
        raise _make_output_error(path, fault) from fault
    finally:
        ledger.close()


def _open_or_replace(path: str) -> StateStore:
    try:
        return StateStore(path)
    except DamagedError as fault:
        log.error(  # noqa: TRY400 (no traceback: the line says it all)
            "the state '%s' is damaged (%s): it is kept as '%s', and all is read anew",
            *(path, fault, set_aside(path)),
        )
    with suppress(FileNotFoundError):  # it would be played back into the new one
        os.unlink(f"{path}-journal")
    return StateStore(path)


def _make_output_error(path: str, fault: Exception) -> OutputError:
    return OutputError(
        f"the state '{path}' cannot be used: {fault} (the table is unchanged): make room, or give "
        "another place by --state"
    )
