"""Boxes that were not seen as regions, sought where their row or their table wants them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from batchdigits.layout.frames import Frames, areas, frames
from batchdigits.layout.lined import WEAK, Cell, Quad, inked, lined, weak
from batchdigits.layout.lines import Reach
from batchdigits.layout.seeking import is_drawn

LONGEST = 64
"""Boxes that a row has at most."""
ODD = 0.06
"""By what share of its size a box of a row differs from most."""
PROVED = 0.85
"""Least share of each side of such a box that has ink where the others of its row have theirs."""
ENDS, SURE = 0.78, 4
"""Least share of each side of a box at a row's end that has ink, where its lines are not clear; and
the least boxes of such a row."""
ROOM = 5.0
"""px of a side under which there is no room for a box."""
BENT = 0.2
"""By what share of a box's shorter side its opposite sides may differ."""
HIDDEN = 0.7
"""Least share of each side of a box that has ink, where its row and its column want one."""
FOLDED = 0.3
"""Least share of each side of a box that has ink, where its neighbours on two sides prove it."""
PROVING = 0.1
"""Share of the rows that have boxes on both sides of a table's upright line, if it parts other
boxes; the same of columns and level lines."""
LINE = 0.8
"""Least share of a table's line in a cell that has ink, if the cell ends there."""


def steady(row: list[Cell], ink: Reach) -> list[Cell]:
    """Give boxes of a row that differ from most the others' size, where their lines allow it.

    What is written on a line may have been taken for the line.
    """
    if len(row) < 3:
        return row
    shape = _shape(row)
    size = np.median([cell.size for cell in row], axis=0)
    off = [np.abs(cell.size / size - 1).max() for cell in row]
    sound = [n for n in range(len(row)) if off[n] <= ODD]
    if len(sound) < 2:
        return row
    out = list(row)
    for n in range(len(row)):
        if off[n] <= ODD:
            continue
        one, two = sorted(sound, key=lambda k: abs(k - n))[:2]
        step = (row[two].middle - row[one].middle) / (two - one)
        place = shape + row[one].middle + (n - one) * step
        for better in (_at(ink, row[one], place), weak(ink, row[one], place, PROVED)):
            if better is not None and np.abs(better.size / size - 1).max() < off[n]:
                out[n], off[n] = better, float(np.abs(better.size / size - 1).max())
    return out


def beyond(row: list[Cell], ink: Reach) -> Iterator[Cell]:
    """Go on with a row of boxes on both sides as far as there are boxes.

    Args:
        row: from left to right; of one box, the next is sought right beside it.
        ink: how near it is, everywhere in the view.
    """
    shape = _shape(row)
    size = np.median([cell.size for cell in row], axis=0)
    for cells in (row, row[::-1]):
        last = cells[-1]
        if len(cells) > 1:
            step = _step(cells)
        else:
            edge = (last.quad[1] + last.quad[2] - last.quad[0] - last.quad[3]) / 2
            step = edge if cells is row else -edge
        for _ in range(LONGEST):
            following = _fits(_at(ink, last, shape + last.middle + step), size)
            if following is None:
                after = _fits(_at(ink, last, shape + last.middle + 2 * step), size)
                if after is None:
                    following = _weak(ink, last, shape + last.middle + step, ENDS)
                    if following is None or len(row) < SURE:
                        break
                    yield following
                    last = following
                    continue
                middle = (last.middle + after.middle) / 2
                if (hidden := _weak(ink, last, shape + middle, WEAK)) is None:
                    break
                yield hidden
                following, step = after, (after.middle - last.middle) / 2
            else:
                step = 0.7 * step + 0.3 * (following.middle - last.middle)
            yield following
            last = following


def _weak(ink: Reach, like: Cell, quad: Quad, least: float) -> Cell | None:
    """Take a place in a row for a box if its sides have ink, beside its neighbours' lines."""
    cell = weak(ink, like, quad, least)
    return cell if cell and (like.dotted or is_drawn(ink, quad, like.thickness)) else None


