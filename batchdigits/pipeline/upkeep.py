"""What a state forgets, and what it misses: files that are gone, and folders as if unmounted."""

import os
from collections import Counter

from batchdigits.ledger import Ledger
from batchdigits.sources import Found, unspell


def count_missing(book: Ledger, found: Found) -> dict[str, int]:
    """Count the known files that were not met, by folder of which not all was seen."""
    below = [(f"{place}/", place) for place in found.unseen]
    counts = Counter[str]()
    for file, _ in book.gone() if below else ():
        counts.update(place for start, place in below if file.startswith(start))
    return dict(counts)


def prune_gone(book: Ledger, found: Found) -> int:
    """Forget files that are gone, and those that were moved; return their number.

    A file is not gone where it may lie in a folder of which not all was seen, nor where it is
    still there and was only not asked for, unless that was under another name.
    """
    unseen = tuple(f"{place}/" for place in found.unseen)
    gone = [file for file, _ in book.gone() if not file.startswith(unseen)]
    there = {os.fsencode(os.path.realpath(one.path)) for one in found.sources if gone}
    gone = [file for file in gone if (real := _real_path(file)) is None or real in there]
    return book.prune(gone, moved=True)


def forget_mended(book: Ledger) -> int:
    """Forget faults of folders that are there again; return their number."""
    mended = [file for file, failed in book.gone() if failed and os.path.isdir(unspell(file))]
    return book.prune(mended, moved=False)


def _real_path(file: str) -> bytes | None:
    """Return the real path of a file of the table; None where no file is there."""
    path = unspell(file)
    return os.path.realpath(path) if os.path.isfile(path) else None
