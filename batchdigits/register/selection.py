"""Several initial poses → the pose that fits best, if it is the only one that fits."""

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
"""Like `MIN_LINE_SHARE`, where only the lines themselves show where the paper lies."""
CERTAIN_LINE_SHARE = 0.97
"""Share of lines in place from which no other pose is tried."""
AMBIGUITY_MARGIN = 0.05
"""Two poses of a page, or two forms that it may be, are alike if the share of lines in place by
which the better one leads is at most this."""
AMBIGUOUS_POSE = RegistrationFailure(
    "lies in two ways that fit as well: the form is there twice, or looks the same at another "
    "turn; cut the page, or give the form markers"
)
SECOND_COPY_SHARE = 0.5
"""Least share of the template's boxes, or of the first copy's features, that a second copy has."""


def reject_duplicate_form(
    grey: GreyImage, pose: Pose, template: Template, page_boxes: boxes.Quads
) -> Pose | RegistrationFailure:
    """Return the pose, or a failure if the boxes that it leaves unmatched are a second copy.

    Args:
        grey: the page.
        pose: of the form.
        template: the form's.
        page_boxes: the page's boxes.
    """
    template_boxes = list_boxes(template)
    left = boxes.find_unmatched_boxes(page_boxes, pose.matrix, template_boxes)
    if len(left) < SECOND_COPY_SHARE * len(template_boxes):
        return pose
    copies = [InitialPose(matrix, "") for matrix in boxes.find_box_transforms(left, template_boxes)]
    for initial in copies:
        other = refine_pose(grey, initial, template)
        if isinstance(other, Pose) and boxes.is_distinct_transform(
            other.matrix, pose.matrix, template_boxes
        ):
            return AMBIGUOUS_POSE
    return pose


def select_best_pose(
    grey: GreyImage,
    initial_poses: Sequence[InitialPose],
    template: Template,
    *,
    lines_only: bool = False,
) -> Pose | RegistrationFailure:
    """Refine initial poses, and return the one with the most lines in place.

    Args:
        grey: the page.
        initial_poses: initial poses.
        template: the form's.
        lines_only: whether lines alone show where the paper lies, and which way up.

    Returns:
        The pose; `AMBIGUOUS_POSE` if another fits as well; or the failure of the pose that saw
        the most lines.
    """
    template_boxes = list_boxes(template)
    good: list[Pose] = []
    failure = RegistrationFailure("another form: nothing in the page lies as this form's boxes do")
    best_share = -1.0
    min_share = MIN_LINE_SHARE_ALONE if lines_only else MIN_LINE_SHARE
    for initial in initial_poses:
        pose = refine_pose(grey, initial, template, min_share)
        if isinstance(pose, RejectedPose):
            if pose.found_share > best_share:
                failure, best_share = pose.failure, pose.found_share
            continue
        pose = _try_shifted_poses(grey, pose, initial.how, template, min_share)
        turned = (
            [pose.matrix @ turn for turn in symmetry.list_symmetry_turns(template_boxes)]
            if lines_only
            else []
        )
        others = (
            refine_pose(grey, InitialPose(one, initial.how), template, min_share) for one in turned
        )
        for one in (pose, *others):
            if isinstance(one, Pose) and all(
                boxes.is_distinct_transform(one.matrix, other.matrix, template_boxes)
                for other in good
            ):
                good.append(one)
        if pose.lines >= CERTAIN_LINE_SHARE * len(lines.list_side_pieces(template_boxes).box):
            break
    good.sort(key=lambda one: -one.lines)
    if len(good) > 1 and good[0].lines * (1 - AMBIGUITY_MARGIN) <= good[1].lines:
        return AMBIGUOUS_POSE
    return good[0] if good else failure


def _try_shifted_poses(
    grey: GreyImage, pose: Pose, how: str, template: Template, min_share: float
) -> Pose:
    """Return the best of a pose and its shifts by a box: rows of boxes look alike when shifted."""
    template_boxes = list_boxes(template)
    if pose.lines >= CERTAIN_LINE_SHARE * len(lines.list_side_pieces(template_boxes).box):
        return pose
    best = pose
    for across, down in symmetry.list_symmetry_shifts(template_boxes):
        matrix = pose.matrix @ np.array([[1, 0, across], [0, 1, down], [0, 0, 1]])
        other = refine_pose(grey, InitialPose(matrix, how), template, min_share)
        if isinstance(other, Pose) and other.lines > best.lines:
            best = other
    return best
