"""Boxes that a row lacks between two of its own: its pitch tells where they are.

What is written over a line joins boxes or parts them, and where two in a row are lost, the search
from box to box ends.
"""

from itertools import pairwise

import numpy as np

from batchdigits.layout.frames import areas, frames, share
from batchdigits.layout.lined import WEAK, Cell
from batchdigits.layout.lines import Reach
from batchdigits.layout.seeking import is_drawn

SURE = 0.9
"""How well the boxes are drawn, at least, that tell a row's pitch."""
ALIKE, LITTLE, ASKEW = 0.08, 2.5, 0.05
"""By what share of the shorter side boxes of one row may differ; px, at least; a row's slope."""
CLOSEST, WIDEST = 0.95, 1.75
"""Least and greatest pitch, as a share of a box's width."""
MOST = 4
"""Steps from a box to the next that was found, at most."""
OFF = 0.04
"""By what share of their distance two boxes may not be whole steps apart."""
OVER, LARGER = 0.3, 1.5
"""Share of a box from which on another is in its way; one that is so many times as large, and as
well drawn as a sure one, stays."""

Place = tuple[float, float, float, float, Cell]
"""x and y of a box's middle, its width and height, px, and the box."""


def fill_rows(cells: list[Cell], ink: Reach) -> list[Cell]:
    """Put boxes into the gaps of rows of boxes of one size.

    Args:
        cells: the boxes that were found.
        ink: how near it is, everywhere in the view.

    Returns:
        The boxes, without those in whose place are others now.
    """
    sure = [cell for cell in cells if cell.drawn >= SURE]
    new = [cell for row in _find_rows(sure) for cell in _fill_row(row, ink)]
    if not new:
        return cells
    own, others = frames(new), frames(cells)
    common = share(own, others)
    firm = np.array([cell.drawn >= SURE for cell in cells])
    firm = firm & (areas(others) > LARGER * areas(own)[:, None])
    free = np.flatnonzero(~((common > OVER) & firm).any(axis=1))
    kept = np.flatnonzero(~(common[free] > OVER).any(axis=0))
    return [cells[n] for n in kept] + [new[n] for n in free]


def _find_rows(cells: list[Cell]) -> list[list[Cell]]:
    """Part boxes into rows of one size, each from left to right, of three boxes or more."""
    # floats of Python's own: a page of 3,000 cells has many pairs
    left: list[Place] = sorted(
        ((*cell.middle.tolist(), *cell.size.tolist(), cell) for cell in cells),
        key=lambda one: one[0],
    )
    out = []
    while left:
        row: list[Place] = [left[0]]
        rest: list[Place] = []
        for one in left[1:]:
            (row if _goes_on(row[-1], one) else rest).append(one)
        out.append([cell for *_, cell in row])
        left = rest
    return [row for row in out if len(row) > 2]


def _goes_on(last: Place, one: Place) -> bool:
    """Return whether a box may be the next one found in the row of another."""
    limit = max(LITTLE, ALIKE * min(last[2:4]))
    alike = abs(one[2] - last[2]) <= limit and abs(one[3] - last[3]) <= limit
    return alike and abs(one[1] - last[1]) <= limit + ASKEW * abs(one[0] - last[0])


def _fill_row(row: list[Cell], ink: Reach) -> list[Cell]:
    """Return the boxes that a row lacks between its own."""
    wide = float(np.median([cell.size[0] for cell in row]))
    steps = np.array([two.middle[0] - one.middle[0] for one, two in pairwise(row)])
    near_steps = steps[(steps >= CLOSEST * wide) & (steps <= WIDEST * wide)]
    if not len(near_steps):
        return []
    pitch = float(np.quantile(near_steps, 0.25))
    out: list[Cell] = []
    for one, two in pairwise(row):
        step = float(two.middle[0] - one.middle[0])
        count = round(step / pitch)
        if 1 < count <= MOST and abs(step - count * pitch) <= max(LITTLE, OFF * step):
            between = [one.quad + (two.quad - one.quad) * n / count for n in range(1, count)]
            if all(is_drawn(ink, quad, one.thickness) for quad in between):
                out += [Cell(quad, one.thickness, WEAK, one.dotted) for quad in between]
    return out
