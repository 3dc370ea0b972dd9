"""Rules of fields: which values a rule allows, which of them is likeliest, and what is `ok`."""

import heapq
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits import calibrate
from batchdigits.records import JudgedValue
from batchdigits.templates import dates, patterns
from batchdigits.templates.field import Field

MAX_VALUES_TRIED = 4096
"""At most so many values are tried, the likeliest first."""
NEGLIGIBLE_PROBABILITY = 1e-6
"""The search ends when the values not yet tried have less probability than this together."""
RULE_BREAK_RATE = 0.01
"""Share of values that break their rule on paper already: by a slip of the pen, or as a number of
another kind."""
RULELESS_FIELD = Field.model_validate(
    {"name": "number", "box": (0, 0, 100, 10), "cells": 1, "optional": True}
)
"""The field of an image that is one number: it has no rule."""


class LikelyValue(NamedTuple):
    """The likeliest value that a rule allows.

    Attributes:
        digits: as text.
        confidence: probability that all of it is right.
    """

    digits: str
    confidence: float


def describe_broken_rule(field: Field, digits: str) -> str:
    """Return which rule of a field a value breaks, in plain words; empty if none.

    Args:
        field: its rules.
        digits: the value, one digit or more, leading zeros kept.
    """
    if field.pattern is not None and not patterns.is_match(field.pattern, digits):
        return f"does not match {field.pattern}"
    if field.date is not None and not dates.is_day(field.date, digits):
        return f"is no day, written {field.date}"
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


def _send_to_review(digits: str, confidence: float, fault: str, alternative: str) -> JudgedValue:
    return JudgedValue(
        digits, confidence, "review", f"{fault}; {alternative}" if alternative else fault
    )


def choose_candidate(field: Field, candidates: Sequence[tuple[str, float]]) -> LikelyValue | None:
    """Choose the likeliest candidate that a field's rule allows.

    The probability is computed as in `find_likeliest_value`.

    Args:
        field: its rule.
        candidates: values with their probabilities, the likeliest first. What these lack of 1
            belongs to other values, which the rule may allow.

    Returns:
        The value, and the probability that it is right; None where no candidate is allowed.
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

    The probability follows from Bayes' rule. People break a field's rule in `RULE_BREAK_RATE` of
    all cases, so a forbidden value counts only by that share. What is no digit counts in full.

    Args:
        field: its rule.
        cells: float64 (N, 10), N of 1 or more: the probability of each digit in each cell. A row
            sums to less than 1 where the cell may hold something else.

    Returns:
        The value, and the probability that it is right; None where none of the likeliest
        `MAX_VALUES_TRIED` values is allowed.
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
    kept = allowed_ + max(left, 0)  # values that were not tried may be allowed, too
    return LikelyValue(best, share / (kept + RULE_BREAK_RATE * (whole - kept) + 1 - whole))


def iterate_likeliest_values(
    cells: NDArray[np.float64], max_count: int = MAX_VALUES_TRIED
) -> Iterator[tuple[str, float]]:
    """Yield values with their probabilities, the likeliest first, without impossible ones.

    A value is a choice of one rank in each cell. Each step lowers one rank by one. Every value is
    reached from one other only: the value with the last lowered rank put back.
    """
    order = np.argsort(-cells, axis=1, kind="stable")
    falling = np.take_along_axis(cells, order, axis=1).tolist()
    names = [[str(digit) for digit in row] for row in order.tolist()]
    start = (0,) * len(cells)
    heap = [(-_compute_probability(falling, start), start, 0)]
    for _ in range(max_count):
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
    """Return whether the Luhn sum is a multiple of 10 (ISO/IEC 7812-1, annex B).

    Every second digit from the right is doubled, and the digits of the double are summed.
    """
    doubled = (divmod(2 * int(one), 10) for one in digits[-2::-2])
    return (sum(int(one) for one in digits[::-2]) + sum(a + b for a, b in doubled)) % 10 == 0


def _is_mod11_valid(digits: str) -> bool:
    """Return whether the weighted sum is a multiple of 11, as in an ISBN-10.

    The weights are 1 to 10 from the right, then 1 again.
    """
    return sum((n % 10 + 1) * int(one) for n, one in enumerate(reversed(digits))) % 11 == 0


def _is_mod97_valid(digits: str) -> bool:
    """Return whether the number leaves 1 when divided by 97 (ISO/IEC 7064, MOD 97-10)."""
    return int(digits) % 97 == 1


_CHECK_DIGIT_TESTS = {"luhn": _is_luhn_valid, "mod11": _is_mod11_valid, "mod97": _is_mod97_valid}


def insert_decimal_point(digits: str, decimals: int) -> str:
    """Insert the decimal point: digits 1250 with two decimals are 12.50."""
    if not decimals or not digits:
        return digits
    padded = digits.rjust(decimals + 1, "0")
    return f"{padded[:-decimals]}.{padded[-decimals:]}"
