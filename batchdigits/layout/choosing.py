"""Which stay where both boxes and an open table of numbers were found."""

import numpy as np
from numpy.typing import NDArray

from batchdigits.layout.frames import Frames, areas, frames
from batchdigits.layout.groups import Group

BOXED, ROOMY = 0.6, 2.5
"""Share of a word in boxes, of so many times its height at most, if it is written in these."""
RIM = 0.15
"""Share of the place of a word at each side that is not looked at: paper about the word."""
MANY = 6
"""Boxes of so large a group stay, but for one round several rows of an open table."""
DRAWN, WITHIN, HELD = 0.97, 0.9, 0.25
"""How well a box is drawn, which share of it lies in a row of an open table, and which share of
that it fills, at least, if the row is but a box and its label."""
TAKEN = 0.3
"""Share of a box in an open row from which on it is none."""


def choose_groups(found: list[Group], opened: list[Group]) -> list[Group]:
    """Decide between boxes and open tables where both were found.

    A table most of whose numbers are written in boxes is left to these, and so is one that is
    among many boxes, or of which a row is a box. A few boxes that numbers of an open table are in,
    such as one round all of them, are left out.

    Args:
        found: groups of boxes.
        opened: open tables.

    Returns:
        All groups that stay, in no order.
    """
    boxes = frames([cell for group in found for cell in group.cells])
    many = np.array([len(group.cells) >= MANY for group in found for _ in group.cells], bool)
    drawn = np.array([cell.drawn >= DRAWN for group in found for cell in group.cells], bool)
    gone, kept = np.zeros(len(boxes), bool), []
    for group in opened:
        rows = frames(group.cells)
        taken, alone = _find_taken(rows, boxes)
        if (
            not _is_boxed(rows, boxes)
            and taken.sum() <= len(rows)
            and not (alone & many).any()
            and not _holds_box(rows, boxes[drawn])
        ):
            gone |= taken
            kept.append(group)
    at, out = 0, []
    for group in found:
        own = np.flatnonzero(~gone[at : at + len(group.cells)]).tolist()
        at += len(group.cells)
        if len(own) == len(group.cells):
            out.append(group)
        elif own and group.kind == "table":
            places = tuple(group.places[n] for n in own)
            out.append(group._replace(cells=tuple(group.cells[n] for n in own), places=places))
    return out + kept


def _find_taken(rows: Frames, boxes: Frames) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Find the boxes that lie in rows of an open table or round some of them: two masks, (N,).

    The second is of those that are not round several rows.
    """
    middles = (rows[:, None, :2] + rows[:, None, 2:]) / 2
    around = ((middles > boxes[:, :2]) & (middles < boxes[:, 2:])).all(axis=2).sum(axis=0)
    share = _compute_overlaps(boxes, rows).sum(axis=1) / np.maximum(areas(boxes), 1e-6)
    taken = (around > 0) | (share >= TAKEN)
    return taken, taken & (around < 2)


def _is_boxed(rows: Frames, boxes: Frames) -> bool:
    """Return whether most rows of an open table lie in boxes of their own."""
    if not len(boxes):
        return False
    inner = rows + (rows[:, [2, 3, 0, 1]] - rows) * RIM
    middles = (rows[:, None, :2] + rows[:, None, 2:]) / 2
    within = ((middles > boxes[:, :2]) & (middles < boxes[:, 2:])).all(axis=2)
    high, tall = rows[:, 3] - rows[:, 1], boxes[:, 3] - boxes[:, 1]
    own = (within.sum(axis=0) <= 1) & (tall <= ROOMY * high[:, None])
    common = _compute_overlaps(inner, boxes) * own
    return bool(2 * (common.sum(axis=1) >= BOXED * areas(inner)).sum() >= len(rows))


def _holds_box(rows: Frames, boxes: Frames) -> bool:
    """Return whether a box is most of what a row of an open table was taken for."""
    common = _compute_overlaps(rows, boxes)
    return bool(
        ((common >= WITHIN * areas(boxes)) & (areas(boxes) >= HELD * areas(rows)[:, None])).any()
    )


def _compute_overlaps(one: Frames, two: Frames) -> NDArray[np.float64]:
    """Measure what each two frames have in common, px: (N, M)."""
    low = np.maximum(one[:, None, :2], two[None, :, :2])
    high = np.minimum(one[:, None, 2:], two[None, :, 2:])
    return np.asarray(np.clip(high - low, 0, None).prod(axis=2), np.float64)
