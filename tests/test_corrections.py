"""What people said: it reaches the table, and no later run loses it."""

import os
import stat
from pathlib import Path

import pytest
from cli_runs import Capture, run, table
from conftest import FakeClassifier, Save, drawn

from batchdigits import corrections
from batchdigits.corrections import Correction, read_corrections
from batchdigits.errors import UsageError
from batchdigits.state.lock import lock_outputs

KEPT = "out.csv.corrections.csv"
READ = ("run", "inbox", "--out", "out.csv", "--workers", "0", "-q")


@pytest.fixture(autouse=True)
def three(save: Save, fake_classifier: FakeClassifier) -> None:
    """Make an inbox of three digits, and read it: all are for review."""
    for n in range(3):
        save(f"{n}.png", drawn(n))
        os.utime(f"inbox/{n}.png", (1e9, 1e9))  # long ago, so that size and time are enough
    assert run(*READ, "--min-confidence", "1") == 0


def say(text: str, name: str = "said.csv") -> str:
    Path(name).write_text(text)
    return name


def other(value: str) -> str:
    """Return another digit."""
    return str((int(value) + 1) % 10)


def line_of(file: str = "inbox/1.png", path: str = "out.csv") -> dict[str, str]:
    (found,) = (one for one in table(path) if one["file"] == file)
    return found


def test_a_correction_reaches_the_table_and_keeps_what_was_read(capsys: Capture) -> None:
    before = line_of()
    right = other(before["value"])
    said = say(f"file,answer,value,said_by\ninbox/1.png,value,{right},anna\n")
    others = [one for one in table() if one["file"] != "inbox/1.png"]
    assert run("correct", "out.csv", said) == 0
    assert line_of() == before | {
        "value": right,
        "confidence": "0.9999",
        "status": "verified",
        "detail": f"said by anna; read as {before['value']} (review {before['confidence']})",
    }
    assert [one for one in table() if one["file"] != "inbox/1.png"] == others
    (kept,) = read_corrections(KEPT)
    assert (kept.value, kept.said_by, kept.read_value) == (right, "anna", before["value"])
    assert (kept.read_confidence, kept.read_status) == (before["confidence"], "review")
    assert kept.content
    assert kept.said_at.endswith("Z")
    assert capsys.readouterr().err == (
        "batchdigits: 1 correction: 1 changed; 2 rows for review still -> out.csv\n"
    )


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("blank", {"value": "", "confidence": "", "status": "verified"}),
        ("unreadable", {"value": "", "confidence": "0.0000", "status": "review"}),
    ],
)
def test_a_person_may_say_that_there_is_no_value(answer: str, expected: dict[str, str]) -> None:
    assert run("correct", "out.csv", say(f"file,answer\ninbox/1.png,{answer}\n"), "--by", "bo") == 0
    found = line_of()
    assert {name: found[name] for name in expected} == expected
    assert found["detail"].startswith(f"{answer}, said by bo; read as ")


LATER = {
    "the same": ("--min-confidence", "1"),
    "another threshold": ("--min-confidence", "0"),
    "all read again": ("--fresh",),
    "another way of reading": ("--invert", "no"),
    "another format": ("--out", "out.tsv"),
}


@pytest.mark.parametrize("options", LATER.values(), ids=LATER)
def test_every_later_run_applies_it_again(options: tuple[str, ...]) -> None:
    right = other(line_of()["value"])
    assert run("correct", "out.csv", say(f"file,answer,value\ninbox/1.png,value,{right}\n")) == 0
    if "out.tsv" in options:
        os.rename(KEPT, "out.tsv.corrections.csv")
        assert run(*READ[:2], *options, "--workers", "0", "-q") == 0
        assert f"\t{right}\t0.9999\tverified\t" in Path("out.tsv").read_text()
        return
    assert run(*READ, *options) == 0
    assert (line_of()["value"], line_of()["status"]) == (right, "verified")


