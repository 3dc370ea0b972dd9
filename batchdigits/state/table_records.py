"""How tables were left, and which readings the last ones show."""

import json
import sqlite3
from typing import NamedTuple

from batchdigits.state.checksums import compute_checksum
from batchdigits.state.entries import TableRecord

MARK_NAME = ""
"""The name under which the mark is kept among the tables; no table has it."""


class ReadingMark(NamedTuple):
    """What the last tables show; readings beyond it are new.

    Attributes:
        number: the highest number of a reading then; later readings have higher ones.
        threshold: what their values were judged by; None for the thresholds of the model.
        said: how many corrections were applied to them; later ones are new.
    """

    number: int
    threshold: float | None
    said: int = 0


class TableRecords:
    """The part of a state that tells of tables; see `StateStore`."""

    def __init__(self, base: sqlite3.Connection) -> None:
        """Take the open file."""
        self._base = base
        self._stale = False

    def load_table_record(self, name: str) -> TableRecord | None:
        """Return how a table was left; None if none was written."""
        row = self._base.execute(
            "SELECT size, time, content, settings, summary FROM written WHERE name = ?", (name,)
        ).fetchone()
        return TableRecord(*row) if row else None

    def load_table_records(self) -> dict[str, TableRecord]:
        """Return how each table was left, by its name."""
        rows = self._base.execute(
            "SELECT name, size, time, content, settings, summary FROM written WHERE name != ?",
            (MARK_NAME,),
        )
        return {name: TableRecord(*row) for name, *row in rows}

    def mark_tables_stale(self) -> None:
        """Note that the tables no longer show what is known."""
        if self._stale:  # noted before: this is called for every file
            return
        rows = self._base.execute("SELECT name, size, time, content FROM written").fetchall()
        for name, size, time, content in rows:
            self.save_table_record(name, TableRecord(size, time, content, "", ""))
        self._stale = True

    def save_table_record(self, name: str, table: TableRecord) -> None:
        """Note how a table was left."""
        self._stale = False
        self._base.execute(
            "INSERT OR REPLACE INTO written VALUES (?, ?, ?, ?, ?, ?, ?)",
            (name, *table, compute_checksum(name, *table)),
        )

    def load_mark(self) -> ReadingMark | None:
        """Return what the last tables show; None if that was never noted."""
        row = self.load_table_record(MARK_NAME)
        return None if row is None else ReadingMark(row.size, json.loads(row.content), row.time)

    def save_mark(self, mark: ReadingMark) -> None:
        """Note what the tables show now; nothing is written if that is known."""
        if mark == self.load_mark():
            return
        content = json.dumps(mark.threshold).encode()
        stale = self._stale
        self.save_table_record(MARK_NAME, TableRecord(mark.number, mark.said, content, "", ""))
        self._stale = stale

    def lower_mark(self) -> None:
        """Keep the mark under numbers that SQLite may give again, after readings were deleted."""
        mark, highest = self.load_mark(), self.find_highest_reading()
        if mark is not None and mark.number > highest:
            self.save_mark(mark._replace(number=highest))

    def find_highest_reading(self) -> int:
        """Return the highest number of a reading; 0 if there is none."""
        return int(self._base.execute("SELECT coalesce(max(id), 0) FROM readings").fetchone()[0])

    def has_readings(self) -> bool:
        """Return whether anything was read before."""
        return self._base.execute("SELECT 1 FROM readings LIMIT 1").fetchone() is not None

    def count_excluded_rows(self) -> int:
        """Count the rows of the files that `exclude_files` hides."""
        cursor = self._base.execute(
            "SELECT sum(json_array_length(findings, '$.findings')) FROM left_out"
            " JOIN files USING (file) JOIN readings ON readings.id = files.reading"
        )
        return int(cursor.fetchone()[0] or 0)

    def has_hidden_readings(self, number: int) -> bool:
        """Return whether a file that is left out of the tables has a reading beyond a number."""
        query = "SELECT 1 FROM left_out JOIN files USING (file) WHERE reading > ? LIMIT 1"
        return self._base.execute(query, (number,)).fetchone() is not None

    def has_table_records(self) -> bool:
        """Return whether a table was written before."""
        query = "SELECT 1 FROM written WHERE name != ? LIMIT 1"
        return self._base.execute(query, (MARK_NAME,)).fetchone() is not None
