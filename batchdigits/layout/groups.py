"""Boxes that belong together: rows of them, single ones, and tables with their rows and columns."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits.layout.cells import Cell
from batchdigits.layout.found import added, among, beyond, divided, steady
from batchdigits.layout.lines import Ink

Kind = Literal["boxes", "box", "table"]

WIDE = 1.8
"""A box that is so many times wider than high is for a whole number, not for a digit of a row."""
ALIKE = 0.18
"""How much boxes of one row may differ in size and in height on the page, as a share of the box."""
APART = 1.0
"""Widest gap between boxes of one row, as a share of a box's width."""
EVEN = 0.25
"""How much gaps in a row may differ, as a share of a box's width."""
TOUCH = 0.12
"""How far apart the sides of boxes that share a line may be, as a share of the smaller's side."""
SAME = 0.35
"""Lines of a table less than this share of its smallest cell apart are one."""
ROUNDS = 4
"""How often boxes that are missing are sought."""
FEW = 0.2
"""Share of a table's rows, or columns, that a line parts which is a stroke, at most."""
COMB, LONGER = 12, 4
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


def groups(cells: list[Cell], ink: Ink) -> list[Group]:
    """Part cells into groups, in reading order.

    Args:
        cells: the boxes that were found.
        ink: of the view, where those are looked for that were not.
    """
    for _ in range(ROUNDS):
        found = [_steady(group, ink) for group in _parted(cells)]
        cells = [cell for group in found for cell in _split(group, ink)]
        if len(cells) > sum(len(group.cells) for group in found):
            continue
        cells, changed = added(cells, [one for group in found for one in _missing(group, ink)])
        if not changed:
            break
    return _in_order([_steady(group, ink) for group in _parted(cells)])


def _split(group: Group, ink: Ink) -> list[Cell]:
    """Part cells of a table where its other rows and columns, and its ink, want a line."""
    listed = list(group.cells)
    return divided(listed, _spans(listed), ink) if group.kind == "table" else listed


def _steady(group: Group, ink: Ink) -> Group:
    """Settle the boxes of a row."""
    if group.kind != "boxes":
        return group
    return group._replace(cells=tuple(steady(list(group.cells), ink)))


def _missing(group: Group, ink: Ink) -> Iterator[Cell]:
    """Seek boxes that belong to a group and were not found."""
    if group.kind == "table":
        return among(list(group.cells), list(group.places), ink)
    wide, high = group.cells[0].size
    return beyond(list(group.cells), ink) if wide < WIDE * high else iter(())


def _parted(cells: list[Cell]) -> list[Group]:
    """Part cells into groups, in no order."""
    out: list[Group] = []
    rows: list[list[Cell]] = []
    for members in _together(cells):
        table, lines = _grid(members)
        out += [table] if table else []
        rows += lines
    return out + _rows(rows)


def _together(cells: list[Cell]) -> list[list[Cell]]:
    """Find cells that hang together by shared lines."""
    found = defaultdict(list)
    for cell, root in zip(cells, _roots(len(cells), _touching(cells)), strict=True):
        found[root].append(cell)
    return list(found.values())


