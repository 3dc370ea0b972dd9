"""How a page lies, and which of its boxes are one value."""

from collections import Counter
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from test_layout import grid, paper, row

from batchdigits import layout
from batchdigits.layout.turns import find_turn, lay_upright
from batchdigits.records import GreyImage

TEXT = (
    "Please write one figure into each box, with a dark pen,",
    "and do not fold this page. Return it before the 27th of",
    "May to the address below; later answers are not counted.",
)


def write(page: GreyImage, words: str, x: int, y: int, size: float = 0.7) -> None:
    cv2.putText(page, words, (x, y), cv2.FONT_HERSHEY_COMPLEX, size, 0, 1, cv2.LINE_AA)


def letter() -> GreyImage:
    """A page with text, a row of boxes, and a figure in each."""
    page = paper(900, 900)
    for n, line in enumerate(TEXT):
        write(page, line, 60, 80 + 40 * n)
    row(page, 100, 300, 8)
    for n in range(8):
        write(page, str(2 + n % 6), 111 + 40 * n, 336, 1.0)
    return page


@pytest.mark.parametrize("quarters", range(4))
def test_page_of_text_is_laid_upright_from_any_turn(quarters: int) -> None:
    page = letter()
    turn = find_turn(np.ascontiguousarray(np.rot90(page, quarters)))
    assert (turn.quarters, turn.sure) == (quarters, True)
    laid = lay_upright(np.ascontiguousarray(np.rot90(page, quarters)), turn)
    np.testing.assert_array_equal(laid, page)


@pytest.mark.parametrize("quarters", range(4))
def test_boxes_of_a_turned_page_are_given_as_it_lies(quarters: int) -> None:
    page = letter()
    upright = layout.find(page)
    assert [(one.kind, set(one.names), len(one.boxes)) for one in upright] == [
        ("boxes", {"box_001"}, 8)
    ]
    lying = np.ascontiguousarray(np.rot90(page, quarters))
    found = layout.find(lying)
    assert [(one.names, one.doubts) for one in found] == [
        (one.names, one.doubts) for one in upright
    ]
    cut = [
        cv2.warpPerspective(
            picture, np.linalg.inv(layout.flat(boxes[0])[0] @ np.diag([0.1, 0.1, 1])), (60, 75)
        )
        for picture, boxes in ((page, upright[0].boxes), (lying, found[0].boxes))
    ]
    assert np.abs(cut[0].astype(int) - cut[1]).mean() < 12, "the figure stands upright in its box"


@pytest.mark.parametrize(
    ("figures", "doubt", "why"),
    [
        ("0000", layout.UPSIDE_DOWN, "noughts look alike upside down"),
        ("2745", "", "these do not"),
        ("", layout.UPSIDE_DOWN, "an empty form without a word on it says nothing"),
    ],
)
def test_what_reads_alike_at_two_turns_is_doubted(figures: str, doubt: str, why: str) -> None:
    page = paper()
    row(page, 100, 100, 4)
    for n, figure in enumerate(figures):
        write(page, figure, 111 + 40 * n, 136, 1.0)
    (found,) = layout.find(page)
    assert set(found.doubts) == {doubt}, why


def spanned(page: GreyImage) -> None:
    """Three boxes under one heading."""
    for y in (100, 170, 240):
        cv2.line(page, (100, y), (660, y), 0, 2)
    for x in (100, 420, 660):
        cv2.line(page, (x, 100), (x, 240), 0, 2)
    for x in (500, 580):
        cv2.line(page, (x, 170), (x, 240), 0, 2)


def headed(page: GreyImage) -> None:
    """Three boxes under a heading each, beside a wide cell."""
    spanned(page)
    for x, words in ((425, "first"), (505, "third"), (585, "sixth")):
        write(page, words, x, 145, 0.8)
    for x in (500, 580):
        cv2.line(page, (x, 100), (x, 170), 0, 2)


def beside(page: GreyImage) -> None:
    """Three boxes in the lower row of a table, beside a wide cell."""
    spanned(page)
    cv2.line(page, (420, 103), (420, 167), 255, 4)
    cv2.line(page, (300, 103), (300, 167), 0, 2)


def stacked(page: GreyImage) -> None:
    """Three rows of three boxes right below each other, beside wide cells."""
    for y in range(100, 221, 40):
        cv2.line(page, (100, y), (600, y), 0, 2)
    for x in (100, 480, 520, 560, 600):
        cv2.line(page, (x, 100), (x, 220), 0, 2)


def flanked(page: GreyImage) -> None:
    """Two rows of three boxes between wide cells, a digit in each."""
    for y in (100, 140, 180):
        cv2.line(page, (100, y), (660, y), 0, 2)
    for x in (100, 300, 340, 380, 420, 660):
        cv2.line(page, (x, 100), (x, 180), 0, 2)
    for y in (130, 170):
        for x, digit in ((308, "2"), (348, "0"), (388, "3")):
            write(page, digit, x, y, 0.9)


def flanked_marks(page: GreyImage) -> None:
    """The same under a row of headings."""
    flanked(page)
    page[:98] = 255
    for x in (100, 300, 340, 380, 420, 660):
        cv2.line(page, (x, 60), (x, 100), 0, 2)
    cv2.line(page, (100, 60), (660, 60), 0, 2)
    for x in (302, 342, 382):
        write(page, "abc", x, 85, 0.5)


