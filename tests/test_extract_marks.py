"""What is in a box and no digit: marks that fill empty boxes, full stops, commas, printed hints."""

from contextlib import closing
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pypdfium2
import pytest
from conftest import FakeClassifier, Save, drawn
from conftest import read as rows
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from batchdigits import templates
from batchdigits.extract.chunk_builder import ChunkBuilder
from batchdigits.extract.marks import detect_mark
from batchdigits.normalize import grey_levels
from batchdigits.records import GreyImage, Row
from batchdigits.templates import Template
from batchdigits.templates.paper import draw_blank_form

DPI = 200
Line = tuple[tuple[float, float], tuple[float, float]]
CROSS: list[Line] = [((0, 0), (1, 1)), ((0, 1), (1, 0))]
DASH: list[Line] = [((0, 0.5), (1, 0.45))]
STAR: list[Line] = [*CROSS, ((0.5, -0.1), (0.5, 1.1))]


def strokes(*lines: Line, pen: int = 6, size: int = 60, dark: int = 30) -> GreyImage:
    """Draw straight strokes, given in shares of the ink's size, dark on light."""
    picture = np.full((110, 110), 240, np.uint8)
    for ends in lines:
        one, two = ((round(25 + x * size), round(25 + y * size)) for x, y in ends)
        cv2.line(picture, one, two, dark, pen, cv2.LINE_AA)
    return picture


def mark_of(crop: GreyImage) -> str:
    return detect_mark(grey_levels([crop], invert="yes").pictures[0, ..., 0])


@pytest.mark.parametrize("pen", [2, 4, 8])
@pytest.mark.parametrize(
    ("lines", "mark", "why"),
    [
        (CROSS, "x", "an X"),
        ([((0, 0.1), (1, 0.8)), ((0.1, 1), (0.9, 0))], "x", "an X, slanted"),
        ([((0, 0), (1, 1)), ((0.1, 0.9), (0.9, 0.2))], "x", "an X with a shorter stroke"),
        (DASH, "-", "a dash"),
        ([((0, 0.4), (1, 0.6))], "-", "a dash, aslant"),
        (STAR, "*", "an asterisk"),
        ([((0.5, 0), (0.5, 1))], "", "a 1"),
        ([((0, 1), (0.7, 0))], "", "a slash: it may be a 1"),
        ([((0, 0), (1, 0)), ((1, 0), (0.4, 1))], "", "a 7"),
        ([((0, 0), (1, 0)), ((1, 0), (0.4, 1)), ((0.3, 0.5), (1, 0.5))], "", "a crossed 7"),
        ([((0.4, 0), (0, 0.6)), ((0, 0.6), (1, 0.6)), ((0.7, 0.2), (0.7, 1))], "", "a 4"),
        ([((0, 0), (1, 0)), ((0, 0), (0, 1)), ((0, 1), (1, 1)), ((1, 0), (1, 1))], "", "a 0"),
        ([((0, 0), (0.5, 1)), ((0.5, 1), (1, 0))], "", "a V: its strokes do not cross"),
    ],
)
def test_a_mark_is_told_by_its_strokes(lines: list[Line], mark: str, why: str, pen: int) -> None:
    assert mark_of(strokes(*lines, pen=pen)) == mark, why


@given(st.lists(st.tuples(st.floats(-0.08, 0.08), st.floats(-0.08, 0.08)), min_size=4, max_size=4))
@settings(max_examples=60, deadline=None)
def test_an_x_by_an_unsteady_hand_is_one(moved: list[tuple[float, float]]) -> None:
    ends = [point for line in CROSS for point in line]
    a, b, c, d = ((x + dx, y + dy) for (x, y), (dx, dy) in zip(ends, moved, strict=True))
    assert mark_of(strokes((a, b), (c, d))) == "x"


@given(st.binary(min_size=784, max_size=784))
@settings(max_examples=60, deadline=None)
def test_any_picture_has_a_mark_or_none(levels: bytes) -> None:
    assert detect_mark(np.frombuffer(levels, np.uint8).reshape(28, 28)) in ("", "x", "-", "*")


def test_drawn_digits_are_no_marks() -> None:
    found = {
        (digit, seed): mark_of(drawn(digit, side=56, seed=seed))
        for digit, seed in product(range(10), range(10))
    }
    assert {key: mark for key, mark in found.items() if mark} == {}


# --- boxes of a form ---

TEMPLATE = """\
[form]
name = "small"
size = [105, 148]
anchor = "markers"

[[field]]
name = "number"
box = [15, 30, 60, 10]
cells = 6

[[field]]
name = "amount"
box = [15, 55, 65, 10]
groups = [4, 2]
separator = ","
decimals = 2
optional = true

[[field]]
name = "born"
box = [15, 80, 64, 9]
date = "DDMMYYYY"
optional = true
"""


@pytest.fixture
def form(inbox: Path) -> Template:
    Path("form.toml").write_text(TEMPLATE)
    return templates.load_template("form.toml")


def blank_page(template: Template) -> GreyImage:
    with closing(pypdfium2.PdfDocument(draw_blank_form(template))) as document:
        bitmap = document[0].render(scale=DPI / 72, grayscale=True)
        return np.array(bitmap.to_numpy()).reshape(bitmap.height, bitmap.width)


