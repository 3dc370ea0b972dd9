"""The formats of a table, to the byte, and the places that take none."""

import csv
import io
import json
import math
import os
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl  # type: ignore[import-untyped]
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import ordinary_user
from hypothesis import given, settings
from hypothesis import strategies as st
from outputs_tables import (
    FORMATS,
    GOLDEN,
    GOLDEN_CSV,
    GOLDEN_EXCEL,
    TRICKY,
    here_fixture,  # noqa: F401
    linux,
    many,
    put,
    python,
)

from batchdigits import outputs
from batchdigits.errors import OutputError, UsageError
from batchdigits.outputs import (
    RESULT_COLUMNS,
    build_dataframe,
    check_table_path,
    open_table_writer,
)
from batchdigits.records import Row


def plain(rows: list[Row]) -> list[Row]:
    """Return the rows as every format gives them back: with plain details."""
    last = rows[3]._replace(detail="'=cmd|' /C calc'!A0  second line")
    return [*rows[:3], last]


# --- the formats ---


def test_the_columns_are_those_of_a_row() -> None:
    assert Row._fields == RESULT_COLUMNS


@pytest.mark.parametrize("ending", GOLDEN)
def test_text_formats_to_the_byte(ending: str) -> None:
    assert put(f"out{ending}", TRICKY).decode() == GOLDEN[ending]


@pytest.mark.parametrize(("ending", "decimal_comma"), GOLDEN_EXCEL)
def test_excel_dialect_to_the_byte(ending: str, decimal_comma: bool) -> None:
    wanted = GOLDEN_EXCEL[ending, decimal_comma]
    assert put(f"out{ending}", TRICKY, excel=True, decimal_comma=decimal_comma).decode() == wanted


def test_decimal_commas_alone_guard_no_values() -> None:
    text = put("out.csv", TRICKY, decimal_comma=True).decode()
    assert text == GOLDEN_EXCEL[".csv", True].removeprefix("\ufeff").replace("\t", "")


def test_excel_dialect_keeps_the_decimal_point() -> None:
    put("out.csv", TRICKY, excel=True)
    read = pd.read_csv("out.csv", sep=",", decimal=".", encoding="utf-8-sig")
    assert list(read.columns) == list(RESULT_COLUMNS)
    assert read["confidence"].tolist()[:2] == [0.99, 0.5]


def test_pandas_reads_the_csv_as_read_would_give_it() -> None:
    put("out.csv", TRICKY)
    texts = dict.fromkeys(set(RESULT_COLUMNS) - {"page", "confidence"}, "str")
    read = pd.read_csv("out.csv", dtype=texts, keep_default_na=False, na_values={"confidence": ""})
    pd.testing.assert_frame_equal(read, build_dataframe(TRICKY))


def test_parquet_reads_back() -> None:
    put("out.parquet", TRICKY)
    read = pq.read_table("out.parquet")
    assert read.schema.names == list(RESULT_COLUMNS)
    assert [str(kind) for kind in read.schema.types] == [
        *("string", "int64", "string", "string", "double", "string", "string")
    ]
    assert [Row(**cells) for cells in read.to_pylist()] == plain(TRICKY)
    pd.testing.assert_frame_equal(pd.read_parquet("out.parquet"), build_dataframe(TRICKY))


def test_xlsx_reads_back_as_text_and_numbers() -> None:
    put("out.xlsx", TRICKY)
    sheet = openpyxl.load_workbook("out.xlsx")["results"]
    lines = list(sheet.iter_rows(values_only=True))
    assert lines[0] == RESULT_COLUMNS
    wanted = [tuple(None if c == "" else c for c in r) for r in plain(TRICKY)]
    assert lines[1:] == wanted
    assert (sheet["D2"].number_format, sheet["E2"].number_format) == ("@", "0.0000")
    assert sheet.column_dimensions["D"].number_format == "@"  # text also in cells typed later


def test_xlsx_is_ready_to_look_at() -> None:
    put("out.xlsx", TRICKY)
    sheet = openpyxl.load_workbook("out.xlsx")["results"]
    assert all(cell.font.bold for cell in sheet[1])
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:G5"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=1+1", "=1+1"),  # no formula
        ("https://example.org/a.png", "https://example.org/a.png"),  # no link
        ("12", "12"),  # no number
        ("_x0041_.png", "_x0041_.png"),  # spelled like an escape of the format, which gives A
        ("a\x01\x0b\x1fb", "a\x01\x0b\x1fb"),  # what XML cannot hold
        ("<b>&amp;</b>", "<b>&amp;</b>"),  # markup is text
        ("<r>a</r>", "./<r>a</r>"),  # XlsxWriter would paste this one in unescaped
        ("<r><t>1", "<r><t>1"),  # but not this one
    ],
)
def test_xlsx_takes_any_text_for_text(text: str, shown: str) -> None:
    put("out.xlsx", [Row(text, 1, "", "1", 0.9, "ok", "")])
    cell = openpyxl.load_workbook("out.xlsx")["results"]["A2"]
    assert openpyxl.utils.escape.unescape(cell.value) == shown
    assert cell.data_type != "f"
    assert cell.hyperlink is None


