"""Which known files have rows in a run's table: those of its INPUTs that are not pruned."""

import functools
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator

from batchdigits.errors import UsageError
from batchdigits.job import Job
from batchdigits.objects import ObjectError, is_url, object_exists
from batchdigits.sources import FoundSources, escape_path, unescape_path
from batchdigits.sources.archives import split_member
from batchdigits.state import StateStore
from batchdigits.summary import Summary

log = logging.getLogger(__name__)

MISSING_FILES_MESSAGE = (
    "no images found%s, as if a disk were missing: the rows of %d files are kept"
)


class InputScope:
    """The INPUTs of a run: the folders and files whose rows its table holds."""

    def __init__(self, inputs: Iterable[str]) -> None:
        """Take the INPUTs as typed or listed; they need not exist."""
        self._inputs = list(inputs)
        self._files = {escape_path(path) for path in self._inputs}
        self._folders = tuple(escape_path(os.path.join(path, "")) for path in self._inputs)
        self._real_folder = functools.cache(os.path.realpath)

    def find_table_name(self, file: str) -> str:
        """Return the name that a known file has in the table of this run.

        Args:
            file: as the table of an earlier run spells it; it need not exist.

        Returns:
            The first INPUT that holds it, as typed, with the path below it, escaped as in the
            table; empty if no INPUT holds it.
        """
        is_below = file.startswith(self._folders) and "/../" not in file  # `..` may lead out again
        is_held = file in self._files or is_below
        if is_held and not self._inputs_overlap:
            return file
        place, member = split_member(file)
        name = self._respell_file(place)
        return name + member if name else (file if is_held else "")

    def _respell_file(self, file: str) -> str:
        path = os.fsdecode(unescape_path(file))
        matches = [
            (self._places[folder], below)
            for place in dict.fromkeys((_make_absolute(path), self._resolve_links(path)))
            for folder, below in _walk_ancestors(place)
            if folder in self._places
        ]
        if not matches:
            return ""
        index, below = min(matches)  # the first INPUT that holds a file names it
        return escape_path(
            os.path.join(self._inputs[index], below) if below else self._inputs[index]
        )

    @functools.cached_property
    def _places(self) -> dict[str, int]:
        """The index of each INPUT by its absolute and by its real path; the first typed wins."""
        index_by_place: dict[str, int] = {}
        for index, path in enumerate(self._inputs):
            for place in _make_absolute(path), self._resolve_links(path):
                index_by_place.setdefault(place, index)
        return index_by_place

    @functools.cached_property
    def _inputs_overlap(self) -> bool:
        """Whether one INPUT is, or lies below, another: then a file has several spellings."""
        if len(self._inputs) == 1:
            return False
        if len({*self._places.values()}) < len(self._inputs):
            return True
        places = self._places.items()
        return any(
            self._places.get(folder, index) != index
            for place, index in places
            for folder, _ in _walk_ancestors(place)
        )

    def _resolve_links(self, path: str) -> str:
        """Return a path with the links of its folder resolved; its last part need not exist."""
        try:
            if os.path.isdir(path):
                return os.path.realpath(path)
            folder, name = os.path.split(path)
            return os.path.join(self._real_folder(folder or os.curdir), name)
        except ValueError:  # a zero byte, which no path has
            return path


def _make_absolute(path: str) -> str:
    try:
        return os.path.abspath(path)
    except ValueError:
        return path


def _walk_ancestors(place: str) -> Iterator[tuple[str, str]]:
    """Yield a path and each folder above it, with the rest of the path below it."""
    below = ""
    while True:
        yield place, below
        folder, name = os.path.split(place)
        if folder == place:
            return
        place, below = folder, os.path.join(name, below) if below else name


def select_rows(job: Job, store: StateStore) -> None:
    """Exclude the known files of other INPUTs from the table, unless the job appends to it.

    A file that another run spelled differently, but that an INPUT of this run holds, gets the name
    that it has here; if another record has that name already, it is deleted.
    """
    input_scope = InputScope([*job.inputs.typed, *job.inputs.listed])
    named_files = ((file, input_scope.find_table_name(file)) for file in store.list_absent_files())
    renamed = [(file, name) for file, name in named_files if name != file]
    excluded = [file for file, name in renamed if not name]
    with store.transaction():
        for file, name in renamed:
            if name and store.has_file(name):
                store.prune_files([file], moved=False)
            elif name:
                store.rename_file(file, name)
        if len(excluded) < len(renamed):
            store.mark_tables_stale()
        store.exclude_files([] if job.options.append else excluded)


def log_missing_files(store: StateStore, listing: FoundSources, summary: Summary) -> None:
    """Log of how many known files nothing was found, where that looks like a missing disk."""
    if summary.gone and not summary.files:
        log.error(MISSING_FILES_MESSAGE, "", summary.gone)
        return
    for folder, count in _count_missing_files(store, listing).items():
        log.error(MISSING_FILES_MESSAGE, f" in '{folder}'", count)


def _count_missing_files(store: StateStore, listing: FoundSources) -> dict[str, int]:
    """Count the known files that were not found, by folder that could not be listed completely."""
    starts = [(f"{place}/", place) for place in listing.unseen]
    counts = Counter[str]()
    for file, _ in store.list_gone_files() if starts else ():
        counts.update(place for start, place in starts if file.startswith(start))
    return dict(counts)


def prune_gone_files(store: StateStore, listing: FoundSources) -> int:
    """Delete files that are gone or were moved; return their number.

    A file is not gone if its folder could not be listed completely, nor if it still exists and no
    INPUT asked for it. It is gone if this run found it under another name.
    """
    unseen = tuple(f"{place}/" for place in listing.unseen)
    gone = [file for file, _ in store.list_gone_files() if not file.startswith(unseen)]
    read_paths = {os.fsencode(os.path.realpath(one.path)) for one in listing.sources if gone}
    gone = [
        file for file in gone if (real := _resolve_real_path(file)) is None or real in read_paths
    ]
    return store.prune_files(gone, moved=True)


def prune_mended_folders(store: StateStore) -> int:
    """Delete the errors of folders that can be listed again; return their number."""
    failed = [file for file, failed in store.list_gone_files() if failed]
    mended = [file for file in failed if os.path.isdir(unescape_path(file))]
    return store.prune_files(mended, moved=False)


def _resolve_real_path(file: str) -> bytes | None:
    """Return the real path of a file of the table; None if there is no file."""
    path = unescape_path(file)
    if is_url(file):
        return path if _object_exists(os.fsdecode(path)) else None
    return os.path.realpath(path) if os.path.isfile(path) else None


def _object_exists(url: str) -> bool:
    """Return whether there is an object, or may be one."""
    try:
        return object_exists(url)
    except (ObjectError, UsageError):
        return True
