"""Poses whose lines fit as well → the one that the rest of the page speaks for.

A row of equal boxes looks the same upside down. What tells its turns apart is, in this order: the
print that the page shares with the form's reference; which way up the page's signs are, or its
text; and the place of the paper in the scan, which usually shows the whole page, at its own size.
"""

from collections.abc import Sequence

import numpy as np

from batchdigits.layout.turns import find_turn
from batchdigits.records import GreyImage
from batchdigits.register.fits import Matrix
from batchdigits.register.lines import project_points
from batchdigits.register.poses import Pose
from batchdigits.register.text import measure_text_direction
from batchdigits.templates.template import Template

MAX_TURN_ERROR = 60.0
"""Poses within so many degrees of a turn have this turn."""
MAX_SCAN_SHIFT_MM = 12.0
"""Largest distance, mm, of the paper's corners from those of a scan of the whole page."""
MIN_SCAN_LEAD_MM = 15.0
"""The pose that lies as a scan usually does is believed if all others are so much farther off, mm.
Scans are some mm off too, so this does not tell poses apart that are a box apart."""
MAX_STRETCH = 1.08
"""Largest ratio of the scales across and down, of a form that only a row of boxes or two shows:
boxes of other proportions are another form's."""
MIN_SCALE, MAX_SCALE = 0.6, 1.6
"""The same of its scale, where the scale of a scan of the whole page is 1."""


def measure_turn(matrix: Matrix) -> float:
    """Return the angle by which a pose turns the paper clockwise in the page, degrees."""
    return float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))


def is_turned_by(matrix: Matrix, degrees: float) -> bool:
    """Return whether a pose turns the paper by about this angle, degrees."""
    return abs((measure_turn(matrix) - degrees + 180) % 360 - 180) < MAX_TURN_ERROR


def choose_pose(
    grey: GreyImage, poses: Sequence[Pose], template: Template, print_turn: float | None
) -> Pose | None:
    """Choose among poses that have as many lines in place.

    Args:
        grey: the page.
        poses: two or more, distinct.
        template: the form's.
        print_turn: the angle, degrees, by which the reference's print is turned in the page; None
            without a reference, or if the page's print is not the reference's.

    Returns:
        The pose; None if the page does not tell which.
    """
    usual = _find_usual_pose(grey, poses, template)
    if print_turn is not None:
        standing = [n for n, one in enumerate(poses) if is_turned_by(one.matrix, print_turn)]
        usual = standing[0] if len(standing) == 1 else usual
        return poses[usual] if usual in standing else None
    readable, is_sure = _find_readable_poses(grey, poses)
    upright = [n for n, one in enumerate(poses) if is_turned_by(one.matrix, 0)]
    if usual is not None:
        return poses[usual] if usual in (upright if readable is None else readable) else None
    if template.form.anchor == "image":
        return None  # neither the print nor the place is the reference's
    likely = [
        n
        for n in readable or ()
        if (is_sure or n in upright) and is_plausible(grey, poses[n], template)
    ]
    return poses[likely[0]] if len(likely) == 1 else None


def _find_readable_poses(grey: GreyImage, poses: Sequence[Pose]) -> tuple[list[int] | None, bool]:
    """Find the poses by which the page's signs stand upright, one by one or as lines of text.

    Returns:
        Their indices, None where neither tells anything; and whether the signs one by one do, which
        is believed of pages at any turn.
    """
    turn = find_turn(grey)
    if turn.sure:
        degrees = -90.0 * turn.quarters  # signs are turned anticlockwise, poses clockwise
        return [n for n, one in enumerate(poses) if is_turned_by(one.matrix, degrees)], True
    directions = [measure_text_direction(grey, measure_turn(one.matrix)) for one in poses]
    standing = [n for n, direction in enumerate(directions) if direction > 0]
    return (standing if any(directions) else None), False


def _find_usual_pose(grey: GreyImage, poses: Sequence[Pose], template: Template) -> int | None:
    """Return the index of the only pose by which the paper lies as in most scans, if any."""
    shifts = [_measure_scan_shift(grey, one.matrix, template.form.size) for one in poses]
    order = np.argsort(shifts)
    best, next_ = (shifts[n] for n in order[:2])
    is_told = best <= MAX_SCAN_SHIFT_MM and next_ - best >= MIN_SCAN_LEAD_MM
    return int(order[0]) if is_told else None


def _measure_scan_shift(grey: GreyImage, matrix: Matrix, size: tuple[float, float]) -> float:
    """Return how far the paper's corners are from the page's, at most, at the nearest turn, mm."""
    high, wide = grey.shape
    page = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float64) - 0.5
    paper = np.array([[0, 0], [size[0], 0], size, [0, size[1]]], np.float64)
    ends = project_points(matrix, paper)
    px_per_mm = float(max(high, wide) / max(size))
    farthest = [
        np.linalg.norm(np.roll(page, turn, axis=0) - ends, axis=1).max() for turn in range(4)
    ]
    return float(np.min(farthest)) / px_per_mm


def is_plausible(grey: GreyImage, pose: Pose, template: Template) -> bool:
    """Return whether a pose keeps the form's proportions, and about its size."""
    box = template.fields[0].box
    middle = np.array([[box[0] + box[2] / 2, box[1] + box[3] / 2]])
    steps = project_points(pose.matrix, middle + np.array([[0, 0], [1, 0], [0, 1]]))
    across, down = np.linalg.norm(steps[1:] - steps[0], axis=1)
    scale = np.sqrt(across * down) * max(template.form.size) / max(grey.shape)
    stretch = max(across, down) / max(min(across, down), 1e-9)
    return bool(stretch <= MAX_STRETCH and MIN_SCALE <= scale <= MAX_SCALE)
