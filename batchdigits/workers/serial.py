"""The executor that calls the function in this process."""

from collections.abc import Callable, Generator, Iterable

from batchdigits.workers.executor import Answer, ChunkOutcome, Executor, R, T, call_chunk
from batchdigits.workers.faults import (
    MEMORY_EXIT_CODE,
    Limits,
    describe_error,
    describe_worker_exit,
    is_memory_error,
)


class SerialExecutor(Executor):
    """Calls the function in this process, one chunk after another; enforces no limits."""

    def __init__(self, limits: Limits) -> None:
        """Take the limits, which only the message about a lack of memory quotes."""
        self._limits = limits

    def map_chunks(
        self, function: Callable[[list[T]], R], chunks: Iterable[list[T]]
    ) -> Generator[ChunkOutcome[T, R], None, None]:
        """Call the function on every chunk as its outcome is asked for; see `Executor`."""

        def call(items: list[T]) -> Answer:
            try:
                return Answer(function(items), "")
            except (Exception, SystemExit) as error:
                return Answer(None, self._describe_fault(error))

        for chunk in chunks:
            yield from call_chunk(chunk, call)

    def _describe_fault(self, error: BaseException) -> str:
        if is_memory_error(error):  # in the words that a worker process would have caused
            return describe_worker_exit(MEMORY_EXIT_CODE, self._limits)
        return describe_error(error)
