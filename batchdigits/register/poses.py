"""A first pose is drawn to printed lines, and measured on those that it was not drawn to."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits.forms.template import Template
from batchdigits.records import Grey
from batchdigits.register import fits, lines
from batchdigits.register.fits import Matrix

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


def settled(grey: Grey, first: First, template: Template, fewest: float = FEWEST) -> Pose | Missed:
    """Draw a first pose to the lines of every other box, and measure it on the others'.

    Args:
        grey: the page.
        first: the pose.
        template: the form's.
        fewest: share of the lines that must be in place.
    """
    every = lines.sides(printed(template))
    few = every.box.max() < 3
    fit = (np.arange(len(every.box)) if few else every.box) % 2 == 0
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
    share = min(_share(left), _share(seen))
    enough = fewest
    if fewest == FEWEST and left.there.any() and np.median(left.darkness[left.there]) < FAINT:
        enough = FEWEST_FAINT
    if share < enough:
        text = f"{left.there.sum()} of {len(left.there)} printed lines are where they should be"
        return Missed(Lost(f"another form: {text}"), share)
    residual = float(np.quantile(np.abs(left.offset[left.there]), 0.95))
    if residual > LIMIT:
        text = f"the page cannot be laid straight: printed lines are {residual:.2f} mm off"
        return Missed(Lost(text), share)
    there = np.zeros(len(every.box), np.bool_)
    there[fit], there[~fit] = seen.there, left.there
    how = f"{first.how}, {int(seen.there.sum())} printed lines"
    return Pose(matrix, residual, how, int(there.sum()), _unseen(template, every, there))


def _share(found: lines.Found) -> float:
    """Say which share of the lines is there, of those that could be seen; half could, at least."""
    return float(found.there.sum() / max((~found.hidden).sum(), len(found.hidden) / 2))


def _unseen(template: Template, every: lines.Sides, there: NDArray[np.bool_]) -> tuple[str, ...]:
    field = np.repeat(
        np.arange(len(template.fields)), [len(one.boxes()) for one in template.fields]
    )
    whole = np.bincount(field[every.box], minlength=len(template.fields))
    seen = np.bincount(field[every.box], there, minlength=len(template.fields))
    return tuple(template.fields[n].name for n in np.flatnonzero(seen < whole / 2))
