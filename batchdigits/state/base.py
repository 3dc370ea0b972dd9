"""The state's file: checked when it is opened, and migrated to this version."""

import os
import sqlite3
import stat
from contextlib import suppress
from pathlib import Path

from batchdigits.errors import OutputError
from batchdigits.state import migrations
from batchdigits.state.soundness import DamagedError, check_state

APPLICATION_ID = 0x62646C67
"""`bdlg`, in the file's header: SQLite files of other programs are left alone."""
EXTERNAL_ERROR_CODES = (
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
"""SQLite's codes for faults of the disk, of memory, and of other programs."""
HEADER_BYTES = 100
"""Size of the header of an SQLite file, bytes."""
MAX_FILE_FORMAT = 2
"""The latest file format that SQLite writes (sqlite.org/fileformat.html, bytes 18 and 19)."""
MAX_VERSION = 99
"""The highest version there will ever be; a higher number means a damaged header."""
BUSY_TIMEOUT_SECONDS = 30.0
"""How long another program may hold the state, s."""


def open_database(path: str) -> sqlite3.Connection:
    """Open a state's file, or make it, and migrate it to this version.

    Raises:
        DamagedError: it is no state, or not whole.
        OutputError: a newer batchdigits wrote it, or its migration failed; it is left untouched.
        sqlite3.Error: it cannot be opened or written.
        OSError: it is no regular file.
    """
    _refuse_unsafe_file(path)
    base = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
    )  # several threads use it, one at a time
    try:
        version = _begin_transaction(base, path)
        _migrate(base, version, path)
        base.execute("COMMIT")
    except BaseException:
        base.close()
        raise
    return base


def _begin_transaction(base: sqlite3.Connection, path: str) -> int:
    """Check a state, and begin a transaction in it; return its version.

    The check precedes the migration, which gives even a damaged row a right checksum.
    """
    try:
        for setting in (
            "journal_mode = DELETE",
            "synchronous = EXTRA",  # a journal must not come back after files were moved away
            "temp_store = FILE",  # the files of a run may be a million members of an archive
            "trusted_schema = OFF",
            "cell_size_check = ON",
        ):
            base.execute(f"PRAGMA {setting}")
        base.execute("BEGIN IMMEDIATE")
        version = _load_version(base, path)
        check_state(base, version)
    except (sqlite3.DatabaseError, UnicodeError) as fault:
        if _is_external_error(fault):
            raise
        raise DamagedError(" ".join(str(fault).split())) from fault
    return version


def _is_external_error(fault: Exception) -> bool:
    return getattr(fault, "sqlite_errorcode", 0) & 0xFF in EXTERNAL_ERROR_CODES


def _refuse_unsafe_file(path: str) -> None:
    """Refuse a file that SQLite must not open: it might hang, or change a newer state.

    If there is a journal, the header may belong to a change that was cut short. SQLite undoes it
    first, so the version is checked later.

    Raises:
        DamagedError: SQLite would not write files of its format.
        OutputError: a newer batchdigits wrote it.
        OSError: it is no regular file, but a pipe, for example.
    """
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise OSError("it is no regular file")
    with suppress(FileNotFoundError), Path(path).open("rb") as file:
        header = file.read(HEADER_BYTES)
        write, read = header[18:20].ljust(2, b"\1")
        if max(write, read) > MAX_FILE_FORMAT:
            raise DamagedError("it is of a later format than SQLite's here")
        if len(header) == HEADER_BYTES and not os.path.lexists(f"{os.path.realpath(path)}-journal"):
            version, owner = (int.from_bytes(header[at : at + 4]) for at in (60, 68))
            _check_not_newer(path, version, owner)


def _load_version(base: sqlite3.Connection, path: str) -> int:
    """Return the version of a state; 0 is an empty file.

    Raises:
        DamagedError: it is no state, or its version does not exist.
        OutputError: a newer batchdigits wrote it.
    """
    version = int(base.execute("PRAGMA user_version").fetchone()[0])
    owner = int(base.execute("PRAGMA application_id").fetchone()[0])
    empty = base.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    if (version or not empty) and owner != APPLICATION_ID:
        raise DamagedError("it is no state of batchdigits")
    _check_not_newer(path, version, owner)
    known = len(migrations.STEPS)
    if not 0 <= version <= known:
        raise DamagedError(f"it is of version {version}, this batchdigits knows {known}")
    return version


def _check_not_newer(path: str, version: int, owner: int) -> None:
    known = len(migrations.STEPS)
    if owner == APPLICATION_ID and known < version <= MAX_VERSION:
        raise OutputError(
            f"the state '{path}' was written by a newer batchdigits (its version {version}, this "
            f"one knows {known}): install that version, or give another place by --state"
        )


def _migrate(base: sqlite3.Connection, version: int, path: str) -> None:
    """Migrate a sound state to the latest version.

    Raises:
        OutputError: a step failed. The step is wrong, not the state: what it holds may be known
            from nowhere else, so it is not set aside.
    """
    latest = len(migrations.STEPS)
    if version == latest:
        return
    try:
        migrations.migrate(base, version)
    except sqlite3.Error as fault:
        if _is_external_error(fault):
            raise
        raise OutputError(
            f"the state '{path}' cannot be brought from version {version} to {latest} ({fault}), "
            "and is left as it was: please report it, and give another place by --state meanwhile"
        ) from fault
    base.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    base.execute(f"PRAGMA user_version = {latest}")
