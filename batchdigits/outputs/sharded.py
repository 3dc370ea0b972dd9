"""A table as a folder of parts, with a mark when it is whole: `--out results/`.

A part is written under a hidden name and renamed, so that it is in place whole or not at all. One
that is in place with the same bytes is left alone. `_SUCCESS` and the manifest are taken away
before the first part is replaced and come back after the last, so a reader that asks for the mark
never sees half a table. Meanwhile a hidden journal keeps what the parts must be: by it the next run
tells a part that a stopped run has left from one that somebody has changed.
"""

import hashlib
import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from time import strftime
from typing import Any, NamedTuple

from batchdigits import files
from batchdigits.errors import OutputError, UsageError
from batchdigits.outputs.delimited import Dialect
from batchdigits.outputs.part_journal import (
    JOURNAL_NAME,
    add_digest,
    load_digests,
    load_json,
    save_journal,
)
from batchdigits.paths import MANIFEST_NAME, make_main_path
from batchdigits.records import Row

log = logging.getLogger(__name__)

PART_ROWS = 1_000_000
"""Rows of a part. The rows of a file stay together."""
ROWS_PER_WRITE = 4096
SUCCESS_NAME = "_SUCCESS"
"""Name of the mark of a whole table, as Hadoop and Spark have it."""
HIDDEN_PART = ".batchdigits-part"
"""Name of a part that is being written, without its suffix."""
KEPT_PREFIX = "_kept-"
"""Name of an edited part begins with this; programs that read folders pass over such names."""
VERSION = 1
_OUR_NAMES = re.compile(
    rf"part-\d{{5,}}\.\w+|{SUCCESS_NAME}|{re.escape(MANIFEST_NAME)}|{KEPT_PREFIX}.*|\..*", re.DOTALL
)
_PART_NAME = re.compile(r"part-\d{5,}\.\w+")

RecordWriter = Callable[[Iterable[Any]], None]
OpenTable = Callable[[str], AbstractContextManager[RecordWriter]]


class Part(NamedTuple):
    """A part of a table, as the manifest has it.

    Attributes:
        name: of its file.
        rows: how many it has.
        bytes: its size.
        sha256: of its bytes, in hexadecimal.
        first: the file of its first row; empty for a part without rows.
        last: the file of its last row.
    """

    name: str
    rows: int
    bytes: int
    sha256: str
    first: str
    last: str


def check_part_folder(out: str) -> None:
    """Check that parts can be written in a folder, which need not exist.

    Raises:
        UsageError: it holds other files.
        OutputError: it is a file, or cannot be made or written in.
    """
    folder = os.path.realpath(out)
    if not os.path.lexists(folder):
        files.check_writable(folder)
        return
    if not os.path.isdir(folder):
        raise OutputError(f"{out!r} is a file: give a folder for the parts, or another name")
    files.check_writable(os.path.join(folder, SUCCESS_NAME))
    check_part_names(out, os.listdir(folder))


def check_part_names(out: str, names: Iterable[str]) -> None:
    """Raise `UsageError` if a name in a folder for parts is not ours."""
    for name in names:
        if not _OUR_NAMES.fullmatch(name):
            raise UsageError(
                f"--out {out!r} holds other files ({name!r}): give a new folder for the parts of "
                "the table"
            )


