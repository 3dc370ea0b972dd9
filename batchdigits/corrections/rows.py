"""Corrections change rows, and the rows of single digits with them."""

from collections.abc import Sequence

from batchdigits.corrections.book import CorrectionBook, FieldPlace
from batchdigits.corrections.correction import Correction
from batchdigits.postprocess.judge import OutputRows
from batchdigits.records import DigitRow, Row

NEVER_SURE = 0.9999
"""The confidence of a value that a person gave: the most that a table has."""


def apply_corrections(
    rows: OutputRows, places: Sequence[FieldPlace], book: CorrectionBook
) -> OutputRows:
    """Return the rows of a file as people said they are.

    Args:
        rows: of a file, a row for each finding.
        places: of these findings.
        book: what was said.
    """
    if not book:
        return rows
    out, digits = list(rows.rows), rows.digits
    for at, (row, place) in enumerate(zip(rows.rows, places, strict=True)):
        correction = book.find_latest(place)
        if correction is not None:
            out[at] = apply_correction(row, correction)
            digits = _correct_digits(digits, row, out[at].value)
    return OutputRows(out, digits)


def apply_correction(row: Row, correction: Correction) -> Row:
    """Return a row as a person said it is; `detail` keeps what the machine reads there.

    What nobody can read stays `review`: an empty `verified` value would be taken for a blank box.
    """
    said = f"said by {correction.said_by or 'a person'}{_describe_reading(row)}"
    if correction.answer == "unreadable":
        return row._replace(value="", confidence=0.0, status="review", detail=f"unreadable, {said}")
    if correction.answer == "blank":
        return row._replace(value="", confidence=None, status="verified", detail=f"blank, {said}")
    return row._replace(
        value=correction.value, confidence=NEVER_SURE, status="verified", detail=said
    )


def _describe_reading(row: Row) -> str:
    """Return what the machine read, for `detail`."""
    sure = "" if row.confidence is None else f" {row.confidence:.4f}"
    if row.value:
        return f"; read as {row.value} ({row.status}{sure})"
    return f"; not read ({row.status})" if row.status != "blank" else "; read as blank"


def _correct_digits(digits: list[DigitRow], row: Row, value: str) -> list[DigitRow]:
    """Return rows of single digits as a corrected value has them.

    Where the value has another number of digits than were found, no box of its digits is known,
    so that the field has no rows of digits.
    """
    key = row.page, row.field
    own = [one for one in digits if (one.page, one.field) == key]
    said = value.replace(".", "")
    if len(own) != len(said):
        return [one for one in digits if (one.page, one.field) != key]
    right = iter([_correct_digit(one, digit) for one, digit in zip(own, said, strict=True)])
    return [next(right) if (one.page, one.field) == key else one for one in digits]


def _correct_digit(one: DigitRow, digit: str) -> DigitRow:
    """Return a digit as a person said it is; the runner-up is what the machine read instead."""
    second = one.runner_up if one.digit == digit else one.digit
    return one._replace(
        digit=digit, confidence=NEVER_SURE, runner_up=second, runner_up_confidence=0.0
    )
