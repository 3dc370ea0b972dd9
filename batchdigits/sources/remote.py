"""URLs → sources: an object, or all objects below a prefix, as the listing of their store has them.

No object is asked for on its own, except for the first bytes of those whose names say nothing.
"""

import re
from dataclasses import dataclass, field

from batchdigits import formats, objects
from batchdigits.errors import UsageError
from batchdigits.formats import has_archive_suffix, has_image_suffix
from batchdigits.objects import ObjectEntry, ObjectError
from batchdigits.records import MAX_ARCHIVE_BYTES, MAX_FILE_BYTES, FileSnapshot, Source
from batchdigits.sources.inspection import escape_path

SKIP_HIDDEN = "hidden or half-written"
SKIP_NO_IMAGE = "not an image"
UNFINISHED_NAME = re.compile(
    r"\A(?:\.|~\$)|(?:\.(?:part|tmp|crdownload|filepart)|~)\Z", re.IGNORECASE | re.DOTALL
)
"""Names of files that are hidden, or still being written."""
MAX_DEPTH = 256


@dataclass
class FoundObjects:
    """What a URL holds.

    Attributes:
        sources: in no order.
        skipped: URL → why it was skipped.
    """

    sources: list[Source] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


def check_url(url: str) -> None:
    """Check that there is something at a URL.

    Raises:
        UsageError: there is not, or it cannot be reached.
    """
    _inspect_url(url)


def find_objects(url: str, *, archives: bool = False) -> FoundObjects:
    """Find the object that a URL names, or all images below it.

    Args:
        url: of an object, or of a folder of objects.
        archives: as of `find_sources`.

    Raises:
        UsageError: there is nothing, or it cannot be listed: rows are never dropped for that.
    """
    found = FoundObjects()
    entry = _inspect_url(url)
    if not entry.is_folder:
        found.sources.append(_make_source(entry, "", archives=archives))
        return found
    waiting = [(url, 0)]
    while waiting:
        folder, depth = waiting.pop()
        doubtful: list[ObjectEntry] = []
        try:
            for one in objects.list_folder(folder):
                if UNFINISHED_NAME.search(one.url.rpartition("/")[2]):
                    found.skipped[one.url] = SKIP_HIDDEN
                elif one.is_folder and depth < MAX_DEPTH:
                    waiting.append((one.url, depth + 1))
                elif has_image_suffix(one.url) or (archives and has_archive_suffix(one.url)):
                    found.sources.append(_make_source(one, url, archives=archives))
                elif not one.is_folder:
                    doubtful.append(one)
        except ObjectError as fault:
            raise _make_error(folder, fault) from None
        _add_images(doubtful, url, found)
    return found


def _add_images(doubtful: list[ObjectEntry], top: str, found: FoundObjects) -> None:
    """Add the objects whose first bytes are those of an image; skip the others."""
    heads = objects.fetch_objects([one.url for one in doubtful], formats.SIGNATURE_BYTES)
    for one in doubtful:
        head = heads[one.url]
        if isinstance(head, bytes) and formats.has_image_signature(head):
            found.sources.append(_make_source(one, top))
        else:
            found.skipped[one.url] = SKIP_NO_IMAGE


def _inspect_url(url: str) -> ObjectEntry:
    try:
        return objects.inspect_object(url)
    except ObjectError as fault:
        raise _make_error(url, fault) from None


def _make_error(url: str, fault: ObjectError) -> UsageError:
    if fault.kind == "missing":
        return UsageError(
            f"INPUT '{escape_path(url)}' does not exist: expected an object, or a prefix with "
            "objects below it; check the name"
        )
    return UsageError(f"INPUT '{escape_path(url)}' cannot be read: {fault}: {fault.advice}")


def _make_source(entry: ObjectEntry, top: str, *, archives: bool = False) -> Source:
    file = escape_path(entry.url)
    is_archive = archives and has_archive_suffix(entry.url)
    limit = MAX_ARCHIVE_BYTES if is_archive else MAX_FILE_BYTES
    large = entry.size > limit
    fault = f"too large: {entry.size:,} bytes, over the limit of {limit:,}" if large else ""
    listed = FileSnapshot(file, entry.size, entry.time, entry.tag)
    return Source(
        file, entry.url, fault, named=not top, top=top, listed=listed, is_archive=is_archive
    )
