"""Two networks as one: a quick one reads every picture, a careful one what the quick one doubts."""

import math
from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits import calibrate
from batchdigits.predict.bundle import CarefulCard

CAREFUL_BATCH_SIZE = 32
"""Pictures per call of the careful network: few are doubted, and a padded batch costs the same."""

LOOK_LEANS = (0.12, -0.12)
"""By how many columns for each row upwards pictures lean in the further looks at a field."""
MIN_REST = 1e-9
"""Least probability that all but the likeliest digit are taken to have together."""


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
            out[doubted] = self._read_carefully(pictures[doubted])
        return out

    def read_fields(self, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the logits of the boxes of fields: each is looked at several times.

        In a field, small doubts multiply. Both networks read each picture, the careful one also
        leaning to either side, and their probabilities are averaged, so that one look that doubts
        is heard. The looks make different mistakes: what they agree on is surer than each of them
        says. So the odds of the likeliest digit are raised to the card's `field_power` and rise by
        its `field_odds`, which were fitted on fields.

        Args:
            pictures: as for `logits`.

        Returns:
            As `logits`, to be read with the quick network's temperature.
        """
        looks = [self._quick.logits(pictures), self._read_carefully(pictures)]
        looks += [self._read_carefully(lean_pictures(pictures, lean)) for lean in LOOK_LEANS]
        shares = [calibrate.compute_probabilities(look, self._temperature) for look in looks]
        share = np.maximum(np.mean(shares, axis=0), np.finfo(np.float64).tiny)
        logs, best = np.log(share), share.argmax(axis=1)
        raised = np.flatnonzero(best < calibrate.DIGIT_COUNT)
        at = raised, best[raised]
        likeliest = share[at]
        share[at] = 0.0
        odds = np.log(likeliest) - np.log(np.maximum(share[raised].sum(axis=1), MIN_REST))
        logs[at] += (self._card.field_power - 1) * odds + math.log(self._card.field_odds)
        return np.asarray(logs * self._temperature, np.float32)

    def _read_carefully(self, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the careful network's logits, scaled for the quick one's temperature."""
        if self._careful is None:
            self._careful = self._load_careful()
        scale = np.float32(self._temperature / self._card.temperature)
        return self._careful.logits(pictures) * scale


def lean_pictures(pictures: NDArray[np.float32], lean: float) -> NDArray[np.float32]:
    """Let pictures (N, 28, 28, 1) lean about their middle row.

    Args:
        pictures: float32.
        lean: columns to the right for each row upwards.
    """
    middle = (pictures.shape[1] - 1) / 2
    back = np.array([[1, lean, -lean * middle], [0, 1, 0]])
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    size = (pictures.shape[2], pictures.shape[1])
    out = np.zeros_like(pictures)
    for n, picture in enumerate(pictures):
        out[n, ..., 0] = cv2.warpAffine(picture[..., 0], back, size, flags=flags)
    return out
