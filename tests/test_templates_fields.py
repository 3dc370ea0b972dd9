"""Labels, groups of boxes, dates and fillers: where boxes are, what is printed, what is refused."""

import datetime
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from templates_forms import (
    FIELD,
    FORM,
    drawn,
    edited,
    here_fixture,  # noqa: F401
)

from batchdigits import cli, templates
from batchdigits.errors import TemplateError
from batchdigits.postprocess import rules
from batchdigits.templates import Field, Template, paper

GROUPED = edited("cells = 8\ngap = 2", 'groups = [4, 2]\nseparator = ","\ndecimals = 2')
DATE = edited("cells = 8\ngap = 2", 'date = "DDMMYYYY"')


def field(**more: object) -> Field:
    return Field.model_validate({"name": "a", "box": [20, 40, 96, 12], **more})


def printed(*fields: dict[str, object], name: str = "a form") -> bytes:
    form = {"name": name, "size": [210, 297], "anchor": "page"}
    return paper.draw_blank_form(Template.model_validate({"form": form, "field": list(fields)}))


def text_of(pdf: bytes) -> str:
    document = pypdfium2.PdfDocument(pdf)
    try:
        return str(document[0].get_textpage().get_text_bounded())
    finally:
        document.close()


# --- where boxes are ---


@pytest.mark.parametrize(
    ("keys", "lefts", "wide"),
    [
        ({"groups": [2, 1], "box": [0, 0, 35, 9]}, [0, 10, 25], 10),  # half a box between
        ({"groups": [2, 1], "gap": 1, "box": [0, 0, 37, 9]}, [0, 11, 27], 10),  # and the gap
        ({"groups": [2, 1], "group_gap": 2, "box": [0, 0, 32, 9]}, [0, 10, 22], 10),
        ({"groups": [1, 1, 1], "group_gap": 0, "box": [0, 0, 30, 9]}, [0, 10, 20], 10),
        ({"groups": [3], "box": [0, 0, 30, 9]}, [0, 10, 20], 10),
        ({"cells": 3, "groups": [2, 1], "box": [0, 0, 35, 9]}, [0, 10, 25], 10),
        ({"date": "YYMMDD", "box": [0, 0, 60, 9]}, [0, 10, 20, 30, 40, 50], 10),
    ],
)
def test_groups_and_dates_say_where_their_boxes_are(
    keys: dict[str, object], lefts: list[float], wide: float
) -> None:
    boxes = field(**keys).boxes()
    assert [box[0] for box in boxes] == pytest.approx(lefts)
    assert {round(box[2], 9) for box in boxes} == {wide}


@given(
    groups=st.lists(st.integers(1, 8), min_size=1, max_size=6),
    gap=st.floats(0, 1),
    group_gap=st.none() | st.floats(1, 3),
    wide=st.floats(150, 400),
)
def test_boxes_fill_their_field_and_stand_in_groups(
    groups: list[int], gap: float, group_gap: float | None, wide: float
) -> None:
    made = field(groups=groups, gap=gap, group_gap=group_gap, box=[5.0, 7.0, wide, 9.0])
    boxes = np.array(made.boxes())
    assert len(boxes) == sum(groups) == made.cells
    assert boxes[0, 0] == pytest.approx(5)
    assert boxes[-1, 0] + boxes[-1, 2] == pytest.approx(5 + wide)
    assert np.ptp(boxes[:, 2]) < 1e-9
    between = boxes[1:, 0] - boxes[:-1, 0] - boxes[:-1, 2]
    ends = np.cumsum(groups)[:-1] - 1
    wider = gap + boxes[0, 2] / 2 if group_gap is None else group_gap
    assert between[ends] == pytest.approx(wider)
    assert np.delete(between, ends) == pytest.approx(gap)
    spaces = np.array(made.group_gaps()).reshape(-1, 4)
    assert spaces[:, 2] == pytest.approx(between[ends])


# --- what is refused ---

