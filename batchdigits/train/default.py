"""The recipe of the model that the package ships: small, quick, and taught what is no digit."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.classify import loaded
from batchdigits.errors import ModelError
from batchdigits.labelled import Labelled
from batchdigits.normalize import shares
from batchdigits.train import corpus

EPOCHS = 60
BATCH = 256
RATE, LEAST_RATE, DECAY = 2e-3, 1e-5, 1e-3
"""Of AdamW: the highest and the last learning rate, along a cosine, and the weights' decay."""
ONE_IN, MOST = 5, 500
"""Of each class of a set the last one in five is held out, at most so many."""

Tell = Callable[[str], None]


def held_out(found: Labelled) -> tuple[Labelled, Labelled]:
    """Part a set into what is trained on and what is not: the last of each class.

    The last, and not some by chance: neighbours in a set are often by one hand.
    """
    out = np.zeros(len(found.labels), bool)
    for label in np.unique(found.labels):
        places = np.flatnonzero(found.labels == label)
        out[places[len(places) - min(len(places) // ONE_IN, MOST) :]] = True
    return found.taken(np.flatnonzero(~out)), found.taken(np.flatnonzero(out))


def network() -> Any:
    """Build the network: (28, 28, 1) in [0, 1] → eleven logits, the last for "not a digit"."""
    import keras  # noqa: PLC0415  (heavy: only when called)
    from keras import layers  # noqa: PLC0415

    def convolution(filters: int, size: int, **more: Any) -> list[Any]:
        return [
            layers.Conv2D(filters, size, use_bias=False, **more),
            layers.BatchNormalization(),
            layers.Activation("relu"),
        ]

    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            *convolution(24, 5, strides=2, padding="same"),
            *convolution(32, 3, padding="same"),
            layers.MaxPooling2D(),
            *convolution(64, 3, padding="same"),
            *convolution(64, 3),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(11, dtype="float32"),
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


def fit(
    sets: Mapping[str, Labelled],
    *,
    count: int,
    seed: int,
    checkpoint: Path,
    tell: Tell = print,
) -> Any:
    """Train the network on labelled sets, altered anew in each of `count` epochs.

    Args:
        sets: what to learn from, each by its name; `held_out` is the caller's to do.
        count: number of epochs; the learning rate falls along a cosine over them.
        seed: makes the run repeatable on one machine, also where it was interrupted.
        checkpoint: a `.keras` file that the network is kept in after every epoch; where it is
            there, training goes on from it.
        tell: takes a line an epoch.

    Returns:
        The trained network with its normalisations folded in.

    Raises:
        ModelError: the checkpoint is of another training.
    """
    import keras  # noqa: PLC0415

    found = corpus.gather(sets)
    steps = math.ceil(corpus.epoch_size(found) / BATCH)
    name = f"default_{count}x{steps}_seed{seed}"
    keras.utils.set_random_seed(seed)
    model = _resumed(checkpoint, name) if checkpoint.exists() else _fresh(name, count * steps)
    first = int(model.optimizer.iterations) // steps
    shown = corpus.epochs(found, first=first, count=count, seed=seed)
    for epoch, (pictures, labels) in enumerate(shown, first):
        for layer in model.layers:
            if hasattr(layer, "seed_generator"):  # dropout: an epoch's chance is its own
                layer.seed_generator.state.assign([seed, epoch])
        loss = _epoch(model, pictures, labels)
        aside = checkpoint.with_suffix(".part.keras")
        model.save(aside)
        aside.replace(checkpoint)
        tell(f"epoch {epoch + 1} of {count}: loss {loss:.4f}")
    return folded(model)


def _fresh(name: str, steps: int) -> Any:
    import keras  # noqa: PLC0415

    model = network()
    model.name = name
    rate = keras.optimizers.schedules.CosineDecay(
        LEAST_RATE, steps, warmup_target=RATE, warmup_steps=max(1, steps // 20)
    )
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=DECAY),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


def _resumed(checkpoint: Path, name: str) -> Any:
    model = loaded(checkpoint, to_train=True)
    if model.name != name:
        raise ModelError(
            f"'{checkpoint}' is of another training ({model.name}, this is {name}): remove it, "
            "or give the same data, epochs and seed"
        )
    return model


def _epoch(model: Any, pictures: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
    """Show the network an epoch's pictures once; return the mean loss."""
    model.reset_metrics()
    loss = math.nan
    for at in range(0, len(labels), BATCH):
        shown = shares(pictures[at : at + BATCH, ..., np.newaxis])
        loss = model.train_on_batch(shown, labels[at : at + BATCH])  # the mean since the reset
    return float(loss)
