"""A page reduced in size, for searches that do not need all its pixels."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage


class ReducedPage(NamedTuple):
    """A page reduced in size.

    Attributes:
        grey: uint8, (height, width).
        scale: (2,), how many of the page's pixels make one pixel here, across and down.
    """

    grey: GreyImage
    scale: NDArray[np.float64]

    def map_to_page(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map points (..., 2), px, back to the page."""
        return np.asarray((points + 0.5) * self.scale - 0.5)


def reduce_page(grey: GreyImage, longest: int) -> ReducedPage:
    """Reduce a page by averaging areas, so that its longest side has at most `longest` pixels."""
    share = min(1.0, longest / max(grey.shape))
    size = [max(1, round(side * share)) for side in grey.shape[::-1]]
    small = grey if share == 1 else cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return ReducedPage(np.asarray(small, np.uint8), np.array(grey.shape[::-1]) / size)
