"""Rows of boxes of one size, evenly apart: those of them that were not seen as regions.

A digit written over a line joins two boxes or parts one. From a box that was found the next ones
are sought a step further, each by the ink along its four sides.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits.layout.frames import areas, frames, share
from batchdigits.layout.grids import beside, roots, spans
from batchdigits.layout.lined import Cell
from batchdigits.layout.lines import Reach
from batchdigits.layout.seeking import ABOUT, measure_rim, seek_box

ALIKE, LITTLE, ASKEW = 0.08, 2.5, 0.05
"""By what share of the shorter side boxes of one size may differ; px, at least; a row's slope."""
WIDEST = 1.75
"""Longest step from box to box, as a share of a box."""
FAR = 8
"""Boxes of one size so many boxes apart, at most, say how long a step may be."""
WIDE = 1.8
"""A box so many times wider than high stands in no row but a table's."""
BETWEEN = 0.75
"""Share of the ink that a box's sides have else which one between two others needs."""
EMPTY = 0.36
"""Greatest share of ink just within the sides of a run's boxes together."""
MOST, SHORTEST, PAIR, SINGLE, NEW = 64, 3, 0.9, 0.85, 0.8
"""Boxes of a run, at most and at least; how well two alone are drawn, and those of a longer run of
which one was found; what a box that was not weighs."""
STRONG, INSIDE, BESIDE = 0.9, 1.3, 0.25
"""A box that was found and is so well drawn is not given up for one that has more than the third
share in common with it, but is no part of it; nor, if it is so many times as large, for a part that
is drawn less well."""
TABLE = 3, 2
"""Rows and columns of a table, at least, that is complete."""
WHOLE = 0.85
"""Share of a box that was found, and is so well drawn, that lies in one that takes its place."""
FRAME = 1.5
"""A box that was found, and is so many times as wide and high, has others of the row in it too."""
PIECE, OVER, LARGER, SAME = 0.6, 0.3, 3, 0.7
"""What boxes fill so much of is no box, nor what has so much in common with one: shares of area. A
frame, so many times as large, may be round them."""


REPEATED = 0.15
"""By what share of its shorter side a box that is sought may be off one that was found."""


class Run(NamedTuple):
    """Boxes evenly in a line, and which of them were found already."""

    cells: list[Cell]
    old: set[int]


class Seen(NamedTuple):
    """What was found, the ink to look in, and what is too well drawn to be given up: `strong`."""

    cells: list[Cell]
    middle: NDArray[np.float64]
    size: NDArray[np.float64]
    frames: NDArray[np.float64]
    strong: NDArray[np.bool_]
    ink: Reach


def ruled(cells: list[Cell], ink: Reach) -> list[Cell]:
    """Complete rows of boxes, the surest first; what stands in their way goes.

    Args:
        cells: the boxes that were found.
        ink: how near it is, everywhere in the view.
    """
    whole = _complete(cells)
    rest = [cell for n, cell in enumerate(cells) if n not in whole]
    taken = [cells[n] for n in sorted(whole)]
    seen = _seen(rest, ink)
    return taken + _settled(seen, _runs(seen), taken)


def _complete(cells: list[Cell]) -> set[int]:
    """List the boxes of tables that lack none: there is nothing to seek."""
    pairs = [pair for axis in (0, 1) for pair in beside(cells, axis)]
    together = defaultdict(list)
    for n, root in enumerate(roots(len(cells), pairs)):
        together[root].append(n)
    out: set[int] = set()
    for members in together.values():
        if len(members) < TABLE[0] * TABLE[1]:
            continue
        rows, columns = spans([cells[n] for n in members])[:, 2:].max(axis=0).tolist()
        if rows >= TABLE[0] and columns >= TABLE[1] and rows * columns == len(members):
            out.update(members)
    return out


def _seen(cells: list[Cell], ink: Reach) -> Seen:
    middle = np.array([cell.middle for cell in cells]).reshape(-1, 2)
    size = np.array([cell.size for cell in cells]).reshape(-1, 2)
    strong = np.array([cell.drawn >= STRONG for cell in cells], bool)
    return Seen(cells, middle, size, frames(cells), strong, ink)


