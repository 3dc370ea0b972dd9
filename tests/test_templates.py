"""Forms: templates and what is wrong with them, rules of fields, print, draft, the commands."""

import itertools
import os
import re
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pypdfium2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from batchdigits import cli, templates
from batchdigits.errors import TemplateError
from batchdigits.postprocess import rules
from batchdigits.templates import Field, Template, draft, overlay, paper, patterns

Grey = NDArray[np.uint8]
Capture = pytest.CaptureFixture[str]

FORM = """[form]
name = "membership"
size = [210, 297]
anchor = "markers"
"""
FIELD = """
[[field]]
name = "member_id"
box = [20, 40, 96, 12]
cells = 8
gap = 2
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def field(**more: object) -> Field:
    return Field.model_validate({"name": "a", "box": [20, 40, 96, 12], **more})


# Templates


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    at=st.lists(st.integers(0, len(FORM + FIELD) - 1), max_size=4),
    put=st.one_of(
        st.binary(max_size=6), st.sampled_from([b"[", b"inf", b"nan", b"1e999", b"-0", b"9" * 5000])
    ),
    lost=st.integers(0, 6),
)
def test_damage_makes_another_template_or_a_line(at: list[int], put: bytes, lost: int) -> None:
    """Whatever bytes change: what is taken says where its boxes are, in numbers."""
    data = bytearray((FORM + FIELD).encode())
    for place in at:
        data[place : place + lost] = put
    Path("form.toml").write_bytes(data)
    try:
        made = templates.load_template("form.toml")
    except TemplateError as fault:
        assert "\n" not in str(fault)
    else:
        assert all(np.isfinite(box).all() for field in made.fields for box in field.boxes())


def test_a_template_says_where_each_box_is() -> None:
    Path("form.toml").write_text(FORM + FIELD)
    made = templates.load_template("form.toml")
    assert made.form.name == "membership"
    assert made.place == "form.toml"
    assert [one.box for one in made.form.effective_markers] == [
        (8, 8, 8, 8), (194, 8, 8, 8), (194, 281, 8, 8), (8, 281, 8, 8)
    ]  # fmt: skip
    boxes = made.fields[0].boxes()
    assert len(boxes) == 8
    assert boxes[0] == (20, 40, 10.25, 12)
    assert boxes[-1][0] + boxes[-1][2] == pytest.approx(116)
    assert field().boxes() == [(20, 40, 96, 12)]


def edited(old: str, new: str, text: str = FORM + FIELD) -> str:
    assert old in text
    return text.replace(old, new)


WRONG = {
    "two fields of one name": (FORM + FIELD + FIELD, "two fields are named 'member_id'"),
    "boxes on each other": (
        FORM + FIELD + '[[field]]\nname = "b"\nbox = [100, 45, 30, 5]',
        "field 'b' overlaps field 'member_id'",
    ),
    "a box on a corner marker": (
        edited("[20, 40, 96, 12]", "[12, 12, 96, 12]"),
        "field 'member_id' overlaps marker 0",
    ),
    "off the page": (
        edited("[20, 40, 96, 12]", "[120, 40, 96, 12]"),
        "field 'member_id' goes 6 mm over the right edge of a page of 210 x 297 mm",
    ),
    "off the page at the top": (edited("[20, 40,", "[20, -3,"), "3 mm over the top edge"),
    "a key with a slip": (
        edited("cells", "cels"),
        "field 'member_id': unknown key 'cels'; did you mean 'cells'?",
    ),
    "a key like none": (
        edited("anchor", "zzz"),
        "[form]: unknown key 'zzz'; expected one of name, size, anchor, reference",
    ),
    "a table of another name": (edited("[[field]]", "[[fields]]"), "did you mean 'field'?"),
    "our own attribute": ('place = "x"\n' + FORM + FIELD, "unknown key 'place'"),
    "a field within the form": (
        FORM + "field = 3",
        "[form]: unknown key 'field'; expected one of name, size",
    ),
    "no fields": (FORM, "expected a [[field]], which is missing"),
    "no form": (FIELD, "expected [form], which is missing"),
    "no name": (edited('name = "member_id"\n', ""), "field 1: expected name, which is missing"),
    "a name that is no column": (
        edited('"member_id"', '"Member ID"'),
        "field 'Member ID': name: expected lower case letters, digits and _, a letter first, "
        "got 'Member ID'",
    ),
    "a box of three numbers": (
        edited("[20, 40, 96, 12]", "[20, 40, 96]"),
        "field 'member_id': box: expected [x, y, width, height], four numbers in millimetres",
    ),
    "a box of words": (
        edited("[20, 40, 96, 12]", '"20 40"'),
        "numbers in millimetres, got '20 40'",
    ),
    "a box without area": (edited("96, 12]", "0, 12]"), "a width and a height over 0, got 0 x 12"),
    "numbers as text": (
        edited("cells = 8", 'cells = "8"'),
        "cells: expected a whole number, got '8'",
    ),
    "truth for a number": (edited("cells = 8", "cells = true"), "a whole number, got True"),
    "a field that is no table": (
        "field = [3]\n" + FORM,
        "field 1: expected a table of keys, got 3",
    ),
    "no number": (edited("gap = 2", "gap = nan"), "gap: expected a number, got nan"),
    "half a page's size": (
        edited("[210, 297]", "[210]"),
        "[form]: size: expected [width, height], two numbers in millimetres",
    ),
    "a size in metres": (edited("[210, 297]", "[0.21, 0.297]"), "sides of 20 to 2000 mm, got 0.21"),
    "boxes too small to write in": (
        edited("96, 12]", "21, 12]"),
        "expected boxes of 1 mm or more, got 0.88 x 12.00",
    ),
    "a list of forms, and a slip": (
        edited("[form]", "[[form]]", edited("cells", "cels")),
        "unknown key 'cels'; did you mean 'cells'?",
    ),
    "a list of forms": (
        edited("[form]", "[[form]]"),
        "[form]: expected one table of keys: write [form], once",
    ),
    "one field in single brackets": (
        edited("[[field]]", "[field]"),
        "[field]: expected a list of tables: write [[field]] before each",
    ),
    "a number of 5,000 digits": ("x = " + "9" * 5000, "is no TOML: Exceeds the limit"),
    "a name of two lines": (edited('"membership"', '"a\\nb"'), "name: expected one line of text"),
    "an unknown anchor": (edited('"markers"', '"stars"'), "anchor: input should be 'markers'"),
    "an image without a reference": (
        edited('"markers"', '"image"'),
        'anchor = "image" needs a reference: the picture of a blank form',
    ),
    "two markers": (
        FORM + "[[form.markers]]\nid = 1\nbox = [1, 1, 9, 9]\n" * 2 + FIELD,
        "[form]: two markers have the id 1",
    ),
    "too few markers": (
        FORM + "[[form.markers]]\nid = 1\nbox = [1, 1, 9, 9]\n" + FIELD,
        "[form]: expected three markers or more, got 1",
    ),
    "a marker's slip": (
        FORM + "[[form.markers]]\nid = 7\nbx = [1, 1, 9, 9]\n" + FIELD,
        "[form]: markers '7': unknown key 'bx'; did you mean 'box'?",
    ),
    "gaps wider than the field": (edited("gap = 2", "gap = 14"), "8 boxes with 14 mm between them"),
    "a gap without boxes": (edited("cells = 8\n", ""), "gap is for boxes in a row: give cells"),
    "decimals in every box": (FORM + FIELD + "decimals = 8", "8 decimals leave none of 8 boxes"),
    "min over max": (FORM + FIELD + "min = 3\nmax = 2", "min 3 is over max 2"),
    "min too long": (FORM + FIELD + "min = 1e8", "min 1e+08 is over 1e+08, the most that fits"),
    "max under nought": (FORM + FIELD + "max = -1", "max -1 is under 0, the least"),
    "an unknown check": (FORM + FIELD + 'check = "crc"', "check: input should be 'luhn'"),
    "a broken pattern": (
        FORM + FIELD + 'pattern = "[0-9"',
        "field 'member_id': pattern: expected a regular expression: unterminated character set",
    ),
    "a pattern of more digits": (
        FORM + FIELD + 'pattern = "[0-9]{9}"',
        "pattern: no value of up to 8 digits matches '[0-9]{9}'",
    ),
    "a pattern of letters": (FORM + FIELD + 'pattern = "[a-z]{8}"', "no value of up to 8 digits"),
    "no TOML": ("[form]\nname = \n", "is no TOML: Invalid value (at line 2"),
}


@pytest.mark.parametrize("why", WRONG)
def test_what_is_wrong_with_a_template_is_one_plain_line(why: str) -> None:
    text, words = WRONG[why]
    Path("form.toml").write_text(text)
    with pytest.raises(TemplateError) as caught:
        templates.load_template("form.toml")
    said = str(caught.value)
    assert said.startswith("template 'form.toml'")
    assert words in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("gone.toml", "No such file"),
        ("folder", "Is a directory"),
        ("binary.toml", "expected text in UTF-8"),
        ("nul\0.toml", "zero byte"),
    ],
)
def test_what_is_no_file_of_text(path: str, words: str) -> None:
    Path("folder").mkdir()
    Path("binary.toml").write_bytes(b"\xff\xfe[\0")
    with pytest.raises(TemplateError, match=words):
        templates.load_template(path)


def test_a_byte_order_mark_is_no_fault() -> None:
    Path("form.toml").write_bytes(b"\xef\xbb\xbf" + (FORM + FIELD).encode())
    assert templates.load_template("form.toml").fields[0].cells == 8


# Several templates


def test_templates_of_a_folder_are_read_by_name_and_nothing_else_is() -> None:
    Path("all").mkdir()
    for name in ("b", "a", ".hidden"):
        Path(f"all/{name}.toml").write_text(edited("membership", name))
    Path("all/a.png").write_bytes(b"no template")
    Path("c.toml").write_text(edited("membership", "c"))
    found = templates.load_templates(["c.toml", "all", "all/a.toml"])
    assert [one.form.name for one in found] == ["c", "a", "b"]
    assert templates.load_templates([]) == []


def test_two_templates_of_one_form_are_told() -> None:
    for name in ("a.toml", "b.toml"):
        Path(name).write_text(FORM + FIELD)
    with pytest.raises(TemplateError, match=r"'a.toml' and 'b.toml' are both named 'membership'"):
        templates.load_templates(["a.toml", "b.toml"])
    Path("empty").mkdir()
    with pytest.raises(TemplateError, match=r"expected \*.toml in it, found none"):
        templates.load_templates(["empty"])


# Patterns


@pytest.mark.parametrize(
    ("pattern", "cells", "why"),
    [
        ("(a+)+$", None, "letters"),
        ("", None, "nothing at all"),
        ("1{1000000}", 5, "longer than its boxes"),
        (r"\d{6,7}", 5, "longer than the boxes allow"),
        ("1$2", None, "more behind the end"),
        ("(1+)+2" + "3{9}" * 9, 64, "backtracking would take for ever"),
        ("(" * 30 + "1" + ")+" * 30 + "x", 64, "so it would here"),
        ("(?=1)1", 1, "look-around"),
        (r"(1)\1", 2, "a back-reference"),
        ("1|2{5}(?:(?=3)3)?", 8, "look-around that only longer values come to"),
        ("(?>1)", 1, "an atomic group"),
        ("1|(?:(?=3)3){0}", 8, "look-around that no value comes to"),
        ("1++", 2, "a possessive repetition"),
        ("(?x)1 2", 2, "a flag that changes the syntax"),
        ("1" * 201, None, "too long"),
    ],
)
def test_impossible_patterns_are_refused(pattern: str, cells: int | None, why: str) -> None:
    with pytest.raises(ValueError, match=r"match|expected"):
        patterns.check_pattern(pattern, cells)


@pytest.mark.parametrize(
    "pattern",
    ["[0-9]{8}", "^12|[^3-9]+$", r"(?:1|22)*\d?", "1?2??3*", "(0|[1-9]{2}){1,3}", "(1|)+.",
     r"\w\D?", r"[\d]{2,}", "(?P<a>1)2|3", "(^1|2$)+", r"[]1-]\x32?|(?#3)\062{,2}?1",
     r"(?i)\A(?s-i:[^\]2]1{0})+\Z", "0{}|{1|1{,}"],
)  # fmt: skip
@given(digits=st.text("0123", min_size=0, max_size=9))
@settings(max_examples=60)
def test_patterns_match_as_pythons_do(pattern: str, digits: str) -> None:
    assert patterns.is_match(pattern, digits) == bool(re.fullmatch(pattern, digits))


@pytest.mark.parametrize("pattern", ["[0-9]{3}", "1[^4]|2{2,3}", "(12|3)*", "5|0*$", r"\D|77\d"])
@pytest.mark.parametrize("cells", [1, 2, 3])
def test_a_pattern_is_possible_when_some_value_matches(pattern: str, cells: int) -> None:
    values = ("".join(one) for one in itertools.product("0123456789", repeat=cells))
    try:
        patterns.check_pattern(pattern, cells)
    except ValueError:
        assert not any(re.fullmatch(pattern, one) for one in values)
    else:
        assert any(re.fullmatch(pattern, one) for one in values)


# Rules


@pytest.mark.parametrize(
    ("rule", "right", "wrong", "words", "source"),
    [
        ({"check": "luhn"}, "79927398713", "79927398710", "check digit (luhn)", "ISO/IEC 7812-1"),
        ({"check": "luhn"}, "4111111111111111", "4111111111111112", "luhn", "a test card's number"),
        ({"check": "mod11"}, "0306406152", "0306406151", "mod11", "an ISBN-10"),
        ({"check": "mod97"}, "79444", "79443", "mod97", "794 and 98 - 79400 % 97"),
        ({"pattern": "1[0-9]+"}, "123", "213", "does not match 1[0-9]+", "a pattern"),
        ({"min": 10}, "010", "009", "is under 10", "leading zeros count for nothing"),
        ({"max": 12.5, "decimals": 1}, "125", "126", "is over 12.5", "amounts have decimals"),
        ({"min": 0.29, "decimals": 2}, "029", "028", "is under 0.29", "0.29 is no binary fraction"),
    ],
)
def test_rules(rule: dict[str, object], right: str, wrong: str, words: str, source: str) -> None:
    assert rules.describe_broken_rule(field(**rule), right) == ""
    assert words in rules.describe_broken_rule(field(**rule), wrong)


@given(st.text("0123456789", min_size=2, max_size=12), st.sampled_from(["luhn", "mod11", "mod97"]))
def test_one_wrong_digit_never_passes_a_check(digits: str, check: str) -> None:
    rule = field(check=check)
    if rules.describe_broken_rule(rule, digits):
        return
    for place, other in itertools.product(range(len(digits)), "0123456789"):
        if other != digits[place]:
            changed = digits[:place] + other + digits[place + 1 :]
            assert rules.describe_broken_rule(rule, changed), changed


def probabilities(least: int, most: int) -> st.SearchStrategy[NDArray[np.float64]]:
    row = st.lists(st.integers(0, 1000), min_size=11, max_size=11).filter(lambda one: sum(one[:10]))
    return st.lists(row, min_size=least, max_size=most).map(
        lambda rows: (np.array(rows) / np.sum(rows, axis=1, keepdims=True))[:, :10]
    )


def every(cells: NDArray[np.float64]) -> dict[str, float]:
    return {
        "".join(map(str, one)): float(np.prod([cells[n, digit] for n, digit in enumerate(one)]))
        for one in itertools.product(range(10), repeat=len(cells))
    }


@given(probabilities(1, 3))
@settings(max_examples=40, deadline=None)
def test_values_come_from_the_likeliest_down_each_once(cells: NDArray[np.float64]) -> None:
    found = list(rules.iterate_likeliest_values(cells))
    wanted = {value: share for value, share in every(cells).items() if share > 0}
    assert {value for value, _ in found} == wanted.keys()
    assert len(found) == len(wanted)
    shares = [share for _, share in found]
    assert shares == sorted(shares, reverse=True)
    assert shares == pytest.approx([wanted[value] for value, _ in found])


@given(
    probabilities(3, 3),
    st.sampled_from(
        [{"check": "luhn"}, {"check": "mod11"}, {"check": "mod97"}, {"pattern": "[0-4]{2}."},
         {"min": 500}, {"max": 99, "check": "luhn"}, {}]
    ),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_the_likeliest_is_that_of_all_values(
    cells: NDArray[np.float64], rule: dict[str, object]
) -> None:
    kept = {
        v: share
        for v, share in every(cells).items()
        if not rules.describe_broken_rule(field(**rule), v)
    }
    found = rules.find_likeliest_value(field(**rule), cells)
    best = max(kept.values(), default=0)
    if found is None:
        assert best == 0
        return
    whole, allowed = float(cells.sum(axis=1).prod()), sum(kept.values())
    assert kept[found.digits] == pytest.approx(best)
    total = allowed + rules.RULE_BREAK_RATE * (whole - allowed) + 1 - whole
    assert found.confidence == pytest.approx(best / total, rel=1e-3)


# Print and draft


def drawn(pdf: bytes, dpi: int) -> Grey:
    """Draw a PDF's only page as a scanner would see it."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        assert len(document) == 1
        picture = document[0].render(scale=dpi / 72, grayscale=True).to_numpy()
        return np.ascontiguousarray(picture.reshape(picture.shape[:2]))
    finally:
        document.close()


