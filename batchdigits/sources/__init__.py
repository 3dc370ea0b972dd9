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
from batchdigits.records import Source
from batchdigits.sources import inspection
from batchdigits.sources.inspection import GONE
from batchdigits.sources.names import spell, unspell

__all__ = ["GONE", "MARK", "Found", "check", "find", "listed", "spell", "unspell"]

_HIDDEN = "hidden or half-written"
_NO_IMAGE = "not an image"
_UNSEEN = "could not be looked into"
_MOVED = "moved by an earlier run"
MARK = ".batchdigits-moved"
"""A file that marks the folder it lies in: what is in there was put there by a run."""

_UNFINISHED = re.compile(
    r"\A(?:\.|~\$)|(?:\.(?:part|tmp|crdownload|filepart)|~)\Z", re.IGNORECASE | re.DOTALL
)
MOST_DEPTH = 256
"""Folders below an INPUT that are gone down into, one in another."""


@dataclass(frozen=True)
class Found:
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


def check(inputs: Sequence[str], *, outputs: Sequence[str] = (), moved: Sequence[str] = ()) -> None:
    """Say now whether `find` could find anything.

    Raises:
        UsageError: one of `inputs` does not exist, or all of them lie in the folders `moved`.
    """
    search = _Search(outputs, moved)
    for path in inputs:
        search.must_be_there(path)
    if inputs and all(search.put_away(search.real(path), marks=False) for path in inputs):
        raise UsageError(
            f"INPUT '{spell(inputs[0])}' lies in a folder for files that were read, which are "
            "never read again: choose another folder for --move-done and --move-failed"
        )


def find(
    inputs: Sequence[str],
    *,
    listed: Sequence[str] = (),
    outputs: Sequence[str] = (),
    moved: Sequence[str] = (),
) -> Found:
    """Finds every file the inputs name or hold.

    A file reached twice is taken once, as it was reached first: in the order of `inputs`, then
    `listed`, folders in the order of names. What counts is the entry in its real folder, so two
    names for one content are two sources.

    Args:
        inputs: folders (read recursively) and files, as typed.
        listed: the same, from a list made earlier: one that is missing is a source with a fault.
        outputs: files and folders the job itself writes; left out wherever they are met.
        moved: folders for files that were read; what is in them is left out however it is named.
            So is what is met, or listed, in a folder that bears a `MARK`: only when it is typed
            itself somebody wants that.

    Raises:
        UsageError: one of `inputs` does not exist.
    """
    search = _Search(outputs, moved)
    for path in inputs:
        search.must_be_there(path)
        search.take(path, marks=False)
    for path in listed:
        search.take(path, marks=True)
    return Found(
        sources=sorted(search.sources, key=lambda source: source.file.encode()),
        skipped=dict(sorted(Counter(search.skipped.values()).items())),
        unseen=search.unseen,
    )


