"""The pose of a page by markers, refined on its printed lines."""

import numpy as np

from batchdigits.register import detected, fits, marks
from batchdigits.register.by_lines import register_by_lines
from batchdigits.register.poses import (
    MAX_RESIDUAL_MM,
    InitialPose,
    Pose,
    RegistrationFailure,
    is_boxless,
    refine_pose,
)
from batchdigits.register.scanned import ScannedPage
from batchdigits.register.selection import PoseSearch
from batchdigits.templates.template import Template

MAX_CHANCE_LINE_SHARE = 0.1
"""Share of the lines that may be found by chance if the scanner dropped their colour."""
MIN_STRAY_BOXES, MIN_STRAY_BOX_MM = 3, 3.0
"""A page without the template's lines is another form if it has so many boxes, of so many mm."""
MAX_MARKER_OFFSET_MM = 1.0
"""Largest distance, mm, of markers from where a pose that was found without them puts them."""


def register_by_markers(page: ScannedPage, template: Template) -> Pose | RegistrationFailure:
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
        box_pose = register_by_lines(page, PoseSearch(page.grey, template))
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
        sides = detected.measure_short_sides(page.quads)
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
