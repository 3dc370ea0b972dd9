"""Candidate strings get the probabilities with which they are right."""

import math
from collections.abc import Sequence

import numpy as np

Candidates = list[tuple[str, float]]
"""Strings with their probabilities, the likeliest first; these sum to 1 at most."""

MIN_REST_PROBABILITY = 1e-12
"""What is left for strings that the search did not find, at least."""


def calibrate_candidates(candidates: Candidates, temperature: float) -> Candidates:
    """Bring the probabilities of candidates to those with which they are right.

    Args:
        candidates: as a decoder gives them.
        temperature: above 0; what the logarithms of their probabilities are divided by. What the
            search did not find counts as one candidate more.
    """
    rest = max(1 - math.fsum(share for _, share in candidates), MIN_REST_PROBABILITY)
    powers = [share ** (1 / temperature) for _, share in candidates]
    whole = math.fsum(powers) + rest ** (1 / temperature)
    return [(text, power / whole) for (text, _), power in zip(candidates, powers, strict=True)]


def fit_string_temperature(read: Sequence[Candidates], truth: Sequence[str]) -> float:
    """Find the temperature under which held-out strings are most likely, within 0.25 to 8.

    Args:
        read: of each string its candidates.
        truth: what each is.
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
