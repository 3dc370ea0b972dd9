"""Turn findings into rows, by the threshold from which a value is `ok`."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from batchdigits import calibrate
from batchdigits.calibrate import Thresholds
from batchdigits.extract.chunk_builder import DigitSpot
from batchdigits.postprocess import numbers, rules
from batchdigits.predict.findings import DigitPrediction, Finding
from batchdigits.records import DigitRow, JudgedValue, Row
from batchdigits.templates.template import Field

BoxPredictions = Sequence[tuple[DigitSpot, DigitPrediction | None]]
"""The boxes of a field with their predictions; None where there was no picture."""


class OutputRows(NamedTuple):
    """The rows of two tables.

    Attributes:
        rows: of the table of values.
        digits: of the table of single digits; empty where it is not wanted.
    """

    rows: list[Row]
    digits: list[DigitRow]


def judge_findings(
    file: str, findings: Iterable[Finding], thresholds: Thresholds, with_digits: bool = False
) -> OutputRows:
    """Turn the findings of a file into rows.

    A page with nothing on it is `blank` beside a page that was read: it is the back of a sheet.

    Args:
        file: its name as the table spells it.
        findings: in order.
        thresholds: the confidences from which values are `ok`.
        with_digits: whether rows of single digits are wanted too.
    """
    out = OutputRows([], [])
    findings = list(findings)
    is_read = any(one.item.status not in {"blank", "error"} for one in findings)
    for one in findings:
        if one.item.status == "blank" and not is_read:
            one = one._replace(item=one.item._replace(status="review"))
        out.rows.append(make_row(file, one, thresholds))
        if with_digits:
            out.digits.extend(make_digit_rows(file, one))
    return out


def make_row(file: str, finding: Finding, thresholds: Thresholds) -> Row:
    """Turn a finding into its row."""
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
        return judge_digit(*filled[0], thresholds.digits, item.detail)
    return judge_field(item.field or rules.RULELESS_FIELD, filled, thresholds.digits, item.detail)


def make_digit_rows(file: str, finding: Finding) -> list[DigitRow]:
    """Turn the digits of a finding into rows, from left to right."""
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


def judge_digit(
    spot: DigitSpot, read: DigitPrediction | None, threshold: float, why: str = ""
) -> JudgedValue:
    """Judge an image of one digit.

    Args:
        spot: its place, or why it is not read.
        read: its prediction; None where it is not read.
        threshold: the confidence from which a value is `ok`.
        why: why the value is for review, whatever it is; empty if there is no reason.
    """
    if read is None:
        blank = spot.status == "blank"
        return JudgedValue("", None if blank else 0.0, "blank" if blank else "review", spot.detail)
    digit = str(read.digit)
    if read.other:
        detail = f"not a digit; if it is one, {digit} or {read.second}"
        return JudgedValue(digit, read.confidence, "review", detail)
    if why:
        return JudgedValue(digit, read.confidence, "review", why)
    if read.confidence >= threshold:
        return JudgedValue(digit, read.confidence, "ok", "")
    detail = f"under {round(threshold, 10)}; may be {read.second}"
    return JudgedValue(digit, read.confidence, "review", detail)


def judge_field(
    field: Field, filled: BoxPredictions, threshold: float, why: str = ""
) -> JudgedValue:
    """Judge a field whose digits are written into boxes.

    Args:
        field: its rules and decimals.
        filled: its boxes, from left to right.
        threshold: the confidence from which a value is `ok`.
        why: why the value is for review, whatever it is; empty if there is no reason.
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
    """Return which box is blank between digits, or behind those of an amount; empty if none."""
    inked = [n for n, (spot, _) in enumerate(filled) if spot.status != "blank"]
    if len(inked) <= inked[-1] - inked[0]:
        blank = next(n for n in range(inked[0], inked[-1]) if n not in inked)
        return f"box {blank + 1} is blank between digits"
    if field.decimals and inked[-1] < len(filled) - 1:
        return f"box {len(filled)} is blank: which digits are decimals is not certain"
    return ""


def _has_mostly_nondigits(filled: BoxPredictions) -> bool:
    """Return whether most boxes that are not blank hold something other than a digit."""
    held = [(spot, read) for spot, read in filled if spot.status != "blank"]
    return 2 * sum(read is None or read.other for _, read in held) > len(held)


def _describe_nondigit(filled: BoxPredictions) -> str:
    """Return which box holds something other than a digit; empty if none."""
    for number, (_, read) in enumerate(filled, 1):
        if read is not None and read.other:
            none = "not digits: " if _has_mostly_nondigits(filled) else ""
            return f"{none}box {number}: not a digit; if it is one, {read.digit} or {read.second}"
    return ""
