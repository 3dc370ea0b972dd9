"""Which boxes hold one value together, and which of these may be longer than was found.

Adjoining boxes for one digit each are one value in a lone row, in a row of a table whose other
cells are wider, and where a heading spans them. Where rows of them are stacked right below each
other each box is a value; if there is a wider cell beside them, each may also be a digit of one.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.layout.flanked import find_flanked
from batchdigits.layout.found import LONGEST
from batchdigits.layout.grids import spans
from batchdigits.layout.groups import WIDE, Group
from batchdigits.layout.lined import Cell, inked
from batchdigits.layout.lines import Ink, Reach

ALIKE = 0.2
"""How much boxes of one value may differ in width, as a share of it."""
LATE = 0.5
"""By what share of its height a cell begins later than its column, if it is a part of one."""
HALF = 0.5
"""Share of a table's width that a heading over digits of one number takes, at most."""
ONE_DIGIT = 1.3
"""A box for one digit is wider than high by this factor at most."""
MOST = 20
"""Boxes that one value has at most in a table."""
HEADED = 0.6
"""Share of the columns that have a heading of their own, at least, where each is a value."""
ONE_NUMBER = "may be one number"
SEVERAL = "may be a value for each box"
GOES_ON = "may go on in a box that was not found"
TALL, CUT = 0.35, 0.12
"""Least height of a sign where the next box would be, as a share of the box's; and what is left off
of that place at each side."""
FEW, FILLED = 2, 0.3
"""Most signs, and the share of that place that is ink: a code or a picture has more."""
DRAWN, BEYOND = 0.85, 1.5
"""Share of a line that has ink if it goes on: the next box's; or that of a row's end, so many times
its length above and below it: the edge of a sheet over the row does."""


class Value(NamedTuple):
    """Boxes that hold one value.

    Attributes:
        members: indices of the group's cells, from left to right.
        doubt: why the value is for review; empty for no reason.
    """

    members: tuple[int, ...]
    doubt: str = ""


class _Run(NamedTuple):
    """Adjoining boxes of like width in one row of a table.

    Attributes:
        members: indices of the table's cells, from left to right.
        rows: the lines of the table above and below them.
        columns: the lines of the table before the first, between them, and after the last.
    """

    members: tuple[int, ...]
    rows: tuple[int, int]
    columns: tuple[int, ...]


def part_into_values(group: Group, labels: Sequence[bool], ink: Ink, near: Reach) -> list[Value]:
    """Part a group into values, in the order of its cells.

    Args:
        group: rows of boxes, single boxes, or tables.
        labels: of each cell, whether it holds a printed label.
        ink: of the view.
        near: how near it is, everywhere in the view.
    """
    if group.opened:
        return [Value((n,), doubt) for n, doubt in enumerate(group.doubts)]
    if group.kind != "table":
        return _part_row(group.cells, ink, near)
    found = _find_joined(group.cells, labels, ink)
    taken = {n: value for value in found for n in value.members}
    return [
        taken.get(n, Value((n,)))
        for n in range(len(group.cells))
        if n not in taken or taken[n].members[0] == n or len(taken[n].members) == 1
    ]


def _part_row(row: Sequence[Cell], ink: Ink, near: Reach) -> list[Value]:
    """Take a row of boxes for one value, or for as few as it has room in."""
    doubt = GOES_ON if _goes_on(row, ink, near) else ONE_NUMBER if len(row) > LONGEST else ""
    numbers = tuple(range(len(row)))
    return [Value(numbers[n : n + LONGEST], doubt) for n in range(0, len(row), LONGEST)]


