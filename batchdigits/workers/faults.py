"""What both sides of the pool know: the limits of a call, and why it gave no result."""

import signal
from typing import NamedTuple

MEMORY_EXIT_CODE = 213
"""Exit code by which a worker says that its memory did not suffice."""
TIMEOUT_EXIT_CODE = -14
"""What Popen gives for SIGALRM."""


class Limits(NamedTuple):
    """Of one call: seconds by the wall clock, MiB of memory beyond the imports."""

    seconds: float
    memory_mib: int


def describe_worker_exit(code: int | None, limits: Limits) -> str:
    """Say why a call got no answer, from its worker's exit code as Popen gives it."""
    if code == MEMORY_EXIT_CODE:
        return f"needs more than {limits.memory_mib} MiB of memory"
    if code == TIMEOUT_EXIT_CODE:
        return f"took longer than {limits.seconds:g} s"
    if code is None or code >= 0:
        return f"the worker died (exit code {code})"
    name = next((known.name for known in signal.Signals if known == -code), "unnamed")
    return f"the worker died (signal {-code}, {name})"


def describe_error(error: BaseException) -> str:
    """Say what an exception is, in one line of some 300 characters at most."""
    words = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def is_memory_error(error: BaseException) -> bool:
    """Say whether an exception means that memory did not suffice."""
    # OpenCV raises its own class, told apart only by its words; C++ libraries pass on bad_alloc.
    words = ("Insufficient memory", "bad_alloc", "Cannot allocate memory")
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)
