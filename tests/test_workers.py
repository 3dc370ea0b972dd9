import contextlib
import gc
import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import workers_functions as functions

from batchdigits import workers
from batchdigits.errors import BatchdigitsError, UsageError
from batchdigits.workers import ChunkOutcome, choose_executor

pytestmark = pytest.mark.skipif(os.name != "posix", reason="worker processes need a POSIX system")
reads_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads Linux's /proc")
bounds_memory = pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux")

LIMITS: dict[str, Any] = {"seconds": 20, "memory_mib": 256}

DEATHS = {
    "exit": "the worker died (exit code 7)",
    "segv": "the worker died (signal 11, SIGSEGV)",
    "kill": "the worker died (signal 9, SIGKILL)",
    "abort": "the worker died (signal 6, SIGABRT)",
}


def map_chunks(
    function: Callable[[list[Any]], Any],
    chunks: Iterable[list[Any]],
    *,
    workers: int,
    **limits: Any,
) -> Generator[ChunkOutcome[Any, Any], None, None]:
    return choose_executor(workers, **limits).map_chunks(function, chunks)


def _expected(chunks: list[list[str]]) -> list[ChunkOutcome[str, list[str]]]:
    """Return the outcomes of functions.act, from the contract alone."""
    known = DEATHS | {
        "raise": "ValueError: two lines",
        "memory": "needs more than 256 MiB of memory",
    }
    outcomes = []
    for chunk in chunks:
        parts = [[item] for item in chunk] if known.keys() & chunk else [chunk]
        for part in parts:
            fault = known.get(part[0], "") if part else ""
            result = None if fault else [item.upper() for item in part]
            outcomes.append(ChunkOutcome(part, result, fault))
    return outcomes


def _state(pid: int) -> str:
    """Give the letter of /proc for the process, empty if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0]
    except OSError:
        return ""


def _children() -> set[int]:
    """Give this process's children, dead and unreaped ones too."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(entry.read_text(encoding="ascii").rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        if parent == os.getpid():
            found.add(int(entry.parent.name))
    return found


def _wait_for(condition: Callable[[], bool]) -> None:
    """Wait; give up only after a time that no working code needs."""
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.02)
    pytest.fail("it never came about")


def _gone(pid: int) -> bool:
    # A zombie is gone too: whether the machine's first process reaps orphans is not our affair.
    return _state(pid) in ("", "Z")


