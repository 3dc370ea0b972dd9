"""What the executors and the worker processes share: limits of a call, and words for faults."""

import signal
from typing import NamedTuple

MEMORY_EXIT_CODE = 213
"""Exit code of a worker that ran out of memory."""
TIMEOUT_EXIT_CODE = -14
"""Exit code that Popen gives for a process that SIGALRM ended."""


class Limits(NamedTuple):
    """The limits of one call.

    Attributes:
        seconds: by the wall clock.
        memory_mib: MiB beyond what the imports took.
    """

    seconds: float
    memory_mib: int


def describe_worker_exit(code: int | None, limits: Limits) -> str:
    """Return why a call got no answer, from its worker's exit code as Popen gives it."""
    if code == MEMORY_EXIT_CODE:
        return f"needs more than {limits.memory_mib} MiB of memory"
    if code == TIMEOUT_EXIT_CODE:
        return f"took longer than {limits.seconds:g} s"
    if code is None or code >= 0:
        return f"the worker died (exit code {code})"
    name = next((known.name for known in signal.Signals if known == -code), "unnamed")
    return f"the worker died (signal {-code}, {name})"


def describe_error(error: BaseException) -> str:
    """Return an exception's class and message in one line of some 300 characters at most."""
    words = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def is_memory_error(error: BaseException) -> bool:
    """Return whether an exception means that memory ran out."""
    # OpenCV raises its own class, which only its words identify; C++ libraries pass on bad_alloc.
    words = ("Insufficient memory", "bad_alloc", "Cannot allocate memory")
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)
