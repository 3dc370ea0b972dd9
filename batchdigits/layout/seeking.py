"""A box sought at a place in a row, by the ink along its four sides."""

import numpy as np
from numpy.typing import NDArray

from batchdigits.layout.lined import Cell, Quad, near
from batchdigits.layout.lines import Reach

LEAST, MEAN = 0.62, 0.84
"""Share of the worst side of a box that has ink, and of all four."""
DOTS = 0.8
"""The same of dotted ones is this share of it."""
PAPER = 0.6
"""Greatest share of ink just within the sides of a box."""
ABOUT, LEVEL = 3, 0.015
"""px about its place in which a box is sought; places that are as good, by shares of ink."""
SIDE, SIDES = 0.5, 0.7
"""Share of the worst side of a box between two others that has ink beside the lines that meet it,
and of all four."""
MOST_AWAY = 0.25
"""Share of a side at each of its ends that is not looked at, at most."""

_SPOTS = np.linspace(0.02, 0.98, 25)[:, None]
_MOVES = np.stack(np.meshgrid(*[np.arange(-ABOUT, ABOUT + 1.0)] * 2), axis=-1).reshape(-1, 2)
_COST = 0.006 * np.abs(_MOVES).sum(axis=1)


def seek_box(ink: Reach, like: Cell, quad: Quad, part: float = 1.0) -> Cell | None:
    """Look for a box about a place, by the ink along its sides.

    Args:
        ink: how near it is, everywhere in the view.
        like: a box of its row.
        quad: its corners, to the middle of its lines.
        part: of the ink that its sides have else.
    """
    part *= DOTS if like.dotted else 1.0
    sides = quad + _SPOTS[:, :, None] * (quad[[1, 2, 3, 0]] - quad)
    drawn = (_look_up(ink, sides + _MOVES[:, None, None]) >= 2).mean(axis=1)
    score = drawn.mean(axis=1)
    best = int((score - _COST).argmax())
    if drawn[best].min() < part * LEAST or score[best] < part * MEAN:
        return None
    found = quad + _MOVES[score >= score[best] - LEVEL].mean(axis=0)  # the middle of thick lines
    if measure_rim(ink, found, like.thickness) > PAPER:
        return None
    if not like.dotted and not is_drawn(ink, found, like.thickness):
        return None
    return Cell(found, like.thickness, float(drawn[best].min()), like.dotted)


def is_drawn(ink: Reach, quad: Quad, thickness: float) -> bool:
    """Return whether there is ink on each side of a box, beside the lines that meet it.

    The paper between two boxes has the lines of both at its sides, and the ends of others.

    Args:
        ink: how near it is, everywhere in the view.
        quad: its corners, to the middle of its lines.
        thickness: of its lines, px.
    """
    sides = quad[[1, 2, 3, 0]] - quad
    away = np.minimum((thickness / 2 + 2) / np.abs(sides).max(axis=1), MOST_AWAY)[:, None]
    spots = quad + sides * (away + (1 - 2 * away) * np.linspace(0, 1, 41)[:, None, None])
    there = near(ink, spots, 1).mean(axis=0)
    return bool(there.min() >= SIDE and there.mean() >= SIDES)


def measure_rim(ink: Reach, quad: Quad, thickness: float) -> float:
    """Return the share of ink in what lies just within the sides of a box."""
    within = quad + (thickness / 2 + 2.5) * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    rim = within + _SPOTS[:, :, None] * (within[[1, 2, 3, 0]] - within)
    return float((_look_up(ink, rim) == 3).mean())


def _look_up(ink: Reach, at: NDArray[np.float64]) -> Reach:
    high, wide = ink.shape
    spots = (at + 0.5).astype(np.int64)
    x = np.minimum(np.maximum(spots[..., 0], 0), wide - 1)
    y = np.minimum(np.maximum(spots[..., 1], 0), high - 1)
    return np.asarray(ink[y, x], np.uint8)
