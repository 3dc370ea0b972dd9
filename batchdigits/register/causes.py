"""Why a page is not found to be a form, where the page itself is at fault."""

import numpy as np

from batchdigits.records import GreyImage
from batchdigits.register.poses import RegistrationFailure
from batchdigits.register.selection import AMBIGUOUS_POSE, DUPLICATE_FORM
from batchdigits.templates.template import Template

MIN_DPI = 80
"""Fewest pixels an inch of a page that can be read, if the whole page is in view."""
MIN_PAPER_LEVEL = 48
"""Least grey level, of 255, of the paper."""
MIN_CONTRAST = 24
"""Least difference of the grey levels of paper and ink."""

NEXT_STEP = "`batchdigits form check` shows what was looked for"


def explain_failure(
    grey: GreyImage, template: Template, failure: RegistrationFailure
) -> RegistrationFailure:
    """Return what is wrong with a page that no pose fits, and what to do.

    If nothing is wrong with the page, it is what the search says.

    Args:
        grey: the page, uint8, (height, width).
        template: the form's.
        failure: what the search for a pose says.
    """
    some = grey[:: max(1, grey.shape[0] // 1000), :: max(1, grey.shape[1] // 1000)]
    ink, paper = np.percentile(some, (0.2, 99)).astype(int).tolist()
    dpi = round(25.4 * max(grey.shape) / max(template.form.size))
    if paper < MIN_PAPER_LEVEL:
        return RegistrationFailure(
            f"too dark: the paper's grey level is {paper} of 255, expected {MIN_PAPER_LEVEL} or "
            "more; scan it lighter, or photograph it in more light"
        )
    if paper - ink < MIN_CONTRAST:
        return RegistrationFailure(
            f"empty or too faint: ink and paper differ by {paper - ink} grey levels of 255, "
            f"expected {MIN_CONTRAST} or more; scan it with more contrast"
        )
    if dpi < MIN_DPI and failure not in (AMBIGUOUS_POSE, DUPLICATE_FORM):
        return RegistrationFailure(
            f"too coarse: about {dpi} dpi if the whole page is in view, expected {MIN_DPI} or "
            "more; scan it at 150 dpi"
        )
    return RegistrationFailure(f"{failure.why}; {NEXT_STEP}")