def several(size: tuple[float, float] = (210, 297), **form: object) -> Template:
    wide = size[0]
    listed = [
        {"name": "apart", "box": [20, 40, 96, 12], "cells": 8, "gap": 2},
        {"name": "comb", "box": [20, 65, 60, 8], "cells": 10},
        {"name": "free", "box": [20, 90, wide - 60, 10]},
        {"name": "day", "box": [20, 110, 13, 8], "cells": 2, "gap": 1},
        {"name": "month", "box": [40, 110, 13, 8], "cells": 2, "gap": 1},
        {"name": "year", "box": [60, 110, 27, 8], "cells": 4, "gap": 1},
        {"name": "tick", "box": [100, 112, 5, 5], "cells": 1},
        {"name": "below", "box": [20, 125, 60, 8], "cells": 10},
    ]
    whole = {"name": "membership", "size": size, "anchor": "markers", **form}
    return Template.model_validate({"form": whole, "field": listed})


def agree(made: Template, found: draft.Draft, within: float = 0.3) -> None:
    assert [one.cells for one in found.fields] == [one.cells for one in made.fields]
    for wanted, got in zip(made.fields, found.fields, strict=True):
        again = Field(name="a", box=got.box, cells=got.cells, gap=got.gap)
        assert np.abs(np.array(again.boxes()) - wanted.boxes()).max() < within, wanted.name


