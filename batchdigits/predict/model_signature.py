"""What a Keras model of single digits takes and gives, read off its layers."""

from collections.abc import Iterator
from typing import Any

from batchdigits.errors import ModelError


def check_signature(model: Any, classes: int) -> tuple[int, ...]:
    """Check what the model takes and gives; return the shape of one input."""
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
    """Tell by the last layer's configuration: softmax gives probabilities, linear logits."""
    last = _find_output_layer(model)
    config = last.get_config() if hasattr(last, "get_config") else {}
    if type(last).__name__ == "Softmax" or config.get("activation") == "softmax":
        return True
    if config.get("activation") in ("linear", "log_softmax"):  # a logarithm of itself is a logit
        return False
    raise ModelError(
        f"the model's last layer '{last.name}' is neither softmax nor linear: expected "
        f"probabilities or logits, got {type(last).__name__} with activation "
        f"{config.get('activation')!r}"
    )


def _find_output_layer(model: Any) -> Any:
    """Find what makes the model's output: its last layer, or operation, that is no mere wrapping.

    A functional model may end in another place than in the last of its layers.
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
    """Tell whether the model wants 0 to 255: integers, or a Rescaling layer before any weights."""
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
    """Go through layers in order, into those that hold layers themselves."""
    for layer in layers:
        if getattr(layer, "layers", None):
            yield from _walk_layers(layer.layers)
        else:
            yield layer
