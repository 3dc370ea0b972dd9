"""Several initial poses → the pose that fits best, if it is the only one that fits."""

from collections.abc import Sequence

import numpy as np

from batchdigits.records import GreyImage
from batchdigits.register import boxes, evidence, lines, symmetry
from batchdigits.register.fits import Matrix
from batchdigits.register.poses import (
    InitialPose,
    Pose,
    RegistrationFailure,
    RejectedPose,
    has_few_lines,
    list_boxes,
    refine_pose,
)
from batchdigits.register.scanned import ScannedPage
from batchdigits.templates.template import Template

CERTAIN_LINE_SHARE, CERTAIN_PRINT_LINE_SHARE = 0.97, 0.9
"""Share of lines in place from which no other pose is tried; and of a pose that print shared with
the reference holds too, if the form has more than a few lines."""
AMBIGUITY_MARGIN = 0.05
"""Two poses of a page, or two forms that it may be, are alike if the share of lines in place by
which the better one leads is at most this."""
AMBIGUOUS_POSE = RegistrationFailure(
    "lies in two ways that fit as well, and nothing else in the page tells which: the form looks "
    "the same at another turn or place; give the form markers, or a reference"
)
DUPLICATE_FORM = RegistrationFailure(
    "lies in two ways that fit as well: the form is there twice; cut the page"
)
OTHER_PROPORTIONS = RegistrationFailure(
    "another form: its boxes have other proportions, or quite another size"
)
TURNED_PRINT = RegistrationFailure(
    "another form: its boxes lie as this form's do, but its print is turned another way"
)
NEXT_SHIFTS = 2
"""Shifts by which a row of boxes looks the most alike: by a box, either way."""
MIN_HALF_SEEN_SHARE = 0.4
"""Share of lines in place from which the page may be this form, covered in part."""
SECOND_COPY_SHARE = 0.5
"""Least share of the template's boxes, or of the first copy's features, that a second copy has."""


def reject_duplicate_form(
    page: ScannedPage, pose: Pose, template: Template
) -> Pose | RegistrationFailure:
    """Return the pose, or a failure if the boxes that it leaves unmatched are a second copy.

    Args:
        page: the page.
        pose: of the form.
        template: the form's.
    """
    template_boxes = list_boxes(template)
    left = boxes.find_unmatched_boxes(page.quads, pose.matrix, template_boxes)
    if len(left) < SECOND_COPY_SHARE * len(template_boxes):
        return pose
    copies = [InitialPose(matrix, "") for matrix in boxes.find_box_transforms(left, template_boxes)]
    for initial in copies:
        other = refine_pose(page.grey, initial, template, alone=has_few_lines(template))
        if isinstance(other, Pose) and boxes.is_distinct_transform(
            other.matrix, pose.matrix, template_boxes
        ):
            return DUPLICATE_FORM
    return pose


