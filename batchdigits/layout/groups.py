"""Boxes that belong together: rows of them, single ones, and tables with their rows and columns."""

from collections import defaultdict
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits.layout.cells import Cell

Kind = Literal["boxes", "box", "table"]

WIDE = 1.8
"""A box that is so many times wider than high is for a whole number, not for a digit of a row."""
ALIKE = 0.18
"""How much boxes of one row may differ in size and in height on the page, as a share of the box."""
APART = 1.0
"""Widest gap between boxes of one row, as a share of a box's width."""
EVEN = 0.25
"""How much gaps in a row may differ, as a share of a box's width."""
SAME = 0.35
"""Lines of a table less than this share of its smallest cell apart are one."""
COMB, LONGER = 8, 4
"""A grid of narrow boxes with so many columns, so many times as many as rows, is rows of boxes."""


class Group(NamedTuple):
    """Boxes that belong together.

    Attributes:
        kind: boxes in a row, one box, or a table.
        cells: from left to right; of a table row by row.
        places: of a table, each cell's row and column, from 1; else empty.
    """

    kind: Kind
    cells: tuple[Cell, ...]
    places: tuple[tuple[int, int], ...] = ()


def groups(cells: list[Cell]) -> list[Group]:
    """Part cells into groups, in reading order."""
    out: list[Group] = []
    alone: list[Cell] = []
    for numbers in _together(cells):
        if len(numbers) == 1:
            alone.append(cells[numbers[0]])
            continue
        out += _grid(cells, numbers)
    singles = [group.cells[0] for group in out if group.kind == "box"]
    out = [group for group in out if group.kind != "box"]
    return _in_order(out + _rows(alone + singles))


def _together(cells: list[Cell]) -> list[list[int]]:
    """Find cells that hang together by shared lines."""
    root = list(range(len(cells)))

    def top(n: int) -> int:
        while root[n] != n:
            root[n] = root[root[n]]
            n = root[n]
        return n

    for n, cell in enumerate(cells):
        for other in (one for side in cell.beside for one in side):
            root[top(other)] = top(n)
    found = defaultdict(list)
    for n in range(len(cells)):
        found[top(n)].append(n)
    return list(found.values())


def _grid(cells: list[Cell], numbers: list[int]) -> list[Group]:
    """Make groups of cells that share lines: a row of boxes, or a table."""
    spans = _spans(cells, numbers)
    rows, columns = (max(span[axis + 2] for span in spans) for axis in (0, 1))
    order = sorted(range(len(numbers)), key=lambda n: spans[n][:2])
    listed = [cells[numbers[n]] for n in order]
    places = [(spans[n][0] + 1, spans[n][1] + 1) for n in order]
    size = np.median([cell.size for cell in listed], axis=0)
    narrow = size[0] < WIDE * size[1]
    if rows == 1 and not narrow:
        return [Group("box", (cell,)) for cell in listed]
    if rows == 1 or (narrow and columns >= max(COMB, LONGER * rows)):
        lines = defaultdict(list)
        for cell, (row, _) in zip(listed, places, strict=True):
            lines[row].append(cell)
        return [Group("boxes", tuple(line)) for line in lines.values()]
    return [Group("table", tuple(listed), tuple(places))]


def _spans(cells: list[Cell], numbers: list[int]) -> list[tuple[int, int, int, int]]:
    """Say which lines of their grid cells lie between: row, column, the row and column after."""
    rows = _levels(cells, numbers, 1)
    columns = _levels(cells, numbers, 0)
    return [(*one, *two) for one, two in (
        ((rows[n][0], columns[n][0]), (rows[n][1], columns[n][1])) for n in range(len(numbers))
    )]


def _levels(cells: list[Cell], numbers: list[int], axis: int) -> list[tuple[int, int]]:
    """Number the lines across an axis: of each cell, the one before it and the one after."""
    at = {number: n for n, number in enumerate(numbers)}
    before, after = (0, 2) if axis == 0 else (1, 3)
    side, next_ = (1, 3) if axis == 0 else (0, 2)
    ends = np.array([_ends(cells[number], axis) for number in numbers])  # (N, 2)
    small = float(np.quantile(ends[:, 1] - ends[:, 0], 0.2))
    root = list(range(2 * len(numbers)))

    def top(n: int) -> int:
        while root[n] != n:
            root[n] = root[root[n]]
            n = root[n]
        return n

    for n, number in enumerate(numbers):
        cell = cells[number]
        for other in (at[one] for one in cell.beside[before] if one in at):
            root[top(2 * other + 1)] = top(2 * n)
        for other in (at[one] for one in cell.beside[after] if one in at):
            root[top(2 * n + 1)] = top(2 * other)
        for other in (at[one] for k in (side, next_) for one in cell.beside[k] if one in at):
            for end in (0, 1):
                if abs(_meet(cells[number], cells[numbers[other]], axis, end)) < SAME * small:
                    root[top(2 * n + end)] = top(2 * other + end)
    return _numbered(ends, [top(n) for n in range(len(root))], small)


