"""Readings against truth: figures worked out by hand, matching, files, and what is refused."""

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import FakeClassifier, Save, drawn
from hypothesis import given, settings
from hypothesis import strategies as st

from batchdigits import cli, evaluate, labelled, outputs, predict
from batchdigits.errors import ModelError, OutputError, UsageError
from batchdigits.evaluate import Metrics, compute_metrics, match_truth, read_results, read_truth
from batchdigits.job import resolve_job
from batchdigits.options import RunOptions
from batchdigits.records import Row, Status

Capture = pytest.CaptureFixture[str]
COLUMNS = ["file", "page", "field", "value", "confidence", "status", "truth"]
BY_HAND: list[tuple[str, float | None, Status, str]] = [
    ("1", 0.95, "ok", "1"),
    ("2", 0.95, "ok", "3"),
    ("7", 0.5, "review", "7"),
    ("", None, "blank", ""),
    ("", None, "error", "4"),
    ("8", 0.8, "review", "none"),  # right: a person sees it
    ("3", 0.9999, "ok", "none"),
    ("", 0.0, "review", ""),  # a blank that was not seen to be one
    ("12", 0.99, "ok", "12"),
    ("12", 0.9995, "ok", "123"),  # another length
]


def readings(lines: list[tuple[str, float | None, Status, str]]) -> pd.DataFrame:
    rows = [(f"{n}.png", 1, "", *line) for n, line in enumerate(lines)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.astype({"confidence": float})


@pytest.fixture(scope="module")
def by_hand() -> Metrics:
    return compute_metrics(readings(BY_HAND))


def run(*arguments: str) -> int:
    return cli._run_command_line(list(arguments))


def write_results(path: str, rows: list[Row], **dialect: bool) -> None:
    with outputs.open_table_writer(path, **dialect) as write:
        write(rows)


ROWS = [
    Row("inbox/7/a.png", 1, "", "7", 0.9876, "ok", ""),
    Row("inbox/0/b.tif", 1, "id", "007", 0.5, "review", "under 0.9; may be 1"),
    Row("inbox/0/b.tif", 2, "id", "", None, "blank", "no ink"),
    Row("inbox/1/ä, ;.png", 1, "", "", None, "error", "empty file"),
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_results("r.csv", ROWS)
    return tmp_path


# Figures


@pytest.mark.parametrize(
    ("measured", "count", "of", "low", "high"),
    [  # intervals: Clopper and Pearson's, from published tables of 5/10, 2/5, 3/5 and 1 of 1
        ("values", 10, None, None, None),
        ("accuracy", 5, 10, 0.1871, 0.8129),
        ("ok", 5, 10, None, None),
        ("review", 3, 10, None, None),
        ("blank", 1, 10, None, None),
        ("error", 1, 10, None, None),
        ("verified", 0, 10, None, None),
        ("accuracy among ok", 2, 5, 0.0527, 0.8534),
        ("wrong among ok", 3, 5, 0.1466, 0.9473),
        ("wrong among blank", 0, 1, 0.0, 0.975),
        ("of another length", 1, 10, None, None),
    ],
)
def test_the_summary_is_as_worked_out_by_hand(
    by_hand: Metrics, measured: str, count: int, of: int | None, low: float, high: float
) -> None:
    (line,) = by_hand.summary[by_hand.summary["measure"] == measured].to_dict("records")
    assert line["count"] == count
    assert of is None or (line["of"] == of and line["share"] == count / of)
    assert line["low"] == pytest.approx(low, abs=5e-5) if low is not None else pd.isna(line["low"])
    assert line["high"] == pytest.approx(high, abs=5e-5) if high else pd.isna(line["high"])


def test_calibration_scores_are_as_worked_out_by_hand(by_hand: Metrics) -> None:
    shares = by_hand.summary.set_index("measure")["share"]
    # of 15 bins three are used: 0.5 (right), 0.8 (wrong), and five values of which two are right
    assert shares["expected calibration error"] == pytest.approx((0.5 + 0.8 + 2.8894) / 7)
    squares = 0.05**2 + 0.95**2 + 0.5**2 + 0.8**2 + 0.9999**2 + 0.01**2 + 0.9995**2
    assert shares["Brier score"] == pytest.approx(squares / 7)


def test_bands_are_as_worked_out_by_hand(by_hand: Metrics) -> None:
    bands = by_hand.bands
    assert bands["confidence"].tolist() == ["< 0.9", "0.9 - 0.99", "0.99 - 0.999", "> 0.999"]
    assert bands["n"].tolist() == [2, 2, 1, 2]
    assert bands["promised"].tolist() == pytest.approx([0.7, 0.1, 0.01, 0.0006])
    assert bands["observed"].tolist() == [1, 1, 0, 2]
    assert bands["low"].tolist() == pytest.approx(
        [2 * 0.01258, 2 * 0.01258, 0, 2 * 0.15811], abs=1e-4
    )
    assert bands["high"].tolist() == pytest.approx([2 * 0.98742, 2 * 0.98742, 0.975, 2], abs=1e-4)


@pytest.mark.parametrize(
    ("confidence", "band"),
    [(0.8999, 0), (0.9, 1), (0.9899, 1), (0.99, 2), (0.999, 2), (0.9991, 3), (0.0, 0)],
)
def test_a_confidence_at_an_edge_has_one_band(confidence: float, band: int) -> None:
    bands = compute_metrics(readings([("1", confidence, "ok", "1")])).bands
    assert bands["n"].tolist() == [int(one == band) for one in range(4)]


def test_confusion_and_digits_are_over_positions(by_hand: Metrics) -> None:
    table = by_hand.confusion.set_index("truth").stack()
    seen = {place: count for place, count in table.items() if count}
    assert seen == {
        ("1", "1"): 2,
        ("2", "2"): 1,
        ("3", "2"): 1,
        ("4", "error"): 1,
        ("7", "7"): 1,
        ("blank", "blank"): 1,
        ("blank", "none"): 1,
        ("none", "3"): 1,
        ("none", "8"): 1,
    }
    digits = by_hand.digits.set_index("digit")
    assert digits.loc["2", ["n", "right", "read"]].tolist() == [1, 1, 2]
    assert digits.loc["2", ["recall", "precision"]].tolist() == [1.0, 0.5]
    assert digits.loc["4", "recall"] == 0
    assert digits.loc["9", ["recall", "precision"]].isna().all()


def test_errors_left_are_as_worked_out_by_hand(by_hand: Metrics) -> None:
    # in order: error row, value that is missing, 0.5 (right), 0.8, 0.95, 0.95 …
    assert by_hand.review["left"].tolist() == [6, 6, 6, 6, 6, 5, 4]
    assert by_hand.review["reviewed"].tolist() == [0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2]
    assert by_hand.review["share"].tolist()[-1] == 4 / 8
    assert by_hand.review["confidence"].tolist()[-1] == 0.5
    assert by_hand.curve["left"].tolist() == [6, 5, 4, 3, 2, 1, 0, 0]
    assert by_hand.curve["values"].tolist() == [0, 1, 2, 4, 6, 8, 9, 10]


def test_of_equal_confidences_the_wrong_ones_are_left() -> None:
    lines: list[tuple[str, float | None, Status, str]] = [("1", 0.9, "ok", "2")]
    lines += [("1", 0.9, "ok", "1")] * 9
    assert compute_metrics(readings(lines)).review["left"].tolist() == [1] * 7


def test_mistakes_are_the_most_confident_and_twenty_at_most(by_hand: Metrics) -> None:
    assert by_hand.mistakes["file"].tolist() == ["6.png", "9.png", "1.png"]
    many: list[tuple[str, float | None, Status, str]]
    many = [("1", n / 100, "ok", "2") for n in range(30)]
    assert compute_metrics(readings(many)).mistakes["confidence"].tolist() == [
        n / 100 for n in range(29, 9, -1)
    ]


LINES = st.lists(
    st.tuples(
        st.sampled_from(["", "0", "5", "9"]),
        st.integers(0, 9999).map(lambda n: n / 10_000),
        st.sampled_from(["ok", "review", "blank", "error"]),
        st.sampled_from(["", "0", "5", "9", "none"]),
    ).map(
        lambda line: (
            line if line[2] in ("ok", "review") else ("", None, line[2], line[3])
        )  # as `run` writes them
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=40, deadline=None)
@given(LINES)
def test_what_must_hold_of_any_readings(
    lines: list[tuple[str, float | None, Status, str]],
) -> None:
    found = compute_metrics(readings(lines))
    n = len(lines)
    assert found.confusion.set_index("truth").to_numpy().sum() == n
    used = found.bands[found.bands["n"] > 0]
    assert (used["low"] <= used["observed"]).all()
    assert (used["high"] >= used["observed"]).all()
    valued = sum(value != "" and confidence is not None for value, confidence, _, _ in lines)
    assert found.bands["n"].sum() == found.reliability["n"].sum() == valued
    assert found.bands["observed"].sum() == found.reliability["observed"].sum()
    left = found.curve["left"]
    assert left.is_monotonic_decreasing
    assert left.iloc[-1] == 0
    assert found.review["left"].is_monotonic_decreasing
    shares = found.summary.set_index("measure")["share"]
    assert sum(shares[one] for one in ("ok", "review", "blank", "error")) == pytest.approx(1)
    scores = found.summary.set_index("measure").loc[["expected calibration error", "Brier score"]]
    assert scores["share"].isna().all() if not valued else scores["share"].between(0, 1).all()


# Tables and truth


@pytest.mark.parametrize(
    ("path", "excel", "decimal_comma"),
    [
        ("t.csv", False, False),
        ("t.csv", True, False),
        ("t.csv", False, True),
        ("t.csv", True, True),
        ("t.tsv", False, False),
        ("t.tsv", True, True),
        ("t.jsonl", False, False),
        ("t.parquet", False, False),
        ("t.xlsx", False, False),
    ],
)
def test_every_format_that_run_writes_is_read(
    here: Path, path: str, excel: bool, decimal_comma: bool
) -> None:
    write_results(path, ROWS, excel=excel, decimal_comma=decimal_comma)
    expected = outputs.build_dataframe(ROWS)[COLUMNS[:-1]]
    pd.testing.assert_frame_equal(read_results(path), expected)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("t.csv", "", "cannot be read as a table"),
        ("t.csv", "file,value\na,1\n", "lacks the column 'confidence'"),
        ("t.csv", "file,value,confidence,status\na,x,0.5,ok\n", "expected a value of digits"),
        ("t.csv", "file,value,confidence,status\n=1+2,1,0.5,ok\n", "expected a file as a run"),
        ("t.csv", "file,value,confidence,status\na\x1b[31m,1,0.5,ok\n", "got 'a\\x1b[31m'"),
        ("t.jsonl", '{"file": "\\ud800", "value": "1", "confidence": 1}', "surrogates not allowed"),
        (
            "t.csv",
            "file,field,value,confidence,status\na,@x,1,0.5,ok\n",
            "expected a field as a run",
        ),
        ("t.csv", "file,value,confidence,status\na,1,2,ok\n", "a confidence from 0 to 1"),
        ("t.csv", "file,value,confidence,status\na,1,high,ok\n", "'high'"),
        ("t.csv", "file,value,confidence,status\na,1,0.5,fine\n", "a status among ok"),
        ("t.csv", "file,value,confidence,status,page\na,1,0.5,ok,0\n", "a page number from 1"),
        ("t.csv", "file,value,confidence,status\na,1,0.5,ok\na,1,0.5,ok\n", "once, got 'a'"),
        ("t.csv", "file,value,confidence,status\na,1,0.5,ok,more\n", "cannot be read as a table"),
        ("t.csv", "file,value,confidence,status\na,\xff\n", "cannot be read as a table"),
        ("t.jsonl", "[1]\n", "expected an object on each line"),
        ("t.jsonl", "{\n", "cannot be read as a table"),
        ("t.parquet", "no", "cannot be read as a table"),
        ("t.xlsx", "no", "cannot be read as a table"),
        ("t.txt", "", "is no table: expected .csv"),
    ],
)
def test_a_table_that_is_none_is_refused(here: Path, name: str, text: str, words: str) -> None:
    Path(name).write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=re.escape(words)):
        read_results(name)


