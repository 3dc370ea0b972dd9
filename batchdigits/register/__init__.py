"""A page → its pose: the transform from millimetres on paper to pixels in the page.

The template's anchor gives initial poses. Each is refined on the printed lines of every other box.
The lines of the other boxes, which no fit has used, measure its residual. If the residual is over
the limit, or lines are missing, the page is another form and is never read.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from batchdigits.errors import TemplateError
from batchdigits.records import GreyImage
from batchdigits.register import boxes, edges, features, fits, lines, marks
from batchdigits.register.evidence import is_turned_by
from batchdigits.register.features import Reference, build_reference
from batchdigits.register.poses import (
    MAX_RESIDUAL_MM,
    InitialPose,
    Pose,
    RegistrationFailure,
    is_boxless,
    list_boxes,
    refine_pose,
)
from batchdigits.register.reduced import reduce_page
from batchdigits.register.scanned import ScannedPage
from batchdigits.register.selection import (
    AMBIGUITY_MARGIN,
    DUPLICATE_FORM,
    SECOND_COPY_SHARE,
    PoseSearch,
    reject_duplicate_form,
)
from batchdigits.templates.boxes import compute_box_corners
from batchdigits.templates.template import Template

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

MAX_PAGE_SIDE_PX = 16_000
"""Longest side, px; larger pages are reduced first, as OpenCV samples none over 32,767."""
MAX_CHANCE_LINE_SHARE = 0.1
"""Share of the lines that may be found by chance if the scanner dropped their colour."""
MIN_STRAY_BOXES, MIN_STRAY_BOX_MM = 3, 3.0
"""A page without the template's lines is another form if it has so many boxes, of so many mm."""
MAX_MARKER_OFFSET_MM = 1.0
"""Largest distance, mm, of markers from where a pose that was found without them puts them."""


class FormTemplates(NamedTuple):
    """The templates of the forms that pages may be.

    Attributes:
        templates: empty if no page is known to be a form.
        references: form's name → its reference, for forms with anchor = "image".
    """

    templates: Sequence[Template] = ()
    references: Mapping[str, Reference] = {}

    @property
    def only_template(self) -> Template | None:
        """The template of every page, if there is only one."""
        return self.templates[0] if len(self.templates) == 1 else None


def register_page(
    grey: GreyImage, template: Template, reference: Reference | None = None
) -> Pose | RegistrationFailure:
    """Find the pose of a form's paper in a page.

    Args:
        grey: the page, uint8, (height, width), dark ink on light paper, at any turn.
        template: the form's.
        reference: what `build_reference` makes of the blank form's picture; for anchor = "image".

    Returns:
        The pose, or why the page has none.

    Raises:
        TemplateError: anchor = "image" without a reference.
    """
    return _register_page(ScannedPage(grey), template, reference)


def _register_page(
    page: ScannedPage, template: Template, reference: Reference | None
) -> Pose | RegistrationFailure:
    if max(page.grey.shape) > MAX_PAGE_SIDE_PX:
        small = reduce_page(page.grey, MAX_PAGE_SIDE_PX)
        pose = register_page(small.grey, template, reference)
        if isinstance(pose, RegistrationFailure):
            return pose
        wide, high = small.scale
        larger = np.array([[wide, 0, (wide - 1) / 2], [0, high, (high - 1) / 2], [0, 0, 1]])
        return pose._replace(matrix=larger @ pose.matrix)
    if template.form.anchor == "markers":
        return _register_by_markers(page, template)
    if template.form.anchor == "image":
        return _register_by_image(page, template, reference)
    return _register_by_lines(page, PoseSearch(page.grey, template))


