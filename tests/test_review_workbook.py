"""A workbook in which an office settles values, and the colours of any workbook."""

import os
import stat
from pathlib import Path

import openpyxl  # type: ignore[import-untyped]
import pytest
from cli_runs import Capture, run, table
from conftest import FakeClassifier, Save, drawn

from batchdigits.corrections import read_corrections
from batchdigits.review import workbook

READ = ("run", "inbox", "--workers", "0", "-q", "--min-confidence")
BOOK = ("review", "out.csv", "--out", "review.xlsx", "--workers", "0", "-q")


@pytest.fixture(autouse=True)
def five(save: Save, fake_classifier: FakeClassifier) -> None:
    for n in range(5):
        save(f"{n}.png" if n else "0#.png", drawn(n))
        os.utime(f"inbox/{n}.png" if n else "inbox/0#.png", (1e9, 1e9))
    assert run(*READ, "1", "--out", "out.csv") == 0


def test_an_office_settles_values_in_a_workbook() -> None:
    os.chmod("out.csv", 0o640)
    assert run(*BOOK, "--out", "review.xlsx") == 0
    assert stat.S_IMODE(os.stat("review.xlsx").st_mode) == 0o640
    book = openpyxl.load_workbook("review.xlsx")
    sheet = book["review"]
    assert [cell.value for cell in sheet[1]][:4] == ["file", "page", "field", "value"]
    assert len(sheet._images) == 5
    assert sheet["D2"].number_format == "@"
    assert sheet["A2"].hyperlink is None  # a spreadsheet would look for a place `#` in the file
    assert sheet["A3"].hyperlink.target.replace("\\", "/") == "inbox/1.png"
    before = table()
    sheet["D3"], sheet["D4"], sheet["D5"] = "42", "x", None
    sheet["F6"] = "verified"
    book.save("settled.xlsx")
    assert run("correct", "out.csv", "settled.xlsx", "--by", "office") == 0
    assert [(one["value"], one["status"]) for one in table()] == [
        (before[0]["value"], "review"),
        ("42", "verified"),
        ("", "review"),
        ("", "verified"),
        (before[4]["value"], "verified"),
    ]
    kept = read_corrections("out.csv.corrections.csv")
    assert [one.answer for one in kept] == ["value", "unreadable", "blank", "value"]
    assert {one.said_by for one in kept} == {"office"}


def test_a_picture_that_is_gone_has_a_reason_in_its_place(inbox: Path) -> None:
    os.unlink("inbox/1.png")
    assert run(*BOOK) == 0
    sheet = openpyxl.load_workbook("review.xlsx")["review"]
    assert sheet["H3"].value == "its file is not where it was"


def test_too_many_values_want_a_page(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(workbook, "MAX_ROWS", 4)
    assert run(*BOOK) == 2
    assert "5 values are too many for a workbook" in capsys.readouterr().err
    assert not Path("review.xlsx").exists()


def test_each_status_has_its_colour() -> None:
    (Path("inbox") / "bad.png").write_bytes(b"")
    assert run(*READ, "0.5", "--out", "out.xlsx") == 3
    sheet = openpyxl.load_workbook("out.xlsx")["results"]
    colours = {row[5].value: row[5].fill.fgColor.rgb for row in sheet.iter_rows(min_row=2)}
    assert len(colours) >= 2
    assert len(set(colours.values())) == len(colours)
