"""How the writing of a page lies, as its findings show it."""

import cmath
import math
from collections import defaultdict
from collections.abc import Sequence

from batchdigits.corrections import locate_field
from batchdigits.predict.findings import Finding

Point = complex
"""x and y as one number."""


def find_quarters(findings: Sequence[Finding]) -> dict[int, int]:
    """Return by how many quarter turns, anticlockwise, the writing of each page is turned.

    Strips tell it themselves. Boxes tell it by the way from the first to the last, and the fields
    of a template by where they lie on the paper.
    """
    by_page: defaultdict[int, list[Finding]] = defaultdict(list)
    for one in findings:
        by_page[one.item.page].append(one)
    return {page: _vote(some) for page, some in by_page.items()}


def _vote(findings: Sequence[Finding]) -> int:
    votes = [0.0] * 4
    for one in findings:
        if one.item.number is not None:
            votes[one.item.number.quarters] += 1
        places = [spot.place for spot in one.item.spots if spot.place[2] > 0]
        if len(places) > 1:
            way = _middle(places[-1]) - _middle(places[0])
            votes[_to_quarters(way)] += len(places)
    if not any(votes) and (way := _fit_template(findings)):
        votes[_to_quarters(way)] += 1
    return votes.index(max(votes))


def _fit_template(findings: Sequence[Finding]) -> Point:
    """Return which way across the paper of a template lies in the page; 0 if it cannot be told."""
    pairs = [
        (_middle(one.item.field.box), _middle(box))
        for one in findings
        if one.item.described and one.item.field is not None and (box := locate_field(one))
    ]
    if len(pairs) < 2:
        return 0
    paper, page = (sum(some) / len(pairs) for some in zip(*pairs, strict=True))
    return complex(sum((a - paper).conjugate() * (b - page) for a, b in pairs))


def _middle(box: tuple[float, float, float, float]) -> Point:
    return complex(box[0] + box[2] / 2, box[1] + box[3] / 2)


def _to_quarters(way: Point) -> int:
    """Return the quarter turns, anticlockwise, of writing that goes this way (y points down)."""
    return round(-cmath.phase(way) / (math.pi / 2)) % 4
