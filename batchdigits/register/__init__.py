"""A page → where the paper lies in it: one transform from millimetres to pixels.

First poses come from what the template is anchored by. Each is drawn to the printed lines of every
other box, and measured on those of the others, which no fit has used: a page whose residual is over
the limit, or whose lines are not there, is another form, and never read.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from batchdigits.records import GreyImage
from batchdigits.register.anchors import register_by_image, register_by_lines, register_by_markers
from batchdigits.register.features import Reference, build_reference
from batchdigits.register.poses import MAX_RESIDUAL_MM, Pose, RegistrationFailure
from batchdigits.register.reduced import reduce_page
from batchdigits.register.selection import AMBIGUITY_MARGIN
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
        return register_by_markers(grey, template)
    if template.form.anchor == "image":
        return register_by_image(grey, template, reference)
    return register_by_lines(grey, template)


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
