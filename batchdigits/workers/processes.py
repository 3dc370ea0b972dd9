"""The executor that calls the function in worker processes, which may die without harm.

Each worker is a fresh interpreter running `__main__`. `subprocess` starts it and a socket pair
connects it. The ready-made pools do not serve here: `spawn` imports the user's script a second
time, which an unguarded script does not survive; `fork` is unsafe beside TensorFlow's threads;
and a `ProcessPoolExecutor` with one dead worker gives up everything it was doing.

Worker processes need a POSIX system; their memory limit needs Linux. They print nothing, unless
the environment has BATCHDIGITS_DEBUG: then their standard error is the parent's.
"""

import atexit
import os
import pickle
import pickletools
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

from batchdigits.errors import BatchdigitsError, UsageError
from batchdigits.workers.executor import ChunkOutcome, Executor, R, T
from batchdigits.workers.faults import Limits, describe_error
from batchdigits.workers.slots import WorkerSlot


class ProcessExecutor(Executor):
    """Calls the function in worker processes of this machine, and enforces the limits."""

    def __init__(self, workers: int, limits: Limits, ahead: int = 2) -> None:
        """Take how many processes to use; `map_chunks` starts them.

        Args:
            workers: number of processes, 1 or more.
            limits: of one call.
            ahead: chunks per worker that may wait, as chunks or as outcomes. At most
                `ahead * workers + 1` chunks are taken beyond those whose outcomes were handed out.

        Raises:
            UsageError: this system has no worker processes.
        """
        if os.name != "posix":
            raise UsageError(f"worker processes need Linux or macOS; use 0 workers, not {workers}")
        self._workers, self._limits, self._ahead = workers, limits, ahead

    def map_chunks(
        self, function: Callable[[list[T]], R], chunks: Iterable[list[T]]
    ) -> Generator[ChunkOutcome[T, R], None, None]:
        """Call the function on every chunk, several at a time; see `Executor`.

        Closing the generator kills and reaps the workers, whatever they are doing.
        """
        return self._run_chunks(chunks, encode_greeting(function, self._limits))

    def _run_chunks(
        self, chunks: Iterable[list[T]], greeting: bytes
    ) -> Generator[ChunkOutcome[T, Any], None, None]:
        tasks: SimpleQueue[Any] = SimpleQueue()  # of (chunk, future); None ends a thread
        slots = [WorkerSlot(greeting, self._limits) for _ in range(self._workers)]
        # Daemons, and a hook at exit: a generator that an uncaught exception keeps alive must not
        # hold up the interpreter's end, which waits for the threads of a ThreadPoolExecutor.
        threads = [
            threading.Thread(target=slot.run_tasks, args=(tasks,), daemon=True) for slot in slots
        ]

        def close() -> None:
            for slot in slots:
                slot.shut_down()
                tasks.put(None)
            for thread in filter(threading.Thread.is_alive, threads):
                thread.join()

        atexit.register(close)
        waiting: deque[Future[list[ChunkOutcome[T, Any]]]] = deque()
        try:
            for thread in threads:
                thread.start()
            for chunk in chunks:
                waiting.append(Future())
                tasks.put((chunk, waiting[-1]))
                if len(waiting) > self._ahead * self._workers:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            close()
            atexit.unregister(close)


def encode_greeting(function: Callable[[list[T]], R], limits: Limits) -> bytes:
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
