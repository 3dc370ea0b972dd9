"""The value of a field comes from the readings of its boxes."""

import numpy as np
import pytest

from batchdigits.extract.chunk_builder import DigitSpot
from batchdigits.postprocess.judge import judge_field
from batchdigits.predict.findings import DigitPrediction
from batchdigits.templates import Field


def read(digit: int, confidence: float, second: int, *, other: bool = False) -> DigitPrediction:
    likely = np.full(10, 1e-6)
    likely[second] = 1 - confidence
    likely[digit] = confidence
    return DigitPrediction(digit, confidence, second, other, likely)


def filled(*reads: DigitPrediction | str) -> list[tuple[DigitSpot, DigitPrediction | None]]:
    """Fill boxes: with readings, with nothing (blank), or with what no one can read."""
    place = (0, 0, 10, 10)
    out: list[tuple[DigitSpot, DigitPrediction | None]] = []
    for one in reads:
        if isinstance(one, DigitPrediction):
            out.append((DigitSpot(None, "", place), one))
        elif one:
            out.append((DigitSpot("review", one, place), None))
        else:
            out.append((DigitSpot("blank", "no ink", place), None))
    return out


def a_field(**more: object) -> Field:
    return Field.model_validate({"name": "a", "box": (0, 0, 80, 10), "cells": 8, **more})


SURE = [read(n, 0.999, n + 1) for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("field", "boxes", "wanted"),
    [
        ({}, SURE, ("123", 0.9970, "ok", "")),
        ({}, [*SURE, "", ""], ("123", 0.9970, "ok", "")),  # a short number leaves boxes blank
        ({}, ["", *SURE], ("123", 0.9970, "ok", "")),
        ({}, [SURE[0], "", SURE[1]], ("12", 0.9980, "review", "box 2 is blank between digits")),
        ({}, ["", ""], ("", 0.0, "review", "blank, and not optional")),
        ({"optional": True}, ["", ""], ("", None, "blank", "no ink")),
        (
            {},
            [SURE[0], read(7, 0.8, 1)],
            ("17", 0.7992, "review", "under 0.95; box 2 may be 1"),
        ),
        (
            {},
            ["", SURE[0], read(7, 0.8, 1)],
            ("17", 0.7992, "review", "under 0.95; box 3 may be 1"),
        ),
        (
            {},
            [SURE[0], read(7, 0.3, 1, other=True)],
            ("17", 0.2996, "review", "box 2: not a digit; if it is one, 7 or 1"),
        ),
        (
            {},
            [SURE[0], "a mark of 10%", SURE[2]],
            ("", 0.0, "review", "reads 1_3: box 2: a mark of 10%"),
        ),
        ({"decimals": 2}, [*SURE, SURE[0]], ("12.31", 0.9960, "ok", "")),
        ({"decimals": 2}, ["", "", SURE[0]], ("0.01", 0.999, "ok", "")),
        (
            {"decimals": 2},
            [*SURE, ""],
            ("1.23", 0.9970, "review", "box 4 is blank: which digits are decimals is not certain"),
        ),
        ({"pattern": "1[0-9]*"}, SURE, ("123", 0.9970, "ok", "")),
        ({"max": 122}, SURE, ("123", 0.9970, "review", "123 is over 122; may be 120")),
        (
            {"pattern": "[0-4][0-9]"},
            [read(7, 0.9, 1), SURE[0]],
            ("71", 0.8991, "review", "71 does not match [0-4][0-9]; may be 11"),
        ),
        (  # of the values that are near, Luhn allows this one alone
            {"check": "luhn"},
            [read(5, 0.9, 6), read(9, 0.999, 1)],
            ("59", 0.9988, "ok", "confirmed by its check digit (luhn)"),
        ),
        (  # the digit alone is as good as certain: whoever wrote it broke the rule
            {"pattern": "[0-4][0-9]"},
            [read(7, 0.9999, 1), SURE[0]],
            ("71", 0.9989, "review", "71 does not match [0-4][0-9]; may be 11"),
        ),
        (
            {"pattern": "[0-4][0-9]"},
            [read(7, 0.52, 1), SURE[0]],
            ("11", 0.9883, "ok", "corrected by rule: read as 71, which does not match [0-4][0-9]"),
        ),
    ],
)
def test_a_field_says_what_its_boxes_hold(
    field: dict[str, object], boxes: list[DigitPrediction | str], wanted: tuple[object, ...]
) -> None:
    found = judge_field(a_field(**field), filled(*boxes), 0.95)
    assert found == wanted


def test_what_a_page_says_of_itself_puts_its_fields_into_review() -> None:
    found = judge_field(a_field(), filled(*SURE), 0.95, "boxes of 20 px are too few pixels")
    assert found == ("123", 0.9970, "review", "boxes of 20 px are too few pixels")
