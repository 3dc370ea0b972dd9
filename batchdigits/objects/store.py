"""One store: opened by URL, called with retries for faults that pass, its errors in plain words."""

import errno
import importlib
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal, TypeVar

from batchdigits.errors import UsageError

Returned = TypeVar("Returned")

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_PASSWORD = re.compile(r"://[^/@]*:[^/@]*@")
_EXTRA_BY_SCHEME = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
_EXTRA_BY_SCHEME |= dict.fromkeys(("az", "abfs", "abfss", "adl"), "azure")
PAUSES_SECONDS = (0.0, 0.5, 1.0, 2.0, 4.0)
"""s before each attempt."""
_PASSING_ERRNOS = {
    getattr(errno, name, errno.EIO)
    for name in ("EIO", "EREMOTEIO", "EBUSY", "EAGAIN", "ETIMEDOUT", "ECONNRESET", "ENETUNREACH")
}
_PASSING_CLASSES = ("Timeout", "Connection", "HTTPClientError", "IncompleteRead", "ResponseParser")
_STORE_OPTIONS: dict[str, dict[str, Any]] = {
    # without botocore's own attempts, which would multiply with those here and in s3fs
    "s3": {
        "config_kwargs": {
            "retries": {"mode": "standard", "total_max_attempts": 1},
            "connect_timeout": 10,
            "read_timeout": 60,
            "max_pool_connections": 64,
        }
    }
}

Kind = Literal["missing", "denied", "credentials", "clock", "passing", "other"]
_ADVICE: dict[Kind, str] = {
    "missing": "check the name",
    "denied": "check that these credentials may read and write there",
    "credentials": "set them as the store's own tools take them (environment, profile or role)",
    "clock": "set the clock of this machine",
    "passing": "run again later",
    "other": "check the address",
}


class ObjectError(Exception):
    """An object cannot be listed, read or written; the message is its cause in plain words.

    Attributes:
        kind: what sort of cause; only `passing` is worth another attempt.
    """

    def __init__(self, kind: Kind, cause: str) -> None:
        """Take kind and cause."""
        super().__init__(cause)
        self.kind = kind

    @property
    def advice(self) -> str:
        """What to do."""
        return _ADVICE[self.kind]


def is_url(path: str) -> bool:
    """Return whether a path is a URL, of any scheme but `file`."""
    found = _URL.match(path)
    return found is not None and found[1].lower() != "file"


def strip_file_scheme(path: str) -> str:
    """Return the path that a `file://` URL names; any other text as it is."""
    return path[7:] if path[:8].lower() == "file:///" else path


def make_url(url: str, name: str) -> str:
    """Return the URL of a name in the folder of a URL."""
    return f"{url.rpartition('/')[0]}/{name}"


def open_store(url: str) -> tuple[Any, str]:
    """Return fsspec's file system for a URL, and the path in it.

    Raises:
        UsageError: the scheme is unknown, its library is missing, or the URL has a password.
    """
    scheme = url.partition("://")[0].lower()
    if _PASSWORD.search(url):
        raise UsageError(
            f"the {scheme}:// URL has a password in it, which would be in the table: leave it out; "
            "credentials come from the environment, a profile or a role"
        )
    extra = _EXTRA_BY_SCHEME.get(scheme)
    try:
        core = importlib.import_module("fsspec.core")
        settings = _STORE_OPTIONS.get(extra or "", {})
        store, path = core.url_to_fs(url, use_listings_cache=False, **settings)
    except ImportError as error:
        how = f"pip install 'batchdigits[{extra or 's3'}]'"
        words = str(error) if extra is None and "fsspec" not in str(error) else how
        raise UsageError(f"{scheme}:// needs a library that is not installed: {words}") from None
    except ValueError as error:
        known = "s3://, gs://, az://, https://"
        raise UsageError(
            f"'{url}': {scheme}:// is no scheme that can be read ({_shorten_message(error)}): "
            f"expected {known}, or a path"
        ) from None
    return store, str(path)


def check_scheme(url: str) -> None:
    """Raise `UsageError` if the scheme of a URL is unknown, its library is missing, or such."""
    open_store(url)


def call_store(action: Callable[[], Returned]) -> Returned:
    """Call a function that uses a store; try again after faults that pass.

    Raises:
        ObjectError: it failed.
    """
    for attempt, pause in enumerate(PAUSES_SECONDS, 1):
        time.sleep(pause)
        try:
            return action()
        except Exception as error:
            fault = describe_fault(error)
            if fault.kind != "passing" or attempt == len(PAUSES_SECONDS):
                raise fault from None
    raise AssertionError("there is a last attempt")


