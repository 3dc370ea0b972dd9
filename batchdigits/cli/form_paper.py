"""The size of the paper of a form that is drafted."""

import math
import re
from typing import TYPE_CHECKING

from batchdigits.errors import UsageError

if TYPE_CHECKING:
    from batchdigits.records import GreyImage

PAPER_SIZES_MM = {
    "a3": (297.0, 420.0),
    "a4": (210.0, 297.0),
    "a5": (148.0, 210.0),
    "a6": (105.0, 148.0),
    "letter": (215.9, 279.4),
    "legal": (215.9, 355.6),
}
"""mm: ISO 216; ANSI/ASME Y14.1 and custom."""
MAX_STRETCH = 0.04
"""How much a picture may be longer or shorter than its paper, as scanners cut pages."""
MAX_SNAP = 0.02
"""By how much a page may differ from a standard size to be taken for it, as a share of its side."""


def find_paper_size(
    blank: str, page: int, size: str | None, grey: "GreyImage"
) -> tuple[float, float]:
    """Return width and height of a page's paper, mm: from --size, or else from the file."""
    from batchdigits.pages import paper  # noqa: PLC0415
    from batchdigits.templates.template import MAX_PAGE_SIDE_MM, MIN_PAGE_SIDE_MM  # noqa: PLC0415

    paper_size = paper.find_paper_size(blank, page) if size is None else _parse_paper_size(size)
    if paper_size is None:
        raise UsageError(
            f"'{blank}' does not say how large its paper is: give --size, as A4 or 210x297"
        )
    if not all(MIN_PAGE_SIDE_MM <= side <= MAX_PAGE_SIDE_MM for side in paper_size):
        raise UsageError(
            f"'{blank}': expected paper with sides of {MIN_PAGE_SIDE_MM:g} to "
            f"{MAX_PAGE_SIDE_MM:g} mm, got {paper_size[0]:g} x {paper_size[1]:g}: give --size, "
            "as A4 or 210x297"
        )
    if size is None:
        return _snap_paper_size(paper_size)
    return _orient_paper(paper_size, blank, size, grey)


def _snap_paper_size(paper_size: tuple[float, float]) -> tuple[float, float]:
    """Return the standard size of paper that a size is near to, or else the size itself.

    Scanners cut pages, and add strips.
    """
    near = [
        standard
        for wide, high in PAPER_SIZES_MM.values()
        for standard in ((wide, high), (high, wide))
        if all(
            abs(one - two) <= MAX_SNAP * two for one, two in zip(paper_size, standard, strict=True)
        )
    ]
    return min(near, key=lambda one: math.dist(one, paper_size), default=paper_size)


def _parse_paper_size(size: str) -> tuple[float, float]:
    """Parse --size into width and height, mm."""
    if (known := PAPER_SIZES_MM.get(size.lower())) is not None:
        return known
    match = re.fullmatch(r"(\d+(?:\.\d+)?)x(\d+(?:\.\d+)?)", size.lower())
    if match is None:
        raise UsageError(
            f"--size: expected {', '.join(PAPER_SIZES_MM)} or millimetres as 210x297, got '{size}'"
        )
    return float(match[1]), float(match[2])


def _orient_paper(
    paper_size: tuple[float, float], blank: str, size: str, grey: "GreyImage"
) -> tuple[float, float]:
    """Return the paper size in the orientation of the page, if their proportions agree."""
    high, wide = grey.shape
    if (paper_size[0] > paper_size[1]) != (wide > high):
        paper_size = (paper_size[1], paper_size[0])  # the paper lies on its side
    stretched = wide / high * paper_size[1] / paper_size[0]
    if abs(stretched - 1) > MAX_STRETCH:
        raise UsageError(
            f"--size '{size}': '{blank}' is {wide} x {high} px, {abs(stretched - 1):.0%} "
            f"{'wider' if stretched > 1 else 'narrower'} than such paper: is it the whole page?"
        )
    return paper_size
