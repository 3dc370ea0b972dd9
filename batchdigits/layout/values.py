"""Which boxes hold one value together, and which of these may be longer than was found.

Adjoining boxes for one digit each are one value in a lone row, and in a table whose other columns
are wider or where a heading spans them. In a grid of equal pitch both ways each cell is a value.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.layout.grids import spans
from batchdigits.layout.groups import WIDE, Group
from batchdigits.layout.lined import Cell, inked
from batchdigits.layout.lines import Ink, Reach

ALIKE = 0.2
"""How much boxes of one value may differ in width, as a share of it."""
MOST = 20
"""Boxes that one value has at most in a table."""
STACKED, SQUARE = 3, 0.3
"""So many rows of boxes right below each other, as high as wide give or take a share, are a grid."""
HEADED = 0.6
"""Share of the columns that have a heading of their own, at least, where each is a value."""
ONE_NUMBER = "may be one number"
GOES_ON = "may go on in a box that was not found"
TALL, CUT = 0.35, 0.12
"""Least height of a sign where the next box would be, as a share of the box's; and what is left off
of that place at each side."""
DRAWN = 0.85
"""Share of a line above or below the place of the next box that has ink, if the row goes on."""


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
        columns: the lines of the table before and after them.
    """

    members: tuple[int, ...]
    rows: tuple[int, int]
    columns: tuple[int, int]


def part_into_values(
    group: Group, labels: Sequence[bool], ink: Ink, near: Reach
) -> list[Value]:
    """Part a group into values, in the order of its cells.

    Args:
        group: rows of boxes, single boxes, or tables.
        labels: of each cell, whether it holds a printed label.
        ink: of the view.
        near: how near it is, everywhere in the view.
    """
    if group.kind != "table":
        doubt = GOES_ON if group.kind == "boxes" and _goes_on(group.cells, ink, near) else ""
        return [Value(tuple(range(len(group.cells))), doubt)]
    found = _find_joined(group.cells, labels)
    taken = {n: value for value in found for n in value.members}
    return [
        taken.get(n, Value((n,)))
        for n in range(len(group.cells))
        if n not in taken or taken[n].members[0] == n or len(taken[n].members) == 1
    ]


def _find_joined(cells: Sequence[Cell], labels: Sequence[bool]) -> list[Value]:
    """Find the boxes of a table that are one value, or may be."""
    lines = spans(list(cells))
    runs = _find_runs(cells, lines, labels)
    out = []
    for run in runs:
        if _is_spanned(run, lines):
            out.append(Value(run.members))
        elif not _has_own_headings(run, lines, labels) and _is_beside_wider(run, cells, lines):
            if _is_grid(run, runs, cells):
                out += [Value((n,), ONE_NUMBER) for n in run.members]
            else:
                out.append(Value(run.members))
    return out


def _find_runs(
    cells: Sequence[Cell], lines: NDArray[np.int64], labels: Sequence[bool]
) -> list[_Run]:
    """Find adjoining boxes of like width, two or more, each for one digit."""
    rows = defaultdict(list)
    for n, (row, column, below, beyond) in enumerate(lines.tolist()):
        wide, high = cells[n].size
        if wide < WIDE * high and beyond == column + 1 and not labels[n]:
            rows[row, below].append((column, n))
    out = []
    for (row, below), some in rows.items():
        run: list[tuple[int, int]] = []
        for column, n in [*sorted(some), (-2, -1)]:
            goes_on = run and column == run[-1][0] + 1 and _is_alike(cells[run[0][1]], cells[n])
            if not goes_on:
                if 1 < len(run) <= MOST:
                    members = tuple(member for _, member in run)
                    out.append(_Run(members, (row, below), (run[0][0], run[-1][0] + 1)))
                run = []
            run.append((column, n))
    return out


def _is_alike(one: Cell, other: Cell) -> bool:
    return bool(abs(other.size[0] - one.size[0]) <= ALIKE * one.size[0])


def _is_spanned(run: _Run, lines: NDArray[np.int64]) -> bool:
    """Return whether one cell above spans the boxes of a run, and no other."""
    rows, columns = lines[:, [0, 2]], lines[:, [1, 3]]
    return bool(((rows[:, 1] <= run.rows[0]) & (columns == run.columns).all(axis=1)).any())


def _has_own_headings(run: _Run, lines: NDArray[np.int64], labels: Sequence[bool]) -> bool:
    """Return whether most columns of a run have a printed label above that is theirs alone."""
    first, last = run.columns
    headed = {
        column
        for (_, column, below, beyond), label in zip(lines.tolist(), labels, strict=True)
        if label and below <= run.rows[0] and beyond == column + 1
    }
    return sum(column in headed for column in range(first, last)) >= HEADED * (last - first)


def _is_beside_wider(run: _Run, cells: Sequence[Cell], lines: NDArray[np.int64]) -> bool:
    """Return whether the row has other cells, all of them wider than the boxes of a run."""
    usual = float(np.median([cells[n].size[0] for n in run.members]))
    others = [
        float(cells[n].size[0])
        for n, (row, _, below, _) in enumerate(lines.tolist())
        if row <= run.rows[0] and below >= run.rows[1] and n not in run.members
    ]
    return bool(others) and min(others) >= WIDE * usual


def _is_grid(run: _Run, runs: Sequence[_Run], cells: Sequence[Cell]) -> bool:
    """Return whether runs of the same columns are stacked, as high as wide."""
    wide, high = np.median([cells[n].size for n in run.members], axis=0).tolist()
    stacked = {one.rows for one in runs if one.columns == run.columns}
    count, row = 1, run.rows
    while above := next((one for one in stacked if one[1] == row[0]), None):
        count, row = count + 1, above
    row = run.rows
    while below := next((one for one in stacked if one[0] == row[1]), None):
        count, row = count + 1, below
    return count >= STACKED and abs(high - wide) <= SQUARE * wide


def _goes_on(row: Sequence[Cell], ink: Ink, near: Reach) -> bool:
    """Return whether there is a sign, or a line, where the next box of a row would be."""
    if len(row) < 2:
        return False
    quads = np.array([cell.quad for cell in row])
    step = np.median(np.diff(quads.mean(axis=1), axis=0), axis=0)
    return any(
        _has_sign(ink, quad) or any(inked(near, quad[a], quad[b]) >= DRAWN for a, b in ((0, 1), (3, 2)))
        for quad in (quads[0] - step, quads[-1] + step)
    )


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
    within = (stats[1:, 1] > 0) & (stats[1:, 1] + stats[1:, 3] < part.shape[0])
    return bool((within & (stats[1:, 3] >= TALL * size[1])).any())
