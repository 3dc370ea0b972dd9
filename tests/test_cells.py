"""Boxes cut out of a page: printed lines are removed, ink stays, empty boxes are blank."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from batchdigits.cells import (
    MIN_PAGE_PX_PER_MM,
    CutBox,
    PrintedForm,
    cut_boxes,
    cut_free_field,
    cut_strip_boxes,
)
from batchdigits.templates import Field

MM = 300 / 25.4
"""Pixels a millimetre of the pages drawn here."""
BOX = (10.0, 10.0, 8.0, 10.0)
NEIGHBOURS = ((0.5, 10.0, 8.0, 10.0), (19.5, 10.0, 8.0, 10.0))
STROKES: dict[str, list[tuple[float, float]]] = {
    "a 1 in the middle": [(14, 12), (14, 18)],
    "a 7 in the middle": [(12, 12), (16, 12), (13.5, 18)],
    "a 7 whose bar lies half on the line": [(11, 10.2), (17, 10.2), (13.5, 18)],
    "a 7 whose bar lies on the line": [(11, 10.0), (17, 10.0), (13.5, 18)],
    "a 1 along the left line": [(10.3, 12), (10.3, 18.5)],
    "a 1 that stands on the line": [(14, 12), (14, 20)],
    "a 1 that goes through the line": [(14, 12), (14, 21)],
    "a 4 that crosses the right line": [(12, 12), (12, 16), (18.8, 16)],
    "a 2 whose foot lies on the line": [(12, 13), (15, 12.5), (16, 14), (12, 19.8), (16.5, 19.8)],
}


def page(
    strokes: list[tuple[float, float]] = (),  # type: ignore[assignment]
    *,
    line: int = 0,
    ink: int = 60,
    pen: float = 0.6,
    boxes: tuple[tuple[float, ...], ...] = (BOX, *NEIGHBOURS),
    moved: tuple[float, float] = (0, 0),
    light: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda x: 0 * x + 255,
) -> NDArray[np.uint8]:
    """Draw a page of 30 mm with boxes, and a stroke through points in mm."""
    side = round(30 * MM)
    sheet = np.broadcast_to(light(np.arange(side, dtype=np.float64)), (side, side))
    fine = 4  # drawn finer, and reduced, as a scanner sees it
    drawn = np.full((fine * side, fine * side), 255, np.uint8)
    for x, y, wide, high in boxes:
        corners = np.array([[x, y], [x + wide, y + high]]) + moved
        start, end = (tuple(np.rint(fine * MM * one).astype(int).tolist()) for one in corners)
        cv2.rectangle(drawn, start, end, line, round(fine * MM * 0.35))
    if len(strokes):
        points = np.rint(fine * MM * np.array(strokes)).astype(np.int32)
        over = np.full(drawn.shape, 255, np.uint8)
        cv2.polylines(over, [points], False, ink, round(fine * MM * pen), cv2.LINE_AA)
        drawn = np.minimum(drawn, over)
    reduced = cv2.resize(drawn, (side, side), interpolation=cv2.INTER_AREA)
    return (sheet * (reduced / 255.0)).astype(np.uint8)


def upright(scale: float = MM) -> NDArray[np.float64]:
    """The pose of a page that is not turned: mm → px, pixel centres at whole numbers."""
    return np.array([[scale, 0, -0.5], [0, scale, -0.5], [0, 0, 1]])


def one(sheet: NDArray[np.uint8], matrix: NDArray[np.float64] | None = None) -> CutBox:
    return cut_boxes(sheet, upright() if matrix is None else matrix, [BOX])[0]


def noisy(sheet: NDArray[np.uint8]) -> NDArray[np.uint8]:
    noise = np.random.default_rng(1).normal(0, 6, sheet.shape)
    return np.clip(sheet + noise, 0, 255).astype(np.uint8)


def one_bit(sheet: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.where(sheet > 128, 255, 0).astype(np.uint8)


def jpeg(sheet: NDArray[np.uint8]) -> NDArray[np.uint8]:
    coded = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, 30])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)


COMB = ((2.0, 10.0, 8.0, 10.0), BOX, (18.0, 10.0, 8.0, 10.0))
EMPTY = {
    "separate boxes": page(),
    "adjoining boxes": page(boxes=COMB),
    "boxes in light red, grey as a scanner sees it": page(line=190),
    "boxes dropped out by the scanner": page(boxes=()),
    "paper stretched by half a millimetre": page(moved=(0.5, -0.4)),
    "a lamp from the left": page(light=lambda x: 130 + 120 * x / len(x)),
    "the edge of a shadow": page(light=lambda x: np.where(x < 165, 255.0, 150.0)),
    "grain": noisy(page()),
    "one bit": one_bit(noisy(page())),
    "JPEG": jpeg(noisy(page())),
    "a neighbour that reaches in": page([(19.7, 12), (22, 12), (17.6, 17)]),
    "a neighbour's number over both lines": page([(23, 12), (19, 14), (17.4, 15)]),
}


@pytest.mark.parametrize("sheet", EMPTY.values(), ids=EMPTY.keys())
def test_a_box_without_ink_of_its_own_is_blank(sheet: NDArray[np.uint8]) -> None:
    cell = one(sheet)
    assert cell.blank
    assert cell.crop.min() == 255


INKED = {
    "a faint pencil": {"ink": 228},
    "a hairline pen": {"pen": 0.2},
    "a marker": {"pen": 1.4},
    "boxes in light red": {"line": 190},
    "no lines at all": {"boxes": ()},
    "adjoining boxes": {"boxes": COMB},
    "a lamp from the left": {"light": lambda x: 130 + 120 * x / len(x)},
    "paper stretched by half a millimetre": {"moved": (0.5, -0.4)},
}


@pytest.mark.parametrize("how", INKED.values(), ids=INKED.keys())
def test_ink_of_every_kind_is_seen(how: dict[str, object]) -> None:
    cell = one(page(STROKES["a 7 in the middle"], **how))  # type: ignore[arg-type]
    assert not cell.blank
    seen = boxes_of(cell)
    assert len(seen) == 1
    assert seen[0][3] == pytest.approx(60 + 10 * float(how.get("pen", 0.6)), abs=5)  # type: ignore[arg-type]


def boxes_of(cell: CutBox) -> list[list[int]]:
    """List the things in a crop: x, y, width, height, area."""
    mask = (cell.crop < 255).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    return [row for row in stats[1:].tolist() if row[4] >= 8]


CLOSE = ((1.36, 10.0, 8.0, 10.0), BOX, (18.64, 10.0, 8.0, 10.0))


@pytest.mark.parametrize("sigma", [0.3, 2.5, 4])
def test_lines_so_close_that_they_run_together_are_taken_out(sigma: float) -> None:
    """Two lines 0.64 mm apart, sharp and so blurred that they are one."""
    empty = cv2.GaussianBlur(page(boxes=CLOSE), (0, 0), sigma)
    digit = cv2.GaussianBlur(page(STROKES["a 7 in the middle"], boxes=CLOSE), (0, 0), sigma)
    first, second = (
        cut_boxes(np.asarray(sheet, np.uint8), upright(), CLOSE)[1] for sheet in (empty, digit)
    )
    assert first.blank
    assert len(boxes_of(second)) == 1


def test_the_lines_of_another_fields_boxes_run_together_too() -> None:
    soft = np.asarray(cv2.GaussianBlur(page(boxes=CLOSE), (0, 0), 4), np.uint8)
    assert cut_boxes(soft, upright(), [BOX], CLOSE)[0].blank


def test_a_1_along_a_line_that_has_another_close_by_is_no_second_line() -> None:
    close = ((2.2, 10.0, 7.0, 10.0), BOX)
    sheet = page([(10.5, 12), (10.5, 18)], boxes=close)
    assert [cell.blank for cell in cut_boxes(sheet, upright(), close)] == [True, False]


def test_ink_that_two_boxes_have_is_not_read_twice() -> None:
    """A 1 on the line between two boxes of a comb is one digit, whosever it is."""
    for x in np.arange(9.6, 10.7, 0.1):
        comb = ((2.3, 10.0, 7.7, 10.0), (10.0, 10.0, 7.7, 10.0))
        found = cut_boxes(page([(x, 12), (x, 18.5)], boxes=comb), upright(), comb)
        inked = [cell for cell in found if not cell.blank]
        assert len(inked) == 1 or any(cell.shared for cell in inked), x


@pytest.mark.parametrize("name", STROKES)
@pytest.mark.parametrize("degrade", [lambda s: s, noisy, one_bit, jpeg])
def test_strokes_survive_the_lines_they_touch(
    name: str, degrade: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
) -> None:
    """What is left is as large as what was drawn, in one thing, and no line is left with it."""
    cell = one(degrade(page(STROKES[name], pen=0.7)))
    assert not cell.blank
    seen = boxes_of(cell)
    largest = max(seen, key=lambda row: row[4])
    assert largest[4] >= 0.9 * sum(row[4] for row in seen)
    points = np.array(STROKES[name])
    wide, high = 10 * (np.ptp(points, axis=0) + 0.7)
    assert largest[2] == pytest.approx(wide, abs=8)
    assert largest[3] == pytest.approx(high, abs=8)


@pytest.mark.parametrize("wide", [7.7, 7.9, 8.0, 8.4], ids=str)
def test_boxes_of_a_comb_have_one_line_between_them_however_their_places_round(wide: float) -> None:
    boxes = Field(name="a", box=(10 - wide, 10, 3 * wide, 10), cells=3).boxes()
    sheet = page([(10.3, 12), (10.3, 18.5)], boxes=tuple(boxes))  # a 1 along the line
    assert not cut_boxes(sheet, upright(), boxes)[1].blank


@settings(max_examples=30, deadline=None)
@given(
    angle=st.floats(-180, 180),
    scale=st.floats(4.0, 24.0),
    x=st.floats(11.5, 16.5),
    y=st.floats(11.5, 18.5),
)
def test_what_is_cut_out_is_what_stands_there(
    angle: float, scale: float, x: float, y: float
) -> None:
    """A spot drawn anywhere in a box comes back at its place, however the page is turned."""
    turn = np.radians(angle)
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    middle = np.array([15.0, 15.0])
    matrix = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1.0]])
    side = int(45 * scale)
    matrix[:2, 2] = side / 2 - matrix[:2, :2] @ middle
    sheet = np.full((side, side), 255, np.uint8)
    at = matrix @ [x, y, 1]
    centre = (round(16 * at[0]), round(16 * at[1]))
    cv2.circle(sheet, centre, round(16 * 0.8 * scale), 0, -1, cv2.LINE_AA, 4)
    cell = one(sheet, matrix)
    assert not cell.blank
    assert cell.fineness == pytest.approx(scale, rel=1e-6)
    ink = 255.0 - cell.crop
    seen_x = (ink.sum(0) @ np.arange(ink.shape[1])) / ink.sum()
    seen_y = (ink.sum(1) @ np.arange(ink.shape[0])) / ink.sum()
    assert seen_x / 10 == pytest.approx(x - 10, abs=0.25)
    assert seen_y / 10 == pytest.approx(y - 10, abs=0.25)


@pytest.mark.parametrize(
    ("line", "ink", "doubt"),
    [
        pytest.param(0, 60, "", id="a pen"),
        pytest.param(0, 90, "", id="a pencil"),
        pytest.param(0, 190, "far paler than its box, as a printed hint is", id="a light print"),
        pytest.param(190, 190, "", id="the box is as light"),
    ],
)
def test_what_is_far_paler_than_its_box_is_not_read(line: int, ink: int, doubt: str) -> None:
    cell = one(page(STROKES["a 7 in the middle"], line=line, ink=ink))
    assert not cell.blank
    assert cell.doubt == doubt


@pytest.mark.parametrize(
    ("ends", "through"),
    [
        ([(14, 5), (13, 25)], True),  # upright, a 1 if it were shorter
        ([(5, 14), (25, 16)], True),
        ([(14, 12), (14, 20.8)], False),  # a 1 that leaves its box
        ([(5, 14), (16, 16)], False),  # a neighbour's long stroke
    ],
)
def test_a_line_that_goes_through_is_told(ends: list[tuple[float, float]], through: bool) -> None:
    assert one(page(ends, pen=0.3)).through == through


@pytest.mark.parametrize("end", [(16, 25), (25, 17), (24, 22)])
def test_a_crease_that_breaks_the_printed_lines_is_told(end: tuple[int, int]) -> None:
    sheet = page()
    start = (12 * 2 - end[0] + 4, 15 * 2 - end[1])  # through the box, as far on the other side
    ends = [tuple(np.rint(16 * MM * np.array(one)).astype(int).tolist()) for one in (start, end)]
    cv2.line(sheet, *ends, 170, 4, cv2.LINE_AA, 4)
    cell = one(sheet)
    assert not cell.blank
    assert cell.through


def test_a_cell_says_where_it_stands_and_how_fine_the_page_is() -> None:
    cell = one(page())
    assert cell.place == pytest.approx((10 * MM - 0.5, 10 * MM - 0.5, 8 * MM, 10 * MM))
    assert cell.fineness == pytest.approx(MM)
    assert 72 / 25.4 < MIN_PAGE_PX_PER_MM < 100 / 25.4


def test_a_box_beyond_the_page_is_blank() -> None:
    sheet = page(STROKES["a 7 in the middle"])[: round(5 * MM)]
    assert one(sheet).blank


def watermark(sheet: NDArray[np.uint8], level: int = 225) -> NDArray[np.uint8]:
    """Lay a pale pattern of broad bars, across lines and paper, under a page."""
    slanted = [[(x, 8.0), (x + 3, 13.0), (x - 1, 18.0)] for x in (9.0, 13.0, 18.0)]
    under = np.full(sheet.shape, 255, np.uint8)
    for bar in slanted:
        points = np.rint(MM * np.array(bar)).astype(np.int32)
        cv2.polylines(under, [points], False, level, round(MM * 1.3), cv2.LINE_AA)
    return np.minimum(sheet, under)


@pytest.mark.parametrize("name", ["a 1 in the middle", "a 7 in the middle"])
def test_a_watermark_under_a_box_is_no_ink_where_something_is_written(name: str) -> None:
    """Where it lies under a line, pieces of the line stayed as strokes."""
    plain = one(page(STROKES[name], boxes=(BOX,))).crop < 128
    marked = one(watermark(page(STROKES[name], boxes=(BOX,)))).crop
    assert np.count_nonzero(marked < 128) == pytest.approx(np.count_nonzero(plain), rel=0.1)


def test_a_pencil_s_digit_over_a_watermark_is_read_all_the_same() -> None:
    assert not one(watermark(page(STROKES["a 7 in the middle"], ink=200, boxes=(BOX,)))).blank


def test_specks_are_no_ink() -> None:
    sheet = page()
    for x, y in ((13, 13), (15.5, 16), (12, 18)):
        sheet[round(y * MM), round(x * MM)] = 0
    assert one(sheet).blank


@pytest.mark.parametrize(
    "stroke",
    [[(12, 12), (14, 18)], [(12, 12), (16, 12)], [(14, 13), (14, 18.5)]],
    ids=["slanted", "level", "upright"],
)
def test_a_crop_says_where_it_lies_in_the_page(stroke: list[tuple[float, float]]) -> None:
    cell = one(page(stroke))
    left, top, wide, high = cell.shown
    y, x = np.nonzero(cell.crop < 120)
    across, down = wide / cell.crop.shape[1], high / cell.crop.shape[0]
    seen = [left + (x.min() + x.max() + 1) / 2 * across, top + (y.min() + y.max() + 1) / 2 * down]
    middle = np.mean(stroke, axis=0) * MM
    assert seen == pytest.approx(middle.tolist(), abs=2)


# --- a strip of boxes ---


def strip_of_boxes(
    count: int, *, gap: int = 0, thick: int = 2, high: int = 50, ink: int = 60, turned: float = 0
) -> NDArray[np.uint8]:
    """Draw a row of boxes, a figure in each: a stroke, a loop, or nothing, in turn."""
    wide = 44
    sheet = np.full((high + 24, 24 + count * (wide + gap)), 235, np.uint8)
    for n in range(count):
        x = 12 + n * (wide + gap)
        cv2.rectangle(sheet, (x, 12), (x + wide, 12 + high), ink, thick)
        if n % 3 == 0:
            cv2.line(sheet, (x + 16, 20), (x + 26, 4 + high), 40, 4, cv2.LINE_AA)
        elif n % 3 == 1:
            cv2.ellipse(sheet, (x + 22, 12 + high // 2), (11, 16), 0, 0, 360, 40, 3, cv2.LINE_AA)
    if turned:
        middle = sheet.shape[1] / 2, sheet.shape[0] / 2
        sheet = np.asarray(
            cv2.warpAffine(
                sheet,
                cv2.getRotationMatrix2D(middle, turned, 1),
                sheet.shape[::-1],
                borderValue=235,
            ),
            np.uint8,
        )
    return sheet


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"gap": 9},
        {"thick": 1},
        {"thick": 5},
        {"ink": 170},
        {"high": 90},
        {"high": 34},
        {"turned": 0.7},
        {"turned": -0.7, "gap": 8},
    ],
    ids=str,
)
@pytest.mark.parametrize("count", [2, 3, 8])
def test_the_boxes_of_a_strip_are_found(count: int, how: dict[str, Any]) -> None:
    found = cut_strip_boxes(strip_of_boxes(count, **how))
    assert [cell.blank for cell in found] == [n % 3 == 2 for n in range(count)]
    places = [12 + n * (44 + how.get("gap", 0)) for n in range(count)]
    assert [cell.place[0] for cell in found] == pytest.approx(places, abs=5)


def test_a_box_that_a_stroke_opens_or_parts_is_found_by_its_neighbours() -> None:
    sheet = strip_of_boxes(5, gap=6)
    cv2.line(sheet, (12 + 50 + 20, 6), (12 + 50 + 24, 70), 40, 4)  # through the second, top to foot
    sheet[10:16, 12 + 100 + 18 : 12 + 100 + 23] = 235  # the third is open at the top
    assert len(cut_strip_boxes(sheet)) == 5


@pytest.mark.parametrize(
    "sheet",
    [
        np.full((60, 200), 235, np.uint8),
        np.zeros((60, 200), np.uint8),
        np.full((1, 1), 9, np.uint8),
        strip_of_boxes(1),
        cv2.putText(np.full((60, 300), 235, np.uint8), "00000880", (9, 50), 0, 1.6, 40, 4),
        cv2.putText(np.full((60, 300), 235, np.uint8), "4711", (9, 50), 0, 1.6, 40, 3),
    ],
    ids=["white", "black", "a pixel", "one box", "loops", "digits"],
)
def test_what_is_no_row_of_boxes_has_none(sheet: NDArray[np.uint8]) -> None:
    assert cut_strip_boxes(sheet) == []


FREE = (4.0, 10.0, 22.0, 8.0)
"""A field without boxes, mm."""


def test_writing_across_the_frame_of_a_field_is_cut_whole() -> None:
    stroke = [(12, 13), (12, 21)]  # 3 mm of 8 are below the frame
    found = cut_free_field(page(stroke, boxes=[FREE]), upright(), FREE)
    rows = np.flatnonzero((found.crop < 128).any(axis=1))
    assert 7.5 <= np.ptp(rows) / 10 <= 8.6


@pytest.mark.parametrize("erased", [True, False])
def test_the_words_of_a_form_are_no_writing(erased: bool) -> None:
    word = [(6, 12), (6, 15), (8, 15), (8, 12)]
    blank = page(word, boxes=[FREE])
    filled = np.minimum(blank, page([(18, 12), (18, 16)], boxes=[FREE]))
    form = PrintedForm(blank, (30.0, 30.0)) if erased else None
    found = cut_free_field(filled, upright(), FREE, form)
    columns = np.flatnonzero((found.crop < 128).any(axis=0))
    assert (np.ptp(columns) < 10) == erased


def test_a_field_with_nothing_but_the_form_s_words_is_blank() -> None:
    blank = page([(6, 12), (6, 15), (8, 15), (8, 12)], boxes=[FREE])
    assert cut_free_field(blank, upright(), FREE, PrintedForm(blank, (30.0, 30.0))).blank
