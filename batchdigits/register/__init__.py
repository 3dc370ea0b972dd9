"""A page → where the paper lies in it: one transform from millimetres to pixels.

First poses come from what the template is anchored by. Each is drawn to the printed lines of every
other box, and measured on those of the others, which no fit has used: a page whose residual is over
the limit, or whose lines are not there, is another form, and never read.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from batchdigits.errors import TemplateError
from batchdigits.records import GreyImage
from batchdigits.register import boxes, edges, features, fits, lines, marks
from batchdigits.register.features import Reference, build_reference
from batchdigits.register.poses import (
    MAX_RESIDUAL_MM,
    MIN_LINE_SHARE,
    InitialPose,
    Pose,
    RegistrationFailure,
    RejectedPose,
    is_boxless,
    list_boxes,
    refine_pose,
)
from batchdigits.register.reduced import reduce_page
from batchdigits.templates.template import Template
from batchdigits.templates.template import compute_box_corners as of_box

__all__ = [
    "MAX_RESIDUAL_MM",
    "FormTemplates",
    "Pose",
    "Reference",
    "RegistrationFailure",
    "build_reference",
    "match_form",
    "register_page",
]


class FormTemplates(NamedTuple):
    """The forms that pages may be of.

    Attributes:
        templates: none where no page is known to be a form.
        references: a form's name → its reference, of the forms that are anchored by one.
    """

    templates: Sequence[Template] = ()
    references: Mapping[str, Reference] = {}

    @property
    def only_template(self) -> Template | None:
        """Give the one form that every page is known to be, where there is one."""
        return self.templates[0] if len(self.templates) == 1 else None


MIN_LINE_SHARE_ALONE = 0.85
"""The same, where nothing but the lines themselves tells where the paper lies."""
CERTAIN_LINE_SHARE = 0.97
"""Share of lines in place from which on no other place is tried."""
MAX_CHANCE_LINE_SHARE = 0.1
"""Share of the lines that may be found by chance where the scanner dropped them all."""
MIN_STRAY_BOXES, MIN_STRAY_BOX_MM = 3, 3.0
"""From so many boxes, of so many mm, a page with none of the template's lines is another form."""
AMBIGUITY_MARGIN = 0.05
"""Two ways a page may lie, or two forms it may be, are alike when neither has so much more, as a
share, of lines in place."""
AMBIGUOUS_POSE = RegistrationFailure(
    "lies in two ways that fit as well: the form is there twice, or looks the same at another "
    "turn; cut the page, or give the form markers"
)
SECOND_COPY_SHARE = 0.5
"""Share of the template's boxes that are left over where there is a second copy, at least."""
MAX_MARKER_OFFSET_MM = 1.0
"""How far markers may be, mm, from where a pose puts them that was found without them."""
MAX_PAGE_SIDE_PX = 16_000
"""Longer pages, px, are made smaller first: OpenCV samples none over 32,767."""


def register_page(
    grey: GreyImage, template: Template, reference: Reference | None = None
) -> Pose | RegistrationFailure:
    """Find where the paper of a form lies in a page.

    Args:
        grey: the page, uint8, (height, width), dark ink on light paper, at any turn.
        template: the form's.
        reference: what `build_reference` makes of the blank form's picture; for anchor = "image".

    Raises:
        TemplateError: anchor = "image" without a reference.
    """
    if max(grey.shape) > MAX_PAGE_SIDE_PX:
        small = reduce_page(grey, MAX_PAGE_SIDE_PX)
        pose = register_page(small.grey, template, reference)
        if isinstance(pose, RegistrationFailure):
            return pose
        wide, high = small.scale
        larger = np.array([[wide, 0, (wide - 1) / 2], [0, high, (high - 1) / 2], [0, 0, 1]])
        return pose._replace(matrix=larger @ pose.matrix)
    if template.form.anchor == "markers":
        return _register_by_markers(grey, template)
    if template.form.anchor == "image":
        return _register_by_image(grey, template, reference)
    return _register_by_lines(grey, template)


