"""Candidates of a number become its value, and what to say of it."""

import re

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
from batchdigits.templates.template import Field

MAX_NUMBER_DIGITS = 20
"""Digits of a number, at most."""
MAX_SPACING_HEIGHTS, MAX_SPACING_RATIO = 2.0, 1.8
"""Digits further apart, from middle to middle, than so many times the ink's height are of two
numbers, unless all stand far apart, as in boxes: then than so many times the median distance. The
most in 1,080 amounts was 1.75."""
NO_READER_DETAIL = "a number of several digits: the model has no number reader (number.keras)"


def judge_number(
    field: Field | None, found: DecodedStrip, threshold: float, why: str = ""
) -> JudgedValue:
    """Say what a number is.

    Args:
        field: with its rules; None for an image that is one number.
        found: how it was read; candidates calibrated.
        threshold: the confidence from which a value is `ok`.
        why: not empty where the number is for review whatever it is, and says why.
    """
    numbers = [(text, share) for text, share in found.candidates if text and NO_DIGIT not in text]
    raw, share = numbers[0] if numbers else ("", 0.0)
    sure = calibrate.truncate_confidence(share)
    decimals = field.decimals if field else 0
    fault = why or _describe_number_fault(found, raw)
    if fault:
        return JudgedValue(
            rules.insert_decimal_point(raw, decimals), sure if raw else 0.0, "review", fault
        )
    value = _judge_candidates(field, numbers, threshold)
    inner, doubt = _describe_separators(field, found.full_text, value)
    if doubt and value.status == "ok":
        value = value._replace(status="review", detail=doubt)
    elif inner and value.status == "ok":
        both = (f"written {inner}", value.detail)
        value = value._replace(detail="; ".join(filter(None, both)))
    return value._replace(value=rules.insert_decimal_point(value.value, decimals))


def _describe_number_fault(found: DecodedStrip, raw: str) -> str:
    """Say why a strip is no number, or more than one."""
    best = found.candidates[0][0]
    if not best:
        return "not digits: not a number, no digits are seen"
    if NO_DIGIT in best:
        seen = f"; may be {raw}" if raw else ""
        what = f"read as {found.full_text}, where {NO_DIGIT} is no digit{seen}"
        return f"not digits, so not a number: {what}"
    if len(raw) > MAX_NUMBER_DIGITS:
        return f"{len(raw)} digits, more than the {MAX_NUMBER_DIGITS} that a number may have"
    at = _find_number_gap(
        [sign.column for sign in found.signs if sign.name not in SEPARATOR_CHARACTERS]
    )
    if at:
        return f"two numbers on one line, or a wide gap: read as {best[:at]} {best[at:]}"
    return ""


def _find_number_gap(columns: list[int]) -> int:
    """Tell how many digits stand before a gap as between two numbers; 0 where there is none."""
    if len(columns) < 2:
        return 0
    apart = np.diff(columns) * COLUMN_STRIDE_PX / INK_HEIGHT_PX
    at = int(apart.argmax())
    others = np.delete(apart, at)
    usual = float(np.median(others)) if len(others) else 0.0
    return at + 1 if apart[at] > max(MAX_SPACING_HEIGHTS, MAX_SPACING_RATIO * usual) else 0


def _judge_candidates(
    field: Field | None, numbers: calibrate.Candidates, threshold: float
) -> JudgedValue:
    """Judge candidates by the field's rule; what a rule lifts over the threshold says so."""
    (raw, share), *others = numbers
    sure = calibrate.truncate_confidence(share)
    broken = rules.describe_broken_rule(field, raw) if field else ""
    if not broken and sure >= threshold:
        return JudgedValue(raw, sure, "ok", "")
    likely = None
    if field and (broken or field.check or field.pattern):
        likely = rules.choose_candidate(field, numbers)
    confidence = calibrate.truncate_confidence(likely.confidence) if likely else 0.0
    if not broken:
        if likely and likely.digits == raw and confidence >= threshold:
            return JudgedValue(raw, confidence, "ok", "confirmed by its rule")
        second = f"; may be {others[0][0]}" if others else ""
        return JudgedValue(raw, sure, "review", f"under {round(threshold, 10)}{second}")
    if likely and confidence >= threshold:
        detail = f"corrected by rule: read as {raw}, which {broken}"
        return JudgedValue(likely.digits, confidence, "ok", detail)
    instead = f"; may be {likely.digits}" if likely else ""
    return JudgedValue(raw, sure, "review", f"{raw} {broken}{instead}")


def _describe_separators(field: Field | None, seen: str, value: JudgedValue) -> tuple[str, str]:
    """Tell of the separators among the digits; give how it is written, and what is in doubt."""
    inner = seen.strip(SEPARATOR_CHARACTERS)
    parts = re.split(f"[{re.escape(SEPARATOR_CHARACTERS)}]+", inner)
    decimals = field.decimals if field else 0
    if decimals:
        if len(parts) > 1 and len(parts[-1]) == decimals and _has_thousands_groups(parts[:-1]):
            return "", ""
        where = f"written {inner}" if len(parts) > 1 else "no separator is seen"
        return "", f"{where}: which digits are decimals is not certain"
    if len(parts) == 1:
        return "", ""
    if _has_thousands_groups(parts) or (field and field.pattern and value.status == "ok"):
        return inner, ""
    return "", f"written {inner}: the digits behind the separator may be decimals"


def _has_thousands_groups(parts: list[str]) -> bool:
    """Tell whether digits are parted as at thousands."""
    return len(parts) == 1 or (len(parts[0]) <= 3 and all(len(part) == 3 for part in parts[1:]))
