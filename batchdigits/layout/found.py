"""Boxes that were not seen as regions, sought where their row or their table wants them."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from batchdigits.layout.cells import Cell, Quad, lined
from batchdigits.layout.lines import Ink

LONGEST = 64
"""Boxes that a row has at most."""
ODD = 0.06
"""By what share of its size a box of a row differs from most."""
SAME, PIECE, OVER = 0.6, 0.6, 0.3
"""Shares of area: two boxes that are one; what is a piece of a box; what is in its way."""


def steady(row: list[Cell], ink: Ink) -> list[Cell]:
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
        better = _at(ink, row[one], shape + row[one].middle + (n - one) * step)
        if better is not None and np.abs(better.size / size - 1).max() < off[n]:
            out[n] = better
    return out


def beyond(row: list[Cell], ink: Ink) -> Iterator[Cell]:
    """Go on with a row of boxes on both sides as far as there are boxes.

    Args:
        row: from left to right; of one box, the next is sought right beside it.
        ink: of the view.
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
            following = _at(ink, last, shape + last.middle + step)
            if following is None or np.abs(following.size - size).max() > 0.2 * min(size):
                break
            step = 0.7 * step + 0.3 * (following.middle - last.middle)
            yield following
            last = following


def _shape(row: list[Cell]) -> Quad:
    """Give the usual box of a row, about its middle."""
    return np.asarray(np.median([cell.quad - cell.middle for cell in row], axis=0), np.float64)


def _step(cells: list[Cell]) -> NDArray[np.float64]:
    """Say how far one box of a row is from the next, at the row's end."""
    steps = np.diff([cell.middle for cell in cells], axis=0)
    return np.asarray(np.median(steps[-5:], axis=0))


def _at(ink: Ink, like: Cell, quad: Quad) -> Cell | None:
    """Look for a box at a place, with lines as another's."""
    inner = like.thickness / 2 + 0.5
    ends = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    paper = quad + inner * ends
    return lined(ink, paper, dotted=like.dotted)


def among(table: list[Cell], places: list[tuple[int, int]], ink: Ink) -> Iterator[Cell]:
    """Seek the boxes that are missing in a table.

    Args:
        table: its boxes.
        places: the row and column of each.
        ink: of the view.
    """
    at = dict(zip(places, table, strict=True))
    rows, columns = sorted({row for row, _ in at}), sorted({column for _, column in at})
    for row in rows:
        for column in columns:
            if (row, column) in at:
                continue
            for like, quad in _wanted(at, row, column):
                cell = _at(ink, like, quad)
                if cell is not None:
                    yield cell
                    break


def _wanted(at: dict[tuple[int, int], Cell], row: int, column: int) -> Iterator[tuple[Cell, Quad]]:
    """Say where a box should be, by those in its row and its column, the nearest first."""
    besides = sorted((c for r, c in at if r == row), key=lambda c: abs(c - column))[:3]
    aboves = sorted((r for r, c in at if c == column), key=lambda r: abs(r - row))[:3]
    for beside in besides:
        for above in aboves:
            if (above, beside) in at:
                step = at[row, beside].middle - at[above, beside].middle
                cell = at[above, column]
                yield cell, cell.quad + step


def added(cells: list[Cell], new: list[Cell]) -> tuple[list[Cell], bool]:
    """Put boxes among others: in the place of their pieces, unless they are there already.

    Returns:
        All of them, and whether there is one that was not there.
    """
    out, changed = list(cells), False
    for cell in new:
        boxes = np.array([_frame(one) for one in out])
        own = _frame(cell)
        size = np.minimum(boxes[:, 2:], own[2:]) - np.maximum(boxes[:, :2], own[:2])
        common = np.clip(size, 0, None).prod(axis=1)
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
        area = float((own[2:] - own[:2]).prod())
        if (common > SAME * (areas + area - common)).any():
            continue
        pieces = common > PIECE * areas
        if (common[~pieces] > OVER * area).any() or (areas[pieces] > area).any():
            continue
        out = [one for one, piece in zip(out, pieces, strict=True) if not piece] + [cell]
        changed = True
    return out, changed


def _frame(cell: Cell) -> NDArray[np.float64]:
    return np.concatenate([cell.quad.min(axis=0), cell.quad.max(axis=0)])