def jpeg(grey: Grey) -> Grey:
    coded = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 40])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)


def turned(grey: Grey, degrees: float) -> Grey:
    high, wide = grey.shape
    matrix = cv2.getRotationMatrix2D((wide / 2, high / 2), degrees, 1)
    return np.asarray(cv2.warpAffine(grey, matrix, (wide, high), borderValue=255), np.uint8)


def faint(grey: Grey) -> Grey:
    """Print in a colour that a scanner takes for light grey."""
    return np.asarray(255 - (255 - grey.astype(np.int64)) // 4, np.uint8)


def one_bit(grey: Grey) -> Grey:
    noise = np.random.default_rng(1).normal(0, 25, grey.shape)
    return np.where(grey + noise > 128, 255, 0).astype(np.uint8)


@pytest.mark.parametrize(
    ("dpi", "scan"),
    [(300, None), (150, None), (600, None), (200, jpeg), (150, faint), (300, one_bit)],
)
def test_print_then_draft_gives_the_boxes_back(dpi: int, scan: object) -> None:
    made = several()
    grey = drawn(paper.draw_blank_form(made), dpi)
    found = draft.draft_template(scan(grey) if callable(scan) else grey, (210, 297))
    agree(made, found)
    assert found.turned == 0
    assert found.dictionary == "4x4"
    assert [one.id for one in found.markers] == [0, 1, 2, 3]
    boxes = np.array([one.box for one in found.markers])
    assert np.abs(boxes - [one.box for one in made.form.effective_markers]).max() < 0.3


@pytest.mark.parametrize("degrees", [-3.0, 0.7, 8.0])
def test_a_skewed_blank_is_laid_straight_first(degrees: float) -> None:
    made = several()
    grey = turned(drawn(paper.draw_blank_form(made), 200), degrees)
    found = draft.draft_template(grey, (210, 297))
    assert found.turned == pytest.approx(-degrees, abs=0.05)
    agree(made, found)


@pytest.mark.parametrize(("size", "dictionary"), [((215.9, 279.4), "6x6"), ((148, 210), "5x5")])
def test_other_paper_and_other_markers(size: tuple[float, float], dictionary: str) -> None:
    made = several(size, dictionary=dictionary)
    pdf = paper.draw_blank_form(made)
    document = pypdfium2.PdfDocument(pdf)
    assert document[0].get_size() == pytest.approx([side / 25.4 * 72 for side in size], abs=0.01)
    document.close()
    found = draft.draft_template(drawn(pdf, 150), size)
    agree(made, found)
    assert found.dictionary == dictionary


def test_a_form_without_markers_has_none() -> None:
    found = draft.draft_template(
        drawn(paper.draw_blank_form(several(anchor="page")), 150), (210, 297)
    )
    assert found.markers == []
    agree(several(anchor="page"), found)


def canvas() -> Grey:
    return np.full((1000, 1000), 255, np.uint8)  # 100 x 100 mm


def fields_of(grey: Grey) -> list[draft.DraftField]:
    return draft.find_fields(grey, (100, 100))


def dashed() -> Grey:
    grey = canvas()
    cv2.rectangle(grey, (200, 200), (400, 280), 0, 3)
    grey[:, 208::16] = grey[:, 209::16] = grey[:, 210::16] = 255
    grey[210:270:16] = 255
    return grey


def bottom_lost() -> Grey:
    grey = canvas()
    for ends in (((200, 200), (400, 200)), ((200, 200), (200, 280)), ((400, 200), (400, 280))):
        cv2.line(grey, *ends, 0, 3)
    return grey


def print_on_it() -> Grey:
    grey = canvas()
    cv2.rectangle(grey, (200, 200), (400, 280), 0, 3)
    cv2.putText(grey, "EUR", (330, 212), cv2.FONT_HERSHEY_SIMPLEX, 0.9, 0, 2)  # over its top
    cv2.fillPoly(grey, [np.array([[200, 281], [400, 281], [300, 350]])], 0)  # an arrow below
    return grey


@pytest.mark.parametrize("make", [dashed, bottom_lost, print_on_it])
def test_lines_need_not_be_whole(make: object) -> None:
    assert callable(make)
    (found,) = fields_of(make())
    assert found.cells is None
    assert np.abs(np.array(found.box) - (20, 20, 20, 8)).max() < 0.3


def frame() -> Grey:
    grey = canvas()
    cv2.rectangle(grey, (100, 100), (900, 400), 0, 3)
    cv2.rectangle(grey, (200, 200), (400, 280), 0, 3)
    return grey


def words() -> Grey:
    grey = canvas()
    for n in range(8):
        cv2.putText(grey, "Hll 00 OBD 88", (50, 100 + 60 * n), 0, 1.5, 0, 3)
    return grey


def corners() -> Grey:
    grey = canvas()
    for x, y, across, down in ((100, 100, 1, 1), (900, 100, -1, 1), (900, 300, -1, -1)):
        cv2.line(grey, (x, y), (x + 60 * across, y), 0, 4)
        cv2.line(grey, (x, y), (x, y + 60 * down), 0, 4)
    return grey


@pytest.mark.parametrize(
    ("make", "count", "why"),
    [
        (canvas, 0, "an empty page"),
        (words, 0, "letters are no boxes"),
        (corners, 0, "nor are corner brackets"),
        (frame, 1, "a frame round a section is no field, the box in it is"),
    ],
)
def test_what_is_no_box(make: object, count: int, why: str) -> None:
    assert callable(make)
    assert len(fields_of(make())) == count


def test_groups_of_boxes_are_parted_where_they_stand_apart() -> None:
    grey = canvas()
    for left in (100, 170, 270, 340, 410):  # two, a wider gap, three
        cv2.rectangle(grey, (left, 200), (left + 60, 280), 0, 3)
    assert [(one.cells, one.gap) for one in fields_of(grey)] == [(2, 1.0), (3, 1.0)]


@given(st.text(min_size=1, max_size=30).filter(lambda name: name.isprintable() and name.strip()))
@settings(max_examples=50, deadline=None)
def test_a_draft_is_a_template_whatever_the_name(name: str) -> None:
    found = draft.Draft(
        (210, 297), [draft.DraftField((20, 40, 50, 10), 5, 2.0)], "4x4", [], canvas(), 0.0
    )
    made = Template.model_validate(tomllib.loads(draft.format_template(name, found, 'a "b"\\.png')))
    assert made.form.name == name
    assert made.form.reference == 'a "b"\\.png'
    assert made.form.anchor == "image"
    assert (
        Template.model_validate(tomllib.loads(draft.format_template(name, found))).form.anchor
        == "page"
    )


def test_the_same_template_prints_the_same_bytes() -> None:
    assert paper.draw_blank_form(several()) == paper.draw_blank_form(several())


@pytest.mark.parametrize("name", ["Żółw 数字", "W" * 80])
def test_any_name_can_be_printed(name: str) -> None:
    document = pypdfium2.PdfDocument(paper.draw_blank_form(several(name=name)))
    text = document[0].get_textpage().get_text_bounded()
    document.close()
    assert paper.convert_to_latin1(name) in text
    assert "page 1 of 1" in text
    assert "member" not in text
    assert "apart" in text


def test_the_overlay_is_drawn_where_the_matrix_says() -> None:
    made = several()
    grey = np.full((640, 500), 255, np.uint8)
    picture = overlay.draw_template(grey, made, np.array([[2, 0, 10], [0, 2, 20], [0, 0, 1.0]]))
    assert picture.shape == (640, 500, 3)
    free = made.fields[2].box
    assert picture[int(2 * free[1] + 20), int(2 * free[0] + 10 + 40)].tolist() != [255, 255, 255]
    assert (picture[620:] == 255).all()


# The commands


def run(*arguments: str) -> int:
    return cli._run_command_line(["form", *arguments])


def save(place: str, grey: Grey, dpi: float = 150) -> None:
    from PIL import Image

    Image.fromarray(grey).save(place, dpi=(dpi, dpi))


@pytest.fixture
def template() -> str:
    made = several()
    found = draft.Draft(
        made.form.size,
        [draft.DraftField(one.box, one.cells, one.gap) for one in made.fields],
        "4x4",
        list(made.form.effective_markers),
        canvas(),
        0.0,
    )
    Path("form.toml").write_text(draft.format_template("membership", found))
    return "form.toml"


def test_print_draft_and_check_go_round(template: str, capsys: Capture) -> None:
    assert run("print", template, "--out", "form.pdf") == 0
    assert "8 fields, 38 boxes, 210 x 297 mm: print it at 100%" in capsys.readouterr().err
    save("blank.png", drawn(Path("form.pdf").read_bytes(), 150))
    assert run("draft", "blank.png", "--out", "again.toml", "--name", "again") == 0
    assert "form 'again', 8 fields" in capsys.readouterr().err
    assert run("check", "again.toml") == 0
    assert run("check", "again.toml", "blank.png", "--out", "drawn.png") == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "'blank.png' is this form, by 4 of 4 markers" in err
    assert re.search(r"residual 0\.\d\d mm -> drawn.png", err)
    assert cv2.imread("drawn.png").shape == (*drawn(Path("form.pdf").read_bytes(), 150).shape, 3)
    assert run("check", "again.toml", "blank.png", "-q") == 0
    assert capsys.readouterr() == ("", "")


def test_a_straight_blank_beside_is_the_reference_and_a_skewed_one_is_copied() -> None:
    grey = drawn(paper.draw_blank_form(several(anchor="page")), 150)
    Path("far").mkdir()
    save("blank.png", grey)
    save("far/skewed.png", turned(grey, 2))
    assert run("draft", "blank.png", "--out", "a.toml") == 0
    assert templates.load_template("a.toml").form.reference == "blank.png"
    assert run("draft", "far/skewed.png", "--out", "b.toml", "--size", "A4") == 0
    assert templates.load_template("b.toml").form.reference == "b_blank.png"
    assert run("check", "b.toml", "far/skewed.png") == 0


@pytest.mark.parametrize("name", [b"\xff.png", b"n" * 120 + b".png", b"a\nb.png"])
def test_a_blank_may_have_any_name(name: bytes) -> None:
    save("blank.png", drawn(paper.draw_blank_form(several(anchor="page")), 150))
    Path("blank.png").rename(os.fsdecode(name))
    assert run("draft", os.fsdecode(name), "--out", "a.toml") == 0
    assert run("check", "a.toml", os.fsdecode(name)) == 0


@pytest.mark.parametrize("beside", ["the link", "the file"])
def test_the_reference_of_a_linked_blank_is_found(beside: str) -> None:
    for one in ("the link", "the file"):
        Path(one).mkdir()
    save("the file/blank.png", drawn(paper.draw_blank_form(several(anchor="page")), 150))
    Path("the link/other.png").symlink_to(Path("the file/blank.png").resolve())
    assert run("draft", "the link/other.png", "--out", f"{beside}/a.toml") == 0
    assert run("check", f"{beside}/a.toml", "the file/blank.png") == 0


def test_another_form_is_told(template: str, capsys: Capture) -> None:
    save("white.png", np.full((1754, 1240), 255, np.uint8))
    assert run("check", template, "white.png") == 6
    assert "'white.png' is not the form 'membership'" in capsys.readouterr().err


FAULTS: dict[str, tuple[list[str], int, str]] = {
    "no command": ([], 2, "Missing command. (see --help)"),
    "a template with a slip": (["check", "bad.toml"], 6, "did you mean 'cells'?"),
    "a template that is not there": (["check", "gone.toml"], 6, "No such file"),
    "a template that is a pipe": (["check", "pipe"], 6, "'pipe' is no regular file"),
    "a reference that is not there": (["check", "image.toml"], 6, "'gone.png' cannot be read"),
    "a reference that is a pipe": (["check", "piped.toml"], 6, "not a regular file but a pipe"),
    "a page that is not there": (["check", "form.toml", "gone.png"], 2, "no such file"),
    "a page that is no image": (["check", "form.toml", "form.toml"], 2, "not an image"),
    "a picture of no page": (["check", "form.toml", "--out", "a.png"], 2, "for a PAGE to draw on"),
    "a page too far": (["check", "form.toml", "s.png", "--page", "2"], 2, "'s.png' has 1 page"),
    "another kind of file": (["print", "form.toml", "--out", "a.doc"], 2, "ends in .pdf"),
    "no such folder": (["print", "form.toml", "--out", "no/a.pdf"], 5, "is no folder"),
    "over the template": (["draft", "s.png", "--out", "form.toml"], 2, "--force replaces it"),
    "an unknown size": (["draft", "s.png", "--out", "a.toml"], 2, "give --size, as A4"),
    "a size that is none": (
        ["draft", "s.png", "--out", "a.toml", "--size", "B9"],
        2,
        "expected a3, a4, a5, letter, legal or millimetres as 210x297, got 'B9'",
    ),
    "paper without a size": (
        ["draft", "s.png", "--out", "a.toml", "--size", "0x0"],
        2,
        "expected paper with sides of 20 to 2000 mm, got 0 x 0",
    ),
    "paper of 21 metres": (
        ["draft", "s.png", "--out", "a.toml", "--size", "21000x21000"],
        2,
        "expected paper with sides of 20 to 2000 mm, got 21000 x 21000",
    ),
    "a name that is none": (
        ["draft", "boxes.png", "--out", "a.toml", "--size", "A4", "--name", "a\nb"],
        6,
        "name: expected one line of text",
    ),
    "a part of a page": (
        ["draft", "s.png", "--out", "a.toml", "--size", "a4"],
        2,
        "wider than such paper: is it the whole page?",
    ),
    "a page without boxes": (
        ["draft", "s.png", "--out", "a.toml", "--size", "50x50"],
        6,
        "no boxes were found",
    ),
}


@pytest.mark.parametrize("why", FAULTS)
def test_faults_are_one_line_and_an_exit_code(why: str, template: str, capsys: Capture) -> None:
    arguments, code, said = FAULTS[why]
    Path("bad.toml").write_text(edited("cells", "cels"))
    os.mkfifo("pipe")
    for place, reference in (("image.toml", "gone.png"), ("piped.toml", "pipe")):
        anchor = f'anchor = "image"\nreference = "{reference}"'
        Path(place).write_text(edited('anchor = "markers"', anchor))
    save("boxes.png", drawn(paper.draw_blank_form(several()), 100))
    Path("s.png").write_bytes(cv2.imencode(".png", np.full((500, 500), 255, np.uint8))[1].tobytes())
    assert run(*arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert not Path("a.toml").exists()


def test_an_edited_template_is_replaced_by_force_alone(template: str, capsys: Capture) -> None:
    save("blank.png", drawn(paper.draw_blank_form(several()), 150))
    before = Path(template).read_text()
    assert run("draft", "blank.png", "--out", template) == 2
    assert Path(template).read_text() == before
    assert run("draft", "blank.png", "--out", template, "--force", "--name", "new") == 0
    assert templates.load_template(template).form.name == "new"
