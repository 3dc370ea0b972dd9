"""What Keras's own API does not offer: start-up lines, devices, memory, a model's signature.

Keras runs on TensorFlow, JAX or PyTorch (KERAS_BACKEND). This is the only module that imports one
of the three by name: for devices and GPU memory, determinism, and a faster CTC loss.
"""

import faulthandler
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from batchdigits.errors import BatchdigitsError, ModelError

OUT_OF_MEMORY = ("RESOURCE_EXHAUSTED", "OOM when allocating", "out of memory", "Out of memory")
"""What the three backends' errors say when a GPU runs out of memory."""


@contextmanager
def silence_stderr() -> Iterator[None]:
    """Hide what native libraries print on standard error, unless an unexpected error is raised.

    TensorFlow prints start-up lines there whatever its log level. They go to a temporary file. When
    the body raises an error that is not a `BatchdigitsError`, they are printed after all. A crash
    still leaves a trace on the real standard error.
    """
    try:
        kept, aside = os.dup(2), tempfile.TemporaryFile()  # noqa: SIM115
    except OSError:  # a service may run without standard error, or without a temporary folder
        yield
        return
    with os.fdopen(kept, "wb", buffering=0) as real, aside:
        watched = faulthandler.is_enabled()
        faulthandler.enable(real)
        _flush_stderr()
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BatchdigitsError:
            raise
        except Exception:
            aside.seek(0)
            with suppress(OSError):
                real.write(aside.read())
            raise
        finally:
            _flush_stderr()
            os.dup2(real.fileno(), 2)
            faulthandler.disable()
            if watched:
                faulthandler.enable(2)


def _flush_stderr() -> None:
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()


def prepare_environment() -> None:
    """Set the variables that Keras needs before its import; those the user has set stay."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if not _is_private_home(os.path.expanduser("~")):
        # Keras would read its settings from /tmp, where anybody can write. A path below a device
        # holds nothing, and nothing can be created there.
        os.environ.setdefault("KERAS_HOME", os.path.join(os.devnull, "keras"))


def _is_private_home(home: str) -> bool:
    """Return whether the user can write to a home folder, and not everybody can."""
    try:
        return os.access(home, os.W_OK) and not os.stat(home).st_mode & stat.S_IWOTH
    except OSError:
        return False


def count_gpus() -> int:
    """Count the GPUs that Keras's backend can use; TensorFlow then takes memory as needed."""
    import keras  # noqa: PLC0415  (heavy: only when called)

    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow  # noqa: PLC0415

        found = tensorflow.config.list_physical_devices("GPU")
        for gpu in found:
            try:
                tensorflow.config.experimental.set_memory_growth(gpu, True)
            except (RuntimeError, ValueError):  # in use or configured already: no harm
                break
        return len(found)
    if backend == "jax":
        import jax  # noqa: PLC0415

        return sum(device.platform == "gpu" for device in jax.devices())
    if backend == "torch":
        import torch  # noqa: PLC0415

        return int(torch.cuda.device_count())
    return 0


def enable_determinism() -> None:
    """Make TensorFlow use only operations that give the same bits every time.

    This holds for the rest of the process. The caller sets the seeds (`keras.utils`).
    """
    import keras  # noqa: PLC0415  (heavy: only when called)

    if keras.config.backend() == "tensorflow":
        import tensorflow  # noqa: PLC0415

        tensorflow.config.experimental.enable_op_determinism()


