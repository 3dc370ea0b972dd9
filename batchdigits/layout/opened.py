"""Numbers written below each other without boxes: lists, tallies, columns between two lines.

Words that stand below each other are numbers where a network takes their signs together for
handwritten digits, and they are not as even as print. What is written in boxes is left to these.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.layout.grids import roots
from batchdigits.layout.groups import Group
from batchdigits.layout.hands import measure_handwriting
from batchdigits.layout.pen import Pen, find_pen
from batchdigits.layout.strewn import cut_words
from batchdigits.layout.writing import Signs, Word, find_columns, find_signs, find_words, make_word
from batchdigits.records import GreyImage

SMALL, LEAST_SIGNS = 0.6, 5
"""A sign under this share of its word's usual height is a dot or a speck; and so many others a
column has at least."""
TALL = 1.5
"""A sign alone that is so many times as high as is usual is the rest of a line."""
LIKELY, SURE = 0.45, 4.5
"""How much likelier signs are handwritten digits than print: usually, and all together, at least;
natural logarithms. Of 96 printed columns of numbers, in fonts that the network never saw, three
have so much, and each is as even as print; of 93 handwritten ones, 89 have more."""
LONELY, LIKELY_ALONE = 1.3, 1.3
"""The same where most words are one sign, which print has too: a, b, c before the lines of a list;
and how many signs a word has there at most, on average."""
PRINTED = -1.5
"""A word at either end of a column that has less than this usually is a printed heading, or the
rest of a line."""
EVEN_HEIGHTS, EVEN_FEET = 0.065, 0.02
"""Spread of the heights of a column's signs, and how far their feet are from a line, as shares of
their height: print has less of both."""
TURNED = 3.0
"""Degrees by which lines turn a page, from which on it is searched without them, too."""
SLOPE = 0.2
"""Greatest usual slope of a column's words: more, and the page was not laid straight."""
LOWEST = 0.0095
"""Usual height of a column's signs, at least, as a share of the page's longer side."""
SAME_ROW, SHARED_ROWS = 0.5, 0.6
"""Words whose middles are so near, as a share of their height, are in one row; columns that have
this share of their rows in common are one table."""


def find_open(laid: GreyImage, grey: GreyImage, matrix: NDArray[np.float64]) -> list[Group]:
    """Find the tables of numbers that are written below each other.

    A page of handwriting has few lines that say how it lies. Where these turn it, it is searched
    as it was, too.

    Args:
        laid: the page laid straight, uint8, (height, width).
        grey: the page as it was.
        matrix: (3, 3), px of `grey` → px of `laid`.

    Returns:
        Tables, in px of `laid`.
    """
    found = _find_tables(laid)
    if abs(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))) <= TURNED:
        return found
    others = [_project_table(table, matrix) for table in _find_tables(grey)]
    most = [sum(len(table.cells) for table in some) for some in (found, others)]
    return others if most[1] > most[0] else found


def _project_table(table: Group, matrix: NDArray[np.float64]) -> Group:
    quads = np.array([cell.quad for cell in table.cells]).reshape(1, -1, 2)
    moved = cv2.perspectiveTransform(quads, matrix).reshape(-1, 4, 2)
    cells = zip(table.cells, moved.astype(np.float64), strict=True)
    return table._replace(cells=tuple(replace(cell, quad=quad) for cell, quad in cells))


def _find_tables(grey: GreyImage) -> list[Group]:
    pen = find_pen(grey)
    signs = find_signs(pen)
    columns = [
        _remove_specks(signs, column) for column in find_columns(find_words(signs, pen.upright))
    ]
    lowest = LOWEST * max(grey.shape)
    found = [
        _without_headings(signs, column)
        for column in columns
        if column and _is_handwritten(signs, column, lowest)
    ]
    return [_make_table(table, signs, pen) for table in _join_columns(found)]


def _remove_specks(signs: Signs, column: list[Word]) -> list[Word]:
    """Leave out dots and specks, and words of them alone."""
    usual = float(np.median([word.height for word in column]))
    high = signs.frames[:, 3] - signs.frames[:, 1]
    out = []
    for word in column:
        kept = [n for n in word.signs if high[n] >= SMALL * max(word.height, usual)]
        if kept and (len(kept) > 1 or word.height <= TALL * usual):
            out.append(make_word(signs.frames, kept))
    return out


def _measure_words(signs: Signs, words: Sequence[Word]) -> NDArray[np.float64]:
    """Measure how much likelier the signs of words are handwritten digits than print."""
    numbers = [n for word in words for n in word.signs]
    return measure_handwriting(np.array([signs.draw(n) for n in numbers]))