def match_form(
    grey: GreyImage,
    templates: Sequence[Template],
    references: Mapping[str, Reference] | None = None,
) -> tuple[Template, Pose] | RegistrationFailure:
    """Find which of several forms a page is, and the pose of its paper.

    Args:
        grey: as in `register_page`.
        templates: of the forms.
        references: form's name → what `build_reference` makes of its reference.

    Returns:
        The form with the most printed lines in place, and its pose; or a failure if no form fits,
        or two fit so alike that the page may be either.

    Raises:
        TemplateError: as `register_page`.
    """
    references, page = references or {}, ScannedPage(grey)
    results = [(one, _register_page(page, one, references.get(one.form.name))) for one in templates]
    posed = [(one, pose) for one, pose in results if isinstance(pose, Pose)]
    if not posed:
        failures = [
            (one.form.name, pose) for one, pose in results if isinstance(pose, RegistrationFailure)
        ]
        if len(failures) == 1:
            return failures[0][1]
        reasons = "; ".join(f"{name}: {pose.why}" for name, pose in failures[:3])
        return RegistrationFailure(f"none of {len(failures)} forms ({reasons})")
    posed.sort(key=lambda one: -one[1].lines)
    if len(posed) > 1 and posed[0][1].lines * (1 - AMBIGUITY_MARGIN) <= posed[1][1].lines:
        first, second = (one.form.name for one, _ in posed[:2])
        return RegistrationFailure(
            f"may be '{first}' or '{second}': give the forms markers with ids of their own"
        )
    return posed[0]


def _register_by_lines(page: ScannedPage, search: PoseSearch) -> Pose | RegistrationFailure:
    """Find the pose by printed boxes; if that fails, by the paper's edges too, as in a photo."""
    template_boxes = list_boxes(search.template)
    search.try_poses(
        [
            InitialPose(matrix, "printed boxes")
            for matrix in boxes.find_box_transforms(page.quads, template_boxes)
        ]
    )
    if not search.good:
        sheets = edges.list_paper_transforms(page.grey, search.template.form.size)
        for sheet in sheets[: len(sheets) - 4 : 4]:  # one turn of each sheet will do
            flat = lines.project_points(np.linalg.inv(sheet), page.quads)
            search.try_poses(
                [
                    InitialPose(sheet @ matrix, "the page's edges and printed boxes")
                    for matrix in boxes.find_box_transforms(flat, template_boxes)
                ]
            )
        search.try_poses([InitialPose(sheet, "the page's edges") for sheet in sheets])
    pose = search.choose_pose()
    return (
        pose
        if isinstance(pose, RegistrationFailure)
        else reject_duplicate_form(page, pose, search.template)
    )


def _register_by_markers(page: ScannedPage, template: Template) -> Pose | RegistrationFailure:
    """Find the pose by markers; by printed boxes, checked on the markers, if fewer than three."""
    detected = marks.detect_markers(page.grey, template.form)
    count = f"{len(detected.quads)} of {len(template.form.effective_markers)} markers"
    if len(detected.duplicates) > 1:
        return RegistrationFailure(
            f"the form is there twice, or more: {len(detected.duplicates)} of its markers are "
            "there again; cut the page"
        )
    failure = RegistrationFailure(
        f"another form, or cut off: {count} are there, expected three or more"
    )
    if not detected.quads:
        return failure
    paper = marks.list_marker_corners(template.form, list(detected.quads))
    picture = np.concatenate(list(detected.quads.values()))
    if len(detected.quads) < 3:  # too few for a fit, but enough to confirm a pose
        box_pose = _register_by_lines(page, PoseSearch(page.grey, template))
        if (
            isinstance(box_pose, RegistrationFailure)
            or fits.measure_distances(box_pose.matrix, paper, picture).max() > MAX_MARKER_OFFSET_MM
        ):
            return failure
        return box_pose._replace(how=f"{count}, {box_pose.how}")
    initial = InitialPose(
        fits.fit_transform(paper, picture), count, fits.ControlPoints(paper, picture)
    )
    pose = refine_pose(page.grey, initial, template)
    if isinstance(pose, Pose):
        return pose
    return (
        pose.failure
        if pose.found_share > MAX_CHANCE_LINE_SHARE
        else _register_by_markers_alone(page, initial, template, pose.failure)
    )