def test_a_library_that_is_missing_is_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_results("t.parquet", ROWS)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "fastparquet", None)
    with pytest.raises(UsageError, match=r"pip install 'batchdigits\[parquet\]'"):
        read_results("t.parquet")


HEAD = "file,page,field,value\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEAD + "inbox/7/a.png,1,,7\n", {("inbox/7/a.png", 1): "7"}),
        ("file,value\ninbox/7/a.png,07\n", {("inbox/7/a.png", 1): "07"}),  # text: zeros count
        ("file,value\ninbox/7/a.png,\n", {("inbox/7/a.png", 1): ""}),
        ("file;page;value\r\ninbox/7/a.png;;none\r\n", {("inbox/7/a.png", 1): "none"}),
        ("\ufefffile\tpage\tvalue\ninbox/0/b.tif\t2\t\n", {("inbox/0/b.tif", 2): ""}),
        (
            "file,page,value\ninbox/0/b.tif,2,1\ninbox/0/b.tif,1,7\n",  # in the results' order
            {("inbox/0/b.tif", 1): "7", ("inbox/0/b.tif", 2): "1"},
        ),
        ('file,value\n"inbox/1/ä, ;.png",X\n', {("inbox/1/ä, ;.png", 1): "none"}),  # mapped
        ("file,value\ninbox/7/a.png,7\n\n", {("inbox/7/a.png", 1): "7"}),  # an empty line
    ],
)
def test_truth_is_matched(here: Path, text: str, expected: dict[tuple[str, int], str]) -> None:
    Path("truth.csv").write_text(text, "utf-8")
    found = match_truth(read_results("r.csv"), read_truth("truth.csv", {"X": "none"}))
    lines = found.readings[["file", "page", "truth"]].itertuples(index=False)
    assert {(file, page): truth for file, page, truth in lines} == expected
    assert list(found.readings.columns) == COLUMNS
    assert found.unknown == len(ROWS) - len(expected)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("value\n1\n", "lacks the column 'file'"),
        ("file,value\na.png,1\nb.png,1\n", "'a.png' (and 1 more), which is not among the results"),
        (HEAD + "inbox/7/a.png,2,,7\n", "'inbox/7/a.png', page 2, which"),
        (HEAD + "inbox/7/a.png,1,name,7\n", "field name, which"),
        (HEAD + "inbox/7/a.png,x,,7\n", "expected a page number from 1, got 'x'"),
        ("file,value\ninbox/0/b.tif,7\n", "add the columns page, field"),
        (
            "file,value\nc,1\nc,1\nc,2\n",
            "expected every file once, got 'c', and 1 more like it",
        ),
        ("file,value\ninbox/7/a.png,seven\n", "got 'seven': correct"),
        ("file,value\ninbox/7/a.png,skip\n", "no value has a truth"),
    ],
)
def test_a_truth_that_does_not_fit_is_one_plain_line(
    here: Path, capsys: Capture, text: str, words: str
) -> None:
    Path("truth.csv").write_text(text, "utf-8")
    assert run("evaluate", "r.csv", "--truth", "truth.csv", "--out", "report") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert words in err
    assert not Path("report").exists()


