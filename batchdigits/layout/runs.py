"""Boxes of one size that stand evenly in a line: those of them that nobody saw, and whose place it is.

A digit that is written over a line joins two boxes or parts one. Its row knows better: from a box
that was found the next ones are sought a step further, each by the ink along its four sides.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits.layout.lined import Cell, Quad
from batchdigits.layout.lines import Reach

ALIKE = 0.08
"""By what share of the shorter side boxes of one size may differ; px at least:"""
LITTLE = 2.5
WIDEST = 1.75
"""Longest step from box to box, as a share of a box."""
FAR = 8
"""Boxes of one size so many boxes apart, at most, say how long a step may be."""
WIDE = 1.8
"""A box so many times wider than high stands in no row but a table's."""
LEAST, MEAN = 0.62, 0.84
"""Share of the worst side of a box that has ink, and of all four."""
DOTS = 0.8
"""The same of dotted ones is this share of it, and of one between two others:"""
BETWEEN = 0.75
PAPER = 0.6
"""Greatest share of ink just within the sides of a box."""
EMPTY = 0.36
"""The same, of all boxes of a run together."""
ABOUT, LEVEL = 3, 0.015
"""px about its place in which a box is sought; places that are as good, by shares of ink."""
MOST, SHORTEST, PAIR = 64, 3, 0.9
"""Boxes of a run, at most and at least; how well two alone are drawn."""
STRONG, INSIDE, BESIDE = 0.9, 1.3, 0.25
"""A box that was found and is so well drawn is not given up for one that has more than the third
share in common with it, but is no part of it; nor, if it is so many times as large, for a part that
is drawn less well."""
PIECE, OVER, LARGER, SAME = 0.6, 0.3, 3, 0.7
"""What boxes fill so much of is no box, nor what has so much in common with one: shares of area. A
frame, so many times as large, may be round them."""

_SPOTS = np.linspace(0.02, 0.98, 25)[:, None]
_MOVES = np.stack(np.meshgrid(*[np.arange(-ABOUT, ABOUT + 1.0)] * 2), axis=-1).reshape(-1, 2)
_COST = 0.006 * np.abs(_MOVES).sum(axis=1)


class Run(NamedTuple):
    """Boxes evenly in a line, and which of them were found already."""

    cells: list[Cell]
    old: set[int]


def ruled(cells: list[Cell], ink: Reach) -> list[Cell]:
    """Complete rows and columns of boxes, the longest first; what stands in their way goes.

    Args:
        cells: the boxes that were found.
        ink: how near it is, everywhere in the view.
    """
    taken: list[Cell] = []
    for axis in (0, 1):
        cells, new = _settled(cells, _runs(cells, ink, axis), taken)
        taken += new  # of both, each once or twice
    return cells


def _runs(cells: list[Cell], ink: Reach, axis: int) -> list[Run]:
    """Find runs of boxes along an axis: 0 across the page, 1 down."""
    if not cells:
        return []
    size = np.array([cell.size for cell in cells])
    middle = np.array([cell.middle for cell in cells])
    left = set(range(len(cells)))
    out = []
    order = sorted(left, key=lambda n: (-round(cells[n].drawn, 1), middle[n, 1], middle[n, 0]))
    for n in order:
        if n not in left:
            continue
        near = _line(n, size, middle, axis)
        tried = [_run(cells, middle, near, n, step, ink) for step in _steps(cells[n], middle[near], axis)]
        best = max(tried, key=_sure, default=None)
        left.discard(n)
        if best is not None and _enough(best, axis) and _clear(best, ink):
            left -= best.old
            out.append(best)
    return out


def _sure(run: Run) -> float:
    """Weigh a run: by how many boxes it has, and how well they are drawn."""
    return sum(cell.drawn for cell in run.cells)


def _enough(run: Run, axis: int) -> bool:
    """Tell whether a run is long enough to be believed; of two boxes, if both are well drawn.

    Down the page there is print below each other as well: half of the boxes were found.
    """
    if axis == 1 and 2 * len(run.old) < len(run.cells):
        return False
    drawn = min(cell.drawn for cell in run.cells)
    return len(run.cells) >= SHORTEST or (len(run.cells) == 2 and drawn >= PAIR)


def _clear(run: Run, ink: Reach) -> bool:
    """Tell whether there is paper in most boxes of a run: in codes there is not."""
    if 2 * len(run.old) >= len(run.cells):
        return True
    rims = [_rim(ink, cell.quad, cell.thickness) for cell in run.cells]
    return float(np.mean(rims)) <= EMPTY


