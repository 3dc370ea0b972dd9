"""A plain Keras network becomes an ONNX graph, read from its `.keras` file without Keras.

Only what networks of single digits are made of is known: convolutions, pooling, dense layers and
ReLU, one behind the other. The graph is written as Protocol Buffers (onnx.proto3, IR version 9,
operators of version 17) by hand: importing the library for it takes as long as all the rest.
"""

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import ModelError

IR_VERSION, OPERATOR_VERSION = 9, 17
_FLOAT, _STRING, _INTS = 1, 3, 7  # of TensorProto.DataType, and of AttributeType
_PASSED_OVER = {"InputLayer", "Dropout"}


def build_onnx_model(place: Path, classes: int) -> bytes:
    """Build the ONNX model of a network of single digits: (N, 1, 28, 28) to logits (N, classes).

    Args:
        place: the `.keras` file.
        classes: number of its outputs.

    Raises:
        ModelError: the network has other layers, or another input or output.
    """
    try:
        layers, weights = _load_layers(place)
    except Exception as error:  # damaged in any way
        raise ModelError(f"'{place}' cannot be loaded for ONNX: {error}") from None
    graph = _Graph()
    for layer, arrays in zip(layers, weights, strict=True):
        kind, config = layer["class_name"], layer["config"]
        if kind == "InputLayer" and config["batch_shape"][1:] not in ([28, 28, 1], [28, 28]):
            raise ModelError(f"'{place}' does not read single digits of 28 x 28")
        if kind == "InputLayer" and config["dtype"] != "float32":
            raise ModelError(f"'{place}': --runtime onnx takes float32, not {config['dtype']}")
        if kind in _PASSED_OVER:
            continue
        try:
            graph.add_layer(kind, config, arrays)
        except (KeyError, ValueError) as error:
            raise ModelError(
                f"'{place}': --runtime onnx does not know its layer {kind} ({error}): leave "
                "--runtime out"
            ) from None
    if graph.outputs != classes:
        raise ModelError(f"'{place}': expected {classes} outputs, got {graph.outputs}")
    return graph.encode()


def _load_layers(place: Path) -> tuple[list[dict[str, Any]], list[list[NDArray[np.float32]]]]:
    """Load a Keras file's layers, in order, and the weights of each.

    Keras keeps weights by the kind of the layer, counted: `layers/conv2d`, `layers/conv2d_1`.
    """
    import h5py  # type: ignore[import-untyped]  # noqa: PLC0415  (slow to import)

    with zipfile.ZipFile(place) as archive:
        config = json.loads(archive.read("config.json"))
        stored = io.BytesIO(archive.read("model.weights.h5"))
    if config["class_name"] != "Sequential":
        raise ValueError("expected layers one behind the other (Sequential)")
    counts: Counter[str] = Counter()
    weights = []
    with h5py.File(stored) as file:
        for layer in config["config"]["layers"]:
            kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", layer["class_name"]).lower()
            name = f"layers/{kind}_{counts[kind]}" if counts[kind] else f"layers/{kind}"
            counts[kind] += 1
            own = file.get(f"{name}/vars", {})
            weights.append([np.asarray(own[key], np.float32) for key in sorted(own, key=int)])
    return config["config"]["layers"], weights


