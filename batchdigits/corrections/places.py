"""Findings → the places that corrections belong to."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from batchdigits.corrections.book import FieldPlace
from batchdigits.corrections.correction import Box
from batchdigits.predict.findings import Finding
from batchdigits.templates.field import Field

FormNames = Mapping[str, str]
"""The name of each template by the digest of its fields (`digest_fields`)."""


def name_forms(forms: Iterable[tuple[str, Sequence[Field]]]) -> dict[str, str]:
    """Return the names of templates by the digests of their fields.

    Findings have the fields of their template, and not its name.

    Args:
        forms: the name and the fields of each.
    """
    return {digest_fields(fields): name for name, fields in forms}


def digest_fields(fields: Iterable[Field]) -> str:
    """Return a digest of the names and boxes of fields, in any order, in hexadecimal."""
    known = sorted((field.name, [float(side) for side in field.box]) for field in fields)
    return hashlib.blake2b(json.dumps(known).encode(), digest_size=10).hexdigest()


def place_fields(
    file: str, content: bytes | None, findings: Sequence[Finding], forms: FormNames
) -> list[FieldPlace]:
    """Return the place of each finding of a file.

    Args:
        file: as the table spells it.
        content: digest of its bytes; None if it is not known.
        findings: in order.
        forms: the templates that its pages may be.
    """
    fields: defaultdict[int, list[Field]] = defaultdict(list)
    for item in (one.item for one in findings):
        if item.field is not None and item.described:
            fields[item.page].append(item.field)
    names = {page: forms.get(digest_fields(some), "") for page, some in fields.items()}
    return [
        FieldPlace(
            file,
            (content or b"").hex(),
            one.item.page,
            names.get(one.item.page, ""),
            "" if one.item.field is None else one.item.field.name,
            locate_field(one),
            one.item.described,
        )
        for one in findings
    ]


def locate_field(finding: Finding) -> Box | None:
    """Return the box round a field in the page as scanned, px; None if it is not known."""
    boxes = [spot.place for spot in finding.item.spots] + [one.place for one in finding.digits]
    boxes = [box for box in boxes if box[2] > 0 and box[3] > 0]
    if not boxes:
        return None
    left, top = (min(box[side] for box in boxes) for side in (0, 1))
    right, foot = (max(box[side] + box[side + 2] for box in boxes) for side in (0, 1))
    return left, top, right - left, foot - top
