"""Folders, files and listed paths → the sources to read, in the order of the table.

Knows paths and the first bytes of files, not pixels. Nothing that could block is ever opened.
"""

import contextlib
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

_HIDDEN = "hidden or half-written"
_NO_IMAGE = "not an image"
_UNSEEN = "could not be looked into"
_GONE = "no such file: it was listed but is not there"

_SUFFIX = re.compile(
    r"\.(?:png|jpe?g|jpe|jfif|tiff?|bmp|dib|webp|gif|jp2|j2k|jp[fxc]|pdf|mpo|hei[cf]|avif)\Z",
    re.IGNORECASE | re.ASCII,
)
_UNFINISHED = re.compile(
    r"\A(?:\.|~\$)|(?:\.(?:part|tmp|crdownload|filepart)|~)\Z", re.IGNORECASE | re.DOTALL
)
MOST_DEPTH = 256
"""Folders below an INPUT that are gone down into, one in another."""
_HEAD_BYTES = 18
"""As many bytes as the longest entry of `_SIGNATURES` looks at."""
_SIGNATURES = (
    rb"\x89PNG\r\n\x1a\n",
    rb"\xff\xd8\xff",  # JPEG
    rb"II[*+]\x00|MM\x00[*+]",  # TIFF in both byte orders; + is BigTIFF
    # "BM" begins many a text: ask as well for a known size of the header that follows at 14.
    rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\x00\x00\x00",
    rb"RIFF.{4}WEBP",
    rb"GIF8[79]a",
    rb"\x00\x00\x00\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",  # JPEG 2000: in boxes, bare codestream
    rb"%PDF-",
    rb".{4}ftyp(?:hei[cmsx]|hev[cmsx]|mif1|miaf|msf1|avi[fs])",  # HEIF and AVIF: ISO-BMFF brands
)
_IMAGE = re.compile(b"|".join(_SIGNATURES), re.DOTALL)

_CONTROL = r"\x00-\x1f\x7f-\x9f"
_ESCAPED = re.compile(rf"[\\{_CONTROL}\ud800-\udfff]")
_RISKY_START = re.compile(rf"[=+\-@{_CONTROL}]")
_ESCAPE = re.compile(rb"\\(?:\\|x([0-9a-fA-F]{2}))")

_SPECIAL = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True)
class Found:
    """What the inputs hold.

    Attributes:
        sources: each file once, ordered by the UTF-8 bytes of `Source.file`.
        skipped: reason in plain words → number of entries of folders passed over for it;
            a skipped folder counts once.
    """

    sources: list[Source]
    skipped: dict[str, int]


def find(
    inputs: Sequence[str], *, listed: Sequence[str] = (), outputs: Sequence[str] = ()
) -> Found:
    """Finds every file the inputs name or hold.

    A file reached twice is taken once, as it was reached first: in the order of `inputs`, then
    `listed`, folders in the order of names. What counts is the entry in its real folder, so two
    names for one content are two sources.

    Args:
        inputs: folders (read recursively) and files, as typed.
        listed: the same, from a list made earlier: one that is missing is a source with a fault.
        outputs: files and folders the job itself writes; left out wherever they are met.

    Raises:
        UsageError: one of `inputs` does not exist.
    """
    search = _Search(outputs)
    for path in inputs:
        search.take(path, missing_is_wrong=True)
    for path in listed:
        search.take(path, missing_is_wrong=False)
    return Found(
        sources=sorted(search.sources, key=lambda source: source.file.encode()),
        skipped=dict(sorted(Counter(search.skipped.values()).items())),
    )


def listed(lines: bytes, *, null: bool) -> list[str]:
    r"""Splits a list of paths, as `find` or `ls` print it; empty entries are ignored.

    Args:
        lines: the whole list, as raw bytes.
        null: whether NUL ends an entry; otherwise a newline, and a `\r` belongs to the name.
    """
    return [os.fsdecode(line) for line in lines.split(b"\0" if null else b"\n") if line]


def spell(path: str) -> str:
    r"""Spells a path as the table's `file` column does: one line, valid UTF-8, no formula.

    Backslashes are doubled; undecodable bytes and control characters (Unicode category Cc) are
    written `\xNN`, one for each byte of their UTF-8. A path that begins with `= + - @` or a
    control character gets `./` in front, which names the same file.

    Args:
        path: as Python gives it, undecodable bytes as surrogates (`surrogateescape`).
    """
    spelled = _ESCAPED.sub(_escape, path)
    return "./" + spelled if _RISKY_START.match(path) else spelled


def unspell(file: str) -> bytes:
    r"""Turns the table's `file` back into the path's bytes, the inverse of `spell`.

    A `./` that `spell` put in front stays: it names the same file. A backslash that `spell`
    would not have written stands for itself.
    """
    raw = file.encode("utf-8", "surrogateescape")
    return _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()) if match[1] else b"\\", raw)


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    if char == "\\":
        return "\\\\"
    # \udc80-\udcff stand for bytes; other surrogates come from no disk, yet must not crash.
    errors = "surrogateescape" if "\udc80" <= char <= "\udcff" else "surrogatepass"
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", errors))


