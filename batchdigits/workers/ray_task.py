"""What runs in a process of Ray: a chunk goes to the worker that the process keeps."""

import os
import pickle
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from batchdigits.errors import BatchdigitsError
from batchdigits.workers.executor import ChunkOutcome
from batchdigits.workers.faults import Limits
from batchdigits.workers.processes import ProcessExecutor


def pack_outcomes(outcomes: list[ChunkOutcome[Any, Any]]) -> list[tuple[int, Any, str, bool]]:
    """Return outcomes with the number of their items, which the caller has, in their place."""
    return [(len(one.items), one.result, one.fault, one.more) for one in outcomes]


@dataclass(frozen=True)
class Setup:
    """What a process of Ray needs to run chunks.

    Attributes:
        function: called on each chunk in a worker process, as an `Executor` does.
        limits: of a call.
        finish: called on the outcomes of a chunk in the process of Ray itself, which may be on
            another machine; what it returns is what the chunk gives. The process keeps it, so it
            may keep what it loads.
        prepare: called once in each process of Ray, before the first chunk.
        folder: the caller's working directory, from which relative paths lead.
    """

    function: Callable[[list[Any]], Any]
    limits: Limits
    finish: Callable[[list[ChunkOutcome[Any, Any]]], Any] = pack_outcomes
    prepare: Callable[[], None] | None = None
    folder: str = field(default_factory=os.getcwd)


PackedSetup = tuple[list[str], bytes]
"""The module search path that is needed to load a `Setup`, and the `Setup`."""


def pack_setup(setup: Setup) -> PackedSetup:
    """Pack a setup for other processes, which may have another module search path."""
    return [one for one in sys.path if one], pickle.dumps(setup)


class _KeptWorker:
    """One worker process, which stays from chunk to chunk."""

    def __init__(self, packed: PackedSetup) -> None:
        """Prepare this process; the worker starts with the first chunk."""
        modules, pickled = packed
        sys.path += [one for one in modules if one not in sys.path]
        setup: Setup = pickle.loads(pickled)
        with suppress(OSError):  # another machine may have no such folder: then paths are absolute
            os.chdir(setup.folder)
        if setup.prepare is not None:
            setup.prepare()
        self.finish = setup.finish
        self._chunks: deque[list[Any]] = deque()
        self._outcomes = ProcessExecutor(1, setup.limits, ahead=0).map_chunks(
            setup.function, _take_chunks(self._chunks)
        )

    def call(self, chunk: list[Any]) -> list[ChunkOutcome[Any, Any]]:
        """Return the outcomes of a chunk."""
        self._chunks.append(chunk)
        outcomes = [next(self._outcomes)]
        while outcomes[-1].more:
            outcomes.append(next(self._outcomes))
        return outcomes

    def close(self) -> None:
        """Stop the worker process."""
        self._outcomes.close()


def _take_chunks(chunks: deque[list[Any]]) -> Iterator[list[Any]]:
    while chunks:
        yield chunks.popleft()


_kept: dict[bytes, _KeptWorker] = {}
"""The worker of this process, by the token of the run that it is for."""


def run_chunk(token: bytes, setup: list[Any], chunk: bytes) -> bytes:
    """Run a chunk in the worker that this process keeps; Ray calls this.

    Chunk and answer are pickled here, because Ray's own way takes twice as long for them.

    Args:
        token: the same for all chunks of a run.
        setup: a list with Ray's reference to the packed `Setup`, which is fetched once.
        chunk: the items, pickled.

    Returns:
        What `Setup.finish` gave, and the `BatchdigitsError` that ends the run, if there is one;
        pickled.
    """
    try:
        if token not in _kept:
            import ray  # noqa: PLC0415  (heavy, and an extra)

            while _kept:
                _kept.popitem()[1].close()
            _kept[token] = _KeptWorker(ray.get(setup[0]))
        worker = _kept[token]
        answer = worker.finish(worker.call(pickle.loads(chunk))), None
        return pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
    except BatchdigitsError as error:
        if token in _kept:
            _kept.pop(token).close()
        return pickle.dumps((None, error))
