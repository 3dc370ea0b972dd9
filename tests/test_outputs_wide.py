"""Tables with a row for each page, and with a row for each digit."""

from pathlib import Path

import openpyxl  # type: ignore[import-untyped]
import pyarrow.parquet as pq
import pytest
from outputs_tables import here_fixture  # noqa: F401

from batchdigits import outputs
from batchdigits.outputs import (
    DIGITS_LAYOUT,
    FIELDS_LAYOUT,
    RESULT_COLUMNS,
    build_dataframe,
    make_page_layout,
    open_table_writer,
)
from batchdigits.records import DigitRow, Row

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
