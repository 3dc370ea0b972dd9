"""Train a network on labelled digits and write it as a model bundle.

What the network sees in training has gone through the same `normalize` as what it sees in
prediction: digits are first altered as pens, hands and scanners alter them, and then normalised.
"""

import json
import math
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits import calibrate
from batchdigits.normalize import VERSION, grey_levels, normalize, shares
from batchdigits.records import Grey

UNALTERED = 0.15
"""Share of the digits that an epoch shows as they are."""
SHARD = 4000
"""Digits that one process alters at a time."""

Labelled = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Digits, shape (N, 28, 28), ink light on dark, and their labels, shape (N,)."""
Card = dict[str, Any]


def alter(digit: Grey, random: np.random.Generator) -> Grey:
    """Alter a digit as another hand, pen and scanner would have made it.

    Args:
        digit: uint8, shape (28, 28), ink light on dark.
        random: where the chance comes from.

    Returns:
        uint8, shape (56, 56), ink light on dark: turned by up to 15 degrees, slanted by up to
        0.35, stretched by up to a fifth, strokes thinner or bolder, sharp or soft, at times
        one-bit, at times as coarse as a fax.
    """
    turn, slant = np.radians(random.uniform(-15, 15)), random.uniform(-0.35, 0.35)
    across, down = 2 * np.exp(random.uniform(-0.2, 0.2, 2))
    cos, sin = np.cos(turn), np.sin(turn)
    matrix = np.array([[cos, -sin], [sin, cos]]) @ [[across, slant * down], [0, down]]
    centre = np.array([27.5, 27.5]) - matrix @ [13.5, 13.5]
    out = cv2.warpAffine(digit, np.column_stack([matrix, centre]), (56, 56), flags=cv2.INTER_CUBIC)
    out = _other_pen(out, random)
    if random.random() < 0.3:
        side = int(random.integers(18, 40))
        out = cv2.resize(out, (side, side), interpolation=cv2.INTER_AREA)
        if random.random() < 0.5:
            out = np.where(out > random.uniform(70, 150), 255, 0).astype(np.uint8)
        out = cv2.resize(out, (56, 56), interpolation=cv2.INTER_LINEAR)
    altered: Grey = out
    return altered


def _other_pen(digit: Grey, random: np.random.Generator) -> Grey:
    """Make strokes thinner or bolder, and softer or one-bit, by chance."""
    pen = random.random()
    if pen < 0.45:
        wide = int(random.integers(2, 4))
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (wide, wide))
        digit = cv2.erode(digit, kernel) if pen < 0.2 else cv2.dilate(digit, kernel)
    if random.random() < 0.4:
        digit = cv2.GaussianBlur(digit, (0, 0), random.uniform(0.5, 1.6))
    if random.random() < 0.25:
        digit = np.where(digit > random.uniform(60, 160), 255, 0).astype(np.uint8)
    return digit


def _altered_shard(digits: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Alter and normalise digits (N, 28, 28) → pictures (N, 28, 28)."""
    cv2.setNumThreads(1)
    random = np.random.default_rng(seed)
    crops = [d if random.random() < UNALTERED else alter(d, random) for d in digits]
    found = grey_levels(crops, invert="no")
    pictures = found.pictures[..., 0]
    lost = found.extent.max(1) == 0
    pictures[lost] = digits[lost]
    return pictures


