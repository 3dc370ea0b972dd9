"""One network of single digits, called on batches of one fixed size."""

import logging
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import ModelError
from batchdigits.predict import backend
from batchdigits.predict.backend import check_signature, gives_probabilities, takes_bytes
from batchdigits.predict.bundle import DIGIT_CLASSES

log = logging.getLogger(__name__)

MODEL_BATCH_SIZE = 256
"""Pictures per call of the model. Of 64 to 2048 none was faster on two cores."""


class Classifier:
    """A loaded model that gives logits for pictures.

    Attributes:
        device: the device that it runs on, by Keras's name: `cpu:0`, `gpu:0`, …
    """

    def __init__(
        self,
        model: Any,
        device: str,
        chunk: int = MODEL_BATCH_SIZE,
        classes: int = len(DIGIT_CLASSES),
    ) -> None:
        """Wrap a Keras model of a checked shape.

        Args:
            model: has `predict_on_batch`; `load_classifier` lists what else it must have.
            device: by Keras's name.
            chunk: pictures per call.
            classes: number of outputs the model must have: ten, or eleven with "not a digit".

        Raises:
            ModelError: the model has another input or output.
        """
        self.device = device
        self._predict: Callable[[NDArray[np.float32]], Any] = model.predict_on_batch
        self._shape = check_signature(model, classes)
        self._classes = classes
        self._chunk = model.input_shape[0] or chunk  # a model may have a fixed batch size
        self._scale = np.float32(255 if takes_bytes(model) else 1)
        self._probabilities = gives_probabilities(model)

    def logits(self, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the logits of pictures.

        Args:
            pictures: float32, shape (N, 28, 28, 1), in [0, 1], as `normalize` returns them.

        Returns:
            float32, shape (N, 10) or (N, 11), one column per class: logarithms of the classes'
            probabilities, up to a constant per row. If the model returns probabilities, these are
            their logarithms.

        Raises:
            ModelError: a value is NaN or infinite.
        """
        out = np.zeros((len(pictures), self._classes), np.float32)
        start = 0
        while start < len(pictures):
            part = pictures[start : start + self._chunk]
            try:
                out[start : start + len(part)] = self._predict_batch(part)
            except Exception as error:
                if not backend.is_out_of_memory(error) or self._chunk == 1:
                    raise
                self._chunk = math.ceil(self._chunk / 2)
                log.warning("out of memory on %s: %d pictures at once", self.device, self._chunk)
                continue
            start += len(part)
        if not np.isfinite(out).all():
            raise ModelError("the model gives values that are no numbers (NaN or infinite)")
        return out

    def _predict_batch(self, part: NDArray[np.float32]) -> NDArray[np.float32]:
        import keras  # noqa: PLC0415  (heavy: only when called)

        filled = np.zeros((self._chunk, *self._shape), np.float32)
        filled[: len(part)] = part.reshape(len(part), *self._shape) * self._scale
        with keras.device(self.device):  # the default may be another
            out = np.asarray(self._predict(filled), np.float32)[: len(part)]
        if self._probabilities:
            out = np.log(np.maximum(out, np.finfo(np.float32).tiny))
        return out