@pytest.mark.parametrize("ending", FORMATS)
def test_a_table_without_rows_has_its_columns(ending: str) -> None:
    content = put(f"out{ending}", [])
    if ending == ".jsonl":
        assert content == b""
    elif ending == ".parquet":
        assert pq.read_table("out.parquet").to_pydict() == {name: [] for name in RESULT_COLUMNS}
    elif ending == ".xlsx":
        sheet = openpyxl.load_workbook("out.xlsx")["results"]
        assert list(sheet.iter_rows(values_only=True)) == [RESULT_COLUMNS]
    else:
        assert content.decode() == ("\t" if ending == ".tsv" else ",").join(RESULT_COLUMNS) + "\n"


def test_same_rows_same_bytes_however_they_are_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs.parquet, "ROW_GROUP_SIZE", 2000)
    rows = many(5000)  # more than are written at once
    first = {ending: put(f"a{ending}", rows) for ending in FORMATS}
    time.sleep(2.1)  # the clock of a zip counts in steps of two seconds
    for ending in FORMATS:
        with open_table_writer(f"b{ending}") as write:
            write(iter(rows[:1]))
            write([])
            write(row for row in rows[1:4900])
            write(rows[4900:])
    assert {ending: Path(f"b{ending}").read_bytes() for ending in FORMATS} == first
    assert pq.read_metadata("b.parquet").num_row_groups == 3


def test_suffix_in_any_case() -> None:
    assert put("OUT.CSV", TRICKY).decode() == GOLDEN_CSV
    assert zipfile.is_zipfile(io.BytesIO(put("Out.XlsX", TRICKY)))


# --- what a detail may hold ---


@pytest.mark.parametrize(
    ("detail", "written"),
    [
        ("", ""),
        ("under the threshold", "under the threshold"),
        ("a\tb\nc\x00d\x7fe\x85f", "a b c d e f"),  # control characters
        ("a\u2028b\udcffc\uffffd", "a b c d"),  # a line end of Unicode, half a pair, no character
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@sum", "'@sum"),
        ("\t=1", "' =1"),  # spreadsheets trim what stands before
        ("＝1", "'＝1"),  # noqa: RUF001 (the wide sign, which East Asian ones read as a formula)
        ("1=1", "1=1"),  # only at the beginning
    ],
)
def test_details_are_made_plain(detail: str, written: str) -> None:
    row = Row("a.png", 1, "", "", None, "error", detail)
    put("out.csv", [row])
    with Path("out.csv").open(encoding="utf-8", newline="") as file:
        assert next(csv.DictReader(file))["detail"] == written
    assert json.loads(put("out.jsonl", [row]))["detail"] == written
    put("out.parquet", [row])
    assert pq.read_table("out.parquet")["detail"].to_pylist() == [written]
    assert build_dataframe([row])["detail"].tolist() == [written]


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
ROWS = st.builds(
    Row,
    file=TEXT | st.text('",;\t \\x', max_size=6).map(lambda text: text.replace("\t", "")),
    page=st.integers(1, 10**6),
    field=TEXT,
    value=st.text("0123456789", max_size=12),
    confidence=st.none() | st.integers(0, 9999).map(lambda cut: cut / 10_000),
    status=st.sampled_from(["ok", "review", "blank", "error", "verified"]),
    detail=TEXT.map(lambda text: f"a{text}").filter(lambda t: not {"\u2028", "\u2029"} & set(t))
    | st.just(""),
).filter(lambda row: not {"\ufffe", "\uffff"} & set(row.detail))


@settings(max_examples=60, deadline=None)
@given(st.lists(ROWS, max_size=6))
@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl"])
def test_text_formats_give_back_what_they_got(ending: str, rows: list[Row]) -> None:
    content = put(f"out{ending}", rows).decode()
    read: Iterator[dict[str, Any]]
    if ending == ".jsonl":
        read = (json.loads(line) for line in content.split("\n")[:-1])
    else:
        lines = io.StringIO(content, newline="")
        read = iter(csv.DictReader(lines, delimiter="\t" if ending == ".tsv" else ","))
    assert [as_row(cells) for cells in read] == rows


