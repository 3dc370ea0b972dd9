"""`--new-rows`: what is new tonight; and values that were `ok` and that a new reading changes."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from cli_runs import Capture, run
from conftest import FakeClassifier, Save, drawn

from batchdigits import predict
from batchdigits import run as runs

RUN = ("run", "inbox", "--out", "all.csv", "--new-rows", "new.csv", "--workers", "0")


def names(table: str) -> list[str]:
    with Path(table).open(encoding="utf-8", newline="") as file:
        return [Path(row["file"]).name for row in csv.DictReader(file)]


@pytest.fixture(autouse=True)
def five(save: Save, fake_classifier: FakeClassifier) -> None:
    for n in range(5):
        save(f"{n}.png", drawn(n))


def test_new_rows_are_those_that_the_last_table_had_not(inbox: Path, save: Save) -> None:
    assert run(*RUN) == 0
    assert Path("new.csv").read_bytes() == Path("all.csv").read_bytes()
    assert run(*RUN) == 0
    assert names("new.csv") == []  # else yesterday's rows would be taken for new ones
    save("5.png", drawn(5))
    save("2.png", drawn(7))  # another scan of this name
    (inbox / "1.png").rename(inbox / "9.png")
    assert run(*RUN, "--prune") == 0
    assert names("new.csv") == ["2.png", "5.png", "9.png"]
    assert names("all.csv") == ["0.png", "2.png", "3.png", "4.png", "5.png", "9.png"]
    (inbox / "0.png").touch()
    assert run(*RUN) == 0
    assert names("new.csv") == []


def test_a_run_without_the_option_has_shown_its_rows_in_the_table(save: Save) -> None:
    assert run("run", "inbox", "--out", "all.csv", "--workers", "0") == 0
    save("5.png", drawn(5))
    assert run(*RUN) == 0
    assert names("new.csv") == ["5.png"]


def test_what_a_run_read_that_was_stopped_is_new_in_the_next_table(
    save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(*RUN) == 0
    for n in (5, 6):
        save(f"{n}.png", drawn(n))

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(runs, "_count_rows", fail)
        assert run(*RUN) == 1
    save("7.png", drawn(7))
    assert run(*RUN) == 0
    assert names("new.csv") == ["5.png", "6.png", "7.png"]


def test_another_threshold_gives_the_rows_that_it_changes() -> None:
    assert run(*RUN, "--min-confidence", "0.7") == 0
    was = Path("all.csv").read_text().splitlines()
    assert run(*RUN, "--min-confidence", "0.9") == 0
    changed = [line for line in Path("all.csv").read_text().splitlines() if line not in was]
    assert 0 < len(changed) < 5
    assert Path("new.csv").read_text().splitlines()[1:] == changed


@pytest.mark.parametrize("shape", [(), ("--wide",)], ids=["long", "wide"])
def test_rows_that_a_person_corrected_since_are_new(shape: tuple[str, ...]) -> None:
    assert run(*RUN, *shape) == 0
    said = Path("said.csv")
    said.write_text("file,answer,value\ninbox/3.png,value,7\ninbox/1.png,blank,\n")
    assert run("correct", "all.csv", "said.csv", "-q") == 0
    assert run(*RUN, *shape) == 0  # the table itself is up to date
    assert names("new.csv") == ["1.png", "3.png"]
    assert "verified" in Path("new.csv").read_text()
    assert run(*RUN, *shape) == 0
    assert names("new.csv") == []
    said.write_text("file,answer\ninbox/3.png,withdrawn\n")
    assert run("correct", "all.csv", "said.csv", "-q") == 0
    assert run(*RUN, *shape) == 0
    assert names("new.csv") == ["3.png"]


@pytest.mark.parametrize("out", ["new.tsv", "new.jsonl", "new.parquet", "new.xlsx", "new.csv"])
def test_new_rows_are_a_table_of_any_format(out: str, save: Save) -> None:
    from batchdigits.outputs import read_table

    assert run(*RUN) == 0
    save("5.png", drawn(5))
    assert run("run", "inbox", "--out", "all.csv", "--new-rows", out, "--workers", "0") == 0
    assert list(read_table(out)["file"]) == ["inbox/5.png"]


def test_new_rows_may_go_to_standard_output(save: Save, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(*RUN) == 0
    save("5.png", drawn(5))
    capfd.readouterr()
    assert run("run", "inbox", "--out", "all.csv", "--new-rows", "-", "--workers", "0") == 0
    header, row = capfd.readouterr().out.splitlines()
    assert header.startswith("file,page,")
    assert row.startswith("inbox/5.png,1,")


def test_rows_of_a_wide_table_are_whole_pages(save: Save) -> None:
    wide = (*RUN, "--as", "form", "--wide")
    assert run(*wide) == 0
    save("5.png", drawn(5))
    assert run(*wide) == 0
    assert names("new.csv") == ["5.png"]


def test_the_rows_of_other_inputs_are_not_new_by_being_asked_for(save: Save) -> None:
    save("../other/8.png", drawn(8))
    for folder in ("inbox", "other", "inbox"):
        assert run("run", folder, *RUN[2:]) == 0
    assert names("new.csv") == []


class AnotherModel(FakeClassifier):
    """Reads one digit more than the fake classifier does, and is sure of it."""

    def logits(self, pictures: "np.ndarray") -> "np.ndarray":  # type: ignore[type-arg]
        return 3 * np.roll(super().logits(pictures), 1, axis=1)


def test_values_that_were_ok_and_change_are_counted_and_told(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    told = ("--log-file", "b.log", "--summary-json", "s.json", "--min-confidence", "0.2")
    assert run(*RUN, *told) == 0
    with Path("all.csv").open() as file:
        was = {row["file"]: row["value"] for row in csv.DictReader(file) if row["status"] == "ok"}
    assert was
    assert "changed" not in capsys.readouterr().err
    monkeypatch.setattr(predict, "load_classifier", lambda card, **_: AnotherModel())
    monkeypatch.setattr(predict, "fingerprint_model", lambda path: "of another model")
    assert run(*RUN, *told) == 0
    *_, last = named = capsys.readouterr().err.splitlines()
    assert f"; {len(was)} ok before, changed by reading again" in last
    log = Path("b.log").read_text("utf-8")
    for file, value in was.items():
        line = f"changed by reading again: {file}: '{value}' was ok, now '{(int(value) + 1) % 10}'"
        assert f"{line} (ok)" in log
        assert any(line in one for one in named)
    changed = json.loads(Path("s.json").read_text("utf-8"))["changed_ok_values"]
    assert changed["count"] == len(changed["first"]) == len(was)
    assert names("new.csv") == names("all.csv")


def test_another_scan_of_the_same_name_is_no_change_by_reading_again(
    save: Save, capsys: Capture
) -> None:
    assert run(*RUN, "--min-confidence", "0") == 0
    save("2.png", drawn(7))
    assert run(*RUN, "--min-confidence", "0") == 0
    assert "changed" not in capsys.readouterr().err
