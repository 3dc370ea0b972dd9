"""The options that move files, on the command line."""

import errno
import io
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from archive_runs import (
    OUT,
    rows,
    run,
    three_fixture,  # noqa: F401
    tree,
)
from conftest import Save, drawn

import batchdigits
from batchdigits import cli
from batchdigits.errors import UsageError
from batchdigits.run import Summary
from batchdigits.state.lock import lock_outputs


def test_the_second_of_two_runs_lists_what_the_first_one_left() -> None:
    waits = threading.Event()
    seen: list[Summary] = []

    def second() -> None:
        waits.set()
        seen.append(run(wait=30))

    with lock_outputs([OUT]):
        other = threading.Thread(target=second)
        other.start()
        waits.wait()
        Path("inbox/1.png").unlink()
        Path("inbox/bad.png").unlink()
    other.join()
    assert (seen[0].files, seen[0].left) == (1, 0)


MOVE = ("--move-done", "done", "--workers", "0", "--device", "cpu")


@pytest.mark.parametrize("how", ["line", "environment", "file"])
def test_options_come_from_everywhere(
    how: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["run", "inbox", "--out", OUT, "--workers", "0"]
    if how == "line":
        arguments += ["--move-done", "done", "--move-failed", "failed"]
    elif how == "environment":
        monkeypatch.setenv("BATCHDIGITS_MOVE_DONE", "done")
        monkeypatch.setenv("BATCHDIGITS_MOVE_FAILED", "failed")
    else:
        Path("job.toml").write_text('move-done = "done"\nmove_failed = "failed"\n')
        arguments += ["--config", "job.toml"]
    assert cli._run_command_line(arguments) == 3
    assert (len(tree("done")), len(tree("failed"))) == (2, 1)
    assert "; 2 moved as done; 1 moved as failed -> results.csv" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["inbox", "--out", "-"], 2, "give --state with --out -"),
        (["inbox", "--out", OUT, "--move-failed", "inbox"], 2, "lies in a folder for files"),
        (["inbox", "--out", OUT, "--move-failed", ""], 2, "move-failed: "),
        (["inbox", "--out", OUT, "--move-failed", "afile/x"], 5, "files cannot be moved to"),
        (["none", "--out", OUT], 2, "INPUT 'none' does not exist"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("afile").write_text("x")
    assert cli._run_command_line(["run", *MOVE, *arguments]) == code
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert words in err
    assert tree("inbox") == ["1.png", "bad.png", "sub/2.png"]
    assert not Path(OUT).exists()


def test_on_standard_output_with_a_state_rows_are_safe(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli._run_command_line(["run", *MOVE, "inbox", "--out", "-", "--state", "s", "-q"]) == 3
    assert tree("done") == ["1.png", "sub/2.png"]
    first = capsys.readouterr().out
    assert cli._run_command_line(["run", *MOVE, "inbox", "--out", "-", "--state", "s", "-q"]) == 3
    assert capsys.readouterr().out == first


def test_a_reader_of_standard_output_that_leaves_leaves_the_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Closed(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, _: Any) -> int:
            if sys.stdout is text:
                raise BrokenPipeError(errno.EPIPE, "Broken pipe")
            return 1

    text = io.TextIOWrapper(io.BufferedWriter(Closed()))
    text.fileno = lambda: os.open(os.devnull, os.O_WRONLY)  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdout", text)
    with pytest.raises(BrokenPipeError):
        run(out="-", state="s")
    assert tree("inbox") == ["1.png", "bad.png", "sub/2.png"]
    monkeypatch.undo()
    text.close()


def test_a_dry_run_moves_nothing_and_makes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli._run_command_line(["run", *MOVE, "inbox", "--dry-run"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert [path.name for path in Path().iterdir()] == ["inbox"]


def test_a_data_frame_is_no_table_on_disk() -> None:
    with pytest.raises(UsageError, match="use `batchdigits run`"):
        batchdigits.read("inbox", move_done="done")
    assert tree("inbox") == ["1.png", "bad.png", "sub/2.png"]


def test_rows_of_moved_files_are_dropped_by_prune_alone(save: Save) -> None:
    run()
    save("5.png", drawn(5))
    assert run().gone == 0
    save("6.png", drawn(6))
    found = run(prune=True)
    assert (found.pruned, list(rows())) == (4, ["inbox/6.png"])
