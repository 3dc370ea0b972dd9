"""Words of an open table → the places to cut them out of, and what is doubtful about them."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from batchdigits.layout.lined import Cell
from batchdigits.layout.pen import Pen
from batchdigits.layout.writing import Signs, Word

ROOM, BESIDE = 0.35, 0.25
"""What is cut out at most above and below a word, and to its sides, as a share of its height."""
LINED, BEYOND = 0.65, 0.6
"""Share of the width of two words that a ruled line between them takes, at least, beyond them too,
as the feet of digits may be in one line; and how far beyond, as a share of their height."""
WIDE_GAP, UNUSUAL = 0.7, 2.0
"""A gap in a number that is wider than this share of its height, and so many times as wide as is
usual, may part two numbers."""
NEAR, TALL, FAR, MOST_GROWN = 1.0, 0.5, 1.6, 3
"""What stands so near beside a number, as a share of its height, and is so high in its row, may be
its; what is higher than the third share altogether reaches into another row; and how many pieces of
ink a number may get so."""
DASH_NEAR, DASH_BAND, DASHED = 0.5, 0.3, 0.5
"""How near before a number a dash begins; how far from its middle; how much of that place it
takes: shares of the number's height."""
RUN_INTO = 0.1
"""By what share of their height words in rows may reach into each other."""
TWO_NUMBERS = "may be two numbers"
ONE_NUMBER = "may be a part of a number: more is written beside it"
DASH = "what may be a minus stands before it: a value has no sign"
OVERLAP = "may be cut: its row and the next one run into each other"


def cut_words(
    words: Sequence[Word],
    columns: Sequence[int],
    signs: Signs,
    pen: Pen,
) -> tuple[list[Cell], list[str]]:
    """Give each word the place to be cut out of, and tell why its value is for review.

    Args:
        words: of a table, in any order.
        columns: the number of each word's column.
        signs: of the page.
        pen: its ink and lines.

    Returns:
        The places; and the reasons, empty for none.
    """
    taken = {int(signs.pieces[n]) for word in words for n in word.signs}
    grown = [_grow_word(word, signs, taken) for word in words]
    words = [word for word, _ in grown]
    tops, bottoms, doubts = _cut_rows(words, columns, pen)
    usual = float(np.median([gap for word in words for gap in _list_gaps(word, signs)] or [0]))
    cells = []
    for n, word in enumerate(words):
        dashed = _has_dash(word, pen)
        left = word.frame[0] - BESIDE * word.height
        right = word.frame[2] + BESIDE * word.height
        quad = np.array(
            [[left, tops[n]], [right, tops[n]], [right, bottoms[n]], [left, bottoms[n]]]
        )
        cells.append(Cell(quad, 1.0, 1.0))
        wide = max(_list_gaps(word, signs), default=0.0)
        if wide > max(WIDE_GAP * word.height, UNUSUAL * usual):
            doubts[n] = doubts[n] or TWO_NUMBERS
        doubts[n] = doubts[n] or grown[n][1] or (DASH if dashed else "")
    return cells, doubts


def _cut_rows(
    words: Sequence[Word], columns: Sequence[int], pen: Pen
) -> tuple[list[float], list[float], list[str]]:
    """Find where each word's row begins and ends, px, and which rows run into each other."""
    tops = [float(word.frame[1] - ROOM * word.height) for word in words]
    bottoms = [float(word.frame[3] + ROOM * word.height) for word in words]
    doubts = [""] * len(words)
    by_column = defaultdict(list)
    for n, column in enumerate(columns):
        by_column[column].append(n)
    for some in by_column.values():
        for one, two in pairwise(sorted(some, key=lambda n: words[n].middle)):
            above, below = words[one].frame, words[two].frame
            if min(above[2], below[2]) <= max(above[0], below[0]):
                continue
            line = _find_line(pen, words[one], words[two])
            cut = (above[3] + below[1]) / 2 if line is None else line
            bottoms[one], tops[two] = min(bottoms[one], cut), max(tops[two], cut)
            if above[3] - below[1] > RUN_INTO * words[one].height:
                doubts[one] = doubts[two] = OVERLAP
    return tops, bottoms, doubts


def _find_line(pen: Pen, above: Word, below: Word) -> float | None:
    """Find the ruled line between two words; None for none."""
    low, high = sorted((above.frame[3], below.frame[1]))
    top = max(int(above.middle), int(low - ROOM * above.height))
    bottom = min(int(below.middle), int(high + ROOM * below.height))
    beyond = BEYOND * above.height
    left = int(max(0, min(above.frame[0], below.frame[0]) - beyond))
    right = int(max(above.frame[2], below.frame[2]) + beyond)
    part = pen.level[top:bottom, left:right]
    if not part.size:
        return None
    drawn = part.mean(axis=1)
    return (
        top + float(np.flatnonzero(drawn == drawn.max()).mean()) if drawn.max() >= LINED else None
    )


def _list_gaps(word: Word, signs: Signs) -> list[float]:
    """List the gaps between the signs of a word, px."""
    own = signs.frames[list(word.signs)]
    ends = np.maximum.accumulate(own[:, 2])
    return [max(0.0, float(gap)) for gap in own[1:, 0] - ends[:-1]]


def _has_dash(word: Word, pen: Pen) -> bool:
    """Return whether a level stroke leads to a word."""
    left, high = int(word.frame[0]), word.height
    top, bottom = int(word.middle - DASH_BAND * high), int(word.middle + DASH_BAND * high)
    part = pen.level[max(0, top) : bottom, max(0, left - int(DASH_NEAR * high)) : max(0, left)]
    return bool(part.size and part.any(axis=0).mean() >= DASHED)


def _grow_word(word: Word, signs: Signs, taken: set[int]) -> tuple[Word, str]:
    """Take what stands right beside a word, and is in no other, for a part of it.

    Args:
        word: the word.
        signs: of the page.
        taken: pieces of ink that are in words.

    Returns:
        The word with a wider frame, and why it is doubtful; empty where nothing was taken.
    """
    frame, doubt = word.frame.copy(), ""
    top, bottom = (int(max(0, side)) for side in frame[[1, 3]])
    for _ in range(MOST_GROWN):
        start = int(max(0, frame[0] - NEAR * word.height))
        part = signs.labels[top:bottom, start : int(frame[2] + NEAR * word.height)]
        found = _find_tall(part, taken, TALL * word.height)
        if not found:
            break
        taken = taken | {found}
        columns = np.flatnonzero((signs.labels[top:bottom] == found).any(axis=0))
        frame[[0, 2]] = min(frame[0], columns[0]), max(frame[2], columns[-1] + 1)
        rows = np.flatnonzero((signs.labels[:, columns[0] : columns[-1] + 1] == found).any(axis=1))
        doubt = OVERLAP if np.ptp(rows) > FAR * word.height else doubt or ONE_NUMBER
    return word._replace(frame=frame), doubt


def _find_tall(part: NDArray[np.int32], taken: set[int], least: float) -> int:
    """Find a piece of ink that is `least` px high in a part of the page; 0 for none."""
    for piece in set(np.unique(part).tolist()) - taken - {0}:
        if np.ptp(np.flatnonzero((part == piece).any(axis=1))) >= least:
            return int(piece)
    return 0