def listed(lines: bytes, *, null: bool) -> list[str]:
    r"""Split a list of paths, as `find` or `ls` print it; empty entries are ignored.

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
    """The state of one `find`. An "entry" is a name in a real folder, as one absolute path."""

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
        self.marked = functools.cache(lambda folder: os.path.lexists(os.path.join(folder, MARK)))

    def must_be_there(self, path: str) -> None:
        """Refuses a path that was typed and leads nowhere."""
        if inspection.inspect_path(path)[1] == GONE and not self.is_output(
            self.entry(path), link=False
        ):
            raise UsageError(
                f"INPUT '{spell(path)}' does not exist: expected a file or a folder; "
                "check the name, and that its disk is mounted"
            )

    def take(self, path: str, *, marks: bool) -> None:
        """Takes a path that was named: a folder with all in it, anything else as a source."""
        mode, fault = inspection.inspect_path(path)
        entry = self.entry(path)
        if self.put_away(self.real(path), marks=marks):
            self.skipped[entry] = _MOVED
        elif stat.S_ISDIR(mode):
            count = len(self.sources)
            self.walk(path)
            if len(self.sources) == count:
                self.unseen.append(spell(path))
        elif not self.is_output(entry, link=os.path.islink(path)):
            self.add(entry, path, fault, named=True)

    def walk(self, top: str) -> None:
        """Takes all in a folder, each real folder once: links cannot lead round in circles."""
        self.top = top
        waiting = [(top, os.path.realpath(top), 0)]
        while waiting:
            path, real, depth = waiting.pop()
            if real in self.seen or real in self.outputs:
                continue
            self.seen.add(real)
            self.skipped.pop(real, None)
            if depth > MOST_DEPTH:
                fault = f"folders are read {MOST_DEPTH} deep, and this one lies deeper: move it up"
                self.closed(path, fault)
                continue
            below = reversed(self.take_folder(path, real))
            waiting.extend((path, real, depth + 1) for path, real in below)

    def take_folder(self, path: str, real: str) -> list[tuple[str, str]]:
        """Takes the files of one folder; returns its subfolders as (path, real path)."""
        try:
            with os.scandir(path) as listing:
                items = sorted(listing, key=attrgetter("name"))
        except OSError as error:
            fault = f"the folder cannot be read: {inspection.describe_error(error)}"
            self.closed(path, fault)
            return []
        if path != self.top and any(item.name == MARK for item in items):
            self.skipped[real] = _MOVED
            return []
        base = os.path.join(real, "")
        met = [(item.path, self.take_item(item, base + item.name)) for item in items]
        return [(below, folder) for below, folder in met if folder]

    def take_item(self, item: os.DirEntry[str], entry: str) -> str:
        """Takes or skips one entry of a folder; returns its real path if it is to be walked."""
        mode, fault = inspection.type_of_entry(item), ""
        if entry in self.seen or self.is_output(entry, link=not mode):
            return ""
        if _UNFINISHED.search(item.name):
            self.skipped[entry] = _HIDDEN
            return ""
        if not mode:
            mode, fault = inspection.inspect_path(item.path)
            real = os.path.realpath(entry)
            if self.put_away(real, marks=True):
                self.skipped[entry] = _MOVED
                return ""
            if stat.S_ISDIR(mode):
                return real
        if stat.S_ISDIR(mode):
            return entry
        reason = _why_skip(item, fault)
        if reason:
            self.skipped[entry] = reason
            if reason == _UNSEEN:
                self.unseen.append(spell(item.path))
        else:
            self.add(entry, item.path, fault)
        return ""

    def closed(self, path: str, fault: str) -> None:
        """Take a folder that cannot be gone into for a source with that fault."""
        self.sources.append(Source(spell(path), path, fault, top=self.top))
        self.unseen.append(spell(path))

    def add(self, entry: str, path: str, fault: str, *, named: bool = False) -> None:
        if entry not in self.seen:
            self.seen.add(entry)
            self.skipped.pop(entry, None)
            top = "" if named else self.top
            self.sources.append(Source(spell(path), path, fault, named, top))

    def entry(self, path: str) -> str:
        folder, name = os.path.split(path)
        try:
            return os.path.join(self.real_folder(folder), name)
        except ValueError:  # no path at all, see `files.inspect_path`: it shares no folder
            return path

    def real(self, path: str) -> str:
        """What a path leads to; for a plain file, by its folder, which is known already."""
        try:
            plain = not (os.path.islink(path) or os.path.isdir(path))
            return self.entry(path) if plain else os.path.realpath(path)
        except ValueError:
            return path

    def put_away(self, real: str, *, marks: bool) -> bool:
        """Whether a path lies in a folder for files that were read; by its `MARK`, or as told."""
        while real not in self.moved and not (marks and self.marked(real)):
            above = os.path.dirname(real)
            if above == real:
                return False
            real = above
        return True

    def is_output(self, entry: str, *, link: bool) -> bool:
        return entry in self.outputs or (link and os.path.realpath(entry) in self.outputs)


def _why_skip(item: os.DirEntry[str], fault: str) -> str:
    """Why a file of a folder is not a source; empty if it is one."""
    if inspection.has_image_suffix(item.name):
        return ""
    if fault:
        return _UNSEEN
    try:
        return "" if inspection.has_image_signature(item.path) else _NO_IMAGE
    except OSError:
        return _UNSEEN
