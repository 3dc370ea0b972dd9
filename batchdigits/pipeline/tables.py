"""The tables of a run: what they hold, and whether they still are as they were left."""

import hashlib
import json
import logging
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from batchdigits import forms, results
from batchdigits.ledger import Ledger, Written, kept_name
from batchdigits.options import RunOptions
from batchdigits.pipeline.judge import Done
from batchdigits.records import Row
from batchdigits.results import place

log = logging.getLogger(__name__)

VERSION = 1
"""Raised when the same findings would be told otherwise by a newer version."""
EDITED = "'%s' was not as it was left: what stood there is kept as '%s'"


def layouts(options: RunOptions) -> list[results.Layout]:
    """Say what the table holds: a row a field or a page, in a spreadsheet both."""
    templates = forms.gathered(options.template)
    if not templates:
        return [results.LONG]
    names = dict.fromkeys(field.name for one in templates for field in one.fields)
    both = [results.FIELDS, results.pages(list(names))]
    return both[::-1] if options.wide else both


def terms(options: RunOptions) -> str:
    """Name what a table depends on but for what is known: another text, another table."""
    shown = ("wide", "excel", "digits_out", "min_confidence")
    chosen = {name: getattr(options, name) for name in shown}
    columns = [layout.names for layout in layouts(options)]
    return json.dumps([VERSION, chosen, columns])


@contextmanager
def opened(out: str, options: RunOptions) -> Iterator[Callable[[Done], None]]:
    """Open the table, and that of single digits where one is wanted; gives what writes to both.

    Where a page's columns are known only when all pages are read, rows are kept until then.
    """
    with ExitStack() as stack:
        kept: list[Row] = []
        later = options.wide and not options.template
        write: results.Write = kept.extend
        if not later:
            write = stack.enter_context(results.writer(out, *layouts(options), excel=options.excel))
        write_digits: results.Write | None = None
        if options.digits_out is not None:
            digits = results.writer(options.digits_out, results.DIGITS, excel=options.excel)
            write_digits = stack.enter_context(digits)

        def both(done: Done) -> None:
            write(done.rows)
            if write_digits:
                write_digits(done.digits)

        yield both
        if later:
            _put_wide(out, kept, options)


def _put_wide(out: str, rows: list[Row], options: RunOptions) -> None:
    named = [replace(row, field="value") if row.value and not row.field else row for row in rows]
    names = dict.fromkeys(row.field for row in named if row.field)
    both = [results.pages(list(names)), results.FIELDS]
    with results.writer(out, *both, excel=options.excel) as put:
        put(named)


def as_left(path: str, written: Written | None) -> bool:
    """Tell whether a table is as it was left: by size and time, in doubt by what is in it."""
    if written is None:
        return False
    try:
        found = os.stat(path)
        if (found.st_size, found.st_mtime_ns) == written[:2]:
            return True
        return found.st_size == written.size and _digest(path) == written.content
    except OSError:
        return False


def strange(path: str, book: Ledger) -> bool:
    """Tell whether a table is there that is not as it was left."""
    return os.path.exists(path) and not as_left(path, book.written(_name(path, book)))


@contextmanager
def guarded(path: str, book: Ledger, terms: str, summary: Callable[[], str]) -> Iterator[None]:
    """Replace a table within the block; one that somebody edited is kept under another name.

    Args:
        path: of the table; `-` is no file.
        book: knows how it was left, and is told how it is left now.
        terms: what it is made on.
        summary: gives what is said of it, once it is written.

    Raises:
        OutputError: it cannot be kept, or what was written cannot be found.
    """
    if path == "-":
        yield
        return
    kept = ""
    with results.faults(path):
        if strange(path, book):
            kept = _kept(path)
    try:
        yield
    except BaseException:
        with suppress(OSError):
            if kept and _digest(kept) == _digest(path):  # else it has been replaced already
                os.unlink(kept)
                kept = ""
        if kept:
            log.error(EDITED, path, kept)  # noqa: TRY400 (the fault has a line of its own)
        raise
    with results.faults(path):
        found = os.stat(path)
        left = Written(found.st_size, found.st_mtime_ns, _digest(path), terms, summary())
        if kept and _digest(kept) == left.content:  # a run was killed before it could note it
            os.unlink(kept)
        elif kept:
            log.error(EDITED, path, kept)
    with book.together():
        book.wrote(_name(path, book), left)


def _kept(path: str) -> str:
    """Keep on disk what stands in a table's place, under another name, which it gives."""
    kept, real = kept_name(path), Path(os.path.realpath(path))
    try:
        os.link(real, kept)
    except OSError:  # the disk knows no links, or it is another one
        with real.open("rb") as file, place.aside(Path(kept), like=real) as copy:
            shutil.copyfileobj(file, copy)
    place.sync(os.path.dirname(kept) or os.curdir)
    return kept


def narrow(state: str, table: str) -> None:
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


def _name(path: str, book: Ledger) -> str:
    """Name a table in the ledger: as seen from there, as folders may move with all in them."""
    name = os.path.relpath(os.path.realpath(path), book.folder)
    return name.encode("utf-8", "backslashreplace").decode()


def standing(path: str, book: Ledger, terms: str) -> Written | None:
    """Give how a table was left, if it stands so, and was made on these terms of what is known."""
    written = None if path == "-" else book.written(_name(path, book))
    if written is None or written.settings != terms or not as_left(path, written):
        return None
    return written


def _digest(path: str) -> bytes:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20)).digest()