def _find_joined(cells: Sequence[Cell], labels: Sequence[bool], ink: Ink) -> list[Value]:
    """Find the boxes of a table that are one value, or may be."""
    lines = spans(list(cells))
    runs = _find_runs(cells, lines, labels)
    out, joined = [], []
    for run in runs:
        wider, stacked = _is_beside_wider(run, cells, lines), _count_stacked(run, runs)
        spanned = _is_spanned(run, lines)
        wide, high = np.median([cells[n].size for n in run.members], axis=0).tolist()
        if not spanned and wide > ONE_DIGIT * high:
            continue
        if not spanned and (_has_own_headings(run, lines, labels) or wider is False):
            continue
        if spanned or stacked == 1:
            row = [cells[n] for n in run.members]
            more = any(_has_sign(ink, quad) for quad in _list_next_places(row))
            out.append(Value(run.members, GOES_ON if more else ""))
            joined.append(run)
        elif wider:
            out += [Value((n,), ONE_NUMBER) for n in run.members]
    taken = {n for value in out if not value.doubt for n in value.members}
    for members in find_flanked(cells, lines, labels, ink):
        if not taken & set(members):
            out = [value for value in out if not set(value.members) & set(members)]
            out.append(Value(members, SEVERAL))
    taken = {n for value in out for n in value.members}
    broken = {
        *_find_broken(lines, joined),
        *_find_pieces(cells, lines, labels),
        *_find_short(cells, lines),
    }
    return out + [Value((n,), ONE_NUMBER) for n in sorted(broken - taken) if not labels[n]]


def _find_broken(lines: NDArray[np.int64], joined: Sequence[_Run]) -> list[int]:
    """Find cells among the columns of joined boxes whose own row lacks a line between some.

    The lone digits and pairs of digits in them are pieces of one number.
    """
    out = set()
    for columns in {run.columns for run in joined if len(run.columns) > 2}:
        within = (lines[:, 1] >= columns[0]) & (lines[:, 3] <= columns[-1])
        for row in {int(row) for row in lines[within, 0]}:
            some = np.flatnonzero(within & (lines[:, 0] == row)).tolist()
            if len(some) > 1 or tuple(lines[some[0], [1, 3]]) != (columns[0], columns[-1]):
                out.update(some)
    return sorted(out)


def _find_pieces(
    cells: Sequence[Cell], lines: NDArray[np.int64], labels: Sequence[bool]
) -> list[int]:
    """Find cells under a heading that is theirs together with others: pieces of one number.

    The heading is the lowest label above, and no wider than half of the table.
    """
    width = max(cell.quad[:, 0].max() for cell in cells) - min(c.quad[:, 0].min() for c in cells)
    headings = [
        (below, first, last, m)
        for m, (_, first, below, last) in enumerate(lines.tolist())
        if labels[m]
    ]
    out = []
    for n, (row, column, _, beyond) in enumerate(lines.tolist()):
        above = [one for one in headings if one[0] <= row and one[1] <= column and one[2] >= beyond]
        if above:
            _, first, last, heading = max(above)
            shared = (first, last) != (column, beyond)
            if shared and cells[heading].size[0] <= HALF * width:
                out.append(n)
    return out


def _find_short(cells: Sequence[Cell], lines: NDArray[np.int64]) -> list[int]:
    """Find cells that begin well after the others of their column, or end well before them.

    A line between the boxes of a number was taken for the column's.
    """
    starts = np.array([cell.quad[[0, 3], 0].mean() for cell in cells])
    ends = np.array([cell.quad[[1, 2], 0].mean() for cell in cells])
    high = np.array([cell.size[1] for cell in cells])
    out: set[int] = set()
    for column, sides, way in ((1, starts, 1), (3, ends, -1)):
        for line in np.unique(lines[:, column]):
            own = np.flatnonzero(lines[:, column] == line)
            late = way * sides[own] > (way * sides[own]).min() + LATE * high[own]
            out.update(own[late].tolist())
    return sorted(out)


def _find_runs(
    cells: Sequence[Cell], lines: NDArray[np.int64], labels: Sequence[bool]
) -> list[_Run]:
    """Find adjoining boxes of like width, two or more, each for one digit."""
    rows = defaultdict(list)
    for n, (row, column, below, beyond) in enumerate(lines.tolist()):
        wide, high = cells[n].size
        if wide < WIDE * high and not labels[n]:
            rows[row, below].append((column, beyond, n))
    out = []
    for (row, below), some in rows.items():
        run: list[tuple[int, int, int]] = []
        for one in [*sorted(some), (-1, -1, -1)]:
            column, _, n = one
            if not run or column != run[-1][1] or not _is_alike(cells[run[0][2]], cells[n]):
                if 1 < len(run) <= MOST:
                    columns = (run[0][0], *(beyond for _, beyond, _ in run))
                    out.append(_Run(tuple(n for _, _, n in run), (row, below), columns))
                run = []
            run.append(one)
    return out


def _is_alike(one: Cell, other: Cell) -> bool:
    return bool(abs(other.size[0] - one.size[0]) <= ALIKE * one.size[0])


