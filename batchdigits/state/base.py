"""The ledger's file: opened where it is what was written, and brought to this version."""

import os
import sqlite3
import stat
from contextlib import suppress
from pathlib import Path

from batchdigits.errors import OutputError
from batchdigits.state import migrations
from batchdigits.state.soundness import DamagedError, check_state

APPLICATION_ID = 0x62646C67
"""`bdlg`, in the file's header: what others wrote with SQLite is not ours to touch."""
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
"""What SQLite calls faults of the disk, of memory, and of other programs."""
HEADER_BYTES = 100
"""Bytes of the header of SQLite's files."""
MAX_FILE_FORMAT = 2
"""The latest of a file that SQLite writes (sqlite.org/fileformat.html, bytes 18 and 19)."""
MAX_VERSION = 99
"""More than there will ever be: a higher one is damage to the header."""
BUSY_TIMEOUT_SECONDS = 30.0
"""s that another program may hold the ledger."""


def open_database(path: str) -> sqlite3.Connection:
    """Open a ledger's file, or make it, and bring it to this version.

    Raises:
        DamagedError: it is no ledger, or not whole.
        OutputError: a newer batchdigits wrote it, or it cannot be brought to this version; it is
            left untouched.
        sqlite3.Error: it cannot be opened or written.
        OSError: it is no file.
    """
    _check_header(path)
    base = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
    )  # one thread after another may use it
    try:
        version = _begin_transaction(base, path)
        _migrate(base, version, path)
        base.execute("COMMIT")
    except BaseException:
        base.close()
        raise
    return base


def _begin_transaction(base: sqlite3.Connection, path: str) -> int:
    """Begin a transaction in a state that is what was written; gives its version.

    A migration comes after: it gives even a damaged row a right checksum.
    """
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
        version = _load_version(base, path)
        check_state(base, version)
    except (sqlite3.DatabaseError, UnicodeError) as fault:
        if _is_external_error(fault):
            raise
        raise DamagedError(" ".join(str(fault).split())) from fault
    return version


def _is_external_error(fault: Exception) -> bool:
    return getattr(fault, "sqlite_errorcode", 0) & 0xFF in EXTERNAL_ERROR_CODES


def _check_header(path: str) -> None:
    """Refuse what SQLite shall not open, since it might hang, or write to what is not ours.

    With a journal the header may be that of a change that was cut short, which SQLite undoes: then
    the version is looked at when it has.

    Raises:
        DamagedError: it is of a format that SQLite would not write.
        OutputError: a newer batchdigits wrote it.
        OSError: it is no file, but a pipe, say.
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
    """Give the version of a state; 0 is an empty file.

    Raises:
        DamagedError: it is no state, or of a version that there never was.
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
    """Bring a sound state to the latest version.

    Raises:
        OutputError: a step cannot do so: that is a mistake of the step's, and no reason to set
            aside what may be known from nowhere else.
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
