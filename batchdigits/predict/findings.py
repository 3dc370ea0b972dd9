"""Findings: what the model reads in an item, before any threshold; and how a state stores them.

Stored findings are JSON objects with named keys; defaults are left out. The meaning of a key and
its default never change within a version, because a file that is gone cannot be read again. A new
key or meaning needs a new `FINDINGS_VERSION`, and a step in `state.migrations` that rewrites what
is stored. The stored names are independent of the records' names, which can be renamed freely.
"""

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from batchdigits import calibrate
from batchdigits.extract.chunk_builder import DebugPage, DigitSpot, ExtractedItem
from batchdigits.extract.placement import StripPlacement
from batchdigits.extract.tasks import Task
from batchdigits.predict.decoding import DecodedSign, DecodedStrip
from batchdigits.predict.numbers import NumberDigit
from batchdigits.records import FileSnapshot, RegisteredPage
from batchdigits.templates.field import Field

FINDINGS_VERSION = 3
"""The version of the stored text."""
FIELD_DEFAULTS = {
    "label": None,
    "cells": None,
    "gap": 0,
    "groups": None,
    "group_gap": None,
    "separator": None,
    "pattern": None,
    "min": None,
    "max": None,
    "check": None,
    "date": None,
    "decimals": 0,
    "filler": "",
    "optional": False,
}
"""Defaults of a stored field; a template's defaults may change, these may not."""
FIELD_KEYS = {"name", "box", *FIELD_DEFAULTS}
DIGITS_KEYS = ("names", "confidences", "runners_up", "runner_up_confidences", "places")
"""Lists with one value per digit, in the order of the attributes of `NumberDigit`."""


class DigitPrediction(NamedTuple):
    """The prediction for one picture; see `calibrate.DigitPredictions`."""

    digit: int
    confidence: float
    second: int
    other: bool
    likely: Sequence[float]

    @property
    def runner_up_confidence(self) -> float:
        """Return the probability of the second digit, as the table has it."""
        return calibrate.truncate_confidence(self.likely[self.second])


class Finding(NamedTuple):
    """An image of a digit or a number, or a field of a page, with the model's predictions.

    Attributes:
        item: what the worker extracted.
        reads: predictions for its spots, from left to right; None for a spot without a picture.
        number: the candidates of a number; None without a number reader.
        digits: the digits of a number, with their boxes.
    """

    item: ExtractedItem
    reads: tuple[DigitPrediction | None, ...] = ()
    number: DecodedStrip | None = None
    digits: tuple[NumberDigit, ...] = ()


class TaskFindings(NamedTuple):
    """The findings of a task: of a file, or of one of its pages.

    Attributes:
        task: the task.
        findings: in order.
        laid: the registered pages.
        stood: the file's size, time and digest; None if it changed, or no snapshot was wanted.
        shown: the pages for `--debug-pages`.
    """

    task: Task
    findings: list[Finding]
    laid: list[RegisteredPage]
    stood: FileSnapshot | None = None
    shown: Sequence[DebugPage] = ()


Json = dict[str, Any]

_encode_json = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
_parse_json = json.JSONDecoder().decode


def encode_findings(findings: Sequence[Finding]) -> str:
    """Encode the findings of a file, or of one of its pages, as one line of ASCII.

    Every float is restored bit for bit. For an image of one digit only the runner-up's probability
    is kept: only the rules of fields need all ten.
    """
    return _encode_json(
        {"version": FINDINGS_VERSION, "findings": [_encode_finding(one) for one in findings]}
    )


def decode_findings(text: str) -> list[Finding]:
    """Decode stored findings; each gets source 0.

    Raises:
        ValueError: the text has another version, or a key that this version does not know.
    """
    stored = _parse_json(text)
    version, findings = stored.pop("version", None), stored.pop("findings", ())
    if version != FINDINGS_VERSION:
        raise ValueError(
            f"expected stored findings of version {FINDINGS_VERSION}, got version {version}"
        )
    if stored:
        raise _make_unknown_keys_error(stored, "text")
    return [_decode_finding(one) for one in findings]


def _encode_finding(finding: Finding) -> Json:
    _, page, status, detail, field, spots, strip, described = finding.item
    out: Json = {}
    if page != 1:
        out["page"] = page
    if status is not None:
        out["status"] = status
    if detail:
        out["detail"] = detail
    if field is not None:
        out["field"] = _encode_field(field)
    if spots:
        short = field is None and len(spots) == 1
        reads = finding.reads or [None] * len(spots)
        out["spots"] = [
            _encode_spot(spot, read, short=short) for spot, read in zip(spots, reads, strict=True)
        ]
    if strip is not None:
        out["strip"] = {"origin": strip.origin, "scale": strip.scale, "slant": strip.slant}
        if strip.quarters:
            out["strip"]["quarters"] = strip.quarters
    if not described:
        out["described"] = False
    if finding.number is not None:
        out["number"] = _encode_number(finding.number)
    if finding.digits:
        out["digits"] = _encode_digits(finding.digits)
    return out


