"""Judge numbers written freely: the candidates of a strip become a value."""

import re
from functools import partial

import numpy as np

from batchdigits import calibrate
from batchdigits.postprocess import rules
from batchdigits.predict.decoding import (
    COLUMN_STRIDE_PX,
    INK_HEIGHT_PX,
    NO_DIGIT,
    SEPARATOR_CHARACTERS,
    DecodedStrip,
)
from batchdigits.records import JudgedValue
from batchdigits.templates.field import Field

MAX_NUMBER_DIGITS = 20
"""Most digits of a number."""
MAX_SPACING_HEIGHTS, MAX_SPACING_RATIO = 2.0, 1.8
"""A gap between the middles of two digits separates two numbers if it is more than the first times
the ink's height. It must also be more than the second times the median gap, since in boxes all
digits stand far apart. The most in 1,080 amounts was 1.75."""
LIKELY = 0.25
"""Where all that is seen is no digit, a number is told only if it has so much probability."""
NO_READER_DETAIL = "a number of several digits: the model has no number reader (number.keras)"


def judge_number(
    field: Field | None, decoded: DecodedStrip, threshold: float, reason: str = ""
) -> JudgedValue:
    """Judge a number.

    Args:
        field: its rules and decimals; None for an image that is one number.
        decoded: how the strip was read; its candidates are calibrated.
        threshold: the confidence from which a value is `ok`.
        reason: why the number is for review, whatever it is; empty if there is no reason.
    """
    numbers = [(text, share) for text, share in decoded.candidates if text and NO_DIGIT not in text]
    raw, share = numbers[0] if numbers else ("", 0.0)
    if share < LIKELY and set(decoded.candidates[0][0]) == {NO_DIGIT}:
        raw, share = "", 0.0
    confidence = calibrate.truncate_confidence(share)
    field = field or rules.RULELESS_FIELD
    fault = reason or _describe_number_fault(decoded, raw)
    if fault:
        return JudgedValue(
            rules.insert_decimal_point(raw, field.decimals),
            confidence if raw else 0.0,
            "review",
            fault,
        )
    value = _judge_candidates(field, numbers, confidence, threshold)
    value = judge_separators(field, decoded.full_text, value)
    return value._replace(value=rules.insert_decimal_point(value.value, field.decimals))


def judge_separators(field: Field, seen: str, value: JudgedValue) -> JudgedValue:
    """Judge the separators of a number: send it to review where they may part decimals.

    Args:
        field: its pattern and decimals.
        seen: the number as it is written, digits and `SEPARATOR_CHARACTERS`.
        value: what it was judged before; only a value that is `ok` is changed.
    """
    if value.status != "ok":
        return value
    inner, doubt = _describe_separators(field, seen, value)
    if doubt:
        return value._replace(status="review", detail=doubt)
    parts = (f"written {inner}" if inner else "", value.detail)
    return value._replace(detail="; ".join(filter(None, parts)))


def _describe_number_fault(decoded: DecodedStrip, raw: str) -> str:
    """Return why a strip is no number, or more than one number; empty if it is one."""
    best = decoded.candidates[0][0]
    if not best:
        return "not digits: not a number, no digits are seen"
    if NO_DIGIT in best:
        seen = f"; may be {raw}" if raw else ""
        what = f"read as {decoded.full_text}, where {NO_DIGIT} is no digit{seen}"
        return f"not digits, so not a number: {what}"
    if len(raw) > MAX_NUMBER_DIGITS:
        return f"{len(raw)} digits, more than the {MAX_NUMBER_DIGITS} that a number may have"
    gap = _find_number_gap(
        [sign.column for sign in decoded.signs if sign.name not in SEPARATOR_CHARACTERS]
    )
    if gap:
        return f"two numbers on one line, or a wide gap: read as {best[:gap]} {best[gap:]}"
    return ""


def _find_number_gap(columns: list[int]) -> int:
    """Return how many digits stand before a gap between two numbers; 0 if there is none."""
    if len(columns) < 2:
        return 0
    apart = np.diff(columns) * COLUMN_STRIDE_PX / INK_HEIGHT_PX
    at = int(apart.argmax())
    others = np.delete(apart, at)
    usual = float(np.median(others)) if len(others) else 0.0
    return at + 1 if apart[at] > max(MAX_SPACING_HEIGHTS, MAX_SPACING_RATIO * usual) else 0


def _judge_candidates(
    field: Field, numbers: calibrate.Candidates, confidence: float, threshold: float
) -> JudgedValue:
    raw = numbers[0][0]
    alternative = f"may be {numbers[1][0]}" if len(numbers) > 1 else ""
    confirmed = "confirmed by its rule" if field.check or field.pattern else ""
    read = rules.Reading(raw, confidence, alternative, confirmed)
    find_likeliest = partial(rules.choose_candidate, field, numbers)
    return rules.judge_by_rule(field, read, find_likeliest, threshold)


def _describe_separators(field: Field, seen: str, value: JudgedValue) -> tuple[str, str]:
    """Return how a number with separators is written, and why its separators are in doubt.

    Both are empty where there is nothing to tell.
    """
    inner = seen.strip(SEPARATOR_CHARACTERS)
    parts = re.split(f"[{re.escape(SEPARATOR_CHARACTERS)}]+", inner)
    if field.decimals:
        if (
            len(parts) > 1
            and len(parts[-1]) == field.decimals
            and _has_thousands_groups(parts[:-1])
        ):
            return "", ""
        where = f"written {inner}" if len(parts) > 1 else "no separator is seen"
        return "", f"{where}: which digits are decimals is not certain"
    if len(parts) == 1:
        return "", ""
    if _has_thousands_groups(parts) or (field.pattern and value.status == "ok"):
        return inner, ""
    return "", f"written {inner}: the digits behind the separator may be decimals"


def _has_thousands_groups(parts: list[str]) -> bool:
    """Return whether the parts of a number are groups of thousands."""
    return len(parts) == 1 or (len(parts[0]) <= 3 and all(len(part) == 3 for part in parts[1:]))
