"""Find out what a Keras model of single digits takes and returns: shapes, ranges, probabilities."""

from collections.abc import Iterator
from typing import Any

from batchdigits.errors import ModelError


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