def test_it_survives_a_state_that_is_gone_and_a_file_that_was_renamed() -> None:
    right = other(line_of()["value"])
    assert run("correct", "out.csv", say(f"file,answer,value\ninbox/1.png,value,{right}\n")) == 0
    os.unlink("out.csv.state")
    os.rename("inbox/1.png", "inbox/new.png")
    assert run(*READ) == 0
    assert line_of("inbox/new.png")["value"] == right


def test_another_picture_of_that_name_is_not_what_was_spoken_of(
    save: Save, capsys: Capture
) -> None:
    right = other(line_of()["value"])
    said = say(f"file,answer,value\ninbox/1.png,value,{right}\n")
    assert run("correct", "out.csv", said) == 0
    save("1.png", drawn(8))
    assert run(*READ, "--min-confidence", "1") == 0
    assert line_of()["status"] == "review"
    assert run("correct", "out.csv", KEPT) == 0
    assert capsys.readouterr().err.endswith(
        "0 corrections; 1 said before; 3 rows for review still -> out.csv\n"
    )
    assert len(read_corrections(KEPT)) == 1


def test_correct_leaves_what_a_run_would_write() -> None:
    right = other(line_of()["value"])
    assert run("correct", "out.csv", say(f"file,answer,value\ninbox/1.png,value,{right}\n")) == 0
    merged, inode = Path("out.csv").read_bytes(), os.stat("out.csv").st_ino
    assert run(*READ, "--min-confidence", "1") == 0
    assert (Path("out.csv").read_bytes(), os.stat("out.csv").st_ino) == (merged, inode)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet", ".xlsx"])
def test_every_format_is_corrected(suffix: str) -> None:
    from batchdigits import outputs

    out = f"other{suffix}"
    assert run("run", "inbox", "--out", out, "--workers", "0", "-q") == 0
    assert run("correct", out, say("file,answer,value\ninbox/1.png,value,123\n")) == 0
    found = outputs.read_table(out).set_index("file").loc["inbox/1.png"]
    assert (found["value"], found["status"]) == ("123", "verified")


def test_the_table_of_digits_agrees() -> None:
    out = ("run", "inbox", "--out", "d.csv", "--digits-out", "digits.csv", "--workers", "0", "-q")
    assert run(*out) == 0
    right, before = other(line_of(path="d.csv")["value"]), line_of(path="digits.csv")
    assert run("correct", "d.csv", say(f"file,answer,value\ninbox/1.png,value,{right}\n")) == 0
    assert line_of(path="digits.csv") == before | {
        "digit": right,
        "confidence": "0.9999",
        "runner_up": before["digit"],
        "runner_up_confidence": "0.0000",
    }
    merged = Path("digits.csv").read_bytes()
    assert run(*out, "--fresh") == 0
    assert Path("digits.csv").read_bytes() == merged
    assert run("correct", "d.csv", say("file,answer,value\ninbox/1.png,value,12\n")) == 0
    assert "inbox/1.png" not in {one["file"] for one in table("digits.csv")}  # no boxes are known


def test_what_matches_nothing_is_listed_and_kept(capsys: Capture) -> None:
    said = say("file,page,field,answer,value\nother/9.png,1,,value,4\ninbox/1.png,2,,blank,\n")
    before = Path("out.csv").read_bytes()
    assert run("correct", "out.csv", said, "-q") == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == [
        "batchdigits: other/9.png, page 1: 4",
        "batchdigits: inbox/1.png, page 2: blank",
    ]
    assert "2 that match no row, kept for later runs" in lines[2]
    assert Path("out.csv").read_bytes() == before
    assert [one.file for one in read_corrections(KEPT)] == ["other/9.png", "inbox/1.png"]


def test_of_two_answers_the_last_counts_and_both_are_kept(capsys: Capture) -> None:
    said = say("file,answer,value,said_by\ninbox/1.png,value,3,al\ninbox/1.png,value,4,bo\n")
    assert run("correct", "out.csv", said) == 0
    assert line_of()["value"] == "4"
    assert "inbox/1.png, page 1: two answers, 3 by al and 4 by bo" in capsys.readouterr().err
    assert [one.value for one in read_corrections(KEPT)] == ["3", "4"]
    assert run("correct", "out.csv", said) == 0
    assert "said before" in capsys.readouterr().err


