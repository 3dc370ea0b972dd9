"""Files → pictures of their fields, in worker processes; and where a picture is now."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import islice

from batchdigits import workers
from batchdigits.objects import is_url
from batchdigits.records import Source
from batchdigits.sources import inspection, unescape_path
from batchdigits.sources.archives import split_member
from batchdigits.views.cut import FieldView, FileRequest, FileViews, cut_views

WORKER_MEMORY_MIB = 800
FILES_PER_CHUNK = 16


def cut_file_views(
    requests: Iterable[FileRequest], *, max_pixels: int, page_seconds: float, count: int
) -> Iterator[FileViews]:
    """Yield the pictures of each file's fields, in order; a file that cannot be read has none.

    Args:
        requests: of each file.
        max_pixels: of a page.
        page_seconds: that a page may take.
        count: number of worker processes; 0 cuts in this one.
    """
    executor = workers.choose_executor(count, seconds=page_seconds, memory_mib=WORKER_MEMORY_MIB)
    left = iter(requests)
    chunks = iter(lambda: list(islice(left, FILES_PER_CHUNK)), [])
    with closing(executor.map_chunks(partial(cut_views, max_pixels=max_pixels), chunks)) as done:
        for outcome in done:
            if outcome.result is None:
                none: list[FieldView | None] = [None] * len(outcome.items[0].fields)
                yield FileViews(none, {}, f"could not be read: {outcome.fault}")
            else:
                yield from outcome.result


def index_pictures(folders: Sequence[str]) -> Mapping[str, list[str]]:
    """Return the files of folders, and of those in them, by the start of their name."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for folder in folders:
        for place, _, names in os.walk(folder):
            for name in sorted(names):
                stem = os.path.splitext(name)[0]
                found[stem].append(os.path.join(place, name))
                start, dash, number = stem.rpartition("-")
                if dash and number.isdecimal():  # a newcomer of that name was moved there
                    found[start].append(os.path.join(place, name))
    return found


def find_picture(file: str, content: str, moved: Mapping[str, list[str]]) -> str:
    """Return where a file of the table is; a file of its name if it is another now.

    Args:
        file: as the table spells it.
        content: digest of its bytes, in hexadecimal; empty if it is not known.
        moved: files that may be it, as of `index_pictures`.

    Returns:
        A path or a URL, that of the archive for a member of one; empty if there is no file of its
        name. What a URL names is not looked for: only fetching it tells.
    """
    archive, member = split_member(file)
    if member:
        file, content = archive, ""
    path = os.fsdecode(unescape_path(file))
    stem = os.path.splitext(os.path.basename(path))[0]
    places: list[str] = [path, *moved.get(stem, [])]
    there = [place for place in places if os.path.isfile(place)]
    for place in there if content else ():
        found = inspection.hash_source(Source(file, place)).content
        if found is not None and found.hex() == content:
            return place
    if is_url(path):
        return path
    return there[0] if there else ""
