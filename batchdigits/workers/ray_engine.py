"""The executor that calls the function on the machines of a Ray cluster.

A chunk is a Ray task of one processor. Ray decides where it runs, moves it to another machine when
its own is lost, and asks for more machines while chunks wait. These are tasks and not actors: a
task of a lost machine goes to any other one, but an actor waits until there is room for it again.

Each process of Ray keeps one worker process of `processes`, which has the limits of a call, and
what `finish` has loaded, from chunk to chunk. So a page that kills or holds up its worker has the
same outcome as on one machine.

Ray is imported when it is used.
"""

import importlib
import importlib.util
import logging
import os
import pickle
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from batchdigits.errors import BatchdigitsError, UsageError
from batchdigits.workers.executor import Answer, ChunkOutcome, Executor, R, T, call_chunk
from batchdigits.workers.faults import Limits, describe_error
from batchdigits.workers.processes import encode_greeting
from batchdigits.workers.ray_task import Setup, pack_setup, run_chunk

log = logging.getLogger(__name__)

MAX_RETRIES = 5
"""How often a chunk begins again because its machine or process was lost."""
AHEAD = 3
"""Chunks for each processor that may wait, as chunks or as outcomes."""
COUNT_SECONDS = 5.0
"""s after which the processors of the cluster are counted again: machines come and go."""
NO_MACHINE_SECONDS = 600.0
"""s to wait for a machine while the cluster has none: new ones take minutes to start."""
CONNECT_SECONDS = 10.0
OBJECT_STORE_BYTES = 256 << 20
"""Shared memory of a cluster that is started here; chunks and findings are small."""
INSTALL_HINT = "pip install 'batchdigits[ray]'"


@dataclass(frozen=True)
class RayPlace:
    """Where the chunks run.

    Attributes:
        address: of the cluster, as Ray takes it; None for the environment's RAY_ADDRESS, or else
            for a cluster on this machine that ends with the run.
        processors: of that cluster on this machine.
        gpus: whether to use the cluster's GPUs, if it has any.
    """

    address: str | None = None
    processors: int = 1
    gpus: bool = False


def check_ray(address: str | None = None) -> None:
    """Check that Ray is installed, and that somebody answers where the cluster should be.

    Raises:
        UsageError: one of them is not so.
    """
    if importlib.util.find_spec("ray") is None:
        raise UsageError(f"--engine ray needs Ray, which is not installed: {INSTALL_HINT}")
    if address := address or os.environ.get("RAY_ADDRESS"):
        _check_address(address)


class RayExecutor(Executor):
    """Calls the function on the machines of a Ray cluster; each call has the limits."""

    def __init__(self, limits: Limits, place: RayPlace) -> None:
        """Take the limits of a call, and where it runs; `map_chunks` connects to the cluster.

        Raises:
            UsageError: Ray is not installed, or nobody answers at the address.
        """
        check_ray(place.address)
        self._limits, self._place = limits, place

    def map_chunks(
        self, function: Callable[[list[T]], R], chunks: Iterable[list[T]]
    ) -> Generator[ChunkOutcome[T, R], None, None]:
        """Call the function on every chunk, on several machines at a time; see `Executor`."""
        encode_greeting(function, self._limits)  # refuses what no worker can import

        def call() -> Generator[ChunkOutcome[T, R], None, None]:
            with self.connect():
                for outcome in self.map_finished(Setup(function, self._limits), chunks):
                    yield from _restore_items(outcome)

        return call()

    @contextmanager
    def connect(self) -> Iterator[int]:
        """Connect to the cluster, or start one; yield its number of processors.

        Raises:
            UsageError: the cluster cannot be reached.
        """
        ray = _import_ray()
        with ExitStack() as stack:
            if not ray.is_initialized():
                stack.callback(ray.shutdown)
                _connect_cluster(ray, self._place)
            yield _count_processors(ray)

    def map_finished(
        self, setup: Setup, chunks: Iterable[list[T]]
    ) -> Generator[ChunkOutcome[T, Any], None, None]:
        """Run chunks on the cluster that is connected; yield what each gave, in order.

        A chunk whose machines were lost too often is run again item by item.

        Args:
            setup: what to call, and what to make of its outcomes where they are.
            chunks: lists of items; may be lazy.

        Raises:
            BatchdigitsError: what a machine of the cluster raised, or the cluster has no machine.
        """
        ray = _import_ray()
        remote = ray.remote(run_chunk).options(
            num_cpus=1,
            num_gpus=_share_gpus(ray) if self._place.gpus else 0,
            max_retries=MAX_RETRIES,
            retry_exceptions=False,
            scheduling_strategy="SPREAD",
        )
        token, kept = os.urandom(8), ray.put(pack_setup(setup))
        limit, counted = 0, float("-inf")
        waiting: deque[tuple[list[T], Any]] = deque()

        def submit(items: list[T]) -> Any:
            return remote.remote(token, [kept], pickle.dumps(items, pickle.HIGHEST_PROTOCOL))

        def call_again(items: list[T]) -> Answer:
            return _get_answer(ray, submit(items))

        def take_outcomes() -> list[ChunkOutcome[T, Any]]:
            chunk, reference = waiting.popleft()
            answer = _get_answer(ray, reference)
            if not answer.fault:
                return [ChunkOutcome(chunk, answer.result, "")]
            return call_chunk(chunk, call_again)

        try:
            for chunk in chunks:
                waiting.append((chunk, submit(chunk)))
                if time.monotonic() - counted > COUNT_SECONDS:
                    limit, counted = AHEAD * _count_processors(ray), time.monotonic()
                while len(waiting) > limit:
                    yield from take_outcomes()
            while waiting:
                yield from take_outcomes()
        finally:
            for _, reference in waiting:
                with suppress(Exception):
                    ray.cancel(reference, force=True)


