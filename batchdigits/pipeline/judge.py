"""Findings become rows, by the threshold from which a value is `ok`."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from batchdigits.job import Thresholds
from batchdigits.pipeline import numbers
from batchdigits.pipeline.findings import Finding
from batchdigits.pipeline.values import PLAIN, Value, of_field, of_image
from batchdigits.records import Digit, Row

SEVERAL, SURE = 4, 0.3
"""Of so many boxes found on a page with ink in them, at least this share is sure, or none is."""
ASKEW = "most boxes of this page hold no sure number: it may lie on its side, or be no form"


class Judged(NamedTuple):
    """What findings say.

    Attributes:
        rows: of the table.
        digits: of the table of single digits; none where they are not wanted.
    """

    rows: list[Row]
    digits: list[Digit]


def judge(
    file: str, findings: Iterable[Finding], thresholds: Thresholds, with_digits: bool = False
) -> Judged:
    """Turn the findings of a file, or of whole pages of it, into rows.

    Args:
        file: as the table spells it.
        findings: in order.
        thresholds: the confidences from which values are `ok`.
        with_digits: whether single digits are wanted too.
    """
    out = Judged([], [])
    found: dict[int, list[int]] = {}
    for one in findings:
        if not one.item.described:
            found.setdefault(one.item.page, []).append(len(out.rows))
        out.rows.append(row(file, one, thresholds))
        if with_digits:
            out.digits.extend(digits(file, one))
    for at in found.values():
        _doubt(out.rows, at)
    return out


def row(file: str, finding: Finding, thresholds: Thresholds) -> Row:
    """Say what a finding says."""
    item = finding.item
    name = "" if item.field is None else item.field.name
    return Row(file, item.page, name, *_value(finding, thresholds))


def _value(finding: Finding, thresholds: Thresholds) -> Value:
    item = finding.item
    if item.status is not None:
        return Value("", 0.0 if item.status == "review" else None, item.status, item.detail)
    if item.number is not None:
        if finding.number is None:
            return Value("", 0.0, "review", item.detail or numbers.NO_READER)
        return numbers.of_number(item.field, finding.number, thresholds.numbers, item.detail)
    filled = list(zip(item.spots, finding.reads, strict=True))
    if item.field is None and len(filled) == 1:
        return of_image(*filled[0], thresholds.digits)
    return of_field(item.field or PLAIN, filled, thresholds.digits, item.detail)


def digits(file: str, finding: Finding) -> list[Digit]:
    """List the digits of a finding, from left to right."""
    item = finding.item
    name = "" if item.field is None else item.field.name
    out = []
    for at, one in enumerate(finding.digits, 1):
        out.append(Digit(file, item.page, name, at, *one[:4], *one.place))
    for at, (read, spot) in enumerate(zip(finding.reads, item.spots, strict=False), 1):
        if read is not None:
            said = str(read.digit), read.confidence, str(read.second), read.runner_up
            out.append(Digit(file, item.page, name, at, *said, *spot.place))
    return out


def _doubt(rows: list[Row], at: Sequence[int]) -> None:
    """Set what is sure apart as well, where next to nothing on a page that was found is sure.

    A page on its side has boxes too, and here and there a 0, an 8, or a 6 that is a 9.
    """
    inked = [n for n in at if rows[n].status in ("ok", "review")]
    sure = [n for n in inked if rows[n].status == "ok"]
    if len(inked) >= SEVERAL and len(sure) < SURE * len(inked):
        for n in sure:
            rows[n] = replace(rows[n], status="review", detail=ASKEW)
