"""Pages of forms: a row for each field, however the page was scanned."""

from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pypdfium2
import pytest
from conftest import FakeClassifier, FakeReader, Save, drawn, plan, resolve
from conftest import read as rows
from PIL import Image

from batchdigits import templates
from batchdigits.errors import TemplateError, UsageError
from batchdigits.extract import stream, tasks
from batchdigits.records import GreyImage, Row
from batchdigits.run import run_job
from batchdigits.templates import Template
from batchdigits.templates.paper import draw_blank_form

TEMPLATE = """\
[form]
name = "{name}"
size = [105, 148]
anchor = "markers"

[[field]]
name = "member"
box = [15, 30, 58, 10]
cells = 6
gap = 2

[[field]]
name = "year"
box = [15, 60, 38, 10]
cells = 4
gap = 2
optional = true
"""


@pytest.fixture
def form(inbox: Path) -> Template:
    Path("form.toml").write_text(TEMPLATE.format(name="small"))
    return templates.load_template("form.toml")


def page(template: Template, member: str = "123456", year: str = "", dpi: int = 200) -> GreyImage:
    """Print a form and fill it in."""
    with closing(pypdfium2.PdfDocument(draw_blank_form(template))) as document:
        bitmap = document[0].render(scale=dpi / 72, grayscale=True)
        sheet = np.array(bitmap.to_numpy()).reshape(bitmap.height, bitmap.width)
    for field, text in zip(template.fields, (member, year), strict=False):
        for (x, y, wide, high), digit in zip(field.boxes(), text, strict=False):
            left, top = round((x + 1.2) * dpi / 25.4), round((y + 2) * dpi / 25.4)
            side = round((min(wide, high) - 2.6) * dpi / 25.4)
            if digit != " ":
                part = sheet[top : top + side, left : left + side]
                np.minimum(part, drawn(int(digit), side=side), out=part)
    return np.asarray(sheet, np.uint8)


def read_forms(**options: object) -> list[Row]:
    return rows(**{"template": "form.toml", **options})


def test_a_page_of_a_form_has_a_row_a_field(
    form: Template, save: Save, fake_classifier: FakeClassifier
) -> None:
    save("a.png", page(form, "123456"))
    save("b.png", page(form, "12    ", "1999"))
    save("c.png", page(form, "12 456", "19"))
    found = read_forms(min_confidence=0)
    assert [(row.file, row.field) for row in found] == [
        (f"inbox/{name}.png", field) for name in "abc" for field in ("member", "year")
    ]
    assert [len(row.value) for row in found] == [6, 0, 2, 4, 5, 2]
    assert [row.status for row in found] == ["ok", "blank", "ok", "ok", "review", "ok"]
    assert found[4].detail == "box 3 is blank between digits"


def test_a_page_reads_the_same_upside_down_and_in_negative(
    form: Template, save: Save, fake_classifier: FakeClassifier
) -> None:
    sheet = page(form, "907   ")
    save("a.png", sheet)
    save("b.png", 255 - sheet)
    save("c.png", np.ascontiguousarray(np.rot90(sheet, 2)))
    first, second, third = (
        [row for row in read_forms(min_confidence=0) if row.file == f"inbox/{name}.png"]
        for name in "abc"
    )
    assert [row.value for row in first] == [row.value for row in second]
    assert [(row.status, len(row.value)) for row in first] == [
        (row.status, len(row.value)) for row in third
    ]


def test_a_photograph_on_a_dark_desk_is_no_negative(
    form: Template, save: Save, fake_classifier: FakeClassifier
) -> None:
    sheet = page(form, "907   ")
    desk = np.full((2 * sheet.shape[0], 2 * sheet.shape[1]), 40, np.uint8)
    desk[200 : 200 + len(sheet), 150 : 150 + sheet.shape[1]] = sheet
    save("a.png", desk)
    assert [row.status for row in read_forms(min_confidence=0)] == ["ok", "blank"]


