"""Outputs by URL: a run works on copies of them here, which are put in place when they are whole.

What a run writes to an object store is locked there, fetched, written here as any other output, and
put back: an object is replaced whole or not at all. The state is an object beside the table, of the
same format as elsewhere. SQLite cannot work on it there, so it is put back again and again while
files are read: a run on another machine goes on from there.
"""

import hashlib
import logging
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from batchdigits import objects
from batchdigits.errors import BatchdigitsError, BusyError, OutputError, UsageError
from batchdigits.objects import ObjectError, is_url, strip_file_scheme
from batchdigits.options import RunOptions
from batchdigits.outputs.choice import choose_format
from batchdigits.outputs.delimited import Dialect
from batchdigits.paths import LOCAL_OPTIONS

log = logging.getLogger(__name__)

TABLE_OPTIONS = ("out", "digits_out", "new_rows")
"""Options that may name an object."""
SAVE_SECONDS = 60.0
"""s between two times that the state is put back while files are read, at least."""
SAVE_SHARE = 10
"""How many times longer than putting it back these s are: a large state is put back seldom."""


class RemoteTable(NamedTuple):
    """A table in an object store, and the copy that the run works on.

    Attributes:
        option: that names it.
        url: of the table.
        folder: of the copy, which has the table's name.
    """

    option: str
    url: str
    folder: str

    @property
    def path(self) -> str:
        """The path of the copy."""
        return os.path.join(self.folder, self.url.rpartition("/")[2])


class StagedOutputs:
    """The outputs of a run, of which some are copies.

    Attributes:
        options: with the paths of the copies.
    """

    def __init__(self, options: RunOptions, tables: list[RemoteTable]) -> None:
        """Take the options, and the tables that are copies."""
        self.options = options
        self.lock: objects.ObjectLock | None = None
        self._tables = tables
        self._states = [one for one in tables if one.option == "out" and options.state is None]
        self._before: dict[str, bytes] = {}
        self._saved, self._pause = time.monotonic(), SAVE_SECONDS

    def fetch(self) -> None:
        """Fetch the tables, their state, and what people said about them, as far as they exist."""
        for table in self._tables:
            for ending in ("", ".state", ".corrections.csv"):
                if ending and table.option != "out":
                    continue
                path = table.path + ending
                if objects.fetch_file(table.url + ending, path):
                    self._before[path] = _digest_file(path)

    def publish(self) -> None:
        """Put what the run wrote in place: tables that were kept aside, the tables, the state.

        Raises:
            BusyError: another run has taken the lock.
            OutputError: an object cannot be written.
        """
        self._check_lock()
        for table in reversed(self._tables):  # the results last
            name = os.path.basename(table.path)
            written = [one.name for one in os.scandir(table.folder) if _is_table(one.name, name)]
            for one in sorted(written, key=lambda one: one == name):  # what was kept aside first
                self._put(os.path.join(table.folder, one), objects.make_url(table.url, one))
        self.save_state()

    def save_state(self) -> None:
        """Put the state in place, if it has changed."""
        for table in self._states:
            path = f"{table.path}.state"
            if os.path.exists(path):
                self._check_lock()
                self._put(path, f"{table.url}.state")

    def save_state_while_reading(self) -> None:
        """Put a copy of the state in place, if that was not done for long."""
        if time.monotonic() - self._saved < self._pause:
            return
        begin = time.monotonic()
        for table in self._states:
            copy = os.path.join(table.folder, ".state-copy")
            with suppress(sqlite3.Error, OSError, ObjectError):
                _copy_database(f"{table.path}.state", copy)
                objects.put_file(copy, f"{table.url}.state")
        self._saved = time.monotonic()
        self._pause = max(SAVE_SECONDS, SAVE_SHARE * (self._saved - begin))

    def _check_lock(self) -> None:
        try:
            if self.lock is not None:
                self.lock.check()
        except ObjectError as fault:
            raise _make_error(self._tables[0].url, fault) from None

    def _put(self, path: str, url: str) -> None:
        if self._before.get(path) == (digest := _digest_file(path)):
            return
        try:
            objects.put_file(path, url)
        except ObjectError as fault:
            raise _make_error(url, fault) from None
        self._before[path] = digest