def _written(path: Path) -> bool:
    return path.exists() and path.read_text(encoding="ascii") != ""


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a script that imports what we import, in a process group of its own."""
    started = []

    def go(text: str, *arguments: str) -> "subprocess.Popen[str]":
        script = tmp_path / "script.py"
        script.write_text(text, encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, str(script), *arguments],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield go
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture(autouse=True)
def _no_child_left() -> Iterator[None]:
    before = _children()
    yield
    gc.collect()
    assert _children() <= before


@pytest.mark.parametrize("deed", DEATHS)
def test_who_kills_its_worker_is_named_and_its_neighbours_are_read(deed: str) -> None:
    chunks = [["a", deed, "b"], [deed], ["c"]]
    assert list(map_chunks(functions.act, chunks, workers=1, **LIMITS)) == _expected(chunks)


def test_many_faults_in_one_chunk() -> None:
    chunks = [["exit", "a", "raise", "exit", "b", "segv", "memory", "kill"], ["c", "exit"]]
    assert list(map_chunks(functions.act, chunks, workers=2, **LIMITS)) == _expected(chunks)


def test_what_never_ends_is_ended() -> None:
    outcomes = map_chunks(
        functions.act, [["a", "hang"], ["b"]], workers=1, seconds=1, memory_mib=256
    )
    assert list(outcomes) == [
        ChunkOutcome(["a"], ["A"], ""),
        ChunkOutcome(["hang"], None, "took longer than 1 s"),
        ChunkOutcome(["b"], ["B"], ""),
    ]


def test_a_chunk_has_time_for_each_item_that_it_says_is_done() -> None:
    naps = [0.4] * 4
    (whole,) = map_chunks(functions.nap_alive, [naps], workers=1, seconds=1, memory_mib=256)
    assert whole == ChunkOutcome(naps, naps, "")
    outcomes = list(
        map_chunks(functions.nap_alive, [[0.4, 3, 0.4]], workers=1, seconds=1, memory_mib=256)
    )
    assert [one.fault for one in outcomes] == ["", "took longer than 1 s", ""]
    assert [one.more for one in outcomes] == [True, True, False], "those of a chunk come together"


@bounds_memory
def test_memory_is_bounded_beyond_what_the_imports_took() -> None:
    chunks = [[100], [100, 400]]
    outcomes = list(map_chunks(functions.allocate, chunks, workers=1, **LIMITS))
    assert outcomes == [
        ChunkOutcome([100], 100 * 2**20, ""),
        ChunkOutcome([100], 100 * 2**20, ""),
        ChunkOutcome([400], None, "needs more than 256 MiB of memory"),
    ]


@pytest.mark.parametrize("chunks", [[["poison", "victim"]], [["poison"], ["victim"]]])
def test_nobody_is_blamed_for_what_another_did_to_the_process(chunks: list[list[str]]) -> None:
    outcomes = list(map_chunks(functions.poison, chunks, workers=1, **LIMITS))
    assert [outcome.fault for outcome in outcomes] == ["", ""]


@pytest.mark.parametrize(
    ("items", "faulty"),
    [
        (["a", "lambda", "b"], "pickle"),  # a result that cannot be sent
        (["a", "unreadable", "b"], "ValueError: invalid literal"),  # nor be received
        (["a", lambda: None, "b"], "pickle"),  # an item that cannot be sent
        (["a", functions.Unreadable(), "b"], "ValueError: invalid literal"),
    ],
)
def test_what_cannot_travel_is_a_fault(items: list[Any], faulty: str) -> None:
    first, second, third = map_chunks(functions.act, [items], workers=1, **LIMITS)
    assert (first.result, third.result) == (["A"], ["B"])
    assert second.items == [items[1]]
    assert second.result is None
    assert faulty in second.fault


@pytest.mark.parametrize(
    ("before", "calls"),
    [
        ([], 1),  # the worker was fresh, so the item is to blame
        ([["never mind"]], 2),  # once more in a fresh worker, to be sure
    ],
)
def test_a_death_is_believed_of_a_fresh_worker(
    before: list[list[str]], calls: int, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    *_, last = map_chunks(functions.log_and_die, [*before, [str(log)]], workers=1, **LIMITS)
    assert last.fault == "the worker died (exit code 1)"
    assert log.read_text(encoding="ascii") == "x" * calls


@bounds_memory
def test_imports_do_not_count_as_memory_of_a_call() -> None:
    # A bare interpreter alone has more than 6 MiB.
    (outcome,) = map_chunks(functions.allocate, [[3]], workers=1, seconds=20, memory_mib=6)
    assert outcome.fault == ""


def test_a_huge_result_arrives_whole() -> None:
    (outcome,) = map_chunks(functions.blob, [[50_000_000, 1]], workers=1, **LIMITS)
    assert outcome.result == bytes(50_000_001)


@reads_proc
def test_stopping_early_leaves_no_child() -> None:
    before = _children()
    with closing(
        map_chunks(functions.pid, ([n] for n in range(99)), workers=2, **LIMITS)
    ) as outcomes:
        pid = next(outcomes).result
        assert pid in _children() - before
    assert _children() == before


def test_stopping_does_not_wait_for_a_call_that_never_ends() -> None:
    chunks = [["a"], ["hang"], ["hang"], ["hang"]]
    outcomes = map_chunks(functions.act, chunks, workers=1, seconds=1_000_000, memory_mib=256)
    assert next(outcomes).result == ["A"]
    outcomes.close()


def test_workers_print_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert [o.fault for o in map_chunks(functions.chatter, [["a"]], workers=1, **LIMITS)] == [""]
    assert capfd.readouterr() == ("", "")


def test_workers_may_be_heard_on_demand(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHDIGITS_DEBUG", "1")
    assert [o.fault for o in map_chunks(functions.chatter, [["a"]], workers=1, **LIMITS)] == [""]
    assert capfd.readouterr() == ("", "err\n")


def test_workers_use_one_thread_and_nothing_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pickle.py").write_text("raise SystemExit('hostile')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    names = ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"]
    (outcome,) = map_chunks(functions.settings, [names], workers=1, **LIMITS)
    assert outcome.result == ["1", "1", "1", "False"]


@pytest.mark.parametrize(("ours", "theirs"), [(None, "SILENT"), ("DEBUG", "DEBUG")])
def test_opencv_is_silent_in_workers_unless_told_otherwise(
    ours: str | None, theirs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENCV_LOG_LEVEL", raising=False)
    if ours is not None:
        monkeypatch.setenv("OPENCV_LOG_LEVEL", ours)
    (outcome,) = map_chunks(functions.settings, [["OPENCV_LOG_LEVEL"]], workers=1, **LIMITS)
    assert outcome.result == [theirs, "False"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"workers": -1}, "not -1 workers"),
        ({"seconds": 0}, "1 workers, 0 seconds"),
        ({"seconds": float("nan")}, "nan seconds"),
        ({"seconds": float("inf")}, "inf seconds"),  # a system call could not take it
        ({"memory_mib": 0}, "0 MiB"),
    ],
)
def test_numbers_out_of_range_are_refused_at_once(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        map_chunks(functions.shout, [["a"]], **({"workers": 1} | LIMITS | wrong))


def test_a_function_that_cannot_be_sent_is_refused_at_once() -> None:
    with pytest.raises(BatchdigitsError, match="put it at the top of a module"):
        map_chunks(lambda items: items, [["a"]], workers=1, **LIMITS)


def test_a_module_that_workers_cannot_import_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fleeting.py").write_text("def f(items): return items\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    fleeting = importlib.import_module("fleeting")
    (tmp_path / "fleeting.py").write_text("import nowhere_at_all", encoding="utf-8")
    with pytest.raises(BatchdigitsError, match="ModuleNotFoundError: No module named 'nowhere"):
        list(map_chunks(fleeting.f, [["a"]], workers=2, **LIMITS))
    del sys.modules["fleeting"]


@pytest.mark.parametrize(
    ("executable", "said"),
    [("/bin/false", "exit code 1"), ("/nowhere/python", "FileNotFoundError")],
)
def test_workers_that_never_start_end_the_run(
    executable: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    with pytest.raises(BatchdigitsError, match=f"cannot be started: .*{said}"):
        list(map_chunks(functions.shout, [["a"]], workers=2, **LIMITS))


def test_an_unguarded_script_may_call_it(start: Start) -> None:
    script = """
