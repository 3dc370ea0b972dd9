"""The pose of the paper in a page: known poses are found again, other forms are refused."""

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from batchdigits.errors import TemplateError
from batchdigits.records import GreyImage
from batchdigits.register import (
    MAX_RESIDUAL_MM,
    Pose,
    Reference,
    RegistrationFailure,
    build_reference,
    match_form,
    register_page,
)
from batchdigits.templates.template import Template

sys.path.append(str(Path(__file__).parent.parent / "jobs" / "samples"))
import paper

DPI = 120
ANCHORS = ("markers", "image", "page")


def field(name: str, x: float, y: float, cells: int) -> dict[str, object]:
    return {"name": name, "box": [x, y, 10 * cells - 2, 9], "cells": cells, "gap": 2}


FIELDS = [
    field("member", 25, 40, 8),
    field("born", 125, 40, 6),
    field("phone", 25, 70, 11),
    field("amount", 35, 100, 6),
    field("score", 125, 100, 3),
    field("account", 25, 135, 10),
    field("branch", 105, 170, 7),
    {"name": "comb", "box": [30, 205, 80, 9], "cells": 10},
    {"name": "free", "box": [25, 240, 90, 12]},
]


def form(
    anchor: str = "markers", fields: list[dict[str, object]] = FIELDS, **more: object
) -> Template:
    whole = {"name": "membership", "size": [210, 297], "anchor": anchor, **more}
    if anchor == "image":
        whole["reference"] = "blank.png"
    return Template(form=whole, field=fields)  # type: ignore[arg-type]


@cache
def digits() -> dict[int, NDArray[np.uint8]]:
    out = {}
    for digit in range(10):
        picture = np.zeros((28, 28), np.uint8)
        cv2.putText(picture, str(digit), (6, 24), 0, 0.9, 255, 2, cv2.LINE_AA)
        out[digit] = picture[None]
    return out


@cache
def blank(anchor: str = "markers", dpi: int = DPI, lines: float = 1.0) -> GreyImage:
    return paper.blank(form(), dpi, markers=anchor == "markers", lines=lines)


@cache
def filled(anchor: str = "markers", lines: float = 1.0) -> GreyImage:
    random = np.random.default_rng(1)
    return paper.filled(form(), digits(), random, page=blank(anchor, DPI, lines), dpi=DPI)[0]


@cache
def reference(anchor: str) -> Reference | None:
    return build_reference(blank("image", 150)) if anchor == "image" else None


def found(grey: GreyImage, anchor: str = "markers") -> Pose | RegistrationFailure:
    return register_page(grey, form(anchor), reference(anchor))


def farthest(
    pose: Pose | RegistrationFailure, truth: NDArray[np.float64], template: Template
) -> float:
    """Return the largest error of a corner of the boxes, mm."""
    assert isinstance(pose, Pose), pose
    points = [
        corner
        for one in template.fields
        for x, y, wide, high in one.boxes()
        for corner in ((x, y), (x + wide, y), (x + wide, y + high), (x, y + high))
    ]
    mm = np.array([points], np.float64)
    seen = cv2.perspectiveTransform(mm, truth)
    back = cv2.perspectiveTransform(seen, np.linalg.inv(pose.matrix))
    return float(np.linalg.norm(back - mm, axis=2).max())


def laid(
    page: GreyImage, inner: NDArray[np.float64], *, ground: int = 255, border: int = 40
) -> tuple[GreyImage, NDArray[np.float64]]:
    """Lay a page by a matrix, px → px, with a border: the picture, and mm → px in it."""
    high, wide = page.shape
    ends = np.array([[[0, 0], [wide, 0], [wide, high], [0, high]]], np.float64)
    moved = cv2.perspectiveTransform(ends, inner)[0]
    shift = np.eye(3)
    shift[:2, 2] = border - moved.min(axis=0)
    size = np.ceil(np.ptp(moved, axis=0) + 2 * border).astype(int)
    warp = shift @ inner
    grey = cv2.warpPerspective(page, warp, size.tolist(), borderValue=(ground,))
    return grey, warp @ paper.flat(DPI)


def turned(degrees: float, scale: float = 1.0) -> NDArray[np.float64]:
    cos, sin = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


