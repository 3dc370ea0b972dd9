"""What workers need to know of forms: their templates, and the pictures of blank ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from batchdigits import forms, pages, register
from batchdigits.errors import TemplateError
from batchdigits.forms import Template
from batchdigits.options import RunOptions
from batchdigits.records import Page


class Forms(NamedTuple):
    """The forms that pages may be of.

    Attributes:
        templates: none where images are single digits.
        references: a form's name → its reference, of those anchored by one.
    """

    templates: Sequence[Template] = ()
    references: Mapping[str, register.Reference] = {}

    @property
    def only(self) -> Template | None:
        """Give the one form that every page is known to be, where there is one."""
        return self.templates[0] if len(self.templates) == 1 else None


def wanted(options: RunOptions) -> Forms:
    """Read the templates that the options name, and their references.

    Raises:
        TemplateError: one of them cannot be read or used.
    """
    templates = forms.gathered(options.template)
    anchored = [one for one in templates if one.form.anchor == "image"]
    return Forms(templates, {one.form.name: learned(one, options.max_pixels) for one in anchored})


def learned(template: Template, max_pixels: int) -> register.Reference:
    """Read the picture of a blank form that a template names.

    Raises:
        TemplateError: it cannot be read.
    """
    place = Path(template.place).parent / (template.form.reference or "")
    first = next(iter(pages.read(str(place), max_pixels=max_pixels)))
    if not isinstance(first, Page):
        raise TemplateError(
            f"template '{template.place}': its reference '{place}' cannot be read: {first.detail}"
        )
    return register.learned(first.grey)
