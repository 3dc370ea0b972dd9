"""Values of known truth become the threshold that keeps their errors under a share."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from batchdigits.errors import ModelError
from batchdigits.records import CalibrationBin

MAX_WRONG_SHARE = 0.002
"""Share of wrong values among those over the default threshold, on calibration data."""
UPPER_BOUND_LEVEL = 0.95
"""How sure `compute_upper_bound` is."""


def group_by_confidence(
    confidence: NDArray[np.float64], right: NDArray[np.bool_]
) -> list[CalibrationBin]:
    """Gather values of known truth by confidence, from the surest down.

    A reading begins at a confidence with wrong values and takes in all the right ones below it,
    down to the next wrong one. Nothing is lost by that for choosing a threshold: a lower one that
    lets through right values alone is the better for it.

    Args:
        confidence: shape (N,), as written in the table.
        right: shape (N,), whether the value is right.
    """
    levels, at = np.unique(-confidence, return_inverse=True)
    rights = np.bincount(at, right, len(levels)).astype(np.int64)
    wrongs = np.bincount(at, ~right, len(levels)).astype(np.int64)
    first = np.flatnonzero(wrongs > 0)
    if len(levels) and not wrongs[0]:
        first = np.insert(first, 0, 0)
    if not len(first):
        return []
    last = np.append(first[1:], len(levels)) - 1
    return [
        CalibrationBin(*one)
        for one in zip(
            (-levels[last]).tolist(),
            np.add.reduceat(rights, first).tolist(),
            np.add.reduceat(wrongs, first).tolist(),
            strict=True,
        )
    ]


def compute_upper_bound(wrong: ArrayLike, values: ArrayLike) -> NDArray[np.float64]:
    """Give the 95% upper bound of a share of wrong values (one-sided, exact).

    Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the
    binomial", Biometrika 26 (1934): the share under which so few wrong values, or fewer, come in
    one of twenty samples; a quantile of the beta distribution.

    Args:
        wrong: how many values are wrong, of any shape.
        values: how many there are, of the same shape; at least as many.

    Returns:
        float64 of that shape, in (0, 1]; 1 where all are wrong, or there are none.
    """
    from scipy.special import betaincinv  # noqa: PLC0415  (slow to import)

    k, n = np.asarray(wrong, np.float64), np.asarray(values, np.float64)
    return np.where(k < n, betaincinv(k + 1, np.maximum(n - k, 1), UPPER_BOUND_LEVEL), 1.0)


def find_threshold(readings: Sequence[CalibrationBin], error: float) -> float:
    """Find the lowest threshold that keeps the share of wrong values under `error`.

    Args:
        readings: of calibration data, in any order; see `group_by_confidence`.
        error: share in (0, 1) that `compute_upper_bound` of the wrong among the values at or over the
            threshold must stay under.

    Returns:
        A confidence of the readings; values at or over it are `ok`.

    Raises:
        ModelError: these readings support no error as small; the message says which they do.
    """
    down, wrong, values = _accumulate_counts(readings)
    bound = compute_upper_bound(wrong, values)
    fits = np.flatnonzero(bound < error)
    if len(fits):
        return float(down[fits[-1]])
    count = f"{values[-1] if len(values) else 0:,} values of the calibration data"
    least = compute_min_target_error(readings)
    if least >= 1:
        raise ModelError(f"--target-error {error:g}: the {count} support none: calibrate on more")
    raise ModelError(
        f"--target-error {error:g}: the smallest that the {count} support is {least:g}, by the "
        f"{values[bound.argmin()]:,} surest: take that, or calibrate on more"
    )


def compute_min_target_error(readings: Sequence[CalibrationBin]) -> float:
    """Give the smallest error that `find_threshold` grants, to four digits, rounded up.

    Returns:
        In (0, 1]; 1 where it grants none.
    """
    _, wrong, values = _accumulate_counts(readings)
    least = float(compute_upper_bound(wrong, values).min(initial=1.0))
    step = 10.0 ** (math.floor(math.log10(least)) - 3)
    return min(float(f"{(math.floor(least / step) + 1) * step:.4g}"), 1.0)


def find_default_threshold(readings: Sequence[CalibrationBin]) -> float:
    """Find the lowest threshold from which at most `MAX_WRONG_SHARE` of the values are wrong.

    Returns:
        A confidence of the readings; 1, which nothing reaches, where there is none.
    """
    down, wrong, values = _accumulate_counts(readings)
    fits = np.flatnonzero(wrong <= MAX_WRONG_SHARE * values)
    return float(down[fits[-1]]) if len(fits) else 1.0


def _accumulate_counts(
    readings: Sequence[CalibrationBin],
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Sum up from the surest down: confidences, wrong values and all values at or over each."""
    ordered = sorted(readings, reverse=True)
    down = np.array([one.confidence for one in ordered], np.float64)
    wrong = np.cumsum([one.wrong for one in ordered], dtype=np.int64)
    right = np.cumsum([one.right for one in ordered], dtype=np.int64)
    return down, wrong, wrong + right
