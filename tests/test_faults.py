"""Runs while the world breaks: nothing is lost, the exit code says how it went, in one line."""

import csv
import os
import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from conftest import FakeClassifier, Save, drawn, ordinary_user, resolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from batchdigits import cli, files, predict, sources
from batchdigits import run as runs
from batchdigits.extract import chunk_builder, stream, tasks
from batchdigits.predict import predictor
from batchdigits.run import run_job
from batchdigits.state import StateStore, tables

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="breaks Linux's own ways")
OUT = "out/results.csv"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def six(inbox: Path, save: Save, fake_classifier: FakeClassifier) -> Path:
    """Six digits that were there for long, and a folder for the table."""
    for n in range(6):
        save(f"{n}.png", drawn(n))
        os.utime(inbox / f"{n}.png", (1e9, 1e9))
    Path("out").mkdir()
    return inbox


def run(*more: str) -> int:
    """Run in this process."""
    return cli._run_command_line(["run", "inbox", "--out", OUT, "--workers", "0", "--quiet", *more])


def command(*more: str) -> list[str]:
    """Give the command line of a run as a process of its own."""
    main = str(Path(__file__).parent / "nightly_main.py")
    return [sys.executable, main, "run", "inbox", "--out", OUT, "--workers", "0", *more]


def environment() -> dict[str, str]:
    here = Path(__file__).parent
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(here.parent), str(here)])}


def rows(out: str = OUT) -> dict[str, dict[str, str]]:
    with Path(out).open(encoding="utf-8", newline="") as file:
        return {row["file"].removeprefix("inbox/"): row for row in csv.DictReader(file)}


def whole(out: str = "whole.csv") -> bytes:
    """Give the table of one undisturbed run over what is in the inbox."""
    run_job(resolve(settle=0, out=out))
    Path(f"{out}.state").unlink()
    return Path(out).read_bytes()


def one_line(said: str, *words: str) -> None:
    """Expect one line that a person understands."""
    assert said.startswith("batchdigits: "), said
    assert said.count("\n") == 1, said
    assert "Traceback" not in said
    for word in words:
        assert word in said


# --- a disk that is full -------------------------------------------------------------------------


def no_room(*_: object, **__: object) -> NoReturn:
    raise OSError(28, "No space left on device")


def full_base(*_: object, **__: object) -> None:
    raise sqlite3.OperationalError("database or disk is full")


FULL: dict[str, tuple[object, str, Callable[..., None]]] = {
    "as the state is begun": (StateStore, "add_key", full_base),
    "as what was read is kept": (StateStore, "save_findings", full_base),
    "as the table is written": (files.os, "fsync", no_room),
    "as an edited table is kept": (tables, "find_free_name", no_room),
    "as the table is noted": (StateStore, "save_table_record", full_base),
}


