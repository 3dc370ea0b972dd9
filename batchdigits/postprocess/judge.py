"""Findings become rows, by the threshold from which a value is `ok`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from batchdigits import calibrate
from batchdigits.calibrate import Thresholds
from batchdigits.extract.chunk import DigitSpot
from batchdigits.postprocess import numbers, rules
from batchdigits.predict.findings import DigitPrediction, Finding
from batchdigits.records import DigitRow, JudgedValue, Row
from batchdigits.templates.template import Field

MIN_INKED_BOXES, MIN_SURE_SHARE = 4, 0.3
"""Of so many boxes found on a page with ink in them, at least this share is sure, or none is."""
UNSURE_PAGE_DETAIL = (
    "most boxes of this page hold no sure number: it may lie on its side, or be no form"
)

BoxPredictions = Sequence[tuple[DigitSpot, DigitPrediction | None]]
"""The boxes of a field with their readings; None where there was no picture."""


class OutputRows(NamedTuple):
    """What findings say.

    Attributes:
        rows: of the table.
        digits: of the table of single digits; none where they are not wanted.
    """

    rows: list[Row]
    digits: list[DigitRow]


def judge_findings(
    file: str, findings: Iterable[Finding], thresholds: Thresholds, with_digits: bool = False
) -> OutputRows:
    """Turn the findings of a file, or of whole pages of it, into rows.

    Args:
        file: as the table spells it.
        findings: in order.
        thresholds: the confidences from which values are `ok`.
        with_digits: whether single digits are wanted too.
    """
    out = OutputRows([], [])
    found: dict[int, list[int]] = {}
    for one in findings:
        if not one.item.described:
            found.setdefault(one.item.page, []).append(len(out.rows))
        out.rows.append(make_row(file, one, thresholds))
        if with_digits:
            out.digits.extend(make_digit_rows(file, one))
    for at in found.values():
        _demote_unsure_page(out.rows, at)
    return out


def make_row(file: str, finding: Finding, thresholds: Thresholds) -> Row:
    """Say what a finding says."""
    item = finding.item
    name = "" if item.field is None else item.field.name
    return Row(file, item.page, name, *_judge_finding(finding, thresholds))


def _judge_finding(finding: Finding, thresholds: Thresholds) -> JudgedValue:
    item = finding.item
    if item.status is not None:
        return JudgedValue("", 0.0 if item.status == "review" else None, item.status, item.detail)
    if item.number is not None:
        if finding.number is None:
            return JudgedValue("", 0.0, "review", item.detail or numbers.NO_READER_DETAIL)
        return numbers.judge_number(item.field, finding.number, thresholds.numbers, item.detail)
    filled = list(zip(item.spots, finding.reads, strict=True))
    if item.field is None and len(filled) == 1:
        return judge_digit(*filled[0], thresholds.digits)
    return judge_field(item.field or rules.RULELESS_FIELD, filled, thresholds.digits, item.detail)


def make_digit_rows(file: str, finding: Finding) -> list[DigitRow]:
    """List the digits of a finding, from left to right."""
    item = finding.item
    name = "" if item.field is None else item.field.name
    out = []
    for at, one in enumerate(finding.digits, 1):
        out.append(DigitRow(file, item.page, name, at, *one[:4], *one.place))
    for at, (read, spot) in enumerate(zip(finding.reads, item.spots, strict=False), 1):
        if read is not None:
            said = str(read.digit), read.confidence, str(read.second), read.runner_up_confidence
            out.append(DigitRow(file, item.page, name, at, *said, *spot.place))
    return out


def _demote_unsure_page(rows: list[Row], at: Sequence[int]) -> None:
    """Set what is sure apart as well, where next to nothing on a page that was found is sure.

    A page on its side has boxes too, and here and there a 0, an 8, or a 6 that is a 9.
    """
    inked = [n for n in at if rows[n].status in ("ok", "review")]
    sure = [n for n in inked if rows[n].status == "ok"]
    if len(inked) >= MIN_INKED_BOXES and len(sure) < MIN_SURE_SHARE * len(inked):
        for n in sure:
            rows[n] = replace(rows[n], status="review", detail=UNSURE_PAGE_DETAIL)


def judge_digit(spot: DigitSpot, read: DigitPrediction | None, threshold: float) -> JudgedValue:
    """Say what an image of one digit holds."""
    if read is None:
        blank = spot.status == "blank"
        return JudgedValue("", None if blank else 0.0, "blank" if blank else "review", spot.detail)
    digit = str(read.digit)
    if read.other:
        detail = f"not a digit; if it is one, {digit} or {read.second}"
        return JudgedValue(digit, read.confidence, "review", detail)
    if read.confidence >= threshold:
        return JudgedValue(digit, read.confidence, "ok", "")
    detail = f"under {round(threshold, 10)}; may be {read.second}"
    return JudgedValue(digit, read.confidence, "review", detail)


def judge_field(
    field: Field, filled: BoxPredictions, threshold: float, why: str = ""
) -> JudgedValue:
    """Say what a field of a form holds.

    Args:
        field: with its rules.
        filled: its boxes, from left to right.
        threshold: the confidence from which a value is `ok`.
        why: not empty where the value is for review whatever it is, and says why.
    """
    if all(spot.status == "blank" for spot, _ in filled):
        if field.optional:
            return JudgedValue("", None, "blank", "no ink")
        return JudgedValue("", 0.0, "review", "blank, and not optional")
    unread = [(n, spot) for n, (spot, _) in enumerate(filled, 1) if spot.status == "review"]
    if unread:
        shown = "".join(_format_digit(read) for _, read in filled).strip("_")
        number, spot = unread[0]
        if field.cells is None:
            return JudgedValue("", 0.0, "review", spot.detail)
        none = "not digits: " if _has_mostly_nondigits(filled) else ""
        return JudgedValue("", 0.0, "review", f"{none}reads {shown}: box {number}: {spot.detail}")
    reads = {n: read for n, (_, read) in enumerate(filled, 1) if read}
    raw = "".join(str(read.digit) for read in reads.values())
    sure = calibrate.truncate_confidence(np.prod([read.confidence for read in reads.values()]))
    value = _judge_digits(field, raw, sure, reads, threshold)
    for fault in (why, _describe_gap(filled, field), _describe_nondigit(filled)):
        if fault:
            value = JudgedValue(raw, sure, "review", fault)
            break
    return value._replace(value=rules.insert_decimal_point(value.value, field.decimals))


def _format_digit(read: DigitPrediction | None) -> str:
    return "_" if read is None else str(read.digit)


def _judge_digits(
    field: Field, raw: str, sure: float, reads: Mapping[int, DigitPrediction], threshold: float
) -> JudgedValue:
    least = min(reads, key=lambda number: reads[number].confidence)
    box = f"box {least} " if len(reads) > 1 else ""
    second = f"{box}may be {reads[least].second}"
    confirmed = f"confirmed by its check digit ({field.check})" if field.check else ""
    read = rules.Reading(raw, sure, second, confirmed)
    cells = np.array([one.likely for one in reads.values()])
    find_likeliest = partial(rules.find_likeliest_value, field, cells)
    return rules.judge_by_rule(field, read, find_likeliest, threshold)


def _describe_gap(filled: BoxPredictions, field: Field) -> str:
    """Say whether a blank stands between digits, or behind those of an amount."""
    inked = [n for n, (spot, _) in enumerate(filled) if spot.status != "blank"]
    if len(inked) <= inked[-1] - inked[0]:
        blank = next(n for n in range(inked[0], inked[-1]) if n not in inked)
        return f"box {blank + 1} is blank between digits"
    if field.decimals and inked[-1] < len(filled) - 1:
        return f"box {len(filled)} is blank: which digits are decimals is not certain"
    return ""


def _has_mostly_nondigits(filled: BoxPredictions) -> bool:
    """Tell whether in most boxes that hold something that is no digit."""
    held = [(spot, read) for spot, read in filled if spot.status != "blank"]
    return 2 * sum(read is None or read.other for _, read in held) > len(held)


def _describe_nondigit(filled: BoxPredictions) -> str:
    """Say whether what stands in a box is no digit."""
    for number, (_, read) in enumerate(filled, 1):
        if read is not None and read.other:
            none = "not digits: " if _has_mostly_nondigits(filled) else ""
            return f"{none}box {number}: not a digit; if it is one, {read.digit} or {read.second}"
    return ""
