"""An initial pose is refined on printed lines, and measured on lines that the fit did not use."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage
from batchdigits.register import fits, lines
from batchdigits.register.fits import Matrix
from batchdigits.templates.template import Template

MAX_RESIDUAL_MM = 0.5
"""Largest residual of a page that is read, mm."""
SEARCH_REACHES_MM = (2.0, 2.0, 1.2)
"""How far from their expected place lines are looked for in each step of the fit, mm."""
TEST_REACH_MM = 1.5
"""The same for the measurement after the fit, mm."""
MIN_LINE_SHARE = 0.7
"""Least share of the printed lines that are in place."""
MIN_LINE_SHARE_ALONE = 0.85
"""The same where only the lines themselves show where the paper lies."""
FEW_LINES, MIN_FEW_LINE_SHARE = 60, 0.9
"""A form with fewer pieces of lines, a row of boxes or two, is known by lines alone only if this
share of all its lines is in place, those between adjoining boxes too: other rows have much in
common with it."""
FAINT_DARKNESS = 0.15
"""Darkness, 0 to 1, of lines below which a scanner loses some of them."""
MIN_FAINT_LINE_SHARE = 0.3
"""Least share of such faint lines that are in place."""


class Pose(NamedTuple):
    """Where the paper lies in a page.

    Attributes:
        matrix: (3, 3), mm on paper, 1 → px in the page, up to scale.
        residual: mm, the 95th percentile of the distances of lines, or markers, that the fit did
            not use, from where it puts them.
        how: what it was fitted on, in words.
        lines: number of pieces of printed lines that are where it puts them.
        unseen: fields with under half of their lines: torn off, covered, or another form's.
    """

    matrix: Matrix
    residual: float
    how: str
    lines: int = 0
    unseen: tuple[str, ...] = ()


class RegistrationFailure(NamedTuple):
    """Why a page has no pose.

    Attributes:
        why: the reason, in plain words.
    """

    why: str


class InitialPose(NamedTuple):
    """A pose before it is refined.

    Attributes:
        matrix: (3, 3), mm → px.
        how: what it was found by, in words.
        held: points that hold it while it is refined, if any.
        is_firm: whether lines need only confirm it.
    """

    matrix: Matrix
    how: str
    held: fits.ControlPoints | None = None
    is_firm: bool = False


class RejectedPose(NamedTuple):
    """An initial pose that does not fit.

    Attributes:
        failure: why it does not.
        found_share: share of the lines that were found, 0 to 1.
        seen: how many lines were found, in words, if they are too few.
    """

    failure: RegistrationFailure
    found_share: float
    seen: str = ""


def list_boxes(template: Template) -> NDArray[np.float64]:
    """Return the boxes of all cells: (N, 4), x, y, width, height, mm."""
    return np.array([box for field in template.fields for box in field.boxes()])


def is_boxless(template: Template) -> bool:
    """Return whether a form has no boxes, only numbers that are written freely."""
    return all(field.cells is None for field in template.fields)


def has_few_lines(template: Template) -> bool:
    """Return whether a form has so few lines that other forms' may lie alike."""
    return len(lines.list_side_pieces(list_boxes(template)).box) < FEW_LINES


def refine_pose(
    grey: GreyImage, initial: InitialPose, template: Template, *, alone: bool = False
) -> Pose | RejectedPose:
    """Refine an initial pose on the lines of every other box, and measure it on the others'.

    Args:
        grey: the page.
        initial: the pose.
        template: the form's.
        alone: whether only lines show where the paper lies: more of them must be in place then.

    Returns:
        The refined pose, or why it does not fit.
    """
    pieces = lines.list_side_pieces(list_boxes(template))
    is_required = _find_required_pieces(template, pieces)
    is_fitted = _choose_fitted_pieces(pieces, is_required)
    matrix = _fit_to_lines(grey, initial, pieces.select_pieces(is_fitted))
    tested = lines.measure_line_offsets(
        grey, matrix, pieces.select_pieces(~is_fitted), TEST_REACH_MM
    )
    fitted = lines.measure_line_offsets(
        grey, matrix, pieces.select_pieces(is_fitted), TEST_REACH_MM
    )
    share = max(
        min(
            _compute_found_share(tested, some[~is_fitted]),
            _compute_found_share(fitted, some[is_fitted]),
        )
        for some in (is_required, is_required | True)
    )
    is_other_row = alone and len(pieces.box) < FEW_LINES and not _has_all_lines(tested, fitted)
    if share < _choose_required_share(tested, alone=alone) or is_other_row:
        count = f"{tested.is_found.sum()} of {len(tested.is_found)}"
        text = f"{count} printed lines are where they should be"
        return RejectedPose(RegistrationFailure(f"another form: {text}"), share, text)
    residual = float(np.quantile(np.abs(tested.offset[tested.is_found]), 0.95))
    if residual > MAX_RESIDUAL_MM:
        text = f"the page cannot be laid straight: printed lines are {residual:.2f} mm off"
        return RejectedPose(RegistrationFailure(text), share)
    in_place = np.zeros(len(pieces.box), np.bool_)
    in_place[is_fitted], in_place[~is_fitted] = fitted.is_found, tested.is_found
    how = f"{initial.how}, {int(fitted.is_found.sum())} printed lines"
    return Pose(
        matrix,
        residual,
        how,
        int(in_place.sum()),
        _list_unseen_fields(template, pieces, is_required, in_place),
    )


