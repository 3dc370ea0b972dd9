"""Executors, which call a function on chunks of items; this room knows nothing about digits.

`choose_executor` picks the implementation of `Executor` for this machine. A new one is a file here,
registered there; `ray_engine` has the one for a Ray cluster. This room imports the standard library
alone, so that a worker process starts quickly.
"""

from batchdigits.errors import UsageError
from batchdigits.workers.executor import ChunkOutcome, Executor, SerialExecutor, send_heartbeat
from batchdigits.workers.faults import Limits
from batchdigits.workers.processes import ProcessExecutor

__all__ = [
    "ChunkOutcome",
    "Executor",
    "ProcessExecutor",
    "SerialExecutor",
    "choose_executor",
    "send_heartbeat",
]

_MAX_SECONDS = 1_000_000  # poll(2) counts milliseconds in 31 bits


def choose_executor(workers: int, *, seconds: float, memory_mib: int, ahead: int = 2) -> Executor:
    """Return the executor for a number of workers.

    Args:
        workers: number of worker processes; 0 calls the function in this process, without limits.
        seconds: wall-clock limit of one call, for a chunk or a single item. Where the function
            calls `send_heartbeat`, the limit holds for each part between two heartbeats.
        memory_mib: MiB that a worker process may take beyond what its imports took.
        ahead: chunks per worker that may wait, as chunks or as outcomes.

    Raises:
        UsageError: a number is out of range, or this system has no worker processes.
    """
    if workers < 0 or not 0 < seconds <= _MAX_SECONDS or memory_mib < 1:
        raise UsageError(
            f"expected 0 or more workers, up to {_MAX_SECONDS} seconds and 1 MiB or more, "
            f"not {workers} workers, {seconds} seconds and {memory_mib} MiB"
        )
    limits = Limits(seconds, memory_mib)
    return ProcessExecutor(workers, limits, ahead) if workers else SerialExecutor(limits)
