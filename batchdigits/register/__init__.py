"""A page → its pose: the transform from millimetres on paper to pixels in the page.

The template's anchor gives initial poses. Each is refined on the printed lines of every other box.
The lines of the other boxes, which no fit has used, measure its residual. If the residual is over
the limit, or lines are missing, the page is another form and is never read.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from batchdigits.records import GreyImage
from batchdigits.register.by_image import register_by_image
from batchdigits.register.by_lines import register_by_lines
from batchdigits.register.by_markers import register_by_markers
from batchdigits.register.causes import explain_failure
from batchdigits.register.features import Reference, build_reference
from batchdigits.register.poses import MAX_RESIDUAL_MM, Pose, RegistrationFailure
from batchdigits.register.reduced import reduce_page
from batchdigits.register.scanned import ScannedPage
from batchdigits.register.selection import AMBIGUITY_MARGIN, PoseSearch
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
    pose = _find_pose(page, template, reference)
    if isinstance(pose, RegistrationFailure):
        return explain_failure(page.grey, template, pose)
    return pose


def _find_pose(
    page: ScannedPage, template: Template, reference: Reference | None
) -> Pose | RegistrationFailure:
    """Find the pose by the template's anchor; of a huge page in a smaller copy of it."""
    if max(page.grey.shape) > MAX_PAGE_SIDE_PX:
        small = reduce_page(page.grey, MAX_PAGE_SIDE_PX)
        pose = _find_pose(ScannedPage(small.grey), template, reference)
        if isinstance(pose, RegistrationFailure):
            return pose
        wide, high = small.scale
        larger = np.array([[wide, 0, (wide - 1) / 2], [0, high, (high - 1) / 2], [0, 0, 1]])
        return pose._replace(matrix=larger @ pose.matrix)
    if template.form.anchor == "markers":
        return register_by_markers(page, template)
    if template.form.anchor == "image":
        return register_by_image(page, template, reference)
    return register_by_lines(page, PoseSearch(page.grey, template))


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