def _runs(seen: Seen) -> list[Run]:
    """Find runs of boxes across the page."""
    cells, middle = seen.cells, seen.middle
    left = set(range(len(cells)))
    out = []
    order = sorted(left, key=lambda n: (-round(cells[n].drawn, 1), middle[n, 1], middle[n, 0]))
    for n in order:
        if n not in left:
            continue
        near = _line(n, seen)
        tried = []
        for step in _steps(cells[n], middle[near]):
            tried.append(_run(seen, near, n, step))
            if len(tried[-1].old) == len(near):
                break  # no other step leads to more: a sheet of 3,000 cells has many steps
        best = max(tried, key=_sure)
        left.discard(n)
        if _enough(best) and _clear(best, seen.ink) and not _covers_others(best, seen):
            left -= best.old
            out.append(best)
    return out


def _sure(run: Run) -> float:
    """Weigh a run: by how many boxes it has, and how well they are drawn."""
    new = sum(cell.drawn for cell in run.cells) - len(run.old)
    return len(run.old) + NEW * new


def _enough(run: Run) -> bool:
    """Tell whether a run is long enough to be believed; of two boxes, if both are well drawn."""
    drawn = [cell.drawn for cell in run.cells]
    if len(drawn) >= SHORTEST:
        return len(run.old) > 1 or float(np.mean(drawn)) >= SINGLE
    return len(drawn) == 2 and min(drawn) >= PAIR


def _clear(run: Run, ink: Reach) -> bool:
    """Tell whether there is paper in most boxes of a run: in codes there is not."""
    if 2 * len(run.old) >= len(run.cells):
        return True
    rims = [measure_rim(ink, cell.quad, cell.thickness) for cell in run.cells]
    return float(np.mean(rims)) <= EMPTY


def _covers_others(run: Run, seen: Seen) -> bool:
    """Return whether boxes of a run are several well drawn ones each, or parts of such ones.

    The first are beside a merged cell. The sides of the second are digits in a table's cells.
    """
    own = frames(run.cells)
    one, two = areas(own)[:, None], areas(seen.frames)
    common = share(own, seen.frames) * np.minimum(one, two)
    within = seen.strong & (common > WHOLE * two) & (two < PIECE * one)
    full = (within.sum(axis=1) > 1) & ((within * two).sum(axis=1) > WHOLE * one[:, 0])
    parts = seen.strong & (common > WHOLE * one) & (one < PIECE * two)
    weak = np.array([cell.drawn < STRONG for cell in run.cells])
    parted = (parts.sum(axis=0) > 1) & parts[weak].any(axis=0)
    count = parts[:, parted].any(axis=1).sum()
    return bool(full.sum() >= len(run.old) or count > len(run.old))


def _line(n: int, seen: Seen) -> NDArray[np.int64]:
    """List the boxes in line with one that are as large."""
    limit = max(LITTLE, ALIKE * float(seen.size[n].min()))
    off = np.abs(seen.middle - seen.middle[n])
    there = np.abs(seen.size - seen.size[n]).max(axis=1) <= limit
    return np.flatnonzero(there & (off[:, 1] <= limit + ASKEW * off[:, 0]))


