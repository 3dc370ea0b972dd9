"""Strips of whole numbers become odds for each of their columns, by the bundle's number reader."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import ModelError
from batchdigits.records import GreyImage

READER_CLASS_COUNT = 14
"""Classes of the network: digits 0 to 9, a separator, a flourish, something else, and blank."""
MODEL_BATCH_COLUMNS = 2048
"""Columns of strips per call. Strips of one width share a call, and a call is always full. With
8,192 a strip costs a quarter less CPU, but a page with few strips of a width three times as much.
"""


class NumberReader:
    """A loaded network that reads strips."""

    def __init__(self, model: Any, device: str) -> None:
        """Wrap a Keras model.

        Args:
            model: takes (height, any width, 1), returns (columns, `READER_CLASS_COUNT`) logits.
            device: by Keras's name.

        Raises:
            ModelError: the model has another input or output.
        """
        takes: tuple[Any, ...] = getattr(model, "input_shape", ())
        gives: tuple[Any, ...] = getattr(model, "output_shape", ())
        if len(takes) != 4 or len(gives) != 3 or takes[-1] != 1 or gives[-1] != READER_CLASS_COUNT:
            raise ModelError(
                "the number reader does not read strips: expected input (height, None, 1) and "
                f"output (None, {READER_CLASS_COUNT}), got {takes} and {gives} (the first is the "
                "batch)"
            )
        self.device = device
        self._model = model

    def logits(self, strips: Sequence[GreyImage]) -> list[NDArray[np.float32]]:
        """Compute the logits of strips.

        Args:
            strips: uint8, each (height, width), as `normalize.strips.strip` returns them.

        Returns:
            For each strip float32, shape (columns, `READER_CLASS_COUNT`). It does not depend on
            which other strips are read with it.

        Raises:
            ModelError: a value is NaN or infinite.
        """
        empty = np.zeros((0, READER_CLASS_COUNT), np.float32)
        out: list[NDArray[np.float32]] = [empty] * len(strips)
        by_width: dict[int, list[int]] = {}
        for at, strip in enumerate(strips):
            by_width.setdefault(strip.shape[1], []).append(at)
        for width, places in by_width.items():
            size = math.ceil(MODEL_BATCH_COLUMNS / width)
            for start in range(0, len(places), size):
                part = places[start : start + size]
                found = self._predict_batch([strips[at] for at in part], size)
                for at, logits in zip(part, found, strict=True):
                    out[at] = logits
        return out

    def _predict_batch(self, strips: Sequence[GreyImage], size: int) -> NDArray[np.float32]:
        """Call the model on strips of one width, padded with empty strips to `size`."""
        import keras  # noqa: PLC0415  (heavy: only when called)

        filled = np.zeros((size, *strips[0].shape, 1), np.float32)
        filled[: len(strips), ..., 0] = np.stack(strips)
        filled /= np.float32(255)
        with keras.device(self.device):
            out = np.asarray(self._model.predict_on_batch(filled), np.float32)[: len(strips)]
        if not np.isfinite(out).all():
            raise ModelError("the number reader gives values that are no numbers")
        return out