def put(sheet: NDArray[np.uint8], box: tuple[float, ...], sign: str) -> None:
    """Write a digit, a comma, or a digit with a full stop behind it, into a box."""
    x, y, wide, high = (side * DPI / 25.4 for side in box)
    side = round(min(wide, high) - 18)
    if sign[0].isdigit():
        part = sheet[round(y + 12) :, round(x + 6) :][:side, :side]
        np.minimum(part, drawn(int(sign[0]), side=side), out=part)
    if sign[-1] in ",.":
        across = 0.5 if len(sign) == 1 else 0.84
        point = (round(x + across * wide), round(y + 0.8 * high))
        end = (point[0] - 3, point[1] + 5) if sign[-1] == "," else point
        cv2.line(sheet, point, end, 20, 6, cv2.LINE_AA)


def filled(template: Template, *signs: str, field: int = 0) -> GreyImage:
    sheet = blank_page(template)
    for box, sign in zip(template.fields[field].boxes(), signs, strict=False):
        if sign:
            put(sheet, box, sign)
    return sheet


def read_field(name: str) -> Row:
    (found,) = (row for row in rows(template="form.toml", min_confidence=0) if row.field == name)
    return found


@pytest.mark.parametrize(
    ("signs", "digits", "status", "words"),
    [
        (["1", "2", "1", "5", "0", "7"], 6, "ok", ""),
        (["1", "2", "1", ",", "5", "0"], 5, "review", "the digits behind the separator"),
        (["1", "2", "1", ".", "5", "0"], 5, "review", "the digits behind the separator"),
        (["1", "2", "1.", "5", "0"], 5, "review", "the digits behind the separator"),
        (["1", "2", "1,", "5", "0"], 5, "review", "box 3: more ink than one digit"),  # as large
        (["1", "2", "1", "5", "0."], 5, "ok", ""),  # behind all digits it parts nothing
        (["2.", "1", "5", "0"], 4, "ok", "written"),  # thousands
    ],
)
def test_a_full_stop_or_a_comma_is_never_a_digit(
    form: Template,
    save: Save,
    fake_classifier: FakeClassifier,
    signs: list[str],
    digits: int,
    status: str,
    words: str,
) -> None:
    save("a.png", filled(form, *signs))
    found = read_field("number")
    assert (len(found.value), found.status) == (digits, status), found
    assert words in found.detail


def test_a_broken_digit_and_rests_of_a_line_are_no_points(
    form: Template, save: Save, fake_classifier: FakeClassifier
) -> None:
    """As of a 1 over a crease, and of a line that a photograph broke."""
    sheet = filled(form, "", "2", "3", "4")
    boxes = [[round(side * DPI / 25.4) for side in box] for box in form.fields[0].boxes()]
    x, y, wide, high = boxes[0]
    for top, bottom in ((12, 24), (30, 42), (46, 60)):
        cv2.line(sheet, (x + wide // 2, y + top), (x + wide // 2, y + bottom), 20, 5)
    x, y, wide, high = boxes[1]
    for top in (20, high - 28):
        cv2.line(sheet, (x + wide - 12, y + top), (x + wide - 12, y + top + 8), 20, 5)
    save("a.png", sheet)
    found = read_field("number")
    assert len(found.value) == 4
    assert "written" not in found.detail


def test_printed_separators_and_hints_are_no_ink(
    form: Template, save: Save, fake_classifier: FakeClassifier
) -> None:
    save("a.png", filled(form, *"123456"))
    assert read_field("amount").status == "blank"
    assert read_field("born").status == "blank"


def test_an_amount_in_groups_has_its_decimals(
    form: Template, save: Save, fake_classifier: FakeClassifier
) -> None:
    save("a.png", filled(form, *"123456", field=1))
    found = read_field("amount")
    assert found.status == "ok"
    assert (len(found.value), found.value[-3]) == (7, ".")


@pytest.mark.parametrize("grey", [190, 120])
def test_digits_over_the_letters_of_a_date_stay_whole(
    form: Template, save: Save, fake_classifier: FakeClassifier, grey: int
) -> None:
    """The letters are erased where they are printed; a pencil is darker, and wider than they."""
    sheet = filled(form, *"24081937", field=2)
    box = form.fields[2].boxes()[0]
    x, y, wide, high = (round(side * DPI / 25.4) for side in box)
    cv2.line(sheet, (x + 8, y + 8), (x + wide - 8, y + high - 8), grey - 100, 4)
    save("a.png", sheet)
    assert len(read_field("born").value) == 8


@pytest.mark.parametrize(
    ("height", "scale"),
    [
        (192, 1.0),  # the whole is looked at: strokes of one pixel vanish in it
        (768, 4.0),  # in its halves, too
    ],
)
def test_a_row_of_thin_digits_on_dim_paper_is_not_blank(height: int, scale: float) -> None:
    grey = np.tile(np.linspace(80, 120, height, dtype=np.float32)[:, None], (1, height * 4 // 3))
    digits = np.zeros(grey.shape, np.uint8)
    for n, digit in enumerate("135790"):
        at = round(scale * (20 + 38 * n)), round(scale * 110)
        cv2.putText(digits, digit, at, 0, scale, 255, round(scale), cv2.LINE_AA)
    grey -= digits * np.float32(30 / 255)
    grey += np.random.default_rng(1).normal(0, 1, grey.shape)
    crop = grey.clip(0, 255).astype(np.uint8)
    builder = ChunkBuilder("auto")
    builder.add_digit(0, 1, crop)
    builder.add_number(0, 1, None, crop, (0, 0, *crop.shape[::-1]), "")
    chunk = builder.finish_chunk()
    assert [spot.status for item in chunk.items for spot in item.spots].count("blank") == 0
