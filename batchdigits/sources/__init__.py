"""Folders, files and listed paths → the sources to read, in the order of the table.

This room knows paths and the first bytes of files, not pixels. It opens nothing that could block.
"""

import codecs
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from batchdigits.errors import UsageError
from batchdigits.records import Source
from batchdigits.sources.inspection import FILE_MISSING, escape_path, unescape_path
from batchdigits.sources.search import MOVED_FOLDER_FLAG, SourceSearch

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


@dataclass(frozen=True)
class FoundSources:
    """What the inputs hold.

    Attributes:
        sources: each file once, ordered by the UTF-8 bytes of `Source.file`.
        skipped: reason in plain words → number of entries of folders that were skipped for it;
            a skipped folder counts once. Entries of archives are added when these are read.
        unseen: paths, spelled as in `Source.file`, below which there may be more than was found:
            they cannot be read, lead nowhere, or are INPUTs with nothing to read, which may be
            on a disk that is not mounted.
    """

    sources: list[Source]
    skipped: dict[str, int]
    unseen: list[str]


def check_inputs(
    inputs: Sequence[str], *, outputs: Sequence[str] = (), moved: Sequence[str] = ()
) -> None:
    """Check that `find_sources` could find anything.

    Args:
        inputs: as in `find_sources`.
        outputs: likewise.
        moved: likewise.

    Raises:
        UsageError: one of `inputs` does not exist, or all of them lie in the folders `moved`.
    """
    search = SourceSearch(outputs, moved)
    for path in inputs:
        search.check_exists(path)
    if inputs and all(search.is_moved(search.resolve_path(path), marks=False) for path in inputs):
        raise UsageError(
            f"INPUT '{escape_path(inputs[0])}' lies in a folder for files that were read, which "
            "are never read again: choose another folder for --move-done and --move-failed"
        )


def find_sources(
    inputs: Sequence[str],
    *,
    listed: Sequence[str] = (),
    outputs: Sequence[str] = (),
    moved: Sequence[str] = (),
    archives: bool = False,
) -> FoundSources:
    """Find every file that the inputs name or hold.

    A file that is reached twice is one source, with the path by which it was reached first:
    `inputs` in their order, then `listed`, and folders in the order of names. Two names in real
    folders are two sources, even of one content.

    Args:
        inputs: folders (read recursively) and files, as typed.
        listed: the same, from a list made earlier: a missing path is a source with a fault.
        outputs: files and folders that the job itself writes; they are always left out.
        moved: folders for files that were read; what is in them is always left out. A folder with
            a `MOVED_FOLDER_FLAG` is left out too, unless `inputs` names it or something in it.
        archives: whether archives are sources, whose members are read; else they are no images.

    Raises:
        UsageError: one of `inputs` does not exist.
    """
    search = SourceSearch(outputs, moved, archives=archives)
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
    r"""Split a list of paths, as `find` or `ls` print it; empty entries are ignored.

    Args:
        lines: the whole list, as raw bytes.
        null: whether entries end with NUL, so that they can hold any name. Otherwise they end with
            LF or CRLF, and a UTF-8 byte-order mark before the first is ignored.

    Returns:
        Paths as Python gives them, undecodable bytes as surrogates (`surrogateescape`).
    """
    if null:
        entries = lines.split(b"\0")
    else:
        text = lines.removeprefix(codecs.BOM_UTF8)
        entries = [line.removesuffix(b"\r") for line in text.split(b"\n")]
    return [os.fsdecode(entry) for entry in entries if entry]