def _restore_items(outcome: ChunkOutcome[T, Any]) -> Iterator[ChunkOutcome[T, Any]]:
    """Yield the outcomes of a chunk with the caller's own items."""
    if outcome.result is None:
        yield outcome
        return
    start = 0
    for count, result, fault, more in outcome.result:
        items = outcome.items
        if count != len(items):
            items = items[start : start + count]
        yield ChunkOutcome(items, result, fault, more)
        start += count


def _get_answer(ray: Any, reference: Any) -> Answer:
    """Wait for what a chunk gave; a fault is one of the machines, which may be another's next.

    Raises:
        BatchdigitsError: what the task raised, or there is no machine to wait for.
    """
    since = time.monotonic()
    while not ray.wait([reference], timeout=10.0)[0]:
        if _count_processors(ray, least=0):
            since = time.monotonic()
        elif time.monotonic() - since > NO_MACHINE_SECONDS:
            raise BatchdigitsError(
                f"the Ray cluster has had no processor for {NO_MACHINE_SECONDS:g} s: start a "
                "machine of it; what was read is kept for the next run"
            )
    try:
        result, error = pickle.loads(ray.get(reference))
    except ray.exceptions.RayTaskError as failed:
        raise failed.cause or failed from None
    except ray.exceptions.RayError as lost:
        words = describe_error(lost).partition(":")[0]
        return Answer(None, f"its machine or process was lost {MAX_RETRIES + 1} times ({words})")
    if error is not None:
        raise error
    return Answer(result, "")


def _count_processors(ray: Any, least: int = 1) -> int:
    return max(least, int(ray.cluster_resources().get("CPU", 0)))


def _share_gpus(ray: Any) -> float:
    """Return the part of a GPU that a task gets, so that as many run as there are processors."""
    resources = ray.cluster_resources()
    gpus, processors = resources.get("GPU", 0), max(1, resources.get("CPU", 1))
    return min(1.0, int(10_000 * gpus / processors) / 10_000)


def _import_ray() -> Any:
    """Import Ray, which then calls nobody home, warns of nothing, and waits for no other program.

    Ray starts processes that give way to all others; on a busy machine they would read for hours.
    """
    os.environ.setdefault("RAY_worker_niceness", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    ray = importlib.import_module("ray")
    # Ray prints that a machine was lost on standard output, which carries data only. There is no
    # setting for that; what is lost is read again, so the line is for the log.
    with suppress(ImportError):
        private: Any = importlib.import_module("ray._private.worker")
        private.print_to_stdstream = _log_notice
    return ray


def _log_notice(notice: dict[str, Any], *_: Any, **__: Any) -> None:
    log.info("Ray: %s", " ".join(" ".join(map(str, notice.get("lines", []))).split())[:500])


def _connect_cluster(ray: Any, place: RayPlace) -> None:
    address = place.address or os.environ.get("RAY_ADDRESS") or "local"
    settings: dict[str, Any] = {
        "address": address,
        "log_to_driver": False,
        "logging_level": "ERROR",
    }
    if address == "local":
        settings |= {"num_cpus": max(1, place.processors), "include_dashboard": False}
        settings |= {"object_store_memory": OBJECT_STORE_BYTES}
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ray.init(**settings)
    except Exception as error:
        raise _make_connect_error(address, describe_error(error)) from None
    finally:  # Ray has handlers of its own, and a run that is stopped keeps what it has
        for number, handler in kept.items():
            with suppress(ValueError):  # not in the main thread, where Ray sets none
                signal.signal(number, handler)


def _check_address(address: str) -> None:
    """Raise `UsageError` if nobody answers at HOST:PORT, for which Ray would wait long."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not colon:
        return  # as "auto", which Ray looks up
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, ValueError, OverflowError) as error:
        raise _make_connect_error(address, describe_error(error)) from None


def _make_connect_error(address: str, cause: str) -> UsageError:
    return UsageError(
        f"no Ray cluster answers at '{address}' ({cause}): check --ray-address, and that "
        "the cluster runs (`ray status`)"
    )
