"""Several first poses → the one that fits best, if only one does."""

from collections.abc import Sequence

import numpy as np

from batchdigits.records import GreyImage
from batchdigits.register import boxes, lines, symmetry
from batchdigits.register.poses import (
    MIN_LINE_SHARE,
    InitialPose,
    Pose,
    RegistrationFailure,
    RejectedPose,
    list_boxes,
    refine_pose,
)
from batchdigits.templates.template import Template

MIN_LINE_SHARE_ALONE = 0.85
"""The same, where nothing but the lines themselves tells where the paper lies."""
CERTAIN_LINE_SHARE = 0.97
"""Share of lines in place from which on no other place is tried."""
AMBIGUITY_MARGIN = 0.05
"""Two ways a page may lie, or two forms it may be, are alike when neither has so much more, as a
share, of lines in place."""
AMBIGUOUS_POSE = RegistrationFailure(
    "lies in two ways that fit as well: the form is there twice, or looks the same at another "
    "turn; cut the page, or give the form markers"
)
SECOND_COPY_SHARE = 0.5
"""Share of the template's boxes that are left over where there is a second copy, at least."""


def reject_duplicate_form(
    grey: GreyImage, pose: Pose, template: Template, seen: boxes.Quads
) -> Pose | RegistrationFailure:
    """Look for a second copy of the form among the boxes that a pose leaves over."""
    every = list_boxes(template)
    left = boxes.find_unmatched_boxes(seen, pose.matrix, every)
    if len(left) < SECOND_COPY_SHARE * len(every):
        return pose
    again = [InitialPose(way, "") for way in boxes.find_box_transforms(left, every)]
    for first in again:
        other = refine_pose(grey, first, template)
        if isinstance(other, Pose) and boxes.is_distinct_transform(
            other.matrix, pose.matrix, every
        ):
            return AMBIGUOUS_POSE
    return pose


def select_best_pose(
    grey: GreyImage, firsts: Sequence[InitialPose], template: Template, *, alone: bool = False
) -> Pose | RegistrationFailure:
    """Settle poses, and choose the one with the most lines in place, if there is one.

    Args:
        grey: the page.
        firsts: first poses.
        template: the form's.
        alone: whether lines alone tell where the paper lies, and which way up.
    """
    every = list_boxes(template)
    good: list[Pose] = []
    lost = RegistrationFailure("another form: nothing in the page lies as this form's boxes do")
    most = -1.0
    fewest = MIN_LINE_SHARE_ALONE if alone else MIN_LINE_SHARE
    for first in firsts:
        pose = refine_pose(grey, first, template, fewest)
        if isinstance(pose, RejectedPose):
            if pose.seen > most:
                lost, most = pose.lost, pose.seen
            continue
        pose = _try_shifted_poses(grey, pose, first.how, template, fewest)
        turned = (
            [pose.matrix @ turn for turn in symmetry.list_symmetry_turns(every)] if alone else []
        )
        others = (
            refine_pose(grey, InitialPose(one, first.how), template, fewest) for one in turned
        )
        for one in (pose, *others):
            if isinstance(one, Pose) and all(
                boxes.is_distinct_transform(one.matrix, other.matrix, every) for other in good
            ):
                good.append(one)
        if pose.lines >= CERTAIN_LINE_SHARE * len(lines.list_side_pieces(every).box):
            break
    good.sort(key=lambda one: -one.lines)
    if len(good) > 1 and good[0].lines * (1 - AMBIGUITY_MARGIN) <= good[1].lines:
        return AMBIGUOUS_POSE
    return good[0] if good else lost


def _try_shifted_poses(
    grey: GreyImage, pose: Pose, how: str, template: Template, fewest: float
) -> Pose:
    """Try whether the page fits better a box further: rows of boxes look alike from box to box."""
    every = list_boxes(template)
    if pose.lines >= CERTAIN_LINE_SHARE * len(lines.list_side_pieces(every).box):
        return pose
    best = pose
    for across, down in symmetry.list_symmetry_shifts(every):
        matrix = pose.matrix @ np.array([[1, 0, across], [0, 1, down], [0, 0, 1]])
        other = refine_pose(grey, InitialPose(matrix, how), template, fewest)
        if isinstance(other, Pose) and other.lines > best.lines:
            best = other
    return best
