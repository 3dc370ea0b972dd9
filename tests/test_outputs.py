import csv
import dataclasses
import io
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
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

from batchdigits import outputs
from batchdigits.errors import OutputError, UsageError
from batchdigits.outputs import (
    DIGITS_LAYOUT,
    FIELDS_LAYOUT,
    RESULT_COLUMNS,
    build_dataframe,
    check_table_path,
    make_page_layout,
    open_table_writer,
)
from batchdigits.records import DigitRow, Row

linux = pytest.mark.skipif(
    sys.platform != "linux", reason="Linux has /proc, and names of any bytes"
)

FORMATS = [".csv", ".tsv", ".jsonl", ".parquet", ".xlsx"]

TRICKY = [
    Row("./inbox/a.png", 1, "", "007", 0.99, "ok", ""),
    Row('./inbox/b,"c".tif', 2, "member_id", "00120", 0.5, "review", 'under the threshold; "5"?'),
    Row("inbox/Größe 値.pdf", 12, "box_001", "", None, "blank", ""),
    Row("s3://b/x\\x0a.png", 1, "", "", None, "error", "=cmd|' /C calc'!A0\r\nsecond line"),
]
GOLDEN_CSV = """\
file,page,field,value,confidence,status,detail
./inbox/a.png,1,,007,0.9900,ok,
"./inbox/b,""c"".tif",2,member_id,00120,0.5000,review,"under the threshold; ""5""?"
inbox/Größe 値.pdf,12,box_001,,,blank,
s3://b/x\\x0a.png,1,,,,error,'=cmd|' /C calc'!A0  second line
"""
GOLDEN = {
    ".csv": GOLDEN_CSV,
    ".tsv": """\
file	page	field	value	confidence	status	detail
./inbox/a.png	1		007	0.9900	ok	
"./inbox/b,""c"".tif"	2	member_id	00120	0.5000	review	"under the threshold; ""5""?"
inbox/Größe 値.pdf	12	box_001			blank	
s3://b/x\\x0a.png	1				error	'=cmd|' /C calc'!A0  second line
""",  # noqa: W291 (the tabs at the ends of lines are empty columns)
    ".jsonl": r"""{"file": "./inbox/a.png", "page": 1, "field": "", "value": "007", """
    r""""confidence": 0.99, "status": "ok", "detail": ""}
{"file": "./inbox/b,\"c\".tif", "page": 2, "field": "member_id", "value": "00120", """
    r""""confidence": 0.5, "status": "review", "detail": "under the threshold; \"5\"?"}
{"file": "inbox/Größe 値.pdf", "page": 12, "field": "box_001", "value": "", """
    r""""confidence": null, "status": "blank", "detail": ""}
{"file": "s3://b/x\\x0a.png", "page": 1, "field": "", "value": "", """
    r""""confidence": null, "status": "error", "detail": "'=cmd|' /C calc'!A0  second line"}
""",
}
GOLDEN_EXCEL = {
    ".csv": """\
\ufefffile;page;field;value;confidence;status;detail
./inbox/a.png;1;;007;0.9900;ok;
"./inbox/b,""c"".tif";2;member_id;00120;0.5000;review;"under the threshold; ""5""?"
inbox/Größe 値.pdf;12;box_001;;;blank;
s3://b/x\\x0a.png;1;;;;error;'=cmd|' /C calc'!A0  second line
""",
    ".tsv": "\ufeff" + GOLDEN[".tsv"],
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda _: None)  # slow, and the subject of one test only
    return tmp_path


def put(out: str, rows: list[Row], **more: bool) -> bytes:
    with open_table_writer(out, **more) as write:
        write(rows)
    return Path(out).read_bytes()


def plain(rows: list[Row]) -> list[Row]:
    """What every format should give back: the details cleaned, the rest as it was."""
    last = dataclasses.replace(rows[3], detail="'=cmd|' /C calc'!A0  second line")
    return [*rows[:3], last]


def many(count: int) -> list[Row]:
    return [Row(f"in/{i:06}.png", 1, "", f"{i % 10}", 0.9, "ok", "") for i in range(count)]


