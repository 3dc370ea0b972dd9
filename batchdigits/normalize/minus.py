"""A minus before a number: a level stroke by itself, half-way up the first digit."""

import cv2
import numpy as np
from numpy.typing import NDArray

TALL = 0.4
"""A part of the ink so tall, as a share of the tallest, is a digit."""
LEVEL, THIN = 0.5, 0.35
"""Height of a minus at most, as a share of its width and of the tallest digit."""
SHORT, LONG = 0.2, 1.2
"""Width of a minus, as a share of the tallest digit, at least and at most."""
LOW, HIGH = 0.22, 0.78
"""Where its middle stands, as a share of the first digit from its foot upwards."""


def leads(mask: NDArray[np.bool_]) -> bool:
    """Tell whether what may be a minus stands before the digits.

    Two level strokes above each other are none: people close up amounts with `=`.

    Args:
        mask: shape (H, W), where there is ink; nothing but the number's.
    """
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    x, y, wide, high, _ = stats[1:].astype(np.int64).T
    if len(x) < 2:
        return False
    tallest = int(high.max())
    first = int(np.where(high >= TALL * tallest, x, mask.shape[1]).argmin())
    up = (y[first] + high[first] - (y + high / 2)) / high[first]
    before = x + wide <= x[first] + 0.15 * tallest
    before[first] = False
    shape = (high <= LEVEL * wide) & (high <= THIN * tallest)
    shape &= (wide >= SHORT * tallest) & (wide <= LONG * tallest)
    found = np.flatnonzero(before & shape & (up > LOW) & (up < HIGH))
    if len(found) != 1:
        return False
    (at,) = found.tolist()
    over = before & (x < x[at] + wide[at]) & (x + wide > x[at]) & (wide >= 0.4 * wide[at])
    return int(over.sum()) == 1
