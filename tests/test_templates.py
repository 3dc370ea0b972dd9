"""Templates and what is wrong with them, the rules of fields, and the values that they allow."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from templates_forms import (
    FIELD,
    FORM,
    edited,
    here_fixture,  # noqa: F401
)

from batchdigits import templates
from batchdigits.errors import TemplateError
from batchdigits.postprocess import rules
from batchdigits.templates import Field, patterns


def field(**more: object) -> Field:
    return Field.model_validate({"name": "a", "box": [20, 40, 96, 12], **more})


# --- templates ---


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


# --- several templates ---


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


# --- patterns ---


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


# --- rules ---


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
