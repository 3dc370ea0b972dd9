"""A first pose is drawn to printed lines, and measured on those that it was not drawn to."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits.records import Grey
from batchdigits.register import fits, lines
from batchdigits.register.fits import Matrix
from batchdigits.templates.template import Template

LIMIT = 0.5
"""Largest residual of a page that is read, mm."""
REACHES = (2.0, 2.0, 1.2)
"""How far from where the pose puts them lines are looked for, mm, step by step."""
TESTED = 1.5
"""The same, of the lines that no fit used, mm."""
FEWEST = 0.7
"""Share of the printed lines that must be where they should."""
FAINT = 0.15
"""Lines less dark than this, 0 to 1, are dropping out; of them fewer need be there."""
FEWEST_FAINT = 0.3


class Pose(NamedTuple):
    """Where the paper lies in a page.

    Attributes:
        matrix: (3, 3), mm on paper, 1 → px in the page, up to scale.
        residual: mm, the 95th percentile of how far lines, or marks, that the fit did not use stand
            from where it puts them.
        how: what it was fitted on, in words.
        lines: how many pieces of printed lines are where it puts them.
        unseen: fields of whose lines most are not there: torn off, covered, or another form's.
    """

    matrix: Matrix
    residual: float
    how: str
    lines: int = 0
    unseen: tuple[str, ...] = ()


class Lost(NamedTuple):
    """A page without a pose.

    Attributes:
        why: in plain words.
    """

    why: str


class First(NamedTuple):
    """A first pose: mm → px, what it goes by, and the points that hold it, if any."""

    matrix: Matrix
    how: str
    held: fits.Held | None = None


class Missed(NamedTuple):
    """A first pose that led nowhere: why, and the share of the lines that were seen."""

    lost: Lost
    seen: float


def printed(template: Template) -> NDArray[np.float64]:
    """Give the boxes of all cells: (N, 4), x, y, width, height, mm."""
    return np.array([box for field in template.fields for box in field.boxes()])


def free(template: Template) -> bool:
    """Tell whether a form has no boxes, but numbers written freely alone."""
    return all(field.cells is None for field in template.fields)


def settled(grey: Grey, first: First, template: Template, fewest: float = FEWEST) -> Pose | Missed:
    """Draw a first pose to the lines of every other box, and measure it on the others'.

    Args:
        grey: the page.
        first: the pose.
        template: the form's.
        fewest: share of the lines that must be in place.
    """
    every = lines.sides(printed(template))
    sure = _sure(template, every)
    fit = _fitted(every, sure)
    matrix = first.matrix
    for reach in REACHES:
        pieces = every.some(fit)
        seen = lines.measured(grey, matrix, pieces, reach)
        if seen.there.sum() >= 4:
            used = seen.there
            matrix = fits.corrected(
                matrix, pieces.middle[used], pieces.normal[used], seen.offset[used], first.held
            )
    left = lines.measured(grey, matrix, every.some(~fit), TESTED)
    seen = lines.measured(grey, matrix, every.some(fit), TESTED)
    share = max(
        min(_share(left, some[~fit]), _share(seen, some[fit])) for some in (sure, sure | True)
    )
    enough = fewest
    if fewest == FEWEST and left.there.any() and np.median(left.darkness[left.there]) < FAINT:
        enough = FEWEST_FAINT
    if share < enough or not left.there.any():
        text = f"{left.there.sum()} of {len(left.there)} printed lines are where they should be"
        return Missed(Lost(f"another form: {text}"), share)
    residual = float(np.quantile(np.abs(left.offset[left.there]), 0.95))
    if residual > LIMIT:
        text = f"the page cannot be laid straight: printed lines are {residual:.2f} mm off"
        return Missed(Lost(text), share)
    there = np.zeros(len(every.box), np.bool_)
    there[fit], there[~fit] = seen.there, left.there
    how = f"{first.how}, {int(seen.there.sum())} printed lines"
    return Pose(matrix, residual, how, int(there.sum()), _unseen(template, every, sure, there))


def _sure(template: Template, every: lines.Sides) -> NDArray[np.bool_]:
    """Tell which pieces of sides must be there where the form is.

    Not what parts adjoining boxes: many combs have a tick there, or nothing. Nor what frames a
    number written freely, where there are boxes: it may stand on a line, or on nothing.
    """
    fields = _field_of(template, every)
    box = np.array([one.box for one in template.fields])[fields]
    middle = every.middle[:, 0] - box[:, 0]
    inside = (middle > lines.SAME) & (middle < box[:, 2] - lines.SAME)
    comb = np.array([one.gap == 0 for one in template.fields])[fields]
    between = comb & inside & (every.normal[:, 0] != 0)
    boxed = np.array([one.cells is not None for one in template.fields])
    return np.asarray(~between & (boxed[fields] | free(template)))


def _fitted(every: lines.Sides, sure: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Choose the pieces that a pose is drawn to: those of every other box."""
    boxes = np.unique(every.box[sure])
    if len(boxes) > 3:
        other = np.searchsorted(boxes, every.box) % 2 == 1
        return np.asarray(~(other & np.isin(every.box, boxes)))
    fit = ~sure
    fit[np.flatnonzero(sure)[::2]] = True
    return fit


def _field_of(template: Template, every: lines.Sides) -> NDArray[np.int64]:
    """Give the field of each piece of a side, by its number: (N,)."""
    cells = [len(one.boxes()) for one in template.fields]
    return np.repeat(np.arange(len(cells)), cells)[every.box]


def _share(found: lines.Found, sure: NDArray[np.bool_]) -> float:
    """Say which share of the lines is there, of those that could be seen; half could, at least."""
    hidden = found.hidden[sure]
    return float(found.there[sure].sum() / max((~hidden).sum(), len(hidden) / 2, 1))


def _unseen(
    template: Template, every: lines.Sides, sure: NDArray[np.bool_], there: NDArray[np.bool_]
) -> tuple[str, ...]:
    field = _field_of(template, every)
    whole = np.bincount(field[sure], minlength=len(template.fields))
    seen = np.bincount(field[sure], there[sure], minlength=len(template.fields))
    return tuple(template.fields[n].name for n in np.flatnonzero(seen < whole / 2))
