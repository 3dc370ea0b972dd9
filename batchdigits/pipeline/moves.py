"""After reading: files go to the folders that the options name, and none is lost on the way.

A file is moved only when the table and the ledger are on disk, and only if it still is what was
read. What stands in the way in those folders is kept, and so is what comes into the inbox under
the file's name meanwhile.
"""

import errno
import logging
import os
import shutil
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path

import filelock

from batchdigits.errors import OutputError, Stop
from batchdigits.ledger import MOVED, Entry
from batchdigits.options import RunOptions
from batchdigits.pipeline import looks
from batchdigits.pipeline.keeping import Keeper
from batchdigits.pipeline.summary import Summary
from batchdigits.records import Source
from batchdigits.results import place
from batchdigits.sources import MARK, spell

log = logging.getLogger("batchdigits.said.moved")  # for the log file alone

WAIT = 600.0
"""s to wait while another run moves files into the same folder."""
NAME = 255
"""Bytes of a name, at most."""
SAID = (
    "batchdigits moved the files in this folder here after it had read them, and does not read "
    "them again when it reads a folder above.\nWithout this file it would.\n"
)
WRITTEN = "the table is written; what was not moved yet is moved by the next run"
"""What is said of a run that is stopped."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
"""Faults of a whole disk: the next file would fare no better."""


def check(folder: str) -> None:
    """Make a folder for files that were read, and mark it as that.

    Raises:
        OutputError: files cannot be put there.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        with _alone(folder):
            mark = Path(folder, MARK)
            if not mark.stat().st_size:
                mark.write_text(SAID, "utf-8")
        place.check_place(os.path.join(folder, MARK))
    except OSError as fault:
        raise OutputError(
            f"files cannot be moved to '{folder}': {fault.strerror or fault}: expected a folder "
            "that can be written; choose another"
        ) from fault


def move(keeper: Keeper, options: RunOptions, stop: Stop, summary: Summary) -> None:
    """Move what was read out of the way; the table and the ledger are on disk.

    Args:
        keeper: knows the files, and what was read of them.
        options: say where they go: `move_done`, and `move_failed` for those with an error row.
        stop: ends it between two files.
        summary: gets how many were moved.

    Raises:
        OutputError: some could not be moved.
    """
    with stop.gently(WRITTEN):
        _Mover(keeper, options, summary.moved).move(stop)


class _Mover:
    def __init__(self, keeper: Keeper, options: RunOptions, moved: Counter[str]) -> None:
        self.moved = moved
        self._keeper, self._settle = keeper, options.settle
        self._places = {"done": options.move_done, "failed": options.move_failed}
        self._stuck: list[str] = []
        self._real: Callable[[str], str] = cache(os.path.realpath)
        self._folders: dict[tuple[str, str], str] = {}

    def move(self, stop: Stop) -> None:
        for part in self._keeper.finished():
            for ending, folder in self._places.items():
                ours = [(source, entry) for source, entry, how in part if how == ending]
                if folder is not None and ours:
                    self._part(ending, folder, ours, stop)
        if self._stuck:
            raise self._cannot()

    def _part(
        self, ending: str, folder: str, files: Sequence[tuple[Source, Entry]], stop: Stop
    ) -> None:
        """Move files that go to one folder.

        They are noted as moved before it is so: those that a killed run has noted and not moved
        are looked into by the next one, and nothing is lost.
        """
        stay = {source.file: entry for source, entry in files}
        self._keeper.stand([one._replace(size=MOVED, time=MOVED) for one in stay.values()])
        try:
            os.stat(os.path.join(folder, MARK))  # else its disk is gone
            with _alone(folder):
                for source, entry in files:
                    if self._one(source, entry, folder):
                        del stay[source.file]
                        self.moved[ending] += 1
                    stop.check()
        except OSError as fault:  # of the folder, or the disk
            self._note(f"'{folder}'", fault)
            raise self._cannot() from fault
        finally:
            self._keeper.stand(list(stay.values()))

    def _one(self, source: Source, entry: Entry, folder: str) -> bool:
        """Move a file if it is what was read; tell whether it is gone.

        Raises:
            OSError: the disk takes no more.
        """
        try:
            if not self._is_ours(source) or not self._stands(source, entry):
                return False
            wanted = self._below(source, folder)
            target = _renamed(source.path, wanted, entry) or _carried(source.path, wanted, entry)
        except _ChangedError:
            return False
        except OSError as fault:
            if fault.errno in FULL:
                raise
            if not os.path.lexists(source.path):  # somebody else has taken it
                return False
            self._note(f"'{source.file}' to '{folder}'", fault)
            return False
        log.info("'%s' was moved to '%s'", source.file, spell(target))
        return True

    def _is_ours(self, source: Source) -> bool:
        """Tell whether a file may be moved: not what links in the INPUT lead to, nor a link."""
        if not stat.S_ISREG(os.lstat(source.path).st_mode):
            return False
        if not source.top:
            return True
        above, top = os.path.dirname(source.path), self._real(source.top)
        return self._real(above) == _joined(top, os.path.relpath(above, source.top))

    def _stands(self, source: Source, entry: Entry) -> bool:
        """Tell whether a file still is what was read, and whole."""
        now = looks.look(source)
        if not looks.same(now, entry) or (not source.named and looks.unsettled(now, self._settle)):
            return False
        if entry.sure:
            return True
        return entry.content is not None and looks.look_into(source).content == entry.content

    def _below(self, source: Source, folder: str) -> str:
        """Name a file's place: in the same folders as below the INPUT, which are made."""
        above, name = os.path.split(source.path)
        inner = os.path.relpath(above, source.top) if source.top else os.curdir
        if (folder, inner) not in self._folders:
            path = folder
            for part in Path(inner).parts:
                path = _folder(os.path.join(path, part))
            self._folders[folder, inner] = path
        return os.path.join(self._folders[folder, inner], name)

    def _note(self, what: str, fault: OSError) -> None:
        self._stuck.append(f"{what}: {fault.strerror or fault}")

    def _cannot(self) -> OutputError:
        more = f", and {len(self._stuck) - 1:,} more" if len(self._stuck) > 1 else ""
        return OutputError(
            f"the table is written, but files could not be moved: {self._stuck[0]}{more}; they "
            "stay for the next run: make room, and let this user write in both folders"
        )


