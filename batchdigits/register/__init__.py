"""A page → where the paper lies in it: one transform from millimetres to pixels.

First poses come from what the template is anchored by. Each is drawn to the printed lines of every
other box, and measured on those of the others, which no fit has used: a page whose residual is over
the limit, or whose lines are not there, is another form, and never read.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from batchdigits.errors import TemplateError
from batchdigits.records import Grey
from batchdigits.register import boxes, edges, features, fits, lines, marks
from batchdigits.register.features import Reference, learned
from batchdigits.register.poses import (
    FEWEST,
    LIMIT,
    First,
    Lost,
    Missed,
    Pose,
    free,
    printed,
    settled,
)
from batchdigits.register.reduced import reduced
from batchdigits.templates.template import Template
from batchdigits.templates.template import corners as of_box

__all__ = ["LIMIT", "Forms", "Lost", "Pose", "Reference", "learned", "match", "register"]


class Forms(NamedTuple):
    """The forms that pages may be of.

    Attributes:
        templates: none where no page is known to be a form.
        references: a form's name → its reference, of the forms that are anchored by one.
    """

    templates: Sequence[Template] = ()
    references: Mapping[str, Reference] = {}

    @property
    def only(self) -> Template | None:
        """Give the one form that every page is known to be, where there is one."""
        return self.templates[0] if len(self.templates) == 1 else None


FEWEST_ALONE = 0.85
"""The same, where nothing but the lines themselves tells where the paper lies."""
WHOLE = 0.97
"""Share of lines in place from which on no other place is tried."""
GONE = 0.1
"""Share of the lines that may be found by chance where the scanner dropped them all."""
STRAY, SHORT = 3, 3.0
"""From so many boxes, of so many mm, a page with none of the template's lines is another form."""
ALIKE = 0.05
"""Two ways a page may lie, or two forms it may be, are alike when neither has so much more, as a
share, of lines in place."""
UNSURE = Lost(
    "lies in two ways that fit as well: the form is there twice, or looks the same at another "
    "turn; cut the page, or give the form markers"
)
AGAIN = 0.5
"""Share of the template's boxes that are left over where there is a second copy, at least."""
PROVED = 1.0
"""How far markers may be, mm, from where a pose puts them that was found without them."""
LONGEST = 16_000
"""Longer pages, px, are made smaller first: OpenCV samples none over 32,767."""


def register(grey: Grey, template: Template, reference: Reference | None = None) -> Pose | Lost:
    """Find where the paper of a form lies in a page.

    Args:
        grey: the page, uint8, (height, width), dark ink on light paper, at any turn.
        template: the form's.
        reference: what `learned` makes of the blank form's picture; for anchor = "image".

    Raises:
        TemplateError: anchor = "image" without a reference.
    """
    if max(grey.shape) > LONGEST:
        small = reduced(grey, LONGEST)
        pose = register(small.grey, template, reference)
        if isinstance(pose, Lost):
            return pose
        wide, high = small.scale
        larger = np.array([[wide, 0, (wide - 1) / 2], [0, high, (high - 1) / 2], [0, 0, 1]])
        return pose._replace(matrix=larger @ pose.matrix)
    if template.form.anchor == "markers":
        return _by_markers(grey, template)
    if template.form.anchor == "image":
        return _by_image(grey, template, reference)
    return _by_lines(grey, template)


def match(
    grey: Grey, templates: Sequence[Template], references: Mapping[str, Reference] | None = None
) -> tuple[Template, Pose] | Lost:
    """Find which of several forms a page is, and where it lies in it.

    Args:
        grey: as in `register`.
        templates: of the forms.
        references: form's name → what `learned` makes of its reference.

    Returns:
        The form with the most printed lines in place; lost where none is this page's, or where two
        are so alike that either may be.

    Raises:
        TemplateError: as `register`.
    """
    known = references or {}
    every = [(one, register(grey, one, known.get(one.form.name))) for one in templates]
    posed = [(one, pose) for one, pose in every if isinstance(pose, Pose)]
    if not posed:
        lost = [(one.form.name, pose) for one, pose in every if isinstance(pose, Lost)]
        if len(lost) == 1:
            return lost[0][1]
        why = "; ".join(f"{name}: {pose.why}" for name, pose in lost[:3])
        return Lost(f"none of {len(lost)} forms ({why})")
    posed.sort(key=lambda one: -one[1].lines)
    if len(posed) > 1 and posed[0][1].lines * (1 - ALIKE) <= posed[1][1].lines:
        first, second = (one.form.name for one, _ in posed[:2])
        return Lost(f"may be '{first}' or '{second}': give the forms markers with ids of their own")
    return posed[0]