def describe_fault(error: BaseException) -> ObjectError:
    """Return an error of a store's library as one of ours."""
    if isinstance(error, ObjectError):
        return error
    words = _shorten_message(error)
    names = " ".join(one.__name__ for one in type(error).__mro__)
    codes = f"{words} {error.__cause__}"
    if "RequestTimeTooSkewed" in codes or "difference between the request time" in words:
        return ObjectError("clock", "the store refuses the time of this machine's clock")
    if "NoCredentials" in names or "Unable to locate credentials" in words:
        return ObjectError("credentials", "no credentials were found")
    if isinstance(error, FileNotFoundError):
        return ObjectError("missing", "there is no such object")
    if isinstance(error, PermissionError):
        return ObjectError("denied", f"access is denied ({words})")
    status = getattr(error, "status", getattr(error, "code", 0)) or 0
    passing = isinstance(error, TimeoutError | ConnectionError)
    passing |= isinstance(error, OSError) and error.errno in _PASSING_ERRNOS
    passing |= any(name in names for name in _PASSING_CLASSES)
    passing |= isinstance(status, int) and (status >= 500 or status == 429)
    return ObjectError("passing" if passing else "other", words or type(error).__name__)


def _shorten_message(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def load_object(url: str) -> bytes | None:
    """Return the contents of an object; None if there is none.

    Raises:
        ObjectError: it cannot be read.
    """
    store, path = open_store(url)
    try:
        data: bytes = call_store(lambda: store.cat_file(path))
    except ObjectError as fault:
        if fault.kind == "missing":
            return None
        raise
    return data


def fetch_file(url: str, local: str) -> bool:
    """Fetch an object to a file; return whether there is one.

    Raises:
        ObjectError: it cannot be read.
    """
    store, path = open_store(url)
    try:
        call_store(lambda: store.get_file(path, local))
    except ObjectError as fault:
        with suppress(FileNotFoundError):  # some libraries make the file before they ask
            os.unlink(local)
        if fault.kind == "missing":
            return False
        raise
    return True


def object_exists(url: str) -> bool:
    """Return whether there is an object.

    Raises:
        ObjectError: that cannot be told.
    """
    store, path = open_store(url)
    return bool(call_store(lambda: store.exists(path)))


def put_file(local: str, url: str) -> None:
    """Put a file in place of an object, whole or not at all.

    Raises:
        ObjectError: it cannot be written.
    """
    store, path = open_store(url)
    call_store(lambda: store.put_file(local, path))


def create_object(url: str, data: bytes) -> bool:
    """Make an object, unless there is one already; return whether it was made.

    Of several that try at once, one succeeds.

    Raises:
        ObjectError: it cannot be written.
    """
    store, path = open_store(url)

    def create() -> bool:
        try:
            store.pipe_file(path, data, mode="create")
        except FileExistsError:
            return False
        except Exception as error:
            if _is_refused_condition(error):
                return False
            raise
        return True

    return call_store(create)


def _is_refused_condition(error: BaseException | None) -> bool:
    words = ("PreconditionFailed", "pre-conditions you specified", "conditionNotMet", "412")
    while error is not None:
        if any(word in str(error) for word in words):
            return True
        error = error.__cause__
    return False


def write_object(url: str, data: bytes) -> None:
    """Write a small object, in place of another.

    Raises:
        ObjectError: it cannot be written.
    """
    store, path = open_store(url)
    call_store(lambda: store.pipe_file(path, data))


def is_in_memory(url: str) -> bool:
    """Return whether only this process can see what a URL names."""
    return url.lower().startswith("memory://")


def list_names(url: str) -> list[str]:
    """Return the sorted names in the folder of a URL that ends with `/`; none if there is none.

    Raises:
        ObjectError: it cannot be listed.
    """
    store, path = open_store(url)
    try:
        entries = call_store(lambda: store.ls(path, detail=False))
    except ObjectError as fault:
        if fault.kind == "missing":
            return []
        raise
    names = (str(one).rstrip("/") for one in entries)
    # An empty object may mark the folder itself.
    return sorted(os.path.basename(one) for one in names if one != path.rstrip("/"))


def delete_object(url: str) -> None:
    """Delete an object.

    Raises:
        ObjectError: it cannot be deleted.
    """
    store, path = open_store(url)
    call_store(lambda: store.rm_file(path))
