"""One run at a time for an output: a lock of the kernel's, which dies with who holds it."""

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
        wait: s to wait for another run to end.

    Raises:
        BusyError: another run holds one of them.
        OutputError: there is no place for a lock.
    """
    with ExitStack() as stack:
        for lock in sorted(
            {make_lock_path(path): path for path in paths}.items()
        ):  # all in one order
            stack.enter_context(_hold_lock(*lock, wait))
        yield


@contextmanager
def _hold_lock(lock: str, path: str, wait: float) -> Iterator[None]:
    try:
        # not the soft kind, which a killed run would leave behind
        held = filelock.FileLock(lock, timeout=wait, fallback_to_soft=False)
        held.acquire()
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
        held.release()
