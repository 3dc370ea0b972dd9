"""The tables of a run: whether they are as they were left; edited ones are kept aside."""

import hashlib
import json
import logging
import os
import shlex
import shutil
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from batchdigits import files, outputs
from batchdigits.job import Job
from batchdigits.paths import MANIFEST_NAME
from batchdigits.state import StateStore, TableRecord
from batchdigits.state.aside import find_free_name
from batchdigits.summary import Summary

log = logging.getLogger(__name__)

TABLE_VERSION = 2
"""Increased when a newer version would write the same findings differently."""
EDITED_MESSAGE = "'%s' was not as it was left: what stood there is kept as '%s'%s"
CORRECT_ADVICE = "; `batchdigits correct %s %s` takes changed values as corrections"


def encode_table_settings(job: Job) -> str:
    """Return what a table depends on, except for the findings; another text means another table."""
    settings: dict[str, object] = {"wide": job.options.wide, "excel": job.options.excel}
    settings["digits_out"] = _name_digits_table(job)
    settings["min_confidence"] = job.threshold
    if any(job.dialect):
        settings["decimal_comma"] = job.options.decimal_comma
    if job.forms.templates:
        settings["forms"] = dict(job.form_names)
    if digest := digest_corrections(job.paths.corrections):
        settings["corrections"] = digest
    columns = [layout.names for layout in job.layouts]
    inputs = "any"
    if not job.options.append:  # as a digest, because a list may have a million
        sorted_inputs = sorted({*job.inputs.typed, *job.inputs.listed})
        inputs = hashlib.blake2b(
            "\0".join(sorted_inputs).encode("utf-8", "surrogatepass")
        ).hexdigest()
    return json.dumps([TABLE_VERSION, settings, columns, inputs])


def _name_digits_table(job: Job) -> str | None:
    """Return the path of the table of digits from that of results; both may move together."""
    digits, out = job.paths.digits_out, job.paths.out
    if digits is None or digits == "-" or out is None:
        return digits
    return os.path.relpath(os.path.realpath(digits), os.path.dirname(os.path.realpath(out)))


def digest_corrections(path: str | None) -> str:
    """Return a digest of what people said, in hexadecimal; empty if there is no such file."""
    return files.digest_file(path).hex() if path is not None and os.path.exists(path) else ""


def can_skip_tables(job: Job, store: StateStore, summary: Summary) -> bool:
    """Return whether the tables need not or must not be written; the summary then gets their rows.

    They need not be written if they are as they were left and show what is known now. An empty
    table must not replace another: if no rows of the INPUTs are known, the table is kept.
    """
    out = job.paths.tables[0]
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
    current = [_load_unchanged_table_record(path, store, description) for path in job.paths.tables]
    if not all(current) or current[0] is None:
        return False
    statuses = json.loads(current[0].summary)
    if "error" in statuses:  # how many of their files are here has to be counted
        return False
    summary.unchanged, summary.statuses = True, Counter(statuses)
    return True


def _load_unchanged_table_record(
    path: str, store: StateStore, description: str
) -> TableRecord | None:
    """Return how a table was left; None if it has changed or was made with other settings."""
    written = None if path == "-" else store.load_table_record(name_table(path, store))
    if written is None or written.settings != description or not _is_table_unchanged(path, written):
        return None
    is_whole = os.path.basename(path) != MANIFEST_NAME or outputs.has_whole_parts(path)
    return written if is_whole else None


def _is_table_unchanged(path: str, written: TableRecord | None) -> bool:
    """Return whether a table is as it was left: by size and time, or else by its content."""
    if written is None:
        return False
    try:
        status = os.stat(path)
        if (status.st_size, status.st_mtime_ns) == written[:2]:
            return True
        return status.st_size == written.size and files.digest_file(path) == written.content
    except OSError:
        return False


def is_table_edited(path: str, store: StateStore) -> bool:
    """Return whether a table exists that is not as it was left."""
    return os.path.exists(path) and not _is_table_unchanged(
        path, store.load_table_record(name_table(path, store))
    )


