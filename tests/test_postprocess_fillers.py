"""Fillers before a number, full stops and commas in boxes, and dates: what a field's row says."""

from typing import NamedTuple

import numpy as np
import pytest

from batchdigits.extract.chunk_builder import DigitSpot
from batchdigits.postprocess.judge import judge_field
from batchdigits.predict.findings import DigitPrediction
from batchdigits.templates import Field

PLACE = (0, 0, 10, 10)
Box = tuple[DigitSpot, DigitPrediction | None]


def digit(value: int, sure: float = 0.999, *, mark: str = "", point: bool = False) -> Box:
    likely = np.full(10, 1e-6)
    likely[(value + 1) % 10] = 1 - sure
    likely[value] = sure
    read = DigitPrediction(value, sure, (value + 1) % 10, False, likely.tolist())
    return DigitSpot(None, "", PLACE, mark, point), read


def other(mark: str = "x", sure: float = 0.95) -> Box:
    """A mark that the network takes for no digit with this probability, or else for an 8."""
    likely = [0.0] * 10
    likely[8] = 1 - sure
    read = DigitPrediction(8, 1 - sure, 1, sure > 0.5, likely)
    return DigitSpot(None, "", PLACE, mark), read


BLANK: Box = (DigitSpot("blank", "no ink", PLACE), None)
POINT: Box = digit(1, 0.9, mark=",")
SMALL_POINT: Box = (DigitSpot("review", "not a digit: a mark of 9%", PLACE, ","), None)
X, DASH, STAR, DOUBTED = other(), other("-"), other("*"), other("x", 0.05)
SCRAWL, HARDLY = other(""), digit(7, 0.35)


class Case(NamedTuple):
    keys: dict[str, object]
    boxes: list[Box]
    value: str
    status: str
    words: str


