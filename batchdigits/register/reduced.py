"""A page made smaller, for what need not be looked for in its own pixels."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage


class ReducedPage(NamedTuple):
    """A page made smaller.

    Attributes:
        grey: uint8, (height, width).
        scale: (2,), how many of the page's pixels are one of these, across and down.
    """

    grey: GreyImage
    scale: NDArray[np.float64]

    def map_to_page(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Carry points (..., 2), px, back into the page."""
        return np.asarray((points + 0.5) * self.scale - 0.5)


def reduce_page(grey: GreyImage, longest: int) -> ReducedPage:
    """Make a page smaller, by area, until its longest side has at most so many pixels."""
    share = min(1.0, longest / max(grey.shape))
    size = [max(1, round(side * share)) for side in grey.shape[::-1]]
    small = grey if share == 1 else cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return ReducedPage(np.asarray(small, np.uint8), np.array(grey.shape[::-1]) / size)