def _line(n: int, size: NDArray[np.float64], middle: NDArray[np.float64], axis: int) -> NDArray[np.int64]:
    """List the boxes in line with one that are as large."""
    limit = max(LITTLE, ALIKE * float(size[n].min()))
    off = np.abs(middle - middle[n])
    there = (np.abs(size - size[n]).max(axis=1) <= limit)
    there &= off[:, 1 - axis] <= limit + 0.05 * off[:, axis]
    return np.flatnonzero(there)


def _steps(cell: Cell, others: NDArray[np.float64], axis: int) -> list[NDArray[np.float64]]:
    """List the steps from a box to the next that are possible."""
    begin, end = ([0, 3], [1, 2]) if axis == 0 else ([0, 1], [3, 2])
    side = (cell.quad[end] - cell.quad[begin]).mean(axis=0)
    along = float(side[axis])
    out = [side]
    if axis == 1 or cell.size[0] >= WIDE * cell.size[1]:
        return out
    way = others - cell.middle
    if len(others) == 1:
        out += [side * (1 + gap / along) for gap in np.arange(4.0, (WIDEST - 1) * along, 5.0)]
    for one in way[(way[:, axis] > 0.5 * along) & (way[:, axis] < FAR * along)]:
        first, last = np.ceil(one[axis] / (WIDEST * along)), np.floor(one[axis] / along + 0.04)
        for parts in range(max(1, int(first)), int(last) + 1):
            step = one / parts
            if all(abs(float(step[axis] - old[axis])) > LITTLE / 2 for old in out):
                out.append(step)
    return out


def _run(
    cells: list[Cell],
    middle: NDArray[np.float64],
    near: NDArray[np.int64],
    start: int,
    step: NDArray[np.float64],
    ink: Reach,
) -> Run:
    """Follow a step from box to box, to both sides."""
    old = {start}
    both = []
    for way in (-step, step):
        found: list[Cell] = []
        last = cells[start]
        while len(found) < MOST:
            more = _next(cells, middle, near, last, way, ink)
            if not more:
                break
            for number, cell in more:
                found.append(cell)
                if number is not None:
                    old.add(number)
            way = 0.7 * way + 0.3 * (found[-1].middle - last.middle) / len(more)
            last = found[-1]
        both.append(found)
    return Run([*both[0][::-1], cells[start], *both[1]], old)


def _next(
    cells: list[Cell],
    middle: NDArray[np.float64],
    near: NDArray[np.int64],
    last: Cell,
    step: NDArray[np.float64],
    ink: Reach,
) -> list[tuple[int | None, Cell]]:
    """Give the next box; or the next but one with what lies between; or nothing."""
    if (one := _there(cells, middle, near, last, step, ink)) is not None:
        return [one]
    if (two := _there(cells, middle, near, last, 2 * step, ink)) is None:
        return []
    quad = (last.quad + two[1].quad) / 2
    between = sought(ink, last, quad, BETWEEN)
    return [] if between is None else [(None, between), two]


def _there(
    cells: list[Cell],
    middle: NDArray[np.float64],
    near: NDArray[np.int64],
    last: Cell,
    step: NDArray[np.float64],
    ink: Reach,
) -> tuple[int | None, Cell] | None:
    """Give the box at a step from another: found already, or seen there."""
    off = np.abs(middle[near] - last.middle - step).max(axis=1)
    best = int(off.argmin())
    if off[best] <= ABOUT:
        return int(near[best]), cells[near[best]]
    cell = sought(ink, last, last.quad + step)
    if cell is None or _blocked(cells, middle, cell):
        return None
    return None, cell


def _blocked(cells: list[Cell], middle: NDArray[np.float64], new: Cell) -> bool:
    """Tell whether a box would take the place of one that is surer."""
    own = _frame(new)
    reach_ = (own[2:] - own[:2]).max() * 6
    for n in np.flatnonzero((np.abs(middle - new.middle) < reach_).all(axis=1)).tolist():
        cell = cells[n]
        if cell.drawn < STRONG:
            continue
        frame = _frame(cell)
        common = float(np.clip(np.minimum(own, frame)[2:] - np.maximum(own, frame)[:2], 0, None).prod())
        one, two = (float((some[2:] - some[:2]).prod()) for some in (own, frame))
        if common <= BESIDE * min(one, two):
            continue
        if two > INSIDE * one and common > PIECE * one:
            if two < LARGER * one and new.drawn < STRONG:
                return True
        elif common < PIECE * two:
            return True
    return False


