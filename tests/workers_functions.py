"""What the workers of test_workers call: they import this module by name."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from batchdigits import workers

_poisoned = False


def shout(items: list[str]) -> list[str]:
    return [item.upper() for item in items]


def nap(items: list[float]) -> list[float]:
    for item in items:
        time.sleep(item)
    return items


def nap_alive(items: list[float]) -> list[float]:
    for item in items:
        time.sleep(item)
        workers.send_heartbeat()
    return items


def pid(items: list[Any]) -> int:
    return os.getpid()


def note_pid_and_hang(items: list[str]) -> None:
    Path(items[0]).write_text(str(os.getpid()), encoding="ascii")
    while True:
        pass


def kill_parent_and_hang(items: list[str]) -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    note_pid_and_hang(items)


def log_and_die(items: list[str]) -> None:
    for item in items:
        if item.startswith("/"):
            with Path(item).open("a", encoding="ascii") as file:
                file.write("x")
            os._exit(1)


def allocate(items: list[int]) -> int:
    """Hold as many MiB as the items say, written to so that they are really there."""
    return sum(len(bytearray(b"x") * (item * 2**20)) for item in items)


def chatter(items: list[str]) -> list[str]:
    print("out")
    os.write(1, b"out\n")
    os.write(2, b"err\n")
    return items


def blob(items: list[int]) -> bytes:
    return b"".join(bytes(item) for item in items)


def settings(items: list[str]) -> list[str]:
    return [os.environ.get(item, "") for item in items] + [str("" in sys.path)]


def poison(items: list[str]) -> list[str]:
    """Die of the item "victim", but only in a process that has seen the item "poison"."""
    global _poisoned  # noqa: PLW0603
    for item in items:
        if item == "victim" and _poisoned:
            os._exit(9)
        _poisoned = _poisoned or item == "poison"
    return items


class Unreadable:
    """Can be pickled, but not unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return int, ("no number",)


def _hang() -> None:
    while True:
        pass


def _refuse() -> None:
    raise ValueError("two\nlines")


def _wordless() -> None:
    raise LookupError


def _oom() -> None:
    raise MemoryError


def _opencv_oom() -> None:
    raise RuntimeError("OpenCV: (-4:Insufficient memory) Failed to allocate 9 bytes")


_DEEDS: dict[str, Callable[[], Any]] = {
    "raise": _refuse,
    "wordless": _wordless,
    "memory": _oom,
    "opencv": _opencv_oom,
    "sys.exit": lambda: sys.exit(3),
    "exit": lambda: os._exit(7),
    "segv": lambda: ctypes.string_at(0),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "abort": os.abort,
    "hang": _hang,
    "lambda": lambda: lambda: None,
    "unreadable": Unreadable,
}


def act(items: list[str]) -> list[Any]:
    """Do what an item names; otherwise return it in capitals."""
    return [_DEEDS[item]() if item in _DEEDS else item.upper() for item in items]


def kill_parent_once(items: list[str]) -> list[str]:
    """Kill the process that owns this worker, unless the file that an item names is there."""
    for item in items:
        if item.endswith("always"):
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)
        if "/" in item and not Path(item).exists():
            Path(item).write_text("", encoding="ascii")
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)
    return items
