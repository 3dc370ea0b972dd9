"""Archives → their members, as sources, in the order of the archive and one at a time.

Nothing is unpacked to disk, and no archive is ever whole in memory. A member of a .tar or a .zip is
known by its place, and a worker reads it there. The members of a .tar.gz and of a Parquet file come
with their bytes. A new kind of archive is a file here, registered in `_WALKERS`.
"""

import os
import re
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, suppress

from batchdigits import workers
from batchdigits.formats import ARCHIVE_SUFFIXES, FORMATS
from batchdigits.records import Source
from batchdigits.sources.archives.entries import ArchiveEntry, ArchiveError
from batchdigits.sources.archives.members import MemberError, MemberReader
from batchdigits.sources.archives.parquet import count_parquet_rows, walk_parquet
from batchdigits.sources.archives.tar import estimate_tar_members, walk_tar
from batchdigits.sources.archives.zip import count_zip_members, walk_zip
from batchdigits.sources.inspection import escape_path, unescape_path

__all__ = [
    "ArchiveError",
    "MemberError",
    "MemberReader",
    "estimate_member_count",
    "load_members",
    "split_member",
    "walk_archive",
]

SKIP_WITHOUT_IMAGES = "an archive without images"
_WALKERS: dict[str, tuple[Callable[[str], Iterator[ArchiveEntry]], Callable[[str], int]]] = {
    ".zip": (walk_zip, count_zip_members),
    ".parquet": (walk_parquet, count_parquet_rows),
}
"""By suffix; all others are tar archives, packed or not."""
_HERE_AND_UP = re.compile(r"(?:\A|(?<=/))\.\.(?=/|\Z)")

_ARCHIVE_PART = re.compile("/(?<=" + "/)|/(?<=".join(map(re.escape, ARCHIVE_SUFFIXES)) + "/)", re.I)
"""The slash behind the name of an archive."""


class NameBook:
    """The names that members of an archive got, each once; a million take no memory."""

    def __init__(self) -> None:
        """Begin without names, in a temporary file of SQLite's."""
        self._base = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._base.execute("CREATE TABLE names (name TEXT PRIMARY KEY) WITHOUT ROWID")
        self._base.execute("BEGIN")
        self._counts: dict[str, int] = {}

    def claim_name(self, name: str) -> str:
        """Return a name that no member has: the name itself, or with `(2)`, `(3)` … behind it."""
        free = name
        while not self._base.execute("INSERT OR IGNORE INTO names VALUES (?)", (free,)).rowcount:
            self._counts[name] = self._counts.get(name, 1) + 1
            free = f"{name} ({self._counts[name]})"
        return free

    def close(self) -> None:
        """Forget the names."""
        self._base.close()


def walk_archive(source: Source, skipped: dict[str, int]) -> Iterator[Source]:
    """Yield the members of an archive that are read, in its order.

    Args:
        source: the archive.
        skipped: as in `FoundSources.skipped`; entries that are no images are counted there.

    Raises:
        ArchiveError: it cannot be read, or not from here on; or it holds no images, and an INPUT
            names it, or it holds nothing at all.
    """
    walk, _ = _get_walker(source.path)
    taken = left = 0
    with closing(NameBook()) as names:
        for entry in walk(source.path):
            if entry.reason:
                skipped[entry.reason] = skipped.get(entry.reason, 0) + 1
                left += 1
                continue
            taken += 1
            file = names.claim_name(source.file + spell_member(entry.name))
            yield Source(
                file,
                source.path,
                entry.fault,
                source.named,
                source.top,
                listed=source.listed,
                member=entry.member,
            )
    if taken:
        return
    if not left:
        raise ArchiveError("an empty archive: no file is in it")
    if source.named:
        suffixes = ", ".join(f".{one.suffixes.split()[0]}" for one in FORMATS[:3])
        raise ArchiveError(f"no image is in it: expected files that end in {suffixes} …")
    skipped[SKIP_WITHOUT_IMAGES] = skipped.get(SKIP_WITHOUT_IMAGES, 0) + 1


def estimate_member_count(source: Source) -> int:
    """Estimate how many members an archive has, by its end or its beginning; 1 if it is damaged."""
    try:
        return max(1, _get_walker(source.path)[1](source.path))
    except ArchiveError:
        return 1


def _get_walker(path: str) -> tuple[Callable[[str], Iterator[ArchiveEntry]], Callable[[str], int]]:
    suffix = path[path.rfind(".") :].lower()
    return _WALKERS.get(suffix, (walk_tar, estimate_tar_members))


def spell_member(name: str) -> str:
    r"""Return what stands behind the archive's name in the table: `/` and the member's name.

    A name that would lead out of the archive is spelled so that it leads nowhere: a `/` at its
    beginning is `\x2f`, and a part `..` is `\x2e\x2e`. A `./` at its beginning is left out.
    """
    while name.startswith("./"):
        name = name[2:].lstrip("/")
    is_absolute = name.startswith("/")
    spelled = escape_path("/" + name[is_absolute:])
    if is_absolute:
        spelled = "/\\x2f" + spelled[1:]
    return _HERE_AND_UP.sub(r"\\x2e\\x2e", spelled) if ".." in spelled else spelled


def split_member(file: str) -> tuple[str, str]:
    """Split the name of a member in the table into the archive's, and what stands behind it.

    What looks like an archive and is a folder is none. The second text is empty for a file that is
    no member.
    """
    for match in _ARCHIVE_PART.finditer(file):
        if not os.path.isdir(unescape_path(file[: match.start()])):
            return file[: match.start()], file[match.start() :]
    return file, ""


def load_members(path: str, archive: str, wanted: Collection[str]) -> dict[str, bytes]:
    """Return the bytes of members of an archive, by name; those that cannot be read are left out.

    Args:
        path: of the archive.
        archive: its name, as the table spells it.
        wanted: names of members, as the table spells them.
    """
    found: dict[str, bytes] = {}
    left = set(wanted)
    with MemberReader() as reader, suppress(ArchiveError):
        for source in walk_archive(Source(archive, path, named=True, is_archive=True), {}):
            workers.send_heartbeat()
            if source.file in left:
                left.discard(source.file)
                with suppress(MemberError):
                    found[source.file] = reader.load(source)
            if not left:
                break
    return found
