"""Runs whose inputs or clock change meanwhile: no file gets a wrong reading."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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

from batchdigits import sources
from batchdigits.extract import stream

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="breaks Linux's own ways")


# --- inputs that change under the run ---


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


# --- clocks ---


class Clock:
    """Replaces the module `time` by a system clock that is set while the run reads it."""

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
