"""Boxes that belong together: rows of them, single ones, and tables with their rows and columns."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits.layout.found import among, beyond, divided, steady
from batchdigits.layout.grids import beside, joined, roots, spans
from batchdigits.layout.lined import Cell
from batchdigits.layout.lines import Reach
from batchdigits.layout.sorted import add_boxes

Kind = Literal["boxes", "box", "table"]

WIDE = 1.8
"""A box that is so many times wider than high is for a whole number, not for a digit of a row."""
ALIKE = 0.18
"""How much boxes of one row may differ in size and in height on the page, as a share of the box."""
APART = 1.0
"""Widest gap between boxes of one row, as a share of a box's width."""
EVEN = 0.25
"""How much gaps in a row may differ, as a share of a box's width."""
TINY = 5.0
"""px of a side under which nothing is a box."""
ROUNDS = 4
"""How often boxes that are missing are sought."""
COMB, LONGER = 12, 4
"""A grid of narrow boxes with so many columns, so many times as many as rows, is rows of boxes."""


class Group(NamedTuple):
    """Boxes that belong together.

    Attributes:
        kind: boxes in a row, one box, or a table.
        cells: from left to right; of a table row by row.
        places: of a table, each cell's row and column, from 1; else empty.
        doubts: of an open table, why the value of each cell is for review; empty for no reason.
        opened: whether it was found by what is written in it, without boxes; each cell is a value.
    """

    kind: Kind
    cells: tuple[Cell, ...]
    places: tuple[tuple[int, int], ...] = ()
    doubts: tuple[str, ...] = ()
    opened: bool = False


def groups(cells: list[Cell], ink: Reach) -> list[Group]:
    """Part cells into groups, in reading order.

    Args:
        cells: the boxes that were found.
        ink: of the view, where those are looked for that were not.
    """
    for _ in range(ROUNDS):
        found = [_steady(group, ink) for group in _parted(cells)]
        cells = [cell for group in found for cell in _split(group, ink) if _whole(cell)]
        if len(cells) > sum(len(group.cells) for group in found):
            continue
        cells, changed = add_boxes(cells, [one for group in found for one in _missing(group, ink)])
        if not changed:
            break
    cells = [cell for cell in cells if _whole(cell)]
    return in_order([_steady(group, ink) for group in _parted(cells)])


def _whole(cell: Cell) -> bool:
    """Tell whether a box has room in it, and is not inside out."""
    return bool((cell.quad[2] - cell.quad[0]).min() > TINY)


def _split(group: Group, ink: Reach) -> list[Cell]:
    """Part cells of a table where its other rows and columns, and its ink, want a line."""
    listed = list(group.cells)
    return divided(listed, spans(listed), ink) if group.kind == "table" else listed


def _steady(group: Group, ink: Reach) -> Group:
    """Settle the boxes of a row."""
    if group.kind != "boxes":
        return group
    return group._replace(cells=tuple(steady(list(group.cells), ink)))


def _missing(group: Group, ink: Reach) -> Iterator[Cell]:
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
    for cell, root in zip(cells, roots(len(cells), _touching(cells)), strict=True):
        found[root].append(cell)
    return list(found.values())


def _touching(cells: list[Cell]) -> list[tuple[int, int]]:
    """Find cells that share a line: pairs of numbers, the left or the upper one first."""
    return [pair for axis in (0, 1) for pair in beside(cells, axis)]


def _grid(cells: list[Cell]) -> tuple[Group | None, list[list[Cell]]]:
    """Make a table of cells that share lines, or rows of boxes, or single ones."""
    lines_of = spans(cells)
    for axis in (0, 1):
        whole = joined(cells, lines_of, axis)
        if len(whole) < len(cells):
            cells, lines_of = whole, spans(whole)
    rows, columns = lines_of[:, 2].max(), lines_of[:, 3].max()
    order = sorted(range(len(cells)), key=lambda n: (lines_of[n, 0], lines_of[n, 1]))
    listed = [cells[n] for n in order]
    size = np.median([cell.size for cell in listed], axis=0)
    narrow = size[0] < WIDE * size[1]
    if rows > 1 and not (narrow and columns >= max(COMB, LONGER * rows)):
        places = [(int(lines_of[n, 0]) + 1, int(lines_of[n, 1]) + 1) for n in order]
        return Group("table", tuple(listed), tuple(places)), []
    if not narrow:
        return None, [[cell] for cell in listed]
    lines = defaultdict(list)
    for n, cell in zip(order, listed, strict=True):
        lines[lines_of[n, 0]].append(cell)
    return None, list(lines.values())


def _rows(found: list[list[Cell]]) -> list[Group]:
    """Put boxes that stand apart into rows where they are alike, level, and evenly apart."""
    left = sorted(found, key=lambda cells: float(cells[0].middle[0]))
    out = []
    while left:
        row = left.pop(0)
        while following := _list_following(row, left):
            nearest = min(following, key=lambda one: float(one[0].middle[0]))
            row = row + nearest
            left = [one for one in left if one is not nearest]
        out += [Group("boxes" if len(part) > 1 else "box", tuple(part)) for part in _even(row)]
    return out


def _usual(row: list[Cell]) -> NDArray[np.float64]:
    return np.asarray(np.median([cell.size for cell in row], axis=0))


def _list_following(row: list[Cell], others: list[list[Cell]]) -> list[list[Cell]]:
    """List the boxes that go on with a row."""
    size = _usual(row)
    if not others or size[0] >= WIDE * size[1]:
        return []
    step = np.array([other[0].middle for other in others]) - row[-1].middle
    near = (0.7 * size[0] < step[:, 0]) & (step[:, 0] <= (1 + APART) * size[0])
    level = np.abs(step[:, 1]) <= max(ALIKE * size[1], 2.5)
    limit = max(ALIKE * float(size.min()), 2.5)
    some = [others[n] for n in np.flatnonzero(near & level).tolist()]
    return [other for other in some if np.abs(_usual(other) - size).max() <= limit]


def _even(row: list[Cell]) -> list[list[Cell]]:
    """Part a row where a gap is wider than in the rest of it."""
    steps = np.array([b.middle[0] - a.middle[0] for a, b in pairwise(row)])
    if not len(steps):
        return [row]
    wide = steps > np.quantile(steps, 0.1) + max(EVEN * _usual(row)[0], 3.0)
    cuts = [0, *(np.flatnonzero(wide) + 1).tolist(), len(row)]
    return [row[a:b] for a, b in pairwise(cuts)]


def in_order(found: list[Group]) -> list[Group]:
    """Put groups in reading order; in one line are those that begin above its first's middle."""

    def top(group: Group) -> float:
        return float(min(cell.quad[0, 1] for cell in group.cells))

    def bottom(group: Group) -> float:
        return float(max(cell.quad[2, 1] for cell in group.cells))

    left = sorted(found, key=top)
    out: list[Group] = []
    while left:
        middle = (top(left[0]) + bottom(left[0])) / 2 if left[0].kind != "table" else top(left[0])
        line = [one for one in left if top(one) <= max(middle, top(left[0]))]
        out += sorted(line, key=lambda one: float(one.cells[0].quad[0, 0]))
        left = left[len(line) :]
    return out