def _decode_finding(stored: Json) -> Finding:
    take = stored.pop
    field, strip, number = take("field", None), take("strip", None), take("number", None)
    pairs = [_decode_spot(one) for one in take("spots", ())]
    item = ExtractedItem(
        0,
        take("page", 1),
        take("status", None),
        take("detail", ""),
        None if field is None else _decode_template_field(_encode_json(field)),
        tuple([spot for spot, _ in pairs]),
        None if strip is None else _decode_strip(strip),
        take("described", True),
    )
    digits = take("digits", None)
    if stored:
        raise _make_unknown_keys_error(stored, "finding")
    return Finding(
        item,
        tuple([read for _, read in pairs]),
        None if number is None else _decode_number(number),
        () if digits is None else _decode_digits(digits),
    )


def _encode_spot(spot: DigitSpot, read: DigitPrediction | None, *, short: bool) -> Json:
    status, detail, place, mark, point = spot
    out: Json = {"place": place}
    if status is not None:
        out["status"] = status
    if detail:
        out["detail"] = detail
    if mark:
        out["mark"] = mark
    if point:
        out["point"] = True
    if read is not None:
        out["read"] = _encode_prediction(read, short=short)
    return out


def _encode_prediction(read: DigitPrediction, *, short: bool) -> Json:
    digit, confidence, second, other, likely = read
    out: Json = {"digit": digit, "confidence": confidence}
    if short:
        out["likely"] = {second: likely[second]}
    else:
        out["second"], out["likely"] = second, likely
    if other:
        out["other"] = True
    return out


def _decode_spot(stored: Json) -> tuple[DigitSpot, DigitPrediction | None]:
    take = stored.pop
    read = take("read", None)
    status, detail, place = take("status", None), take("detail", ""), tuple(take("place"))
    spot = DigitSpot(status, detail, place, take("mark", ""), take("point", False))
    if stored:
        raise _make_unknown_keys_error(stored, "spot")
    return spot, None if read is None else _decode_prediction(read)


def _decode_prediction(stored: Json) -> DigitPrediction:
    take = stored.pop
    likely, second = take("likely"), take("second", None)
    if type(likely) is dict:  # only the runner-up's
        second = int(next(iter(likely)))
        likely = [likely.get(digit, 0.0) for digit in "0123456789"]
    read = DigitPrediction(take("digit"), take("confidence"), second, take("other", False), likely)
    if stored:
        raise _make_unknown_keys_error(stored, "read")
    return read


def _encode_field(field: Field) -> Json:
    out: Json = {"name": field.name, "box": field.box}
    for key, default in FIELD_DEFAULTS.items():
        value = getattr(field, key)
        if value != default:
            out[key] = value
    return out


@lru_cache(maxsize=4096)
def _decode_template_field(text: str) -> Field:
    """Decode a template's field without validation: today's rules may refuse an old field."""
    stored = _parse_json(text)
    if unknown := stored.keys() - FIELD_KEYS:
        raise _make_unknown_keys_error(unknown, "field")
    lists = {key: tuple(stored[key]) for key in ("box", "groups") if key in stored}
    return Field.model_construct(**{**FIELD_DEFAULTS, **stored, **lists})


def _decode_strip(stored: Json) -> StripPlacement:
    take = stored.pop
    strip = StripPlacement(
        tuple(take("origin")), tuple(take("scale")), take("slant"), take("quarters", 0)
    )
    if stored:
        raise _make_unknown_keys_error(stored, "strip")
    return strip


def _encode_number(number: DecodedStrip) -> Json:
    texts, probabilities = [*zip(*number.candidates, strict=True)] or ((), ())
    names, columns = [*zip(*number.signs, strict=True)] or ((), ())
    return {
        "candidates": {"texts": texts, "probabilities": probabilities},
        "signs": {"names": names, "columns": columns},
    }


def _decode_number(stored: Json) -> DecodedStrip:
    candidates, signs = stored.pop("candidates"), stored.pop("signs")
    texts, probabilities = candidates.pop("texts"), candidates.pop("probabilities")
    names, columns = signs.pop("names"), signs.pop("columns")
    if unknown := stored.keys() | candidates.keys() | signs.keys():
        raise _make_unknown_keys_error(unknown, "number")
    return DecodedStrip(
        [*zip(texts, probabilities, strict=True)],
        [*map(DecodedSign._make, zip(names, columns, strict=True))],
    )


def _encode_digits(digits: Sequence[NumberDigit]) -> Json:
    return dict(zip(DIGITS_KEYS, zip(*digits, strict=True), strict=True))


def _decode_digits(stored: Json) -> tuple[NumberDigit, ...]:
    columns = [stored.pop(key) for key in DIGITS_KEYS]
    if stored:
        raise _make_unknown_keys_error(stored, "digits")
    columns[-1] = map(tuple, columns[-1])
    return tuple(map(NumberDigit._make, zip(*columns, strict=True)))


def _make_unknown_keys_error(keys: Iterable[str], what: str) -> ValueError:
    names = ", ".join(sorted(keys))
    return ValueError(f"a stored {what} of version {FINDINGS_VERSION} has unknown keys: {names}")
