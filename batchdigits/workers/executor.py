"""The interface of the executors, the serial one, and how the item at fault is isolated."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Generic, NamedTuple, TypeVar

from batchdigits.workers.faults import (
    MEMORY_EXIT_CODE,
    Limits,
    describe_error,
    describe_worker_exit,
    is_memory_error,
)

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class ChunkOutcome(Generic[T, R]):
    """The outcome of one chunk, or of one item of a chunk that failed as a whole.

    Attributes:
        items: the items that were processed, in the order given; the caller's own objects.
        result: what the function returned for `items`; None if there is a fault.
        fault: why there is no result, in plain words on one line; empty if there is one.
        more: whether another outcome of the same chunk is ready.
    """

    items: list[T]
    result: R | None
    fault: str
    more: bool = field(default=False, compare=False)


class Executor(ABC):
    """Calls a function on every chunk; a call that fails harms no other.

    Every implementation gives the same outcomes in the same order. `SerialExecutor` is the
    reference for calls that return or raise.
    """

    @abstractmethod
    def map_chunks(
        self, function: Callable[[list[T]], R], chunks: Iterable[list[T]]
    ) -> Generator[ChunkOutcome[T, R], None, None]:
        """Call a function on every chunk.

        A chunk whose call fails in any way is run again item by item, each alone under the same
        limits, so that only the items at fault lose their result. The function may thus see an
        item up to three times. Outcomes keep the order of the chunks and of the items in them.
        Chunks are taken only a bounded number ahead of the outcomes that were handed out.

        Args:
            function: called with a list of items; a function at the top of an importable module,
                or a `functools.partial` of one. Items and results may be pickled on the way.
            chunks: lists of items; may be lazy.

        Returns:
            The outcomes, lazily: one for a chunk that went well, else one for each of its items.
            Close the generator to stop early: it frees whatever the calls hold.

        Raises:
            BatchdigitsError: at once, if the function cannot be sent to a worker; while
                iterating, if no worker can be started.
        """


class Answer(NamedTuple):
    """The answer to one call.

    Attributes:
        result: what the function returned; None if there is a fault.
        fault: why there is no result; empty if there is one.
        doubtful: whether an earlier call in the same process may be to blame for the fault.
    """

    result: Any
    fault: str
    doubtful: bool = False


def call_chunk(chunk: list[T], call: Callable[[list[T]], Answer]) -> list[ChunkOutcome[T, Any]]:
    """Call once for the chunk; if that fails, once for each of its items."""
    answer = call(chunk)
    if answer.fault and len(chunk) > 1:
        parts = [part for item in chunk for part in call_chunk([item], call)]
        return [*(replace(part, more=True) for part in parts[:-1]), parts[-1]]
    if answer.doubtful:
        answer = call(chunk)  # in a fresh worker now, whose death nothing else can have caused
    return [ChunkOutcome(chunk, answer.result, answer.fault)]


HEARTBEAT_LISTENERS: list[Callable[[], None]] = []
"""What `send_heartbeat` calls; in a worker process this tells the parent."""


def send_heartbeat() -> None:
    """Restart the time limit, from within a function that an executor calls.

    The function sends a heartbeat when an item, or a part of it, is done. The limit then holds
    for each part, however many a chunk has.
    """
    for listener in HEARTBEAT_LISTENERS:
        listener()


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
