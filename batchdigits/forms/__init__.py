"""Forms: what a template says of the paper, and what may stand in its fields; never an image."""

from collections.abc import Sequence

from batchdigits.forms.template import Field, Template, read

__all__ = ["Field", "Template", "gathered", "read"]


def gathered(places: Sequence[str]) -> list[Template]:
    """Read templates."""
    return [read(place) for place in places]