@pytest.mark.parametrize("when", FULL)
def test_a_disk_that_fills_up_leaves_the_old_table(
    when: str, six: Path, save: Save, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert run() == 0
    save("7.png", drawn(7))
    Path(OUT).write_text("what a person wrote")
    wanted = whole()
    where, name, fault = FULL[when]
    with monkeypatch.context() as patch:
        patch.setattr(where, name, fault)
        assert run() == 5
    one_line(capsys.readouterr().err, "make room")
    if when != "as the table is noted":
        assert Path(OUT).read_text() == "what a person wrote"
    assert run() == 0
    assert Path(OUT).read_bytes() == wanted
    assert [path.read_text() for path in Path("out").glob("*.kept-*")] == ["what a person wrote"]
    assert not list(Path("out").glob(".batchdigits-*"))


def no_link(*_: object) -> None:
    raise OSError(1, "Operation not permitted")


@pytest.mark.parametrize("links", [True, False])
def test_an_edited_table_is_kept_as_it_was_for_those_who_may_read_it(
    links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run() == 0
    Path("table.csv").write_text("what a person wrote")
    Path("table.csv").chmod(0o640)
    os.utime("table.csv", (5, 5))
    Path(OUT).unlink()
    Path(OUT).symlink_to("../table.csv")
    number = os.stat("table.csv").st_ino
    with monkeypatch.context() as patch:
        if not links:
            patch.setattr(os, "link", no_link)
        assert run() == 0
    (kept,) = Path("out").glob("*.kept-*")
    assert kept.read_text() == "what a person wrote"
    found = kept.lstat()
    assert (oct(found.st_mode), found.st_mtime) == ("0o100640", 5)
    assert (found.st_ino == number) is links
    assert len(rows()) == 6
    assert not list(Path("out").glob(".batchdigits-*"))


def test_of_two_tables_an_edited_one_is_kept_though_the_other_cannot_be_written(
    save: Save, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    digits = "out/digits.csv"
    assert run("--digits-out", digits) == 0
    Path(digits).write_text("what a person wrote")
    save("7.png", drawn(7))
    real = Path.replace

    def fails(path: Path, target: Path) -> Path:
        return no_room() if target.name == "results.csv" else real(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fails)
        assert run("--digits-out", digits) == 5
    assert "digit" in Path(digits).read_text()  # this one has taken its place already
    (kept,) = Path("out").glob("digits.kept-*")
    assert kept.read_text() == "what a person wrote"
    assert str(kept) in caplog.text


def test_a_table_may_be_a_link_to_where_nothing_is_yet() -> None:
    Path(OUT).symlink_to("../table.csv")
    assert run() == 0
    assert Path(OUT).is_symlink()
    assert len(rows("table.csv")) == 6


@pytest.mark.parametrize(
    ("table", "state", "wanted"),
    [
        pytest.param(0o600, 0o644, 0o600, id="private"),
        pytest.param(0o640, 0o666, 0o660, id="for the group, who may still run it"),
        pytest.param(0o644, 0o664, 0o664, id="for all: as it is"),
        pytest.param(
            0o444, 0o644, 0o644, id="that nobody writes in: the run still writes its state"
        ),
        pytest.param(0o600, None, 0o600, id="private, and no state yet"),
        pytest.param(0o644, None, 0o644, id="for all, and no state yet"),
        pytest.param(None, 0o644, 0o644, id="not there"),
        pytest.param(None, None, None, id="not there, nor is a state"),
    ],
)
def test_who_may_not_read_the_table_may_not_read_its_state(
    table: int | None, state: int | None, wanted: int | None
) -> None:
    for name, mode in (("t.csv", table), ("t.csv.state", state)):
        if mode is not None:
            Path(name).write_text("values")
            Path(name).chmod(mode)
    umask = os.umask(0o022)
    tables.restrict_state_access("t.csv.state", "t.csv")
    os.umask(umask)
    place = Path("t.csv.state")
    assert (place.stat().st_mode & 0o777 if place.exists() else None) == wanted


def test_what_is_no_state_keeps_its_mode() -> None:
    """A device in its place, say, which all programs share."""
    Path("t.csv").touch(mode=0o600)
    os.mkfifo("t.csv.state")
    Path("t.csv.state").chmod(0o644)
    tables.restrict_state_access("t.csv.state", "t.csv")
    assert Path("t.csv.state").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("before", ["a state for all", "no state", "a damaged state"])
def test_a_run_keeps_the_values_of_a_private_table_private(before: str) -> None:
    assert run() == 0
    Path(OUT).chmod(0o600)
    state = Path(f"{OUT}.state")
    state.chmod(0o644)
    if before == "no state":
        state.unlink()
    elif before == "a damaged state":
        state.write_bytes(b"SQLite format 3 is not this")
        state.chmod(0o644)
    assert run() == 0
    assert {path.stat().st_mode & 0o077 for path in Path("out").glob("results*")} == {0}


@pytest.mark.parametrize("most", [0, 4096, 20480, 65536])
def test_where_files_may_not_grow_the_next_run_makes_good(most: int, six: Path, save: Save) -> None:
    """A limit of the kernel's on the size of files stops the state, its journal and the table."""
    for n in range(7, 60):
        save(f"{n}.png", drawn(n % 10, seed=n))
    wanted = whole()

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    done = subprocess.run(
        command("--quiet"),
        env=environment(),
        preexec_fn=limited,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode in (0, 5), done.stderr
    assert Path(OUT).exists() is (done.returncode == 0)
    if done.returncode:
        one_line(done.stderr)
    assert run() == 0
    assert Path(OUT).read_bytes() == wanted


def in_a_small_disk(size: int, *more: str) -> subprocess.CompletedProcess[str]:
    """Run with a disk of so many KiB for the output, in a namespace that ends with the run."""
    script = (
        f"mount -t tmpfs -o size={size}k tmpfs out && cp -a before/. out/ && shift && "
        '"$@"; code=$?; rm -rf after; cp -a out after; exit $code'
    )
    apart = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", "-"]
    return subprocess.run(
        [*apart, *command("--quiet", *more)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def can_mount() -> bool:
    """Tell whether a disk may be mounted here, in a namespace of its own."""
    if shutil.which("unshare") is None:
        return False
    apart = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "x", "/mnt"]
    return subprocess.run(apart, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="nothing may be mounted here")
@pytest.mark.parametrize("size", [8, 36, 60, 76])
def test_a_real_disk_that_is_full_keeps_the_old_table(size: int, six: Path, save: Save) -> None:
    assert run() == 0
    shutil.copytree("out", "before")
    old = Path(OUT).read_bytes()
    for n in range(10, 150):
        save(f"{n}.png", drawn(n % 10, seed=n))
    if size < 48:  # the old table and its state do not even fit: begin with the table alone
        Path("before/results.csv.state").unlink()
    done = in_a_small_disk(size)
    assert done.returncode == 5, done.stderr
    one_line(done.stderr)
    assert Path("after/results.csv").read_bytes() == old
    assert not list(Path("after").glob(".batchdigits-*"))
    shutil.rmtree("out")
    shutil.copytree("after", "out")
    wanted = whole()
    assert run() == 0
    assert Path(OUT).read_bytes() == wanted


@pytest.mark.parametrize("left", ["garbage", "a folder", "of another state", "wal"])
def test_what_lies_beside_the_state_is_no_reason_to_lose_it(left: str, save: Save) -> None:
    """A journal that is none: a crash, or somebody else, may leave anything there."""
    assert run() == 0
    journal = Path(f"{OUT}.state-journal")
    if left == "garbage":
        journal.write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(range(256)) * 40)
    elif left == "a folder":
        journal.mkdir()
    elif left == "wal":
        Path(f"{OUT}.state-wal").write_bytes(b"\x37\x7f\x06\x82" + bytes(5000))
    else:
        journal.write_bytes(Path(f"{OUT}.state").read_bytes())
    save("9.png", drawn(9))
    wanted = whole()
    code = run()
    if left == "a folder":
        assert code == 5
        journal.rmdir()
        code = run()
    assert code == 0
    assert Path(OUT).read_bytes() == wanted


# --- a place that goes away, or never was --------------------------------------------------------


def emptied() -> None:
    shutil.rmtree("out")


def moved() -> None:
    Path("out").rename("elsewhere")


def a_file_instead() -> None:
    shutil.rmtree("out")
    Path("out").write_text("not a folder")


def state_gone() -> None:
    Path(f"{OUT}.state").unlink()


@pytest.mark.parametrize("happens", [emptied, moved, a_file_instead, state_gone])
@pytest.mark.parametrize("when", ["read", "write"])
def test_an_output_that_vanishes_is_told_in_a_line_and_comes_back(
    happens: Callable[[], None], when: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    wanted = whole()
    room, name = {"read": (stream, "extract_chunk"), "write": (runs, "_write_tables")}[when]
    real = getattr(room, name)
    done: list[bool] = []

    def breaks(*given: Any, **more: Any) -> Any:
        if not done:
            done.append(True)
            happens()
        return real(*given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(room, name, breaks)
        assert run() == 5
    one_line(capsys.readouterr().err)
    if Path("out").is_file():
        Path("out").unlink()
    Path("out").mkdir(exist_ok=True)
    assert run() == 0
    assert Path(OUT).read_bytes() == wanted


def test_a_log_that_cannot_be_written_costs_a_line_and_no_row() -> None:
    """By a run of its own: what it logs to is of the whole process."""
    done = subprocess.run(
        command("--log-file", "/dev/full"),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, len(rows())) == (0, 6)
    first, second = sorted(done.stderr.splitlines())
    assert "6 rows" in first
    assert "cannot write --log-file '/dev/full' any more: No space left on device" in second


@pytest.mark.parametrize("inside", ["", "/results.csv.state", "/.results.csv.lock"])
def test_a_folder_where_a_file_should_be(inside: str, capsys: Capture) -> None:
    """What even root cannot write to, as the permission bits of the next test do not bind root."""
    Path("out").rmdir()
    Path("out" if not inside else f"out{inside}").mkdir(parents=True)
    if not inside:
        Path("out").rmdir()
        Path("out").touch()
    assert run() == 5
    one_line(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("place", "more", "words"),
    [
        (f"{OUT}.state", (), "results.csv.state' is a folder or no regular file"),
        ("b.log", ("--log-file", "b.log"), "cannot write --log-file 'b.log': it is a pipe"),
    ],
)
def test_a_pipe_where_a_file_should_be_hangs_nothing(
    place: str, more: tuple[str, ...], words: str
) -> None:
    os.mkfifo(place)
    done = subprocess.run(
        command(*more), env=environment(), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 5
    one_line(done.stderr, words)


@pytest.fixture
def reachable(six: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stand where an ordinary user gets to, as he does not to what pytest makes for root."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("inbox", "out"):
            shutil.move(name, folder)
        monkeypatch.chdir(folder)
        shutil.copytree(
            predict.resolve_keras_path(None).parent, "model"
        )  # the package may lie out of reach
        monkeypatch.setenv("BATCHDIGITS_MODEL", "model")
        for path in (folder, "out"):
            Path(path).chmod(0o777)
        yield Path("inbox")


def test_a_read_only_folder_and_state(reachable: Path, capsys: Capture) -> None:
    assert run() == 0
    old = Path(OUT).read_bytes()
    Path("inbox/5.png").unlink()
    for path in (Path(OUT), Path(f"{OUT}.state"), Path("out")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    with ordinary_user():
        assert run("--prune") == 5
    one_line(capsys.readouterr().err)
    Path("out").chmod(0o755)
    assert Path(OUT).read_bytes() == old


# --- inputs that change under the run ------------------------------------------------------------


def test_files_that_may_not_be_read_are_rows_and_the_others_are_read(
    reachable: Path, capsys: Capture
) -> None:
    six = reachable
    wanted = whole().splitlines()
    (six / "2.png").chmod(0)
    (six / "shut").mkdir(mode=0)
    with ordinary_user():
        assert run() == 3
    one_line(capsys.readouterr().err, "2 error")
    found = rows()
    assert found["2.png"]["detail"] == "permission denied: let this account read the file"
    assert found["shut"]["detail"] == "the folder cannot be read: permission denied"
    (six / "shut").rmdir()
    (six / "2.png").chmod(0o644)
    assert run("--prune") == 0
    assert Path(OUT).read_bytes().splitlines() == wanted


def deleted(inbox: Path, save: Save) -> None:
    (inbox / "3.png").unlink()


def replaced(inbox: Path, save: Save) -> None:
    save("new", drawn(9))
    (inbox / "new").replace(inbox / "3.png")


def a_pipe_instead(inbox: Path, save: Save) -> None:
    (inbox / "3.png").unlink()
    os.mkfifo(inbox / "3.png")


def a_folder_instead(inbox: Path, save: Save) -> None:
    (inbox / "3.png").unlink()
    (inbox / "3.png").mkdir()


def cut_short(inbox: Path, save: Save) -> None:
    os.truncate(inbox / "3.png", 40)


def all_deleted(inbox: Path, save: Save) -> None:
    shutil.rmtree(inbox)
    inbox.mkdir()


@pytest.mark.parametrize(
    "happens", [deleted, replaced, a_pipe_instead, a_folder_instead, cut_short, all_deleted]
)
@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
def test_what_changes_between_listing_and_reading_is_never_believed(
    happens: Callable[[Path, Save], None],
    known: bool,
    six: Path,
    save: Save,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if known:
        assert run() == 0
    old = rows() if known else {}
    real = stream.extract_chunk

    done: list[bool] = []

    def breaks(*given: Any, **more: Any) -> Any:
        if not done:
            done.append(True)
            happens(six, save)
        return real(*given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(stream, "extract_chunk", breaks)
        assert run("--fresh") == 0
    assert rows().get("3.png") == old.get("3.png")
    if happens is not all_deleted:
        assert {f"{n}.png" for n in (0, 1, 2, 4, 5)} <= set(rows())
        wanted = whole()
        assert run("--prune") == (3 if happens in (a_pipe_instead, cut_short) else 0)
        assert Path(OUT).read_bytes() == wanted


def test_what_is_no_file_hangs_nothing(six: Path) -> None:
    os.mkfifo(six / "pipe.png")
    os.mkfifo(six / "pipe")
    (six / "loop.png").symlink_to("loop.png")
    (six / "round").symlink_to(".")
    (six / "zero.png").symlink_to("/dev/zero")
    (six / "tty.png").symlink_to("/dev/tty")
    deep = six
    for _ in range(300):
        deep /= "d"
    os.makedirs(deep)
    (deep / "below.png").write_bytes((six / "1.png").read_bytes())
    with (six / "vast.png").open("wb") as vast:
        vast.truncate(1 << 43)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("inbox/socket.png")
        for _ in range(2):  # the second finds the failures in the state, and tries them again
            done = subprocess.run(
                [*command("--quiet"), "inbox/pipe"],
                env=environment(),
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 3
            one_line(done.stderr, "8 error")
    failed = {name: row["detail"] for name, row in rows().items() if row["status"] == "error"}
    assert failed.pop("d" + "/d" * 256).startswith("folders are read 256 deep")
    assert failed == {
        "loop.png": "it cannot be reached: too many levels of symbolic links",
        "pipe": "not a regular file: a pipe",
        "pipe.png": "not a regular file: a pipe",
        "socket.png": "not a regular file: a socket",
        "tty.png": "not a regular file: a device",
        "vast.png": "too large: 8,796,093,022,208 bytes, over the limit of 1,073,741,824",
        "zero.png": "not a regular file: a device",
    }
    assert {f"{n}.png" for n in range(6)} <= set(rows())


# --- clocks --------------------------------------------------------------------------------------


class Clock:
    """A clock of the system that somebody sets, in place of the module `time`."""

    def __init__(self, *leaps: float) -> None:
        self.leaps = list(leaps)
        self.off = 0.0

    def time(self) -> float:
        self.off += self.leaps.pop() if self.leaps else 0.0
        return time.time() + self.off

    def time_ns(self) -> int:
        return int(self.time() * 1e9)


@pytest.mark.parametrize(
    "leaps",
    [
        pytest.param([-86_400.0 * 365 * 60], id="back before 1970"),
        pytest.param([-3600.0, 7200.0] * 20, id="an hour back, two forth, all the while"),
        pytest.param([-10.0] * 40, id="back at every look"),
        pytest.param([86_400.0] * 40, id="forth at every look"),
    ],
)
def test_a_clock_that_is_set_changes_nothing(
    leaps: list[float], six: Path, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = whole()
    monkeypatch.setattr(sources.inspection, "time", Clock(*leaps))
    for _ in range(3):
        assert run("--settle", "5") == 0
    assert Path(OUT).read_bytes() == wanted
    save("2.png", drawn(8))
    os.utime(six / "2.png", (1e9, 1e9))  # as it was, in size perhaps and in time
    save("3.png", drawn(9))
    assert run("--settle", "0") == 0
    assert rows()["3.png"] == rows_of(whole())["3.png"]
    assert rows()["2.png"]["file"] == "inbox/2.png"


def rows_of(table: bytes) -> dict[str, dict[str, str]]:
    Path("other.csv").write_bytes(table)
    return rows("other.csv")


def test_a_time_that_no_clock_ever_showed_is_no_bug(inbox: Path) -> None:
    """Some file systems keep whatever a program, or an archive, says of a file's time."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        shutil.copytree(inbox, f"{folder}/in")
        for n, when in enumerate((1e15, -1e15, 1e11)):
            os.utime(f"{folder}/in/{n}.png", (when, when))
        shutil.rmtree(inbox)
        inbox.symlink_to(f"{folder}/in")
        for _ in range(2):
            assert run() == 0
            assert set(rows()) == {f"{n}.png" for n in range(6)}


# --- many at once --------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "wait"), [(2, "0"), (10, "0"), (3, "100")])
def test_runs_at_once_end_one_after_the_other_or_with_4(
    count: int, wait: str, six: Path, save: Save
) -> None:
    for n in range(7, 60):
        save(f"{n}.png", drawn(n % 10, seed=n))
    wanted = whole()
    runs = [
        subprocess.Popen(
            command("--wait", wait, "--quiet"), env=environment(), stderr=subprocess.PIPE, text=True
        )
        for _ in range(count)
    ]
    told = [(one.communicate(timeout=120)[1], one.returncode) for one in runs]
    codes = [code for _, code in told]
    assert 0 in codes
    assert set(codes) <= ({0, 4} if wait == "0" else {0})
    for said, code in told:
        if code:
            one_line(said, "another run is still writing", "--wait")
        else:
            assert not said
    assert Path(OUT).read_bytes() == wanted
    assert not list(Path("out").glob("*.kept-*"))


# --- the same bytes ------------------------------------------------------------------------------


class Killed(BaseException):
    """What no part of the program expects."""


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    batch_size=st.integers(1, 60),
    files=st.integers(1, 20),
    room=st.integers(1, 20_000),
    workers=st.sampled_from([0, 0, 0, 0, 0, 2]),
    ends=st.lists(
        st.tuples(st.sampled_from(["found", "put", "told"]), st.integers(1, 12)), max_size=3
    ),
)
def test_chunks_workers_and_interruptions_change_no_byte(
    mixed: bytes,
    batch_size: int,
    files: int,
    room: int,
    workers: int,
    ends: list[tuple[str, int]],
) -> None:
    """Whatever is read at a time, by how many, and wherever runs end before the last."""
    for path in Path("out").iterdir():
        path.unlink()
    given = {"batch_size": batch_size, "workers": workers, "settle": 0, "out": OUT}
    job = resolve(digits_out="out/digits.csv", **given)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "MIN_CHUNK_FILES", files)
        patch.setattr(tasks, "MAX_CHUNK_BYTES", room)
        patch.setattr(chunk_builder, "MAX_PENDING_PIXELS", room)
        for where, at in ends:
            with pytest.MonkeyPatch.context() as fatal:
                dies(fatal, where, at)
                with suppress(Killed):
                    run_job(job)
        run_job(job)
    assert Path(OUT).read_bytes() + Path("out/digits.csv").read_bytes() == mixed
    assert not list(Path("out").glob("*.kept-*"))


def dies(patch: pytest.MonkeyPatch, where: str, at: int) -> None:
    """Have a run end at the n-th batch, file or row."""
    room, name = {
        "found": (predictor.Predictor, "predict_batch"),
        "put": (StateStore, "save_findings"),
        "told": (StateStore, "list_file_records"),
    }[where]
    real = getattr(room, name)
    calls = iter(range(1, at))

    def counts(*given: Any, **more: Any) -> Any:
        if next(calls, None) is None:
            raise Killed
        return real(*given, **more)

    patch.setattr(room, name, counts)


@pytest.fixture
def mixed(six: Path, save: Save) -> bytes:
    """Crops, strips, a page, several pages, what cannot be read; gives the tables of one run."""
    for n in range(12):
        save(f"crops/{n}.png", drawn(n % 10, seed=n))
    save("strip.png", np.hstack([drawn(n) for n in range(5)]))
    sheet = np.full((400, 300), 255, np.uint8)
    for n in range(4):
        sheet[100:160, 40 + 50 * n : 91 + 50 * n] = 0
        sheet[103:157, 43 + 50 * n : 88 + 50 * n] = 255
        sheet[110:150, 45 + 50 * n : 85 + 50 * n] = drawn(n, side=40)
    save("page.png", sheet)
    first, *more = (Image.fromarray(drawn(n)) for n in range(6))
    first.save(six / "several.tif", save_all=True, append_images=more)
    (six / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    (six / "empty.jpg").touch()
    run_job(resolve(settle=0, out="whole.csv", digits_out="whole-digits.csv"))
    return Path("whole.csv").read_bytes() + Path("whole-digits.csv").read_bytes()
