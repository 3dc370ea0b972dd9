"""Shards of a state: what is kept while a run reads, as files that together make up the state.

SQLite cannot work on an object in a store. So a run whose table is there works on a copy of the
state, and writes what it keeps as shards into a folder beside the copy (`make_shard_folder`), from
which they are put into the store. Such a file is a small database with the rows that were changed
since the shard before, and the keys of those that were deleted. A whole copy of the state comes
first if there is none in the store, or not of this version.
"""

import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

from batchdigits.paths import KNOWN_NAME, SHARD_ENDING, WHOLE_ENDING
from batchdigits.state import migrations

SHARD_SECONDS = 5.0
"""s between two shards, at least."""


class ShardRecorder:
    """Notes which rows of an open state change, and writes them as shards.

    The notes are in temporary tables of the connection; the state's file has none of them. Its
    methods are called between transactions, by the thread that has the turn.
    """

    def __init__(self, base: sqlite3.Connection, folder: str) -> None:
        """Take the open state, and the folder for the shards."""
        self._base, self._folder = base, folder
        self._number, self._written = 0, time.monotonic()
        self._keys = _list_keys(base)
        for table, keys in self._keys.items():
            names = ", ".join(keys)
            base.execute(f"CREATE TEMP TABLE changed_{table} ({names}, PRIMARY KEY ({names}))")
            for event, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
                values = ", ".join(f"{row}.{key}" for key in keys)
                base.execute(
                    f"CREATE TEMP TRIGGER note_{event}_{table} AFTER {event} ON main.{table} BEGIN"
                    f" INSERT OR IGNORE INTO changed_{table} VALUES ({values}); END"
                )

    def write_whole(self) -> None:
        """Write the whole state, on which the shards that follow are based."""
        hidden = os.path.join(self._folder, ".whole")
        with closing(sqlite3.connect(hidden)) as copy:
            self._base.backup(copy)
        self._hand_over(hidden, WHOLE_ENDING)

    def write_shard(self, *, last: bool = False) -> None:
        """Write what has changed since the last shard, unless that was just written.

        Args:
            last: whether no other comes.
        """
        if not last and time.monotonic() - self._written < SHARD_SECONDS:
            return
        tables = [
            table
            for table in self._keys
            if self._base.execute(f"SELECT 1 FROM changed_{table} LIMIT 1").fetchone()
        ]
        if not tables:
            return
        hidden = os.path.join(self._folder, ".shard")
        with suppress(FileNotFoundError):  # one that could not be completed
            os.unlink(hidden)
        (version,) = self._base.execute("PRAGMA user_version").fetchone()
        self._base.execute("ATTACH ? AS shard", (hidden,))
        try:
            for setting in ("journal_mode = OFF", "synchronous = OFF", f"user_version = {version}"):
                self._base.execute(f"PRAGMA shard.{setting}")
            self._base.execute("BEGIN")
            for table in tables:
                self._move_changes(table, ", ".join(self._keys[table]))
            self._base.execute("COMMIT")
        finally:
            with suppress(sqlite3.Error):
                if self._base.in_transaction:
                    self._base.execute("ROLLBACK")
                self._base.execute("DETACH shard")
        self._hand_over(hidden, SHARD_ENDING)

    def _move_changes(self, table: str, keys: str) -> None:
        is_in = f"({keys}) IN (SELECT {keys} FROM"
        self._base.execute(
            f"CREATE TABLE shard.{table} AS"
            f" SELECT * FROM main.{table} WHERE {is_in} changed_{table})"
        )
        self._base.execute(
            f"CREATE TABLE shard.gone_{table} AS"
            f" SELECT {keys} FROM changed_{table} WHERE NOT {is_in} main.{table})"
        )
        self._base.execute(f"DELETE FROM changed_{table}")

    def _hand_over(self, hidden: str, ending: str) -> None:
        self._number += 1
        os.replace(hidden, os.path.join(self._folder, f"{self._number:09}{ending}"))
        self._written = time.monotonic()


def apply_shards(path: str, folder: str) -> str:
    """Apply the shards that were fetched to the state that they are based on, and remove them.

    Args:
        path: of the state, which no one has open.
        folder: for its shards, as `make_shard_folder` names it.

    Returns:
        Why not all of them could be applied, after which those that follow are left out; empty
        if they were.
    """
    fault = ""
    known = os.path.join(folder, KNOWN_NAME)
    for name in sorted(os.listdir(known)):
        shard = os.path.join(known, name)
        if not fault:
            try:
                _apply_shard(path, shard)
            except sqlite3.Error as error:
                fault = " ".join(str(error).split())
        os.unlink(shard)
    return fault


def _apply_shard(path: str, shard: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as base:
        base.execute("PRAGMA trusted_schema = OFF")
        base.execute("ATTACH ? AS shard", (shard,))
        versions = [
            base.execute(f"PRAGMA {one}.user_version").fetchone()[0] for one in ("main", "shard")
        ]
        if versions[0] != versions[1]:
            raise sqlite3.DatabaseError(f"it is of version {versions[1]}, not {versions[0]}")
        base.execute("BEGIN IMMEDIATE")
        held = {name for (name,) in base.execute("SELECT name FROM shard.sqlite_schema")}
        keys_by_table = {table: keys for table, keys in _list_keys(base).items() if table in held}
        for table, keys in keys_by_table.items():  # before new rows that would be in their place
            names = ", ".join(keys)
            base.execute(
                f"DELETE FROM main.{table} WHERE ({names}) IN"
                f" (SELECT {names} FROM shard.gone_{table})"
            )
        for table in keys_by_table:
            base.execute(f"INSERT OR REPLACE INTO main.{table} SELECT * FROM shard.{table}")
        base.execute("COMMIT")


def _list_keys(base: sqlite3.Connection) -> dict[str, list[str]]:
    """Return the names of the columns that identify a row, for each table of a state."""
    tables = base.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table'").fetchall()
    query = "SELECT name FROM pragma_table_info(?, 'main') WHERE pk ORDER BY pk"
    return {table: [key for (key,) in base.execute(query, (table,))] for (table,) in tables}


def is_of_this_version(path: str) -> bool:
    """Return whether a state's file has the tables of this version, as its header says."""
    with suppress(FileNotFoundError), Path(path).open("rb") as file:
        return int.from_bytes(file.read(64)[60:]) == len(migrations.STEPS)
    return False