LYING: list[tuple[str, NDArray[np.float64], int]] = [
    ("as it is", turned(0), 255),
    ("on its right side", turned(90), 255),
    ("upside down", turned(180), 255),
    ("on its left side", turned(270), 0),
    ("skewed, black scanner bed", turned(10), 0),
    ("skewed the other way, white bed", turned(-10), 255),
    ("upside down, skewed, and copied smaller", turned(188, 0.83), 20),
    ("copied larger", turned(-3, 1.2), 255),
    ("stretched along by a worn feeder", np.diag([1.0, 1.01, 1.0]), 255),
    ("photographed from one side", np.array([[1, 0.05, 0], [0.02, 1, 0], [1e-4, 5e-5, 1]]), 40),
]


@pytest.mark.parametrize("anchor", ANCHORS)
@pytest.mark.parametrize(("why", "inner", "ground"), LYING, ids=[one[0] for one in LYING])
def test_a_page_is_found_however_it_lies(
    anchor: str, why: str, inner: NDArray[np.float64], ground: int
) -> None:
    grey, truth = laid(filled(anchor), inner, ground=ground)
    pose = found(grey, anchor)
    assert farthest(pose, truth, form()) < MAX_RESIDUAL_MM
    assert isinstance(pose, Pose)
    assert 0 <= pose.residual < MAX_RESIDUAL_MM
    assert pose.unseen == ()


@settings(max_examples=12, deadline=None)
@given(
    st.floats(0, 360), st.floats(0.85, 1.2), st.floats(-1e-4, 1e-4), st.sampled_from([0, 90, 255])
)
def test_the_pose_found_is_the_pose_laid(
    degrees: float, scale: float, tilt: float, ground: int
) -> None:
    inner = turned(degrees, scale)
    inner[2, 0] = tilt
    grey, truth = laid(filled(), inner, ground=ground)
    assert farthest(found(grey), truth, form()) < 0.3


@pytest.mark.parametrize("seed", range(6))
def test_pages_as_scanners_and_telephones_take_them(seed: int) -> None:
    random = np.random.default_rng(seed)
    ranges = paper.RANGES._replace(dpi=(100, 200))
    grey, truth, done = paper.scanned(filled(), random, ranges, dpi=DPI)
    assert farthest(found(grey), truth, form()) < MAX_RESIDUAL_MM, done


@pytest.mark.parametrize("dpi", [100, 300])
def test_the_resolution_does_not_matter(dpi: int) -> None:
    pose = found(blank("markers", dpi))
    assert farthest(pose, paper.flat(dpi), form()) < 0.2


def without(number: int) -> GreyImage:
    """A page without one of its markers."""
    page = filled().copy()
    x, y, wide, high = (round(n * DPI / 25.4) for n in form().form.effective_markers[number].box)
    page[y - 5 : y + high + 5, x - 5 : x + wide + 5] = 255
    return page


@pytest.mark.parametrize("number", range(4))
def test_any_three_of_four_markers_are_enough(number: int) -> None:
    grey, truth = laid(without(number), np.array([[1, 0, 0], [0.1, 1, 0], [5e-5, 5e-5, 1]]))
    pose = found(grey)
    assert farthest(pose, truth, form()) < MAX_RESIDUAL_MM
    assert isinstance(pose, Pose)
    assert "3 of 4 markers" in pose.how


def test_dropped_out_boxes_are_measured_by_markers_alone() -> None:
    page = filled("markers", 0.0)
    pose = found(page)
    assert farthest(pose, paper.flat(DPI), form()) < MAX_RESIDUAL_MM
    assert isinstance(pose, Pose)
    assert "no printed line seen" in pose.how
    assert 0 < pose.residual < MAX_RESIDUAL_MM
    assert pose.lines == 0


@pytest.mark.parametrize("anchor", ["markers", "page"])
def test_light_boxes_are_seen_still(anchor: str) -> None:
    pose = found(filled(anchor, 0.2), anchor)
    assert farthest(pose, paper.flat(DPI), form()) < MAX_RESIDUAL_MM


def test_a_field_whose_lines_are_gone_is_named() -> None:
    page = filled().copy()
    x, y, wide, high = (round(n * DPI / 25.4) for n in form().fields[4].box)
    page[y - 9 : y + high + 9, x - 9 : x + wide + 9] = 255
    pose = found(page)
    assert isinstance(pose, Pose)
    assert pose.unseen == ("score",)


def text() -> GreyImage:
    page = np.full((1400, 990), 255, np.uint8)
    letters = np.random.default_rng(1).choice(list("abcdeghilmnorst HELI 017"), (40, 50))
    for row, line in enumerate(letters):
        cv2.putText(page, "".join(line), (60, 80 + 32 * row), 0, 0.7, 0, 1, cv2.LINE_AA)
    return page