WRONG = {
    "a label of two lines": (FORM + FIELD + 'label = "a\\nb"', "label: expected one line of text"),
    "groups of no boxes": (
        edited("cells = 8", "groups = [4, 0]"),
        "groups: expected the boxes of each group, as [4, 2]",
    ),
    "groups that are a number": (
        edited("cells = 8", "groups = 4"),
        "groups: expected the boxes of each group, as [4, 2], got 4",
    ),
    "groups without any": (
        edited("cells = 8\ngap = 2", "groups = []"),
        "groups: expected the boxes of each group, as [4, 2]",
    ),
    "more boxes than cells says": (
        FORM + FIELD + "groups = [4, 2]",
        "groups have 6 boxes, cells says 8",
    ),
    "a separator between no groups": (
        FORM + FIELD + 'separator = ","',
        "separator is between groups: give groups, or leave separator out",
    ),
    "a gap between no groups": (FORM + FIELD + "group_gap = 3", "group_gap is between groups"),
    "groups closer than their boxes": (
        edited("cells = 8", "groups = [4, 4]\ngroup_gap = 1"),
        "group_gap 1 is under gap 2",
    ),
    "a separator of two": (
        edited('","', '"--"', GROUPED),
        "separator: expected one character, no letter and no digit, as ',' or '/', got '--'",
    ),
    "a separator that is a digit": (edited('","', '"1"', GROUPED), "separator: expected one"),
    "decimals across groups": (
        edited("decimals = 2", "decimals = 3", GROUPED),
        "3 decimals are not the last groups of [4, 2]",
    ),
    "groups wider than the field": (
        edited("96, 12]", "5, 12]", edited("decimals = 2", "gap = 2", GROUPED)),
        "6 boxes with 2 mm between them, and more between groups, need more than",
    ),
    "a date without a year": (
        edited("DDMMYYYY", "DDMM", DATE),
        "date: expected DD, MM and YYYY or YY in any order, as DDMMYYYY, got 'DDMM'",
    ),
    "a date with its separators": (edited("DDMMYYYY", "DD.MM.YY", DATE), "date: expected DD, MM"),
    "a date in pieces": (edited("DDMMYYYY", "DMDMYY", DATE), "date: expected DD, MM"),
    "a date in too few boxes": (DATE + "cells = 6", "date DDMMYYYY needs 8 boxes, got 6"),
    "a date in groups of more": (
        DATE + "groups = [2, 2, 2]",
        "date DDMMYYYY needs 8 boxes, got 6",
    ),
    "a date with decimals": (DATE + "decimals = 2", "a date has no decimals: leave decimals out"),
    "a date with a limit": (DATE + "max = 31122026", "a date has no max: leave max out"),
    "a slash as a filler, which looks like a 1": (
        FORM + FIELD + 'filler = "x/"',
        "filler: expected marks out of x - *, each once, as 'x-', got 'x/'",
    ),
    "a filler twice": (FORM + FIELD + 'filler = "xX"', "filler: expected marks out of x - *"),
    "no filler": (FORM + FIELD + 'filler = ""', "filler: expected marks out of x - *"),
    "a filler without boxes": (
        edited("cells = 8\ngap = 2", 'filler = "x"'),
        "filler is for boxes in a row: give cells, or leave filler out",
    ),
}


@pytest.mark.parametrize("why", WRONG)
def test_what_is_wrong_is_one_plain_line(why: str, capsys: pytest.CaptureFixture[str]) -> None:
    text, words = WRONG[why]
    Path("form.toml").write_text(text)
    with pytest.raises(TemplateError) as caught:
        templates.load_template("form.toml")
    assert words in str(caught.value)
    assert cli._run_command_line(["form", "check", "form.toml"]) == 6
    assert capsys.readouterr().err.count("\n") == 1


# --- what a date may be ---