def test_folders_name_the_digit(here: Path, capsys: Capture) -> None:
    with pytest.raises(UsageError, match=r"'inbox/x/a.png': its folder 'x' \(and 1 more\)"):
        evaluate.match_folder_labels(
            pd.DataFrame({"file": ["inbox/x/a.png", "7/a.png", "10/b.png"]})
        )
    names = {"x": "none", "10": "empty", "y": "skip"}
    table = pd.DataFrame({"file": ["inbox/x/a.png", "7/a.png", "10/b.png", "y/c.png"]})
    found = evaluate.match_folder_labels(table, names)
    assert found.readings["truth"].tolist() == ["none", "7", ""]
    assert (found.unknown, found.skipped) == (0, 1)
    assert run("evaluate", "r.csv", "--labels-from-folders") == 0
    out, err = capsys.readouterr()
    assert re.search(r"^values +4$", out, re.M)
    assert "4 values compared" in err


# Compare


OTHER = [
    Row("inbox/7/a.png", 1, "", "7", 0.9866, "ok", ""),  # by 0.001: another machine
    Row("inbox/0/b.tif", 1, "id", "001", 0.5, "review", ""),
    Row("inbox/0/b.tif", 2, "id", "", None, "error", "gone"),
    Row("inbox/9/new.png", 1, "", "9", 0.9, "ok", ""),
]