def _is_spanned(run: _Run, lines: NDArray[np.int64]) -> bool:
    """Return whether one cell above spans the boxes of a run, and no other."""
    ends = run.columns[0], run.columns[-1]
    above = lines[:, 2] <= run.rows[0]
    return bool((above & (lines[:, [1, 3]] == ends).all(axis=1)).any())


def _has_own_headings(run: _Run, lines: NDArray[np.int64], labels: Sequence[bool]) -> bool:
    """Return whether most columns of a run have a printed label above that is theirs alone."""
    headed = {
        (column, beyond)
        for (_, column, below, beyond), label in zip(lines.tolist(), labels, strict=True)
        if label and below <= run.rows[0]
    }
    columns = list(pairwise(run.columns))
    return sum(column in headed for column in columns) >= HEADED * len(columns)


def _is_beside_wider(run: _Run, cells: Sequence[Cell], lines: NDArray[np.int64]) -> bool | None:
    """Return whether a run's row has cells that are wider than its boxes; None for no others."""
    usual = float(np.median([cells[n].size[0] for n in run.members]))
    others = [
        float(cells[n].size[0])
        for n, (row, _, below, _) in enumerate(lines.tolist())
        if row <= run.rows[0] and below >= run.rows[1] and n not in run.members
    ]
    return max(others) >= WIDE * usual if others else None


def _count_stacked(run: _Run, runs: Sequence[_Run]) -> int:
    """Count the runs of the same columns that are right above and below each other."""
    stacked = {one.rows for one in runs if one.columns == run.columns and one.rows[0] < one.rows[1]}
    count = 1
    for near, far in ((0, 1), (1, 0)):
        row, at = run.rows, {one[far]: one for one in stacked}
        while following := at.get(row[near]):
            count, row = count + 1, following
    return count


def _goes_on(row: Sequence[Cell], ink: Ink, near: Reach) -> bool:
    """Return whether there is a sign, or a line, where the next box of a row would be.

    A lone box that is wide is for a whole number.
    """
    if len(row) == 1 and row[0].size[0] >= WIDE * row[0].size[1]:
        return False
    return any(
        _has_sign(ink, quad)
        or any(inked(near, quad[a], quad[b]) >= DRAWN for a, b in ((0, 1), (3, 2)))
        for quad in _list_next_places(row)
    ) or any(_is_edge(near, side) for side in (row[0].quad[[0, 3]], row[-1].quad[[1, 2]]))


def _is_edge(near: Reach, side: NDArray[np.float64]) -> bool:
    """Return whether the line of a row's end, (2, 2), may be the edge of a sheet over the rest."""
    (start, end), way = side, BEYOND * (side[1] - side[0])
    return min(inked(near, start, start - way), inked(near, end, end + way)) >= DRAWN


def _list_next_places(row: Sequence[Cell]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where the boxes before and after a row would be: corners, (4, 2) each."""
    quads = np.array([cell.quad for cell in row])
    if len(row) > 1:
        step = np.median(np.diff(quads.mean(axis=1), axis=0), axis=0)
    else:
        step = (quads[0, 1] + quads[0, 2] - quads[0, 0] - quads[0, 3]) / 2
    return quads[0] - step, quads[-1] + step


def _has_sign(ink: Ink, quad: NDArray[np.float64]) -> bool:
    """Return whether a place holds a sign nearly as high as it, which does not leave it."""
    low, high = quad.min(axis=0), quad.max(axis=0)
    size = high - low
    if (low + CUT * size < 0).any() or (high - CUT * size > np.array(ink.shape[::-1])).any():
        return False
    left, top = np.rint(low + CUT * size).astype(int).tolist()
    right, bottom = np.rint(high - CUT * size).astype(int).tolist()
    part = np.ascontiguousarray(ink[top:bottom, left:right])
    if not part.size:
        return False
    _, _, stats, _ = cv2.connectedComponentsWithStats(part, connectivity=8)
    left, top, wide, high = stats[1:, :4].T
    within = (left > 0) & (top > 0)
    within &= (left + wide < part.shape[1]) & (top + high < part.shape[0])
    few = (high >= CUT * size[1]).sum() <= FEW and (part > 0).mean() <= FILLED
    return bool(few and high[within].max(initial=0) >= TALL * size[1])