def _register_by_markers_alone(
    page: ScannedPage, initial: InitialPose, template: Template, failure: RegistrationFailure
) -> Pose | RegistrationFailure:
    """Measure a pose by markers alone: each in turn is left out of a fit to the others.

    This serves scanners that drop the colour of the boxes. A page with boxes, but not the
    template's, is another form.

    Args:
        page: the page.
        initial: the pose by markers.
        template: the form's.
        failure: the failure to return for another form.
    """
    px_per_mm = np.sqrt(abs(np.linalg.det(initial.matrix[:2, :2])))
    if initial.held is None:
        return failure
    if not is_boxless(template):
        sides = boxes.measure_short_sides(page.quads)
        if (sides > MIN_STRAY_BOX_MM * px_per_mm).sum() >= MIN_STRAY_BOXES:
            return failure
    paper, picture = initial.held.paper, initial.held.picture
    count = len(paper) // 4
    distances = []
    for n in range(count):
        is_left_out = np.arange(len(paper)) // 4 == n
        if count == 3:  # two markers do not predict the third, so half of its corners are kept
            is_left_out &= np.arange(len(paper)) % 2 == 0
        fit = fits.fit_transform(paper[~is_left_out], picture[~is_left_out])
        distances.append(fits.measure_distances(fit, paper[is_left_out], picture[is_left_out]))
    residual = float(np.quantile(np.concatenate(distances), 0.95))
    if residual > MAX_RESIDUAL_MM:
        return RegistrationFailure(
            f"the page cannot be laid straight: markers are {residual:.2f} mm off"
        )
    return Pose(initial.matrix, residual, f"{initial.how}, no printed line seen")


def _register_by_image(
    page: ScannedPage, template: Template, reference: Reference | None
) -> Pose | RegistrationFailure:
    """Find the pose by features of the reference and by printed boxes, which are weighed together.

    Raises:
        TemplateError: `reference` is None.
    """
    if reference is None:
        raise TemplateError(
            f"form '{template.form.name}' is anchored by its reference, and was given none: "
            "expected the picture of a blank form"
        )
    match = features.match_reference(page.features, reference, template.form.size)
    if is_boxless(template):
        return _register_by_features_alone(match.poses, template)
    search = PoseSearch(page.grey, template, match.turn)
    is_certain = search.try_poses(
        [
            InitialPose(one.matrix, "features of the reference", one.held)
            for one in match.poses
            if match.turn is None or is_turned_by(one.matrix, match.turn)
        ]
    )
    if not is_certain:
        return _register_by_lines(page, search)
    pose = search.choose_pose()
    return (
        pose
        if isinstance(pose, RegistrationFailure)
        else reject_duplicate_form(page, pose, template)
    )


def _register_by_features_alone(
    feature_poses: Sequence[features.FeaturePose], template: Template
) -> Pose | RegistrationFailure:
    """Measure a pose by features alone, for forms without boxes.

    The residual is how far apart two fits, each to half of the features, put the fields' corners.
    """
    if not feature_poses:
        return RegistrationFailure("another form: too little of the reference is found in the page")
    best, *others = feature_poses
    if others and others[0].agree > SECOND_COPY_SHARE * best.agree:
        return DUPLICATE_FORM
    paper, picture, _ = best.held
    one, other = (fits.fit_transform(paper[half::2], picture[half::2]) for half in (0, 1))
    corners = np.concatenate([compute_box_corners(field.box) for field in template.fields])
    residual = float(
        fits.measure_distances(one, corners, lines.project_points(other, corners)).max()
    )
    if residual > MAX_RESIDUAL_MM:
        return RegistrationFailure(
            f"the page cannot be laid straight: by each half of what was found of the reference "
            f"it lies {residual:.2f} mm off"
        )
    return Pose(best.matrix, residual, f"{best.agree} features of the reference")