def _is_handwritten(signs: Signs, column: list[Word], lowest: float) -> bool:
    """Return whether a column is of handwritten numbers, `lowest` px high."""
    numbers = [n for word in column for n in word.signs]
    own = signs.frames[numbers]
    high = own[:, 3] - own[:, 1]
    usual = float(np.median(high))
    if len(column) < 2 or len(numbers) < LEAST_SIGNS or usual < lowest:
        return False
    slopes, feet = _fit_feet(signs, column)
    even = np.std(high) < EVEN_HEIGHTS * usual and feet < EVEN_FEET
    if even or abs(slopes) > SLOPE:
        return False
    likely = _measure_words(signs, column)
    least = LIKELY if len(numbers) > LONELY * len(column) else LIKELY_ALONE
    return bool(likely.mean() >= least and likely.sum() >= SURE)


def _fit_feet(signs: Signs, column: list[Word]) -> tuple[float, float]:
    """Fit a line to the feet of each word's signs.

    Returns:
        The usual slope, and how far feet are from the lines on average, as a share of the height;
        0 for both where no word has two signs.
    """
    slopes, off = [], []
    for word in column:
        if len(word.signs) > 1:
            own = signs.frames[list(word.signs)]
            x, feet = own[:, [0, 2]].mean(axis=1), own[:, 3]
            slope, start = np.polyfit(x, feet, 1)
            line = slope * x + start if len(x) > 2 else np.full(2, feet.mean())
            slopes.append(slope if len(x) > 2 else 0.0)
            off += (np.abs(feet - line) / word.height).tolist()
    return (float(np.median(slopes)), float(np.mean(off))) if off else (0.0, 0.0)


def _without_headings(signs: Signs, column: list[Word]) -> list[Word]:
    """Leave out what is printed at the ends of a column, a word at each at most.

    A sign alone is left out only where most words have several: a 1 may look like a line.
    """
    several = np.median([len(word.signs) for word in column]) > 1

    def is_printed(word: Word) -> bool:
        own = several or len(word.signs) > 1
        return bool(own and _measure_words(signs, [word]).mean() < PRINTED)

    start, end = int(is_printed(column[0])), int(is_printed(column[-1]))
    return column[start : len(column) - end]


def _join_columns(columns: list[list[Word]]) -> list[list[Word]]:
    """Join columns beside each other that share rows."""

    def shares(one: list[Word], other: list[Word]) -> bool:
        near = [any(abs(a.middle - b.middle) <= SAME_ROW * a.height for b in other) for a in one]
        return sum(near) >= SHARED_ROWS * min(len(one), len(other))

    pairs = [
        (n, m)
        for n, one in enumerate(columns)
        for m, other in enumerate(columns[:n])
        if shares(one, other)
    ]
    found: dict[int, list[Word]] = defaultdict(list)
    for column, root in zip(columns, roots(len(columns), pairs), strict=True):
        found[root] += column
    return list(found.values())


def _make_table(words: list[Word], signs: Signs, pen: Pen) -> Group:
    """Make a table of words: row by row, from left to right."""
    rows, columns = _number_rows(words), _number_columns(words)
    order = sorted(range(len(words)), key=lambda n: (rows[n], columns[n], words[n].frame[0]))
    cells, doubts = cut_words(words, columns, signs, pen)
    return Group(
        "table",
        tuple(cells[n] for n in order),
        tuple((rows[n], columns[n]) for n in order),
        tuple(doubts[n] for n in order),
        opened=True,
    )


def _number_rows(words: list[Word]) -> list[int]:
    """Number the rows of words, from 1."""
    out, row, last = [0] * len(words), 0, -np.inf
    for n in sorted(range(len(words)), key=lambda n: words[n].middle):
        if words[n].middle - last > SAME_ROW * words[n].height:
            row, last = row + 1, words[n].middle
        out[n] = row
    return out


def _number_columns(words: list[Word]) -> list[int]:
    """Number the columns of words, from 1: words above each other are in one."""
    pairs = [
        (n, m)
        for n, one in enumerate(words)
        for m, other in enumerate(words[:n])
        if min(one.frame[2], other.frame[2]) > max(one.frame[0], other.frame[0])
    ]
    own = roots(len(words), pairs)
    lefts = {
        root: min(w.frame[0] for w, r in zip(words, own, strict=True) if r == root) for root in own
    }
    order = sorted(lefts, key=lambda root: float(lefts[root]))
    return [order.index(root) + 1 for root in own]
