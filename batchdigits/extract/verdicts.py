"""Which normalised crops hold nothing that can be read as a digit, and why."""

from collections.abc import Sequence

from batchdigits.cells import BOX_PX_PER_MM
from batchdigits.normalize import Levels
from batchdigits.records import GreyImage, Status

MAX_ASPECT = 24
"""Ratio of an image's sides up to which it may be a 1 that is cut tight."""
MAX_DOT_SHARE = 0.2
"""A mark under this share of its crop, in height and in width, is a dot, a comma or an apostrophe.
Of 46,000 digits from nine sources none is under 0.25."""
MAX_DOT_MM = 2.5
"""In a box of a form, a mark of this height or width is none: some boxes are much taller than what
is written into them."""


def judge_crops(
    found: Levels, crops: Sequence[GreyImage], boxed: Sequence[bool]
) -> list[tuple[Status, str] | None]:
    """Return for each crop why it holds no readable digit; None if it may hold one.

    Args:
        found: the crops normalised.
        crops: the crops.
        boxed: for each whether it is a box of a form, drawn at `BOX_PX_PER_MM`.
    """
    out: list[tuple[Status, str] | None] = []
    extents = found.extent.max(1)
    likely = (~found.unclear & (extents >= MAX_DOT_SHARE)).tolist()
    for n, crop in enumerate(crops):
        if likely[n] and max(crop.shape) <= MAX_ASPECT * min(crop.shape):
            out.append(None)
            continue
        extent, unclear, box = extents[n], found.unclear[n], boxed[n]
        if extent and max(crop.shape) > MAX_ASPECT * min(crop.shape):
            out.append(("review", f"not a digit: an image of {crop.shape[1]} x {crop.shape[0]} px"))
        elif unclear:
            out.append(("review", "not a digit: no single thing stands out clearly"))
        elif extent == 0:
            out.append(("blank", "no ink"))
        elif extent < MAX_DOT_SHARE and not (
            box and extent * max(crop.shape) >= MAX_DOT_MM * BOX_PX_PER_MM
        ):
            out.append(("review", f"not a digit: a mark of {extent:.0%} of the image's size"))
        else:
            out.append(None)
    return out
