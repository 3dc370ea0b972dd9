"""Where the digits of a number lie in a page that was scanned at any of four turns."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from batchdigits.extract.placement import locate_in_page, place_strip
from batchdigits.normalize.strips import Strip

SIDES = st.integers(20, 400)


@given(SIDES, SIDES, st.integers(0, 3), st.integers(0, 30), st.integers(0, 30), st.data())
def test_box_of_a_digit_turns_with_its_page(
    wide: int, high: int, quarters: int, left: int, top: int, data: st.DataObject
) -> None:
    """A page with one crop on it, and one pixel set in the crop, is turned as a whole."""
    page = np.zeros((high + top + 25, wide + left + 35), np.uint8)
    x, y = data.draw(st.integers(0, wide - 1)), data.draw(st.integers(0, high - 1))
    crop = np.zeros_like(page)
    crop[top : top + high, left : left + wide] = 1
    page[top + y, left + x] = 1
    lying, area = np.rot90(page, quarters), np.argwhere(np.rot90(crop, quarters))
    (low_y, low_x), (high_y, high_x) = area.min(0).tolist(), (area.max(0) + 1).tolist()
    strip = Strip(np.zeros((48, 64), np.uint8), (3.0, 2.0), 0.5)
    place = (low_x, low_y, high_x - low_x, high_y - low_y)
    placed = place_strip(strip, (high, wide), place, quarters)
    own = ((x - 3.0) / 0.5, (y - 2.0) / 0.5, 2.0, 2.0)  # the pixel, in px of the strip
    at_y, at_x = np.argwhere(lying)[0].tolist()
    assert locate_in_page(own, placed) == (at_x, at_y, 1, 1)
