"""The network of the default recipe: as it is trained, and as it is shipped."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import ModelError


def network(dtype: str = "float32") -> Any:
    """Build the network: (28, 28, 1) in [0, 1] → eleven logits, the last for "not a digit".

    Args:
        dtype: what Keras computes in, as its dtype policies are named; weights are float32.
    """
    import keras  # noqa: PLC0415  (heavy: only when called)
    from keras import layers  # noqa: PLC0415

    def convolution(filters: int, size: int, **more: Any) -> list[Any]:
        return [
            layers.Conv2D(filters, size, use_bias=False, dtype=dtype, **more),
            layers.BatchNormalization(momentum=0.97, dtype=dtype),  # short trainings settle too
            layers.Activation("relu", dtype=dtype),
        ]

    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            *convolution(24, 5, strides=2, padding="same"),
            *convolution(32, 3, padding="same"),
            layers.MaxPooling2D(dtype=dtype),
            *convolution(64, 3, padding="same"),
            *convolution(64, 3),
            layers.Flatten(dtype=dtype),
            layers.Dropout(0.3, dtype=dtype),
            layers.Dense(11),
        ]
    )


def folded(model: Any) -> Any:
    """Fold each batch normalisation into the convolution before it: the same outputs, faster.

    A convolution w·x, normalised as g·(w·x - m)/sqrt(v + e) + b, is the convolution
    (w·g/s)·x + (b - m·g/s) with s = sqrt(v + e).
    """
    import keras  # noqa: PLC0415
    from keras import layers  # noqa: PLC0415

    plain, weights = [keras.Input(model.input_shape[1:])], []
    for layer in model.layers:
        config = layer.get_config() | {"dtype": "float32"}
        if isinstance(layer, layers.Conv2D):
            config |= {"use_bias": True, "activation": "relu"}
            plain.append(layers.Conv2D.from_config(config))
            kernel = layer.get_weights()[0]
        elif isinstance(layer, layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            scale = gamma / np.sqrt(variance + layer.epsilon)
            weights += [kernel * scale, beta - mean * scale]
        elif not isinstance(layer, layers.Activation | layers.Dropout):
            plain.append(layer.__class__.from_config(config))
            weights += layer.get_weights()
    out = keras.Sequential(plain)
    out.set_weights(weights)
    return out


def unfold(plain: Any, model: Any, pictures: NDArray[np.float32]) -> None:
    """Give a network the weights of one that was folded, so that it computes the same.

    A normalisation is undone by itself where its scale and shift are the deviation and the mean
    of what comes in; these are measured on the pictures.

    Args:
        plain: as from `folded`.
        model: as from `network`, of the same layers.
        pictures: float32, shape (N, 28, 28, 1), in [0, 1], a few thousand.

    Raises:
        ModelError: the first is of another recipe.
    """
    import keras  # noqa: PLC0415
    from keras import layers  # noqa: PLC0415

    shapes = [tuple(w.shape) for w in plain.weights]
    wanted = [tuple(w.shape) for w in folded(model).weights]
    if shapes != wanted:
        raise ModelError(
            f"the model to start from is not of recipe default: expected weights {wanted}, "
            f"got {shapes}"
        )
    given, seen = iter(plain.weights), pictures
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D):
            layer.set_weights([next(given)])
            bias = np.asarray(next(given))
            seen = np.asarray(layer(seen), np.float32)
        elif isinstance(layer, layers.BatchNormalization):
            mean, variance = seen.mean(axis=(0, 1, 2)), seen.var(axis=(0, 1, 2))
            scale = np.sqrt(variance + layer.epsilon)
            layer.set_weights([scale, mean + bias, mean, variance])
            seen = seen + bias
        elif layer.weights:
            layer.set_weights([next(given) for _ in layer.weights])
        elif not isinstance(layer, layers.Dropout):
            seen = np.asarray(keras.ops.cast(layer(seen), "float32"))
