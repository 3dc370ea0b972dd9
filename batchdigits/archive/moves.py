"""Move files that were read to the folders that the options name, and lose none on the way.

A file is moved only when the table and the state are on disk, and only if it has not changed since
it was read. A file of the same name in the folder is kept, and so is a new file of that name in the
inbox.
"""

import errno
import logging
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import filelock

from batchdigits import files
from batchdigits.archive import transfer
from batchdigits.archive.transfer import ChangedError
from batchdigits.errors import OutputError, UsageError
from batchdigits.job import Job
from batchdigits.records import FileSnapshot, Source
from batchdigits.sources import MOVED_FOLDER_FLAG, escape_path, inspection
from batchdigits.state import MOVED
from batchdigits.state.keeping import State
from batchdigits.state.known import NoState
from batchdigits.summary import StopRequest, Summary

log = logging.getLogger("batchdigits.said.moved")  # for the log file alone

LOCK_WAIT_S = 600.0
"""How long to wait while another run moves files into the same folder, s."""
MARK_TEXT = (
    "batchdigits moved the files in this folder here after it had read them, and does not read "
    "them again when it reads a folder above.\nWithout this file it would.\n"
)
MOVE_STOPPED_MESSAGE = "the table is written; what was not moved yet is moved by the next run"
"""The message of a run that is stopped."""
DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
"""Faults of a whole disk: the next file would fail too."""


