"""Folders, files and listed paths → the sources to read, in the order of the table.

Knows paths and the first bytes of files, not pixels. Nothing that could block is ever opened.
"""

import codecs
import functools
import os
import re
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

from batchdigits.errors import UsageError
from batchdigits.formats import has_image_suffix
from batchdigits.records import Source
from batchdigits.sources import inspection
from batchdigits.sources.inspection import FILE_MISSING
from batchdigits.sources.names import escape_path, unescape_path

__all__ = [
    "FILE_MISSING",
    "MOVED_FOLDER_FLAG",
    "FoundSources",
    "check_inputs",
    "escape_path",
    "find_sources",
    "parse_path_list",
    "unescape_path",
]

_SKIP_HIDDEN = "hidden or half-written"
_SKIP_NO_IMAGE = "not an image"
_SKIP_UNREADABLE = "could not be looked into"
_SKIP_MOVED = "moved by an earlier run"
MOVED_FOLDER_FLAG = ".batchdigits-moved"
"""A file that marks the folder it lies in: what is in there was put there by a run."""

_UNFINISHED_NAME = re.compile(
    r"\A(?:\.|~\$)|(?:\.(?:part|tmp|crdownload|filepart)|~)\Z", re.IGNORECASE | re.DOTALL
)
MAX_FOLDER_DEPTH = 256
"""Folders below an INPUT that are gone down into, one in another."""


@dataclass(frozen=True)
class FoundSources:
    """What the inputs hold.

    Attributes:
        sources: each file once, ordered by the UTF-8 bytes of `Source.file`.
        skipped: reason in plain words → number of entries of folders passed over for it;
            a skipped folder counts once.
        unseen: folders, spelled as in `Source.file`, that may hold more than was found: not to be
            looked into, links to nowhere, INPUTs with nothing to read, as if a disk were missing.
    """

    sources: list[Source]
    skipped: dict[str, int]
    unseen: list[str]


def check_inputs(
    inputs: Sequence[str], *, outputs: Sequence[str] = (), moved: Sequence[str] = ()
) -> None:
    """Say now whether `find_sources` could find anything.

    Raises:
        UsageError: one of `inputs` does not exist, or all of them lie in the folders `moved`.
    """
    search = _Search(outputs, moved)
    for path in inputs:
        search.check_exists(path)
    if inputs and all(search.is_moved(search.resolve_path(path), marks=False) for path in inputs):
        raise UsageError(
            f"INPUT '{escape_path(inputs[0])}' lies in a folder for files that were read, which are "
            "never read again: choose another folder for --move-done and --move-failed"
        )


def find_sources(
    inputs: Sequence[str],
    *,
    listed: Sequence[str] = (),
    outputs: Sequence[str] = (),
    moved: Sequence[str] = (),
) -> FoundSources:
    """Finds every file the inputs name or hold.

    A file reached twice is taken once, as it was reached first: in the order of `inputs`, then
    `parse_path_list`, folders in the order of names. What counts is the entry in its real folder, so two
    names for one content are two sources.

    Args:
        inputs: folders (read recursively) and files, as typed.
        listed: the same, from a list made earlier: one that is missing is a source with a fault.
        outputs: files and folders the job itself writes; left out wherever they are met.
        moved: folders for files that were read; what is in them is left out however it is named.
            So is what is met, or listed, in a folder that bears a `MOVED_FOLDER_FLAG`: only when it is typed
            itself somebody wants that.

    Raises:
        UsageError: one of `inputs` does not exist.
    """
    search = _Search(outputs, moved)
    for path in inputs:
        search.check_exists(path)
        search.add_path(path, marks=False)
    for path in listed:
        search.add_path(path, marks=True)
    return FoundSources(
        sources=sorted(search.sources, key=lambda source: source.file.encode()),
        skipped=dict(sorted(Counter(search.skipped.values()).items())),
        unseen=search.unseen,
    )


def parse_path_list(lines: bytes, *, null: bool) -> list[str]:
    r"""Split a list of paths, as `find_sources` or `ls` print it; empty entries are ignored.

    Args:
        lines: the whole list, as raw bytes.
        null: whether NUL ends an entry, which holds any name. Otherwise LF or CRLF does, and a
            UTF-8 byte-order mark before the first is no part of it.
    """
    if null:
        entries = lines.split(b"\0")
    else:
        text = lines.removeprefix(codecs.BOM_UTF8)
        entries = [line.removesuffix(b"\r") for line in text.split(b"\n")]
    return [os.fsdecode(entry) for entry in entries if entry]