@pytest.mark.parametrize(
    ("form", "digits", "day"),
    [
        ("DDMMYYYY", "31122026", True),
        ("DDMMYYYY", "12312026", False),
        ("MMDDYYYY", "12312026", True),
        ("YYYYMMDD", "20260229", False),  # no leap year
        ("YYYYMMDD", "20280229", True),
        ("YYYYMMDD", "19000229", False),
        ("YYMMDD", "000229", True),  # of 2000, not of 1900
        ("DDMMYY", "290223", False),
        ("DDMMYYYY", "00012026", False),
        ("DDMMYYYY", "01012", False),  # boxes are blank
        ("DDMMYYYY", "01010000", False),  # no such year
        ("DDYYYYMM", "31202604", False),  # April has 30
    ],
)
def test_a_date_is_a_day_that_exists(form: str, digits: str, day: bool) -> None:
    said = rules.describe_broken_rule(field(date=form), digits)
    assert said == ("" if day else f"is no day, written {form}")


@given(st.dates(datetime.date(1, 1, 1)), st.sampled_from(["%d%m%Y", "%Y%m%d", "%m%d%y"]))
def test_every_day_is_one(day: datetime.date, form: str) -> None:
    letters = form.replace("%d", "DD").replace("%m", "MM")
    letters = letters.replace("%Y", "YYYY").replace("%y", "YY")
    digits = day.strftime(form).rjust(len(letters), "0")
    if "%Y" in form:
        digits = form.replace("%d", f"{day.day:02}").replace("%m", f"{day.month:02}")
        digits = digits.replace("%Y", f"{day.year:04}")
    if (day.month, day.day) == (2, 29) and "%y" in form:
        return  # of a year of two digits the century is open
    assert rules.describe_broken_rule(field(date=letters), digits) == ""


@given(st.integers(0, 99_999_999))
@settings(max_examples=200)
def test_eight_digits_are_a_day_when_python_says_so(number: int) -> None:
    digits = f"{number:08}"
    try:
        datetime.date(int(digits[4:]), int(digits[2:4]), int(digits[:2]))
        wanted = True
    except ValueError:
        wanted = False
    assert (rules.describe_broken_rule(field(date="DDMMYYYY"), digits) == "") == wanted


# --- what is printed ---


def test_a_label_is_printed_in_place_of_the_name() -> None:
    pdf = printed({"name": "member_id", "label": "Member number", "box": [20, 40, 96, 12]})
    assert "Member number" in text_of(pdf)
    assert "member id" not in text_of(pdf)


def test_separators_are_printed_between_groups_and_nowhere_else() -> None:
    keys: dict[str, object] = {"name": "amount", "box": [20, 40, 70, 10], "groups": [4, 2]}
    plain, marked = (drawn(printed({**keys, **more}), 150) for more in ({}, {"separator": ","}))
    assert text_of(printed({**keys, "separator": ","})).count(",") == 2  # one is in the footer
    rows, columns = np.nonzero(plain != marked)
    x, y, wide, high = Field.model_validate(keys).group_gaps()[0]
    scale = 150 / 25.4
    assert len(rows)
    assert x * scale < columns.min()
    assert columns.max() < (x + wide) * scale
    assert (y + high / 2) * scale < rows.min()  # a comma stands low
    assert rows.max() < (y + high) * scale


def test_the_letters_of_a_date_are_light_and_in_their_boxes() -> None:
    keys: dict[str, object] = {"name": "born", "box": [20, 40, 80, 10], "cells": 8}
    plain = drawn(printed(keys), 150)
    hinted = drawn(printed({**keys, "date": "DDMMYYYY"}), 150)
    rows, columns = np.nonzero(plain != hinted)
    assert hinted[rows, columns].min() > 190
    boxes = np.array(field(**keys).boxes()) * 150 / 25.4
    for x, y, wide, high in boxes:
        inside = (columns > x) & (columns < x + wide) & (rows > y) & (rows < y + high)
        assert inside.any()
    assert "DDMMYYYY" in text_of(printed({**keys, "date": "DDMMYYYY"})).replace(" ", "")


def test_what_cannot_be_printed_as_it_is_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("form.toml").write_text(FORM + FIELD + 'label = "Betrag (€)"')
    assert cli._run_command_line(["form", "print", "form.toml", "--out", "a.pdf"]) == 0
    assert "'Betrag (€)' is printed as 'Betrag (?)'" in capsys.readouterr().err
    assert "Betrag (?)" in text_of(Path("a.pdf").read_bytes())
