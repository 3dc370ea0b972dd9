"""Checks that a state is what was written, by the rules of its own version."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing

from batchdigits.state.checksums import compute_checksum, compute_old_checksum
from batchdigits.state.migrations import make_empty_state

NAMED_CHECKSUM_VERSION = 4
"""The first version whose column is named `checksum`; before it was `sum`, computed otherwise."""

SchemaRow = tuple[object, ...]


class DamagedError(Exception):
    """The state is not what was written."""


def check_state(base: sqlite3.Connection, version: int) -> None:
    """Check that every row is what was written; SQLite itself checks only its pages.

    Args:
        base: the state, within a transaction.
        version: of the state; its tables are compared with those of that version.

    Raises:
        DamagedError: it is not what was written.
        sqlite3.DatabaseError: it cannot even be read.
    """
    (sound,) = base.execute("PRAGMA integrity_check(1)").fetchone()  # quick_check skips indexes
    if sound != "ok":
        raise DamagedError(str(sound))
    with closing(make_empty_state(version)) as empty:
        names, tables, indexes = _list_structure(empty)
    if _list_structure(base) != (names, tables, indexes):
        raise DamagedError("its tables are not those that were made")
    for table, columns in tables.items():
        _check_rows(base, table, [str(name) for name, *_ in columns], version)
    if tables:
        _check_references(base)


def _list_structure(
    base: sqlite3.Connection,
) -> tuple[list[SchemaRow], dict[str, list[SchemaRow]], list[object]]:
    """List all objects, the columns of each table, and the indexes, however the SQL is spelled."""
    names = base.execute("SELECT type, name, tbl_name FROM sqlite_schema ORDER BY 1, 2").fetchall()
    query = 'SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?)'
    tables = {
        name: base.execute(query, (name,)).fetchall() for kind, name, _ in names if kind == "table"
    }
    query = 'SELECT name, "unique", origin, partial FROM pragma_index_list(?) ORDER BY name'
    listed = [one for table in tables for one in base.execute(query, (table,)).fetchall()]
    query = 'SELECT name, "desc", coll, "key" FROM pragma_index_xinfo(?)'
    indexes: list[object] = [(one, base.execute(query, one[:1]).fetchall()) for one in listed]
    return names, tables, indexes


def _check_rows(base: sqlite3.Connection, table: str, columns: Sequence[str], version: int) -> None:
    """Check the checksums of a table's rows; each covers its whole row except `id`."""
    checksum_column, compute = (
        ("checksum", compute_checksum)
        if version >= NAMED_CHECKSUM_VERSION
        else ("sum", compute_old_checksum)
    )
    others = [name for name in columns if name not in ("id", checksum_column)]
    for checksum, *values in base.execute(
        f"SELECT {checksum_column}, {', '.join(others)} FROM {table}"
    ):
        if checksum != compute(*values):
            raise DamagedError(f"a row of its table '{table}' is not what was written")


def _check_references(base: sqlite3.Connection) -> None:
    (loose,) = base.execute(
        "SELECT count(*) FROM files LEFT JOIN readings ON readings.id = files.reading"
        " LEFT JOIN keys ON keys.id = readings.key"
        " WHERE keys.id IS NULL OR readings.content IS NOT files.content"
    ).fetchone()
    if loose:
        raise DamagedError(f"of {loose} files it does not say what was read")
