"""A page → where the paper lies in it: one transform from millimetres to pixels.

A first pose comes from what the template is anchored by. It is then drawn to the printed lines of
half of the boxes, and measured on those of the other half, which no fit has used: a page whose
residual is over the limit, or whose lines are not there, is another form, and never read.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.forms.template import Template
from batchdigits.records import Grey
from batchdigits.register import lines, marks

LIMIT = 0.5
"""Largest residual of a page that is read, mm."""
REACH = 2.0
"""How far from where a first pose puts them lines are looked for, mm."""
CURVED = 0.1
"""Residual of an affine pose, mm, over which perspective is tried, and must halve it."""
FEWEST = 0.5
"""Share of the boxes' sides that must be found where the form has printed lines at all."""

Matrix = NDArray[np.float64]


class Pose(NamedTuple):
    """Where the paper lies in a page.

    Attributes:
        matrix: (3, 3), mm on paper, 1 → px in the page, up to scale.
        residual: mm, the 95th percentile of how far lines, or marks, that the fit did not use stand
            from where it puts them.
        how: what it was fitted on, in words.
    """

    matrix: Matrix
    residual: float
    how: str


class Lost(NamedTuple):
    """A page without a pose.

    Attributes:
        why: in plain words.
    """

    why: str


def register(grey: Grey, template: Template) -> Pose | Lost:
    """Find where the paper of a form lies in a page.

    Args:
        grey: the page, uint8, (height, width), dark ink on light paper, at any turn.
        template: the form's.
    """
    found = marks.corners(grey, template.form)
    wanted = {marker.id: marker for marker in template.form.marks}
    if len(found) < 3:
        return Lost(f"another form, or cut off: {len(found)} of {len(wanted)} markers are there")
    paper = np.concatenate([_corners(wanted[number].box) for number in found])
    picture = np.concatenate(list(found.values()))
    pose = Pose(fitted(paper, picture), float("nan"), f"{len(found)} of {len(wanted)} markers")
    return settled(grey, pose, template)


def _corners(box: tuple[float, float, float, float]) -> NDArray[np.float64]:
    x, y, wide, high = box
    return np.array([[x, y], [x + wide, y], [x + wide, y + high], [x, y + high]], np.float64)


def fitted(paper: lines.Points, picture: lines.Points) -> Matrix:
    """Fit a pose to N points on paper, mm, and in the page, px: affine, or with perspective.

    A scanner's page is affine, and fitted with perspective its far corners swing; so perspective
    has to show that it is needed.
    """
    lifted = np.column_stack([paper, np.ones(len(paper))])
    solved, *_ = np.linalg.lstsq(lifted, picture, rcond=None)
    affine = np.vstack([solved.T, [0, 0, 1]])
    flat = off(affine, paper, picture)
    if flat <= CURVED or len(paper) < 8:
        return affine
    bent, _ = cv2.findHomography(paper, picture, 0)
    if bent is not None and off(bent, paper, picture) < flat / 2:
        return np.asarray(bent, np.float64)
    return affine


def off(matrix: Matrix, paper: lines.Points, picture: lines.Points) -> float:
    """Say how far points are from where a pose puts them: root of the mean square, mm."""
    back = lines.projected(np.linalg.inv(matrix), picture.astype(np.float64))
    return float(np.sqrt(((back - paper) ** 2).sum(axis=1).mean()))


def settled(grey: Grey, pose: Pose, template: Template) -> Pose | Lost:
    """Draw a first pose to the lines of every other box, and measure it on the others."""
    boxes = np.array([box for field in template.fields for box in field.boxes()])
    fit, test = boxes[::2], boxes[1::2]
    shift, seen = _shifts(grey, pose.matrix, fit)
    if seen.sum() >= max(4, FEWEST * len(fit)):
        middle = fit[seen, :2] + fit[seen, 2:] / 2
        moved = lines.projected(pose.matrix, middle + shift[seen])
        corners = np.concatenate([_corners(tuple(box)) for box in fit[seen]])
        swung = np.repeat(shift[seen], 4, axis=0)
        matrix = fitted(corners, lines.projected(pose.matrix, corners + swung))
        pose = pose._replace(matrix=matrix, how=f"{pose.how}, {len(moved)} boxes")
    left = lines.measured(grey, pose.matrix, lines.sides(test if len(test) else fit), REACH)
    there = ~np.isnan(left.offset)
    if there.mean() < FEWEST:
        return Lost(
            f"another form: {there.sum()} of {len(there)} printed lines are where they should be"
        )
    residual = float(np.quantile(np.abs(left.offset[there]), 0.95))
    if residual > LIMIT:
        return Lost(f"the page cannot be laid straight: lines are {residual:.2f} mm off")
    return pose._replace(residual=residual)


def _shifts(
    grey: Grey, matrix: Matrix, boxes: NDArray[np.float64]
) -> tuple[lines.Points, NDArray[np.bool_]]:
    """Measure how far each box stands from its place, mm (N, 2); which of them were seen (N,)."""
    found = lines.measured(grey, matrix, lines.sides(boxes), REACH)
    left, right, top, bottom = found.offset.reshape(4, -1)
    across = np.nanmean([-left, right], axis=0)
    down = np.nanmean([-top, bottom], axis=0)
    shift = np.column_stack([across, down])
    return shift, ~np.isnan(shift).any(axis=1)


def match(grey: Grey, templates: Sequence[Template]) -> tuple[Template, Pose] | Lost:
    """Find which of several forms a page is, and where the paper lies in it."""
    for template in templates:
        found = register(grey, template)
        if isinstance(found, Pose):
            return template, found
    return found
