"""Runs with a full disk or a place that goes away: nothing is lost, one line says why."""

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from conftest import Save, drawn, ordinary_user
from faults_runs import (  # noqa: F401
    OUT,
    Capture,
    command,
    environment,
    one_line,
    reachable_fixture,
    rows,
    run,
    six_fixture,
    whole,
)

from batchdigits import files
from batchdigits.extract import stream
from batchdigits.state import StateStore, tables
from batchdigits.state.keeping import State

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="breaks Linux's own ways")


# --- a disk that is full ---


def no_room(*_: object, **__: object) -> NoReturn:
    raise OSError(28, "No space left on device")


def full_base(*_: object, **__: object) -> None:
    raise sqlite3.OperationalError("database or disk is full")


FULL: dict[str, tuple[object, str, Callable[..., None]]] = {
    "as the state is begun": (StateStore, "add_key", full_base),
    "as what was read is kept": (StateStore, "save_readings", full_base),
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


# --- a place that goes away, or never was ---


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
    where, name = {"read": (stream, "extract_chunk"), "write": (State, "prune_rows")}[when]
    real = getattr(where, name)
    done: list[bool] = []

    def breaks(*given: Any, **more: Any) -> Any:
        if not done:
            done.append(True)
            happens()
        return real(*given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(where, name, breaks)
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
