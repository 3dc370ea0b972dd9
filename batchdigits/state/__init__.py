"""The state, kept beside the table: what was read, so that nothing is read twice or lost.

It is one SQLite file. Its rollback journal works on network drives. It has one writer, because a
run holds the lock on its output. For each file of the table it holds size, time and content, and
the findings in that content under a key: a digest of the model, the templates and all else that
changes a reading. Every row has a checksum, so that a row that a disk spoilt is never believed.
"""

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from batchdigits.errors import OutputError
from batchdigits.paths import make_shard_folder
from batchdigits.state import shards
from batchdigits.state.aside import set_aside
from batchdigits.state.entries import MOVED, FileRecord, TableRecord
from batchdigits.state.soundness import DamagedError
from batchdigits.state.store import StateStore

__all__ = [
    "MOVED",
    "FileRecord",
    "StateStore",
    "TableRecord",
    "open_store",
]

log = logging.getLogger(__name__)


@contextmanager
def open_store(path: str) -> Iterator[StateStore]:
    """Open a state for a run; set a damaged one aside and begin a new one.

    Raises:
        OutputError: it cannot be opened or written, or a newer batchdigits wrote it.
    """
    try:
        folder = make_shard_folder(path)
        store = _open_with_shards(path, folder) if os.path.isdir(folder) else _open_or_replace(path)
    except (sqlite3.Error, DamagedError, OSError) as fault:
        raise _make_output_error(path, fault) from fault
    try:
        yield store
    except sqlite3.Error as fault:
        raise _make_output_error(path, fault) from fault
    finally:
        store.close()


def _open_with_shards(path: str, folder: str) -> StateStore:
    """Open a copy of a state in an object store, and have what is kept written as shards too."""
    if fault := shards.apply_shards(path, folder):
        log.error("the state '%s' is damaged in a part (%s): what it has is read anew", path, fault)
    known = os.stat(path).st_ino if shards.is_of_this_version(path) and not fault else None
    store = _open_or_replace(path)
    try:
        store.record_shards(folder, whole=os.stat(path).st_ino != known)
    except BaseException:
        store.close()
        raise
    return store


def _open_or_replace(path: str) -> StateStore:
    try:
        return StateStore(path)
    except DamagedError as fault:
        log.error(  # noqa: TRY400 (no traceback: the line says it all)
            "the state '%s' is damaged (%s): it is kept as '%s', and all is read anew",
            *(path, fault, set_aside(path)),
        )
    with suppress(FileNotFoundError):  # SQLite would play it back into the new file
        os.unlink(f"{path}-journal")
    return StateStore(path)


def _make_output_error(path: str, fault: Exception) -> OutputError:
    return OutputError(
        f"the state '{path}' cannot be used: {fault} (the table is unchanged): make room, or give "
        "another place by --state"
    )