class _Graph:
    """A chain of operators.

    Attributes:
        outputs: how many values the last of them gives.
    """

    def __init__(self) -> None:
        self.outputs = 0
        self._nodes: list[bytes] = []
        self._tensors: list[bytes] = []
        self._last = "x"

    def add_layer(
        self, kind: str, config: dict[str, Any], arrays: Sequence[NDArray[np.float32]]
    ) -> None:
        """Add the operators of a layer.

        Raises:
            KeyError: its kind or activation is not known.
            ValueError: its settings are not.
        """
        if kind == "Conv2D":
            kernel, bias = arrays
            if config["groups"] != 1 or config["dilation_rate"] != [1, 1]:
                raise ValueError("groups or dilation")
            tensors = [np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)), bias]
            self._add_node("Conv", tensors, _list_window(config, config["kernel_size"]))
        elif kind == "MaxPooling2D":
            self._add_node("MaxPool", [], _list_window(config, config["pool_size"]))
        elif kind == "Flatten":  # Keras flattens with the channels last
            self._add_node("Transpose", [], [_encode_ints("perm", [0, 2, 3, 1])])
            self._add_node("Flatten", [], [])
        elif kind == "Dense":
            kernel, bias = arrays
            self._add_node("Gemm", [kernel, bias], [])
            self.outputs = len(bias)
        else:
            raise KeyError(kind)
        activation = config.get("activation", "linear")
        if activation == "relu":
            self._add_node("Relu", [], [])
        elif activation not in ("linear", "softmax"):  # softmax: its inputs are logits
            raise KeyError(activation)

    def _add_node(
        self, operator: str, tensors: Sequence[NDArray[np.float32]], attributes: Sequence[bytes]
    ) -> None:
        number = len(self._nodes)
        names = [f"w{number}_{n}" for n in range(len(tensors))]
        self._tensors += [
            _encode_tensor(name, one) for name, one in zip(names, tensors, strict=True)
        ]
        takes = [_encode_field(1, name) for name in (self._last, *names)]
        self._last = f"y{number}"
        self._nodes.append(
            b"".join([*takes, _encode_field(2, self._last), _encode_field(4, operator)])
            + b"".join(_encode_field(5, one) for one in attributes)
        )

    def encode(self) -> bytes:
        """Return the model as ONNX Runtime takes it."""
        graph = b"".join(_encode_field(1, one) for one in self._nodes) + _encode_field(2, "digits")
        graph += b"".join(_encode_field(5, one) for one in self._tensors)
        graph += _encode_field(11, _encode_value("x", ("n", 1, 28, 28)))
        graph += _encode_field(12, _encode_value(self._last, ("n", self.outputs)))
        operators = _encode_field(1, "") + _encode_field(2, OPERATOR_VERSION)
        return _encode_field(1, IR_VERSION) + _encode_field(7, graph) + _encode_field(8, operators)


def _list_window(config: dict[str, Any], size: Sequence[int]) -> list[bytes]:
    """List the attributes of a convolution or pooling."""
    if config["data_format"] != "channels_last":
        raise ValueError("channels first")
    padding = {"same": "SAME_UPPER", "valid": "VALID"}[config["padding"]]
    name = _encode_field(1, "auto_pad") + _encode_field(4, padding) + _encode_field(20, _STRING)
    return [_encode_ints("kernel_shape", size), _encode_ints("strides", config["strides"]), name]


def _encode_ints(name: str, numbers: Sequence[int]) -> bytes:
    return (
        _encode_field(1, name)
        + b"".join(_encode_field(8, one) for one in numbers)
        + _encode_field(20, _INTS)
    )


def _encode_tensor(name: str, array: NDArray[np.float32]) -> bytes:
    sides = b"".join(_encode_field(1, side) for side in array.shape)
    return (
        sides
        + _encode_field(2, _FLOAT)
        + _encode_field(8, name)
        + _encode_field(9, array.tobytes())
    )


def _encode_value(name: str, shape: Sequence[int | str]) -> bytes:
    sides = b"".join(
        _encode_field(
            1, _encode_field(1, side) if isinstance(side, int) else _encode_field(2, side)
        )
        for side in shape
    )
    tensor = _encode_field(1, _FLOAT) + _encode_field(2, sides)
    return _encode_field(1, name) + _encode_field(2, _encode_field(1, tensor))


def _encode_field(field: int, value: int | str | bytes) -> bytes:
    """Encode a field of a message: a number, or text, bytes or another message."""
    if isinstance(value, int):
        return _encode_number(field << 3) + _encode_number(value)
    data = value.encode() if isinstance(value, str) else value
    return _encode_number(field << 3 | 2) + _encode_number(len(data)) + data


def _encode_number(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
