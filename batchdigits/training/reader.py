"""The network that reads numbers written freely: a strip → what stands in each of its columns.

Convolutions alone, over a strip of any width: every fourth column gets the odds of the ten digits,
a separator, a flourish, something that is no digit, and nothing new ("blank"), and is trained by
connectionist temporal classification (Graves and others, ICML 2006).
"""

from typing import Any

from batchdigits.normalize.strips import HEIGHT
from batchdigits.predict import backend

CLASSES = 14
"""Digits 0 to 9, separator, flourish, other, blank."""
SIGNS, OTHER, BLANK = (10, 11), 12, 13
STRIDE = 4
"""Columns of a strip for each that the network gives."""


def network(dtype: str = "float32", dropout: float = 0.0) -> Any:
    """Build the network: (40, W, 1) in [0, 1] → (W / 4, 14) logits.

    Args:
        dtype: what Keras computes in, as its dtype policies are named; weights are float32.
        dropout: share of what the last layers see that is left out in training.
    """
    import keras  # noqa: PLC0415  (heavy: only when called)
    from keras import layers  # noqa: PLC0415

    def convolution(filters: int, size: int | tuple[int, int], **more: Any) -> Any:
        return layers.Conv2D(
            filters, size, activation="relu", kernel_initializer="he_normal", dtype=dtype, **more
        )

    strip = keras.Input((HEIGHT, None, 1))
    x = convolution(24, 5, strides=2, padding="same")(strip)
    x = convolution(48, 3, padding="same")(x)
    x = layers.MaxPooling2D(dtype=dtype)(x)
    x = convolution(64, 3, padding="same")(x)
    x = convolution(80, 3, padding="same")(x)
    x = layers.MaxPooling2D((2, 1), dtype=dtype)(x)
    x = convolution(96, 3, padding="same")(x)
    x = layers.ZeroPadding2D((0, 1), dtype=dtype)(x)
    x = convolution(128, (HEIGHT // 8, 3))(x)
    x = layers.Dropout(dropout, dtype=dtype)(x)
    x = convolution(128, (1, 3), padding="same")(x)
    x = convolution(128, (1, 3), padding="same", dilation_rate=(1, 2))(x)
    x = layers.Dropout(dropout, dtype=dtype)(x)
    x = layers.Conv2D(CLASSES, 1, dtype="float32")(x)
    return keras.Model(strip, layers.Reshape((-1, CLASSES), dtype="float32")(x))


def loss(labels: Any, logits: Any) -> Any:
    """Give each string's negative log-likelihood, summed over all ways to lay it along the strip.

    Args:
        labels: shape (N, 1 + L): first 1 where separators and flourishes are not in the label
            though they may be in the picture, else 0; then the classes, filled up with `BLANK`.
        logits: shape (N, T, CLASSES).

    Returns:
        Shape (N,). Where signs may be there untold, they count as blank.
    """
    from keras import ops  # noqa: PLC0415  (heavy: only when called)

    labels = ops.cast(labels, "int32")
    untold, string = labels[:, :1], labels[:, 1:]
    logits = ops.log_softmax(logits, axis=-1)
    signs = logits[..., SIGNS[0] : SIGNS[-1] + 1]
    other = logits[..., OTHER : OTHER + 1]
    blank = ops.logsumexp(
        ops.concatenate([signs, logits[..., BLANK:]], axis=-1), axis=-1, keepdims=True
    )
    merged = ops.concatenate(
        [logits[..., : SIGNS[0]], ops.full_like(signs, -30.0), other, blank], axis=-1
    )
    logits = ops.where(untold[..., None] > 0, merged, logits)
    return backend.compute_ctc_loss(string, logits, BLANK)
