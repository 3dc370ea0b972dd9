"""Tables: of printed headings and names beside places for marks, with merged cells."""

from typing import TYPE_CHECKING

import numpy as np
import pens
from numpy.typing import NDArray
from pens import Box, Pen

if TYPE_CHECKING:
    from sheets import Sheet

Grid = NDArray[np.float64]
Spans = dict[tuple[int, int], tuple[int, int]]
"""Row and column of a merged cell → how many it takes of both; (0, 0) for one it swallows."""


def drawn(sheet: "Sheet") -> list[tuple[Box, bool]]:
    """Draw a table at a sheet's place; gives its cells, and whether each is for a printed label."""
    random, ranges = sheet.random, sheet.ranges
    tall = random.uniform(*ranges.row)
    rows = int(random.integers(ranges.rows[0], ranges.rows[1] + 1))
    rows = max(2, min(rows, int((sheet.end - sheet.y) / tall)))
    first = random.uniform(25, 50) if random.random() < 0.6 else 0.0
    wide = random.uniform(*ranges.column)
    room = sheet.right - sheet.left
    most = int((room - first) / wide) + bool(first)
    columns = min(int(random.integers(ranges.columns[0], ranges.columns[1] + 1)), max(2, most))
    widths = [first or wide] + [wide] * (columns - 1)
    x = sheet.left + random.uniform(0, max(0, room - sum(widths)))
    at = np.concatenate([[x], x + np.cumsum(widths)])
    levels = sheet.y + tall * np.arange(rows + 1)
    spans = _merged(rows, columns, random, ranges.merged)
    _ruled(sheet, at, levels, spans)
    heads = bool(first) or random.random() < 0.5
    out = []
    for row in range(rows):
        for column in range(columns):
            down, across = spans.get((row, column), (1, 1))
            if down:
                low, high = (at[column], levels[row]), (at[column + across], levels[row + down])
                label = (heads and row == 0) or (bool(first) and column == 0)
                out.append(((low[0], low[1], high[0] - low[0], high[1] - low[1]), label))
    return out


def _merged(rows: int, columns: int, random: np.random.Generator, share: float) -> Spans:
    """Merge two cells of a row, or two of a column."""
    if random.random() >= share or columns < 3:
        return {}
    row, column = int(random.integers(rows)), int(random.integers(1, columns - 1))
    if random.random() < 0.6:
        return {(row, column): (1, 2), (row, column + 1): (0, 0)}
    row = min(row, rows - 2)
    return {(row, column): (2, 1), (row + 1, column): (0, 0)}


def _ruled(sheet: "Sheet", at: Grid, levels: Grid, spans: Spans) -> None:
    """Draw a table's lines, but for those within merged cells."""
    random, ranges = sheet.random, sheet.ranges
    pen = sheet.pen(dotted=random.random() < ranges.dotted / 2)
    if random.random() < ranges.drawn[0]:
        pen = pen._replace(wave=random.uniform(0.1, ranges.drawn[1]), dash=None)
    outer = pen._replace(width=pen.width * (1.8 if random.random() < 0.3 else 1))
    for upright, (lines, along) in enumerate(((levels, at), (at, levels))):
        for n, place in enumerate(lines):
            cuts = [
                spot[1 - upright]
                for spot, (down, across) in spans.items()
                if (across if upright else down) == 2 and spot[upright] + 1 == n
            ]
            edge = n in (0, len(lines) - 1)
            _line(sheet, float(place), along, cuts, outer if edge else pen, upright=bool(upright))


def _line(  # noqa: PLR0913 - each is said by its name
    sheet: "Sheet", place: float, along: Grid, cuts: list[int], pen: Pen, *, upright: bool
) -> None:
    """Draw one line of a table, left out at the cells it would cut."""
    stops = [along[0], *(along[n + k] for n in cuts for k in (0, 1)), along[-1]]
    for begin, end in zip(stops[::2], stops[1::2], strict=True):
        if end - begin > 0.01:
            ends = [(begin, place), (end, place)]
            ends = [(y, x) for x, y in ends] if upright else ends
            pens.line(sheet.grey, ends, pen, sheet.random)
