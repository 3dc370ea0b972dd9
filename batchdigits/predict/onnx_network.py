"""One network of single digits, run by ONNX Runtime: it starts at once, and on the CPU alone."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import ModelError, UsageError
from batchdigits.predict.onnx_graph import build_onnx_model


def check_onnx_runtime(device: str) -> None:
    """Check that ONNX Runtime is installed and can run on a device.

    Raises:
        UsageError: it is not, or the device is a GPU.
    """
    if device.startswith("gpu"):
        raise UsageError(f"--runtime onnx runs on the CPU: leave it out for --device {device}")
    if find_spec("onnxruntime") is None:
        raise UsageError("--runtime onnx needs ONNX Runtime: pip install 'batchdigits[onnx]'")


class OnnxNetwork:
    """A network of single digits; as `Classifier`, it is called on batches of one fixed size.

    Attributes:
        device: the device that it runs on.
    """

    def __init__(self, place: Path, batch: int, classes: int) -> None:
        """Load a network from its `.keras` file.

        Args:
            place: the file.
            batch: pictures per call; the last call is padded, so that no picture's bits depend on
                those beside it.
            classes: number of outputs that it must have.

        Raises:
            ModelError: it cannot be loaded, or has layers that are not known here.
        """
        import onnxruntime  # noqa: PLC0415  (slow to import)

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # threads that spin while they wait would take the processors from the workers
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                build_onnx_model(place, classes), options, providers=["CPUExecutionProvider"]
            )
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(f"'{place}' cannot be run by ONNX Runtime: {error}") from None
        self.device = "cpu:0"
        self._batch, self._classes = batch, classes

    def logits(self, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute logits of pictures; see `Classifier.logits`.

        Raises:
            ModelError: a value is NaN or infinite.
        """
        out = np.zeros((len(pictures), self._classes), np.float32)
        for start in range(0, len(pictures), self._batch):
            part = pictures[start : start + self._batch]
            filled = np.zeros((self._batch, 1, 28, 28), np.float32)
            filled[: len(part)] = part.reshape(len(part), 1, 28, 28)
            out[start : start + len(part)] = self._session.run(None, {"x": filled})[0][: len(part)]
        if not np.isfinite(out).all():
            raise ModelError("the model gives values that are no numbers (NaN or infinite)")
        return out