def test_an_answer_may_be_withdrawn() -> None:
    before = line_of()
    assert run("correct", "out.csv", say("file,answer,value\ninbox/1.png,value,123\n")) == 0
    assert run("correct", "out.csv", say("file,answer\ninbox/1.png,withdrawn\n")) == 0
    assert line_of() == before
    assert [one.answer for one in read_corrections(KEPT)] == ["value", "withdrawn"]


def test_the_same_corrections_are_merged_once(capsys: Capture) -> None:
    said = say("file,answer,value\ninbox/1.png,value,123\n")
    for _ in range(2):
        assert run("correct", "out.csv", said) == 0
    assert "0 corrections; 1 said before" in capsys.readouterr().err
    assert len(read_corrections(KEPT)) == 1


def test_values_typed_into_a_copy_are_corrections(capsys: Capture) -> None:
    text = Path("out.csv").read_text()
    value = line_of()["value"]
    copy = text.replace(f"inbox/1.png,1,,{value},", "inbox/1.png,1,,42,")
    assert run("correct", "out.csv", say(copy, "edited.csv"), "--by", "cy") == 0
    assert (line_of()["value"], line_of()["status"]) == ("42", "verified")
    (kept,) = read_corrections(KEPT)
    assert (kept.how, kept.said_by) == ("table", "cy")
    assert run("correct", "out.csv", "edited.csv") == 0
    assert len(read_corrections(KEPT)) == 1
    assert capsys.readouterr().err.count("not taken") == 0


def test_a_copy_that_was_read_anew_since_is_not_believed(capsys: Capture) -> None:
    found = line_of()
    start = f"inbox/1.png,1,,{found['value']},"
    copy = Path("out.csv").read_text().replace(start + found["confidence"], start[:-2] + "5,0.1234")
    assert run("correct", "out.csv", say(copy, "edited.csv")) == 0
    assert "not taken: it was read anew since the copy was made" in capsys.readouterr().err
    assert not Path(KEPT).exists()


@pytest.mark.parametrize(
    ("typed", "value", "status"),
    [
        ("", "", "verified"),
        ("x", "", "review"),
        ("7.0", "7", "verified"),
        ("007", "007", "verified"),
    ],
)
def test_what_may_be_typed_into_a_cell(typed: str, value: str, status: str) -> None:
    found = line_of()
    start = f"inbox/1.png,1,,{found['value']},"
    copy = Path("out.csv").read_text().replace(start, f"inbox/1.png,1,,{typed},")
    assert run("correct", "out.csv", say(copy, "edited.csv")) == 0
    assert (line_of()["value"], line_of()["status"]) == (value, status)


def test_a_status_set_to_verified_accepts_the_reading() -> None:
    found = line_of()
    row = f"inbox/1.png,1,,{found['value']},{found['confidence']},"
    copy = Path("out.csv").read_text().replace(row + "review", row + "verified")
    assert run("correct", "out.csv", say(copy, "edited.csv")) == 0
    assert (line_of()["value"], line_of()["status"]) == (found["value"], "verified")


def test_the_warning_about_an_edited_table_names_the_command(
    caplog: pytest.LogCaptureFixture,
) -> None:
    value = line_of()["value"]
    edited = Path("out.csv").read_text().replace(f"inbox/1.png,1,,{value},", "inbox/1.png,1,,42,")
    Path("out.csv").write_text(edited)
    assert run(*READ, "--min-confidence", "1") == 0
    (command,) = (part for part in caplog.text.split("`") if part.startswith("batchdigits correct"))
    assert run(*command.split()[1:]) == 0
    assert (line_of()["value"], line_of()["status"]) == ("42", "verified")