import workers_functions
from batchdigits.workers import choose_executor
for outcome in choose_executor(2, seconds=9, memory_mib=256).map_chunks(
    workers_functions.shout, [["a"], ["b"]]
):
    print(outcome.result)
"""
    process = start(script)
    assert process.communicate(timeout=60) == ("['A']\n['B']\n", "")
    assert process.returncode == 0


def test_workers_find_a_package_that_was_found_in_the_current_folder() -> None:
    script = """
import workers_functions
from batchdigits.workers import choose_executor
print(next(choose_executor(1, seconds=9, memory_mib=256).map_chunks(
    workers_functions.shout, [["a"]]
)).result)
"""
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(workers.__file__).parents[2],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.stdout, ended.stderr) == ("['A']\n", "")


def test_a_function_of_the_script_itself_is_a_clear_error(start: Start) -> None:
    script = """
from functools import partial
from batchdigits.workers import choose_executor
def mine(items, more=None):
    return items
for function in mine, partial(mine), partial(max, key=mine):
    try:
        choose_executor(1, seconds=9, memory_mib=256).map_chunks(function, [["a"]])
    except Exception as error:
        print(type(error).__name__, "defined in the script" in str(error))
"""
    assert start(script).communicate(timeout=60) == ("BatchdigitsError True\n" * 3, "")


def test_an_uncaught_exception_ends_the_script_and_its_workers(start: Start) -> None:
    script = """
