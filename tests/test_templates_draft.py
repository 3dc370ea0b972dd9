"""Print a template, and draft a template from a blank form."""

import tomllib

import cv2
import numpy as np
import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from templates_forms import (
    Grey,
    canvas,
    drawn,
    here_fixture,  # noqa: F401
    several,
    turned,
)

from batchdigits.templates import Field, Template, draft, overlay, paper


def agree(made: Template, found: draft.Draft, within: float = 0.3) -> None:
    """The fields are found, but for the box for a tick, which is left out."""
    fields = [one for one in made.fields if one.name != "tick"]
    assert [why for _, why in found.left_out] == ["a small box, as for a tick"]
    assert [one.cells for one in found.fields] == [one.cells for one in fields]
    for wanted, got in zip(fields, found.fields, strict=True):
        again = Field(name="a", box=got.box, cells=got.cells, gap=got.gap)
        assert np.abs(np.array(again.boxes()) - wanted.boxes()).max() < within, wanted.name


def jpeg(grey: Grey) -> Grey:
    coded = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 40])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)


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


def fields_of(grey: Grey) -> list[draft.DraftField]:
    return draft.find_fields(grey, (100, 100)).fields


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


def boxes_at(*lefts: int, wide: int = 60, high: int = 80) -> Grey:
    grey = canvas()
    for left in lefts:
        cv2.rectangle(grey, (left, 200), (left + wide, 200 + high), 0, 3)
    return grey


GROUPS: dict[str, tuple[tuple[int, ...], list[tuple[int | None, tuple[int, ...], float]]]] = {
    "a row has no groups": ((100, 170, 240, 310), [(4, (), 1.0)]),
    "two and three, with room for a comma between": (
        (100, 170, 270, 340, 410),
        [(5, (2, 3), 1.0)],
    ),
    "a date": ((100, 170, 270, 340, 440, 510, 580, 650), [(8, (2, 2, 4), 1.0)]),
    "two fields, further apart": ((100, 170, 290, 360, 430), [(2, (), 1.0), (3, (), 1.0)]),
}


@pytest.mark.parametrize("why", GROUPS)
def test_groups_of_boxes_are_one_field_unless_they_stand_far_apart(why: str) -> None:
    lefts, wanted = GROUPS[why]
    found = fields_of(boxes_at(*lefts))
    assert [(one.cells, one.groups, round(one.gap, 1)) for one in found] == wanted
    for field in found:
        made = Field.model_validate(draft.make_field_keys(field, "a"))
        start = sum(one.cells or 0 for one in found[: found.index(field)])
        places = [box[0] for box in made.boxes()]
        assert np.abs(np.array(places) - np.array(lefts[start:][: len(places)]) / 10).max() < 0.3


LEFT_OUT: dict[str, tuple[Grey, int, str]] = {
    "a tick": (boxes_at(200, wide=50, high=50), 0, "a small box, as for a tick"),
    "ticks in a row": (
        boxes_at(200, 290, 380, wide=50, high=50),
        0,
        "small boxes, as for ticks",
    ),
    "a signature": (boxes_at(200, wide=500, high=200), 0, "a large box, as for a signature"),
}


@pytest.mark.parametrize("what", LEFT_OUT)
def test_what_is_not_for_numbers_is_a_comment(what: str) -> None:
    grey, count, why = LEFT_OUT[what]
    found = draft.find_fields(grey, (100, 100))
    assert len(found.fields) == count
    assert {one.why for one in found.left_out} == {why}
    some = [draft.DraftField((70, 70, 20, 8), None, 0.0)]
    drafted = draft.Draft((100, 100), some, "4x4", [], grey, 0.0, found.left_out)
    text = draft.format_template("a", drafted)
    assert f"# Left out: {why}." in text
    assert len(Template.model_validate(tomllib.loads(text)).fields) == 1
    shown = text.replace("\n# [[", "\n[[").replace("\n# name", "\nname").replace("\n# box", "\nbox")
    shown = shown.replace("\n# cells", "\ncells").replace("\n# gap", "\ngap")
    again = Template.model_validate(tomllib.loads(shown))
    assert len(again.fields) == 1 + len(found.left_out)


def table() -> Grey:
    grey = canvas()
    for n in range(4):
        cv2.line(grey, (150, 200 + 90 * n), (750, 200 + 90 * n), 0, 3)
        cv2.line(grey, (150 + 200 * n, 200), (150 + 200 * n, 470), 0, 3)
    return grey


def test_cells_of_a_table_are_named_as_a_run_names_them() -> None:
    names = [one.name for one in fields_of(table())]
    assert names == [f"r{down:02}c{across:02}" for down in (1, 2, 3) for across in (1, 2, 3)]


SIDES = st.tuples(*[st.integers(0, 90)] * 2, *[st.integers(4, 60)] * 2)


@given(st.lists(SIDES, min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_a_draft_is_sound_whatever_boxes_lie_over_each_other(sides: list[tuple[int, ...]]) -> None:
    """As on a form whose boxes are found twice, or in each other, or at the page's edge."""
    grey = canvas()
    for x, y, wide, high in sides:
        cv2.rectangle(grey, (10 * x, 10 * y), (10 * (x + wide), 10 * (y + high)), 0, 3)
    found = draft.draft_template(grey, (100, 100))
    if found.fields:
        made = Template.model_validate(tomllib.loads(draft.format_template("a", found)))
        assert len(made.fields) == len(found.fields)


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
