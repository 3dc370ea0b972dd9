"""ONNX Runtime reads single digits as Keras does, and refuses networks that it does not know."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from predict_models import CARD, bundle, chain, kept, pictures, two_networks

from batchdigits.calibrate import compute_probabilities
from batchdigits.errors import ModelError, UsageError
from batchdigits.job import resolve_job
from batchdigits.options import RunOptions
from batchdigits.predict import load_card, load_classifier

MOST_DIFFERENT = 0.001
"""The contract of `--runtime`: confidences differ by less."""


def test_the_shipped_networks_give_the_same_values(keras: Any) -> None:
    card = load_card(None)
    some = pictures(300)
    some[:, :7] = some[:, 21:] = some[:, :, :7] = some[:, :, 21:] = 0
    some[200:] = np.maximum(some[200:], 0.5)
    by_keras, by_onnx = (
        load_classifier(card, device="cpu", runtime=runtime) for runtime in ("tensorflow", "onnx")
    )
    for way in ("logits", "read_fields"):
        one, other = (
            compute_probabilities(getattr(network, way)(some), card.temperature)
            for network in (by_keras, by_onnx)
        )
        assert np.abs(one - other).max() < MOST_DIFFERENT


@pytest.mark.parametrize(
    "layers",
    [
        "Flatten(); Dense(24, 'relu'); Dropout(0.5); Dense(10)",
        "Conv2D(4, 3, activation='relu'); Conv2D(6, 4, 2, padding='same'); Flatten(); "
        "Dense(10, 'softmax')",
        "Conv2D(3, 5); MaxPooling2D(3, 2); Conv2D(5, 2, padding='same'); "
        "MaxPooling2D(2, padding='same'); Flatten(); Dense(10)",
    ],
    ids=["dense", "strides", "pooling"],
)
def test_layers_mean_what_keras_means(layers: str, keras: Any, tmp_path: Path) -> None:
    model = chain(*layers.split("; "), shape=(28, 28, 1))(keras)
    for weight in model.weights:  # biases begin as zeros
        weight.assign(np.random.default_rng(0).normal(0, 0.2, weight.shape))
    card = load_card(kept(model, tmp_path))
    one, other = (
        compute_probabilities(
            load_classifier(card, device="cpu", runtime=runtime).logits(pictures(300)), 1.0
        )
        for runtime in ("tensorflow", "onnx")
    )
    assert np.abs(one - other).max() < MOST_DIFFERENT


def test_a_picture_gets_the_same_bits_whatever_is_beside_it(keras: Any, tmp_path: Path) -> None:
    card = load_card(two_networks(keras, tmp_path))
    whole = load_classifier(card, runtime="onnx").logits(pictures(600))
    for count in (1, 7, 300):
        parts = load_classifier(card, runtime="onnx").logits(pictures(600)[:count])
        assert parts.tobytes() == whole[:count].tobytes()


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        (["Conv2D(2, 3, activation='tanh')", "Flatten()", "Dense(10)"], "Conv2D ('tanh')"),
        (["Reshape((784,))", "Dense(10)"], "Reshape"),
        (["Conv2D(2, 3, dilation_rate=2)", "Flatten()", "Dense(10)"], "dilation"),
        (["Flatten()", "Dense(9)"], "expected 10 outputs, got 9"),
    ],
)
def test_what_is_not_known_is_refused(
    layers: list[str], words: str, keras: Any, tmp_path: Path
) -> None:
    chain(*layers, shape=(28, 28, 1))(keras).save(tmp_path / "model.keras")
    card = load_card(bundle(tmp_path, json.dumps(CARD)))
    with pytest.raises(ModelError) as caught:
        load_classifier(card, runtime="onnx")
    assert words in str(caught.value)


def test_a_damaged_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(b"no archive")
    card = replace(load_card(None), network=tmp_path / "model.keras")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_classifier(card, runtime="onnx")


def test_no_gpu_is_promised() -> None:
    with pytest.raises(UsageError, match="runs on the CPU"):
        resolve_job(RunOptions(runtime="onnx", device="gpu:0"))


def test_a_run_reads_digits_without_tensorflow(tmp_path: Path) -> None:
    digit = np.zeros((40, 32), np.uint8)
    cv2.putText(digit, "7", (6, 32), 0, 1.2, 255, 3, cv2.LINE_AA)
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "a.png"), digit)
    code = (
        "import sys\nfrom batchdigits.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    code = end.code\n"
        "assert 'onnxruntime' in sys.modules\n"
        "assert not {'keras', 'tensorflow'} & {*sys.modules}, 'heavy'\nsys.exit(code)\n"
    )
    command = [sys.executable, "-c", code, "run", "in", "--out", "out.csv", "--settle", "0"]
    done = subprocess.run(
        [*command, "--runtime", "onnx"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "a.png,1,,7,0." in (tmp_path / "out.csv").read_text()
