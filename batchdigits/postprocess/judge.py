"""Turn findings into rows, by the threshold from which a value is `ok`."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from batchdigits import calibrate
from batchdigits.calibrate import Thresholds
from batchdigits.extract.chunk_builder import DigitSpot
from batchdigits.extract.points import POINT
from batchdigits.postprocess import fillers, numbers, rules
from batchdigits.predict.findings import DigitPrediction, Finding
from batchdigits.records import DigitRow, JudgedValue, Row
from batchdigits.templates.field import Field

ONE_DIGIT_DETAIL = "one digit, in a cell that holds more than one sign"
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
    file: str, findings: Sequence[Finding], thresholds: Thresholds, with_digits: bool = False
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
    for one in _review_lone_blank_pages(findings):
        out.rows.append(make_row(file, one, thresholds))
        if with_digits:
            out.digits.extend(make_digit_rows(file, one))
    return out


def _review_lone_blank_pages(findings: Sequence[Finding]) -> Sequence[Finding]:
    """Send pages with nothing on them to review where no page of their file was read."""
    for one in findings:
        if one.item.status not in {"blank", "error"}:
            return findings
    return [
        one._replace(item=one.item._replace(status="review")) if one.item.status == "blank" else one
        for one in findings
    ]


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
        value = numbers.judge_number(item.field, finding.number, thresholds.numbers, item.detail)
        if not item.described and value.status == "ok" and len(value.value) == 1:
            # what is one sign is read as a digit: there is more than one in this cell
            return value._replace(status="review", detail=ONE_DIGIT_DETAIL)
        return value
    if item.field is None and len(item.spots) == 1:
        return judge_digit(item.spots[0], finding.reads[0], thresholds.digits, item.detail)
    filled = list(zip(item.spots, finding.reads, strict=True))
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
        field: its rules, fillers and decimals.
        filled: its boxes, from left to right.
        threshold: the confidence from which a value is `ok`.
        why: why the value is for review, whatever it is; empty if there is no reason.
    """
    if all(spot.status == "blank" for spot, _ in filled):
        if field.optional:
            return JudgedValue("", None, "blank", "no ink")
        return JudgedValue("", 0.0, "review", "blank, and not optional")
    points = [n for n, (spot, _) in enumerate(filled) if spot.mark == POINT]
    unread = [
        n for n, (spot, _) in enumerate(filled) if spot.status == "review" and n not in points
    ]
    if unread:
        return _judge_unread_box(field, filled, unread[0])
    found = fillers.find_fillers(field, filled)
    reads = {
        n: read
        for n, (_, read) in enumerate(filled)
        if read and n not in points and n not in found.boxes
    }
    if not reads:
        return _judge_no_digits(field, found, threshold, why)
    value = _judge_digits(field, reads, found, threshold)
    written = _format_written(filled, reads)
    faults = (why, _describe_gap(filled, reads, points, field), found.fault)
    for fault in (*faults, _describe_nondigit(filled, reads)):
        if fault:
            raw = "".join(str(read.digit) for read in reads.values())
            sure = _multiply_confidences(reads, found)
            value = JudgedValue(raw, sure, "review", fault)
            break
    if not written.isdigit() and not field.date:
        value = numbers.judge_separators(field, written, value)
    return value._replace(value=rules.insert_decimal_point(value.value, field.decimals))


def _judge_unread_box(field: Field, filled: BoxPredictions, number: int) -> JudgedValue:
    """Judge a field of which a box holds something that cannot be read."""
    detail = filled[number][0].detail
    if field.cells is None:
        return JudgedValue("", 0.0, "review", detail)
    shown = "".join(_format_digit(read) for _, read in filled).strip("_")
    none = "not digits: " if _has_mostly_nondigits(filled) else ""
    return JudgedValue("", 0.0, "review", f"{none}reads {shown}: box {number + 1}: {detail}")


def _judge_no_digits(
    field: Field, found: fillers.FoundFillers, threshold: float, why: str
) -> JudgedValue:
    """Judge a field that holds fillers alone, or full stops and commas alone."""
    if not found.boxes:
        return JudgedValue("", 0.0, "review", "not digits: a full stop or a comma alone")
    sure = calibrate.truncate_confidence(found.confidence)
    if not field.optional:
        return JudgedValue("", 0.0, "review", "fillers alone, and not optional")
    if why or found.fault or sure < threshold:
        doubt = why or found.fault or f"under {round(threshold, 10)}; may hold digits"
        return JudgedValue("", sure, "review", doubt)
    return JudgedValue("", sure, "ok", "fillers alone: left empty")


def _format_digit(read: DigitPrediction | None) -> str:
    return "_" if read is None else str(read.digit)


def _format_written(filled: BoxPredictions, reads: Mapping[int, DigitPrediction]) -> str:
    """Return the digits with a full stop for each full stop or comma among them."""
    shown = [
        (str(reads[n].digit) if n in reads else "")
        + ("." if spot.mark == POINT or (spot.point and n in reads) else "")
        for n, (spot, _) in enumerate(filled)
    ]
    return "".join(shown).strip(".")


def _multiply_confidences(
    reads: Mapping[int, DigitPrediction], found: fillers.FoundFillers
) -> float:
    sure = float(np.prod([read.confidence for read in reads.values()]))
    return calibrate.truncate_confidence(sure * found.confidence)


def _judge_digits(
    field: Field,
    reads: Mapping[int, DigitPrediction],
    found: fillers.FoundFillers,
    threshold: float,
) -> JudgedValue:
    least = min(reads, key=lambda number: reads[number].confidence)
    box = f"box {least + 1} " if len(reads) > 1 else ""
    second = f"{box}may be {reads[least].second}"
    doubted = min(found.boxes, key=lambda number: found.boxes[number], default=None)
    if doubted is not None and found.boxes[doubted] < reads[least].confidence:
        second = f"box {doubted + 1} may be a digit"
    confirmed = "confirmed: a day that exists" if field.date else ""
    confirmed = f"confirmed by its check digit ({field.check})" if field.check else confirmed
    raw = "".join(str(read.digit) for read in reads.values())
    read = rules.Reading(raw, _multiply_confidences(reads, found), second, confirmed)
    cells = np.array([one.likely for one in reads.values()])
    cells[0] *= found.confidence
    find_likeliest = partial(rules.find_likeliest_value, field, cells)
    return rules.judge_by_rule(field, read, find_likeliest, threshold)


def _describe_gap(
    filled: BoxPredictions,
    reads: Mapping[int, DigitPrediction],
    points: Sequence[int],
    field: Field,
) -> str:
    """Return which box is blank between digits, or behind those of an amount; empty if none."""
    first, last = min(reads), max(reads)
    blank = [n for n in range(first, last) if n not in reads and n not in points]
    if blank:
        return f"box {blank[0] + 1} is blank between digits"
    if field.decimals and last < len(filled) - 1:
        return f"box {len(filled)} is blank: which digits are decimals is not certain"
    return ""


def _has_mostly_nondigits(filled: BoxPredictions) -> bool:
    """Return whether most boxes that are not blank hold something other than a digit."""
    held = [(spot, read) for spot, read in filled if spot.status != "blank"]
    return 2 * sum(read is None or read.other for _, read in held) > len(held)


def _describe_nondigit(filled: BoxPredictions, reads: Mapping[int, DigitPrediction]) -> str:
    """Return which box that counts as a digit holds something else; empty if none."""
    for n, read in reads.items():
        if read.other:
            none = "not digits: " if _has_mostly_nondigits(filled) else ""
            return f"{none}box {n + 1}: not a digit; if it is one, {read.digit} or {read.second}"
    return ""