class _Search:
    """The state of one `find_sources`. An "entry" is a name in a real folder, as one absolute path."""

    def __init__(self, outputs: Sequence[str], moved: Sequence[str]) -> None:
        self.moved = {os.path.realpath(path) for path in moved}
        self.outputs = {os.path.realpath(path) for path in outputs} | self.moved
        self.sources: list[Source] = []
        # By entry, so that what a folder passes over and another input names is not counted.
        self.skipped: dict[str, str] = {}
        self.unseen: list[str] = []
        self.seen: set[str] = set()
        self.top = ""
        self.real_folder = functools.cache(lambda path: os.path.realpath(path or "."))
        self.marked = functools.cache(
            lambda folder: os.path.lexists(os.path.join(folder, MOVED_FOLDER_FLAG))
        )

    def check_exists(self, path: str) -> None:
        """Refuses a path that was typed and leads nowhere."""
        if inspection.inspect_path(path)[1] == FILE_MISSING and not self.is_output(
            self.resolve_entry(path), link=False
        ):
            raise UsageError(
                f"INPUT '{escape_path(path)}' does not exist: expected a file or a folder; "
                "check the name, and that its disk is mounted"
            )

    def add_path(self, path: str, *, marks: bool) -> None:
        """Takes a path that was named: a folder with all in it, anything else as a source."""
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
            self.add_source(entry, path, fault, named=True)

    def walk_folder(self, top: str) -> None:
        """Takes all in a folder, each real folder once: links cannot lead round in circles."""
        self.top = top
        waiting = [(top, os.path.realpath(top), 0)]
        while waiting:
            path, real, depth = waiting.pop()
            if real in self.seen or real in self.outputs:
                continue
            self.seen.add(real)
            self.skipped.pop(real, None)
            if depth > MAX_FOLDER_DEPTH:
                fault = f"folders are read {MAX_FOLDER_DEPTH} deep, and this one lies deeper: move it up"
                self.add_faulty_folder(path, fault)
                continue
            below = reversed(self.scan_folder(path, real))
            waiting.extend((path, real, depth + 1) for path, real in below)

    def scan_folder(self, path: str, real: str) -> list[tuple[str, str]]:
        """Takes the files of one folder; returns its subfolders as (path, real path)."""
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
        met = [(item.path, self.add_or_skip_item(item, base + item.name)) for item in items]
        return [(below, folder) for below, folder in met if folder]

    def add_or_skip_item(self, item: os.DirEntry[str], entry: str) -> str:
        """Takes or skips one entry of a folder; returns its real path if it is to be walked."""
        mode, fault = inspection.get_entry_type(item), ""
        if entry in self.seen or self.is_output(entry, link=not mode):
            return ""
        if _UNFINISHED_NAME.search(item.name):
            self.skipped[entry] = _SKIP_HIDDEN
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
        reason = _describe_skip(item, fault)
        if reason:
            self.skipped[entry] = reason
            if reason == _SKIP_UNREADABLE:
                self.unseen.append(escape_path(item.path))
        else:
            self.add_source(entry, item.path, fault)
        return ""

    def add_faulty_folder(self, path: str, fault: str) -> None:
        """Take a folder that cannot be gone into for a source with that fault."""
        self.sources.append(Source(escape_path(path), path, fault, top=self.top))
        self.unseen.append(escape_path(path))

    def add_source(self, entry: str, path: str, fault: str, *, named: bool = False) -> None:
        if entry not in self.seen:
            self.seen.add(entry)
            self.skipped.pop(entry, None)
            top = "" if named else self.top
            self.sources.append(Source(escape_path(path), path, fault, named, top))

    def resolve_entry(self, path: str) -> str:
        folder, name = os.path.split(path)
        try:
            return os.path.join(self.real_folder(folder), name)
        except ValueError:  # no path at all, see `files.inspect_path`: it shares no folder
            return path

    def resolve_path(self, path: str) -> str:
        """What a path leads to; for a plain file, by its folder, which is known already."""
        try:
            plain = not (os.path.islink(path) or os.path.isdir(path))
            return self.resolve_entry(path) if plain else os.path.realpath(path)
        except ValueError:
            return path

    def is_moved(self, real: str, *, marks: bool) -> bool:
        """Whether a path lies in a folder for files that were read; by its `MOVED_FOLDER_FLAG`, or as told."""
        while real not in self.moved and not (marks and self.marked(real)):
            above = os.path.dirname(real)
            if above == real:
                return False
            real = above
        return True

    def is_output(self, entry: str, *, link: bool) -> bool:
        return entry in self.outputs or (link and os.path.realpath(entry) in self.outputs)


def _describe_skip(item: os.DirEntry[str], fault: str) -> str:
    """Why a file of a folder is not a source; empty if it is one."""
    if has_image_suffix(item.name):
        return ""
    if fault:
        return _SKIP_UNREADABLE
    try:
        return "" if inspection.has_image_signature(item.path) else _SKIP_NO_IMAGE
    except OSError:
        return _SKIP_UNREADABLE
