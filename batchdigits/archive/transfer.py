"""Move one file: rename it, or copy it to another disk and then remove it.

A file of the same name at the target is kept, and so is a new file of that name at the source.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

from batchdigits import files
from batchdigits.records import FileSnapshot, Source
from batchdigits.sources import inspection

MAX_NAME_BYTES = 255
"""Maximum length of a name, bytes."""
NOTE_PREFIX = ".batchdigits-moving-"
"""The name of a note begins with this."""


class ChangedError(Exception):
    """A file has changed since it was read: it stays for the next run."""


def rename_file(path: str, intended: str, entry: FileSnapshot) -> str:
    """Rename a file to a free name; return that name, empty if it is on another disk.

    Raises:
        ChangedError: another file took its name in the last moment; that file is put back.
    """
    target = _find_free_name(intended)
    try:
        os.rename(path, target)
    except OSError as fault:
        if fault.errno == errno.EXDEV:
            return ""
        raise
    if not _is_same_file(target, entry):
        os.rename(target, _find_free_name(path))
        raise ChangedError
    return target


def move_across_disks(path: str, intended: str, entry: FileSnapshot, folder: str) -> str:
    """Copy a file to another disk, and remove it once the copy is whole; return the copy's path.

    Args:
        path: of the file.
        intended: where it goes.
        entry: how it was when it was read.
        folder: gets a note meanwhile. By the note the next run tells the copy of a killed run from
            another file of the same content, which is kept.

    Raises:
        ChangedError: the file has changed since it was read.
        OSError: it cannot be read, copied or removed.
    """
    if entry.content is None:
        raise OSError(errno.EACCES, "it cannot be read, and so not be copied to another disk")
    note_path = _name_note(path, folder)
    target = _find_left_copy(intended, entry, note_path)
    if not target:
        target = _find_free_name(intended)
        _copy_verified(path, target, entry, note_path)
    try:
        _remove_original(path, entry)
    except OSError:
        if os.path.lexists(path):  # else the copy is the only one left
            os.unlink(target)
        _remove_note(note_path)
        raise
    _remove_note(note_path)
    return target


def _name_note(path: str, folder: str) -> str:
    """Return the path of a file's note; it holds its copy's inode, which renaming keeps."""
    above, name = os.path.split(path)
    real = os.fsencode(os.path.join(os.path.realpath(above), name))
    return os.path.join(folder, NOTE_PREFIX + hashlib.blake2b(real, digest_size=16).hexdigest())


def _remove_note(note_path: str) -> None:
    with suppress(OSError):
        os.unlink(note_path)


def _find_left_copy(intended: str, entry: FileSnapshot, note_path: str) -> str:
    """Return the path of the copy that a killed run made of a file; empty if there is none."""
    with suppress(OSError):
        copy = Path(note_path).read_bytes()
        for name in list_numbered_paths(intended):  # lstat ends this at the first free name
            ours = copy == b"%d" % os.lstat(name).st_ino
            if ours and inspection.hash_source(Source("", name)).content == entry.content:
                return name
    return ""


def _copy_verified(path: str, target: str, entry: FileSnapshot, note_path: str) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    whole = files.open_atomic_file(Path(target), like=Path(path), is_only_writer=True)
    with os.fdopen(handle, "rb") as file, whole as copy:
        shutil.copyfileobj(file, copy)
        copy.flush()
        os.fsync(copy.fileno())
        if inspection.hash_source(Source("", copy.name)).content != entry.content:
            raise ChangedError
        # no sync: if the disk loses the note, both files are kept
        with open(note_path, "wb", opener=files.open_private) as note_file:
            note_file.write(b"%d" % os.fstat(copy.fileno()).st_ino)


def _remove_original(path: str, entry: FileSnapshot) -> None:
    """Remove a file that was copied; a file that took its name in the last moment stays."""
    hidden = str(files.choose_temp_path(Path(path)))
    os.rename(path, hidden)
    if _is_same_file(hidden, entry):
        os.unlink(hidden)
    else:
        os.rename(hidden, _find_free_name(path))


def _is_same_file(path: str, entry: FileSnapshot) -> bool:
    """Return whether a file is the one that was read, by size and time."""
    status = os.lstat(path)
    return (status.st_size, status.st_mtime_ns) == (entry.size, entry.time)


def _find_free_name(path: str) -> str:
    return next(name for name in list_numbered_paths(path) if not os.path.lexists(name))


def list_numbered_paths(path: str) -> Iterator[str]:
    """Yield a path, then numbered ones: `a.png`, `a-2.png`, `a-3.png` …."""
    yield path
    folder, name = os.path.split(path)
    stem, ending = os.path.splitext(name)
    for number in count(2):
        tail = os.fsencode(f"-{number}{ending}")
        yield os.path.join(
            folder, os.fsdecode(os.fsencode(stem)[: MAX_NAME_BYTES - len(tail)] + tail)
        )