def test_a_table_without_a_state_is_corrected_too(capsys: Capture) -> None:
    os.rename("out.csv", "alone.csv")
    before = line_of(path="alone.csv")
    said = say("file,answer,value\ninbox/1.png,value,42\n")
    for _ in range(2):
        assert run("correct", "alone.csv", said) == 0
        found = line_of(path="alone.csv")
        assert (found["value"], found["status"]) == ("42", "verified")
        assert f"read as {before['value']} (review" in found["detail"]
    assert read_corrections("alone.csv.corrections.csv")[0].content


def test_a_stale_table_is_left_to_the_next_run(save: Save, capsys: Capture) -> None:
    from batchdigits import state
    from batchdigits.state import tables

    with state.open_store("out.csv.state") as store:
        store.mark_tables_stale()
        assert tables.is_table_edited("out.csv", store) is False
    before = Path("out.csv").read_bytes()
    assert run("correct", "out.csv", say("file,answer,value\ninbox/1.png,value,42\n")) == 0
    assert "the next run writes it, with these corrections" in capsys.readouterr().err
    assert Path("out.csv").read_bytes() == before
    assert run(*READ) == 0
    assert line_of()["value"] == "42"


def test_what_was_said_is_as_private_as_the_table() -> None:
    os.chmod("out.csv", 0o640)
    assert run("correct", "out.csv", say("file,answer\ninbox/1.png,blank\n")) == 0
    assert stat.S_IMODE(os.stat(KEPT).st_mode) == 0o640


def test_a_run_that_writes_the_table_is_waited_for(capsys: Capture) -> None:
    said = say("file,answer\ninbox/1.png,blank\n")
    with lock_outputs(["out.csv"]):
        assert run("correct", "out.csv", said) == 4
    assert not Path(KEPT).exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("file,answer,value\ninbox/1.png,value,seven\n", "line 2: expected digits"),
        ("file,answer,value\ninbox/1.png,maybe,\n", "expected an answer among value, blank"),
        ("file,answer,value\ninbox/1.png,blank,3\n", "and else no value, got '3'"),
        ("file,answer,page\ninbox/1.png,blank,0\n", "expected a page from 1, got '0'"),
        ("file,answer,box\ninbox/1.png,blank,1 2\n", "expected a box"),
        ("file,answer,version\ninbox/1.png,blank,2\n", "this batchdigits knows 1"),
        ("file,answer\n,blank\n", "expected the name of a file"),
        ("name,digit\na,1\n", "is no results table: expected a column 'file', got name, digit"),
        ("file,digit\na,1\n", "holds neither corrections nor a results table"),
        ("", "cannot be read"),
    ],
)
def test_a_file_that_is_no_corrections_changes_nothing(
    text: str, reason: str, capsys: Capture
) -> None:
    before = Path("out.csv").read_bytes()
    assert run("correct", "out.csv", say(text)) == 2
    assert reason in capsys.readouterr().err
    assert not Path(KEPT).exists()
    assert Path("out.csv").read_bytes() == before


def test_a_broken_file_of_corrections_ends_a_run_before_it_replaces_anything(
    capsys: Capture,
) -> None:
    before = Path("out.csv").read_bytes()
    Path(KEPT).write_text("file,answer\ninbox/1.png,perhaps\n")
    assert run(*READ) == 2
    assert "correct or remove the line" in capsys.readouterr().err
    assert Path("out.csv").read_bytes() == before


def test_corrections_are_written_and_read_back() -> None:
    odd = Correction(
        "./=1.png", 3, "amount", "value", "12.50", "=cmd|' /C'!A0\n", "2026-11-30T14:00:00Z"
    )
    there = Correction("b.png", 1, "", "blank", content="00ff", box="-3 4 10 20")
    corrections.append_corrections("new.csv", [odd])
    corrections.append_corrections("new.csv", [there])
    first, second = read_corrections("new.csv")
    assert first.said_by == "'=cmd|' /C'!A0"
    assert (first.file, first.page, first.value) == ("./=1.png", 3, "12.50")
    assert second == there
    assert second.place == (-3, 4, 10, 20)
    assert Path("new.csv").read_text().count("file,page") == 1


def test_a_missing_file_of_corrections_is_a_wrong_use() -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_corrections("none.csv")