def match_form(
    grey: GreyImage,
    templates: Sequence[Template],
    references: Mapping[str, Reference] | None = None,
) -> tuple[Template, Pose] | RegistrationFailure:
    """Find which of several forms a page is, and where it lies in it.

    Args:
        grey: as in `register_page`.
        templates: of the forms.
        references: form's name → what `build_reference` makes of its reference.

    Returns:
        The form with the most printed lines in place; lost where none is this page's, or where two
        are so alike that either may be.

    Raises:
        TemplateError: as `register_page`.
    """
    known = references or {}
    every = [(one, register_page(grey, one, known.get(one.form.name))) for one in templates]
    posed = [(one, pose) for one, pose in every if isinstance(pose, Pose)]
    if not posed:
        lost = [
            (one.form.name, pose) for one, pose in every if isinstance(pose, RegistrationFailure)
        ]
        if len(lost) == 1:
            return lost[0][1]
        why = "; ".join(f"{name}: {pose.why}" for name, pose in lost[:3])
        return RegistrationFailure(f"none of {len(lost)} forms ({why})")
    posed.sort(key=lambda one: -one[1].lines)
    if len(posed) > 1 and posed[0][1].lines * (1 - AMBIGUITY_MARGIN) <= posed[1][1].lines:
        first, second = (one.form.name for one, _ in posed[:2])
        return RegistrationFailure(
            f"may be '{first}' or '{second}': give the forms markers with ids of their own"
        )
    return posed[0]


def _register_by_markers(grey: GreyImage, template: Template) -> Pose | RegistrationFailure:
    found = marks.detect_markers(grey, template.form)
    count = f"{len(found.quads)} of {len(template.form.effective_markers)} markers"
    if len(found.twice) > 1:
        return RegistrationFailure(
            f"the form is there twice, or more: {len(found.twice)} of its markers are there again; "
            "cut the page"
        )
    lost = RegistrationFailure(
        f"another form, or cut off: {count} are there, expected three or more"
    )
    if not found.quads:
        return lost
    paper = marks.list_marker_corners(template.form, list(found.quads))
    picture = np.concatenate(list(found.quads.values()))
    if len(found.quads) < 3:  # too few to lay the page by, but enough to prove where it lies
        alone = _register_by_lines(grey, template)
        if (
            isinstance(alone, RegistrationFailure)
            or fits.measure_distances(alone.matrix, paper, picture).max() > MAX_MARKER_OFFSET_MM
        ):
            return lost
        return alone._replace(how=f"{count}, {alone.how}")
    first = InitialPose(
        fits.fit_transform(paper, picture), count, fits.ControlPoints(paper, picture)
    )
    pose = refine_pose(grey, first, template)
    if isinstance(pose, Pose):
        return pose
    return (
        pose.lost
        if pose.seen > MAX_CHANCE_LINE_SHARE
        else _register_by_markers_alone(grey, first, template, pose.lost)
    )


def _register_by_markers_alone(
    grey: GreyImage, first: InitialPose, template: Template, lost: RegistrationFailure
) -> Pose | RegistrationFailure:
    """Measure a pose by markers alone, each left out of a fit to the others in turn.

    Scanners that drop a colour leave none of the boxes; but where there are other boxes than the
    template's, it is another form.
    """
    fine = np.sqrt(abs(np.linalg.det(first.matrix[:2, :2])))
    if first.held is None:
        return lost
    if (
        not is_boxless(template)
        and (boxes.measure_short_sides(boxes.detect_boxes(grey)) > MIN_STRAY_BOX_MM * fine).sum()
        >= MIN_STRAY_BOXES
    ):
        return lost
    paper, picture = first.held.paper, first.held.picture
    count = len(paper) // 4
    left = []
    for n in range(count):
        out = np.arange(len(paper)) // 4 == n
        if count == 3:  # two markers tell nothing of the third; half of its corners do
            out &= np.arange(len(paper)) % 2 == 0
        fit = fits.fit_transform(paper[~out], picture[~out])
        left.append(fits.measure_distances(fit, paper[out], picture[out]))
    residual = float(np.quantile(np.concatenate(left), 0.95))
    if residual > MAX_RESIDUAL_MM:
        return RegistrationFailure(
            f"the page cannot be laid straight: markers are {residual:.2f} mm off"
        )
    return Pose(first.matrix, residual, f"{first.how}, no printed line seen")