def as_row(cells: dict[str, Any]) -> Row:
    assert tuple(cells) == RESULT_COLUMNS
    confidence = cells["confidence"]
    number = None if confidence in ("", None) else float(confidence)
    return Row(**{**cells, "page": int(cells["page"]), "confidence": number})


@given(st.integers(0, 9999))
def test_confidence_has_the_four_decimals_it_was_cut_to(cut: int) -> None:
    put("out.csv", [Row("a", 1, "", "1", cut / 10_000, "ok", "")])
    assert Path("out.csv").read_text(encoding="utf-8").endswith(f",1,0.{cut:04},ok,\n")


# --- the DataFrame ---


@pytest.mark.parametrize("rows", [[], TRICKY], ids=["no rows", "rows"])
def test_table_has_fixed_dtypes(rows: list[Row]) -> None:
    frame = build_dataframe(iter(rows))
    wanted = dict.fromkeys(RESULT_COLUMNS, "str") | {"page": "int64", "confidence": "float64"}
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == wanted
    assert len(frame) == len(rows)


def test_table_holds_what_the_rows_hold() -> None:
    frame = build_dataframe(TRICKY)
    assert frame["value"].tolist() == ["007", "00120", "", ""]
    assert frame["confidence"].tolist()[:2] == [0.99, 0.5]
    assert all(math.isnan(number) for number in frame["confidence"].tolist()[2:])


def test_importing_the_room_loads_none_of_the_large_libraries() -> None:
    code = "print(sorted({'pandas', 'pyarrow', 'xlsxwriter'} & set(sys.modules)))"
    assert python(code) == (0, "[]\n", "")


# --- before anything is read ---


@pytest.mark.parametrize(
    ("out", "excel", "said"),
    [
        ("out.txt", False, r"\.csv, \.tsv, \.jsonl, \.parquet, \.xlsx"),  # says what is known
        ("out", False, r"must end in .*got 'out'"),
        ("", False, "got ''"),
        (".csv", False, "must end in"),  # a hidden file without a suffix
        ("out.csv.gz", False, "must end in"),
        ("parts.xlsx/", False, "parts are no .xlsx"),
        ("out.jsonl", True, "--excel is for"),
        ("out.parquet", True, "--excel is for"),
        ("out.xlsx", True, "--excel is for"),  # is for Excel as it is
    ],
)
def test_wrong_usage_is_told(out: str, excel: bool, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        check_table_path(out, excel=excel)
    assert "\n" not in str(caught.value)
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(("ending", "library"), [(".parquet", "pyarrow"), (".xlsx", "xlsxwriter")])
def test_a_missing_library_is_told(
    ending: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UsageError, match=rf"pip install 'batchdigits\[{ending[1:]}\]'") as caught:
        check_table_path(f"out{ending}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("missing/out.csv", "missing' is no folder"),
        ("file/out.csv", "file' is no folder"),  # a file where a folder is needed
        ("folder.csv", "a folder or no regular file"),
        ("to_folder.csv", "a folder or no regular file"),
        ("pipe.csv", "a folder or no regular file"),  # would be replaced by a file
        ("broken.csv", "gone' is no folder"),
        ("circle.csv", "leads round in a circle"),
        ("n" * 300 + ".csv", "File name too long"),
        pytest.param("/proc/out.csv", "cannot write", marks=linux),  # even root cannot
    ],
)
def test_a_place_that_takes_no_table_is_told(out: str, said: str) -> None:
    Path("file").touch()
    Path("folder.csv").mkdir()
    Path("to_folder.csv").symlink_to("folder.csv")
    Path("broken.csv").symlink_to("gone/out.csv")
    Path("circle.csv").symlink_to("circle.csv")
    os.mkfifo("pipe.csv")
    with pytest.raises(OutputError, match=said) as caught:
        check_table_path(out)
    assert "\n" not in str(caught.value)
    with pytest.raises(OutputError, match=said), open_table_writer(out):
        pytest.fail("the block must not begin")


def test_a_folder_that_may_not_be_written_is_told(here: Path) -> None:
    here.chmod(0o555)
    try:
        with ordinary_user(), pytest.raises(OutputError, match=r"cannot write 'out\.csv'"):
            check_table_path("out.csv")
    finally:
        here.chmod(0o755)


@pytest.mark.parametrize("out", ["-", "out.csv", "OUT.TSV", "out.jsonl", "out.parquet", "out.xlsx"])
def test_a_good_place_passes_and_stays_as_it_is(out: str) -> None:
    check_table_path(out)
    assert list(Path().iterdir()) == []


def test_closed_standard_output_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(OutputError, match="closed"):
        check_table_path("-")
