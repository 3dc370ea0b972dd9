"""Keras models and pictures that several test modules of the classifier share."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from batchdigits.calibrate import predict_digits
from batchdigits.errors import ModelError
from batchdigits.predict import (
    CAREFUL_FILE,
    DigitNetwork,
    load_card,
    load_classifier,
)

Pictures = NDArray[np.float32]
Build = Callable[[Any], Any]


def pictures(count: int, seed: int = 0) -> Pictures:
    """Return random pictures like those of `normalize`: float32 in [0, 1], steps of 1/255."""
    levels = np.random.default_rng(seed).integers(0, 256, (count, 28, 28, 1))
    return levels.astype(np.float32) / np.float32(255)


def chain(*layers: str, shape: tuple[int | None, ...] = (28, 28)) -> Build:
    """Build a Sequential of layers, each written as in Python without `layers.`."""

    def build(keras: Any) -> Any:
        made = [eval(f"layers.{layer}", {"layers": keras.layers}) for layer in layers]
        return keras.Sequential([keras.Input(shape), *made])

    return build


def functional(keras: Any) -> Any:
    here = keras.Input((28, 28))
    return keras.Model(here, keras.layers.Dense(10)(keras.layers.Flatten()(here)))


def kept(model: Any, folder: Path) -> str:
    place = folder / "model.keras"
    model.save(place)
    return str(place)


def refused(path: str | None) -> str:
    """Return the message that refuses this model, when its card is read or when it is loaded."""
    with pytest.raises(ModelError) as caught:
        load_card(path)
        load_classifier(load_card(path), device="cpu")
    return one_line(caught.value)


def one_line(error: Exception) -> str:
    text = str(error)
    assert text
    assert "\n" not in text
    assert len(text) < 500
    return text


CARD: dict[str, Any] = {
    "name": "house",
    "classes": list("0123456789"),
    "preprocessing": 3,
    "calibration": {"temperature": 1.25},
    "threshold": 0.97,
    "data": ["MNIST"],
}


ELEVEN = CARD | {"classes": [*"0123456789", "none"]}


def bundle(folder: Path, content: str | bytes) -> str:
    raw = content if isinstance(content, bytes) else content.encode()
    (folder / "card.json").write_bytes(raw)
    return str(folder)


def small_convolution(keras: Any) -> Any:
    """Build a network whose weights are by chance, with a convolution: a batch could matter."""
    layers = ["Conv2D(4, 5, 3, activation='relu')", "Flatten()", "Dense(24, 'relu')", "Dense(10)"]
    return chain(*layers, shape=(28, 28, 1))(keras)


def two_networks(keras: Any, folder: Path, doubted: float = 0.5) -> str:
    """Write a bundle with a careful network, whose gate lets it read a share of `pictures(600)`.

    The quick one has temperature 0.05: else, without training, it would doubt all alike.
    """
    card = CARD | {"calibration": {"temperature": 0.05}}
    small_convolution(keras).save(folder / "model.keras")
    quick = load_classifier(load_card(bundle(folder, json.dumps(card))), device="cpu")
    sure = predict_digits(quick.logits(pictures(600)), 0.05).confidence
    gate = float(np.quantile(sure, doubted))
    small_convolution(keras).save(folder / CAREFUL_FILE)
    return bundle(folder, json.dumps(card | {"careful": {"gate": gate, "temperature": 0.2}}))


@pytest.fixture(name="shipped", scope="module")
def shipped_fixture(keras: Any) -> DigitNetwork:
    return load_classifier(load_card(None), device="cpu")


def python(script: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
