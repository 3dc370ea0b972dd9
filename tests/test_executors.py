"""The contract that every executor keeps; what worker processes add is in test_workers."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import workers_functions as functions
from hypothesis import given, settings
from hypothesis import strategies as st

from batchdigits.workers import Executor, ProcessExecutor, SerialExecutor, choose_executor
from batchdigits.workers.faults import Limits
from batchdigits.workers.ray_engine import RayExecutor, RayPlace

pytestmark = pytest.mark.skipif(os.name != "posix", reason="worker processes need a POSIX system")

LIMITS = Limits(seconds=20, memory_mib=256)
EXECUTORS: dict[str, Callable[[], Executor]] = {
    "serial": lambda: SerialExecutor(LIMITS),
    "one process": lambda: ProcessExecutor(1, LIMITS),
    "four processes": lambda: ProcessExecutor(4, LIMITS),
    "ray": lambda: RayExecutor(LIMITS, RayPlace(processors=2)),
}
REFUSED = "ValueError: two lines"
NO_MEMORY = "needs more than 256 MiB of memory"

# function, chunks, and of each outcome: items, result, fault, whether more of the chunk is ready
Case = tuple[Callable[[list[Any]], Any], list[list[Any]], list[tuple[list[Any], Any, str, bool]]]
CONTRACT: dict[str, Case] = {
    "there may be nothing to do": (functions.act, [], []),
    "a chunk that goes well is one outcome": (
        functions.act,
        [["a", "b"], ["c"]],
        [(["a", "b"], ["A", "B"], "", False), (["c"], ["C"], "", False)],
    ),
    "an empty chunk is one too": (functions.act, [[]], [([], [], "", False)]),
    "one item at fault loses its result alone": (
        functions.act,
        [["a", "raise", "b"], ["c"]],
        [
            (["a"], ["A"], "", True),
            (["raise"], None, REFUSED, True),
            (["b"], ["B"], "", False),
            (["c"], ["C"], "", False),
        ],
    ),
    "a chunk of one item at fault": (
        functions.act,
        [["raise"]],
        [(["raise"], None, REFUSED, False)],
    ),
    "an error without a message": (
        functions.act,
        [["wordless"]],
        [(["wordless"], None, "LookupError", False)],
    ),
    "a function that would end the process": (
        functions.act,
        [["sys.exit"]],
        [(["sys.exit"], None, "SystemExit: 3", False)],
    ),
    "too little memory, as Python and as OpenCV say it": (
        functions.act,
        [["memory", "a", "opencv"]],
        [
            (["memory"], None, NO_MEMORY, True),
            (["a"], ["A"], "", True),
            (["opencv"], None, NO_MEMORY, False),
        ],
    ),
    "order is kept when the first takes longest": (
        functions.nap,
        [[0.2], [0.0], [0.05, 0.0], [0.0]],
        [
            ([0.2], [0.2], "", False),
            ([0.0], [0.0], "", False),
            ([0.05, 0.0], [0.05, 0.0], "", False),
            ([0.0], [0.0], "", False),
        ],
    ),
    "heartbeats change nothing": (
        functions.nap_alive,
        [[0.0, 0.0]],
        [([0.0, 0.0], [0.0, 0.0], "", False)],
    ),
    "a partial function": (
        partial(max, default="nothing"),
        [[]],
        [([], "nothing", "", False)],
    ),
}


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[None]:
    """Start Ray once for all tests that need it, as it takes seconds."""
    with RayExecutor(LIMITS, RayPlace(processors=2)).connect():
        yield


@pytest.fixture(params=EXECUTORS)
def executor(request: pytest.FixtureRequest) -> Executor:
    if request.param == "ray":
        request.getfixturevalue("ray_cluster")
    return EXECUTORS[request.param]()


@pytest.mark.parametrize("case", CONTRACT)
def test_every_executor_gives_the_same_outcomes(case: str, executor: Executor) -> None:
    function, chunks, expected = CONTRACT[case]
    outcomes = executor.map_chunks(function, chunks)
    assert [(one.items, one.result, one.fault, one.more) for one in outcomes] == expected


@settings(max_examples=8, deadline=None)
@given(st.lists(st.lists(st.sampled_from(["a", "b", "raise"]), max_size=4), max_size=7))
def test_processes_give_what_the_reference_gives(chunks: list[list[str]]) -> None:
    serial, processes = SerialExecutor(LIMITS), ProcessExecutor(2, LIMITS)
    assert list(processes.map_chunks(functions.act, chunks)) == list(
        serial.map_chunks(functions.act, chunks)
    )


def test_items_are_the_callers_own(executor: Executor) -> None:
    chunk = ["a", "raise"]
    (whole,) = executor.map_chunks(functions.shout, [chunk])
    assert whole.items is chunk
    parts = executor.map_chunks(functions.act, [chunk])
    assert all(part.items[0] is item for part, item in zip(parts, chunk, strict=True))


def test_chunks_are_taken_lazily_and_a_bounded_number_ahead(executor: Executor) -> None:
    taken = 0

    def source() -> Iterator[list[str]]:
        nonlocal taken
        for taken in range(1, 31):
            yield [str(taken)]

    outcomes = executor.map_chunks(functions.shout, source())
    assert taken == 0
    for done, _ in enumerate(outcomes):
        assert taken <= done + 2 * 4 + 1  # of four workers
    assert taken == 30


@pytest.mark.parametrize(("workers", "ahead"), [(0, 2), (1, 2), (2, 2), (2, 1)])
def test_as_many_chunks_wait_as_was_asked_for(workers: int, ahead: int) -> None:
    taken = 0

    def source() -> Iterator[list[str]]:
        nonlocal taken
        for taken in range(1, 31):
            yield [str(taken)]

    executor = choose_executor(workers, seconds=20, memory_mib=256, ahead=ahead)
    for done, _ in enumerate(executor.map_chunks(functions.shout, source())):
        assert taken <= done + ahead * workers + 1


def test_a_fault_of_the_source_of_chunks_is_raised(executor: Executor) -> None:
    def source() -> Iterator[list[str]]:
        yield ["a"]
        raise OSError("the drive is gone")

    with pytest.raises(OSError, match="the drive is gone"):
        list(executor.map_chunks(functions.shout, source()))


def test_stopping_early_takes_no_more_chunks(executor: Executor) -> None:
    chunks = iter([[str(number)] for number in range(99)])
    outcomes = executor.map_chunks(functions.shout, chunks)
    assert next(outcomes).result == ["0"]
    outcomes.close()
    assert len(list(chunks)) >= 99 - (2 * 4 + 1)
    with pytest.raises(StopIteration):
        next(outcomes)


def test_an_executor_serves_several_maps(executor: Executor) -> None:
    for text in "ab":
        (outcome,) = executor.map_chunks(functions.shout, [[text]])
        assert outcome.result == [text.upper()]


@pytest.mark.parametrize(("workers", "kind"), [(0, SerialExecutor), (1, ProcessExecutor)])
def test_the_number_of_workers_chooses_the_executor(workers: int, kind: type[Executor]) -> None:
    assert type(choose_executor(workers, seconds=20, memory_mib=256)) is kind
