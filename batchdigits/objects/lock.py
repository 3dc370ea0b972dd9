"""A lock of an output in an object store: numbered objects, of which the last one counts.

A store has no lock that ends with its holder. It can make an object on the condition that there is
none of its name, though, and of several that try this one succeeds. So whoever wants the lock makes
the object after the last one, if the last one was given back or is no longer renewed. It stays when
it is given back, for otherwise the numbers would begin again, and two could hold the lock.
"""

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from batchdigits.errors import BusyError
from batchdigits.objects import store
from batchdigits.objects.store import ObjectError

RENEW_SECONDS = 20.0
"""s between two signs of life of a holder."""
LEASE_SECONDS = 300.0
"""s without a sign of life after which a holder on another machine counts as gone."""
LOOK_SECONDS = 2.0
BESIDE_SECONDS = 5.0
"""s between two calls of what is done beside the run."""


class ObjectLock:
    """A lock that this process holds.

    Attributes:
        number: of the lock; whoever takes it later has a higher one.
    """

    def __init__(self, url: str, number: int, owner: dict[str, Any]) -> None:
        """Take the URL of the folder of the lock, and the number of the object that was made."""
        self._url, self.number, self._owner = url, number, owner

    def renew(self) -> None:
        """Give a sign of life.

        Raises:
            BusyError: another run has taken the lock, because there was none for too long.
            ObjectError: the store cannot be reached.
        """
        self.check()
        self._write(released=False)

    def check(self) -> None:
        """Raise `BusyError` if another run has taken the lock."""
        if any(name > _format_number(self.number) for name in store.list_names(self._url)):
            raise BusyError(
                f"another run has taken over '{self._url.removesuffix('.lock/')}', as this one "
                f"gave no sign of life for {LEASE_SECONDS:g} s: let it end; nothing was replaced"
            )

    def release(self) -> None:
        """Give the lock back; if the store cannot be reached, it lapses."""
        with suppress(ObjectError):
            self._write(released=True)

    def _write(self, *, released: bool) -> None:
        content = self._owner | {"renewed": time.time(), "released": released}
        store.write_object(self._url + _format_number(self.number), json.dumps(content).encode())


@contextmanager
def hold_lock(url: str, wait: float, beside: Callable[[], None]) -> Iterator[ObjectLock]:
    """Hold the lock of an object.

    Args:
        url: of the object.
        wait: how long to wait for another run to end, s.
        beside: called again and again while the lock is held, in a thread; faults of the store do
            no harm.

    Raises:
        BusyError: another run holds it.
        ObjectError: the store cannot be reached.
    """
    lock = _acquire_lock(f"{url}.lock/", wait, url)
    ended = threading.Event()

    def keep() -> None:
        renewed = time.monotonic()
        while not ended.wait(min(RENEW_SECONDS, BESIDE_SECONDS)):
            with suppress(ObjectError, BusyError):  # told when something is to be put in place
                if time.monotonic() - renewed >= RENEW_SECONDS:
                    lock.renew()
                    renewed = time.monotonic()
                beside()

    keeper = threading.Thread(target=keep, daemon=True)
    keeper.start()
    try:
        yield lock
    finally:
        ended.set()
        keeper.join()
        lock.release()


def _acquire_lock(folder: str, wait: float, url: str) -> ObjectLock:
    deadline = time.monotonic() + wait
    owner = {"host": socket.gethostname(), "boot": _read_boot(), "pid": os.getpid()}
    owner["token"] = secrets.token_hex(8)
    while True:
        lock = _take_lock(folder, owner)
        if lock is not None:
            return lock
        if time.monotonic() >= deadline:
            waited = f" after {wait:g} s" if wait else ""
            raise BusyError(
                f"another run is still writing '{url}'{waited}, or was killed on another machine "
                f"less than {LEASE_SECONDS:g} s ago: let it end, or give --wait SECONDS"
            )
        time.sleep(min(LOOK_SECONDS, max(0.0, deadline - time.monotonic())))


def _take_lock(folder: str, owner: dict[str, Any]) -> ObjectLock | None:
    """Take the lock if nobody holds it; return None if somebody does."""
    names = store.list_names(folder)
    last = names[-1] if names else _format_number(0)
    if names and not _is_free(store.load_object(folder + last)):
        return None
    own = _format_number(int(last) + 1)
    content = owner | {"renewed": time.time(), "released": False}
    if not store.create_object(folder + own, json.dumps(content).encode()):
        return None
    # Others may have taken the lock and removed this very object since the list was made.
    now = store.list_names(folder)
    old = [name for name in now if name < own] if now[-1:] == [own] else [own]
    for name in old:
        with suppress(ObjectError):
            store.delete_object(folder + name)
    return None if own in old else ObjectLock(folder, int(own), owner)


def _is_free(content: bytes | None) -> bool:
    """Return whether the holder gave the lock back, or is gone."""
    try:
        holder = json.loads(content or b"{}")
        released, renewed = bool(holder["released"]), float(holder["renewed"])
    except (ValueError, KeyError, TypeError):
        return False
    if released or time.time() - renewed > LEASE_SECONDS:
        return True
    here = (holder.get("host"), holder.get("boot")) == (socket.gethostname(), _read_boot())
    return here and not Path(f"/proc/{holder.get('pid')}").exists()


def _read_boot() -> str:
    """Return what tells this start of this machine's kernel, and this container, from others."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    return secrets.token_hex(8)


def _format_number(number: int) -> str:
    return f"{number:09}"
