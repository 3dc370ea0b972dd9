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
from batchdigits.workers.faults import OUT_OF_MEMORY, Limits, is_memory, obituary, text
from batchdigits.workers.slots import Answer, Seat

T = TypeVar("T")
R = TypeVar("R")

_LONGEST_SECONDS = 1_000_000  # poll(2) counts milliseconds in 31 bits


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T, R]):
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


def alive() -> None:
    """Say, from within a function that `run` calls, that one item is done, or a part of one.

    The time limit begins anew, so that it is each part's own, however many a chunk has.
    """
    for say in LISTENERS:
        say()


LISTENERS: list[Callable[[], None]] = []
"""Whom `alive` tells: in a worker, its parent."""


def run(  # noqa: PLR0913
    function: Callable[[list[T]], R],
    chunks: Iterable[list[T]],
    *,
    workers: int,
    seconds: float,
    memory_mib: int,
    ahead: int = 2,
) -> Generator[Outcome[T, R], None, None]:
    """Call a function on every chunk, in worker processes that may die without harm.

    A chunk whose call fails in any way is run again item by item, each alone under the same
    limits, so that only the items at fault lose their result; the function may thus see an item
    up to three times. Outcomes keep the order of the chunks and of the items in them. At most
    `ahead * workers + 1` chunks are taken from `chunks` beyond those whose outcomes were handed
    out. Close the generator to stop early: its workers are then killed and reaped.

    Args:
        function: called with a list of items; a function at the top of an importable module, or
            a `functools.partial` of one. Items and results are pickled on the way.
        chunks: lists of items; may be lazy.
        workers: number of processes; 0 calls the function in this process, without limits.
        seconds: wall-clock limit of one call, be it for a chunk or a single item; and of each part
            of it, where the function says `alive` between them.
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
    if min(workers, ahead) < 0 or not 0 < seconds <= _LONGEST_SECONDS or memory_mib < 1:
        raise UsageError(
            f"expected 0 or more workers, up to {_LONGEST_SECONDS} seconds and 1 MiB or more, "
            f"not {workers} workers, {seconds} seconds and {memory_mib} MiB"
        )
    if workers == 0:
        return _serial(function, chunks, limits)
    if os.name != "posix":
        raise UsageError(f"worker processes need Linux or macOS; use 0 workers, not {workers}")
    return _parallel(chunks, workers, ahead, _greeting(function, limits), limits)


def _greeting(function: Callable[[list[T]], R], limits: Limits) -> bytes:
    """Pickle the first message to every worker; refuse what only the user's script defines."""
    try:
        greeting = pickle.dumps((function, *limits))
        if any(word == "__main__" for _, word, _ in pickletools.genops(greeting)):
            raise pickle.PicklingError("it is defined in the script that runs")  # noqa: TRY301
    except Exception as error:
        raise BatchdigitsError(
            f"workers need a function that they can import, and {function!r} cannot be sent to "
            f"them: {text(error)}; put it at the top of a module of its own"
        ) from error
    return greeting


def _outcomes(chunk: list[T], call: Callable[[list[T]], Answer]) -> list[Outcome[T, Any]]:
    """Call once for the chunk; if that fails, once for each item of it."""
    answer = call(chunk)
    if answer.fault and len(chunk) > 1:
        return [each for item in chunk for each in _outcomes([item], call)]
    if answer.doubtful:
        answer = call(chunk)  # in a fresh worker now, whose death nothing else can have caused
    return [Outcome(chunk, answer.result, answer.fault)]


def _together(outcomes: list[Outcome[T, Any]]) -> list[Outcome[T, Any]]:
    return [*(replace(one, more=True) for one in outcomes[:-1]), *outcomes[-1:]]


def _serial(
    function: Callable[[list[T]], R], chunks: Iterable[list[T]], limits: Limits
) -> Generator[Outcome[T, R], None, None]:
    def call(items: list[T]) -> Answer:
        try:
            return Answer(function(items), "")
        except (Exception, SystemExit) as error:
            memory = is_memory(error)
            return Answer(None, obituary(OUT_OF_MEMORY, limits) if memory else text(error))

    for chunk in chunks:
        yield from _together(_outcomes(chunk, call))


def _parallel(
    chunks: Iterable[list[T]], workers: int, ahead: int, greeting: bytes, limits: Limits
) -> Generator[Outcome[T, R], None, None]:
    tasks: SimpleQueue[Any] = SimpleQueue()  # of (chunk, future); None ends a thread
    seats = [Seat(greeting, limits, _outcomes) for _ in range(workers)]
    # Daemons, and a hook at exit: a generator that an uncaught exception keeps alive must not
    # hold up the interpreter's end, which waits for the threads of a ThreadPoolExecutor.
    threads = [threading.Thread(target=seat.serve, args=(tasks,), daemon=True) for seat in seats]

    def close() -> None:
        for seat in seats:
            seat.shut()
            tasks.put(None)
        for thread in filter(threading.Thread.is_alive, threads):
            thread.join()

    atexit.register(close)
    waiting: deque[Future[list[Outcome[T, R]]]] = deque()
    try:
        for thread in threads:
            thread.start()
        for chunk in chunks:
            waiting.append(Future())
            tasks.put((chunk, waiting[-1]))
            if len(waiting) > ahead * workers:
                yield from _together(waiting.popleft().result())
        while waiting:
            yield from _together(waiting.popleft().result())
    finally:
        close()
        atexit.unregister(close)