def _by_markers(grey: Grey, template: Template) -> Pose | Lost:
    found = marks.found(grey, template.form)
    count = f"{len(found.quads)} of {len(template.form.marks)} markers"
    if len(found.twice) > 1:
        return Lost(
            f"the form is there twice, or more: {len(found.twice)} of its markers are there again; "
            "cut the page"
        )
    lost = Lost(f"another form, or cut off: {count} are there, expected three or more")
    if not found.quads:
        return lost
    paper = marks.corners(template.form, list(found.quads))
    picture = np.concatenate(list(found.quads.values()))
    if len(found.quads) < 3:  # too few to lay the page by, but enough to prove where it lies
        alone = _by_lines(grey, template)
        if isinstance(alone, Lost) or fits.distances(alone.matrix, paper, picture).max() > PROVED:
            return lost
        return alone._replace(how=f"{count}, {alone.how}")
    first = First(fits.fitted(paper, picture), count, fits.Held(paper, picture))
    pose = settled(grey, first, template)
    if isinstance(pose, Pose):
        return pose
    return pose.lost if pose.seen > GONE else _without_lines(grey, first, template, pose.lost)


def _without_lines(grey: Grey, first: First, template: Template, lost: Lost) -> Pose | Lost:
    """Measure a pose by markers alone, each left out of a fit to the others in turn.

    Scanners that drop a colour leave none of the boxes; but where there are other boxes than the
    template's, it is another form.
    """
    fine = np.sqrt(abs(np.linalg.det(first.matrix[:2, :2])))
    if first.held is None:
        return lost
    if not free(template) and (boxes.sizes(boxes.found(grey)) > SHORT * fine).sum() >= STRAY:
        return lost
    paper, picture = first.held.paper, first.held.picture
    count = len(paper) // 4
    left = []
    for n in range(count):
        out = np.arange(len(paper)) // 4 == n
        if count == 3:  # two markers tell nothing of the third; half of its corners do
            out &= np.arange(len(paper)) % 2 == 0
        fit = fits.fitted(paper[~out], picture[~out])
        left.append(fits.distances(fit, paper[out], picture[out]))
    residual = float(np.quantile(np.concatenate(left), 0.95))
    if residual > LIMIT:
        return Lost(f"the page cannot be laid straight: markers are {residual:.2f} mm off")
    return Pose(first.matrix, residual, f"{first.how}, no printed line seen")


def _by_image(grey: Grey, template: Template, reference: Reference | None) -> Pose | Lost:
    if reference is None:
        raise TemplateError(
            f"form '{template.form.name}' is anchored by its reference, and was given none: "
            "expected the picture of a blank form"
        )
    found = features.ways(grey, reference, template.form.size)
    if free(template):
        return _by_halves(found, template)
    first = [First(way.matrix, "features of the reference", way.held) for way in found]
    pose = _best(grey, first, template)
    if not isinstance(pose, Pose):
        return _by_lines(grey, template) if pose is not UNSURE else pose
    return _once(grey, pose, template, boxes.found(grey))


