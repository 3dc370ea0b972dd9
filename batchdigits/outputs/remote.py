"""Outputs by URL: a run works on copies of them here, which are put in place when they are whole.

What a run writes to an object store is locked there, fetched, written here as any other output, and
put back: an object is replaced whole or not at all. What is read is put beside the table meanwhile
(`remote_state`), so that a run on another machine goes on from there.
"""

import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any

from batchdigits import objects
from batchdigits.errors import BatchdigitsError, BusyError, OutputError
from batchdigits.objects import ObjectError, is_url, strip_file_scheme
from batchdigits.options import RunOptions
from batchdigits.outputs.choice import choose_format
from batchdigits.outputs.delimited import Dialect
from batchdigits.outputs.remote_state import RemoteState
from batchdigits.outputs.remote_table import RemoteTable
from batchdigits.paths import LOCAL_OPTIONS

log = logging.getLogger(__name__)

TABLE_OPTIONS = ("out", "digits_out", "new_rows")
"""Options that may name an object."""


class StagedOutputs:
    """The outputs of a run, of which some are copies.

    Attributes:
        options: with the paths of the copies.
        lock: of the first table; None if no output is a copy.
        state: of the results; None if it is not kept in an object store.
        spell: returns a text in which URLs stand for the paths of copies.
    """

    def __init__(self, options: RunOptions, tables: list[RemoteTable]) -> None:
        """Take the options, and the tables that are copies."""
        self.options = options
        self.lock: objects.ObjectLock | None = None
        self.state: RemoteState | None = None
        self.spell: Callable[[str], str] = str
        self._tables = tables
        for table in tables:
            if table.option == "out" and options.state is None:
                self.state = RemoteState(f"{table.place}.state", table.state_path)

    def fetch(self) -> None:
        """Fetch the tables, their state, and what people said about them, as far as they exist."""
        for table in self._tables:
            table.fetch()
        if self.state is not None and self.lock is not None:
            self.state.fetch(self.lock.number)

    def publish(self) -> None:
        """Put what the run wrote in place: tables that were kept aside, the tables, the state.

        Raises:
            BusyError: another run has taken the lock.
            OutputError: an object cannot be written.
        """
        if self.lock is None:
            return
        if self.state is not None:
            self.state.is_read = True
        try:
            self.lock.check()
            for table in reversed(self._tables):  # the results last
                table.publish()
            if self.state is not None:
                self.lock.check()
                self.state.put_whole()
        except ObjectError as fault:
            raise _make_error(self._tables[0].url, fault) from None


@contextmanager
def stage_outputs(options: RunOptions, *, read_only: bool = False) -> Iterator[StagedOutputs]:
    """Hold the locks of outputs in object stores, and yield options that name copies of them.

    The caller calls `publish` when the tables are complete. Whatever ends the block, what was read
    is put beside the table, so that it is not read again.

    Args:
        options: that name the outputs.
        read_only: whether nothing is ever put in place, but for the locks.

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
        dialect = Dialect(options.excel, options.decimal_comma)
        choose_format(url, dialect, f"--{name.replace('_', '-')}")
    with ExitStack() as stack:
        top = stack.enter_context(tempfile.TemporaryDirectory(prefix="batchdigits-"))
        tables = [RemoteTable(name, url, os.path.join(top, name)) for name, url in urls.items()]
        plain |= {table.option: table.path for table in tables}
        staged = StagedOutputs(replace(options, **plain), tables)
        places = [(f"{table.folder}/", objects.make_url(table.place, "")) for table in tables]
        staged.spell = stack.enter_context(name_urls(places))
        state = None if read_only else staged.state
        yield from _hold_outputs(staged, tables, options.wait, state)


def _hold_outputs(
    staged: StagedOutputs, tables: list[RemoteTable], wait: float, state: RemoteState | None
) -> Iterator[StagedOutputs]:
    """Hold the locks while the caller works; at a bad end, put what was read beside the table.

    `state` is None where what is read is not kept.
    """
    with ExitStack() as stack:
        try:
            for table in tables:
                beside = state.put_shards_meanwhile if state and not staged.lock else _do_nothing
                lock = stack.enter_context(objects.hold_lock(table.place, wait, beside))
                staged.lock = staged.lock or lock
            staged.fetch()
        except ObjectError as fault:
            raise _make_error(tables[0].url, fault) from None
        try:
            yield staged
        except BaseException:
            with suppress(BatchdigitsError, ObjectError):
                if state is not None:
                    state.put_shards()
            raise


def _do_nothing() -> None:
    """Do nothing while a lock is held."""


def _make_error(url: str, fault: ObjectError) -> OutputError:
    return OutputError(
        f"cannot write '{url}': {fault} (what was there is unchanged): {fault.advice}"
    )


@contextmanager
def name_urls(places: Sequence[tuple[str, str]]) -> Iterator[Callable[[str], str]]:
    """Have errors and the log name objects instead of their copies.

    Args:
        places: path of the folder of each copy, and URL of the folder of its object; both end
            with `/`.

    Yields:
        A function that names objects in a text.
    """

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
        yield spell
    except BusyError:
        raise
    except BatchdigitsError as error:
        raise type(error)(spell(str(error))) from None
    finally:
        for handler in handlers:
            handler.removeFilter(spell_record)
