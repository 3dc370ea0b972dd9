"""A pool of worker processes that outlives the death of its workers; it knows no digits.

Each worker is a fresh interpreter running `__main__`, started by `subprocess` and spoken to over
a socket pair. The ready-made pools do not serve here: `spawn` imports the user's script a second
time, which an unguarded script does not survive; `fork` is unsafe beside TensorFlow's threads;
and a `ProcessPoolExecutor` with one dead worker gives up everything it was doing.

Worker processes need a POSIX system, their limit of memory needs Linux. They print nothing,
unless the environment has BATCHDIGITS_DEBUG: then their standard error is the parent's. This
room imports the standard library alone, so that a worker is there quickly.
"""

import atexit
import os
import pickle
import pickletools
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from batchdigits.errors import BatchdigitsError, UsageError
from batchdigits.workers.faults import (
    MEMORY_EXIT_CODE,
    Limits,
    describe_error,
    describe_worker_exit,
    is_memory_error,
)
from batchdigits.workers.slots import Answer, WorkerSlot

T = TypeVar("T")
R = TypeVar("R")

_MAX_SECONDS = 1_000_000  # poll(2) counts milliseconds in 31 bits


@dataclass(frozen=True, slots=True)
class ChunkOutcome(Generic[T, R]):
    """What came of one chunk, or of one item of a chunk that failed as a whole.

    Attributes:
        items: the items this is about, in the order given; the caller's own objects.
        result: what the function returned for `items`; None if there is a fault.
        fault: empty, or why there is no result, in plain words on one line.
        more: whether another outcome of the same chunk is there already.
    """

    items: list[T]
    result: R | None
    fault: str
    more: bool = field(default=False, compare=False)


def send_heartbeat() -> None:
    """Say, from within a function that `map_chunks` calls, that one item is done, or a part of one.

    The time limit begins anew, so that it is each part's own, however many a chunk has.
    """
    for say in HEARTBEAT_LISTENERS:
        say()


HEARTBEAT_LISTENERS: list[Callable[[], None]] = []
"""Whom `send_heartbeat` tells: in a worker, its parent."""


def map_chunks(  # noqa: PLR0913
    function: Callable[[list[T]], R],
    chunks: Iterable[list[T]],
    *,
    workers: int,
    seconds: float,
    memory_mib: int,
    ahead: int = 2,
) -> Generator[ChunkOutcome[T, R], None, None]:
    """Call a function on every chunk, in worker processes that may die without harm.

    A chunk whose call fails in any way is run again item by item, each alone under the same
    limits, so that only the items at fault lose their result; the function may thus see an item
    up to three times. Outcomes keep the order of the chunks and of the items in them. At most
    `ahead * workers + 1` chunks are taken from `make_chunks` beyond those whose outcomes were handed
    out. Close the generator to stop early: its workers are then killed and reaped.

    Args:
        function: called with a list of items; a function at the top of an importable module, or
            a `functools.partial` of one. Items and results are pickled on the way.
        chunks: lists of items; may be lazy.
        workers: number of processes; 0 calls the function in this process, without limits.
        seconds: wall-clock limit of one call, be it for a chunk or a single item; and of each part
            of it, where the function says `send_heartbeat` between them.
        memory_mib: MiB that a worker may take beyond what its imports took.
        ahead: chunks per worker that may wait, as chunks or as outcomes.

    Returns:
        The outcomes, lazily: one for a chunk that went well, else one for each of its items.

    Raises:
        UsageError: at once, if a number is out of range or this system has no worker processes.
        BatchdigitsError: at once, if the function cannot be sent to a worker; while iterating,
            if no worker can be started.
    """
    limits = Limits(seconds, memory_mib)
    if min(workers, ahead) < 0 or not 0 < seconds <= _MAX_SECONDS or memory_mib < 1:
        raise UsageError(
            f"expected 0 or more workers, up to {_MAX_SECONDS} seconds and 1 MiB or more, "
            f"not {workers} workers, {seconds} seconds and {memory_mib} MiB"
        )
    if workers == 0:
        return _map_serially(function, chunks, limits)
    if os.name != "posix":
        raise UsageError(f"worker processes need Linux or macOS; use 0 workers, not {workers}")
    return _map_in_workers(chunks, workers, ahead, _encode_greeting(function, limits), limits)


def _encode_greeting(function: Callable[[list[T]], R], limits: Limits) -> bytes:
    """Pickle the first message to every worker; refuse what only the user's script defines."""
    try:
        greeting = pickle.dumps((function, *limits))
        if any(word == "__main__" for _, word, _ in pickletools.genops(greeting)):
            raise pickle.PicklingError("it is defined in the script that runs")  # noqa: TRY301
    except Exception as error:
        raise BatchdigitsError(
            f"workers need a function that they can import, and {function!r} cannot be sent to "
            f"them: {describe_error(error)}; put it at the top of a module of its own"
        ) from error
    return greeting


def _call_chunk(chunk: list[T], call: Callable[[list[T]], Answer]) -> list[ChunkOutcome[T, Any]]:
    """Call once for the chunk; if that fails, once for each item of it."""
    answer = call(chunk)
    if answer.fault and len(chunk) > 1:
        return [each for item in chunk for each in _call_chunk([item], call)]
    if answer.doubtful:
        answer = call(chunk)  # in a fresh worker now, whose death nothing else can have caused
    return [ChunkOutcome(chunk, answer.result, answer.fault)]


def _mark_more(outcomes: list[ChunkOutcome[T, Any]]) -> list[ChunkOutcome[T, Any]]:
    return [*(replace(one, more=True) for one in outcomes[:-1]), *outcomes[-1:]]


def _map_serially(
    function: Callable[[list[T]], R], chunks: Iterable[list[T]], limits: Limits
) -> Generator[ChunkOutcome[T, R], None, None]:
    def call(items: list[T]) -> Answer:
        try:
            return Answer(function(items), "")
        except (Exception, SystemExit) as error:
            memory = is_memory_error(error)
            return Answer(
                None,
                describe_worker_exit(MEMORY_EXIT_CODE, limits) if memory else describe_error(error),
            )

    for chunk in chunks:
        yield from _mark_more(_call_chunk(chunk, call))


def _map_in_workers(
    chunks: Iterable[list[T]], workers: int, ahead: int, greeting: bytes, limits: Limits
) -> Generator[ChunkOutcome[T, R], None, None]:
    tasks: SimpleQueue[Any] = SimpleQueue()  # of (chunk, future); None ends a thread
    seats = [WorkerSlot(greeting, limits, _call_chunk) for _ in range(workers)]
    # Daemons, and a hook at exit: a generator that an uncaught exception keeps alive must not
    # hold up the interpreter's end, which waits for the threads of a ThreadPoolExecutor.
    threads = [
        threading.Thread(target=seat.run_tasks, args=(tasks,), daemon=True) for seat in seats
    ]

    def close() -> None:
        for seat in seats:
            seat.shut_down()
            tasks.put(None)
        for thread in filter(threading.Thread.is_alive, threads):
            thread.join()

    atexit.register(close)
    waiting: deque[Future[list[ChunkOutcome[T, R]]]] = deque()
    try:
        for thread in threads:
            thread.start()
        for chunk in chunks:
            waiting.append(Future())
            tasks.put((chunk, waiting[-1]))
            if len(waiting) > ahead * workers:
                yield from _mark_more(waiting.popleft().result())
        while waiting:
            yield from _mark_more(waiting.popleft().result())
    finally:
        close()
        atexit.unregister(close)