def _ends(cell: Cell, axis: int) -> tuple[float, float]:
    low, high = np.sort(cell.quad[:, axis])[[0, 1]].mean(), np.sort(cell.quad[:, axis])[2:].mean()
    return float(low), float(high)


def _meet(one: Cell, two: Cell, axis: int, end: int) -> float:
    """Say how far two neighbours' sides are from one line, where they are nearest."""
    sides = {(0, 0): (0, 3), (0, 1): (1, 2), (1, 0): (0, 1), (1, 1): (3, 2)}[axis, end]
    first, second = one.quad[list(sides), axis], two.quad[list(sides), axis]
    return float(min(abs(first[1] - second[0]), abs(first[0] - second[1])))


def _numbered(
    ends: NDArray[np.float64], roots: list[int], small: float
) -> list[tuple[int, int]]:
    """Give lines that are one a number, in order."""
    places = defaultdict(list)
    for n, root in enumerate(roots):
        places[root].append(float(ends[n // 2, n % 2]))
    mean = sorted((float(np.mean(at)), root) for root, at in places.items())
    number, last, out = -1, -np.inf, {}
    for place, root in mean:
        if place - last > SAME * small:
            number += 1
        out[root], last = number, place
    return [(out[roots[2 * n]], out[roots[2 * n + 1]]) for n in range(len(ends))]


def _rows(alone: list[Cell]) -> list[Group]:
    """Put boxes that stand alone into rows where they are alike, level, and evenly apart."""
    left = sorted(alone, key=lambda cell: float(cell.middle[0]))
    out = []
    while left:
        row = [left.pop(0)]
        while row[-1].size[0] < WIDE * row[-1].size[1]:
            following = [one for one in left if _follows(row, one)]
            if not following:
                break
            row.append(min(following, key=lambda one: float(one.middle[0])))
            left.remove(row[-1])
        out += [Group("boxes" if len(part) > 1 else "box", tuple(part)) for part in _even(row)]
    return out


def _follows(row: list[Cell], cell: Cell) -> bool:
    """Tell whether a box is the next in a row."""
    last = row[-1]
    step = cell.middle - last.middle
    if abs(cell.size - last.size).max() > max(ALIKE * last.size.min(), 2.5):
        return False
    return bool(
        0.8 * last.size[0] < step[0] <= (1 + APART) * last.size[0]
        and abs(step[1]) <= max(ALIKE * last.size[1], 2.5)
    )


def _even(row: list[Cell]) -> list[list[Cell]]:
    """Part a row where a gap is wider than in the rest of it."""
    steps = np.array([b.middle[0] - a.middle[0] for a, b in zip(row, row[1:], strict=False)])
    if not len(steps):
        return [row]
    wide = steps > steps.min() + max(EVEN * row[0].size[0], 2.5)
    cuts = [0, *(np.flatnonzero(wide) + 1).tolist(), len(row)]
    return [row[a:b] for a, b in zip(cuts, cuts[1:], strict=False)]


def _in_order(found: list[Group]) -> list[Group]:
    """Put groups in reading order; in one line are those that begin above its first's middle."""
    def top(group: Group) -> float:
        return float(min(cell.quad[0, 1] for cell in group.cells))

    def bottom(group: Group) -> float:
        return float(max(cell.quad[2, 1] for cell in group.cells))

    left = sorted(found, key=top)
    out: list[Group] = []
    while left:
        middle = (top(left[0]) + bottom(left[0])) / 2 if left[0].kind != "table" else top(left[0])
        line = [one for one in left if top(one) <= middle]
        out += sorted(line, key=lambda one: float(one.cells[0].quad[0, 0]))
        left = left[len(line) :]
    return out
