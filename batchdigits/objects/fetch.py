"""Objects → their contents, many at a time; large ones as a file that nobody has to remove."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from batchdigits.objects.store import (
    PAUSES_SECONDS,
    ObjectError,
    call_store,
    describe_fault,
    fetch_file,
    open_store,
)

AT_ONCE = 64
"""Objects that are asked for at a time."""

FILES_AT_ONCE = 16
"""Objects that are fetched to files at a time."""


def fetch_files(places: Sequence[tuple[str, str]]) -> list[bool]:
    """Fetch objects to files, `FILES_AT_ONCE` at a time; return for each whether there is one.

    Args:
        places: URL and path of each.

    Raises:
        ObjectError: one of them cannot be read.
    """
    with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
        return list(pool.map(lambda one: fetch_file(*one), places))


def fetch_objects(urls: Sequence[str], count: int) -> dict[str, bytes | ObjectError]:
    """Fetch the first bytes of objects of one store, `AT_ONCE` at a time.

    Args:
        urls: of the objects, which are not empty.
        count: bytes at most of each; without such a limit, some libraries ask for the size first,
            which is another request.

    Returns:
        By URL the content, or why there is none.
    """
    fetched: dict[str, bytes | ObjectError] = {}
    waiting = list(urls)
    for pause in PAUSES_SECONDS:
        time.sleep(pause if waiting else 0)
        for start in range(0, len(waiting), AT_ONCE):
            fetched |= _fetch_part(waiting[start : start + AT_ONCE], count)
        waiting = [url for url in waiting if _is_passing(fetched[url])]
    return fetched


def _fetch_part(urls: Sequence[str], count: int) -> dict[str, bytes | ObjectError]:
    store, _ = open_store(urls[0])
    paths = [open_store(url)[1] for url in urls]
    try:
        found = store.cat_ranges(paths, 0, count, on_error="return")
    except Exception as error:
        found = [error] * len(urls)
    return {
        url: describe_fault(one) if isinstance(one, BaseException) else bytes(one)
        for url, one in zip(urls, found, strict=True)
    }


def _is_passing(fetched: bytes | ObjectError) -> bool:
    return isinstance(fetched, ObjectError) and fetched.kind == "passing"


@contextmanager
def open_local_copy(url: str, content: bytes | None) -> Iterator[str]:
    """Yield the path of a copy of an object, which is gone when this process is.

    Args:
        url: of the object.
        content: what was fetched of it; None to fetch it here, which never holds all of it.

    Raises:
        ObjectError: it cannot be fetched.
    """
    with tempfile.TemporaryFile(prefix="batchdigits-") as file:
        path = f"/proc/self/fd/{file.fileno()}"
        if content is None:
            store, place = open_store(url)
            call_store(lambda: store.get_file(place, path))
        else:
            file.write(content)
            file.flush()
        yield path
