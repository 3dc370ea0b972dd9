"""How files stand, and what is in them: whether they changed, and whether they are known."""

import hashlib
import os
import stat
import time

from batchdigits import pages
from batchdigits.ledger import Entry
from batchdigits.records import Source

GRAIN = 2_000_000_000
"""ns within which a file may be written to twice and bear the same time: the coarsest clock of a
file system, FAT's."""
LAST = (1 << 63) - 1
"""ns since 1970 that a ledger holds; some file systems hold years by the billion."""
DIGEST = 20
"""Bytes of a content's digest (BLAKE2b)."""
PIECE = 1 << 20
"""Bytes that are read at a time."""


def look(source: Source) -> Entry:
    """Tell how a file stands; one that cannot be asked has size and time -1."""
    try:
        found = os.stat(source.path)
    except (OSError, ValueError):
        return Entry(source.file, -1, -1)
    return _entry(source, found)


def look_into(source: Source) -> Entry:
    """Tell how a file stands and what is in it; content None where it cannot be read.

    Nor is a file looked into that is too large to be read: a sparse one of terabytes costs nothing
    to make, and hours to digest.
    """
    try:
        # without O_NONBLOCK a pipe put in the file's place would hang the run
        handle = os.open(source.path, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError):
        return look(source)
    before = os.fstat(handle)
    if not stat.S_ISREG(before.st_mode) or before.st_size > pages.MOST_BYTES:
        os.close(handle)
        return _entry(source, before)
    with os.fdopen(handle, "rb", buffering=0) as file:
        digest = hashlib.blake2b(digest_size=DIGEST)
        try:
            while piece := file.read(PIECE):
                digest.update(piece)
        except OSError:
            return _entry(source, before)
        entry = _entry(source, os.fstat(handle))
    if not same(entry, _entry(source, before)):
        return entry
    return entry._replace(content=digest.digest())


def same(one: Entry, other: Entry) -> bool:
    """Tell whether a file stands as it did."""
    return (one.size, one.time) == (other.size, other.time)


def unsettled(entry: Entry, seconds: float) -> bool:
    """Tell whether a file was written to within the last seconds, or will be, by a skewed clock.

    One that is much further in the future was there when the clock went back.
    """
    age = time.time() - entry.time / 1e9
    return entry.time >= 0 and abs(age) < seconds


def _entry(source: Source, found: os.stat_result) -> Entry:
    when = min(max(found.st_mtime_ns, -LAST), LAST)
    sure = time.time_ns() - when > GRAIN and when != -LAST
    return Entry(source.file, found.st_size, when, min(found.st_ctime_ns, LAST) if sure else 0)