def _steps(cell: Cell, others: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """List the steps from a box to the next that are possible."""
    side = (cell.quad[[1, 2]] - cell.quad[[0, 3]]).mean(axis=0)
    along = float(side[0])
    out = [side]
    if cell.size[0] >= WIDE * cell.size[1]:
        return out
    way = others - cell.middle
    if len(others) == 1:
        out += [side * (1 + gap / along) for gap in np.arange(4.0, (WIDEST - 1) * along, 5.0)]
    for one in way[(way[:, 0] > 0.5 * along) & (way[:, 0] < FAR * along)]:
        first, last = np.ceil(one[0] / (WIDEST * along)), np.floor(one[0] / along + 0.04)
        for parts in range(max(1, int(first)), int(last) + 1):
            step = one / parts
            if all(abs(float(step[0] - old[0])) > LITTLE / 2 for old in out):
                out.append(step)
    return out


def _run(seen: Seen, near: NDArray[np.int64], start: int, step: NDArray[np.float64]) -> Run:
    """Follow a step from box to box, to both sides."""
    old = {start}
    both = []
    for first in (-step, step):
        found: list[Cell] = []
        way = first
        last = seen.cells[start]
        while len(found) < MOST and (more := _next(seen, near, last, way)):
            found += [cell for _, cell in more]
            old |= {number for number, _ in more if number is not None}
            way = 0.7 * way + 0.3 * (found[-1].middle - last.middle) / len(more)
            last = found[-1]
        both.append(found)
    return Run([*both[0][::-1], seen.cells[start], *both[1]], old)


def _next(
    seen: Seen, near: NDArray[np.int64], last: Cell, step: NDArray[np.float64]
) -> list[tuple[int | None, Cell]]:
    """Give the next box; or the next but one with what lies between; or nothing."""
    if (one := _there(seen, near, last, step)) is not None:
        return [one]
    if (two := _there(seen, near, last, 2 * step)) is None:
        return []
    between = seek_box(seen.ink, last, (last.quad + two[1].quad) / 2, BETWEEN)
    if between is None or _is_part_of_tall(seen, between):
        return []
    return [(None, between), two]


def _there(
    seen: Seen, near: NDArray[np.int64], last: Cell, step: NDArray[np.float64]
) -> tuple[int | None, Cell] | None:
    """Give the box at a step from another: found already, or seen there."""
    off = np.abs(seen.middle[near] - last.middle - step).max(axis=1)
    best = int(off.argmin())
    if off[best] <= ABOUT:
        return int(near[best]), seen.cells[near[best]]
    cell = seek_box(seen.ink, last, last.quad + step)
    if cell is None or _blocked(seen, cell, last):
        return None
    off = np.abs(seen.middle[near] - cell.middle).max(axis=1)
    best = int(off.argmin())
    if seen.strong[near[best]] and off[best] <= REPEATED * float(cell.size.min()):
        return int(near[best]), seen.cells[near[best]]  # heavy lines are found px from their middle
    return None, cell


def _blocked(seen: Seen, new: Cell, last: Cell) -> bool:
    """Tell whether a box after another would take a surer one's place, or be alone within one."""
    own = frames([new])
    one, two = float(areas(own)[0]), areas(seen.frames)
    common = share(own, seen.frames)[0] * np.minimum(one, two)
    low, high = seen.frames[:, :2], seen.frames[:, 2:]
    left = ~((low < last.middle) & (last.middle < high)).all(axis=1)
    large = (high - low > FRAME * (own[0, 2:] - own[0, :2])).all(axis=1)
    if (seen.strong & left & large & (common > WHOLE * one)).any():
        return True
    over = seen.strong & (common > BESIDE * np.minimum(one, two))
    part = (two > INSIDE * one) & (common > PIECE * one)
    given = part & (two < LARGER * one) & (new.drawn < STRONG)
    return bool((over & (given | (~part & (common < WHOLE * two)))).any())


def _is_part_of_tall(seen: Seen, new: Cell) -> bool:
    """Return whether a box is in a well drawn one that is higher: a table's merged cell."""
    own = frames([new])
    common = share(own, seen.frames)[0]
    high = seen.frames[:, 3] - seen.frames[:, 1] > FRAME * (own[0, 3] - own[0, 1])
    return bool((seen.strong & high & (common > WHOLE)).any())


def _settled(seen: Seen, found: Sequence[Run], before: Sequence[Cell]) -> list[Cell]:
    """Put runs in the place of what was found, but not of what `before` was settled."""
    cells, area = seen.cells, areas(seen.frames)
    gone, safe = np.zeros(len(cells), bool), np.zeros(len(cells), bool)
    taken = frames(before)
    new: list[Cell] = []
    for run in sorted(found, key=_sure, reverse=True):
        own = frames(run.cells)
        if _crosses(own, taken):
            continue
        fresh = [bool((row <= OVER).all()) for row in share(own, taken)]
        taken = np.concatenate([taken, own])
        safe[list(run.old)] = True
        size = areas(own)
        common = share(own, seen.frames)
        full = (common * np.minimum(size[:, None], area[None])).sum(axis=0) > PIECE * area
        over = (common.max(axis=0) > OVER) & (full | (area < LARGER * size.mean()))
        gone |= over & ~safe
        known = {id(cells[n]) for n in run.old}
        some = zip(run.cells, fresh, strict=True)
        new += [cell for cell, one in some if one and id(cell) not in known]
    return [cell for cell, away in zip(cells, gone.tolist(), strict=True) if not away] + new


def _crosses(own: NDArray[np.float64], taken: NDArray[np.float64]) -> bool:
    """Tell whether boxes share a place with some that are others."""
    common = share(own, taken)
    alike = np.abs(areas(own)[:, None] / areas(taken)[None] - 1) < OVER
    return bool(((common > OVER) & ~(alike & (common > SAME))).any())
