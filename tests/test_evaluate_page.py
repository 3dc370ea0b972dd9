"""`evaluate --html`: one page that tells how a table came out."""

import re
from pathlib import Path
from typing import Any

import pytest
from browser import browser_fixture, tab_fixture  # noqa: F401
from cli_runs import Capture, run, table
from conftest import FakeClassifier, Save, drawn


@pytest.fixture(name="ten")
def ten_fixture(save: Save, fake_classifier: FakeClassifier) -> None:
    for n in range(10):
        save(f"{n}/<b>{n}.png", drawn(n))
    (Path("inbox") / "bad.png").write_bytes(b"")
    assert (
        run("run", "inbox", "--out", "out.csv", "--workers", "0", "-q", "--min-confidence", "0.6")
        == 3
    )


def page() -> str:
    return Path("report.html").read_text("utf-8")


def cells(title: str) -> list[list[str]]:
    """Return the rows of the table under a heading."""
    (part,) = re.findall(rf"<h2>{title}</h2>(.*?)(?=<h2>|</html>)", page(), re.S)
    rows = re.findall(r"<tr>(.*?)</tr>", part, re.S)
    return [
        [re.sub("<.*?>", "", one).strip() for one in re.findall(r"<td.*?</td>", row)]
        for row in rows[1:]
    ]


@pytest.mark.usefixtures("ten")
def test_without_truth_it_tells_what_came_in_and_what_is_doubtful(capsys: Capture) -> None:
    assert run("evaluate", "out.csv", "--html", "report.html") == 0
    assert capsys.readouterr().out == ""
    rows = table()
    whole = {name: count for name, count, *_ in cells("The whole")}
    assert (whole["files"], whole["values"], whole["error"]) == ("11", "11", "1")
    assert whole["review"] == str(sum(one["status"] == "review" for one in rows))
    assert len(cells("Folders")) == 11
    assert sum(int(count) for _, count, _ in cells("Confidences")) == 10
    assert cells("Worst pages")
    assert len(cells("Days")) == 1
    assert "Against the truth" not in page()
    assert page().count("data:image/webp;base64,") == sum(one["status"] == "review" for one in rows)


@pytest.mark.usefixtures("ten")
def test_with_truth_it_tells_what_is_right_and_shows_mistakes() -> None:
    rows = table()
    truth = "".join(f"{one['file']},{n}\n" for n, one in enumerate(rows[:10]))
    Path("truth.csv").write_text(f"file,value\n{truth}")
    assert run("evaluate", "out.csv", "--truth", "truth.csv", "--html", "report.html") == 0
    right = sum(one["value"] == str(n) for n, one in enumerate(rows[:10]))
    assert ["accuracy", str(right), "10"] == cells("Against the truth")[1][:3]
    assert cells("Accuracy by position") == [["1", "10", str(right), f"{right / 10:.2%}"]]
    assert len(cells("Accuracy by digit")) == 10
    assert len(cells("Reliability")) == 4
    assert "<h2>Mistakes</h2>" in page()


@pytest.mark.usefixtures("ten")
def test_the_page_runs_nothing_and_shows_names_as_text(tab: Any) -> None:
    assert run("evaluate", "out.csv", "--html", "report.html", "-q") == 0
    assert "<script" not in page()
    assert "unsafe" not in page()
    tab.goto(Path("report.html").resolve().as_uri())
    assert tab.locator("b").count() == 0
    assert tab.locator("figure img").count() > 0
    assert tab.evaluate("document.querySelector('figure img').naturalWidth") > 0


def test_a_table_of_another_program_has_no_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("out.csv").write_text("file,value,confidence,status\na.png,7,0.5,review\n")
    assert run("evaluate", "out.csv", "--html", "report.html", "-q") == 0
    assert "<img" not in page()
    assert cells("Worst pages") == [["a.png", "1", "1", "1"]]


@pytest.mark.usefixtures("ten")
def test_pictures_have_no_page_of_this_kind(capsys: Capture) -> None:
    assert run("evaluate", "inbox", "--html", "report.html") == 2
    assert "--html is for a results table" in capsys.readouterr().err
    before = Path("out.csv").read_bytes()
    assert run("evaluate", "out.csv", "--html", "out.csv") == 2
    assert "expected a page, .html" in capsys.readouterr().err
    assert Path("out.csv").read_bytes() == before