def other(same: int) -> Template:
    """A form with the same markers, whose boxes are the same but for those after the first."""
    moved = []
    for number, one in enumerate(FIELDS[same:]):
        x, y, wide, high = one["box"]  # type: ignore[misc]
        across, down = ((-6, 5), (4, -4), (9, 1))[number % 3]
        moved.append({**one, "box": [x + across, y + down, wide, high]})
    return form(fields=FIELDS[:same] + moved)


def drawn(same: int, anchor: str) -> GreyImage:
    return paper.blank(other(same), DPI, markers=anchor == "markers")


Draw = Callable[[str], GreyImage]
STRANGE: list[tuple[str, Draw]] = [
    ("a white sheet", lambda anchor: np.full((1400, 990), 255, np.uint8)),
    ("a black sheet", lambda anchor: np.zeros((1400, 990), np.uint8)),
    ("five pixels by seven", lambda anchor: np.full((5, 7), 255, np.uint8)),
    ("a line of pixels", lambda anchor: np.full((1, 2000), 255, np.uint8)),
    ("a page of text", lambda anchor: text()),
    ("the page seen from behind", lambda anchor: filled(anchor)[:, ::-1].copy()),
    ("half of the page", lambda anchor: filled(anchor)[: 594 * DPI // 127].copy()),
    ("light on dark", lambda anchor: 255 - filled(anchor)),
    ("the form twice, beside each other", lambda anchor: np.hstack([filled(anchor)] * 2)),
    ("the form twice, above each other", lambda anchor: np.vstack([filled(anchor)] * 2)),
    ("the form twice, once blank", lambda anchor: np.hstack([filled(anchor), blank(anchor)])),
    (
        "the form twice, once upside down",
        lambda anchor: np.hstack([filled(anchor), filled(anchor)[::-1, ::-1]]),
    ),
    ("a form with the same markers and other boxes", lambda anchor: drawn(0, anchor)),
    ("a form that shares three fields", lambda anchor: drawn(3, anchor)),
]


@pytest.mark.parametrize("anchor", ANCHORS)
@pytest.mark.parametrize(("why", "draw"), STRANGE, ids=[one[0] for one in STRANGE])
def test_what_is_not_this_form_is_lost(anchor: str, why: str, draw: Draw) -> None:
    lost = found(draw(anchor), anchor)
    assert isinstance(lost, RegistrationFailure), lost
    assert lost.why
    assert "\n" not in lost.why


def test_another_form_without_its_lines_is_lost_when_boxes_stand_elsewhere() -> None:
    few = form(fields=[field("number", 25, 270, 8)])
    lost = register_page(blank(), few)
    assert isinstance(lost, RegistrationFailure)
    assert lost.why.startswith("another form")


def test_a_form_that_looks_the_same_upside_down_is_lost_without_markers_and_labels() -> None:
    fields = [field(f"row_{n}", 46, 40 + 40 * n + (3 if n > 2 else 0), 12) for n in range(6)]
    fields = [{**one, "box": [46, 40.5 + 41.4 * n, 118, 9]} for n, one in enumerate(fields)]
    same, page = form("page", fields), paper.blank(form(fields=fields), DPI, markers=False)
    told = register_page(page, same)
    assert farthest(told, paper.flat(DPI), same) < MAX_RESIDUAL_MM, "its labels tell the turn"
    for one in fields:  # without its labels
        top = round(one["box"][1] * DPI / 25.4)
        page[top - round(10 * DPI / 25.4) : top - 4] = 255
    page[: round(35 * DPI / 25.4)] = page[round(265 * DPI / 25.4) :] = 255
    lost = register_page(page, same)
    assert isinstance(lost, RegistrationFailure)
    assert "another turn" in lost.why


def test_a_form_of_one_box_is_held_by_its_markers() -> None:
    one = form(fields=[{"name": "total", "box": [60, 120, 90, 14]}])
    page = paper.blank(one, DPI)
    assert farthest(register_page(page, one), paper.flat(DPI), one) < MAX_RESIDUAL_MM


def test_a_reference_is_asked_for() -> None:
    with pytest.raises(TemplateError, match="picture of a blank form"):
        register_page(blank(), form("image"))


def test_match_finds_which_form_a_page_is() -> None:
    second = form(fields=other(0).model_dump(by_alias=True)["field"], name="second")
    page = paper.blank(second, DPI)
    found = match_form(page, [form(), second])
    assert isinstance(found, tuple)
    assert found[0].form.name == "second"
    assert farthest(found[1], paper.flat(DPI), second) < MAX_RESIDUAL_MM


def test_match_prefers_the_form_with_more_boxes_in_place() -> None:
    part = form(fields=FIELDS[:4], name="part")
    found = match_form(filled(), [part, form()])
    assert isinstance(found, tuple)
    assert found[0].form.name == "membership"


def test_match_is_lost_between_forms_that_are_alike() -> None:
    lost = match_form(filled(), [form(), form(name="twin")])
    assert isinstance(lost, RegistrationFailure)
    assert "'membership'" in lost.why
    assert "'twin'" in lost.why


@pytest.mark.parametrize("count", [1, 2])
def test_match_says_why_a_page_is_no_form(count: int) -> None:
    lost = match_form(text(), [form(name=f"form_{n}") for n in range(count)])
    assert isinstance(lost, RegistrationFailure)
    assert "markers" in lost.why


def wiped(page: GreyImage, *places: tuple[float, float, float, float]) -> GreyImage:
    """Wipe rectangles of a page, x, y, width, height, mm: what is printed there is not."""
    out = page.copy()
    for x, y, wide, high in places:
        left, top, right, bottom = (round(side * DPI / 25.4) for side in (x, y, x + wide, y + high))
        out[top:bottom, left:right] = 255
    return out


COMB, FREE = (30.0, 205.0, 80.0, 9.0), (25.0, 240.0, 90.0, 12.0)


@pytest.mark.parametrize("anchor", ANCHORS)
def test_a_comb_may_have_no_lines_between_its_boxes_and_a_free_number_no_frame(anchor: str) -> None:
    """Many combs are one frame with ticks, and an amount may stand on nothing."""
    page = wiped(filled(anchor), (31, 206, 78, 7), (24, 239, 92, 14))
    grey, truth = laid(page, np.eye(3))
    pose = found(grey, anchor)
    assert farthest(pose, truth, form()) < MAX_RESIDUAL_MM
    assert isinstance(pose, Pose)
    assert pose.unseen == ()


def test_boxes_that_are_not_there_are_told_of_all_the_same() -> None:
    page = wiped(filled(), (24, 134, 102, 11))
    pose = found(laid(page, np.eye(3))[0])
    assert isinstance(pose, Pose)
    assert pose.unseen == ("account",)


def lettered(page: GreyImage) -> GreyImage:
    """Print words between the boxes, as forms have them: features stand on them."""
    out = page.copy()
    words = "Please write one figure in each box; tick where it applies. Office use only: 2b"
    for line, y in enumerate(range(60, 1380, 37)):
        start = 7 * line % len(words)
        text = (words + words)[start : start + 30]
        cv2.putText(out, text, (60 + 13 * line % 200, y), line % 8, 0.7, 0, 1, cv2.LINE_AA)
    return out


@pytest.mark.parametrize("framed", [True, False])
@pytest.mark.parametrize("anchor", ["markers", "image"])
def test_a_form_of_free_numbers_alone_needs_no_lines(anchor: str, framed: bool) -> None:
    """The other boxes of the page are not the template's."""
    template = form(anchor, [{"name": "free", "box": list(FREE)}])
    bare = lettered(blank(anchor))
    page = bare if framed else wiped(bare, (24, 239, 92, 14))
    turned = cv2.getRotationMatrix2D((500, 700), 3, 1)
    grey, truth = laid(page, np.vstack([turned, [0, 0, 1]]))
    pose = register_page(grey, template, build_reference(bare) if anchor == "image" else None)
    assert farthest(pose, truth, template) < MAX_RESIDUAL_MM
    assert isinstance(pose, Pose)
    assert pose.residual <= MAX_RESIDUAL_MM


def test_a_page_of_other_words_is_not_a_form_of_free_numbers_alone() -> None:
    template = form("image", [{"name": "free", "box": list(FREE)}])
    reference = build_reference(lettered(blank("image")))
    other = paper.blank(form(fields=[field("x", 30, 60, 12), field("y", 60, 150, 4)]), DPI)
    text = np.full((1400, 1000), 255, np.uint8)
    for line in range(30):
        place = (60, 60 + 40 * line)
        cv2.putText(text, "the quick brown fox jumps", place, cv2.FONT_HERSHEY_SIMPLEX, 1, 0, 2)
    for page in (other, text):
        assert isinstance(register_page(page, template, reference), RegistrationFailure)


def test_a_form_of_free_numbers_alone_that_is_there_twice_is_cut_first() -> None:
    template = form("image", [{"name": "free", "box": list(FREE)}])
    page = lettered(blank("image"))
    lost = register_page(np.hstack([page, page]), template, build_reference(page))
    assert isinstance(lost, RegistrationFailure)
    assert "two ways" in lost.why