def prepare_move_folder(folder: str) -> None:
    """Make a folder for files that were read, and mark it as one.

    Raises:
        OutputError: files cannot be put there.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        with _lock_folder(folder):
            mark = Path(folder, MOVED_FOLDER_FLAG)
            if not mark.stat().st_size:
                mark.write_text(MARK_TEXT, "utf-8")
        files.check_writable(os.path.join(folder, MOVED_FOLDER_FLAG))
    except OSError as fault:
        raise OutputError(
            f"files cannot be moved to '{folder}': {fault.strerror or fault}: expected a folder "
            "that can be written; choose another"
        ) from fault


def prepare_folders(job: Job) -> None:
    """Make the folders that files are moved to, and check that they can be written.

    Raises:
        OutputError: a folder cannot be written.
        UsageError: a folder holds files that no run has moved there.
    """
    for option, folder in job.paths.move_folders.items():
        _check_move_folder(option, folder, job)
    for folder in job.paths.move_folders.values():
        prepare_move_folder(folder)


def _check_move_folder(option: str, folder: str, job: Job) -> None:
    """Refuse a folder that holds other files: every run would skip them from then on."""
    real = os.path.realpath(folder)
    with files.wrap_os_errors(folder):
        names = os.listdir(real) if os.path.isdir(real) else []
    ours = {os.path.realpath(path) for _, path in job.paths.list_files()}
    others = any(os.path.join(real, name) not in ours for name in names)
    if others and MOVED_FOLDER_FLAG not in names:
        raise UsageError(
            f"{option} '{folder}' has files that no run has moved there, and that none would read "
            "any more: give a new folder, or, if that is meant, make a file "
            f"{MOVED_FOLDER_FLAG} in it"
        )


def move_files(job: Job, state: State | NoState, stop: StopRequest, summary: Summary) -> None:
    """Move files that were read; call this once the tables and the state are on disk.

    Args:
        job: has the folders that they go to.
        state: has the files, and how they were when they were read.
        stop: ends the moving between two files.
        summary: gets how many were moved.

    Raises:
        OutputError: some files could not be moved.
    """
    if not job.paths.move_folders or isinstance(state, NoState):
        return
    with summary.time_stage("move"), stop.defer_stop(MOVE_STOPPED_MESSAGE):
        _Mover(job, state, summary.moved).move(stop)


class _Mover:
    """Moves the files of one run; collects the faults of single files until the end."""

    def __init__(self, job: Job, state: State, moved: Counter[str]) -> None:
        self.moved = moved
        self._state, self._settle = state, job.options.settle
        self._places = {
            option.removeprefix("--move-"): folder
            for option, folder in job.paths.move_folders.items()
        }
        self._stuck: list[str] = []
        self._real: Callable[[str], str] = cache(os.path.realpath)
        self._folders: dict[tuple[str, str], str] = {}
        self._led_to: frozenset[str] = frozenset()

    def move(self, stop: StopRequest) -> None:
        paths = (source.path for part in self._state.list_read_files() for source, _, _ in part)
        self._led_to = frozenset(os.path.realpath(path) for path in paths if os.path.islink(path))
        for part in self._state.list_read_files():
            for ending, folder in self._places.items():
                ours = [(source, entry) for source, entry, outcome in part if outcome == ending]
                if ours:
                    self._move_to_folder(ending, folder, ours, stop)
        if self._stuck:
            raise self._make_error()

    def _move_to_folder(
        self,
        ending: str,
        folder: str,
        files: Sequence[tuple[Source, FileSnapshot]],
        stop: StopRequest,
    ) -> None:
        """Move the files that go to one folder.

        The state notes them as moved beforehand. If the run is killed in between, the next run
        looks into those that were not moved, and nothing is lost.
        """
        stay = {source.file: entry for source, entry in files}
        self._state.update_snapshots(
            [one._replace(size=MOVED, time=MOVED) for one in stay.values()]
        )
        try:
            os.stat(os.path.join(folder, MOVED_FOLDER_FLAG))  # fails if its disk is gone
            with _lock_folder(folder):
                for source, entry in files:
                    if self._move_file(source, entry, folder):
                        del stay[source.file]
                        self.moved[ending] += 1
                    stop.raise_if_asked()
        except OSError as fault:  # a fault of the folder or the disk
            self._add_fault(f"'{folder}'", fault)
            raise self._make_error() from fault
        finally:
            self._state.update_snapshots(list(stay.values()))

    def _move_file(self, source: Source, entry: FileSnapshot, folder: str) -> bool:
        """Move a file if it has not changed since it was read; return whether it was moved.

        Raises:
            OSError: a fault of the whole disk.
        """
        try:
            if not self._is_movable(source) or not self._is_unchanged(source, entry):
                return False
            intended = self._make_target_path(source, folder)
            target = transfer.rename_file(source.path, intended, entry)
            target = target or transfer.move_across_disks(source.path, intended, entry, folder)
        except ChangedError:
            return False
        except OSError as fault:
            if fault.errno in DISK_FAULTS:
                raise
            if not os.path.lexists(source.path):  # somebody else has moved it
                return False
            self._add_fault(f"'{source.file}' to '{folder}'", fault)
            return False
        log.info("'%s' was moved to '%s'", source.file, escape_path(target))
        return True

    def _is_movable(self, source: Source) -> bool:
        """Return whether a file may be moved: links and what this run's links lead to stay."""
        above, name = os.path.split(source.path)
        real = self._real(above)
        if os.path.join(real, name) in self._led_to:
            return False
        if not stat.S_ISREG(os.lstat(source.path).st_mode):
            return False
        top = self._real(source.top)
        return not source.top or real == _join_normalized(top, os.path.relpath(above, source.top))

    def _is_unchanged(self, source: Source, entry: FileSnapshot) -> bool:
        """Return whether a file still is what was read, and is not being written."""
        now = inspection.stat_source(source)
        if not inspection.is_unchanged(now, entry) or (
            not source.named and inspection.is_unsettled(now, self._settle)
        ):
            return False
        if entry.sure and entry.sure == now.sure:
            return True
        return entry.content is not None and inspection.hash_source(source).content == entry.content

    def _make_target_path(self, source: Source, folder: str) -> str:
        """Return the path to move a file to; make the folders that it has below its INPUT."""
        above, name = os.path.split(source.path)
        inner = os.path.relpath(above, source.top) if source.top else os.curdir
        if (folder, inner) not in self._folders:
            path = folder
            for part in Path(inner).parts:
                path = _make_folder(os.path.join(path, part))
            self._folders[folder, inner] = path
        return os.path.join(self._folders[folder, inner], name)

    def _add_fault(self, subject: str, fault: OSError) -> None:
        self._stuck.append(f"{subject}: {fault.strerror or fault}")

    def _make_error(self) -> OutputError:
        more = f", and {len(self._stuck) - 1:,} more" if len(self._stuck) > 1 else ""
        return OutputError(
            f"the table is written, but files could not be moved: {self._stuck[0]}{more}; they "
            "stay for the next run: make room, and let this user write in both folders"
        )


@contextmanager
def _lock_folder(folder: str) -> Iterator[None]:
    """Keep other runs from putting files into a folder: names that are free stay free."""
    try:
        with filelock.FileLock(
            os.path.join(folder, MOVED_FOLDER_FLAG), LOCK_WAIT_S, fallback_to_soft=False
        ):
            yield
    except filelock.Timeout:
        raise OSError(errno.EBUSY, "another run moves files there") from None


def _make_folder(path: str) -> str:
    """Make a folder, or take the one that is there, but never a link; return its path."""
    for name in transfer.list_numbered_paths(path):
        with suppress(FileExistsError):
            os.mkdir(name)
            files.sync_folder(os.path.dirname(name))
            return name
        if stat.S_ISDIR(os.lstat(name).st_mode):
            return name
    raise AssertionError


def _join_normalized(folder: str, inner: str) -> str:
    return os.path.normpath(os.path.join(folder, inner))
