"""What pages that nobody described are like: the ranges that are drawn from, and their truth."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Corners = NDArray[np.float64]
"""(N, 4, 2): of N boxes, clockwise from the top left."""
Kind = Literal["boxes", "box", "table"]


class Ranges(NamedTuple):
    """What pages are like, each value drawn evenly from its range, kinds by their share.

    Attributes:
        paper: sizes, mm.
        cells: boxes in a row.
        wide: of a box in a row, mm.
        tall: how many times as high as wide.
        gap: between separate boxes, mm.
        apart: between groups on one line, times a box's width, beyond the gap in a group.
        single: width and height of a box for a whole number, mm.
        rows: of a table.
        columns: of a table.
        column: its width, mm.
        row: its height, mm.
        merged: share of tables with merged cells.
        empty: share of groups, and of cells of tables, with nothing in them.
        words: share of groups that hold letters, names or signatures instead.
        pen: width of lines, mm.
        greys: of lines: black, grey, and how scanners see red, blue and light colours.
        dotted: share of groups with dotted lines.
        drawn: share of tables drawn by hand, and how far their lines leave the ruler, mm.
        turned: share of rows that are a strip glued on askew, and how far, degrees.
        dense: share of pages with text and nothing else.
        bent: share of pages that are not flat, and by how much, mm.
        seen: least contrast a line keeps in the scan, grey levels; in one bit it must be black.
    """

    paper: tuple[tuple[float, float], ...] = ((210, 297), (210, 297), (148, 210), (215.9, 279.4))
    cells: tuple[int, int] = (2, 20)
    wide: tuple[float, float] = (4, 9)
    tall: tuple[float, float] = (0.9, 1.7)
    gap: tuple[float, float] = (0.5, 3)
    apart: tuple[float, float] = (0.6, 2)
    single: tuple[tuple[float, float], tuple[float, float]] = ((14, 60), (6.5, 14))
    rows: tuple[int, int] = (2, 12)
    columns: tuple[int, int] = (2, 9)
    column: tuple[float, float] = (9, 34)
    row: tuple[float, float] = (6, 12)
    merged: float = 0.2
    empty: float = 0.25
    words: float = 0.1
    pen: tuple[float, float] = (0.1, 0.8)
    greys: tuple[int, ...] = (0, 0, 0, 60, 100, 140, 180)
    dotted: float = 0.08
    drawn: tuple[float, float] = (0.15, 0.4)
    turned: tuple[float, float] = (0.06, 3.0)
    dense: float = 0.05
    bent: tuple[float, float] = (0.1, 1.2)
    seen: tuple[float, float] = (60, 175)


RANGES = Ranges()
FINAL = 5005
"""The seed of the pages that are published figures; run once. Development uses 1 to 99."""


class Group(NamedTuple):
    """Boxes that belong together.

    Attributes:
        kind: boxes in a row, one box, or a table.
        boxes: (N, 4, 2), mm; of a page that was `made`, px.
        values: of each box: digits, "" for nothing, "?" for what is no digit.
        printed: of each box, whether it holds a printed label.
        counts: not for small squares beside words: they may be found, or not.
    """

    kind: Kind
    boxes: Corners
    values: tuple[str, ...]
    printed: tuple[bool, ...]
    counts: bool = True