CASES = {
    "X X 5": Case({"filler": "x-"}, [X, X, digit(5)], "5", "ok", ""),
    "a dash and digits": Case({"filler": "x-"}, [DASH, digit(1), digit(2)], "12", "ok", ""),
    "an asterisk": Case({"filler": "*"}, [STAR, digit(1), digit(2)], "12", "ok", ""),
    "a filler, a blank box, a digit": Case({"filler": "x"}, [X, BLANK, digit(5)], "5", "ok", ""),
    "a filler that is not listed": Case(
        {"filler": "-"}, [X, digit(1), digit(2)], "12", "review", "box 1: an X, as in an empty box"
    ),
    "no filler is allowed": Case(
        {}, [X, X, digit(5)], "5", "review", "box 1: an X, as in an empty box"
    ),
    "no filler is allowed, and nothing else is there": Case(
        {"optional": True},
        [X, X, X],
        "",
        "review",
        "box 1: an X, as in an empty box: filler lists none",
    ),
    "an X alone in a row may be a digit struck out": Case(
        {}, [BLANK, BLANK, X], "8", "review", "box 3: not a digit"
    ),
    "a scrawl before an X is one more": Case(
        {}, [SCRAWL, X, digit(9)], "9", "review", "box 1: neither a digit nor clearly an X"
    ),
    "a doubtful X before a clear one is an X": Case(
        {"filler": "x"}, [other("x", 0.12), X, digit(5)], "5", "ok", ""
    ),
    "a doubtful X before a digit may be one": Case(
        {"filler": "x"}, [X, other("x", 0.12), digit(5)], "5", "review", "box 2 may be a digit"
    ),
    "what is hardly a digit before an X is one more": Case(
        {"filler": "x"},
        [HARDLY, X, digit(9)],
        "9",
        "review",
        "box 1: neither a digit nor clearly an X",
    ),
    "a digit before an X stays": Case(
        {}, [digit(4), X, digit(9)], "489", "review", "box 2: not a digit"
    ),
    "fillers alone, where a field may be empty": Case(
        {"filler": "x", "optional": True}, [X, X, X], "", "ok", "fillers alone: left empty"
    ),
    "fillers alone, where it may not": Case(
        {"filler": "x"}, [X, X, X], "", "review", "fillers alone, and not optional"
    ),
    "a filler behind digits is none: 12X may be 124": Case(
        {"filler": "x"}, [digit(1), digit(2), X], "128", "review", "box 3: not a digit"
    ),
    "a filler between digits": Case(
        {"filler": "x"}, [digit(1), X, digit(2)], "182", "review", "box 2: not a digit"
    ),
    "a digit that looks like an X, and the network is sure": Case(
        {"filler": "x"}, [digit(4, mark="x"), digit(1), digit(2)], "412", "ok", ""
    ),
    "an X that the network takes for a digit, by and large": Case(
        {"filler": "x"}, [DOUBTED, digit(1), digit(2)], "12", "review", "box 1 may be a digit"
    ),
    "something else before the digits": Case(
        {"filler": "x-"},
        [SCRAWL, digit(1), digit(2)],
        "12",
        "review",
        "box 1: neither a digit nor clearly an X or a dash",
    ),
    "a filler in an amount": Case(
        {"filler": "x", "decimals": 2}, [X, digit(1), digit(2), digit(3)], "1.23", "ok", ""
    ),
    "a comma before the decimals": Case(
        {"decimals": 2}, [digit(1), POINT, digit(5), digit(0)], "1.50", "ok", ""
    ),
    "a comma elsewhere": Case(
        {"decimals": 2},
        [digit(1), digit(2), POINT, digit(5)],
        "1.25",
        "review",
        "written 12.5: which digits are decimals is not certain",
    ),
    "121.50 where no decimals are": Case(
        {},
        [digit(1), digit(2), digit(1), POINT, digit(5), digit(0)],
        "12150",
        "review",
        "written 121.50: the digits behind the separator may be decimals",
    ),
    "a small full stop in a box": Case(
        {},
        [digit(1), SMALL_POINT, digit(5)],
        "15",
        "review",
        "written 1.5: the digits behind the separator may be decimals",
    ),
    "a full stop behind a digit, in its box": Case(
        {},
        [digit(1), digit(2, point=True), digit(5)],
        "125",
        "review",
        "written 12.5: the digits behind the separator may be decimals",
    ),
    "thousands": Case(
        {},
        [digit(5, point=True), digit(1), digit(8), digit(1)],
        "5181",
        "ok",
        "written 5.181",
    ),
    "a full stop behind all digits": Case({}, [digit(1), digit(2, point=True)], "12", "ok", ""),
    "a comma before all digits": Case({}, [POINT, digit(2)], "2", "ok", ""),
    "a comma alone": Case({}, [BLANK, POINT], "", "review", "a full stop or a comma alone"),
    "a day": Case({"date": "DDMMYY"}, [digit(int(d)) for d in "311226"], "311226", "ok", ""),
    "a day written with full stops": Case(
        {"date": "DDMMYY"},
        [digit(int(d), point=n in {1, 3}) for n, d in enumerate("311226")],
        "311226",
        "ok",
        "",
    ),
    "a doubtful day of which no other is near": Case(
        {"date": "DDMMYY"},
        [digit(3, 0.9), *[digit(int(d)) for d in "11226"]],  # 41 is no day
        "311226",
        "ok",
        "confirmed: a day that exists",
    ),
    "the second likeliest is a day": Case(
        {"date": "DDMMYY"},
        [digit(3), digit(1), digit(0, 0.6), digit(2), digit(2), digit(6)],
        "311226",
        "ok",
        "corrected by rule: read as 310226, which is no day, written DDMMYY",
    ),
    "no day": Case(
        {"date": "DDMMYY"},
        [digit(int(d), 0.9999) for d in "310226"],
        "310226",
        "review",
        "310226 is no day, written DDMMYY",
    ),
}


@pytest.mark.parametrize("why", CASES)
def test_a_row_says_what_is_in_the_boxes(why: str) -> None:
    case = CASES[why]
    count = {} if "date" in case.keys else {"cells": len(case.boxes)}
    field = Field.model_validate({"name": "a", "box": (0, 0, 80, 10), **count, **case.keys})
    found = judge_field(field, case.boxes, 0.95)
    assert (found.value, found.status) == (case.value, case.status), found
    assert case.words in found.detail
    assert bool(found.detail) >= (found.status != "ok")
    assert found.confidence is not None


def test_a_filler_lowers_the_confidence_by_its_own_doubt() -> None:
    field = Field(name="a", box=(0, 0, 80, 10), cells=2, filler="x")
    sure, less = (
        judge_field(field, [other("x", share), digit(5)], 0.5).confidence for share in (0.99, 0.3)
    )
    assert sure is not None
    assert less is not None
    assert 0.9 < less < sure < 0.999
