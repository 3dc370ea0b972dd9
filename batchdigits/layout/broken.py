"""Printed lines of which a scan kept no more than dashes: the upright ones between boxes in a row.

Dashes in one upright line between two level ones are a line where they make boxes of one width with
others, or where another row has lines in the same places. A stroke of a digit stands anywhere.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits.layout.dashes import find_dashes
from batchdigits.layout.lines import Ink, Lines
from batchdigits.layout.uprights import OFF_PX, WHOLE, Row, Upright, draw_uprights

LEAST_PX, MOST = 16, 0.12
"""Height of a row of boxes: px at least, and at most as a share of the page's longer side."""
HALF, LAST, SOME = 0.5, 0.25, 0.12
"""Share of a line that is there: one that is broken; one that is at either end of the others; and
what is left of one that another row proves."""
LEVEL_PX, SLOPE = 4, 0.02
"""px by which the ends of lines in one row may differ, and how much more so far apart."""
ALIKE, ALIKE_PX = 0.05, 2.0
"""By what share of their width boxes of one row may differ, and px."""
WIDEST, NARROWEST, NEAR = 1.5, 0.25, 6.0
"""Greatest and least width of a box, as a share of its height; and how far from each other lines
of one row may be."""
CLOSED = 0.8
"""Share of the way between two uprights that has a level line, if they end at it."""
END = 0.15
"""Share of its length at the end of a line within which a broken one has a dash there."""
SHIFT_PX = 4
"""px by which lines of another row may be off all together."""
CONTINUED, THICKEST_PX = 0.3, 12
"""Share of a line that goes on with one in the next row; and px of the level line between them."""
MOST_LINES = 6
"""Lines of a row at most: the boxes of a grid prove each other, and dashes are not needed."""
MANY = 3000
"""A page with more dashes is not searched: it is a picture."""


class Remains(NamedTuple):
    """What is left of a line: how many of its ends, and in how many pieces."""

    ends: int
    pieces: int


def join_broken(found: Lines) -> Lines:
    """Draw upright lines of which there are dashes, and the level ones that they end at."""
    level, dashes, pieces = find_dashes(found)
    if len(pieces) > MANY:
        return found
    rows = _find_rows(_list_uprights(pieces, dashes, level), level)
    proved = [lines for row in rows if (lines := _find_even(row, dashes))]
    whole = [lines for row in rows if (lines := _list_whole(row))]
    if max(map(len, proved + whole), default=0) > MOST_LINES:
        return found
    proved += _find_repeated(rows, proved + whole, dashes, level)
    lines = [line for row in rows for line in row]
    proved += [[line] for line in _find_continued(lines, proved, dashes)]
    return draw_uprights(found, proved) if proved else found


def _list_uprights(pieces: NDArray[np.int64], dashes: Ink, level: Ink) -> list[Upright]:
    """Follow each dash up and down to the next level lines."""
    most = round(MOST * max(level.shape))
    out = []
    for x, y, wide, high in pieces.tolist():
        middle = x + (wide - 1) / 2
        column = level[:, max(0, round(middle) - OFF_PX) : round(middle) + OFF_PX + 1].max(axis=1)
        centre = y + high // 2
        above = np.flatnonzero(column[max(0, centre - most) : centre])
        below = np.flatnonzero(column[centre : centre + most])
        if not len(above) or not len(below):
            continue
        top, bottom = max(0, centre - most) + int(above[-1]) + 1, centre + int(below[0])
        if LEAST_PX <= bottom - top <= most:
            out.append(Upright(middle, top, bottom, _measure_share(dashes, middle, top, bottom)))
    return out


def _measure_share(dashes: Ink, x: float, top: int, bottom: int) -> float:
    """Measure what share of an upright line is there."""
    return float(_get_strip(dashes, x, top, bottom).any(axis=1).mean())


def _get_strip(dashes: Ink, x: float, top: int, bottom: int) -> Ink:
    left = max(0, round(x) - OFF_PX)
    return dashes[top + 1 : bottom - 1, left : round(x) + OFF_PX + 1]


def _find_rows(lines: Sequence[Upright], level: Ink) -> list[Row]:
    """Find lines that end at the same level ones."""
    rows: list[Row] = []
    for line in sorted(lines):
        for row in rows:
            last = row[-1]
            off = LEVEL_PX + SLOPE * (line.x - last.x)
            high = last.bottom - last.top
            if (
                line.x - last.x <= NEAR * high
                and abs(line.top - last.top) <= off
                and abs(line.bottom - last.bottom) <= off
                and _is_closed(level, last, line)
            ):
                if line.x - last.x > ALIKE_PX + 1:
                    row.append(line)
                elif line.share > last.share:
                    row[-1] = line
                break
        else:
            rows.append([line])
    return rows


def _is_closed(level: Ink, one: Upright, other: Upright) -> bool:
    """Return whether level lines go from one upright line to another, above and below."""
    return all(
        _is_drawn(level, (one.x, start), (other.x, end))
        for start, end in ((one.top - 1, other.top - 1), (one.bottom, other.bottom))
    )


def _is_drawn(level: Ink, start: tuple[float, int], end: tuple[float, int]) -> bool:
    top, bottom = min(start[1], end[1]) - OFF_PX, max(start[1], end[1]) + OFF_PX + 1
    strip = level[max(0, top) : bottom, round(start[0]) : round(end[0]) + 1]
    return bool(strip.size and strip.any(axis=0).mean() >= CLOSED)


