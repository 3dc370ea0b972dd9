"""The network that reads numbers written freely: a strip → what stands in each of its columns.

Convolutions bring a strip of any width to features of every fourth column. Blocks along the
columns, with attention over all of them, tell the odds of the ten digits, a separator, a flourish,
something that is no digit, and nothing new ("blank"). It is trained by connectionist temporal
classification (Graves and others, ICML 2006).
"""

from typing import Any

from batchdigits.normalize.strips import HEIGHT
from batchdigits.predict import backend

CLASSES = 14
"""Digits 0 to 9, separator, flourish, other, blank."""
SIGNS, OTHER, BLANK = (10, 11), 12, 13
STRIDE = 4
"""Columns of a strip for each that the network gives."""


FILTERS, FEATURES = (24, 40, 64, 96), 144
"""Filters of the convolutions, from the finest to the coarsest, and features of a column."""
BLOCKS, HEADS = 3, 4
"""Blocks that look along the columns; between them attention, with so many heads, sees them all."""


def network(dtype: str = "float32", dropout: float = 0.0) -> Any:
    """Build the network: (40, W, 1) in [0, 1] → (W / 4, 14) logits.

    Args:
        dtype: what Keras computes in, as its dtype policies are named; weights are float32.
        dropout: share of what the blocks see that is left out in training.
    """
    import keras  # noqa: PLC0415  (heavy: only when called)
    from keras import layers  # noqa: PLC0415

    strip = keras.Input((HEIGHT, None, 1))
    x = _build_convolutions(strip, dtype)
    for block in range(BLOCKS):
        x = layers.Add(dtype=dtype)([x, _build_neighbours(x, dtype, dropout)])
        if block < BLOCKS - 1:
            y = layers.LayerNormalization(dtype=dtype)(x)
            attention = layers.MultiHeadAttention(
                HEADS, FEATURES // HEADS, dropout=dropout, dtype=dtype
            )
            x = layers.Add(dtype=dtype)([x, attention(y, y)])
    x = layers.LayerNormalization(dtype="float32")(x)
    return keras.Model(strip, layers.Dense(CLASSES, dtype="float32")(x))


def _build_convolutions(strip: Any, dtype: str) -> Any:
    """Bring a strip (40, W, 1) to features of its columns: (W / 4, `FEATURES`)."""
    from keras import layers  # noqa: PLC0415

    def convolve(x: Any, filters: int, size: int | tuple[int, int], **more: Any) -> Any:
        x = layers.Conv2D(
            filters, size, use_bias=False, kernel_initializer="he_normal", dtype=dtype, **more
        )(x)
        return layers.BatchNormalization(momentum=0.97, dtype=dtype)(x)

    def activate(x: Any) -> Any:
        return layers.ReLU(dtype=dtype)(x)

    def refine(x: Any, filters: int) -> Any:
        y = activate(convolve(x, filters, 3, padding="same"))
        return activate(layers.Add(dtype=dtype)([x, convolve(y, filters, 3, padding="same")]))

    fine, mid, coarse, coarsest = FILTERS
    x = activate(convolve(strip, fine, 5, strides=2, padding="same"))
    x = activate(convolve(x, mid, 3, padding="same"))
    x = layers.MaxPooling2D(dtype=dtype)(x)
    x = refine(activate(convolve(x, coarse, 3, padding="same")), coarse)
    x = layers.MaxPooling2D((2, 1), dtype=dtype)(x)
    x = refine(activate(convolve(x, coarsest, 3, padding="same")), coarsest)
    x = layers.ZeroPadding2D((0, 1), dtype=dtype)(x)
    x = activate(convolve(x, FEATURES, (HEIGHT // 8, 3)))
    return layers.Reshape((-1, FEATURES), dtype=dtype)(x)


def _build_neighbours(x: Any, dtype: str, dropout: float) -> Any:
    """Look at columns (T, `FEATURES`) with their neighbours, as ConvNeXt does along one axis.

    Liu and others, "A ConvNet for the 2020s", CVPR 2022.
    """
    from keras import layers  # noqa: PLC0415

    y = layers.DepthwiseConv1D(7, padding="same", dtype=dtype)(x)
    y = layers.LayerNormalization(dtype=dtype)(y)
    y = layers.Dense(2 * FEATURES, activation="gelu", dtype=dtype)(y)
    y = layers.Dropout(dropout, dtype=dtype)(y)
    return layers.Dense(FEATURES, dtype=dtype)(y)


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