def test_pages_that_are_not_the_form_are_told_apart(
    form: Template, inbox: Path, save: Save, fake_classifier: FakeClassifier
) -> None:
    words = np.full((1100, 800), 255, np.uint8)
    save("a.png", cv2.putText(words, "a letter", (90, 400), 0, 3, 0, 4))
    save("d.png", np.full((1100, 800), 255, np.uint8))
    (inbox / "b.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    (inbox / "c.pdf").write_bytes(b"%PDF-1.7 no more")
    found = read_forms()
    named = [(row.file[6:], row.field, row.status) for row in found]
    assert named == [
        ("a.png", "member", "error"),
        ("a.png", "year", "error"),
        ("b.png", "member", "error"),
        ("b.png", "year", "error"),
        ("c.pdf", "", "error"),  # how many pages it had is not known
        ("d.png", "", "review"),
    ]
    other = TEMPLATE.format(name="other").replace("60, 38", "80, 38")
    Path("other.toml").write_text(other)
    two = rows(template=["form.toml", "other.toml"])
    assert [(row.file[6:], row.field) for row in two] == [
        ("a.png", ""),
        ("b.png", ""),
        ("c.pdf", ""),
        ("d.png", ""),
    ]


def test_each_page_is_matched_to_its_form(
    form: Template, save: Save, fake_classifier: FakeClassifier
) -> None:
    other = TEMPLATE.format(name="other").replace("15, 60, 38, 10", "55, 90, 38, 10")
    Path("other.toml").write_text(other.replace('"year"', '"day"'))
    save("a.png", page(form))
    save("b.png", page(templates.load_template("other.toml")))
    found = rows(template=["form.toml", "other.toml"])
    assert [row.field for row in found] == ["member", "year", "member", "day"]
    assert {row.status for row in found} <= {"ok", "review", "blank"}


def test_a_field_that_is_covered_is_an_error_and_the_others_are_read(
    form: Template, save: Save, fake_classifier: FakeClassifier
) -> None:
    third = (
        '[[field]]\nname = "third"\nbox = [15, 90, 78, 10]\ncells = 8\ngap = 2\noptional = true\n'
    )
    Path("form.toml").write_text(TEMPLATE.format(name="small") + third)
    form = templates.load_template("form.toml")
    sheet = page(form, "123456", "1999")
    x, y, wide, high = (round(side * 200 / 25.4) for side in form.fields[1].box)
    sheet[y - 12 : y + high + 12, x - 12 : x + wide + 12] = 230
    save("a.png", sheet)
    member, year, third_ = read_forms(min_confidence=0)
    assert third_.status == "blank"
    assert (member.status, len(member.value)) == ("ok", 6)
    assert (year.status, year.value) == ("error", "")
    assert "not there" in year.detail


def test_a_number_written_freely_is_read_or_blank(
    form: Template, save: Save, fake_reader: FakeReader
) -> None:
    Path("form.toml").write_text(TEMPLATE.format(name="small").replace("cells = 4\ngap = 2\n", ""))
    form = templates.load_template("form.toml")
    save("a.png", page(form, "123456", "1"))
    save("b.png", page(form, "123456"))
    written, blank = (row for row in read_forms() if row.field == "year")
    assert (written.status, len(written.value)) == ("ok", 2)
    assert blank.status == "blank"


def test_a_dry_run_says_that_a_template_decides(form: Template, save: Save) -> None:
    save("a.png", np.full((28, 28), 255, np.uint8))
    (line,) = plan(template="form.toml")
    assert line == ("inbox/a.png", "form", 1, "PNG, 28 x 28 px; --template")


def test_a_coarse_page_is_for_review(
    form: Template, save: Save, fake_classifier: FakeClassifier
) -> None:
    save("a.png", page(form, dpi=72))
    found = read_forms(min_confidence=0)
    assert {row.status for row in found if row.value} == {"review"}
    assert "too few pixels" in found[0].detail
    assert "(72 dpi)" in found[0].detail


@pytest.mark.parametrize("workers", [0, 2])
def test_a_page_that_is_too_much_takes_no_other_along(
    form: Template,
    inbox: Path,
    fake_classifier: FakeClassifier,
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
) -> None:
    monkeypatch.setattr(stream, "WORKER_MEMORY_MIB", 96)
    monkeypatch.setattr(tasks, "MULTIPAGE_BYTES_BY_SUFFIX", {".tif": 0})
    sheets = [Image.fromarray(page(form)) for _ in range(6)]
    sheets[2] = Image.fromarray(np.full((12_000, 9_000), 255, np.uint8))  # 103 MiB
    sheets[0].save(
        inbox / "a.tif",
        save_all=True,
        append_images=sheets[1:],
        compression="group4" if sheets[0].mode == "1" else "tiff_deflate",
    )
    found = read_forms(workers=workers)
    assert [(row.page, row.field) for row in found] == [
        (number, field) for number in range(1, 7) for field in ("member", "year")
    ]
    assert {row.page for row in found if row.status == "error"} == {3}


def test_digits_are_told_with_their_places(
    form: Template, save: Save, fake_classifier: FakeClassifier, tmp_path: Path
) -> None:
    save("a.png", page(form, "123456", "19"))
    run_job(resolve(template="form.toml", out="o.csv", digits_out="d.csv"))
    table = pd.read_csv("d.csv", dtype={"digit": "str"})
    assert table["field"].tolist() == ["member"] * 6 + ["year"] * 2
    assert table["position"].tolist() == [1, 2, 3, 4, 5, 6, 1, 2]
    per_mm = 200 / 25.4
    for at, (field, position) in enumerate([(form.fields[0], n) for n in range(6)]):
        box = np.array(field.boxes()[position]) * per_mm
        place = table.loc[at, ["x", "y", "width", "height"]].to_numpy(float)
        assert place == pytest.approx(box, abs=2)
    values = pd.read_csv("o.csv", dtype="str").set_index("field")["value"]
    assert "".join(table["digit"][:6]) == values["member"]


def test_the_log_and_the_summary_say_how_far_lines_are_off(
    form: Template,
    save: Save,
    fake_classifier: FakeClassifier,
    caplog: pytest.LogCaptureFixture,
) -> None:
    save("a.png", page(form))
    with caplog.at_level("INFO", "batchdigits"):
        found = run_job(resolve(template="form.toml", out="o.csv"))
    assert len(found.residuals) == 1
    assert found.residuals[0] < 0.2
    assert "inbox/a.png, page 1: form small, residual 0." in caplog.text


def test_the_same_name_for_both_tables_is_refused(inbox: Path) -> None:
    with pytest.raises(UsageError, match="both"):
        resolve(out="o.csv", digits_out="inbox/../o.csv")


@pytest.mark.parametrize(("out", "wide"), [("o.csv", True), ("o.xlsx", False), ("o.xlsx", True)])
def test_a_field_named_as_a_column_of_the_wide_table_is_refused(
    form: Template, out: str, wide: bool
) -> None:
    Path("form.toml").write_text(TEMPLATE.format(name="small").replace('"year"', '"page"'))
    with pytest.raises(TemplateError, match="a column 'page' of its own"):
        resolve(out=out, template="form.toml", wide=wide)
    resolve(out="o.csv", template="form.toml")
    resolve(out=out)  # without a template there is no field


def test_a_row_a_page(form: Template, save: Save, fake_classifier: FakeClassifier) -> None:
    save("a.png", page(form, "123456", "19"))
    run_job(resolve(template="form.toml", wide=True, out="o.csv"))
    table = pd.read_csv("o.csv", dtype="str", keep_default_na=False)
    assert list(table) == ["file", "page", "member", "year", "min_confidence", "status", "detail"]
    assert len(table.loc[0, "member"]) == 6
