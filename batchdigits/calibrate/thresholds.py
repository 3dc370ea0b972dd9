"""Values of known truth become a threshold that keeps the share of wrong values small."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from batchdigits.errors import ModelError
from batchdigits.records import CalibrationBin

MAX_WRONG_SHARE = 0.002
"""Share of wrong values at or over the default threshold, at most, on calibration data."""
UPPER_BOUND_LEVEL = 0.95
"""The confidence level of `compute_upper_bound`."""


def group_by_confidence(
    confidence: NDArray[np.float64], right: NDArray[np.bool_]
) -> list[CalibrationBin]:
    """Group values of known truth into bins by confidence, from the surest down.

    A bin begins at a confidence with wrong values and includes all right values below it, down to
    the next wrong one. No useful threshold is lost: a lower threshold that adds only right values
    is always better.

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
    """Compute the 95% upper bound of a share of wrong values (one-sided, exact).

    Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the
    binomial", Biometrika 26 (1934): the share at which one of twenty samples has so few wrong
    values or fewer. It is a quantile of the beta distribution.

    Args:
        wrong: number of wrong values, of any shape.
        values: number of all values, of the same shape.

    Returns:
        float64 of that shape, in (0, 1]; 1 where all values are wrong, or there are none.
    """
    from scipy.special import betaincinv  # noqa: PLC0415  (slow to import)

    k, n = np.asarray(wrong, np.float64), np.asarray(values, np.float64)
    return np.where(k < n, betaincinv(k + 1, np.maximum(n - k, 1), UPPER_BOUND_LEVEL), 1.0)


def find_threshold(readings: Sequence[CalibrationBin], error: float) -> float:
    """Find the lowest threshold that keeps the share of wrong values under `error`.

    Args:
        readings: of calibration data, in any order; see `group_by_confidence`.
        error: share in (0, 1). The upper bound (`compute_upper_bound`) of the share of wrong values
            at or over the threshold must stay under it.

    Returns:
        A confidence of the readings; values at or over it are `ok`.

    Raises:
        ModelError: the readings do not support so small an error; the message says which they do.
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
    """Compute the smallest error that `find_threshold` accepts, to four digits, rounded up.

    Returns:
        In (0, 1]; 1 if it accepts none.
    """
    _, wrong, values = _accumulate_counts(readings)
    least = float(compute_upper_bound(wrong, values).min(initial=1.0))
    step = 10.0 ** (math.floor(math.log10(least)) - 3)
    return min(float(f"{(math.floor(least / step) + 1) * step:.4g}"), 1.0)


def find_default_threshold(readings: Sequence[CalibrationBin]) -> float:
    """Find the lowest threshold from which at most `MAX_WRONG_SHARE` of the values are wrong.

    Returns:
        A confidence of the readings; 1, which no value reaches, if there is no such threshold.
    """
    down, wrong, values = _accumulate_counts(readings)
    fits = np.flatnonzero(wrong <= MAX_WRONG_SHARE * values)
    return float(down[fits[-1]]) if len(fits) else 1.0


def _accumulate_counts(
    readings: Sequence[CalibrationBin],
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Return each confidence from the surest down, with the wrong and all values at or over it."""
    ordered = sorted(readings, reverse=True)
    down = np.array([one.confidence for one in ordered], np.float64)
    wrong = np.cumsum([one.wrong for one in ordered], dtype=np.int64)
    right = np.cumsum([one.right for one in ordered], dtype=np.int64)
    return down, wrong, wrong + right
