"""What may stand in a field: which values a rule allows, and the likeliest of those."""

import heapq
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits import calibrate
from batchdigits.records import JudgedValue
from batchdigits.templates import patterns
from batchdigits.templates.template import Field

MAX_VALUES_TRIED = 4096
"""Values that are looked through, the likeliest first."""
NEGLIGIBLE_PROBABILITY = 1e-6
"""Probability that may be left when no more are looked through."""

RULE_BREAK_RATE = 0.01
"""How often what people write in a field breaks its rule: a slip of the pen, a number of another
kind."""
RULELESS_FIELD = Field.model_validate(
    {"name": "number", "box": (0, 0, 100, 10), "cells": 1, "optional": True}
)
"""The field of an image that is one number: it has no rule."""


class LikelyValue(NamedTuple):
    """The likeliest value.

    Attributes:
        digits: as text.
        confidence: probability that all of it is right.
    """

    digits: str
    confidence: float


def describe_broken_rule(field: Field, digits: str) -> str:
    """Say which rule of a field a value breaks, in plain words; empty if none.

    Args:
        field: its rules.
        digits: the value, one digit or more, leading zeros kept.
    """
    if field.pattern is not None and not patterns.is_match(field.pattern, digits):
        return f"does not match {field.pattern}"
    number = int(digits) / 10**field.decimals
    if field.min is not None and number < field.min:
        return f"is under {field.min:g}"
    if field.max is not None and number > field.max:
        return f"is over {field.max:g}"
    if field.check is not None and not _CHECK_DIGIT_TESTS[field.check](digits):
        return f"has a wrong check digit ({field.check})"
    return ""


class Reading(NamedTuple):
    """A value as it was read, before its field's rule is applied.

    Attributes:
        digits: as text, one or more.
        confidence: probability that all of it is right, truncated.
        second: what else it may be, for `detail`; empty if nothing else.
        confirmed: what `detail` says when the rule lifts the value over the threshold; empty where
            the rule says too little to do so.
    """

    digits: str
    confidence: float
    second: str
    confirmed: str


def judge_by_rule(
    field: Field,
    read: Reading,
    find_likeliest: Callable[[], LikelyValue | None],
    threshold: float,
) -> JudgedValue:
    """Judge a value by its field's rule.

    Args:
        field: its rule.
        read: the value.
        find_likeliest: finds the likeliest value that the rule allows. It is slow, and only called
            where it can change the row.
        threshold: the confidence from which a value is `ok`.

    Returns:
        The value that was read, or the one that the rule makes of it. `detail` says so where the
        rule lifts a value over the threshold.
    """
    raw, sure = read.digits, read.confidence
    broken = describe_broken_rule(field, raw)
    if not broken and sure >= threshold:
        return JudgedValue(raw, sure, "ok", "")
    likely = find_likeliest() if broken or read.confirmed else None
    confidence = calibrate.truncate_confidence(likely.confidence) if likely else 0.0
    if likely and confidence >= threshold and (broken or likely.digits == raw):
        corrected = f"corrected by rule: read as {raw}, which {broken}"
        return JudgedValue(likely.digits, confidence, "ok", corrected if broken else read.confirmed)
    if broken:
        second = f"may be {likely.digits}" if likely else ""
        return _send_to_review(raw, sure, f"{raw} {broken}", second)
    return _send_to_review(raw, sure, f"under {round(threshold, 10)}", read.second)


def _send_to_review(digits: str, confidence: float, fault: str, second: str) -> JudgedValue:
    return JudgedValue(digits, confidence, "review", f"{fault}; {second}" if second else fault)


def choose_candidate(field: Field, candidates: Sequence[tuple[str, float]]) -> LikelyValue | None:
    """Choose the likeliest of some candidates that a field's rule allows, as `find_likeliest_value` does.

    Args:
        field: its rule.
        candidates: values with their probabilities, the likeliest first; what they lack of 1 is
            something else, which the rule may allow for all that is known.

    Returns:
        The value, and the probability that it is right; None where none is allowed.
    """
    allowed = [
        (digits, share) for digits, share in candidates if not describe_broken_rule(field, digits)
    ]
    if not allowed:
        return None
    whole = math.fsum(share for _, share in candidates)
    kept = math.fsum(share for _, share in allowed)
    digits, share = allowed[0]
    return LikelyValue(
        digits, share / (kept + RULE_BREAK_RATE * (whole - kept) + max(0.0, 1 - whole))
    )


