"""Which way up the text of a page is: in most scripts' lines, letters stand on a common line."""

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage
from batchdigits.register.reduced import reduce_page

MAX_SIDE_PX = 1600
"""Longest side, px, of the reduced page in which letters are found."""
MIN_LETTER_PX, MAX_LETTER_PX = 5, 60
"""Least and greatest height of a letter, px."""
MAX_LETTER_ASPECT = 3.0
"""Greatest ratio of a letter's width to its height; two or three letters may touch."""
MAX_LETTER_GAP = 0.8
"""Greatest gap between a letter and the next, as a share of the taller one's height."""
MAX_HEIGHT_RATIO = 2.0
"""Greatest ratio of the heights of a letter and the next."""
LEVEL, UNLEVEL = 0.1, 0.15
"""Ends of two letters are level if they differ by less than the first, as a share of the taller
one's height, and are not if they differ by more than the second."""
MIN_DIRECTION_RATIO, MIN_DEVIATIONS = 1.5, 3.0
"""The text is told to be upright if its letters stand on a line so many times as often as they hang
from one, and by so many standard deviations of chance more often."""


def measure_text_direction(grey: GreyImage, degrees: float) -> int:
    """Find which way up a page's text is, in Latin script and those like it.

    Of two letters side by side the feet are level and the heads are not, as in "he", far more often
    than the other way round, as in "py". Capitals and figures tell nothing.

    Args:
        grey: the page, uint8, (height, width), dark ink on light paper.
        degrees: the angle, clockwise, by which the text would be turned.

    Returns:
        1 if the text is turned by this angle, -1 if it is upside down then, 0 if that is not known.
    """
    letters = _find_letters(_turn_back(reduce_page(grey, MAX_SIDE_PX).grey, degrees))
    standing, hanging = _count_level_pairs(letters)
    most, least = max(standing, hanging), min(standing, hanging)
    is_told = most >= MIN_DIRECTION_RATIO * least and most - least >= MIN_DEVIATIONS * np.sqrt(
        max(most + least, 1)
    )
    return int(np.sign(standing - hanging)) if is_told else 0


def _turn_back(grey: GreyImage, degrees: float) -> GreyImage:
    """Turn a page back by an angle about its middle; what is outside is white."""
    if abs(degrees) < 0.5:
        return grey
    high, wide = grey.shape
    matrix = cv2.getRotationMatrix2D(((wide - 1) / 2, (high - 1) / 2), degrees, 1)
    cos, sin = np.abs(matrix[0, :2])
    size = np.ceil([wide * cos + high * sin, wide * sin + high * cos]).astype(int)
    matrix[:, 2] += (size - [wide, high]) / 2
    turned = cv2.warpAffine(grey, matrix, size.tolist(), borderValue=(255,))
    return np.asarray(turned, np.uint8)


def _find_letters(grey: GreyImage) -> NDArray[np.float64]:
    """Find pieces of ink of a letter's size: (N, 4), x, y, width, height, px."""
    ink = cv2.adaptiveThreshold(
        grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, 41, 12
    )
    pieces = cv2.connectedComponentsWithStats(ink)[2][1:, :4]
    wide, high = pieces[:, 2], pieces[:, 3]
    is_letter = (high >= MIN_LETTER_PX) & (high <= MAX_LETTER_PX) & (wide >= 2)
    return np.asarray(pieces[is_letter & (wide <= MAX_LETTER_ASPECT * high)], np.float64)


def _count_level_pairs(letters: NDArray[np.float64]) -> tuple[int, int]:
    """Count the pairs of letters side by side of which only the feet, or only the heads, are level.

    Args:
        letters: (N, 4), x, y, width, height, px.
    """
    from scipy.spatial import cKDTree  # noqa: PLC0415  (a third of a second)

    if len(letters) < 2:
        return 0, 0
    x, y, wide, high = letters.T
    middle = y + high / 2
    gap, following = cKDTree(np.column_stack([x, middle])).query(
        np.column_stack([x + wide, middle])
    )
    taller, lower = np.maximum(high, high[following]), np.minimum(high, high[following])
    is_pair = (gap < MAX_LETTER_GAP * taller) & (lower * MAX_HEIGHT_RATIO > taller)
    is_pair &= following != np.arange(len(letters))
    heads = np.abs(y - y[following]) / taller
    feet = np.abs(y + high - (y + high)[following]) / taller
    standing = is_pair & (heads > UNLEVEL) & (feet < LEVEL)
    hanging = is_pair & (feet > UNLEVEL) & (heads < LEVEL)
    return int(standing.sum()), int(hanging.sum())
