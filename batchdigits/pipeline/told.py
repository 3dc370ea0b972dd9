"""Findings as the ledger keeps them: JSON, in which every number comes back as it was."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from batchdigits.decode import Decoded, Sign
from batchdigits.forms.template import Field
from batchdigits.pipeline.desk import Item, Number, Spot
from batchdigits.pipeline.findings import Finding
from batchdigits.pipeline.numbers import Digits
from batchdigits.pipeline.values import Read

_text = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def told(findings: Sequence[Finding]) -> str:
    """Write findings of a file."""
    return _text([_written(one) for one in findings])


def recalled(text: str) -> list[Finding]:
    """Give findings back as they were."""
    return [_read(one) for one in json.loads(text)]


def _written(finding: Finding) -> list[Any]:
    item = finding.item
    field = item.field.model_dump_json(exclude_defaults=True) if item.field else None
    spots = [
        [*spot, _short(read, item) if read else None]
        for spot, read in zip(item.spots, finding.reads or [None] * len(item.spots), strict=True)
    ]
    number = finding.number and [finding.number.candidates, finding.number.signs]
    own = [item.page, item.status, item.detail, field, spots, item.number, item.described]
    return [*own, number, finding.digits]


def _short(read: Read, item: Item) -> Sequence[Any]:
    """Leave out what serves the rules of fields alone."""
    if item.field is not None or len(item.spots) > 1:
        return read
    return [*read[:4], {read.second: read.likely[read.second]}]


def _read(line: list[Any]) -> Finding:
    page, status, detail, field, spots, number, described, decoded, digits = line
    item = Item(
        *(0, page, status, detail, _field(field) if field else None),
        tuple(Spot(status, detail, tuple(place)) for status, detail, place, _ in spots),
        Number(tuple(number[0]), tuple(number[1]), number[2]) if number else None,
        described,
    )
    found = None
    if decoded:
        candidates, signs = decoded
        found = Decoded([(text, share) for text, share in candidates], [Sign(*s) for s in signs])
    reads = tuple(_recalled(read) if read else None for *_, read in spots)
    own = tuple(Digits._make((*said, tuple(place))) for *said, place in digits)
    return Finding(item, reads, found, own)


def _recalled(read: list[Any]) -> Read:
    *head, likely = read
    if isinstance(likely, dict):
        likely = [likely.get(str(digit), 0.0) for digit in range(10)]
    return Read._make((*head, likely))


@lru_cache(maxsize=4096)
def _field(text: str) -> Field:
    return Field.model_validate_json(text)
