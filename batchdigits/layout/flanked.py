"""Boxes for the digits of a number in each row of a table that has no headings.

Where cells for one digit stand between wider ones in every row, and nothing above says what each
column is, the cells of a row are one number: a total of three digits between its label and words.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from batchdigits.layout.contents import count_signs
from batchdigits.layout.lined import Cell
from batchdigits.layout.lines import Ink

ALIKE, WIDEST = 0.2, 2.2
"""How much boxes of one number may differ in width, as a share of it; and their greatest width, as
a share of their height: photographs of a wall are low."""
WIDER = 1.8
"""What stands on either side is so many times as wide as a box, at least."""
MOST, ROWS, WRITTEN = 10, 2, 2
"""Boxes of a number at most; rows of such, at least; and boxes of a row, at least, in which
something is written: each may hold one sign, and nothing else tells cells from numbers."""

Spans = NDArray[np.int64]
"""(N, 4): the lines of a table before and after its cells, as from `grids.spans`."""


def find_flanked(
    cells: Sequence[Cell], lines: Spans, labels: Sequence[bool], ink: Ink
) -> list[tuple[int, ...]]:
    """Find the boxes of a table that are numbers between wider cells.

    Args:
        cells: of the table.
        lines: between which lines they lie.
        labels: of each cell, whether it holds a printed label.
        ink: of the view.

    Returns:
        The indices of each number's boxes, from left to right.
    """
    stacks = defaultdict(list)
    for columns, members in _list_rows(cells, lines, labels):
        stacks[columns].append(members)
    return [
        members
        for columns, rows in stacks.items()
        if len(rows) >= ROWS
        and not _is_headed(columns, rows, lines)
        and _has_wider(columns, rows, cells, lines)
        and _holds_digits(rows, cells, ink)
        for members in rows
    ]


def _list_rows(
    cells: Sequence[Cell], lines: Spans, labels: Sequence[bool]
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """List adjoining boxes of one row: their lines, and their indices."""
    rows = defaultdict(list)
    for n, (row, column, below, beyond) in enumerate(lines.tolist()):
        wide, high = cells[n].size
        if wide <= WIDEST * high and not labels[n]:
            rows[row, below].append((column, beyond, n))
    for some in rows.values():
        run: list[tuple[int, int, int]] = []
        for one in [*sorted(some), (-1, -1, -1)]:
            if not run or one[0] != run[-1][1] or not _is_alike(cells[run[0][2]], cells[one[2]]):
                if 1 < len(run) <= MOST:
                    yield (run[0][0], *(end for _, end, _ in run)), tuple(n for _, _, n in run)
                run = []
            run.append(one)


def _is_alike(one: Cell, other: Cell) -> bool:
    return bool(abs(other.size[0] - one.size[0]) <= ALIKE * one.size[0])


def _is_headed(columns: Sequence[int], rows: Sequence[Sequence[int]], lines: Spans) -> bool:
    """Return whether there is a cell above that may say what the columns are."""
    top = min(int(lines[members[0], 0]) for members in rows)
    above = (lines[:, 2] <= top) & (lines[:, 3] > columns[0]) & (lines[:, 1] < columns[-1])
    return bool(above.any())


def _has_wider(
    columns: Sequence[int], rows: Sequence[Sequence[int]], cells: Sequence[Cell], lines: Spans
) -> bool:
    """Return whether wider cells stand on both sides of boxes, in one of their rows at least."""
    least = WIDER * float(np.median([cells[n].size[0] for members in rows for n in members]))
    wide = np.array([cell.size[0] >= least for cell in cells], bool)
    own = np.isin(lines[:, 0], [lines[members[0], 0] for members in rows])
    before, after = lines[:, 3] == columns[0], lines[:, 1] == columns[-1]
    return bool((wide & own & before).any() and (wide & own & after).any())


def _holds_digits(rows: Sequence[Sequence[int]], cells: Sequence[Cell], ink: Ink) -> bool:
    """Return whether no box has more than one sign in it, and boxes of one row have."""
    counts = [[count_signs(ink, cells[n]) for n in members] for members in rows]
    written = max(sum(count > 0 for count in some) for some in counts)
    return written >= WRITTEN and all(count <= 1 for some in counts for count in some)