import workers_functions
from batchdigits.workers import choose_executor
outcomes = choose_executor(1, seconds=100_000, memory_mib=256).map_chunks(
    workers_functions.act, [["a"], ["hang"], ["hang"], ["hang"]]
)
for outcome in outcomes:
    raise RuntimeError("a bug of the caller")
"""
    process = start(script)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.rstrip().endswith("RuntimeError: a bug of the caller")
    with pytest.raises(ProcessLookupError):  # the worker was in the script's process group
        os.killpg(process.pid, signal.SIGKILL)


@reads_proc
def test_ctrl_c_ends_the_script_with_no_words_from_workers(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = """
import sys
import workers_functions
from batchdigits.workers import choose_executor
try:
    list(choose_executor(2, seconds=100_000, memory_mib=256).map_chunks(
        workers_functions.note_pid_and_hang, [[path] for path in sys.argv[1:]]
    ))
except KeyboardInterrupt:
    sys.exit(130)
"""
    monkeypatch.setenv("BATCHDIGITS_DEBUG", "1")  # so that a traceback of theirs would be seen
    paths = [tmp_path / "one", tmp_path / "two"]
    process = start(script, *map(str, paths))
    _wait_for(lambda: all(map(_written, paths)))
    for _ in range(4):  # Python may lose an interrupt that comes within one of its callbacks
        os.killpg(process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            assert process.communicate(timeout=15) == ("", "")
            break
    assert process.returncode == 130
    assert all(_gone(int(path.read_text(encoding="ascii"))) for path in paths)


def test_signals_to_the_whole_group_are_no_fault_of_an_item(start: Start) -> None:
    script = """
import os, signal
import workers_functions
from batchdigits.workers import choose_executor
signals = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
for number in signals:
    signal.signal(number, lambda *_: None)
pids = set()
for outcome in choose_executor(1, seconds=9, memory_mib=256).map_chunks(
    workers_functions.pid, ([n] for n in range(30))
):
    assert not outcome.fault, outcome
    pids.add(outcome.result)
    for number in signals:
        os.killpg(0, number)
print(len(pids))
"""
    assert start(script).communicate(timeout=60) == ("1\n", "")


@reads_proc
def test_a_waiting_worker_does_not_outlive_its_parent(start: Start, tmp_path: Path) -> None:
    script = """
import sys, time
import workers_functions
from batchdigits.workers import choose_executor
outcomes = choose_executor(1, seconds=9, memory_mib=256).map_chunks(
    workers_functions.pid, [[0]] * 9
)
pid = next(outcomes).result
with open(sys.argv[1], "w") as file:
    file.write(str(pid))
time.sleep(1000)
"""
    note = tmp_path / "pid"
    process = start(script, str(note))
    _wait_for(lambda: _written(note))
    process.kill()
    _wait_for(lambda: _gone(int(note.read_text(encoding="ascii"))))


@reads_proc
def test_a_worker_stuck_in_a_call_does_not_outlive_its_parent(start: Start, tmp_path: Path) -> None:
    script = """
import sys
import workers_functions
from batchdigits.workers import choose_executor
list(choose_executor(1, seconds=1, memory_mib=256).map_chunks(
    workers_functions.kill_parent_and_hang, [sys.argv[1:]]
))
"""
    note = tmp_path / "pid"
    process = start(script, str(note))
    assert process.wait(60) == -signal.SIGKILL  # it was orphaned within its second
    _wait_for(lambda: _written(note) and _gone(int(note.read_text(encoding="ascii"))))