@contextmanager
def stage_outputs(options: RunOptions) -> Iterator[StagedOutputs]:
    """Hold the locks of outputs in object stores, and yield options that name copies of them.

    The caller calls `publish` when the tables are complete. Whatever ends the block, the state is
    put back, so that what was read is not read again.

    Raises:
        UsageError: a URL has an unknown scheme, or names no table.
        BusyError: another run writes the same output.
        OutputError: an object cannot be read or written.
    """
    plain: dict[str, Any] = {
        name: strip_file_scheme(value)
        for name in (*TABLE_OPTIONS, *LOCAL_OPTIONS)
        if isinstance(value := getattr(options, name), str)
    }
    urls = {name: plain[name] for name in TABLE_OPTIONS if is_url(plain.get(name, ""))}
    if not urls:
        yield StagedOutputs(replace(options, **plain), [])
        return
    for name, url in urls.items():
        if url.endswith("/"):
            raise UsageError(
                f"--{name.replace('_', '-')} '{url}': a table in parts is written to a folder of "
                "this machine: give one, or a single table such as s3://bucket/results.parquet"
            )
        dialect = Dialect(options.excel, options.decimal_comma)
        choose_format(url, dialect, f"--{name.replace('_', '-')}")
    with ExitStack() as stack:
        top = stack.enter_context(tempfile.TemporaryDirectory(prefix="batchdigits-"))
        tables = [RemoteTable(name, url, os.path.join(top, name)) for name, url in urls.items()]
        for table in tables:
            os.mkdir(table.folder)
        plain |= {table.option: table.path for table in tables}
        staged = StagedOutputs(replace(options, **plain), tables)
        stack.enter_context(_name_urls(tables))
        yield from _hold_outputs(staged, tables, options.wait)


def _hold_outputs(
    staged: StagedOutputs, tables: list[RemoteTable], wait: float
) -> Iterator[StagedOutputs]:
    """Hold the locks while the caller works; then put the state back, unless another run has it."""
    with ExitStack() as stack:
        try:
            for table in tables:
                beside = staged.save_state_while_reading if table.option == "out" else _do_nothing
                lock = stack.enter_context(objects.hold_lock(table.url, wait, beside))
                staged.lock = staged.lock or lock
            staged.fetch()
        except ObjectError as fault:
            raise _make_error(tables[0].url, fault) from None
        try:
            yield staged
        except BaseException:
            with suppress(BatchdigitsError, ObjectError):
                staged.save_state()
            raise


def _do_nothing() -> None:
    """Do nothing while a lock is held."""


def _make_error(url: str, fault: ObjectError) -> OutputError:
    return OutputError(
        f"cannot write '{url}': {fault} (what was there is unchanged): {fault.advice}"
    )


def _is_table(name: str, table: str) -> bool:
    """Return whether a name is that of the table, or of one that was kept aside."""
    return not name.startswith((".", f"{table}.state"))


def _digest_file(path: str) -> bytes:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()


def _copy_database(path: str, copy: str) -> None:
    """Copy a database that is being written, as of one moment."""
    with suppress(FileNotFoundError):
        os.unlink(copy)
    with (
        closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)


@contextmanager
def _name_urls(tables: list[RemoteTable]) -> Iterator[None]:
    """Have messages name the objects instead of the copies."""
    places = [(f"{table.folder}/", f"{table.url.rpartition('/')[0]}/") for table in tables]

    def spell(text: str) -> str:
        for folder, url in places:
            text = text.replace(folder, url)
        return text

    def spell_record(record: logging.LogRecord) -> bool:
        record.msg, record.args = spell(record.getMessage()), ()
        return True

    loggers = map(logging.getLogger, ("", "batchdigits", "batchdigits.said"))
    handlers = {handler for logger in loggers for handler in logger.handlers}
    for handler in handlers:
        handler.addFilter(spell_record)
    try:
        yield
    except BusyError:
        raise
    except BatchdigitsError as error:
        raise type(error)(spell(str(error))) from None
    finally:
        for handler in handlers:
            handler.removeFilter(spell_record)