def sought(ink: Reach, like: Cell, quad: Quad, share: float = 1.0) -> Cell | None:
    """Look for a box about a place, by the ink along its sides.

    Args:
        ink: how near it is, everywhere in the view.
        like: a box of its row.
        quad: its corners, to the middle of its lines.
        share: of the ink that its sides have else.
    """
    share *= DOTS if like.dotted else 1.0
    sides = quad + _SPOTS[:, :, None] * (quad[[1, 2, 3, 0]] - quad)
    drawn = (_at(ink, sides + _MOVES[:, None, None]) >= 2).mean(axis=1)
    score = drawn.mean(axis=1)
    best = int((score - _COST).argmax())
    if drawn[best].min() < share * LEAST or score[best] < share * MEAN:
        return None
    found = quad + _MOVES[score >= score[best] - LEVEL].mean(axis=0)  # the middle of thick lines
    if _rim(ink, found, like.thickness) > PAPER:
        return None
    return Cell(found, like.thickness, float(drawn[best].min()), like.dotted)


def _rim(ink: Reach, quad: Quad, thickness: float) -> float:
    """Say what share of what lies just within the sides of a box is ink."""
    within = quad + (thickness / 2 + 2.5) * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    rim = within + _SPOTS[:, :, None] * (within[[1, 2, 3, 0]] - within)
    return float((_at(ink, rim) == 3).mean())


def _at(ink: Reach, at: NDArray[np.float64]) -> Reach:
    high, wide = ink.shape
    spots = (at + 0.5).astype(np.int64)
    x = np.minimum(np.maximum(spots[..., 0], 0), wide - 1)
    y = np.minimum(np.maximum(spots[..., 1], 0), high - 1)
    return ink[y, x]


def _settled(
    cells: list[Cell], found: Sequence[Run], before: Sequence[Cell]
) -> tuple[list[Cell], list[Cell]]:
    """Put runs in the place of what was found, the surest first; gives also their boxes."""
    frames = np.array([_frame(cell) for cell in cells]).reshape(-1, 4)
    area = (frames[:, 2:] - frames[:, :2]).prod(axis=1)
    gone, safe = np.zeros(len(cells), bool), np.zeros(len(cells), bool)
    taken = np.array([_frame(cell) for cell in before]).reshape(-1, 4)
    new: list[Cell] = []
    for run in sorted(found, key=_sure, reverse=True):
        own = np.array([_frame(cell) for cell in run.cells])
        size = (own[:, 2:] - own[:, :2]).prod(axis=1)
        if len(taken):
            past = (taken[:, 2:] - taken[:, :2]).prod(axis=1)
            share = _share(own, taken)
            alike = np.abs(size[:, None] / past[None] - 1) < OVER
            if ((share > OVER) & ~(alike & (share > SAME))).any():
                continue
            fresh = ~(share > OVER).any(axis=1)
        else:
            fresh = np.ones(len(own), bool)
        taken = np.concatenate([taken, own])
        old = np.zeros(len(cells), bool)
        old[list(run.old)] = True
        share = _share(own, frames)
        full = (share * np.minimum(size[:, None], area[None])).sum(axis=0) > PIECE * area
        over = (share.max(axis=0) > OVER) & (full | (area < LARGER * size.mean()))
        safe |= old
        gone |= over & ~safe
        known = {id(cells[n]) for n in run.old}
        some = zip(run.cells, fresh.tolist(), strict=True)
        new += [cell for cell, one in some if one and id(cell) not in known]
    kept = [cell for cell, away in zip(cells, gone.tolist(), strict=True) if not away]
    return kept + new, [cell for run in found for cell in run.cells]


def _share(one: NDArray[np.float64], two: NDArray[np.float64]) -> NDArray[np.float64]:
    """Measure what each two boxes have in common, as a share of the smaller: (N, M)."""
    low = np.maximum(one[:, None, :2], two[None, :, :2])
    high = np.minimum(one[:, None, 2:], two[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=2)
    area = [(some[:, 2:] - some[:, :2]).prod(axis=1) for some in (one, two)]
    return np.asarray(common / np.minimum(area[0][:, None], area[1][None]))


def _frame(cell: Cell) -> NDArray[np.float64]:
    return np.concatenate([cell.quad.min(axis=0), cell.quad.max(axis=0)])