def load_manifest(out: str) -> dict[str, Any]:
    """Return the manifest of a whole table.

    Raises:
        UsageError: the table is not whole, or the manifest is damaged.
    """
    if not os.path.exists(os.path.join(out, SUCCESS_NAME)):
        raise UsageError(
            f"'{out}' is not whole: it has no {SUCCESS_NAME}, as a run that writes it has not "
            "ended, or was stopped: run again"
        )
    try:
        return dict(json.loads(Path(make_main_path(out)).read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise UsageError(f"'{out}': its {MANIFEST_NAME} cannot be read ({error})") from None


def list_part_paths(out: str) -> list[str]:
    """Return the paths of the parts of a whole table, in order; none leads out of its folder.

    Raises:
        UsageError: as `load_manifest`.
    """
    names = [str(part["name"]) for part in load_manifest(out)["parts"]]
    if wrong := [name for name in names if not _PART_NAME.fullmatch(name)]:
        raise UsageError(
            f"'{out}': its {MANIFEST_NAME} names {wrong[0]!r}: expected part-00000 and a suffix"
        )
    return [os.path.join(out, name) for name in names]


def load_part_dialect(out: str) -> Dialect:
    """Return the dialect of a table of parts.

    Raises:
        UsageError: as `load_manifest`.
    """
    return Dialect(*load_manifest(out)["dialect"])


def has_whole_parts(manifest: str) -> bool:
    """Return whether the parts of a manifest are in place, as they were written, with their mark.

    Parts that were not written to since the manifest was are not digested.
    """
    folder = os.path.dirname(manifest)
    try:
        written = os.stat(manifest).st_mtime_ns
        for part in load_manifest(folder)["parts"]:
            path = os.path.join(folder, part["name"])
            status = os.stat(path)
            if status.st_size != part["bytes"]:
                return False
            if status.st_mtime_ns > written and _digest_file(path) != part["sha256"]:
                return False
    except (OSError, UsageError):
        return False
    return True


@contextmanager
def open_part_writer(
    out: str,
    suffix: str,
    open_table: OpenTable,
    facts: Mapping[str, Any],
    settings: Mapping[str, Any] | None = None,
) -> Iterator[RecordWriter]:
    """Open a folder of parts for writing, and yield a function that appends rows.

    Args:
        out: the folder; it is made if it is missing.
        suffix: of the parts.
        open_table: opens a table at a path.
        facts: what the manifest says of the parts: `dialect` and `columns`.
        settings: what the manifest says of how the rows were made; None for what it says already.

    Raises:
        OutputError: something cannot be written. The parts that are in place stay.
    """
    with files.wrap_os_errors(out):
        writer = _PartWriter(os.path.realpath(out), suffix, open_table)
    with writer:
        yield writer.write
        with files.wrap_os_errors(out):
            writer.finish(facts, settings)


class _PartWriter:
    """Writes the parts of a table, one after the other."""

    def __init__(self, folder: str, suffix: str, open_table: OpenTable) -> None:
        self._folder, self._suffix, self._open_table = folder, suffix, open_table
        os.makedirs(folder, exist_ok=True)
        self._hidden = os.path.join(folder, HIDDEN_PART + suffix)
        self._settings = load_json(self._join(MANIFEST_NAME)).get("settings", {})
        self._known = load_digests(folder)
        save_journal(folder, self._known)
        for name in (SUCCESS_NAME, MANIFEST_NAME):
            with suppress(FileNotFoundError):
                os.unlink(self._join(name))
        files.sync_folder(folder)
        self._parts: list[Part] = []
        self._stack = ExitStack()
        self._write: RecordWriter | None = None
        self._waiting: list[Row] = []
        self._rows, self._first, self._last = 0, "", ""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *fault: Any) -> None:
        """End the part that is being written; after an error, it is dropped."""
        self._stack.__exit__(*fault)

    def write(self, records: Iterable[Row]) -> None:
        """Append rows; a part ends between two files."""
        for file, group in groupby(records, attrgetter("file")):
            rows = list(group)
            if self._rows and file != self._last and self._rows + len(rows) > PART_ROWS:
                self._end_part()
            self._first = self._first if self._rows else file
            self._rows, self._last = self._rows + len(rows), file
            self._waiting += rows
            if len(self._waiting) >= ROWS_PER_WRITE:
                self._flush()

    def finish(self, facts: Mapping[str, Any], settings: Mapping[str, Any] | None) -> None:
        """End the last part, drop those that are beyond it, and mark the table as whole."""
        if self._rows or not self._parts:
            self._end_part()
        names = {part.name for part in self._parts}
        for name in sorted(os.listdir(self._folder)):
            if _PART_NAME.fullmatch(name) and name not in names:
                self._keep_if_edited(name)
                with suppress(FileNotFoundError):
                    os.unlink(self._join(name))
        manifest = {
            "version": VERSION,
            "rows": sum(part.rows for part in self._parts),
            **facts,
            "settings": self._settings if settings is None else dict(settings),
            "parts": [part._asdict() for part in self._parts],
        }
        self._save(MANIFEST_NAME, json.dumps(manifest, indent=1).encode() + b"\n")
        self._save(SUCCESS_NAME, b"")
        os.unlink(self._join(JOURNAL_NAME))

    def _flush(self) -> None:
        if self._write is None:
            self._write = self._stack.enter_context(self._open_table(self._hidden))
        self._write(self._waiting)
        self._waiting = []

    def _end_part(self) -> None:
        """Complete a part, and put it in its place unless the same bytes are there."""
        self._flush()
        self._stack.close()
        self._write = None
        name = f"part-{len(self._parts):05}{self._suffix}"
        size, digest = os.path.getsize(self._hidden), _digest_file(self._hidden)
        self._parts.append(Part(name, self._rows, size, digest, self._first, self._last))
        self._rows = 0
        if _digest_file(self._join(name)) == digest:
            os.unlink(self._hidden)
            return
        self._keep_if_edited(name)
        add_digest(self._known, name, digest)
        save_journal(self._folder, self._known)
        os.replace(self._hidden, self._join(name))
        files.sync_folder(self._folder)

    def _keep_if_edited(self, name: str) -> None:
        """Keep a part that no run wrote under another name."""
        digest = _digest_file(self._join(name))
        if not digest or digest in self._known.get(name, []):
            return
        kept = self._join(f"{KEPT_PREFIX}{strftime('%Y%m%d-%H%M%S')}-{digest[:8]}-{name}")
        os.replace(self._join(name), kept)
        log.error("'%s' was not as it was left: it is kept as '%s'", self._join(name), kept)

    def _save(self, name: str, data: bytes) -> None:
        with files.open_atomic_file(Path(self._join(name))) as file:
            file.write(data)

    def _join(self, name: str) -> str:
        return os.path.join(self._folder, name)


def _digest_file(path: str) -> str:
    """Return the SHA-256 of a file, in hexadecimal; empty if there is none."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
