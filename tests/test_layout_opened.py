"""Numbers written below each other without boxes: which are found, and which are doubtful."""

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from test_layout import grid, paper

from batchdigits import layout
from batchdigits.cells.opened import cut_open_number
from batchdigits.records import GreyImage

SAMPLES = Path(__file__).parent.parent / "samples"
NUMBERS = ("482", "7395", "62", "953", "2748", "36")
HIGH, PITCH = 40, 70


def load_digits() -> dict[str, list[GreyImage]]:
    """Load the handwritten digits of the samples, ink dark, each cut to its ink."""
    out: dict[str, list[GreyImage]] = {digit: [] for digit in "0123456789"}
    with (SAMPLES / "truth.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            place = SAMPLES.parent / row["file"]
            if place.parent.name == "digits" and row["value"] in out:
                ink = cv2.imread(str(place), cv2.IMREAD_GRAYSCALE)
                assert ink is not None
                y, x = np.nonzero(ink > 80)
                out[row["value"]].append(255 - ink[y.min() : y.max() + 1, x.min() : x.max() + 1])
    return out


DIGITS = load_digits()


def write(page: GreyImage, number: str, right: int, top: int, *, gap: int = 8) -> tuple[int, ...]:
    """Write a number by hand that ends at the right; gives left, top, right, bottom of its ink."""
    left, highest, lowest = right, 10**6, 0
    for n, digit in enumerate(reversed(number)):
        sign = DIGITS[digit][(n + top) % len(DIGITS[digit])]
        high = HIGH + (top + 3 * n) % 7 - 3
        wide = max(3, round(sign.shape[1] * high / sign.shape[0]))
        drawn = cv2.resize(sign, (wide, high), interpolation=cv2.INTER_AREA)
        y = top + (5 * n + top) % 6
        place = page[y : y + high, left - wide : left]
        np.minimum(place, drawn, out=place)
        highest, lowest, left = min(highest, y), max(lowest, y + high), left - wide - gap
    return left + gap, highest, right, lowest


def listed(
    page: GreyImage, right: int = 400, numbers: tuple[str, ...] = NUMBERS
) -> list[tuple[int, ...]]:
    return [write(page, number, right, 100 + PITCH * n) for n, number in enumerate(numbers)]


def find_opened(page: GreyImage) -> list[layout.Found]:
    return [group for group in layout.find(page, upright=True) if group.opened]


def holds(quad: NDArray[np.float64], frame: tuple[int, ...], slack: float = 6) -> bool:
    low, high = quad.min(axis=0), quad.max(axis=0)
    left, top, right, bottom = frame
    return bool(
        low[0] <= left + slack
        and low[1] <= top + slack
        and high[0] >= right - slack
        and high[1] >= bottom - slack
    )


def rule_rows(page: GreyImage) -> None:
    for n in range(7):
        cv2.line(page, (60, 88 + PITCH * n), (840, 88 + PITCH * n), 150, 2)


def rule_column(page: GreyImage) -> None:
    for x in (180, 440):
        cv2.line(page, (x, 60), (x, 560), 0, 2)


def rule_dots(page: GreyImage) -> None:
    for n in range(6):
        for x in range(200, 600, 9):
            cv2.circle(page, (x, 155 + PITCH * n), 1, 60, -1)


def rule_nothing(page: GreyImage) -> None:
    pass


@pytest.mark.parametrize("rule", [rule_nothing, rule_rows, rule_column, rule_dots])
def test_each_number_of_a_list_is_found_alone(rule: Callable[[GreyImage], None]) -> None:
    page = paper()
    frames = listed(page)
    rule(page)
    (found,) = find_opened(page)
    assert found.names == tuple(f"r{n:02}c01" for n in range(1, 7))
    for quad, frame in zip(found.boxes, frames, strict=True):
        assert holds(quad, frame)
        assert sum(holds(quad, other) for other in frames) == 1


def test_columns_beside_each_other_are_one_table() -> None:
    page = paper()
    frames = listed(page) + listed(page, 700, ("51", "804", "67", "295", "43", "862"))
    (found,) = find_opened(page)
    assert found.names[:4] == ("r01c01", "r01c02", "r02c01", "r02c02")
    assert len(found.names) == 12
    assert holds(found.boxes[3], frames[7])


def test_a_list_is_found_on_a_page_that_lies_askew() -> None:
    page = paper()
    listed(page)
    rule_rows(page)
    matrix = cv2.getRotationMatrix2D((450, 350), 4, 1)
    askew = np.asarray(cv2.warpAffine(page, matrix, (900, 700), borderValue=255), np.uint8)
    (found,) = find_opened(askew)
    assert len(found.names) == 6


@pytest.mark.parametrize("size", [0.7, 1.0, 1.6])
def test_printed_numbers_are_not_found(size: float) -> None:
    page = paper()
    for n, number in enumerate(NUMBERS):
        at = (250, 130 + PITCH * n)
        cv2.putText(page, number, at, cv2.FONT_HERSHEY_DUPLEX, size, 0, 2, cv2.LINE_AA)
    assert find_opened(page) == []


def test_numbers_in_boxes_are_left_to_these() -> None:
    page = paper(900)
    grid(page, 100, 80, 6, 4, wide=120)
    page = cv2.resize(page, None, fx=1, fy=1.5, interpolation=cv2.INTER_AREA)
    for n, number in enumerate(("48", "73", "62", "95", "27", "36")):
        write(page, number, 200, 127 + 60 * n)
    groups = layout.find(np.asarray(page, np.uint8), upright=True)
    assert [(group.kind, len(group.boxes), group.opened) for group in groups] == [
        ("table", 24, False)
    ]


def test_a_frame_round_a_list_is_no_box_of_it() -> None:
    page = paper()
    listed(page)
    cv2.rectangle(page, (200, 60), (460, 600), 0, 2)
    groups = layout.find(page, upright=True)
    assert [(len(group.boxes), group.opened) for group in groups] == [(6, True)]


def dash(page: GreyImage, frame: tuple[int, ...]) -> None:
    left, top, _, bottom = frame
    middle = (top + bottom) // 2
    cv2.line(page, (left - 120, middle), (left + 2, middle), 0, 4)


def far(page: GreyImage, frame: tuple[int, ...]) -> None:
    write(page, "5", frame[0] - 34, frame[1])


def into(page: GreyImage, frame: tuple[int, ...]) -> None:
    left, _, right, bottom = frame
    cv2.line(page, ((left + right) // 2, bottom - 20), ((left + right) // 2 + 4, bottom + 45), 0, 4)


@pytest.mark.parametrize(
    ("spoil", "doubt"),
    [
        (dash, "what may be a minus stands before it: a value has no sign"),
        (far, "may be two numbers"),
        (into, "may be cut: its row and the next one run into each other"),
    ],
)
def test_what_may_be_another_number_is_doubtful(
    spoil: Callable[[GreyImage, tuple[int, ...]], None], doubt: str
) -> None:
    page = paper()
    frames = listed(page)
    spoil(page, frames[2])
    (found,) = find_opened(page)
    named = dict(zip(found.names, found.doubts, strict=True))
    assert named["r03c01"] == doubt
    assert named["r01c01"] == ""


def test_a_number_is_cut_out_without_its_row_lines_and_dash() -> None:
    page = paper()
    frames = listed(page)
    alone = paper()
    left, top, right, bottom = write(alone, NUMBERS[2], 400, 100 + PITCH * 2)
    ink = int((alone < 128).sum())
    rule_rows(page)
    dash(page, frames[2])
    quad = np.array(
        [
            [left - 12, top - 12],
            [right + 12, top - 12],
            [right + 12, bottom + 12],
            [left - 12, bottom + 12],
        ],
        np.float64,
    )
    cut = cut_open_number(page, *layout.flat(quad))
    scale = cut.crop.shape[0] / (bottom - top + 24)
    assert not cut.blank
    assert abs((cut.crop < 128).sum() / scale**2 / ink - 1) < 0.25


def test_an_empty_place_is_blank() -> None:
    page = paper()
    quad = np.array([[200, 100], [400, 100], [400, 160], [200, 160]], np.float64)
    assert cut_open_number(page, *layout.flat(quad)).blank