class _Search:
    """The state of one `find`. An "entry" is a name in a real folder, as one absolute path."""

    def __init__(self, outputs: Sequence[str]) -> None:
        self.outputs = {os.path.realpath(path) for path in outputs}
        self.sources: list[Source] = []
        # By entry, so that what a folder passes over and another input names is not counted.
        self.skipped: dict[str, str] = {}
        self.seen: set[str] = set()
        self.real_folder = functools.cache(lambda path: os.path.realpath(path or "."))

    def take(self, path: str, *, missing_is_wrong: bool) -> None:
        """Takes a path that was named: a folder with all in it, anything else as a source."""
        mode, fault = _look(path)
        if stat.S_ISDIR(mode):
            self.walk(path)
            return
        entry = self.entry(path)
        if self.is_output(entry, link=os.path.islink(path)):
            return
        if fault == _GONE and missing_is_wrong:
            raise UsageError(
                f"INPUT '{spell(path)}' does not exist: expected a file or a folder; "
                "check the name, and that its disk is mounted"
            )
        self.add(entry, path, fault, named=True)

    def walk(self, top: str) -> None:
        """Takes all in a folder, each real folder once: links cannot lead round in circles."""
        waiting = [(top, os.path.realpath(top), 0)]
        while waiting:
            path, real, depth = waiting.pop()
            if real in self.seen or real in self.outputs:
                continue
            self.seen.add(real)
            self.skipped.pop(real, None)
            if depth > MOST_DEPTH:
                fault = f"folders are read {MOST_DEPTH} deep, and this one lies deeper: move it up"
                self.sources.append(Source(spell(path), path, fault))
                continue
            below = reversed(self.take_folder(path, real))
            waiting.extend((path, real, depth + 1) for path, real in below)

    def take_folder(self, path: str, real: str) -> list[tuple[str, str]]:
        """Takes the files of one folder; returns its subfolders as (path, real path)."""
        try:
            with os.scandir(path) as listing:
                items = sorted(listing, key=attrgetter("name"))
        except OSError as error:
            fault = f"the folder cannot be read: {_words(error)}"
            self.sources.append(Source(spell(path), path, fault))
            return []
        base = os.path.join(real, "")
        met = [(item.path, self.take_item(item, base + item.name)) for item in items]
        return [(below, folder) for below, folder in met if folder]

    def take_item(self, item: os.DirEntry[str], entry: str) -> str:
        """Takes or skips one entry of a folder; returns its real path if it is to be walked."""
        mode, fault = _plain_mode(item), ""
        if entry in self.seen or self.is_output(entry, link=not mode):
            return ""
        if _UNFINISHED.search(item.name):
            self.skipped[entry] = _HIDDEN
            return ""
        if not mode:
            mode, fault = _look(item.path)
            if stat.S_ISDIR(mode):
                return os.path.realpath(entry)
        if stat.S_ISDIR(mode):
            return entry
        reason = _why_skip(item, fault)
        if reason:
            self.skipped[entry] = reason
        else:
            self.add(entry, item.path, fault)
        return ""

    def add(self, entry: str, path: str, fault: str, *, named: bool = False) -> None:
        if entry not in self.seen:
            self.seen.add(entry)
            self.skipped.pop(entry, None)
            self.sources.append(Source(spell(path), path, fault, named))

    def entry(self, path: str) -> str:
        folder, name = os.path.split(path)
        try:
            return os.path.join(self.real_folder(folder), name)
        except ValueError:  # no path at all (see `_look`): it has no folder to share with others
            return path

    def is_output(self, entry: str, *, link: bool) -> bool:
        return entry in self.outputs or (link and os.path.realpath(entry) in self.outputs)


def _plain_mode(item: os.DirEntry[str]) -> int:
    """The type of a plain file or folder, which the listing knows already; 0: look closer."""
    with contextlib.suppress(OSError):
        if item.is_file(follow_symlinks=False):
            return stat.S_IFREG
        if item.is_dir(follow_symlinks=False):
            return stat.S_IFDIR
    return 0


def _look(path: str) -> tuple[int, str]:
    """The mode of what a path leads to (0: nothing), and why it cannot be read (empty: it can).

    It asks and does not open: opening a pipe would wait for ever.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0, "a symbolic link to something that is not there" if os.path.islink(
            path
        ) else _GONE
    except OSError as error:
        return 0, f"it cannot be reached: {_words(error)}"
    except ValueError:  # a NUL or a lone surrogate, which no name can hold
        return 0, _GONE
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return mode, ""
    return mode, f"not a regular file: {_SPECIAL.get(stat.S_IFMT(mode), 'of an unknown type')}"


def _why_skip(item: os.DirEntry[str], fault: str) -> str:
    """Why a file of a folder is not a source; empty if it is one."""
    if _SUFFIX.search(item.name):
        return ""
    if fault:
        return _UNSEEN
    try:
        return "" if _IMAGE.match(_head(item.path)) else _NO_IMAGE
    except OSError:
        return _UNSEEN


def _head(path: str) -> bytes:
    # Without O_NONBLOCK, a pipe put in the file's place since it was listed would hang the run.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.read(handle, _HEAD_BYTES)
    finally:
        os.close(handle)


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