CODE = """
import random, sys
from batchdigits.errors import OutputError
from batchdigits.records import DigitRow, Row
from batchdigits.outputs import open_table_writer

def some(count):
    for i in range(count):
        yield Row(f"in/{random.randbytes(40).hex()}", 1, "", "7", 0.9, "ok", "")
"""
HOUSE = {"PYTHONPATH": str(Path(outputs.__file__).parents[2]), "PYTHONUNBUFFERED": ""}


def start(code: str, **more: Any) -> subprocess.Popen[str]:
    """Run `code` in a Python of its own; give `env` as what it has more than this one."""
    env = os.environ | HOUSE | more.pop("env", {})
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
    return subprocess.Popen([sys.executable, "-c", CODE + code], env=env, encoding="utf-8", **pipes)


def python(code: str, **more: Any) -> tuple[int, str, str]:
    """As `start`, to its end; gives exit code, standard output and standard error."""
    with start(code, **more) as run:
        out, err = run.communicate(timeout=60)
    return run.returncode, out, err


# --- the formats ---


def test_the_columns_are_those_of_a_row() -> None:
    assert tuple(field.name for field in dataclasses.fields(Row)) == RESULT_COLUMNS


@pytest.mark.parametrize("ending", GOLDEN)
def test_text_formats_to_the_byte(ending: str) -> None:
    assert put(f"out{ending}", TRICKY).decode() == GOLDEN[ending]


@pytest.mark.parametrize("ending", GOLDEN_EXCEL)
def test_excel_dialect_to_the_byte(ending: str) -> None:
    assert put(f"out{ending}", TRICKY, excel=True).decode() == GOLDEN_EXCEL[ending]


def test_excel_dialect_keeps_the_decimal_point() -> None:
    put("out.csv", TRICKY, excel=True)
    read = pd.read_csv("out.csv", sep=";", decimal=".", encoding="utf-8-sig")
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
    wanted = [tuple(None if c == "" else c for c in dataclasses.astuple(r)) for r in plain(TRICKY)]
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
    monkeypatch.setattr(outputs, "_LINES_PER_WRITE", 3)
    monkeypatch.setattr(outputs.parquet, "ROW_GROUP_SIZE", 4)
    rows = many(11)
    first = {ending: put(f"a{ending}", rows) for ending in FORMATS}
    time.sleep(2.1)  # the clock of a zip counts in steps of two seconds
    for ending in FORMATS:
        with open_table_writer(f"b{ending}") as write:
            write(iter(rows[:1]))
            write([])
            write(row for row in rows[1:9])
            write(rows[9:])
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
        ("parts/", False, "not available in this version"),
        ("out.csv/", False, "not available in this version"),
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


# --- all or nothing ---


class AnyStop(BaseException):
    """Stands for an exception of any kind in the block."""


@pytest.mark.parametrize("stop", [ValueError, OSError, KeyboardInterrupt, AnyStop])
@pytest.mark.parametrize("ending", FORMATS)
def test_an_exception_leaves_the_old_table(ending: str, stop: type[BaseException]) -> None:
    old = put(f"out{ending}", TRICKY)
    with pytest.raises(stop), open_table_writer(f"out{ending}") as write:
        write(many(20))
        raise stop
    assert Path(f"out{ending}").read_bytes() == old
    assert os.listdir() == [f"out{ending}"]


def test_a_fault_of_whoever_makes_the_rows_stays_theirs() -> None:
    def rows() -> Iterator[Row]:
        yield TRICKY[0]
        raise FileNotFoundError("a picture")

    with pytest.raises(FileNotFoundError, match="a picture"), open_table_writer("out.csv") as write:
        write(rows())
    assert os.listdir() == []


@pytest.mark.parametrize("ending", FORMATS)
def test_the_old_table_stands_until_the_end(ending: str) -> None:
    old = put(f"out{ending}", TRICKY)
    with open_table_writer(f"out{ending}") as write:
        write(many(9))
        assert Path(f"out{ending}").read_bytes() == old
        others = set(os.listdir()) - {f"out{ending}"}
        assert others
        assert all(name.startswith(".") and name.endswith(".tmp") for name in others)
    assert Path(f"out{ending}").read_bytes() != old
    assert os.listdir() == [f"out{ending}"]


