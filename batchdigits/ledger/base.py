"""The ledger's file: its tables by version, and whether they are what was written."""

import os
import sqlite3
import stat
import zlib
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

APPLICATION = 0x62646C67
"""`bdlg`, in the file's header: what others wrote with SQLite is not ours to touch."""
STEPS = (
    """
    CREATE TABLE keys (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, terms TEXT NOT NULL,
        sum INTEGER NOT NULL);
    CREATE TABLE readings (id INTEGER PRIMARY KEY, content BLOB, key INTEGER NOT NULL,
        failed INTEGER NOT NULL, told TEXT NOT NULL, sum INTEGER NOT NULL);
    CREATE UNIQUE INDEX reading ON readings (content, key) WHERE NOT failed;
    CREATE TABLE files (file TEXT PRIMARY KEY, size INTEGER NOT NULL, time INTEGER NOT NULL,
        sure INTEGER NOT NULL, content BLOB, reading INTEGER NOT NULL, sum INTEGER NOT NULL)
        WITHOUT ROWID;
    CREATE INDEX told_of ON files (reading);
    """,
    """
    CREATE TABLE written (name TEXT PRIMARY KEY, size INTEGER NOT NULL, time INTEGER NOT NULL,
        content BLOB NOT NULL, terms TEXT NOT NULL, summary TEXT NOT NULL, sum INTEGER NOT NULL)
        WITHOUT ROWID;
    """,
    """
    CREATE TABLE pages (file TEXT NOT NULL, page INTEGER NOT NULL, size INTEGER NOT NULL,
        time INTEGER NOT NULL, key INTEGER NOT NULL, told TEXT NOT NULL, sum INTEGER NOT NULL,
        PRIMARY KEY (file, page)) WITHOUT ROWID;
    """,
)
"""What makes a ledger of each version from the one before; a new one takes them all."""
SUMMED = {"keys": 1, "readings": 1, "files": 0, "written": 0, "pages": 0}
"""The tables, and the first of the columns that their checksums are over: not an id."""
OUTSIDE = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
)
"""What SQLite calls faults of the disk, of memory, and of other programs."""
FORMAT = 2
"""The latest of a file that SQLite writes (sqlite.org/fileformat.html, bytes 18 and 19)."""
PATIENCE = 30.0
"""s that another program may hold the ledger."""


class DamagedError(Exception):
    """The ledger is not what was written."""


def opened(path: str) -> sqlite3.Connection:
    """Open a ledger's file, or make it, and bring it to this version.

    Raises:
        DamagedError: it is no ledger, not whole, or of a later version.
        sqlite3.Error: it cannot be opened or written.
        OSError: it is no file.
    """
    _known_format(path)
    base = sqlite3.connect(
        path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
    )  # one thread after another may use it
    try:
        for setting in (
            "journal_mode = DELETE",
            "synchronous = EXTRA",  # no journal may come back: files are moved away next
            "temp_store = MEMORY",
            "trusted_schema = OFF",
            "cell_size_check = ON",
        ):
            base.execute(f"PRAGMA {setting}")
        base.execute("BEGIN IMMEDIATE")
        _migrate(base)
        _verify(base)
        base.execute("COMMIT")
    except (sqlite3.DatabaseError, UnicodeError) as fault:
        base.close()
        if getattr(fault, "sqlite_errorcode", 0) & 0xFF in OUTSIDE:
            raise
        raise DamagedError(" ".join(str(fault).split())) from fault
    except BaseException:
        base.close()
        raise
    return base


def _known_format(path: str) -> None:
    """Refuse what is no file, a pipe that would hang the run, and one SQLite would not write."""
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise OSError("it is no regular file")
    with suppress(FileNotFoundError), Path(path).open("rb") as file:
        write, read = file.read(20)[18:].ljust(2, b"\1")
        if max(write, read) > FORMAT:
            raise DamagedError("it is of a later format than SQLite's here")


def _migrate(base: sqlite3.Connection) -> None:
    version = base.execute("PRAGMA user_version").fetchone()[0]
    owner = base.execute("PRAGMA application_id").fetchone()[0]
    empty = base.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    if (version or not empty) and owner != APPLICATION:
        raise DamagedError("it is no state of batchdigits")
    if not 0 <= version <= len(STEPS):
        raise DamagedError(f"it is of version {version}, this batchdigits knows {len(STEPS)}")
    (sound,) = base.execute("PRAGMA integrity_check(1)").fetchone()  # quick_check skips indexes
    if sound != "ok":
        raise DamagedError(str(sound))
    _take(base, STEPS[version:])
    if version < len(STEPS):
        base.execute(f"PRAGMA application_id = {APPLICATION}")
        base.execute(f"PRAGMA user_version = {len(STEPS)}")


def _take(base: sqlite3.Connection, steps: Iterable[str]) -> None:
    for step in steps:
        for statement in step.split(";"):
            base.execute(statement)


def _tables(base: sqlite3.Connection) -> list[tuple[str, ...]]:
    return base.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall()


def _verify(base: sqlite3.Connection) -> None:
    """Find out whether every row is what was written: SQLite itself sees to its pages alone."""
    with closing(sqlite3.connect(":memory:")) as other:
        _take(other, STEPS)
        if _tables(base) != _tables(other):
            raise DamagedError("its tables are not those that were made")
    for table, first in SUMMED.items():
        for row in base.execute(f"SELECT * FROM {table}"):
            if row[-1] != checksum(*row[first:-1]):
                raise DamagedError(f"a row of its table '{table}' is not what was written")
    (loose,) = base.execute(
        "SELECT count(*) FROM files LEFT JOIN readings ON readings.id = files.reading"
        " LEFT JOIN keys ON keys.id = readings.key"
        " WHERE keys.id IS NULL OR readings.content IS NOT files.content"
    ).fetchone()
    if loose:
        raise DamagedError(f"of {loose} files it does not say what was read")


def checksum(*values: object) -> int:
    """Give the checksum of a row's values (CRC-32 of how Python writes them)."""
    return zlib.crc32(repr(values).encode("utf-8", "surrogatepass"))
