"""Where the strip of a number lies in its page, so that its digits can be found there."""

from typing import NamedTuple

from batchdigits.cells import Rect
from batchdigits.normalize.strips import Strip

WAYS = (((1, 0), (0, 1)), ((0, -1), (1, 0)), ((-1, 0), (0, -1)), ((0, 1), (-1, 0)))
"""For each number of quarter turns anticlockwise: which way across a line of writing, and which way
down it, lie in the page; x, y."""
CORNERS = ((0, 0), (0, 1), (1, 1), (1, 0))
"""Likewise, where the writing's top left corner is in the upright box round it: x, y, shares."""


class StripPlacement(NamedTuple):
    """The placement of a number's strip in its page.

    Attributes:
        origin: x, y of the strip's top left corner in the page as scanned, px.
        scale: pixels of the page per pixel of the strip, across and down the strip.
        slant: as in `normalize.strips.Strip`.
        quarters: by how many quarter turns, anticlockwise, the writing is turned: 0 to 3.
    """

    origin: tuple[float, float]
    scale: tuple[float, float]
    slant: float = 0.0
    quarters: int = 0


def place_strip(
    found: Strip, shape: tuple[int, int], place: Rect, quarters: int = 0
) -> StripPlacement:
    """Return the placement of a strip that was made of a crop.

    Args:
        found: the strip.
        shape: height and width of the crop, px.
        place: x, y, width, height of the crop in the page as scanned, px.
        quarters: as in `StripPlacement`.
    """
    left, top, wide, high = place
    size = (high, wide) if quarters % 2 else (wide, high)
    scale = size[0] / shape[1], size[1] / shape[0]
    corner = CORNERS[quarters]
    start = left + corner[0] * wide, top + corner[1] * high
    along = found.origin[0] * scale[0], found.origin[1] * scale[1]
    origin = _move_along(start, along, quarters)
    return StripPlacement(
        origin, (found.scale * scale[0], found.scale * scale[1]), found.slant, quarters
    )


def locate_in_page(box: Rect, strip: StripPlacement) -> tuple[int, int, int, int]:
    """Map a box x, y, width, height, px of the strip, to the page: whole px, 1 at least."""
    x, y, width, height = box
    across, down = strip.scale
    ends = [
        _move_along(strip.origin, (u * across, v * down), strip.quarters)
        for u, v in ((x, y), (x + width, y + height))
    ]
    (left, right), (top, low) = (sorted(values) for values in zip(*ends, strict=True))
    return round(left), round(top), max(1, round(right - left)), max(1, round(low - top))


def _move_along(
    start: tuple[float, float], along: tuple[float, float], quarters: int
) -> tuple[float, float]:
    """Go so far across and down the writing from a point of the page; px of the page."""
    across, down = WAYS[quarters]
    return (
        start[0] + along[0] * across[0] + along[1] * down[0],
        start[1] + along[0] * across[1] + along[1] * down[1],
    )
