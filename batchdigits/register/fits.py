"""Fits: a pose to points, and its correction to lines."""

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.register.lines import Points, project_points

MAX_AFFINE_RESIDUAL_MM = 0.1
"""Residual of an affine pose, mm, above which perspective is tried, which must halve it."""
LENGTH_UNIT_MM = 100.0
"""Unit of length within the fit, mm, by which all unknowns are of similar size."""
PRIOR_WEIGHT = 0.0025
"""Square of the ratio of two errors: 0.1 mm for a line's place, 2 mm for the unknowns before the
fit. Unknowns that the lines do not determine stay as they were."""
MIN_LINE_ERROR_MM = 0.05
"""Least error, mm, of a line's place."""
BISQUARE = 4.685
"""Tukey's constant: 95% as good as least squares where there are no outliers (Holland and Welsch,
"Robust regression using iteratively reweighted least-squares", 1977)."""

Matrix = NDArray[np.float64]


def fit_transform(paper: Points, picture: Points) -> Matrix:
    """Fit a pose, affine or with perspective, to N points.

    A scanner's page is affine, and a fit with perspective would move its far corners. So
    perspective is used only where it halves the residual.

    Args:
        paper: (N, 2), mm, on paper.
        picture: (N, 2), px, the same points in the page.
    """
    lifted = np.column_stack([paper, np.ones(len(paper))])
    solved, *_ = np.linalg.lstsq(lifted, picture, rcond=None)
    affine = np.vstack([solved.T, [0, 0, 1]])
    if abs(np.linalg.det(affine)) < 1e-6:
        return affine
    flat = measure_rms_distance(affine, paper, picture)
    if flat <= MAX_AFFINE_RESIDUAL_MM or len(paper) < 8:
        return affine
    bent, _ = cv2.findHomography(paper, picture, 0)
    if (
        bent is not None
        and abs(np.linalg.det(bent)) > 1e-9
        and measure_rms_distance(bent, paper, picture) < flat / 2
    ):
        return np.asarray(bent, np.float64)
    return affine


def measure_rms_distance(matrix: Matrix, paper: Points, picture: Points) -> float:
    """Return the root mean square of the distances of points from where a pose puts them, mm."""
    return float(np.sqrt((measure_distances(matrix, paper, picture) ** 2).mean()))


def measure_distances(matrix: Matrix, paper: Points, picture: Points) -> NDArray[np.float64]:
    """Return the distance of each of N points from where a pose puts it: (N,), mm on paper."""
    back = project_points(np.linalg.inv(matrix), np.asarray(picture, np.float64))
    return np.asarray(np.linalg.norm(back - paper, axis=1))


class ControlPoints(NamedTuple):
    """Points that a pose was fitted to, and that hold it while it is refined on lines.

    Attributes:
        paper: (N, 2), mm.
        picture: (N, 2), px.
        weight: of each point, where a line has 1.
    """

    paper: Points
    picture: Points
    weight: float = 1.0


def correct_transform(
    matrix: Matrix,
    middle: Points,
    normal: Points,
    offset: NDArray[np.float64],
    held: ControlPoints | None = None,
) -> Matrix:
    """Correct a pose by the offsets of lines from where it puts them.

    The correction on paper is δ = t + A p + p (g·p), to first order a perspective; each line
    determines its part along the line's normal. The fit is robust: outliers lose their weight.

    Args:
        matrix: (3, 3), mm → px.
        middle: (N, 2), mm, of the lines.
        normal: (N, 2), unit vectors.
        offset: (N,), mm, along the normals.
        held: points that count like lines, both across and down.
    """
    weights = np.ones(len(offset))
    if held is not None:
        back = project_points(np.linalg.inv(matrix), held.picture) - held.paper
        count = len(back)
        middle = np.concatenate([middle, held.paper, held.paper])
        normal = np.concatenate([normal, np.repeat(np.eye(2), count, axis=0)])
        offset = np.concatenate([offset, back[:, 0], back[:, 1]])
        weights = np.concatenate([weights, np.full(2 * count, held.weight)])
    centre = middle.mean(axis=0)
    p = (middle - centre) / LENGTH_UNIT_MM
    along = (normal * p).sum(axis=1, keepdims=True)
    system = np.column_stack([normal, normal[:, :1] * p, normal[:, 1:] * p, along * p])  # (N, 8)
    return _apply_correction(matrix, _solve_robustly(system, offset, weights), centre)


def _solve_robustly(
    system: NDArray[np.float64], offset: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Solve system (N, 8) @ x = offset (N,) for x (8,), each row weighted by `weights` (N,)."""
    weight = weights
    solved: NDArray[np.floating[Any]] = np.zeros(8)
    for _ in range(8):
        scaled = system * weight[:, None]
        solved = np.linalg.solve(scaled.T @ system + PRIOR_WEIGHT * np.eye(8), scaled.T @ offset)
        left = np.abs(offset - system @ solved)
        wide = BISQUARE * max(MIN_LINE_ERROR_MM, 1.48 * float(np.median(left)))
        weight = weights * np.clip(1 - (left / wide) ** 2, 0, None) ** 2
    return np.asarray(solved, np.float64)


def _apply_correction(matrix: Matrix, solved: NDArray[np.float64], centre: Points) -> Matrix:
    """Return a pose after the correction t, A, g (8,) of the paper about a point (2,), mm."""
    shares = solved / LENGTH_UNIT_MM
    inner = np.eye(3)
    inner[:2, :2] += shares[2:6].reshape(2, 2)
    inner[:2, 2] = shares[:2]
    inner[2, :2] = -shares[6:]
    to_units = np.array(
        [
            [1 / LENGTH_UNIT_MM, 0, -centre[0] / LENGTH_UNIT_MM],
            [0, 1 / LENGTH_UNIT_MM, -centre[1] / LENGTH_UNIT_MM],
            [0, 0, 1],
        ]
    )
    return np.asarray(matrix @ np.linalg.inv(to_units) @ inner @ to_units)