def epochs(digits: NDArray[np.uint8], *, count: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    """Give `count` alterations of all digits (N, 28, 28), each made while the last is used."""
    with ProcessPoolExecutor(1, mp_context=get_context("forkserver")) as pool:

        def start(epoch: int) -> list[Any]:
            shards = range(0, len(digits), SHARD)
            first = seed + epoch * len(digits)
            return [pool.submit(_altered_shard, digits[s : s + SHARD], first + s) for s in shards]

        waiting = start(0)
        for epoch in range(count):
            ready = np.concatenate([future.result() for future in waiting])
            if epoch + 1 < count:
                waiting = start(epoch + 1)
            yield ready


def network() -> Any:
    """Build the network: (28, 28, 1) in [0, 1] → ten logits; 2.9 million multiplications."""
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
            *convolution(48, 3, padding="same"),
            *convolution(64, 3),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(10),
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
        if isinstance(layer, layers.Conv2D):
            config = layer.get_config() | {"use_bias": True, "activation": "relu"}
            plain.append(layers.Conv2D.from_config(config))
            kernel = layer.get_weights()[0]
        elif isinstance(layer, layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            scale = gamma / np.sqrt(variance + layer.epsilon)
            weights += [kernel * scale, beta - mean * scale]
        elif not isinstance(layer, layers.Activation | layers.Dropout):
            plain.append(layer.__class__.from_config(layer.get_config()))
            weights += layer.get_weights()
    out = keras.Sequential(plain)
    out.set_weights(weights)
    return out


def fit(
    digits: NDArray[np.uint8], labels: NDArray[np.int64], *, count: int, seed: int, keep: Path
) -> Any:
    """Train the network on digits, altered anew in each of `count` epochs.

    Args:
        digits: uint8, shape (N, 28, 28), ink light on dark.
        labels: shape (N,), 0 to 9.
        count: number of epochs; the learning rate falls along a cosine over them.
        seed: makes the run repeatable.
        keep: a `.keras` file the network is saved to after every epoch.

    Returns:
        The trained network with its normalisations folded in.
    """
    import keras  # noqa: PLC0415

    keras.utils.set_random_seed(seed)
    model = network()
    batch = 128
    steps = count * math.ceil(len(digits) / batch)
    rate = keras.optimizers.schedules.CosineDecay(
        1e-5, steps, warmup_target=2e-3, warmup_steps=max(1, steps // 20)
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=1e-3)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    for epoch, pictures in enumerate(epochs(digits, count=count, seed=seed)):
        print(f"epoch {epoch + 1} of {count}", flush=True)
        x = shares(pictures[..., np.newaxis])
        model.fit(x, labels, batch_size=batch, verbose=2)
        model.save(keep)
    return folded(model)


def card_for(model: Any, *, name: str, held_out: Labelled, test: Labelled) -> Card:
    """Calibrate a model on held-out digits, measure it, and describe it in a card.

    Args:
        model: as `fit` returns it.
        name: what the card calls it.
        held_out: digits (N, 28, 28) and labels that were not trained on; temperature and
            threshold are fitted on them, as they are and altered.
        test: digits and labels that serve for no choice at all; for the card's figures.

    Returns:
        What `card.json` holds: see `batchdigits.classify.Card`.
    """
    digits, labels = held_out
    pictures = np.concatenate([_altered_shard(digits, seed) for seed in range(4)])
    pictures = np.concatenate([_pictures(digits), shares(pictures[..., np.newaxis])])
    logits = model.predict(pictures, batch_size=256, verbose=0)
    repeated = np.tile(labels, 5)
    temperature = calibrate.fit_temperature(logits, repeated)
    seen = calibrate.judged(logits, temperature)
    threshold = calibrate.default_threshold(
        calibrate.readings(seen.confidence, seen.digit == repeated)
    )
    # A bound on errors wants values that are independent: of each digit one of its five forms.
    once = np.arange(len(digits)) + len(digits) * (np.arange(len(digits)) % 5)
    readings = calibrate.readings(seen.confidence[once], seen.digit[once] == labels)
    tested = model.predict(_pictures(test[0]), batch_size=256, verbose=0)
    found = calibrate.judged(tested, temperature)
    right = found.digit == test[1]
    ok = found.confidence >= threshold
    return {
        "name": name,
        "classes": list("0123456789"),
        "preprocessing": VERSION,
        "calibration": {
            "temperature": round(temperature, 4),
            "fitted on": f"{len(digits)} held-out digits, as they are and altered four times",
            "readings": [list(one) for one in readings],
        },
        "threshold": threshold,
        "measured": {
            "digits": len(right),
            "right": round(float(right.mean()), 4),
            "for review": round(float(1 - ok.mean()), 4),
            "wrong among ok": int((ok & ~right).sum()),
        },
    }


def write_bundle(place: Path, model: Any, card: Card) -> None:
    """Write a bundle's two files into the folder `place`, which is made where it is missing."""
    place.mkdir(parents=True, exist_ok=True)
    model.save(place / "model.keras")
    text = json.dumps(card, indent=2, ensure_ascii=False)
    (place / "card.json").write_text(text + "\n", "utf-8")


def _pictures(digits: NDArray[np.uint8]) -> NDArray[np.float32]:
    return normalize(list(digits)).pictures
