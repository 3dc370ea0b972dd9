"""Readings of single boxes become the value of a field, and what to say of it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from batchdigits import calibrate
from batchdigits.forms import rules
from batchdigits.forms.template import Field
from batchdigits.pipeline.desk import Spot
from batchdigits.records import Status

PLAIN = Field.model_validate(
    {"name": "number", "box": (0, 0, 100, 10), "cells": 1, "optional": True}
)
"""Stands for the field where an image is one number in boxes: there is no rule."""


class Read(NamedTuple):
    """How one picture was read; see `calibrate.Judged`."""

    digit: int
    confidence: float
    second: int
    other: bool
    likely: Sequence[float]

    @property
    def runner_up(self) -> float:
        """Give the probability of the second, as written in the table."""
        return written(self.likely[self.second])


class Value(NamedTuple):
    """What a row says; see `records.Row`."""

    value: str
    confidence: float | None
    status: Status
    detail: str


Filled = Sequence[tuple[Spot, Read | None]]
"""The boxes of a field with their readings; None where there was no picture."""


def of_image(spot: Spot, read: Read | None, threshold: float) -> Value:
    """Say what an image of one digit holds."""
    if read is None:
        blank = spot.status == "blank"
        return Value("", None if blank else 0.0, "blank" if blank else "review", spot.detail)
    digit = str(read.digit)
    if read.other:
        detail = f"not a digit; if it is one, {digit} or {read.second}"
        return Value(digit, read.confidence, "review", detail)
    if read.confidence >= threshold:
        return Value(digit, read.confidence, "ok", "")
    detail = f"under {round(threshold, 10)}; may be {read.second}"
    return Value(digit, read.confidence, "review", detail)


def of_field(field: Field, filled: Filled, threshold: float, why: str = "") -> Value:
    """Say what a field of a form holds.

    Args:
        field: with its rules.
        filled: its boxes, from left to right.
        threshold: the confidence from which a value is `ok`.
        why: not empty where the value is for review whatever it is, and says why.
    """
    if all(spot.status == "blank" for spot, _ in filled):
        if field.optional:
            return Value("", None, "blank", "no ink")
        return Value("", 0.0, "review", "blank, and not optional")
    unread = [(n, spot) for n, (spot, _) in enumerate(filled, 1) if spot.status == "review"]
    if unread:
        shown = "".join(_sign(read) for _, read in filled).strip("_")
        number, spot = unread[0]
        if field.cells is None:
            return Value("", 0.0, "review", spot.detail)
        none = "not digits: " if _no_digits(filled) else ""
        return Value("", 0.0, "review", f"{none}reads {shown}: box {number}: {spot.detail}")
    reads = {n: read for n, (_, read) in enumerate(filled, 1) if read}
    raw = "".join(str(read.digit) for read in reads.values())
    sure = written(np.prod([read.confidence for read in reads.values()]))
    value = _judged(field, raw, sure, reads, threshold)
    for fault in (why, _gap(filled, field), _strange(filled)):
        if fault:
            value = Value(raw, sure, "review", fault)
            break
    return value._replace(value=punctuated(value.value, field.decimals))


def _sign(read: Read | None) -> str:
    return "_" if read is None else str(read.digit)


def _judged(
    field: Field, raw: str, sure: float, reads: Mapping[int, Read], threshold: float
) -> Value:
    """Judge digits by the field's rule; what a rule lifts over the threshold says so."""
    broken = rules.broken(field, raw)
    if not broken and sure >= threshold:
        return Value(raw, sure, "ok", "")
    likely = None
    if broken or field.check:  # without a rule to break there is nothing to choose by
        likely = rules.likeliest(field, np.array([read.likely for read in reads.values()]))
    confidence = written(likely.confidence) if likely else 0.0
    if not broken:
        if field.check and likely and likely.digits == raw and confidence >= threshold:
            return Value(raw, confidence, "ok", f"confirmed by its check digit ({field.check})")
        least = min(reads, key=lambda number: reads[number].confidence)
        box = f"box {least} " if len(reads) > 1 else ""
        detail = f"under {round(threshold, 10)}; {box}may be {reads[least].second}"
        return Value(raw, sure, "review", detail)
    if likely and confidence >= threshold:
        detail = f"corrected by rule: read as {raw}, which {broken}"
        return Value(likely.digits, confidence, "ok", detail)
    instead = f"; may be {likely.digits}" if likely else ""
    return Value(raw, sure, "review", f"{raw} {broken}{instead}")


def written(confidence: float | np.floating) -> float:
    """Cut a probability as the table holds it."""
    return float(calibrate.written(np.array([confidence], np.float64))[0])


def _gap(filled: Filled, field: Field) -> str:
    """Say whether a blank stands between digits, or behind those of an amount."""
    inked = [n for n, (spot, _) in enumerate(filled) if spot.status != "blank"]
    if len(inked) <= inked[-1] - inked[0]:
        blank = next(n for n in range(inked[0], inked[-1]) if n not in inked)
        return f"box {blank + 1} is blank between digits"
    if field.decimals and inked[-1] < len(filled) - 1:
        return f"box {len(filled)} is blank: which digits are decimals is not certain"
    return ""


def _no_digits(filled: Filled) -> bool:
    """Tell whether in most boxes that hold something that is no digit."""
    held = [(spot, read) for spot, read in filled if spot.status != "blank"]
    return 2 * sum(read is None or read.other for _, read in held) > len(held)


def _strange(filled: Filled) -> str:
    """Say whether what stands in a box is no digit."""
    for number, (_, read) in enumerate(filled, 1):
        if read is not None and read.other:
            none = "not digits: " if _no_digits(filled) else ""
            return f"{none}box {number}: not a digit; if it is one, {read.digit} or {read.second}"
    return ""


def punctuated(digits: str, decimals: int) -> str:
    """Put the separator back: digits 1250 with two decimals are 12.50."""
    if not decimals or not digits:
        return digits
    padded = digits.rjust(decimals + 1, "0")
    return f"{padded[:-decimals]}.{padded[-decimals:]}"