def sudoku(page: GreyImage) -> None:
    """A grid of equal pitch."""
    grid(page, 100, 100, 9, 9, wide=40)


def two_grids(page: GreyImage) -> None:
    """Cells that are too wide for one digit."""
    grid(page, 100, 100, 2, 5, wide=70)


@pytest.mark.parametrize(
    ("make", "values", "doubt", "why"),
    [
        (spanned, {3: 1, 1: 3}, "", "a heading spans them"),
        (headed, {1: 8}, "", "each has its own heading"),
        (beside, {3: 1, 1: 3}, "", "the row's other cell is wider"),
        (stacked, {1: 12}, "may be one number", "a grid or numbers: nobody can tell"),
        (flanked, {3: 2, 1: 4}, "may be a value for each box", "digits between wider cells"),
        (flanked_marks, {1: 15}, "may be one number", "a cell above may be a heading"),
        (sudoku, {1: 81}, "", "a grid of equal pitch"),
        (two_grids, {1: 10}, "", "cells for whole numbers"),
    ],
)
def test_adjoining_boxes_are_one_value_where_the_table_says_so(
    make: Callable[[GreyImage], None], values: dict[int, int], doubt: str, why: str
) -> None:
    page = paper()
    write(page, TEXT[0], 60, 60)
    make(page)
    (found,) = layout.find(page)
    assert Counter(Counter(found.names).values()) == values, why
    assert set(found.doubts) <= {"", doubt}, why
    assert (doubt in found.doubts) == bool(doubt or "" in found.doubts), why


@pytest.mark.parametrize(
    ("more", "doubt"),
    [
        ("", ""),
        ("7", "may go on in a box that was not found"),
        ("of the year 1987", ""),
    ],
)
def test_row_that_may_go_on_is_doubted(more: str, doubt: str) -> None:
    page = paper()
    write(page, TEXT[0], 60, 60)
    row(page, 100, 200, 4)
    for n in range(4):
        write(page, "3", 111 + 40 * n, 236, 1.0)
    size = 1.0 if len(more) == 1 else 0.5
    write(page, more, 270, 236, size)
    (found,) = layout.find(page)
    assert set(found.doubts) == {doubt}


def test_lone_box_of_which_the_next_was_not_found_is_doubted() -> None:
    page = paper()
    write(page, TEXT[0], 60, 60)
    row(page, 100, 200, 1)
    for n in range(3):
        write(page, "3", 111 + 40 * n, 236, 1.0)
    (found,) = layout.find(page)
    assert found.doubts == ("may go on in a box that was not found",)


@pytest.mark.parametrize(
    ("figures", "doubt", "why"),
    [
        ("23", "", "the wide cell beside them is empty"),
        ("123", "may go on in a box that was not found", "a 1 stands where the third box would be"),
    ],
)
def test_number_in_a_table_whose_first_box_was_not_found_is_doubted(
    figures: str, doubt: str, why: str
) -> None:
    page = paper()
    write(page, TEXT[0], 60, 60)
    for y in (100, 170, 240):
        cv2.line(page, (100, y), (660, y), 0, 2)
    for x in (100, 660):
        cv2.line(page, (x, 100), (x, 240), 0, 2)
    for x in (520, 590):
        cv2.line(page, (x, 170), (x, 240), 0, 2)
    for n, figure in enumerate(reversed(figures)):
        write(page, figure, 612 - 70 * n, 222, 1.4)
    (found,) = layout.find(page)
    pair = [d for name, d in zip(found.names, found.doubts, strict=True) if name == "r02c02"]
    assert pair == [doubt] * 2, why


def test_dense_page_keeps_its_boxes() -> None:
    page = paper(2000, 1500)
    for n in range(30):
        row(page, 60, 60 + 64 * n, 33, side=40)
    found = layout.find(page, upright=True)
    assert [(one.kind, len(one.boxes)) for one in found] == [("boxes", 33)] * 30


def test_squared_paper_has_no_boxes() -> None:
    page = paper(1600, 1600)
    page[::40], page[:, ::40] = 120, 120
    assert layout.find(page, upright=True) == []


def dusty(page: GreyImage) -> None:
    for n in range(12):
        cv2.circle(page, (80 + 60 * n, 100 + 40 * n), 1, 90, -1)


def grainy(page: GreyImage) -> None:
    page[:] = np.random.default_rng(1).normal(246, 3, page.shape).clip(0, 255)


def lidded(page: GreyImage) -> None:
    page[:, :12] = 60


def penned(page: GreyImage) -> None:
    cv2.line(page, (400, 300), (420, 380), 190, 3)


def headed(page: GreyImage) -> None:
    cv2.line(page, (400, 100), (420, 180), 190, 3)


def dim(page: GreyImage) -> None:
    page[:] = 90


@pytest.mark.parametrize(
    ("make", "empty", "why"),
    [
        (dusty, True, "dust"),
        (grainy, True, "the grain of paper"),
        (lidded, True, "the shadow of a lid"),
        (penned, False, "a pale stroke"),
        (headed, False, "a pale stroke at the top, where is looked first"),
        (dim, False, "no white scan"),
        (sudoku, False, "a blank form is not a blank page"),
    ],
)
def test_white_page_is_empty(make: Callable[[GreyImage], None], empty: bool, why: str) -> None:
    page = paper(1400, 1000)
    make(page)
    assert layout.is_empty(page) == empty, why