class _ChangedError(Exception):
    """A file is not what was read: it stays for the next run."""


@contextmanager
def _alone(folder: str) -> Iterator[None]:
    """Have no other run put files into a folder meanwhile: names that are free stay so."""
    try:
        with filelock.FileLock(os.path.join(folder, MARK), WAIT, fallback_to_soft=False):
            yield
    except filelock.Timeout:
        raise OSError(errno.EBUSY, "another run moves files there") from None


def _renamed(path: str, wanted: str, entry: Entry) -> str:
    """Give a file its new name; nothing where that is on another disk.

    Raises:
        _ChangedError: something else came under its name in the last moment; it is there again.
    """
    target = _free(wanted)
    try:
        os.rename(path, target)
    except OSError as fault:
        if fault.errno == errno.EXDEV:
            return ""
        raise
    if not _is(target, entry):
        os.rename(target, _free(path))
        raise _ChangedError
    return target


def _carried(path: str, wanted: str, entry: Entry) -> str:
    """Copy a file to another disk, and remove it when the copy is there, whole; gives its name.

    Raises:
        _ChangedError: it is not what was read.
    """
    if entry.content is None:
        raise OSError(errno.EACCES, "it cannot be read, and so not be copied to another disk")
    for target in _names(wanted):
        if not os.path.lexists(target):
            _copy(path, target, entry)
            break
        if _is(target, entry) and looks.look_into(Source("", target)).content == entry.content:
            break  # a run was killed before it could remove the file
    try:
        _remove(path, entry)
    except OSError:
        if os.path.lexists(path):  # else the copy is all there is
            os.unlink(target)
        raise
    return target


def _copy(path: str, target: str, entry: Entry) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    whole = place.aside(Path(target), like=Path(path), alone=True)
    with os.fdopen(handle, "rb") as file, whole as copy:
        shutil.copyfileobj(file, copy)
        copy.flush()
        os.fsync(copy.fileno())
        if looks.look_into(Source("", copy.name)).content != entry.content:
            raise _ChangedError


def _remove(path: str, entry: Entry) -> None:
    """Remove a file that was copied; what came under its name in the last moment stays."""
    hidden = str(place.hidden(Path(path)))
    os.rename(path, hidden)
    if _is(hidden, entry):
        os.unlink(hidden)
    else:
        os.rename(hidden, _free(path))


def _is(path: str, entry: Entry) -> bool:
    """Tell by size and time whether a file is the one that was read."""
    found = os.lstat(path)
    return (found.st_size, found.st_mtime_ns) == (entry.size, entry.time)


def _folder(path: str) -> str:
    """Make a folder, or take the one that is there; never what a link leads to."""
    for name in _names(path):
        with suppress(FileExistsError):
            os.mkdir(name)
            place.sync(os.path.dirname(name))
            return name
        if stat.S_ISDIR(os.lstat(name).st_mode):
            return name
    raise AssertionError


def _joined(folder: str, inner: str) -> str:
    return os.path.normpath(os.path.join(folder, inner))


def _free(path: str) -> str:
    return next(name for name in _names(path) if not os.path.lexists(name))


def _names(path: str) -> Iterator[str]:
    """Give a path, then numbered ones: `a.png`, `a-2.png`, `a-3.png` …."""
    yield path
    folder, name = os.path.split(path)
    stem, ending = os.path.splitext(name)
    for number in count(2):
        tail = os.fsencode(f"-{number}{ending}")
        yield os.path.join(folder, os.fsdecode(os.fsencode(stem)[: NAME - len(tail)] + tail))
