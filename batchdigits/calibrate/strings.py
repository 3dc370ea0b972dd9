"""Calibrate the probabilities of candidate strings."""

import math
from collections.abc import Sequence

import numpy as np

Candidates = list[tuple[str, float]]
"""Strings with their probabilities, the likeliest first. The probabilities sum to 1 at most."""

MIN_REST_PROBABILITY = 1e-12
"""The least probability for strings that the search did not find."""


def calibrate_candidates(candidates: Candidates, temperature: float) -> Candidates:
    """Calibrate the probabilities of candidates.

    Args:
        candidates: as a decoder returns them.
        temperature: above 0; divides the logarithms of the probabilities. Strings that the search
            did not find count as one more candidate.
    """
    rest = max(1 - math.fsum(share for _, share in candidates), MIN_REST_PROBABILITY)
    powers = [share ** (1 / temperature) for _, share in candidates]
    whole = math.fsum(powers) + rest ** (1 / temperature)
    return [(text, power / whole) for (text, _), power in zip(candidates, powers, strict=True)]


def fit_string_temperature(read: Sequence[Candidates], truth: Sequence[str]) -> float:
    """Fit the temperature that makes held-out strings most likely, within 0.25 to 8.

    Args:
        read: the candidates of each string.
        truth: the right text of each string.
    """

    def loss(temperature: float) -> float:
        total = 0.0
        for candidates, right in zip(read, truth, strict=True):
            shares = dict(calibrate_candidates(candidates, temperature))
            total -= math.log(
                max(shares.get(right, 1 - math.fsum(shares.values())), MIN_REST_PROBABILITY)
            )
        return total

    grid = np.exp(np.linspace(np.log(0.25), np.log(8), 61))
    return float(min(grid, key=loss))
