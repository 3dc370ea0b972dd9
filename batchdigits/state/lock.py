"""One run at a time for an output: a kernel lock, which ends with the process that holds it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import filelock

from batchdigits.errors import BusyError, OutputError
from batchdigits.files import make_lock_path


@contextmanager
def lock_outputs(paths: Sequence[str], wait: float = 0.0) -> Iterator[None]:
    """Hold the locks of outputs.

    Args:
        paths: of the outputs.
        wait: how long to wait for another run to end, s.

    Raises:
        BusyError: another run holds one of them.
        OutputError: a lock file cannot be made.
    """
    with ExitStack() as stack:
        locks = {make_lock_path(path): path for path in paths}
        for lock in sorted(locks.items()):  # every run takes them in the same order
            stack.enter_context(_hold_lock(*lock, wait))
        yield


@contextmanager
def _hold_lock(lock: str, path: str, wait: float) -> Iterator[None]:
    try:
        # not the soft kind, which outlives a killed run
        file_lock = filelock.FileLock(lock, timeout=wait, fallback_to_soft=False)
        file_lock.acquire()
    except filelock.Timeout:
        waited = f" after {wait:g} s" if wait else ""
        raise BusyError(
            f"another run is still writing '{path}'{waited}: let it end, or give --wait SECONDS"
        ) from None
    except OSError as fault:
        raise OutputError(
            f"cannot lock '{path}': {fault.strerror or fault}: choose another place"
        ) from fault
    try:
        yield
    finally:
        file_lock.release()