def find_likeliest_value(field: Field, cells: NDArray[np.float64]) -> LikelyValue | None:
    """Find the likeliest value that a field's rule allows.

    By Bayes' rule: who fills in a form keeps its rule but for `RULE_BREAK_RATE` of the times, so that a
    value the rule forbids counts for so much less, and what can be no digits at all in full.

    Args:
        field: its rule.
        cells: float64 (N, 10), N of 1 or more: the probability of each digit in each cell; a row
            sums to less than 1 where the cell may hold no digit.

    Returns:
        The value, and the probability that it is right; None where none of the likeliest `MAX_VALUES_TRIED` is
        allowed.
    """
    best, share = "", 0.0
    allowed_ = 0.0
    left = whole = float(cells.sum(axis=1).prod())
    for digits, probability in iterate_likeliest_values(cells):
        left -= probability
        if not describe_broken_rule(field, digits):
            if not best:
                best, share = digits, probability
            allowed_ += probability
        if left < NEGLIGIBLE_PROBABILITY * max(allowed_, NEGLIGIBLE_PROBABILITY):
            break
    if not best:
        return None
    kept = allowed_ + max(left, 0)  # what was not looked through may be allowed, too
    return LikelyValue(best, share / (kept + RULE_BREAK_RATE * (whole - kept) + 1 - whole))


def iterate_likeliest_values(
    cells: NDArray[np.float64], most: int = MAX_VALUES_TRIED
) -> Iterator[tuple[str, float]]:
    """Yield values from the likeliest down, each with its probability; no impossible ones.

    A value is a choice of rank in each cell; from one to the next some rank goes down by one. Each
    value is reached from one only: that with its last lowered rank put back.
    """
    order = np.argsort(-cells, axis=1, kind="stable")
    falling = np.take_along_axis(cells, order, axis=1).tolist()
    names = [[str(digit) for digit in row] for row in order.tolist()]
    start = (0,) * len(cells)
    heap = [(-_compute_probability(falling, start), start, 0)]
    for _ in range(most):
        if not heap or not heap[0][0]:
            return
        minus, ranks, last = heapq.heappop(heap)
        yield "".join(row[rank] for row, rank in zip(names, ranks, strict=True)), -minus
        for n in range(last, len(ranks)):
            if ranks[n] + 1 < cells.shape[1]:
                lower = (*ranks[:n], ranks[n] + 1, *ranks[n + 1 :])
                heapq.heappush(heap, (-_compute_probability(falling, lower), lower, n))


def _compute_probability(falling: list[list[float]], ranks: Sequence[int]) -> float:
    return math.prod(row[rank] for row, rank in zip(falling, ranks, strict=True))


def _is_luhn_valid(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B: every second digit from the right doubled, its digits summed."""
    doubled = (divmod(2 * int(one), 10) for one in digits[-2::-2])
    return (sum(int(one) for one in digits[::-2]) + sum(a + b for a, b in doubled)) % 10 == 0


def _is_mod11_valid(digits: str) -> bool:
    """As in ISBN-10: weights 1 to 10 from the right, then 1 again; the sum is a multiple of 11."""
    return sum((n % 10 + 1) * int(one) for n, one in enumerate(reversed(digits))) % 11 == 0


def _is_mod97_valid(digits: str) -> bool:
    """ISO/IEC 7064, MOD 97-10: the number leaves 1 when divided by 97."""
    return int(digits) % 97 == 1


_CHECK_DIGIT_TESTS = {"luhn": _is_luhn_valid, "mod11": _is_mod11_valid, "mod97": _is_mod97_valid}


def insert_decimal_point(digits: str, decimals: int) -> str:
    """Put the separator back: digits 1250 with two decimals are 12.50."""
    if not decimals or not digits:
        return digits
    padded = digits.rjust(decimals + 1, "0")
    return f"{padded[:-decimals]}.{padded[-decimals:]}"