def _roots(count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """Join numbers by pairs; gives for each one that stands for all it is joined to."""
    root = list(range(count))

    def top(n: int) -> int:
        while root[n] != n:
            root[n] = root[root[n]]
            n = root[n]
        return n

    for one, other in pairs:
        root[top(other)] = top(one)
    return [top(n) for n in range(count)]


def _touching(cells: list[Cell]) -> list[tuple[int, int]]:
    """Find cells that share a line: pairs of numbers, the left or the upper one first."""
    return [pair for axis in (0, 1) for pair in _beside(cells, axis)]


def _beside(cells: list[Cell], axis: int) -> list[tuple[int, int]]:
    """Find pairs that share an upright line (axis 0), or a level one (1)."""
    if not cells:
        return []
    quads = np.array([cell.quad for cell in cells])
    first, second = ((0, 3), (1, 2)) if axis == 0 else ((0, 1), (3, 2))
    start = quads[:, first]  # (N, 2, 2): the ends of the side before, and of that after
    end = quads[:, second]
    other = 1 - axis
    low = np.maximum(end[:, None, 0, other], start[None, :, 0, other])
    high = np.minimum(end[:, None, 1, other], start[None, :, 1, other])
    length = np.minimum(
        *(
            np.linalg.norm(side[:, 1] - side[:, 0], axis=1)[index]
            for side, index in ((end, np.s_[:, None]), (start, np.s_[None, :]))
        )
    )
    small = np.array([cell.size.min() for cell in cells])
    thick = np.array([cell.thickness for cell in cells])
    near = np.maximum(3.0, np.minimum(TOUCH * np.minimum(small[:, None], small), 6.0))
    near = near + np.maximum(thick[:, None], thick) / 2
    middle = (low + high) / 2
    gap = _at(start, axis, middle, after=False) - _at(end, axis, middle, after=True)
    pairs = (np.abs(gap) <= near) & (high - low >= 0.5 * length)
    np.fill_diagonal(pairs, False)
    return [(int(one), int(two)) for one, two in np.argwhere(pairs)]


def _at(
    side: NDArray[np.float64], axis: int, middle: NDArray[np.float64], *, after: bool
) -> NDArray[np.float64]:
    """Say where sides are, across, at so much along: (N, N)."""
    index = np.s_[:, None] if after else np.s_[None, :]
    begin, end = side[:, 0][index], side[:, 1][index]
    share = (middle - begin[..., 1 - axis]) / (end[..., 1 - axis] - begin[..., 1 - axis])
    return np.asarray(begin[..., axis] + share * (end[..., axis] - begin[..., axis]))


def _grid(cells: list[Cell]) -> tuple[Group | None, list[list[Cell]]]:
    """Make a table of cells that share lines, or rows of boxes, or single ones."""
    spans = _spans(cells)
    for axis in (0, 1):
        whole = _joined(cells, spans, axis)
        if len(whole) < len(cells):
            cells, spans = whole, _spans(whole)
    rows, columns = spans[:, 2].max(), spans[:, 3].max()
    order = sorted(range(len(cells)), key=lambda n: (spans[n, 0], spans[n, 1]))
    listed = [cells[n] for n in order]
    size = np.median([cell.size for cell in listed], axis=0)
    narrow = size[0] < WIDE * size[1]
    if rows > 1 and not (narrow and columns >= max(COMB, LONGER * rows)):
        places = [(int(spans[n, 0]) + 1, int(spans[n, 1]) + 1) for n in order]
        return Group("table", tuple(listed), tuple(places)), []
    if not narrow:
        return None, [[cell] for cell in listed]
    lines = defaultdict(list)
    for n, cell in zip(order, listed, strict=True):
        lines[spans[n, 0]].append(cell)
    return None, list(lines.values())


def _joined(cells: list[Cell], spans: NDArray[np.int64], axis: int) -> list[Cell]:
    """Join pieces of a box that a stroke parts: what parts them is no line of the grid.

    Such a line has no more than a few boxes on it, out of many columns (axis 0: a level line), or
    of many rows (1).
    """
    across = 1 - axis
    count = int(spans[:, across + 2].max())
    if count < 3:
        return cells
    ends = {(int(span[axis + 2]), int(span[across])): n for n, span in enumerate(spans)}
    pairs = defaultdict(list)
    for n, span in enumerate(spans.tolist()):
        before = ends.get((span[axis], span[across]))
        if before is not None and spans[before, across + 2] == span[across + 2]:
            pairs[span[axis]].append((before, n))
    users = {line: {n for pair in some for n in pair} for line, some in pairs.items()}
    out: dict[int, Cell | None] = dict(enumerate(cells))
    for line, some in sorted(pairs.items()):
        touching = np.flatnonzero((spans[:, axis] == line) | (spans[:, axis + 2] == line))
        lone = set(touching.tolist()) == users[line] and len(some) <= max(1, FEW * count)
        for before, after in some if lone else ():
            one, two = out[before], out[after]
            if one is not None and two is not None:
                first, last = ([0, 1], [2, 3]) if axis == 0 else ([0, 3], [1, 2])
                quad = one.quad.copy()
                quad[last] = two.quad[last]
                quad[first] = one.quad[first]
                out[before], out[after] = None, replace(one, quad=quad)
    return [cell for cell in out.values() if cell is not None]


def _spans(cells: list[Cell]) -> NDArray[np.int64]:
    """Say between which lines of their grid cells lie: (N, 4), row and column, those after it."""
    (rows, after), (columns, beyond) = _levels(cells, 1), _levels(cells, 0)
    return np.column_stack([rows, columns, after, beyond])


def _levels(cells: list[Cell], axis: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number the lines across an axis: for each cell, the one before it and the one after.

    The side before cell n is 2 n, that after it 2 n + 1. Neighbours along the axis share a line;
    so do those beside each other whose sides meet.
    """
    quads = np.array([cell.quad for cell in cells])
    ends = np.sort(quads[:, :, axis], axis=1).reshape(-1, 2, 2).mean(axis=2)
    small = float(np.quantile(ends[:, 1] - ends[:, 0], 0.2))
    pairs = [(2 * one + 1, 2 * two) for one, two in _beside(cells, axis)]
    corners = ((0, 3), (1, 2)) if axis == 0 else ((0, 1), (3, 2))
    for one, two in _beside(cells, 1 - axis):  # two is to the right of one, or below
        for end in (0, 1):
            first, second = quads[one, corners[end][1], axis], quads[two, corners[end][0], axis]
            if abs(first - second) < SAME * small:
                pairs.append((2 * one + end, 2 * two + end))
    roots = _roots(2 * len(cells), pairs)
    places = defaultdict(list)
    for n, root in enumerate(roots):
        places[root].append(float(ends[n // 2, n % 2]))
    number, last, numbers = -1, -np.inf, {}
    for place, root in sorted((float(np.mean(at)), root) for root, at in places.items()):
        if place - last > SAME * small:
            number += 1
        numbers[root], last = number, place
    line = np.array([numbers[root] for root in roots]).reshape(-1, 2)
    return line[:, 0], line[:, 1]


def _rows(found: list[list[Cell]]) -> list[Group]:
    """Put boxes that stand apart into rows where they are alike, level, and evenly apart."""
    left = sorted(found, key=lambda cells: float(cells[0].middle[0]))
    out = []
    while left:
        row = left.pop(0)
        while following := [one for one in left if _follows(row, one)]:
            nearest = min(following, key=lambda one: float(one[0].middle[0]))
            row = row + nearest
            left = [one for one in left if one is not nearest]
        out += [Group("boxes" if len(part) > 1 else "box", tuple(part)) for part in _even(row)]
    return out


def _usual(row: list[Cell]) -> NDArray[np.float64]:
    return np.asarray(np.median([cell.size for cell in row], axis=0))


def _follows(row: list[Cell], other: list[Cell]) -> bool:
    """Tell whether boxes go on with a row."""
    size = _usual(row)
    if size[0] >= WIDE * size[1]:
        return False
    step = other[0].middle - row[-1].middle
    alike = np.abs(_usual(other) - size).max() <= max(ALIKE * size.min(), 2.5)
    near = 0.7 * size[0] < step[0] <= (1 + APART) * size[0]
    return bool(alike and near and abs(step[1]) <= max(ALIKE * size[1], 2.5))


def _even(row: list[Cell]) -> list[list[Cell]]:
    """Part a row where a gap is wider than in the rest of it."""
    steps = np.array([b.middle[0] - a.middle[0] for a, b in pairwise(row)])
    if not len(steps):
        return [row]
    wide = steps > np.quantile(steps, 0.1) + max(EVEN * _usual(row)[0], 3.0)
    cuts = [0, *(np.flatnonzero(wide) + 1).tolist(), len(row)]
    return [row[a:b] for a, b in pairwise(cuts)]


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