def _register_by_image(
    grey: GreyImage, template: Template, reference: Reference | None
) -> Pose | RegistrationFailure:
    if reference is None:
        raise TemplateError(
            f"form '{template.form.name}' is anchored by its reference, and was given none: "
            "expected the picture of a blank form"
        )
    found = features.find_feature_poses(grey, reference, template.form.size)
    if is_boxless(template):
        return _register_by_features_alone(found, template)
    first = [InitialPose(way.matrix, "features of the reference", way.held) for way in found]
    pose = _select_best_pose(grey, first, template)
    if not isinstance(pose, Pose):
        return _register_by_lines(grey, template) if pose is not AMBIGUOUS_POSE else pose
    return _reject_duplicate_form(grey, pose, template, boxes.detect_boxes(grey))


def _register_by_features_alone(
    found: Sequence[features.FeaturePose], template: Template
) -> Pose | RegistrationFailure:
    """Measure a pose by features alone: how far apart each half of them puts the fields' corners.

    For forms without boxes, whose numbers stand on lines, or on nothing.
    """
    if not found:
        return RegistrationFailure("another form: too little of the reference is found in the page")
    if len(found) > 1 and found[1].agree > SECOND_COPY_SHARE * found[0].agree:
        return AMBIGUOUS_POSE
    paper, picture, _ = found[0].held
    one, other = (fits.fit_transform(paper[half::2], picture[half::2]) for half in (0, 1))
    corners = np.concatenate([of_box(field.box) for field in template.fields])
    residual = float(
        fits.measure_distances(one, corners, lines.project_points(other, corners)).max()
    )
    if residual > MAX_RESIDUAL_MM:
        return RegistrationFailure(
            f"the page cannot be laid straight: by each half of what was found of the reference "
            f"it lies {residual:.2f} mm off"
        )
    return Pose(found[0].matrix, residual, f"{found[0].agree} features of the reference")


def _register_by_lines(grey: GreyImage, template: Template) -> Pose | RegistrationFailure:
    """Lay the template's boxes on the page's; in a photograph, once its edges are laid straight."""
    every, seen = list_boxes(template), boxes.detect_boxes(grey)
    found = [InitialPose(way, "printed boxes") for way in boxes.find_box_transforms(seen, every)]
    pose = _select_best_pose(grey, found, template, alone=True)
    if isinstance(pose, RegistrationFailure) and pose is not AMBIGUOUS_POSE:
        sheets = edges.list_paper_transforms(grey, template.form.size)
        for sheet in sheets[: len(sheets) - 4 : 4]:  # one turn of each sheet will do
            flat = lines.project_points(np.linalg.inv(sheet), seen)
            found += [
                InitialPose(sheet @ way, "the page's edges and printed boxes")
                for way in boxes.find_box_transforms(flat, every)
            ]
        found += [InitialPose(sheet, "the page's edges") for sheet in sheets]
        pose = _select_best_pose(grey, found, template, alone=True)
    return (
        pose
        if isinstance(pose, RegistrationFailure)
        else _reject_duplicate_form(grey, pose, template, seen)
    )


def _reject_duplicate_form(
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


def _select_best_pose(
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
        turned = [pose.matrix @ turn for turn in boxes.list_symmetry_turns(every)] if alone else []
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
    for across, down in boxes.list_symmetry_shifts(every):
        matrix = pose.matrix @ np.array([[1, 0, across], [0, 1, down], [0, 0, 1]])
        other = refine_pose(grey, InitialPose(matrix, how), template, fewest)
        if isinstance(other, Pose) and other.lines > best.lines:
            best = other
    return best
