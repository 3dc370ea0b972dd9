"""The tables of a run: whether they still are as they were left, and what is kept of others."""

import hashlib
import json
import logging
import os
import shutil
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from batchdigits import files, outputs
from batchdigits.job import Job
from batchdigits.state import StateStore, TableRecord
from batchdigits.state.aside import find_free_name
from batchdigits.summary import Summary

log = logging.getLogger(__name__)

TABLE_VERSION = 1
"""Raised when the same findings would be told otherwise by a newer version."""
EDITED_MESSAGE = "'%s' was not as it was left: what stood there is kept as '%s'"


def encode_table_settings(job: Job) -> str:
    """Describe what a table depends on but for what is known: another text, another table."""
    shown = ("wide", "excel", "digits_out")
    chosen = {name: getattr(job.options, name) for name in shown}
    chosen["min_confidence"] = job.threshold
    columns = [layout.names for layout in job.layouts]
    inputs = "any"
    if not job.options.append:  # their digest, as a list may have a million
        asked = sorted({*job.inputs.typed, *job.inputs.listed})
        inputs = hashlib.blake2b("\0".join(asked).encode("utf-8", "surrogatepass")).hexdigest()
    return json.dumps([TABLE_VERSION, chosen, columns, inputs])


def can_skip_tables(job: Job, store: StateStore, summary: Summary) -> bool:
    """Return whether the tables need not be written, or must not be; the summary says the rest.

    They need not where they stand as they were left, made of what is known now. A table must not
    be replaced by an empty one: where no rows of the INPUTs are known, it stays.
    """
    out = str(job.paths.out)
    if (
        not store.has_file_records()
        and os.path.exists(out)
        and (store.has_readings() or is_table_edited(out, store))
    ):
        log.error(
            "nothing was read, and no rows of these INPUTs are known: '%s' is left as it is", out
        )
        summary.unchanged = True
        return True
    description = encode_table_settings(job)
    standing = [_find_current_table(path, store, description) for path in job.paths.tables]
    if not all(standing) or standing[0] is None:
        return False
    statuses = json.loads(standing[0].summary)
    if "error" in statuses:  # which of them are still there has to be counted
        return False
    summary.unchanged, summary.statuses = True, Counter(statuses)
    return True


def _find_current_table(path: str, store: StateStore, description: str) -> TableRecord | None:
    """Return how a table was left, if it stands so, and was made as described of what is known."""
    written = None if path == "-" else store.load_table_record(_name_table(path, store))
    if written is None or written.settings != description or not _is_table_unchanged(path, written):
        return None
    return written


def _is_table_unchanged(path: str, written: TableRecord | None) -> bool:
    """Return whether a table is as it was left: by size and time, in doubt by its content."""
    if written is None:
        return False
    try:
        found = os.stat(path)
        if (found.st_size, found.st_mtime_ns) == written[:2]:
            return True
        return found.st_size == written.size and _digest_file(path) == written.content
    except OSError:
        return False


def is_table_edited(path: str, store: StateStore) -> bool:
    """Return whether a table is there that is not as it was left."""
    return os.path.exists(path) and not _is_table_unchanged(
        path, store.load_table_record(_name_table(path, store))
    )


@contextmanager
def guard_tables(job: Job, store: StateStore, summary: Summary) -> Iterator[None]:
    """Replace the job's tables within the block; edited ones are kept under another name.

    Raises:
        OutputError: one cannot be kept, or what was written cannot be found.
    """
    description = encode_table_settings(job)
    with ExitStack() as stack:
        for path in job.paths.tables:
            counts = partial(json.dumps, summary.statuses)
            stack.enter_context(_guard_table(path, store, description, counts))
        yield


@contextmanager
def _guard_table(
    path: str, store: StateStore, description: str, summary: Callable[[], str]
) -> Iterator[None]:
    """Replace a table within the block; one that somebody edited is kept under another name.

    Args:
        path: of the table; `-` is no file.
        store: knows how it was left, and is told how it is left now.
        description: what it depends on.
        summary: returns what is said of it, once it is written.
    """
    if path == "-":
        yield
        return
    kept = ""
    with outputs.wrap_os_errors(path):
        if is_table_edited(path, store):
            kept = _keep_edited_table(path)
    try:
        yield
    except BaseException:
        with suppress(OSError):
            if kept and _digest_file(kept) == _digest_file(
                path
            ):  # else it has been replaced already
                os.unlink(kept)
                kept = ""
        if kept:
            log.error(EDITED_MESSAGE, path, kept)  # noqa: TRY400 (the fault has a line of its own)
        raise
    with outputs.wrap_os_errors(path):
        found = os.stat(path)
        left = TableRecord(
            found.st_size, found.st_mtime_ns, _digest_file(path), description, summary()
        )
        if kept and _digest_file(kept) == left.content:  # a run was killed before it could note it
            os.unlink(kept)
        elif kept:
            log.error(EDITED_MESSAGE, path, kept)
    with store.transaction():
        store.save_table_record(_name_table(path, store), left)


def _keep_edited_table(path: str) -> str:
    """Keep on disk what stands in a table's place, under another name, which it gives."""
    kept, real = find_free_name(path), Path(os.path.realpath(path))
    try:
        os.link(real, kept)
    except OSError:  # the disk knows no links, or it is another one
        with real.open("rb") as file, files.open_atomic_file(Path(kept), like=real) as copy:
            shutil.copyfileobj(file, copy)
    files.sync_folder(os.path.dirname(kept) or os.curdir)
    return kept


def restrict_state_access(state: str, table: str) -> None:
    """Let nobody read or write the state who may not read the table, as all values are in it.

    A state that is not there yet is made, empty. Where there is no table, all stays as it is.
    """
    with suppress(OSError):  # of another owner's, say
        asked = os.stat(table)
        if not stat.S_ISREG(asked.st_mode):
            return
        may = 0o700 | (0o070 if asked.st_mode & 0o040 else 0) | (0o007 if asked.st_mode & 4 else 0)
        if not os.path.lexists(state):
            os.close(os.open(state, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666 & may))
        found = os.stat(state)
        if found.st_gid != asked.st_gid and not asked.st_mode & 4:
            may &= 0o707
        if stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) & ~may:
            os.chmod(state, stat.S_IMODE(found.st_mode) & may)


def _name_table(path: str, store: StateStore) -> str:
    """Name a table in the ledger: as seen from there, as folders may move with all in them."""
    name = os.path.relpath(os.path.realpath(path), store.folder)
    return name.encode("utf-8", "backslashreplace").decode()


def _digest_file(path: str) -> bytes:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20)).digest()
