"""Boxes that share lines → the lines of their grid, and between which of them each box lies."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from batchdigits.layout.lined import Cell

TOUCH = 0.12
"""How far apart the sides of boxes that share a line may be, as a share of the smaller's side."""
FARTHEST = 6.0
"""How far apart they are at most, beside half the thickness of their lines, px."""
ROWS_AT_ONCE = 256
"""Boxes that are compared with what is near them at a time, which bounds the memory."""
SAME = 0.35
"""Lines of a table less than this share of its smallest cell apart are one."""
LIKE, LITTLE = 0.08, 3.0
"""How much boxes of a comb differ in size, as a share of it; px, at least."""
COMB = 3
"""So many boxes of one size beside each other are a comb."""
FEW = 0.2
"""Share of a table's rows, or columns, that a line parts which is a stroke, at most."""


def roots(count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
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


def beside(cells: list[Cell], axis: int) -> list[tuple[int, int]]:
    """Find pairs that share an upright line (axis 0), or a level one (1).

    Only pairs whose sides are near each other across are compared: a page may have 3,000 cells.
    """
    if not cells:
        return []
    quads = np.array([cell.quad for cell in cells])
    first, second = ((0, 3), (1, 2)) if axis == 0 else ((0, 1), (3, 2))
    start = quads[:, first]  # (N, 2, 2): the ends of the side before, and of that after
    end = quads[:, second]
    small = np.array([cell.size.min() for cell in cells])
    thick = np.array([cell.thickness for cell in cells])
    reach = FARTHEST + thick.max() / 2
    found = []
    for one, two in _iterate_near_sides(end[..., axis], start[..., axis], reach):
        kept = _share_line(end[one], start[two], axis, small[[one, two]], thick[[one, two]])
        kept &= one != two
        found.append(np.column_stack([one[kept], two[kept]]))
    return [(int(one), int(two)) for one, two in np.concatenate(found)]


def _iterate_near_sides(
    ends: NDArray[np.float64], starts: NDArray[np.float64], reach: float
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield pairs of sides that may be up to `reach` apart across: numbers of both, in order.

    Args:
        ends: where both ends of N sides are, across, (N, 2).
        starts: where those of the sides that may follow them are, (N, 2).
        reach: px.
    """
    low, high = starts.min(axis=1), starts.max(axis=1)
    order = np.argsort(low, kind="stable")
    widest = float((high - low).max())
    from_ = np.searchsorted(low[order], ends.min(axis=1) - reach - widest - 1e-6, "left")
    to = np.searchsorted(low[order], ends.max(axis=1) + reach + 1e-6, "right")
    for begin in range(0, len(ends), ROWS_AT_ONCE):
        rows = np.arange(begin, min(begin + ROWS_AT_ONCE, len(ends)))
        counts = to[rows] - from_[rows]
        one = np.repeat(rows, counts)
        within = np.arange(len(one)) - np.repeat(np.cumsum(counts) - counts, counts)
        two = order[np.repeat(from_[rows], counts) + within]
        sorted_ = np.lexsort((two, one))
        yield one[sorted_], two[sorted_]


def _share_line(
    end: NDArray[np.float64],
    start: NDArray[np.float64],
    axis: int,
    small: NDArray[np.float64],
    thick: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Return which pairs of sides (M, 2, 2) lie on one line; sizes and thickness are (2, M)."""
    other = 1 - axis
    low = np.maximum(end[:, 0, other], start[:, 0, other])
    high = np.minimum(end[:, 1, other], start[:, 1, other])
    length = np.minimum(*(np.linalg.norm(side[:, 1] - side[:, 0], axis=1) for side in (end, start)))
    near = np.maximum(3.0, np.minimum(TOUCH * small.min(axis=0), FARTHEST))
    near = near + thick.max(axis=0) / 2
    middle = (low + high) / 2
    gap = _at(start, axis, middle) - _at(end, axis, middle)
    shared: NDArray[np.bool_] = (np.abs(gap) <= near) & (high - low >= 0.5 * length)
    return shared


def _at(side: NDArray[np.float64], axis: int, middle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where sides (M, 2, 2) are, across, at so much along: (M,)."""
    begin, end = side[:, 0], side[:, 1]
    share = (middle - begin[:, 1 - axis]) / (end[:, 1 - axis] - begin[:, 1 - axis])
    return np.asarray(begin[:, axis] + share * (end[:, axis] - begin[:, axis]))


def joined(cells: list[Cell], spans: NDArray[np.int64], axis: int) -> list[Cell]:
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
            pair = before, after
            if _is_comb(cells, spans, pair, axis) or _ends_comb(cells, spans, pair, axis):
                continue
            one, two = out[before], out[after]
            if one is not None and two is not None:
                first, last = ([0, 1], [2, 3]) if axis == 0 else ([0, 3], [1, 2])
                quad = one.quad.copy()
                quad[last] = two.quad[last]
                quad[first] = one.quad[first]
                out[before], out[after] = None, replace(one, quad=quad)
    return [cell for cell in out.values() if cell is not None]


def _is_comb(cells: list[Cell], spans: NDArray[np.int64], pair: tuple[int, int], axis: int) -> bool:
    """Return whether two neighbours along an axis have a third beside them, all of one size."""
    before, after = pair
    across = 1 - axis
    size = float(cells[before].size[across])
    row = (spans[:, [across, across + 2]] == spans[before, [across, across + 2]]).all(axis=1)
    ends = (spans[:, axis + 2] == spans[before, axis]) | (spans[:, axis] == spans[after, axis + 2])
    sizes = [cells[n].size[across] for n in [after, *np.flatnonzero(row & ends).tolist()]]
    like = np.abs(np.array(sizes) - size) <= max(LIKE * size, LITTLE)
    return bool(like[0] and like[1:].any())


def _ends_comb(
    cells: list[Cell], spans: NDArray[np.int64], pair: tuple[int, int], axis: int
) -> bool:
    """Return whether one of two neighbours is the end of `COMB` boxes of one size in its row."""
    across = 1 - axis
    row = np.flatnonzero(
        (spans[:, [across, across + 2]] == spans[pair[0], [across, across + 2]]).all(axis=1)
    )
    for n, near, far in ((pair[1], axis, axis + 2), (pair[0], axis + 2, axis)):
        at = {int(spans[m, near]): m for m in row.tolist()}
        count, size, one = 1, cells[n].size, n
        while (one := at.get(int(spans[one, far]), -1)) >= 0:
            if np.abs(cells[one].size - size).max() > max(LIKE * size.min(), LITTLE):
                break
            count += 1
        if count >= COMB:
            return True
    return False


def spans(cells: list[Cell]) -> NDArray[np.int64]:
    """Say between which lines of their grid cells lie: (N, 4), row and column, those after it."""
    pairs = beside(cells, 0), beside(cells, 1)
    (rows, after), (columns, beyond) = (_levels(cells, axis, pairs) for axis in (1, 0))
    return np.column_stack([rows, columns, after, beyond])


def _levels(
    cells: list[Cell], axis: int, pairs_of: Sequence[list[tuple[int, int]]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number the lines across an axis: for each cell, the one before it and the one after.

    The side before cell n is 2 n, that after it 2 n + 1. Neighbours along the axis share a line;
    so do those beside each other whose sides meet. `pairs_of` has the neighbours along either axis.
    """
    quads = np.array([cell.quad for cell in cells])
    ends = np.sort(quads[:, :, axis], axis=1).reshape(-1, 2, 2).mean(axis=2)
    small = float(np.quantile(ends[:, 1] - ends[:, 0], 0.2))
    pairs = [(2 * one + 1, 2 * two) for one, two in pairs_of[axis]]
    corners = ((0, 3), (1, 2)) if axis == 0 else ((0, 1), (3, 2))
    before, after = np.array(pairs_of[1 - axis], np.int64).reshape(-1, 2).T
    for end, (low, high) in enumerate(corners):
        near = np.abs(quads[before, high, axis] - quads[after, low, axis]) < SAME * small
        pairs += zip(*(2 * np.stack([before[near], after[near]]) + end).tolist(), strict=True)
    ends_of = roots(2 * len(cells), pairs)
    places = defaultdict(list)
    for n, root in enumerate(ends_of):
        places[root].append(float(ends[n // 2, n % 2]))
    number, last, numbers = -1, -np.inf, {}
    for place, root in sorted((float(np.mean(at)), root) for root, at in places.items()):
        if place - last > SAME * small:
            number += 1
        numbers[root], last = number, place
    line = np.array([numbers[root] for root in ends_of]).reshape(-1, 2)
    return line[:, 0], line[:, 1]
