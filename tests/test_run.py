"""A table holds the rows of the INPUTs that its run was asked for, and of nothing else."""

import csv
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import FakeClassifier, Save, drawn, resolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchdigits import cli
from batchdigits.run import Summary, run_job

OUT = "results.csv"


@pytest.fixture(autouse=True)
def two(inbox: Path, save: Save, fake_classifier: FakeClassifier) -> Path:
    """Two folders: inbox with 1 to 3, other with 4 and 5."""
    for n in range(1, 4):
        save(f"{n}.png", drawn(n))
    for n in range(4, 6):
        save(f"../other/{n}.png", drawn(n))
    for path in [*inbox.iterdir(), *Path("other").iterdir()]:
        os.utime(path, (1e9, 1e9))
    return inbox


def run(*inputs: str, listed: Sequence[str] = (), **options: Any) -> Summary:
    return run_job(resolve(*inputs, listed=listed, **{"settle": 0, "out": OUT, **options}))


def table(out: str = OUT) -> dict[str, str]:
    with Path(out).open(encoding="utf-8", newline="") as file:
        return {row["file"]: row["value"] for row in csv.DictReader(file)}


INBOX = ["inbox/1.png", "inbox/2.png", "inbox/3.png"]
OTHER = ["other/4.png", "other/5.png"]


def test_a_run_of_other_inputs_leaves_the_first_ones_out() -> None:
    run("inbox")
    found = run("other")
    assert list(table()) == OTHER
    assert (found.read, found.others) == (2, 3)
    back = run("inbox")
    assert list(table()) == INBOX
    assert (back.read, back.others) == (0, 2), "the state keeps all: nothing is read again"


def test_append_keeps_the_rows_of_other_inputs() -> None:
    run("inbox")
    found = run("other", append=True)
    assert list(table()) == INBOX + OTHER
    assert (found.read, found.others) == (2, 0)


def test_fresh_reads_the_inputs_anew_and_no_others() -> None:
    run("inbox")
    found = run("other", fresh=True)
    assert list(table()) == OTHER
    assert found.others == 3


@pytest.mark.parametrize("again", ["./inbox", "inbox/", "other/../inbox", "link", "{cwd}/inbox"])
@pytest.mark.parametrize("append", [False, True])
def test_another_spelling_of_an_input_doubles_no_row(again: str, *, append: bool) -> None:
    os.symlink("inbox", "link")
    run("inbox")
    first = table()
    Path("inbox/2.png").unlink()
    again = again.format(cwd=Path.cwd())
    found = run(again, append=append)
    assert (found.read, found.others, found.gone) == (0, 0, 1)
    stem = again.rstrip("/")
    wanted = {name.replace("inbox", stem, 1): value for name, value in first.items()}
    assert table() == wanted, "vanished files are spelled as the INPUT is now"
    assert run("inbox", append=append).read == 0
    assert table() == first


def test_files_that_were_moved_stay_under_another_spelling(tmp_path: Path) -> None:
    run("inbox", move_done="done")
    assert list(table()) == INBOX
    assert run("./inbox", move_done="done").others == 0
    assert list(table()) == [f"./{name}" for name in INBOX]


def test_a_file_in_the_place_of_another_that_was_spelled_otherwise(save: Save) -> None:
    """Both names are of one path: what is there now has the row."""
    run("inbox")
    save("2.png", drawn(8))
    other = run("./inbox")
    assert (other.read, other.others) == (1, 0)
    assert list(table()) == [f"./{name}" for name in INBOX]


def test_a_file_that_is_named_is_an_input_of_its_own() -> None:
    run("inbox")
    assert run("inbox/2.png").others == 2
    assert list(table()) == ["inbox/2.png"]
    assert run("./inbox/2.png", "inbox/3.png").others == 1
    assert list(table()) == ["./inbox/2.png", "inbox/3.png"]


def test_each_file_of_a_list_is_an_input() -> None:
    run(listed=["inbox/1.png", "inbox/2.png"])
    assert list(table()) == ["inbox/1.png", "inbox/2.png"]
    Path("inbox/2.png").unlink()
    found = run(listed=["inbox/2.png", "other"])
    assert list(table()) == ["inbox/2.png", *OTHER], "it was read, and is gone"
    assert found.others == 1


def test_a_folder_whose_name_begins_as_anothers_is_another() -> None:
    shutil.copytree("inbox", "inbox2")
    run("inbox2")
    assert run("inbox").others == 3
    assert list(table()) == INBOX


def test_only_files_of_the_inputs_are_pruned() -> None:
    run("inbox", "other")
    shutil.rmtree("other")
    Path("inbox/1.png").unlink()
    found = run("inbox", prune=True)
    assert (found.pruned, found.others) == (1, 2)
    Path("other").mkdir()
    assert run("other").gone == 2, "they were not forgotten"
    assert list(table()) == OTHER


def test_inputs_with_nothing_to_read_keep_a_table_of_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    run("inbox")
    before = Path(OUT).read_bytes()
    Path("empty").mkdir()
    found = run("empty")
    assert found.unchanged
    assert Path(OUT).read_bytes() == before
    assert f"'{OUT}' is left as it is" in caplog.text


def test_the_last_line_counts_the_rows_that_were_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for inputs in ("inbox", "other"):
        assert cli._run_command_line(["run", inputs, "--out", OUT, "--workers", "0"]) == 0
    assert "; 3 rows of other INPUTs left out (--append keeps them)" in capsys.readouterr().err
    for inputs in ("inbox/1.png", "other"):
        assert cli._run_command_line(["run", inputs, "--out", "one.csv", "--workers", "0"]) == 0
    assert "; 1 row of other INPUTs left out (--append keeps it)" in capsys.readouterr().err


def test_a_table_that_stands_is_written_again_for_other_inputs() -> None:
    run("inbox", "other")
    assert run("inbox", "other").unchanged
    assert not run("inbox").unchanged
    assert run("inbox").unchanged
    assert not run("inbox", append=True).unchanged
    assert run("other", append=True).unchanged


def test_rows_are_those_of_the_table_with_a_state_and_without(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    run("inbox")
    run("inbox", out="-")
    assert capfdbinary.readouterr().out == Path(OUT).read_bytes()


def test_rows_go_to_standard_output_as_they_come(
    monkeypatch: pytest.MonkeyPatch, save: Save, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("batchdigits.extract.chunks.MIN_CHUNK_FILES", 1)
    written: list[int] = []

    def watch(done: int, _files: int) -> None:
        written.append(capfd.readouterr().out.count("\n"))

    run_job(resolve(out="-", batch_size=1), watch)
    assert written == [0, 2, 1, 1], "nothing before the first, which has the header"


SPELLINGS = ("inbox", "./inbox", "other", "inbox/1.png", "inbox/../other", "inbox/3.png")


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(runs=st.lists(st.lists(st.sampled_from(SPELLINGS), min_size=1, max_size=3), max_size=4))
def test_whatever_ran_before_the_table_is_that_of_its_own_inputs(
    two: Path, runs: list[list[str]]
) -> None:
    for name in (OUT, f"{OUT}.state", "alone.csv", "alone.csv.state"):
        Path(name).unlink(missing_ok=True)
    read = 0
    for inputs in runs:
        read += run(*inputs).read
        run(*inputs, out="alone.csv", fresh=True)
        assert Path(OUT).read_bytes() == Path("alone.csv").read_bytes()
        Path("alone.csv.state").unlink()
    assert read <= 5, "nothing is read twice"
