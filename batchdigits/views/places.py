"""Where the files of views are: on this machine, in an archive, or in an object store."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from batchdigits import objects, workers
from batchdigits.errors import UsageError
from batchdigits.objects import ObjectError, is_url
from batchdigits.records import MAX_FILE_BYTES
from batchdigits.sources.archives import load_members, split_member

SMALL_BYTES = 4 << 20
"""Objects of up to so many bytes are fetched many at once; a larger one alone, to the disk."""


@contextmanager
def open_picture(path: str, file: str) -> Iterator[str | bytes]:
    """Yield a file's path on this machine; or the bytes of a member of an archive.

    Args:
        path: as `find_picture` returns it: a path, or a URL; of a member that of its archive.
        file: its name, as the table spells it.

    Yields:
        Empty bytes where it cannot be fetched, or is not in its archive.
    """
    archive, member = split_member(file)
    with ExitStack() as stack:
        place: str | bytes = b""
        with suppress(ObjectError, UsageError):
            whole = load_members(path, archive, [file]).get(file, b"") if member else path
            place = stack.enter_context(open_place(whole))
        yield place


@contextmanager
def open_place(
    place: str | bytes, fetched: bytes | ObjectError | None = None
) -> Iterator[str | bytes]:
    """Yield a path on this machine, or bytes, for a path, a URL or bytes.

    Args:
        place: the path, URL or bytes.
        fetched: what is known of a URL, by `fetch_small_objects`; None to fetch it.

    Raises:
        ObjectError: what a URL names cannot be fetched.
    """
    if isinstance(fetched, ObjectError):
        raise fetched
    if isinstance(place, bytes) or not is_url(place):
        yield place
        return
    if fetched is None and objects.inspect_object(place).size > MAX_FILE_BYTES:
        raise ObjectError("other", f"it is larger than {MAX_FILE_BYTES:,} bytes")
    with objects.open_local_copy(place, fetched) as path:
        yield path


def fetch_small_objects(places: Sequence[str]) -> dict[str, bytes | ObjectError]:
    """Fetch the objects among some paths, many at a time.

    Returns:
        By URL what arrived, or why it did not. What is larger than `SMALL_BYTES` is left out.
    """
    urls = [one for one in places if is_url(one)]
    try:
        found = objects.fetch_objects(urls, SMALL_BYTES + 1) if urls else {}
    except UsageError as error:  # the library of their scheme is not installed here
        return dict.fromkeys(urls, ObjectError("other", str(error)))
    workers.send_heartbeat()
    return {
        url: one
        for url, one in found.items()
        if isinstance(one, ObjectError) or len(one) <= SMALL_BYTES
    }


def load_members_of(places: Sequence[tuple[str, str]]) -> dict[str, bytes]:
    """Return the bytes of the members of archives, by name; each archive is walked once.

    Args:
        places: path of the archive and name of the member, as the table spells it; either is empty
            for a file that is gone, or in no archive.
    """
    wanted: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for path, member in places:
        if member and path:
            wanted[path, split_member(member)[0]].append(member)
    found: dict[str, bytes] = {}
    for (path, archive), names in wanted.items():
        with suppress(UsageError):  # the library of its scheme is not installed here
            found.update(load_members(path, archive, names))
    return found
