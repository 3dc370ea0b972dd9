"""Corrections of forms: what they belong to, and what they say about the machine."""

import shutil
from pathlib import Path

import pytest
from cli_runs import Capture, run, table
from review_forms import (
    KEPT,
    SCANS,
    copy_scans,
    forms_fixture,  # noqa: F401
    read_forms,
    row,
    say,
)

from batchdigits.corrections import read_corrections

YEAR = "file,page,field,answer,value\ninbox/01-scan.png,1,birth_year,value,1971\n"


@pytest.mark.usefixtures("forms")
def test_a_correction_belongs_to_a_field_of_a_template(capsys: Capture) -> None:
    assert run("correct", "out.csv", say(YEAR)) == 0
    assert (row("birth_year")["value"], row("birth_year")["status"]) == ("1971", "verified")
    (kept,) = read_corrections(KEPT)
    assert (kept.template, kept.field) == ("membership", "birth_year")
    assert kept.place is not None
    read_forms("--fresh")
    assert row("birth_year")["value"] == "1971"
    read_forms("--wide", "--fresh")
    assert [one["birth_year"] == "1971" for one in table()] == [True, False]


@pytest.mark.usefixtures("forms")
def test_a_table_with_a_row_a_page_is_corrected() -> None:
    read_forms("--wide")
    before = Path("out.csv").read_text()
    assert run("correct", "out.csv", say(YEAR)) == 0
    merged = Path("out.csv").read_text()
    assert merged != before
    read_forms("--wide", "--fresh")
    assert Path("out.csv").read_text() == merged
    first = merged.splitlines()[1].split(",")
    edited = merged.replace(f",{first[2]},1971,", f",{first[2]},1972,")
    assert run("correct", "out.csv", say(edited, "edited.csv")) == 0
    assert table()[0]["birth_year"] == "1972"


@pytest.mark.usefixtures("forms")
def test_a_field_of_another_template_is_another_field() -> None:
    assert run("correct", "out.csv", say(YEAR)) == 0
    text = Path("form.toml").read_text().replace('name = "membership"', 'name = "other"')
    Path("other.toml").write_text(text)
    read_forms(template="other.toml")
    assert row("birth_year")["status"] != "verified"
    read_forms()
    assert row("birth_year")["status"] == "verified"


def test_without_a_template_a_correction_belongs_to_a_place_on_the_page(
    inbox: Path, fake_classifier: object
) -> None:
    copy_scans(SCANS[0])
    read_forms(template=None)
    found = [one for one in table() if one["value"]]
    said = say(f"file,field,answer,value\ninbox/01-scan.png,{found[1]['field']},value,4242\n")
    assert run("correct", "out.csv", said) == 0
    (kept,) = read_corrections(KEPT)
    assert (kept.template, len(kept.box.split())) == ("", 4)
    moved = Path(KEPT).read_text().replace(f",{found[1]['field']},", ",box_099,")
    Path(KEPT).write_text(moved)  # another version counts the boxes in another way
    read_forms("--fresh", template=None)
    assert row(found[1]["field"])["value"] == "4242"
    left, top, width, height = map(int, kept.box.split())
    Path(KEPT).write_text(moved.replace(kept.box, f"{left + 2 * width} {top} {width} {height}"))
    read_forms("--fresh", template=None)
    assert row(found[1]["field"])["status"] != "verified"


@pytest.mark.usefixtures("forms")
def test_a_value_that_breaks_its_rule_is_taken_and_named(capsys: Capture) -> None:
    assert run("correct", "out.csv", say(YEAR.replace("1971", "1871"))) == 0
    assert row("birth_year")["value"] == "1871"
    assert "birth_year: 1871 is under 1900: taken as said" in capsys.readouterr().err


@pytest.mark.usefixtures("forms")
def test_zeros_that_a_spreadsheet_lost_are_no_correction() -> None:
    """A spreadsheet writes 007 as 7 in every row, and not only where somebody typed."""
    assert (
        run("correct", "out.csv", say(YEAR.replace("birth_year", "visits").replace("1971", "07")))
        == 0
    )
    copy = Path("out.csv").read_text().replace(",visits,07,", ",visits,7,")
    assert run("correct", "out.csv", say(copy, "edited.csv")) == 0
    assert row("visits")["value"] == "07"
    assert len(read_corrections(KEPT)) == 1


@pytest.mark.usefixtures("forms")
def test_an_unreadable_page_may_be_typed_in(capsys: Capture) -> None:
    shutil.copy(Path(__file__).parent.parent / "samples/forms/11-another-form.png", "inbox/zz.png")
    form = ("--template", "form.toml", "--out", "out.csv", "--workers", "0", "-q")
    assert run("run", "inbox", *form) == 3
    assert row("visits", "inbox/zz.png")["status"] == "error"
    said = "file,field,answer,value\n" + "".join(
        f"inbox/zz.png,{name},value,12\n"
        for name in ("member_id", "birth_year", "card", "amount", "visits")
    )
    assert run("correct", "out.csv", say(said)) == 0
    assert row("visits", "inbox/zz.png")["value"] == "12"
    assert run("run", "inbox", *form) == 0


@pytest.mark.usefixtures("forms")
@pytest.mark.parametrize(
    ("confidence", "warned"), [("0.9999", True), ("0.5000", False)], ids=["sure", "unsure"]
)
def test_more_errors_than_confidences_promise_are_a_warning(
    confidence: str, warned: bool, capsys: Capture
) -> None:
    """Of audited values, one in 10,000 was to be wrong, or one in two; one of one is."""
    said = say(
        "file,field,answer,value,how,read_value,read_confidence,read_status\n"
        f"inbox/01-scan.png,visits,value,12,audit,13,{confidence},ok\n"
    )
    assert run("correct", "out.csv", said, "-q") == 0
    assert ("warning: of" in capsys.readouterr().err) is warned
