"""What a URL names: one object, or a folder with all objects below it."""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from batchdigits.objects.store import ObjectError, call_store, open_store


class ObjectEntry(NamedTuple):
    """An object or a folder, as its store lists it.

    Attributes:
        url: of it.
        is_folder: whether it is a folder.
        size: bytes; -1 if the store does not say.
        time: of its last change, ns since 1970; 0 if the store does not say.
        tag: a number that another content of the same name does not have; 0 if the store gives
            nothing to make one of.
    """

    url: str
    is_folder: bool
    size: int = -1
    time: int = 0
    tag: int = 0


def inspect_object(url: str) -> ObjectEntry:
    """Return what a URL names.

    Raises:
        UsageError: its scheme cannot be read.
        ObjectError: there is nothing, or it cannot be reached; `kind` says which.
    """
    store, path = open_store(url)
    try:
        return _make_entry(url, call_store(lambda: store.info(path)))
    except ObjectError as fault:
        if fault.kind == "denied":  # S3 gives no reason with the answer to a HEAD
            call_store(lambda: store.ls(path))
        raise


def list_folder(url: str) -> Iterator[ObjectEntry]:
    """Yield what a folder holds, in the order of names.

    Raises:
        ObjectError: it cannot be listed.
    """
    store, path = open_store(url)
    base = url.rstrip("/")
    listed = call_store(lambda: store.ls(path, detail=True))
    root = path.rstrip("/")
    while listed:  # each is dropped when it was looked at: a million take a gigabyte
        info = listed.pop()
        name = str(info["name"]).rstrip("/")
        below = name.removeprefix(root).lstrip("/") if name.startswith(root) else ""
        if below and "/" not in below:
            yield _make_entry(f"{base}/{below}", info)


def _make_entry(url: str, info: dict[str, Any]) -> ObjectEntry:
    if info.get("type") == "directory":
        return ObjectEntry(url, is_folder=True)
    size = info.get("size")
    changed = next(
        (info[name] for name in ("LastModified", "last_modified", "mtime", "created", "updated")
         if info.get(name)), None,
    )  # fmt: skip
    tag = next((info[name] for name in ("ETag", "etag", "md5Hash") if info.get(name)), changed)
    number = 0 if tag is None else _make_tag(str(tag))
    return ObjectEntry(
        url,
        is_folder=False,
        size=-1 if size is None else size,
        time=_parse_time(changed),
        tag=number,
    )


def _make_tag(text: str) -> int:
    """Return a number from 1 to 2⁶³ - 1 for a text."""
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return max(1, int.from_bytes(digest) >> 1)


def _parse_time(changed: Any) -> int:
    """Return a time as ns since 1970, from what the stores give: a datetime, a text or a number."""
    try:
        if isinstance(changed, str):
            changed = datetime.fromisoformat(changed)
        seconds = changed.timestamp() if isinstance(changed, datetime) else float(changed or 0)
    except (TypeError, ValueError):
        return 0
    return int(seconds * 1e9)
