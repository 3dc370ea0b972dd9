"""Convert stored findings of version 1, positional lists, to version 2, named ones.

A released migration uses this, so it stays as it is. It knows both texts, and no class of today.
"""

import json
from typing import Any

Json = dict[str, Any]

_encode_json = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def name_findings(text: str) -> str:
    """Convert a text of version 1 to version 2; floats stay the same bit for bit.

    Raises:
        ValueError, TypeError, LookupError: the text is not of version 1.
    """
    return _encode_json(
        {"version": 2, "findings": [_convert_finding(one) for one in json.loads(text)]}
    )


def _convert_finding(old: list[Any]) -> Json:
    page, status, detail, field, spots, strip, described, number, digits = old
    return {
        **({} if page == 1 else {"page": page}),
        **_convert_status(status, detail),
        **({} if field is None else {"field": json.loads(field)}),
        **({"spots": [_convert_spot_to_version_2(*one) for one in spots]} if spots else {}),
        **({} if strip is None else {"strip": _convert_strip(*strip)}),
        **({} if described else {"described": False}),
        **({} if number is None else {"number": _convert_number(*number)}),
        **({"digits": _convert_digits(digits)} if digits else {}),
    }


def _convert_status(status: str | None, detail: str) -> Json:
    return {
        **({} if status is None else {"status": status}),
        **({"detail": detail} if detail else {}),
    }


def _convert_spot_to_version_2(
    status: str | None, detail: str, place: list[int], read: list[Any] | None
) -> Json:
    return {
        "place": place,
        **_convert_status(status, detail),
        **({} if read is None else {"read": _convert_reading(*read)}),
    }


def _convert_reading(
    digit: int, confidence: float, second: int, other: bool, likely: list[float] | dict[str, float]
) -> Json:
    return {
        "digit": digit,
        "confidence": confidence,
        **({"second": second} if isinstance(likely, list) else {}),  # a dict lists it alone
        "likely": likely,
        **({"other": True} if other else {}),
    }


def _convert_strip(origin: list[float], scale: list[float], slant: float) -> Json:
    return {"origin": origin, "scale": scale, "slant": slant}


def _convert_number(candidates: list[Any], signs: list[Any]) -> Json:
    return {
        "candidates": _transpose_rows(("texts", "probabilities"), candidates),
        "signs": _transpose_rows(("names", "columns"), signs),
    }


def _convert_digits(digits: list[Any]) -> Json:
    keys = ("names", "confidences", "runners_up", "runner_up_confidences", "places")
    return _transpose_rows(keys, digits)


def _transpose_rows(keys: tuple[str, ...], rows: list[Any]) -> Json:
    lists = [*zip(*rows, strict=True)] or [()] * len(keys)
    return dict(zip(keys, lists, strict=True))
