"""How far writing leans: setting it upright leaves less for a reader of numbers to learn."""

import numpy as np
from numpy.typing import NDArray

STEP, MOST = 0.1, 0.8
"""Leans that are tried: columns to the right for each row upwards, from -MOST to MOST."""
DOUBT = 0.15
"""What a lean of 1 costs, as a share of how well upright strokes stand: where writing has few, it
stays as it is."""


def slant(mask: NDArray[np.bool_]) -> float:
    """Measure how far writing leans to the right.

    Of all leans that one is taken for which the ink, set upright, stands in the fewest columns:
    the sum of the squares of the ink in each column is then the largest (after Vinciarelli and
    Luettin, "A new normalization technique for cursive handwritten words", 2001, who count whole
    strokes alone, which noise breaks).

    Args:
        mask: shape (H, W), where there is ink.

    Returns:
        Columns for each row upwards, from -`MOST` to `MOST`.
    """
    y, x = np.nonzero(mask)
    if not len(y):
        return 0.0
    down = y - (mask.shape[0] - 1) / 2
    leans = np.arange(-round(MOST / STEP), round(MOST / STEP) + 1) * STEP
    room = int(np.ceil(MOST * mask.shape[0] / 2)) + 1
    stands = np.array([_stands(x + room + lean * down) for lean in leans])
    stands *= 1 - DOUBT * np.abs(leans)
    at = int(stands.argmax())
    return float(leans[at] + _between(stands, at) * STEP)


def _stands(across: NDArray[np.float64]) -> float:
    """Sum the squares of how much ink stands in each column, half of it in the one beside."""
    column = across.astype(np.int64)
    part = across - column
    mass = np.bincount(column, 1 - part, column.max() + 2)
    mass += np.bincount(column + 1, part, len(mass))
    return float((mass * mass).sum())


def _between(stands: NDArray[np.float64], at: int) -> float:
    """Tell where between its neighbours a maximum lies, by a parabola; in steps, -0.5 to 0.5."""
    if not 0 < at < len(stands) - 1:
        return 0.0
    before, peak, after = stands[at - 1 : at + 2]
    bend = before - 2 * peak + after
    return float(np.clip((before - after) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0