def _choose_required_share(tested: lines.LineOffsets, *, alone: bool) -> float:
    """Return the share of the lines that must be in place: least where they are faint."""
    if not tested.is_found.any():
        return np.inf
    if alone:
        return MIN_LINE_SHARE_ALONE
    is_faint = np.median(tested.darkness[tested.is_found]) < FAINT_DARKNESS
    return MIN_FAINT_LINE_SHARE if is_faint else MIN_LINE_SHARE


def _has_all_lines(tested: lines.LineOffsets, fitted: lines.LineOffsets) -> bool:
    """Return whether about all lines are in place, those between adjoining boxes too."""
    found = np.concatenate([tested.is_found, fitted.is_found])
    hidden = np.concatenate([tested.hidden, fitted.hidden])
    return bool(found.sum() >= MIN_FEW_LINE_SHARE * max((~hidden).sum(), len(hidden) / 2))


def _fit_to_lines(grey: GreyImage, initial: InitialPose, pieces: lines.SidePieces) -> Matrix:
    """Return an initial pose's matrix, corrected by the lines of pieces in ever nearer reach."""
    matrix = initial.matrix
    for reach in SEARCH_REACHES_MM:
        offsets = lines.measure_line_offsets(grey, matrix, pieces, reach)
        used = offsets.is_found
        if used.sum() >= 4:
            matrix = fits.correct_transform(
                matrix, pieces.middle[used], pieces.normal[used], offsets.offset[used], initial.held
            )
    return matrix


def _find_required_pieces(template: Template, pieces: lines.SidePieces) -> NDArray[np.bool_]:
    """Return which pieces of sides must be printed on the form, (N,).

    Lines between adjoining boxes need not be: many combs have a tick there, or nothing. In a form
    with boxes, the frame of a number that is written freely need not be either: the number may
    have only a line below it, or nothing.
    """
    fields = _list_field_indices(template, pieces)
    box = np.array([one.box for one in template.fields])[fields]
    middle = pieces.middle[:, 0] - box[:, 0]
    inside = (middle > lines.MERGE_DISTANCE_MM) & (middle < box[:, 2] - lines.MERGE_DISTANCE_MM)
    comb = np.array([one.gap == 0 for one in template.fields])[fields]
    between = comb & inside & (pieces.normal[:, 0] != 0)
    boxed = np.array([one.cells is not None for one in template.fields])
    return np.asarray(~between & (boxed[fields] | is_boxless(template)))


def _choose_fitted_pieces(
    pieces: lines.SidePieces, is_required: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return which pieces a pose is fitted to, (N,): those of every other box."""
    boxes = np.unique(pieces.box[is_required])
    if len(boxes) > 3:
        other = np.searchsorted(boxes, pieces.box) % 2 == 1
        return np.asarray(~(other & np.isin(pieces.box, boxes)))
    is_fitted = ~is_required
    is_fitted[np.flatnonzero(is_required)[::2]] = True
    return is_fitted


def _list_field_indices(template: Template, pieces: lines.SidePieces) -> NDArray[np.int64]:
    """Return the index of each piece's field: (N,)."""
    cells = [len(one.boxes()) for one in template.fields]
    return np.repeat(np.arange(len(cells)), cells)[pieces.box]


def _compute_found_share(offsets: lines.LineOffsets, is_required: NDArray[np.bool_]) -> float:
    """Return the share of lines that were found; hidden lines, up to half of all, do not count."""
    hidden = offsets.hidden[is_required]
    return float(offsets.is_found[is_required].sum() / max((~hidden).sum(), len(hidden) / 2, 1))


def _list_unseen_fields(
    template: Template,
    pieces: lines.SidePieces,
    is_required: NDArray[np.bool_],
    in_place: NDArray[np.bool_],
) -> tuple[str, ...]:
    field = _list_field_indices(template, pieces)
    whole = np.bincount(field[is_required], minlength=len(template.fields))
    seen = np.bincount(field[is_required], in_place[is_required], minlength=len(template.fields))
    return tuple(template.fields[n].name for n in np.flatnonzero(seen < whole / 2))