def _fits(cell: Cell | None, size: NDArray[np.float64]) -> Cell | None:
    """Take a box for one of a row if it is as large."""
    off = 0.0 if cell is None else float(np.abs(cell.size - size).max())
    return cell if off <= 0.2 * min(size) else None


def _shape(row: list[Cell]) -> Quad:
    """Give the usual box of a row, about its middle."""
    return np.asarray(np.median([cell.quad - cell.middle for cell in row], axis=0), np.float64)


def _step(cells: list[Cell]) -> NDArray[np.float64]:
    """Say how far one box of a row is from the next, at the row's end."""
    steps = np.diff([cell.middle for cell in cells], axis=0)
    return np.asarray(np.median(steps[-5:], axis=0))


def _at(ink: Reach, like: Cell, quad: Quad) -> Cell | None:
    """Look for a box at a place, with lines as another's."""
    inner = like.thickness / 2 + 0.5
    ends = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    paper = quad + inner * ends
    return lined(ink, paper, dotted=like.dotted)


def among(table: list[Cell], places: list[tuple[int, int]], ink: Reach) -> Iterator[Cell]:
    """Seek the boxes that are missing in a table.

    Args:
        table: its boxes.
        places: the row and column of each.
        ink: how near it is, everywhere in the view.
    """
    at = dict(zip(places, table, strict=True))
    quads = frames(table)
    rows, columns = sorted({row for row, _ in at}), sorted({column for _, column in at})
    of_row = {row: [c for r, c in at if r == row] for row in rows}
    of_column = {column: [r for r, c in at if c == column] for column in columns}
    for row in rows:
        for column in columns:
            if (row, column) in at:
                continue
            wanted = list(_wanted(at, (row, column), of_row[row], of_column[column]))
            for like, quad in wanted:
                if _is_taken(quad, quads):
                    continue
                cell = _at(ink, like, quad)
                if cell is not None:
                    yield cell
                    break
            else:
                yield from _find_hidden(wanted, ink) or _find_between(at, row, column, ink)


def _is_taken(quad: Quad, taken: Frames) -> bool:
    """Return whether the place of a box is within a larger one."""
    middle, area = quad.mean(axis=0), float(np.ptp(quad, axis=0).prod())
    within = ((taken[:, :2] < middle) & (middle < taken[:, 2:])).all(axis=1)
    return bool((within & (areas(taken) > area)).any())


def _find_hidden(wanted: Sequence[tuple[Cell, Quad]], ink: Reach) -> list[Cell]:
    """Take a place for a box over whose lines something was written."""
    found = (weak(ink, like, quad, HIDDEN) for like, quad in wanted[:1])
    return [cell for cell in found if cell is not None]


def _find_between(
    at: dict[tuple[int, int], Cell], row: int, column: int, ink: Reach
) -> Iterator[Cell]:
    """Take the place between two boxes of a table, or under a fold of the paper, for a box."""
    sides = (
        ((row - 1, column), (row + 1, column), (3, 2, 1, 0)),
        ((row, column - 1), (row, column + 1), (1, 0, 3, 2)),
    )
    for before, after, corners in sides:
        if before in at and after in at:
            one, two = at[before], at[after]
            owners = (one, one, two, two) if column == before[1] else (one, two, two, one)
            quad = np.array(
                [owner.quad[corner] for owner, corner in zip(owners, corners, strict=True)]
            )
            if _is_regular(quad) and (cell := weak(ink, one, quad, FOLDED)) is not None:
                yield cell
                return


def _is_regular(quad: Quad) -> bool:
    """Return whether there is room for a box, whose opposite sides are alike."""
    sides = np.roll(quad, -1, axis=0) - quad
    off = np.abs(sides[:2] + sides[2:]).max()
    size = np.abs(sides[:2]).max(axis=1).min()
    return bool((quad[2] - quad[0]).min() > ROOM and off <= max(ROOM, BENT * size))


