"""The search for sources: folders are walked, and their entries taken or skipped."""

import functools
import os
import stat
from collections.abc import Sequence
from operator import attrgetter

from batchdigits.errors import UsageError
from batchdigits.formats import has_archive_suffix, has_image_suffix
from batchdigits.objects import is_url
from batchdigits.records import Source
from batchdigits.sources import inspection, remote
from batchdigits.sources.inspection import FILE_MISSING, escape_path
from batchdigits.sources.remote import SKIP_HIDDEN, SKIP_NO_IMAGE, UNFINISHED_NAME

_SKIP_UNREADABLE = "could not be looked into"
_SKIP_MOVED = "moved by an earlier run"
MOVED_FOLDER_FLAG = ".batchdigits-moved"
"""Name of the file that marks a folder whose files an earlier run moved there."""

MAX_FOLDER_DEPTH = 256
"""Levels of folders below an INPUT that are read."""


class SourceSearch:
    """What one call of `find_sources` has found so far.

    An "entry" is a name in a real folder, as one absolute path; the name itself may be a link.

    Attributes:
        sources: in the order in which they were found.
        skipped: entry → why it was skipped.
        unseen: as in `FoundSources`.
    """

    def __init__(
        self, outputs: Sequence[str], moved: Sequence[str], *, archives: bool = False
    ) -> None:
        """Begin an empty search; the arguments are those of `find_sources`."""
        self.archives = archives
        self.moved = {os.path.realpath(path) for path in moved}
        self.outputs = {os.path.realpath(path) for path in outputs} | self.moved
        self.sources: list[Source] = []
        # By entry: one that a folder's search skips may still be named by another input.
        self.skipped: dict[str, str] = {}
        self.unseen: list[str] = []
        self.seen: set[str] = set()
        self.top = ""
        self.resolve_folder = functools.cache(lambda path: os.path.realpath(path or "."))
        self.is_flagged = functools.cache(
            lambda folder: os.path.lexists(os.path.join(folder, MOVED_FOLDER_FLAG))
        )

    def check_exists(self, path: str) -> None:
        """Raise `UsageError` for a typed path that leads nowhere."""
        if is_url(path):
            return remote.check_url(path)
        if inspection.inspect_path(path)[1] == FILE_MISSING and not self.is_output(
            self.resolve_entry(path), link=False
        ):
            raise UsageError(
                f"INPUT '{escape_path(path)}' does not exist: expected a file or a folder; "
                "check the name, and that its disk is mounted"
            )

    def add_path(self, path: str, *, marks: bool) -> None:
        """Add a path that was named: all in it if it is a folder, or else itself."""
        if is_url(path):
            return self.add_url(path)
        mode, fault = inspection.inspect_path(path)
        entry = self.resolve_entry(path)
        if self.is_moved(self.resolve_path(path), marks=marks):
            self.skipped[entry] = _SKIP_MOVED
        elif stat.S_ISDIR(mode):
            count = len(self.sources)
            self.walk_folder(path)
            if len(self.sources) == count:
                self.unseen.append(escape_path(path))
        elif not self.is_output(entry, link=os.path.islink(path)):
            self.add_source(entry, path, fault, is_archive=self.is_archive(path))

    def add_url(self, url: str) -> None:
        """Add the object that a URL names, or all objects below it."""
        found = remote.find_objects(url, archives=self.archives)
        for source in found.sources:
            if source.path not in self.seen:
                self.seen.add(source.path)
                self.sources.append(source)
        self.skipped |= found.skipped
        if not found.sources:
            self.unseen.append(escape_path(url))

    def walk_folder(self, top: str) -> None:
        """Add all in a folder; each real folder once, so that circles of links end."""
        self.top = top
        waiting = [(top, os.path.realpath(top), 0)]
        while waiting:
            path, real, depth = waiting.pop()
            if real in self.seen or real in self.outputs:
                continue
            self.seen.add(real)
            self.skipped.pop(real, None)
            if depth > MAX_FOLDER_DEPTH:
                limit = f"folders are read {MAX_FOLDER_DEPTH} deep"
                self.add_faulty_folder(path, f"{limit}, and this one lies deeper: move it up")
                continue
            below = reversed(self.add_files_of_folder(path, real))
            waiting.extend((path, real, depth + 1) for path, real in below)

    def add_files_of_folder(self, path: str, real: str) -> list[tuple[str, str]]:
        """Add the files of one folder; return its subfolders as (path, real path)."""
        try:
            with os.scandir(path) as listing:
                items = sorted(listing, key=attrgetter("name"))
        except OSError as error:
            fault = f"the folder cannot be read: {inspection.describe_error(error)}"
            self.add_faulty_folder(path, fault)
            return []
        if path != self.top and any(item.name == MOVED_FOLDER_FLAG for item in items):
            self.skipped[real] = _SKIP_MOVED
            return []
        base = os.path.join(real, "")
        entries = [(item.path, self.add_or_skip_item(item, base + item.name)) for item in items]
        return [(below, folder) for below, folder in entries if folder]

    def add_or_skip_item(self, item: os.DirEntry[str], entry: str) -> str:
        """Add or skip one entry of a folder; return its real path if it is a folder to walk."""
        mode, fault = inspection.get_entry_type(item), ""
        if entry in self.seen or self.is_output(entry, link=not mode):
            return ""
        if UNFINISHED_NAME.search(item.name):
            self.skipped[entry] = SKIP_HIDDEN
            return ""
        if not mode:
            mode, fault = inspection.inspect_path(item.path)
            real = os.path.realpath(entry)
            if self.is_moved(real, marks=True):
                self.skipped[entry] = _SKIP_MOVED
                return ""
            if stat.S_ISDIR(mode):
                return real
        if stat.S_ISDIR(mode):
            return entry
        is_archive = self.is_archive(item.name)
        reason = "" if is_archive else _find_skip_reason(item, fault)
        if reason:
            self.skipped[entry] = reason
            if reason == _SKIP_UNREADABLE:
                self.unseen.append(escape_path(item.path))
        else:
            self.add_source(entry, item.path, fault, self.top, is_archive=is_archive)
        return ""

    def add_faulty_folder(self, path: str, fault: str) -> None:
        """Add a folder that is not read as a source with that fault."""
        self.sources.append(Source(escape_path(path), path, fault, top=self.top))
        self.unseen.append(escape_path(path))

    def add_source(
        self, entry: str, path: str, fault: str, top: str | None = None, *, is_archive: bool
    ) -> None:
        """Add a file of the INPUT `top`, or a named one, unless its entry was reached before."""
        if entry not in self.seen:
            self.seen.add(entry)
            self.skipped.pop(entry, None)
            named = top is None
            file = escape_path(path)
            self.sources.append(Source(file, path, fault, named, top or "", is_archive=is_archive))

    def is_archive(self, name: str) -> bool:
        """Return whether a file is an archive whose members are read."""
        return self.archives and has_archive_suffix(name)

    def resolve_entry(self, path: str) -> str:
        """Return a path with its folder resolved, and its last name as it is."""
        folder, name = os.path.split(path)
        try:
            return os.path.join(self.resolve_folder(folder), name)
        except ValueError:  # no name can hold this, see `inspection.inspect_path`
            return path

    def resolve_path(self, path: str) -> str:
        """Return what a path leads to; a plain file needs no call, as its folder is cached."""
        try:
            plain = not (os.path.islink(path) or os.path.isdir(path))
            return self.resolve_entry(path) if plain else os.path.realpath(path)
        except ValueError:
            return path

    def is_moved(self, real: str, *, marks: bool) -> bool:
        """Return whether a path lies in a folder for files that were read.

        Args:
            real: absolute, without links.
            marks: whether a `MOVED_FOLDER_FLAG` makes such a folder too.
        """
        while real not in self.moved and not (marks and self.is_flagged(real)):
            above = os.path.dirname(real)
            if above == real:
                return False
            real = above
        return True

    def is_output(self, entry: str, *, link: bool) -> bool:
        """Return whether the job itself writes an entry, or, with `link`, what it leads to."""
        return entry in self.outputs or (link and os.path.realpath(entry) in self.outputs)


def _find_skip_reason(item: os.DirEntry[str], fault: str) -> str:
    """Return why a file of a folder is not a source; empty if it is a source."""
    if has_image_suffix(item.name):
        return ""
    if fault:
        return _SKIP_UNREADABLE
    try:
        return "" if inspection.has_image_signature(item.path) else SKIP_NO_IMAGE
    except OSError:
        return _SKIP_UNREADABLE
