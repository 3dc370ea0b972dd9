"""The pose of a page by the features that it shares with the form's reference, and by its lines."""

from collections.abc import Sequence

import numpy as np

from batchdigits.errors import TemplateError
from batchdigits.register import features, fits, lines
from batchdigits.register.by_lines import register_by_lines
from batchdigits.register.evidence import is_turned_by
from batchdigits.register.features import Reference
from batchdigits.register.poses import (
    MAX_RESIDUAL_MM,
    InitialPose,
    Pose,
    RegistrationFailure,
    has_few_lines,
    is_boxless,
)
from batchdigits.register.scanned import ScannedPage
from batchdigits.register.selection import (
    DUPLICATE_FORM,
    SECOND_COPY_SHARE,
    PoseSearch,
    reject_duplicate_form,
)
from batchdigits.templates.boxes import compute_box_corners
from batchdigits.templates.template import Template

MIN_PRINT_FEATURES = 800
"""A reference with so many features has print; a row of boxes alone has fewer."""
OTHER_PRINT = RegistrationFailure("another form: its print is not that of the reference")


def register_by_image(
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
            InitialPose(one.matrix, "features of the reference", one.held, one.is_firm)
            for one in match.poses
            if match.turn is None or is_turned_by(one.matrix, match.turn)
        ]
    )
    has_other_print = match.turn is None and len(reference.features) >= MIN_PRINT_FEATURES
    if has_other_print and has_few_lines(template):
        lost = register_by_lines(page, search)
        return lost if lost is DUPLICATE_FORM else OTHER_PRINT
    if not is_certain:
        return register_by_lines(page, search)
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