def _is_parted(level: Ink, row: Row) -> bool:
    """Return whether a level line goes through most of a row."""
    first, last = row[0], row[-1]
    top, bottom = max(first.top, last.top) + LEVEL_PX, min(first.bottom, last.bottom) - LEVEL_PX
    strip = level[top:bottom, round(first.x) : round(last.x)]
    return bool(strip.size and (strip > 0).mean(axis=1).max() >= HALF)


def _find_even(row: Row, dashes: Ink) -> list[Upright]:
    """Find the lines of a row that make boxes of one width."""
    lines = [line for line in row if line.share >= HALF]
    best: list[Upright] = []
    for n, one in enumerate(lines):
        for other in lines[n + 1 :]:
            chain = _add_end_lines(_follow_step(lines, one, other.x - one.x), row)
            if len(chain) > len(best) and _is_sound(chain, dashes):
                best = chain
    return best


def _add_end_lines(chain: list[Upright], row: Row) -> list[Upright]:
    """Add what is left of the line before the first and of that after the last."""
    if len(chain) < 3:
        return chain
    step = (chain[-1].x - chain[0].x) / (len(chain) - 1)
    for wanted in (chain[0].x - step, chain[-1].x + step):
        nearest = min(row, key=lambda line: abs(line.x - wanted))
        if abs(nearest.x - wanted) <= max(ALIKE_PX, ALIKE * step) and nearest.share >= LAST:
            chain = sorted([*chain, nearest])
    return chain


def _follow_step(lines: Sequence[Upright], start: Upright, step: float) -> list[Upright]:
    """Follow a step from line to line; nothing where boxes would be too wide or too narrow."""
    high = start.bottom - start.top
    if not NARROWEST * high <= step <= WIDEST * high:
        return []
    chain, most = [start], max(ALIKE_PX, ALIKE * step)
    while True:
        wanted = chain[-1].x + step
        following = min(lines, key=lambda line: abs(line.x - wanted))
        if abs(following.x - wanted) > most:
            return chain
        step = (following.x - chain[0].x) / len(chain)
        chain.append(following)


def _is_sound(chain: Sequence[Upright], dashes: Ink) -> bool:
    """Return whether the lines of a chain are to be believed.

    A stroke of a pen is one piece. Where whole lines are twice as far apart, what is between them
    may have been written; and so may a line in the middle of one box.
    """
    whole = [line.share >= WHOLE for line in chain]
    if len(chain) < 3 or not any(whole) or all(whole):
        return False
    seen = [_look_at(line, dashes) for line in chain if line.share < WHOLE]
    if len(chain) == 3:
        return len(seen) == 1 and seen[0].ends == 2 and seen[0].pieces > 1
    between = any(all(whole[k::2]) and not any(whole[1 - k :: 2]) for k in (0, 1))
    return all((ends and pieces > 1) if between else (ends or pieces > 1) for ends, pieces in seen)


def _look_at(line: Upright, dashes: Ink) -> Remains:
    """Count the ends of a line that have a dash, and the dashes of which it is made."""
    there = _get_strip(dashes, line.x, line.top, line.bottom).max(axis=1) > 0
    some = max(3, round(END * len(there)))
    pieces = int((np.diff(there.astype(np.int8), prepend=0) > 0).sum())
    return Remains(int(there[:some].any()) + int(there[-some:].any()), pieces)


def _list_whole(row: Row) -> list[Upright]:
    """List the longest chain of whole lines of a row; nothing for fewer than three."""
    lines = [line for line in row if line.share >= WHOLE]
    chains = [
        _follow_step(lines, one, other.x - one.x)
        for n, one in enumerate(lines)
        for other in lines[n + 1 :]
    ]
    best = max(chains, key=len, default=[])
    return best if len(best) > 2 else []


def _find_repeated(
    rows: Sequence[Row], proved: Sequence[Sequence[Upright]], dashes: Ink, level: Ink
) -> list[Row]:
    """Find rows in which some is left of each line that another row has."""
    out = []
    for places in proved:
        for row in rows:
            lines = _repeat_places(row, places, dashes)
            broken = any(line.share < WHOLE for line in lines)
            if broken and _is_closed(level, lines[0], lines[-1]) and not _is_parted(level, lines):
                out.append(lines)
    return out


def _repeat_places(row: Row, places: Sequence[Upright], dashes: Ink) -> list[Upright]:
    """Look for lines in the places of another row's; nothing unless there is some of each."""
    sure = [(line.x - place.x, line) for line in row for place in places if line.share >= HALF]
    shift, like = min(sure, key=lambda one: abs(one[0]), default=(np.inf, row[0]))
    if abs(shift) > SHIFT_PX:
        return []
    top, bottom = like.top, like.bottom
    out = []
    for place in places:
        x = place.x + shift
        share = max(_measure_share(dashes, x + off, top, bottom) for off in (-1, 0, 1))
        out.append(Upright(x, top, bottom, share))
    return out if min(line.share for line in out) >= SOME else []


def _find_continued(lines: Sequence[Upright], proved: Sequence[Row], dashes: Ink) -> list[Upright]:
    """Find broken lines that go on with one in the row above or below."""
    sure = [line for line in lines if line.share >= WHOLE] + [one for row in proved for one in row]
    left = [line for line in lines if CONTINUED <= line.share < WHOLE]
    left = [line for line in left if min(_look_at(line, dashes)) and line not in sure]
    out: list[Upright] = []
    while following := [line for line in left if any(_goes_on(line, one) for one in sure)]:
        out += following
        sure, left = following, [line for line in left if line not in following]
    return out


def _goes_on(line: Upright, other: Upright) -> bool:
    gap = max(line.top, other.top) - min(line.bottom, other.bottom)
    return abs(line.x - other.x) <= SHIFT_PX and 0 <= gap <= THICKEST_PX
