"""Pictures become logits: a Keras model, called on batches of one fixed size.

Only Keras's own API is used, so that any of its backends works. A batch always holds
`MODEL_BATCH_SIZE` pictures; the last batch is padded with empty ones. So the model is traced once,
and a digit gets the same bits whatever else is in its batch.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from batchdigits.errors import ModelError, UsageError
from batchdigits.options import Runtime
from batchdigits.predict import backend
from batchdigits.predict.bundle import (
    CAREFUL_FILE,
    DIGIT_CLASSES,
    NONE_CLASS,
    READER_FILE,
    Card,
    CarefulCard,
    NumberReaderCard,
    fingerprint_model,
    load_card,
    resolve_keras_path,
    resolve_model_path,
    resolve_reader_path,
)
from batchdigits.predict.cascade import (
    CAREFUL_BATCH_SIZE,
    Cascade,
    DigitNetwork,
    find_doubted,
)
from batchdigits.predict.classifier import MODEL_BATCH_SIZE, Classifier
from batchdigits.predict.number_reader import NumberReader
from batchdigits.predict.onnx_network import OnnxNetwork, check_onnx_runtime

__all__ = [
    "CAREFUL_BATCH_SIZE",
    "CAREFUL_FILE",
    "DIGIT_CLASSES",
    "MODEL_BATCH_SIZE",
    "NONE_CLASS",
    "Card",
    "CarefulCard",
    "Cascade",
    "Classifier",
    "DigitNetwork",
    "NumberReader",
    "NumberReaderCard",
    "OnnxNetwork",
    "check_onnx_runtime",
    "describe_devices",
    "find_doubted",
    "fingerprint_model",
    "load_card",
    "load_classifier",
    "load_keras_model",
    "load_network",
    "load_number_reader",
    "resolve_keras_path",
    "resolve_model_path",
    "resolve_reader_path",
    "start_keras",
]

log = logging.getLogger(__name__)

Made = TypeVar("Made")


def load_classifier(
    card: Card, *, device: str = "auto", runtime: Runtime = "tensorflow"
) -> DigitNetwork:
    """Load the model that a card describes; a careful network is loaded when it is needed.

    Args:
        card: of a bundle, or of a `.keras` file. The model must have input (28, 28) or
            (28, 28, 1), and an output for each of the card's classes: probabilities or logits.
        device: auto (the first GPU if there is one), cpu, gpu, or gpu:N.
        runtime: tensorflow (Keras, on its backend) or onnx.

    Raises:
        ModelError: the model cannot be loaded, or has another input or output.
        UsageError: there is no such GPU.
    """

    def load(place: Path, batch: int) -> DigitNetwork:
        if runtime == "onnx":
            return OnnxNetwork(place, batch, len(card.classes))
        return load_network(card, place, device=device, chunk=batch)

    quick = load(card.network, MODEL_BATCH_SIZE)
    if card.careful is None:
        return quick
    if not (place := card.place / CAREFUL_FILE).is_file():
        raise ModelError(f"'{card.place}': expected {CAREFUL_FILE}, which its card describes")

    return Cascade(quick, lambda: load(place, CAREFUL_BATCH_SIZE), card.careful, card.temperature)


def load_network(
    card: Card, place: Path, *, device: str = "auto", chunk: int = MODEL_BATCH_SIZE
) -> Classifier:
    """Load one network of a bundle.

    Args:
        card: of the bundle.
        place: the network's file.
        device: as for `load_classifier`.
        chunk: pictures per call.

    Raises:
        As `load_classifier`.
    """

    def made(model: Any, chosen: str) -> Classifier:
        classifier = Classifier(model, chosen, chunk, classes=len(card.classes))
        classifier.logits(np.zeros((1, 28, 28, 1), np.float32))
        return classifier

    return _load_traced_model(place, device, made)


def load_number_reader(card: Card, *, device: str = "auto") -> NumberReader:
    """Load the number reader of a bundle; `card.numbers` is None where there is none.

    Args:
        card: of the bundle.
        device: as for `load_classifier`.

    Raises:
        ModelError: the number reader cannot be loaded or used.
        UsageError: there is no such GPU.
    """

    def made(model: Any, chosen: str) -> NumberReader:
        reader = NumberReader(model, chosen)
        reader.logits([np.zeros((model.input_shape[1], 128), np.uint8)])
        return reader

    return _load_traced_model(card.place / READER_FILE, device, made)


def _load_traced_model(place: Path, device: str, made: Callable[[Any, str], Made]) -> Made:
    """Load a model on a device and call it once, so that it is traced while stderr is silenced."""
    with backend.silence_stderr():
        keras, found = _import_keras()
        chosen = _choose_device(device, found)
        with keras.device(chosen):
            model = load_keras_model(place)
            try:
                return made(model, chosen)
            except ModelError as error:
                raise ModelError(f"'{place}': {error}") from None
            except Exception as error:
                raise ModelError(_describe_model_error("called", place, error)) from None


def load_keras_model(place: Path, *, compiled: bool = False) -> Any:
    """Load a Keras model from a `.keras` file in safe mode: code in the file is not run.

    Args:
        place: the file.
        compiled: load the optimizer too, to continue training.

    Raises:
        ModelError: the file cannot be loaded as a Keras model.
    """
    import keras  # noqa: PLC0415  (heavy: only when called)

    try:
        return keras.saving.load_model(place, compile=compiled, safe_mode=True)
    except Exception as error:
        raise ModelError(_describe_model_error("loaded", place, error)) from None


def start_keras(device: str) -> tuple[Any, str]:
    """Start Keras for training; return the module and the device by Keras's name.

    Args:
        device: auto, cpu, gpu, or gpu:N.

    Raises:
        ModelError: Keras cannot start.
        UsageError: there is no such GPU.
    """
    keras, found = _import_keras()
    return keras, _choose_device(device, found)


def describe_devices() -> str:
    """Describe on one line Keras's backend and the GPUs it can use."""
    with backend.silence_stderr():
        keras, found = _import_keras()
    gpus = "no GPU" if not found else f"{found} GPU{'s' if found > 1 else ''}"
    return f"Keras backend {keras.config.backend()}: CPU, {gpus}"


def _import_keras() -> tuple[Any, int]:
    """Start Keras; return the module and the number of GPUs it can use."""
    backend.prepare_environment()
    try:
        import keras  # noqa: PLC0415  (heavy: only when called)

        return keras, backend.count_gpus()
    except (ImportError, ValueError) as error:
        raise ModelError(
            f"Keras cannot start: {error}; unset KERAS_BACKEND, or install that backend"
        ) from None


def _choose_device(wanted: str, found: int) -> str:
    """Return the device by Keras's name: `wanted` is as in the options, `found` counts GPUs."""
    if wanted == "cpu" or (wanted == "auto" and not found):
        return "cpu:0"
    number = int(wanted.partition(":")[2] or 0)
    if number >= found:
        raise UsageError(
            f"--device {wanted}: expected a GPU, found {found} that Keras can use; "
            "use --device cpu, or install batchdigits[gpu] and NVIDIA's driver"
        )
    return f"gpu:{number}"


def _describe_model_error(what: str, place: Path, error: Exception) -> str:
    text = str(error)
    if "Lambda" in text and "safe_mode" in text:
        return f"'{place}' holds Lambda layers, which can run any code: they are not loaded"
    lines = text.strip().splitlines() or [""]
    return (
        f"'{place}' cannot be {what}: expected a Keras 3 model of Keras's own layers; "
        f"{type(error).__name__}: {lines[0][:200]}"
    )