def test_compare_lists_what_differs(here: Path, capsys: Capture) -> None:
    write_results("new.xlsx", OTHER)
    assert run("compare", "r.csv", "new.xlsx") == 0
    out, err = capsys.readouterr()
    listed = pd.read_csv(io.StringIO(out), dtype=str, keep_default_na=False)
    assert listed[["file", "page", "field", "change"]].to_numpy().tolist() == [
        ["inbox/0/b.tif", "1", "id", "value"],
        ["inbox/0/b.tif", "2", "id", "status"],
        ["inbox/1/ä, ;.png", "1", "", "only old"],
        ["inbox/9/new.png", "1", "", "only new"],
    ]
    assert listed.loc[0, ["old_value", "new_value"]].tolist() == ["007", "001"]
    assert listed.loc[3, ["old_status", "new_confidence"]].tolist() == ["", "0.9000"]
    assert "1 only old, 1 only new, 1 value, 1 status, 1 same" in err
    assert run("compare", "r.csv", "new.xlsx", "--out", "list.csv", "--tolerance", "0.0005") == 0
    assert re.search(r"^confidence +1$", capsys.readouterr().out, re.M)
    assert Path("list.csv").read_text("utf-8").count("\n") == 6


def test_a_table_does_not_differ_from_itself(here: Path, capsys: Capture) -> None:
    assert run("compare", "r.csv", "r.csv", "--quiet") == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 1  # the header
    assert err == ""


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["r.csv", "gone.csv"], 2, "cannot read 'gone.csv'"),
        (["r.csv"], 2, "Missing argument 'NEW'"),
        (["r.csv", "r.csv", "--out", "./r.csv"], 2, "is one of the tables"),
        (["r.csv", "r.csv", "--out", "no/list.csv"], 5, "no' is no folder: make it"),
        (["r.csv", "r.csv", "--tolerance", "-1"], 2, "--tolerance"),
    ],
)
def test_what_compare_refuses(
    here: Path, capsys: Capture, arguments: list[str], code: int, words: str
) -> None:
    assert run("compare", *arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.count("\n") == 1


# Files


FILES = {
    *(f"{name}.csv" for name in ("readings", *Metrics.__dataclass_fields__)),
    *(f"{name}.png" for name in ("confusion", "mistakes", "reliability", "review")),
}


@pytest.fixture
def some(here: Path) -> str:
    cv2.imwrite("there.png", np.full((30, 50), 90, np.uint8))
    rows = [
        Row("there.png", 1, "", "1", 0.99, "ok", ""),
        Row("gone.png", 1, "", "1", 0.98, "ok", ""),
        Row("ok.png", 1, "", "1", 0.97, "ok", ""),
    ]
    write_results("some.csv", rows)
    Path("truth.csv").write_text("file,value\nthere.png,2\ngone.png,\nok.png,1\n")
    return "some.csv"


def test_the_report_is_written(some: str, capsys: Capture) -> None:
    arguments = ("evaluate", some, "--truth", "truth.csv", "--out", "a/report")
    assert run(*arguments) == 0
    assert {path.name for path in Path("a/report").iterdir()} == FILES
    assert Path("a/report/readings.csv").read_text() == (
        "file,page,field,value,confidence,status,truth\n"
        "there.png,1,,1,0.9900,ok,2\ngone.png,1,,1,0.9800,ok,\nok.png,1,,1,0.9700,ok,1\n"
    )
    before = {path.name: path.read_bytes() for path in Path("a/report").iterdir()}
    out = capsys.readouterr().out
    assert run(*arguments) == 0  # again into the same folder: the same bytes
    assert {path.name: path.read_bytes() for path in Path("a/report").iterdir()} == before
    assert capsys.readouterr().out == out


def test_the_contact_sheet_shows_pictures_and_a_grey_cell_for_what_is_gone(some: str) -> None:
    figures = compute_metrics(
        match_truth(read_results(some), read_truth("truth.csv")).readings,
    )
    sheet = evaluate.draw_contact_sheet(figures.mistakes)
    assert sheet.shape[1] % 2 == 0  # two cells beside each other
    left, right = np.hsplit(sheet, 2)
    assert (left == 90).sum() > 10_000
    assert (right == 208).sum() > 10_000
    none = evaluate.draw_contact_sheet(figures.mistakes.head(0))
    assert none.dtype == np.uint8
    assert none.min() < 255


@pytest.mark.parametrize(
    "line",
    [
        ("", None, "blank", ""),
        ("1", 0.5, "ok", "1"),
        ("1", 1.0, "ok", "2"),
        ("", None, "error", "7"),
    ],
    ids=["no value at all", "no errors", "surely wrong", "nothing read"],
)
def test_every_picture_can_be_drawn_of_hardly_anything(
    here: Path, line: tuple[str, float | None, Status, str]
) -> None:
    table = readings([line])
    Path("report").mkdir()
    assert evaluate.write_evaluation("report", table, compute_metrics(table)) == ""
    assert {path.name for path in Path("report").iterdir()} == FILES
    for path in Path("report").glob("*.png"):
        assert cv2.imread(str(path)) is not None


def test_without_matplotlib_all_but_the_plots_comes(
    some: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert run("evaluate", some, "--truth", "truth.csv", "--out", "report") == 0
    out, err = capsys.readouterr()
    plots = {"confusion.png", "reliability.png", "review.png"}
    assert {path.name for path in Path("report").iterdir()} == FILES - plots
    assert "pip install 'batchdigits[plots]'" in err
    assert out.startswith("measure")


def test_figures_are_printed_even_quietly_and_nothing_else(some: str, capsys: Capture) -> None:
    assert run("evaluate", some, "--truth", "truth.csv", "--quiet") == 0
    out, err = capsys.readouterr()
    assert err == ""
    heads = [block.split()[0] for block in out.split("\n\n")]
    assert heads == ["measure", "digit", "truth", "confidence", "reviewed", "file"]
    assert re.search(r"^accuracy +1 +3 +0\.3333 +0\.0084 +0\.9057$", out, re.M)


def test_a_folder_that_cannot_be_made_is_exit_code_5(some: str, capsys: Capture) -> None:
    assert run("evaluate", some, "--truth", "truth.csv", "--out", "truth.csv") == 5
    assert "cannot write into 'truth.csv'" in capsys.readouterr().err
    Path("report").mkdir()
    Path("report/summary.csv").mkdir()
    with pytest.raises(OutputError, match="cannot write into 'report'"):
        found = match_truth(read_results(some), read_truth("truth.csv")).readings
        evaluate.write_evaluation("report", found, compute_metrics(found))


# A model over pictures


@pytest.fixture
def pictures(save: Save, fake_classifier: FakeClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHDIGITS_WORKERS", "0")
    for n in range(6):
        save(f"{n % 3}/{n}.png", drawn(n))
    save("10/paper.png", np.full((28, 28), 255, np.uint8))


@pytest.mark.usefixtures("pictures")
def test_a_model_is_evaluated_as_run_would_read(capsys: Capture) -> None:
    assert run("run", "inbox", "--as", "digit", "--out", "r.csv", "-q") == 0
    by_run = run("evaluate", "r.csv", "--labels-from-folders", "--labels", "10=empty")
    first = capsys.readouterr().out
    by_model = run("evaluate", "inbox", "--labels", "10=empty", "--out", "inbox/report")
    assert by_run == by_model == 0
    assert capsys.readouterr().out == first
    again = run("evaluate", "inbox", "--labels", "10=empty", "--out", "inbox/report")
    assert again == 0  # the pictures in the report are not read
    assert capsys.readouterr().out == first
    Path("t.csv").write_text("file,value\ninbox/1/1.png,1\n")
    assert run("evaluate", "inbox", "--truth", "t.csv", "--out", "inbox/report") == 0
    assert "1 value compared; left out 6 without a truth" in capsys.readouterr().err


@pytest.mark.usefixtures("pictures")
def test_a_set_of_arrays_is_read_as_files_are(capsys: Capture) -> None:
    crops = [drawn(n) for n in range(8)] + [np.full((28, 28), 255, np.uint8)]
    np.savez("set.npz", x=np.stack(crops), y=np.array([0, 1, 2, 3, 4, 5, 6, 7, 11]))
    for n, crop in enumerate(crops):
        name = "empty" if n == 8 else str(n)
        Path(f"files/{name}").mkdir(parents=True)
        cv2.imwrite(f"files/{name}/{n}.png", crop)
    assert run("evaluate", "files", "--labels", "empty=empty", "--out", "a", "-q") == 0
    assert run("evaluate", "set.npz", "--labels", "11=empty", "--out", "b", "-q") == 0
    a, b = (pd.read_csv(f"{at}/readings.csv", dtype=str) for at in "ab")
    assert b["file"].tolist() == [f"set.npz:x[{n}]" for n in range(9)]
    pd.testing.assert_frame_equal(a.drop(columns="file"), b.drop(columns="file"))
    assert a["status"].tolist()[-1] == "blank"
    data = labelled.load_labelled_crops("set.npz", part="all", names={"11": "empty"})
    job = resolve_job(RunOptions.from_settings({"as_": "digit", "batch_size": 2}))
    found = evaluate.read_crops(data, job).readings
    assert found["value"].tolist() == b["value"].fillna("").tolist()
    shown = evaluate.make_picture_lookup(data)
    assert np.array_equal(shown("set.npz:x[3]", 1), crops[3])  # type: ignore[arg-type]
    assert shown("other", 1) is None


def _no_model(*_: object, **__: object) -> None:
    raise ModelError("the model must not be loaded")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["inbox"], 2, "its folder '10' is no digit"),
        (["inbox", "--labels", "10=ten"], 2, "--labels '10=ten'"),
        (["nowhere"], 2, "INPUT 'nowhere' does not exist"),
        (["inbox/10/none"], 2, "does not exist"),
        (["hollow"], 2, "no images found"),
        (["inbox", "--labels", "10=empty", "--model", "no.keras"], 6, "does not exist"),
        (["inbox", "--truth", "r.csv", "--labels-from-folders"], 2, "expected one"),
        (["inbox", "--truth", "gone.csv"], 2, "cannot read 'gone.csv'"),
        (["inbox", "--truth", "other.csv"], 2, "truth for 'a.png', which"),
        (["inbox", "--labels", "10=empty", "--device", "tpu"], 2, "device: "),
        (["inbox", "--labels", "10=empty", "--out", "r.csv"], 5, "cannot write into 'r.csv'"),
        (["set.npz", "inbox"], 2, "is evaluated alone"),
        (["set.npz"], 2, "the label '11' is no digit"),
        (["r.csv"], 2, "--truth FILE is missing"),
        (["r.csv", "r.csv", "--truth", "t.csv"], 2, "expected one results table"),
        (["r.csv", "--truth", "t.csv", "--model", "m"], 2, "--model is for pictures"),
    ],
)
@pytest.mark.usefixtures("pictures")
def test_what_evaluate_refuses_it_refuses_before_a_model_is_loaded(
    arguments: list[str],
    code: int,
    words: str,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load: Callable[..., None] = _no_model
    monkeypatch.setattr(predict, "load_classifier", load)
    np.savez("set.npz", x=np.zeros((1, 28, 28), np.uint8), y=np.array([11]))
    write_results("r.csv", ROWS)
    Path("other.csv").write_text("file,value\na.png,1\n")
    Path("hollow").mkdir()
    before = sorted(Path().rglob("*"))
    assert run("evaluate", *arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert words in err
    assert sorted(Path().rglob("*")) == before


@pytest.mark.usefixtures("pictures")
def test_environment_of_a_run_does_not_disturb(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_results("r.csv", ROWS)
    kept = Path("r.csv").read_bytes()
    monkeypatch.setenv("BATCHDIGITS_OUT", "r.csv")
    monkeypatch.setenv("BATCHDIGITS_MODEL", "default")
    assert run("evaluate", "r.csv", "--labels-from-folders") == 0
    assert run("compare", "r.csv", "r.csv") == 0
    assert Path("r.csv").read_bytes() == kept