def _wanted(
    at: dict[tuple[int, int], Cell],
    place: tuple[int, int],
    in_row: Sequence[int],
    in_column: Sequence[int],
) -> Iterator[tuple[Cell, Quad]]:
    """Yield where a box should be, by those in its row and its column, the nearest first."""
    row, column = place
    besides = sorted(in_row, key=lambda c: abs(c - column))[:3]
    aboves = sorted(in_column, key=lambda r: abs(r - row))[:3]
    for beside in besides:
        for above in aboves:
            if (above, beside) in at:
                step = at[row, beside].middle - at[above, beside].middle
                cell = at[above, column]
                yield cell, cell.quad + step


def divided(table: list[Cell], spans: NDArray[np.int64], ink: Reach) -> list[Cell]:
    """Part cells that reach over a line of their table, where there is ink along it.

    Args:
        table: its boxes.
        spans: (N, 4): row and column of each, and those after it.
        ink: how near it is, everywhere in the view.
    """
    sides = [_list_sides(table, spans, axis) for axis in (0, 1)]
    least = 2 * PROVING * spans[:, [3, 2]].max(axis=0)
    out = []
    for cell, span in zip(table, spans.tolist(), strict=True):
        parts = [cell]
        for axis in (0, 1):  # first across rows, then across columns
            for line in range(span[axis] + 1, span[axis + 2]):
                at = _line(sides[axis], axis, line, cell, float(least[axis]))
                parts = [one for part in parts for one in _parts(part, axis, at, ink)]
        out += parts
    return out


def _list_sides(table: list[Cell], spans: NDArray[np.int64], axis: int) -> NDArray[np.float64]:
    """List the sides of boxes across an axis, (2 N, 3).

    Of each side: the number of its line, where that is, and how far along its box's middle is.
    """
    along = 1 - axis
    middle = np.array([cell.middle[axis] for cell in table])
    quads = np.array([cell.quad[:, along] for cell in table])
    corners = ([0, 1], [3, 2]) if axis == 0 else ([0, 3], [1, 2])
    return np.concatenate(
        [
            np.column_stack([spans[:, at], quads[:, ends].mean(axis=1), middle])
            for at, ends in zip((axis, axis + 2), corners, strict=True)
        ]
    )


def _line(
    sides: NDArray[np.float64], axis: int, line: int, near: Cell, least: float
) -> float | None:
    """Return where a line of a table is: level (axis 0) or upright, as the nearest box has it.

    None where fewer than `least` boxes have a side on it: a stroke in one row parts no other.
    """
    own = sides[sides[:, 0] == line]
    if not len(own) or len(own) < least:
        return None
    far = np.abs(own[:, 2] - near.middle[axis])
    return float(own[far == far.min(), 1].min())


def _parts(cell: Cell, axis: int, at: float | None, ink: Reach) -> list[Cell]:
    """Part a box at a level (axis 0) or an upright line, if there is ink along it."""
    quad = cell.quad
    first, last = ((0, 3), (1, 2)) if axis == 0 else ((0, 1), (3, 2))
    if at is None:
        return [cell]
    ends = []
    for begin, end in (first, last):
        way = quad[end] - quad[begin]
        share = (at - quad[begin, 1 - axis]) / (way[1 - axis] or 1.0)
        if not 0.1 < share < 0.9:
            return [cell]
        ends.append(quad[begin] + share * way)
    if max(inked(ink, ends[0] + off, ends[1] + off) for off in _offsets(axis)) < LINE:
        return [cell]
    low, high = quad.copy(), quad.copy()
    low[[first[1], last[1]]] = ends
    high[[first[0], last[0]]] = ends
    return [replace(cell, quad=low), replace(cell, quad=high)]


def _offsets(axis: int) -> NDArray[np.float64]:
    off = np.zeros((5, 2))
    off[:, 1 - axis] = np.arange(-2, 3)
    return off
