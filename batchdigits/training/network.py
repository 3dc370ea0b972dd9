"""The two networks of the default recipe: one that is quick, and one for what that one doubts.

They have no batch normalisation: layers that begin as He et al. propose and a clipped gradient
learn as well without, in less than half the time, and there is nothing to fold away afterwards.
"""

from typing import Any, Literal

from batchdigits.errors import ModelError

Kind = Literal["quick", "careful"]
KINDS: tuple[Kind, ...] = ("quick", "careful")


def network(kind: Kind, dtype: str = "float32") -> Any:
    """Build a network: (28, 28, 1) in [0, 1] → eleven logits, the last for "not a digit".

    The quick one costs a third of the network that shipped before it, the careful one four times
    as much (`jobs/bench/networks.py`).

    Args:
        kind: which of the two.
        dtype: what Keras computes in, as its dtype policies are named; weights are float32.
    """
    import keras  # noqa: PLC0415  (heavy: only when called)
    from keras import layers  # noqa: PLC0415

    def convolution(filters: int, size: int, strides: int = 1, padding: str = "same") -> Any:
        return layers.Conv2D(
            filters,
            size,
            strides=strides,
            padding=padding,
            activation="relu",
            kernel_initializer="he_normal",
            dtype=dtype,
        )

    if kind == "quick":
        body, dropout = (
            [convolution(16, 5, 2), convolution(32, 3, 2), convolution(48, 3, padding="valid")],
            0.1,
        )
    else:
        body, dropout = (
            [
                convolution(24, 3),
                convolution(48, 3, 2),
                convolution(48, 3),
                layers.MaxPooling2D(dtype=dtype),
                convolution(96, 3),
                convolution(96, 3),
                convolution(96, 3, padding="valid"),
            ],
            0.4,
        )
    end = [layers.Flatten(dtype=dtype), layers.Dropout(dropout, dtype=dtype), layers.Dense(11)]
    return keras.Sequential([keras.Input((28, 28, 1)), *body, *end])


def with_weights_of(model: Any, kind: Kind, dtype: str = "float32") -> Any:
    """Build a network with the weights of another one, which may compute in another dtype.

    Raises:
        ModelError: the other is of another kind or recipe.
    """
    out = network(kind, dtype)
    shapes, wanted = ([tuple(w.shape) for w in one.weights] for one in (model, out))
    if shapes != wanted:
        raise ModelError(
            f"the model to start from is not of recipe default: expected weights {wanted}, "
            f"got {shapes}"
        )
    out.set_weights(model.get_weights())
    return out
