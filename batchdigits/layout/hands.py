"""Whether a sign is a handwritten digit, by a small network that looks at it alone.

The network is as that of `turns`, and trained by `jobs/train/hands.py`. It is sure of few signs: a
1 and a 0 look the same in print. Several signs that belong together tell.
"""

import numpy as np
from numpy.typing import NDArray

from batchdigits.layout.networks import run_network

WEIGHTS = "hands.npz"
DIGIT, PRINT, LETTER, NOTHING = range(4)
LEAST, NOTHING_COUNTS, MOST = 0.02, 0.3, 3.0
"""What is added to each probability; how much "nothing" counts against a digit, which a ring or a
line may be; and the most that one sign may say, natural logarithm."""


def measure_handwriting(signs: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Measure how much likelier signs are handwritten digits than print: natural logarithms, (N,).

    Args:
        signs: (N, 20, 20), 0 to 255, as from `networks.fit_sign`.
    """
    if not len(signs):
        return np.zeros(0)
    logits = run_network(WEIGHTS, signs)[:, : NOTHING + 1]
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    other = chances[:, PRINT] + chances[:, LETTER] + NOTHING_COUNTS * chances[:, NOTHING]
    return np.asarray(np.clip(np.log((chances[:, DIGIT] + LEAST) / (other + LEAST)), -MOST, MOST))