def _by_halves(found: Sequence[features.Way], template: Template) -> Pose | Lost:
    """Measure a pose by features alone: how far apart each half of them puts the fields' corners.

    For forms without boxes, whose numbers stand on lines, or on nothing.
    """
    if not found:
        return Lost("another form: too little of the reference is found in the page")
    if len(found) > 1 and found[1].agree > AGAIN * found[0].agree:
        return UNSURE
    paper, picture, _ = found[0].held
    one, other = (fits.fitted(paper[half::2], picture[half::2]) for half in (0, 1))
    corners = np.concatenate([of_box(field.box) for field in template.fields])
    residual = float(fits.distances(one, corners, lines.projected(other, corners)).max())
    if residual > LIMIT:
        return Lost(
            f"the page cannot be laid straight: by each half of what was found of the reference "
            f"it lies {residual:.2f} mm off"
        )
    return Pose(found[0].matrix, residual, f"{found[0].agree} features of the reference")


def _by_lines(grey: Grey, template: Template) -> Pose | Lost:
    """Lay the template's boxes on the page's; in a photograph, once its edges are laid straight."""
    every, seen = printed(template), boxes.found(grey)
    found = [First(way, "printed boxes") for way in boxes.ways(seen, every)]
    pose = _best(grey, found, template, alone=True)
    if isinstance(pose, Lost) and pose is not UNSURE:
        sheets = edges.ways(grey, template.form.size)
        for sheet in sheets[: len(sheets) - 4 : 4]:  # one turn of each sheet will do
            flat = lines.projected(np.linalg.inv(sheet), seen)
            found += [
                First(sheet @ way, "the page's edges and printed boxes")
                for way in boxes.ways(flat, every)
            ]
        found += [First(sheet, "the page's edges") for sheet in sheets]
        pose = _best(grey, found, template, alone=True)
    return pose if isinstance(pose, Lost) else _once(grey, pose, template, seen)


def _once(grey: Grey, pose: Pose, template: Template, seen: boxes.Quads) -> Pose | Lost:
    """Look for a second copy of the form among the boxes that a pose leaves over."""
    every = printed(template)
    left = boxes.left(seen, pose.matrix, every)
    if len(left) < AGAIN * len(every):
        return pose
    again = [First(way, "") for way in boxes.ways(left, every)]
    for first in again:
        other = settled(grey, first, template)
        if isinstance(other, Pose) and boxes.apart(other.matrix, pose.matrix, every):
            return UNSURE
    return pose


def _best(
    grey: Grey, firsts: Sequence[First], template: Template, *, alone: bool = False
) -> Pose | Lost:
    """Settle poses, and choose the one with the most lines in place, if there is one.

    Args:
        grey: the page.
        firsts: first poses.
        template: the form's.
        alone: whether lines alone tell where the paper lies, and which way up.
    """
    every = printed(template)
    good: list[Pose] = []
    lost = Lost("another form: nothing in the page lies as this form's boxes do")
    most = -1.0
    fewest = FEWEST_ALONE if alone else FEWEST
    for first in firsts:
        pose = settled(grey, first, template, fewest)
        if isinstance(pose, Missed):
            if pose.seen > most:
                lost, most = pose.lost, pose.seen
            continue
        pose = _shifted(grey, pose, first.how, template, fewest)
        turned = [pose.matrix @ turn for turn in boxes.turns(every)] if alone else []
        others = (settled(grey, First(one, first.how), template, fewest) for one in turned)
        for one in (pose, *others):
            if isinstance(one, Pose) and all(
                boxes.apart(one.matrix, other.matrix, every) for other in good
            ):
                good.append(one)
        if pose.lines >= WHOLE * len(lines.sides(every).box):
            break
    good.sort(key=lambda one: -one.lines)
    if len(good) > 1 and good[0].lines * (1 - ALIKE) <= good[1].lines:
        return UNSURE
    return good[0] if good else lost


def _shifted(grey: Grey, pose: Pose, how: str, template: Template, fewest: float) -> Pose:
    """Try whether the page fits better a box further: rows of boxes look alike from box to box."""
    every = printed(template)
    if pose.lines >= WHOLE * len(lines.sides(every).box):
        return pose
    best = pose
    for across, down in boxes.steps(every):
        matrix = pose.matrix @ np.array([[1, 0, across], [0, 1, down], [0, 0, 1]])
        other = settled(grey, First(matrix, how), template, fewest)
        if isinstance(other, Pose) and other.lines > best.lines:
            best = other
    return best