def compute_ctc_loss(labels: Any, logits: Any, blank: int) -> Any:
    """Compute the CTC loss, with TensorFlow's own kernel where TensorFlow is the backend.

    Keras's loss takes half as long again: it goes column by column in many small steps.

    Args:
        labels: int32, shape (N, L), padded with `blank`.
        logits: shape (N, T, classes); `blank` is the last class.
        blank: index of the blank class.

    Returns:
        Negative log-likelihoods, shape (N,).
    """
    import keras  # noqa: PLC0415  (heavy: only when called)
    from keras import ops  # noqa: PLC0415

    frames = ops.full((ops.shape(logits)[0],), ops.shape(logits)[1], dtype="int32")
    if keras.config.backend() != "tensorflow":
        lengths = ops.sum(ops.cast(labels != blank, "int32"), axis=1)
        return ops.ctc_loss(labels, logits, lengths, frames, mask_index=blank)
    import tensorflow  # noqa: PLC0415

    there = tensorflow.where(labels != blank)
    sparse = tensorflow.SparseTensor(
        there,
        tensorflow.gather_nd(labels, there),
        tensorflow.shape(labels, out_type=tensorflow.int64),
    )
    return tensorflow.compat.v1.nn.ctc_loss(sparse, tensorflow.transpose(logits, [1, 0, 2]), frames)


def choose_training_dtype() -> str:
    """Choose Keras's dtype policy for training: 16 bits where the processor has AMX for them.

    With AMX an epoch takes less than half the time; without it 16 bits are slower.
    """
    with suppress(OSError):
        if "amx_bf16" in Path("/proc/cpuinfo").read_text("ascii", "replace"):
            return "mixed_bfloat16"
    return "float32"


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an exception of any backend means that the device ran out of memory."""
    text = f"{type(error).__name__}: {error}"
    return isinstance(error, MemoryError) or any(words in text for words in OUT_OF_MEMORY)


def check_signature(model: Any, classes: int) -> tuple[int, ...]:
    """Check the shapes of a model's input and output; return the shape of one input.

    Raises:
        ModelError: the model does not read single digits, or has another number of classes.
    """
    takes, gives = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
    if not (
        isinstance(takes, tuple)
        and isinstance(gives, tuple)
        and takes[1:] in ((28, 28), (28, 28, 1))
        and gives[1:] == (classes,)
    ):
        raise ModelError(
            "the model does not read single digits: expected input (28, 28) or (28, 28, 1) and "
            f"{classes} outputs, got input {takes} and output {gives} (the first is the batch)"
        )
    return tuple(takes[1:])


def gives_probabilities(model: Any) -> bool:
    """Return whether the last layer returns probabilities (softmax) or logits (linear).

    Raises:
        ModelError: the last layer is neither.
    """
    last = _find_output_layer(model)
    config = last.get_config() if hasattr(last, "get_config") else {}
    if type(last).__name__ == "Softmax" or config.get("activation") == "softmax":
        return True
    if config.get("activation") in ("linear", "log_softmax"):  # log(softmax) is a logit
        return False
    raise ModelError(
        f"the model's last layer '{last.name}' is neither softmax nor linear: expected "
        f"probabilities or logits, got {type(last).__name__} with activation "
        f"{config.get('activation')!r}"
    )


def _find_output_layer(model: Any) -> Any:
    """Find the layer or operation that makes the model's output, inside any nested models.

    The output of a functional model need not come from the last of its layers.
    """
    outputs = getattr(model, "outputs", None)
    if outputs and hasattr(outputs[0], "_keras_history"):
        last = outputs[0]._keras_history.operation
    else:
        last = model.layers[-1]
    while getattr(last, "layers", None):
        last = [x for x in last.layers if type(x).__name__ not in ("Dropout", "Reshape")][-1]
    return last


def takes_bytes(model: Any) -> bool:
    """Return whether the model takes pictures in 0 to 255 instead of 0 to 1.

    It does if it takes integers, or has a Rescaling layer before any weights.
    """
    inputs = getattr(model, "inputs", None)
    if inputs and "int" in str(inputs[0].dtype):
        return True
    for layer in _walk_layers(model.layers):
        if type(layer).__name__ == "Rescaling":
            scale = layer.get_config()["scale"]
            return isinstance(scale, int | float) and scale < 0.1
        if getattr(layer, "weights", None):
            return False
    return False


def _walk_layers(layers: list[Any]) -> Iterator[Any]:
    """Yield layers in order; of a nested model its own layers."""
    for layer in layers:
        if getattr(layer, "layers", None):
            yield from _walk_layers(layer.layers)
        else:
            yield layer
