"""Two networks as one: a quick one reads every picture, a careful one what the quick one doubts."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from batchdigits import calibrate
from batchdigits.predict.bundle import CarefulCard

CAREFUL_BATCH_SIZE = 32
"""Pictures per call of the careful network: few are doubted, and a padded batch costs the same."""


class DigitNetwork(Protocol):
    """What gives logits for pictures; see `predict.Classifier.logits`."""

    device: str

    def logits(self, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute logits, shape (N, classes), of pictures (N, 28, 28, 1) in [0, 1]."""


def find_doubted(logits: NDArray[np.float32], temperature: float, gate: float) -> NDArray[np.bool_]:
    """Find the pictures (N,) whose confidence, as the table has it, is under the gate.

    A reading as "not a digit" has the confidence of its digit, and is doubted too.
    """
    doubted: NDArray[np.bool_] = calibrate.predict_digits(logits, temperature).confidence < gate
    return doubted


class Cascade:
    """A quick and a careful network.

    Attributes:
        device: the device that they run on, by Keras's name.
    """

    def __init__(
        self,
        quick: DigitNetwork,
        load_careful: Callable[[], DigitNetwork],
        card: CarefulCard,
        temperature: float,
    ) -> None:
        """Join two networks.

        Args:
            quick: the network that reads everything.
            load_careful: loads the other one, when the first picture is doubted.
            card: the gate, and the careful network's temperature.
            temperature: the quick network's.
        """
        self.device = quick.device
        self._quick, self._load_careful = quick, load_careful
        self._careful: DigitNetwork | None = None
        self._card, self._temperature = card, temperature

    def logits(self, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the logits of pictures, as `predict.Classifier.logits` does.

        Those of the careful network are scaled: the quick one's temperature is right for all.
        """
        out = self._quick.logits(pictures)
        doubted = find_doubted(out, self._temperature, self._card.gate)
        if doubted.any():
            if self._careful is None:
                self._careful = self._load_careful()
            scale = np.float32(self._temperature / self._card.temperature)
            out[doubted] = self._careful.logits(pictures[doubted]) * scale
        return out