@pytest.mark.parametrize("ending", [".csv", ".xlsx"])
def test_a_hard_kill_leaves_the_old_table(ending: str) -> None:
    old = put(f"out{ending}", TRICKY)
    code = f"""
with open_table_writer("out{ending}") as write:
    write(some(20_000))
    print("half", flush=True)
    sys.stdin.read()
"""
    with start(code, stdin=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "half\n"
        run.kill()
        assert run.wait() == -signal.SIGKILL
    assert Path(f"out{ending}").read_bytes() == old
    others = set(os.listdir()) - {f"out{ending}"}
    assert all(name.startswith(".batchdigits-") and name.endswith(".tmp") for name in others)
    assert put(f"out{ending}", TRICKY) == old  # and the next run is not disturbed


@pytest.mark.parametrize("ending", FORMATS)
def test_a_full_disk_leaves_the_old_table(ending: str) -> None:
    old = put(f"out{ending}", TRICKY)
    code, out, err = python(f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    with open_table_writer("out{ending}") as write:
        write(some(2000))
except OutputError as fault:
    print(fault, end="")
""")
    assert (code, err) == (0, "")
    assert out.startswith(f"cannot write 'out{ending}': ")
    assert "File too large" in out
    assert "\n" not in out
    assert Path(f"out{ending}").read_bytes() == old
    assert os.listdir() == [f"out{ending}"]


@linux
def test_the_file_is_synced_before_it_takes_its_place_and_the_folder_after(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = put("out.csv", TRICKY)
    seen: list[tuple[str, bool]] = []

    def fsync(descriptor: int) -> None:
        seen.append((os.readlink(f"/proc/self/fd/{descriptor}"), path.read_bytes() == old))

    path = here / "out.csv"
    monkeypatch.setattr(os, "fsync", fsync)
    put("out.csv", many(2))
    assert [old_stands for _, old_stands in seen] == [True, False]
    assert [Path(name).parent for name, _ in seen] == [here, here.parent]


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("ending", FORMATS)
def test_a_fault_at_the_very_end_leaves_the_old_table(
    ending: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = put(f"out{ending}", TRICKY)

    def fail(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with (
            pytest.raises(OutputError, match="Permission denied"),
            open_table_writer(f"out{ending}") as write,
        ):
            write(many(5))
    assert Path(f"out{ending}").read_bytes() == old
    assert os.listdir() == [f"out{ending}"]


def test_a_fault_while_the_sheet_is_packed_leaves_the_old_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = put("out.xlsx", TRICKY)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "utime", fail)  # which XlsxWriter calls for each part of the file
        with pytest.raises(OutputError, match="No space left"):
            put("out.xlsx", many(5))
    assert Path("out.xlsx").read_bytes() == old
    assert os.listdir() == ["out.xlsx"]


def test_the_sheet_is_spooled_beside_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    # The folder for temporary files is often small, and the sheet may be large.
    monkeypatch.setattr(tempfile, "tempdir", "/missing")
    assert zipfile.is_zipfile(io.BytesIO(put("out.xlsx", TRICKY)))


def test_a_folder_that_vanishes_is_told(here: Path) -> None:
    Path("sub").mkdir()
    with (
        pytest.raises(OutputError, match="No such file"),
        open_table_writer("sub/out.csv") as write,
    ):
        write(many(5))
        for path in Path("sub").iterdir():
            path.unlink()
        Path("sub").rmdir()
    assert os.listdir() == []


@pytest.mark.parametrize("count", [5, 6])
def test_a_sheet_holds_so_many_rows(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    old = put("out.xlsx", TRICKY)
    monkeypatch.setattr(outputs.xlsx, "SHEET_ROWS", 6)  # the header and five
    if count == 5:
        put("out.xlsx", many(count))
        assert openpyxl.load_workbook("out.xlsx")["results"].max_row == 6
    else:
        with pytest.raises(OutputError, match=r"holds 5 rows, .*choose \.csv"):
            put("out.xlsx", many(count))
        assert Path("out.xlsx").read_bytes() == old
    assert os.listdir() == ["out.xlsx"]


def test_the_real_limit_of_a_sheet() -> None:
    assert outputs.xlsx.SHEET_ROWS == 2**20


# --- what stands at the place already ---


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o444])
@pytest.mark.parametrize("ending", FORMATS)
def test_an_old_table_keeps_its_mode(ending: str, mode: int) -> None:
    path = Path(f"out{ending}")
    path.touch()
    path.chmod(mode)
    with open_table_writer(str(path)) as write:
        write(TRICKY)
        # nor is what will be private ever open to others
        (hidden,) = (p for p in Path().glob(".batchdigits-*") if p.is_file())
        assert hidden.stat().st_mode & 0o7777 == 0o600
    assert path.stat().st_mode & 0o7777 == mode


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
@pytest.mark.parametrize("ending", FORMATS)
def test_a_new_table_has_the_usual_mode(ending: str, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        put(f"out{ending}", TRICKY)
    finally:
        os.umask(before)
    assert Path(f"out{ending}").stat().st_mode & 0o7777 == mode


@pytest.mark.parametrize("ending", FORMATS)
def test_a_link_is_followed_and_kept(ending: str) -> None:
    Path("real").mkdir()
    target = Path(f"real/table{ending}")
    target.write_text("old", encoding="utf-8")
    Path(f"out{ending}").symlink_to(target)
    content = put(f"out{ending}", TRICKY)
    assert Path(f"out{ending}").is_symlink()
    assert target.read_bytes() == content != b"old"
    assert sorted(os.listdir("real")) == [target.name]


def test_a_link_to_nothing_makes_what_it_names() -> None:
    Path("real").mkdir()
    Path("out.csv").symlink_to("real/new.csv")
    put("out.csv", TRICKY)
    assert Path("real/new.csv").read_text(encoding="utf-8") == GOLDEN_CSV


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize(
    "name", ["a b 値", "x" * 240, pytest.param("caf\udce9", marks=linux), "-out"]
)
def test_any_name_will_do(ending: str, name: str) -> None:
    assert put(f"{name}{ending}", TRICKY) == put(f"plain{ending}", TRICKY)


@linux
@pytest.mark.parametrize("ending", FORMATS)
def test_any_folder_will_do(ending: str) -> None:
    os.mkdir("caf\udce9 s3:")
    assert put(f"caf\udce9 s3:/out{ending}", TRICKY) == put(f"out{ending}", TRICKY)


# --- standard output ---


@pytest.mark.parametrize(("excel", "wanted"), [(False, GOLDEN_CSV), (True, GOLDEN_EXCEL[".csv"])])
def test_standard_output_is_csv(
    excel: bool, wanted: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    with open_table_writer("-", excel=excel) as write:
        write(TRICKY[:2])
        write(TRICKY[2:])
    assert capfdbinary.readouterr().out.decode() == wanted
    assert os.listdir() == []


WIDE = """
with open_table_writer("-") as write:
    write([Row("値", 1, "", "7", 0.9, "ok", "")])
"""


def test_standard_output_is_utf8_whatever_the_locale() -> None:
    code, out, _ = python(WIDE, env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert (code, out.splitlines()[1:]) == (0, ["値,1,,7,0.9000,ok,"])


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    code = """
try:
    with open_table_writer("-") as write:
        write(some(50_000))
except BrokenPipeError:
    sys.exit(0)
sys.exit(9)
"""
    with start(code) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        assert run.stdout.readline() == ",".join(RESULT_COLUMNS) + "\n"
        run.stdout.close()
        assert run.stderr.read() == ""
        assert run.wait(60) == 0


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_standard_output_cut_short_is_told(unbuffered: str) -> None:
    code = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    with open_table_writer("-") as write:
        write(some(1))
except OutputError as fault:
    sys.exit(5)
"""
    with Path("out").open("wb") as file:
        exit_code, _, err = python(code, stdout=file, env={"PYTHONUNBUFFERED": unbuffered})
    assert (exit_code, err) == (5, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's always full device")
@pytest.mark.parametrize("count", [1, 50_000], ids=["at the end", "midway"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_full_standard_output_is_told_and_the_exit_code_kept(count: int, unbuffered: str) -> None:
    code = f"""
try:
    with open_table_writer("-") as write:
        write(some({count}))
except OutputError as fault:
    print(fault, file=sys.stderr, end="")
    sys.exit(5)
"""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        exit_code, _, err = python(code, stdout=full, env={"PYTHONUNBUFFERED": unbuffered})
    assert "No space left on device" in err
    assert "\n" not in err
    assert exit_code == 5


# --- a row a page, a row a digit ---

FORM = [
    Row("in/a.tif", 1, "id", "007", 0.99, "ok", ""),
    Row("in/a.tif", 1, "year", "", None, "blank", "no ink"),
    Row("in/a.tif", 2, "id", "12", 0.5, "review", "under 0.9"),
    Row("in/a.tif", 2, "year", "1999", 0.97, "ok", ""),
    Row("in/b.tif", 1, "", "", None, "error", "=another form"),
    Row("in/c.tif", 1, "id", "", None, "blank", "no ink"),
    Row("in/c.tif", 1, "year", "", None, "blank", "no ink"),
]
BY_PAGE = """\
file,page,id,year,min_confidence,status,detail
in/a.tif,1,007,,0.9900,ok,
in/a.tif,2,12,1999,0.5000,review,id: under 0.9
in/b.tif,1,,,,error,'=another form
in/c.tif,1,,,,blank,id: no ink
"""


@pytest.mark.parametrize("cut", [1, 2, 7], ids=["page by page", "by files", "at once"])
def test_a_row_a_page_has_a_column_a_field_and_the_worst(
    tmp_path: Path, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        outputs, "_LINES_PER_WRITE", 2
    )  # pages are kept together whatever is put at once
    batches = {1: [FORM[:2], FORM[2:4], FORM[4:5], FORM[5:]], 2: [FORM[:4], FORM[4:]], 7: [FORM]}
    with open_table_writer(str(tmp_path / "o.csv"), make_page_layout(["id", "year"])) as write:
        for batch in batches[cut]:
            write(batch)
    assert (tmp_path / "o.csv").read_text() == BY_PAGE
    found = build_dataframe(FORM, make_page_layout(["id", "year"]))
    assert found["id"].tolist() == ["007", "12", "", ""]
    assert found["min_confidence"].isna().tolist() == [False, False, True, True]


def test_a_spreadsheet_has_a_sheet_for_fields_and_one_for_pages(tmp_path: Path) -> None:
    place = tmp_path / "o.xlsx"
    with open_table_writer(str(place), FIELDS_LAYOUT, make_page_layout(["id", "year"])) as write:
        write(FORM[:4])
        write(FORM[4:])
    book = openpyxl.load_workbook(place)
    assert book.sheetnames == ["fields", "pages"]
    assert [row[3] for row in book["fields"].iter_rows(values_only=True)][1:4] == [
        "007",
        None,
        "12",
    ]
    assert [row[:5] for row in book["pages"].iter_rows(values_only=True)] == [
        ("file", "page", "id", "year", "min_confidence"),
        ("in/a.tif", 1, "007", None, 0.99),
        ("in/a.tif", 2, "12", "1999", 0.5),
        ("in/b.tif", 1, None, None, None),
        ("in/c.tif", 1, None, None, None),
    ]
    assert book["pages"]["C2"].number_format == "@"  # what is typed there stays text, too


def test_other_formats_hold_the_first_table_alone(tmp_path: Path) -> None:
    for ending in (".csv", ".jsonl", ".parquet", ".tsv"):
        with open_table_writer(
            str(tmp_path / f"o{ending}"), FIELDS_LAYOUT, make_page_layout(["id"])
        ) as write:
            write(FORM)
    assert (tmp_path / "o.csv").read_text().splitlines()[0] == ",".join(RESULT_COLUMNS)
    assert pq.read_table(tmp_path / "o.parquet").num_rows == len(FORM)


def test_a_row_a_digit(tmp_path: Path) -> None:
    digit = DigitRow("in/a.tif", 1, "id", 2, "7", 0.99, "1", 0.005, 10, 20, 94, 118)
    with open_table_writer(str(tmp_path / "d.csv"), DIGITS_LAYOUT) as write:
        write([digit])
    assert (tmp_path / "d.csv").read_text() == (
        "file,page,field,position,digit,confidence,runner_up,runner_up_confidence,"
        "x,y,width,height\nin/a.tif,1,id,2,7,0.9900,1,0.0050,10,20,94,118\n"
    )
    found = build_dataframe([digit], DIGITS_LAYOUT)
    assert found.dtypes.astype(str).to_dict() == {
        "file": "str",
        "page": "int64",
        "field": "str",
        "position": "int64",
        "digit": "str",
        "confidence": "float64",
        "runner_up": "str",
        "runner_up_confidence": "float64",
        **dict.fromkeys(("x", "y", "width", "height"), "int64"),
    }