@contextmanager
def guard_tables(job: Job, store: StateStore, summary: Summary) -> Iterator[None]:
    """Guard the job's tables while the block replaces them: keep edited ones under another name.

    Raises:
        OutputError: a table cannot be kept, or is missing after the block.
    """
    description = encode_table_settings(job)
    with ExitStack() as stack:
        for path in job.paths.tables:
            counts = partial(json.dumps, summary.statuses)
            stack.enter_context(
                guard_table(path, store, description, counts, advise=path == job.paths.out)
            )
        yield


@contextmanager
def guard_table(
    path: str,
    store: StateStore,
    description: str,
    summary: Callable[[], str],
    *,
    advise: bool = True,
) -> Iterator[None]:
    """Guard a table while the block replaces it: keep an edited one under another name.

    Args:
        path: of the table; `-` is no file.
        store: has how it was left, and gets how it is left now.
        description: what it depends on.
        summary: returns its rows by status as JSON, once it is written.
        advise: whether `correct` can take what was edited.

    Raises:
        OutputError: an edited table cannot be kept, or there is none after the block.
    """
    if path == "-":
        yield
        return
    kept_path = ""
    is_manifest = os.path.basename(path) == MANIFEST_NAME  # of parts, each of which is guarded
    with outputs.wrap_os_errors(path):
        if not is_manifest and is_table_edited(path, store):
            kept_path = _keep_edited_table(path)
    try:
        yield
    except BaseException:
        with suppress(OSError):
            if kept_path and files.digest_file(kept_path) == files.digest_file(
                path
            ):  # not replaced yet
                os.unlink(kept_path)
                kept_path = ""
        if kept_path:
            _report_edited_table(path, kept_path, advise)
        raise
    with outputs.wrap_os_errors(path):
        status = os.stat(path)
        left = TableRecord(
            status.st_size, status.st_mtime_ns, files.digest_file(path), description, summary()
        )
        if (
            kept_path and files.digest_file(kept_path) == left.content
        ):  # ours: a run was killed before it could note it
            os.unlink(kept_path)
        elif kept_path:
            _report_edited_table(path, kept_path, advise)
    with store.transaction():
        store.save_table_record(name_table(path, store), left)


def _report_edited_table(path: str, kept_path: str, advise: bool) -> None:
    command = CORRECT_ADVICE % (shlex.quote(path), shlex.quote(kept_path)) if advise else ""
    log.error(EDITED_MESSAGE, path, kept_path, command)


def _keep_edited_table(path: str) -> str:
    """Keep an edited table under another name, safe on disk; return that name."""
    kept_path, real = find_free_name(path), Path(os.path.realpath(path))
    try:
        os.link(real, kept_path)
    except OSError:  # no hard links on this disk, or the link leads to another disk
        with real.open("rb") as file, files.open_atomic_file(Path(kept_path), like=real) as copy:
            shutil.copyfileobj(file, copy)
    files.sync_folder(os.path.dirname(kept_path) or os.curdir)
    return kept_path


def restrict_state_access(state: str, table: str) -> None:
    """Deny the state to everybody who may not read the table, because it holds all values.

    A missing state is made, empty. Without a table, nothing changes.
    """
    with suppress(OSError):  # another user owns it, for example
        table_status = os.stat(table)
        if not stat.S_ISREG(table_status.st_mode):
            return
        mode = (
            0o700
            | (0o070 if table_status.st_mode & 0o040 else 0)
            | (0o007 if table_status.st_mode & 4 else 0)
        )
        if not os.path.lexists(state):
            os.close(os.open(state, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666 & mode))
        state_status = os.stat(state)
        if state_status.st_gid != table_status.st_gid and not table_status.st_mode & 4:
            mode &= 0o707
        if stat.S_ISREG(state_status.st_mode) and stat.S_IMODE(state_status.st_mode) & ~mode:
            os.chmod(state, stat.S_IMODE(state_status.st_mode) & mode)


def name_table(path: str, store: StateStore) -> str:
    """Return a table's name in the state: relative, because both may move with their folder."""
    name = os.path.relpath(os.path.realpath(path), store.folder)
    return name.encode("utf-8", "backslashreplace").decode()