class PoseSearch:
    """The poses of a page that fit, and why others do not.

    Attributes:
        grey: the page.
        template: the form's.
        print_turn: the angle, degrees, by which the reference's print is turned in the page; None
            if that is not known.
        good: distinct poses that fit.
        failure: of the pose that does not fit and saw the most lines.
    """

    def __init__(
        self, grey: GreyImage, template: Template, print_turn: float | None = None
    ) -> None:
        """Begin without poses."""
        self.grey, self.template, self.print_turn = grey, template, print_turn
        self.good: list[Pose] = []
        self.failure = RegistrationFailure(
            "another form: nothing in the page lies as this form's boxes do"
        )
        self._boxes = list_boxes(template)
        self._count = len(lines.list_side_pieces(self._boxes).box)
        self._has_few_lines = has_few_lines(template)
        self._most_seen = -1.0

    def try_poses(self, initial_poses: Sequence[InitialPose]) -> bool:
        """Refine initial poses, and keep those that fit; return whether one of them is certain.

        Poses that no features hold need more lines in place, and are tried at all turns at which
        the form's boxes look the same.
        """
        for initial in initial_poses:
            has_print = initial.held is not None and self.print_turn is not None
            is_alone = initial.held is None or (self._has_few_lines and not initial.is_firm)
            pose = refine_pose(self.grey, initial, self.template, alone=is_alone)
            if isinstance(pose, RejectedPose):
                if pose.found_share > self._most_seen:
                    self.failure, self._most_seen = self._describe(pose), pose.found_share
                continue
            is_weak = is_alone and self._has_few_lines
            if is_weak and not evidence.is_plausible(self.grey, pose, self.template):
                self.failure, self._most_seen = OTHER_PROPORTIONS, 1.0
                continue
            pose = self._try_shifted_poses(pose, initial.how, alone=is_alone)
            self._keep_distinct_pose(pose)
            for change in self._list_like_changes(initial, alone=is_alone):
                other = refine_pose(
                    self.grey,
                    InitialPose(pose.matrix @ change, initial.how),
                    self.template,
                    alone=is_alone,
                )
                if isinstance(other, Pose):
                    self._keep_distinct_pose(other)
            is_sure = has_print and not self._has_few_lines
            share = CERTAIN_PRINT_LINE_SHARE if is_sure else CERTAIN_LINE_SHARE
            if pose.lines >= share * self._count:
                return True
        return False

    def choose_pose(self) -> Pose | RegistrationFailure:
        """Return the pose with the most lines in place, or that the rest of the page speaks for.

        Returns:
            The pose; `AMBIGUOUS_POSE` if several fit as well and nothing tells which; or why no
            pose fits.
        """
        if not self.good:
            return self.failure
        order = sorted(self.good, key=lambda one: -one.lines)
        least = order[0].lines * (1 - AMBIGUITY_MARGIN)
        alike = [one for one in order if one.lines >= least]
        if len(alike) == 1:
            is_turned = self.print_turn is None or evidence.is_turned_by(
                alike[0].matrix, self.print_turn
            )
            return alike[0] if is_turned else TURNED_PRINT
        chosen = evidence.choose_pose(self.grey, alike, self.template, self.print_turn)
        if chosen is None:
            return DUPLICATE_FORM if self._are_apart(alike[0], alike[1]) else AMBIGUOUS_POSE
        return chosen

    def _describe(self, pose: RejectedPose) -> RegistrationFailure:
        """Say why a pose does not fit: lines may be missing because something covers them."""
        if pose.seen and self.print_turn is not None:
            return RegistrationFailure(
                f"partly covered or cut off: the print is this form's, but only {pose.seen}"
            )
        if pose.seen and pose.found_share >= MIN_HALF_SEEN_SHARE:
            return RegistrationFailure(f"another form, or this one partly covered: {pose.seen}")
        return pose.failure

    def _list_like_changes(self, initial: InitialPose, *, alone: bool) -> list[Matrix]:
        """List the changes, mm → mm, of a pose after which the form's boxes look the same.

        The turns, if nothing but boxes gave the pose; and the shifts by a box, if a few lines are
        all that speaks for it: of a longer row the form's boxes are any.
        """
        turns = symmetry.list_symmetry_turns(self._boxes) if initial.held is None else []
        if not (alone and self._has_few_lines):
            return turns
        shifts = symmetry.list_symmetry_shifts(self._boxes)[:NEXT_SHIFTS]
        return turns + [symmetry.build_shift(*shift) for shift in shifts]

    def _keep_distinct_pose(self, pose: Pose) -> None:
        """Keep a pose; of several in one place the one with the most lines."""
        for n, other in enumerate(self.good):
            if not boxes.is_distinct_transform(pose.matrix, other.matrix, self._boxes):
                self.good[n] = max(other, pose, key=lambda one: one.lines)
                return
        self.good.append(pose)

    def _are_apart(self, one: Pose, other: Pose) -> bool:
        """Return whether two poses put the boxes in places that do not overlap, as two copies."""
        ends = np.concatenate([self._boxes[:, :2], self._boxes[:, :2] + self._boxes[:, 2:]])
        first, second = (lines.project_points(pose.matrix, ends) for pose in (one, other))
        low = np.maximum(first.min(axis=0), second.min(axis=0))
        return bool((low > np.minimum(first.max(axis=0), second.max(axis=0))).any())

    def _try_shifted_poses(self, pose: Pose, how: str, *, alone: bool) -> Pose:
        """Return the best of a pose and its shifts by a box: rows of boxes look alike then."""
        if pose.lines >= CERTAIN_LINE_SHARE * self._count:
            return pose
        best = pose
        for across, down in symmetry.list_symmetry_shifts(self._boxes):
            shifted = InitialPose(pose.matrix @ symmetry.build_shift(across, down), how)
            other = refine_pose(self.grey, shifted, self.template, alone=alone)
            if isinstance(other, Pose) and other.lines > best.lines:
                best = other
        return best
