"""Devices and backends of Keras: which one is chosen, and what is set up for it."""

import json
import os
import sys
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from predict_models import (
    one_line,
    pictures,
    python,
    shipped_fixture,  # noqa: F401
    two_networks,
)

from batchdigits import predict
from batchdigits.errors import UsageError
from batchdigits.predict import (
    CAREFUL_BATCH_SIZE,
    MODEL_BATCH_SIZE,
    DigitNetwork,
    backend,
    load_card,
    load_classifier,
    load_network,
)

# --- devices ---


@pytest.fixture
def devices_asked(keras: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have Keras run on its default device, and note which it is asked for."""
    asked: list[str] = []

    def device(name: str) -> Any:
        asked.append(name)
        return nullcontext()

    monkeypatch.setattr(keras, "device", device)
    return asked


@pytest.mark.parametrize(
    ("wanted", "found", "chosen"),
    [
        ("cpu", 0, "cpu:0"),
        ("cpu", 2, "cpu:0"),
        ("auto", 0, "cpu:0"),
        ("auto", 1, "gpu:0"),
        ("auto", 2, "gpu:0"),
        ("gpu", 1, "gpu:0"),
        ("gpu", 2, "gpu:0"),
        ("gpu:0", 1, "gpu:0"),
        ("gpu:1", 2, "gpu:1"),
    ],
)
def test_the_device_is_chosen(
    devices_asked: list[str],
    monkeypatch: pytest.MonkeyPatch,
    wanted: str,
    found: int,
    chosen: str,
) -> None:
    monkeypatch.setattr(backend, "count_gpus", lambda: found)
    card = load_card(None)
    classifier = load_classifier(card, device=wanted)
    assert classifier.device == chosen
    assert set(devices_asked) == {chosen}

    devices_asked.clear()
    classifier.logits(pictures(2 * MODEL_BATCH_SIZE))
    assert set(devices_asked) == {chosen}, "the careful network's too, if there is one"

    network = load_network(card, card.network, device=wanted)
    devices_asked.clear()
    network.logits(pictures(2 * MODEL_BATCH_SIZE))
    assert devices_asked == [chosen, chosen], "each chunk is read there"


def test_both_networks_of_a_bundle_are_on_the_same_device(
    keras: Any, tmp_path: Path, devices_asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    card = load_card(two_networks(keras, tmp_path))
    monkeypatch.setattr(backend, "count_gpus", lambda: 2)
    classifier = load_classifier(card, device="gpu:1")
    devices_asked.clear()
    classifier.logits(pictures(600))
    quick = -(-600 // MODEL_BATCH_SIZE)
    assert len(devices_asked) > quick + 300 // CAREFUL_BATCH_SIZE
    assert set(devices_asked) == {"gpu:1"}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("gpu", 0), ("gpu:0", 0), ("gpu:1", 0), ("gpu:1", 1), ("gpu:2", 2), ("gpu:99", 2)],
)
def test_a_gpu_that_is_not_there_is_wrong_usage(
    keras: Any, monkeypatch: pytest.MonkeyPatch, wanted: str, found: int
) -> None:
    monkeypatch.setattr(backend, "count_gpus", lambda: found)
    with pytest.raises(UsageError) as caught:
        load_classifier(load_card(None), device=wanted)
    said = one_line(caught.value)
    assert said.startswith(f"--device {wanted}: ")
    assert f"found {found}" in said
    assert "--device cpu" in said


@pytest.mark.parametrize(("found", "words"), [(0, "no GPU"), (1, "1 GPU"), (2, "2 GPUs")], ids=str)
def test_devices_are_told_on_one_line(
    keras: Any, monkeypatch: pytest.MonkeyPatch, found: int, words: str
) -> None:
    monkeypatch.setattr(backend, "count_gpus", lambda: found)
    told = predict.describe_devices()
    assert told == f"Keras backend {keras.config.backend()}: CPU, {words}"


def test_devices_can_be_told_of_this_machine(keras: Any) -> None:
    assert predict.describe_devices().count("\n") == 0


# --- what Keras does not offer: the backends ---


@pytest.fixture
def with_tensorflow(keras: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    with backend.silence_stderr():
        import tensorflow
    monkeypatch.setattr(keras.config, "backend", lambda: "tensorflow")
    monkeypatch.setattr(tensorflow.config, "list_physical_devices", lambda kind: ["a", "b"])
    return tensorflow


def test_tensorflow_takes_memory_as_needed_on_every_gpu(
    with_tensorflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    grows: dict[str, bool] = {}
    monkeypatch.setattr(with_tensorflow.config.experimental, "set_memory_growth", grows.__setitem__)
    assert backend.count_gpus() == 2
    assert grows == {"a": True, "b": True}


def test_a_gpu_in_use_already_counts(with_tensorflow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_late(gpu: str, grow: bool) -> None:
        raise RuntimeError("Physical devices cannot be modified after being initialized")

    monkeypatch.setattr(with_tensorflow.config.experimental, "set_memory_growth", too_late)
    assert backend.count_gpus() == 2


@pytest.mark.parametrize(
    ("name", "module", "found"),
    [
        (
            "jax",
            SimpleNamespace(
                devices=lambda: [SimpleNamespace(platform=name) for name in ("gpu", "gpu", "cpu")]
            ),
            2,
        ),
        ("jax", SimpleNamespace(devices=lambda: [SimpleNamespace(platform="cpu")]), 0),
        ("torch", SimpleNamespace(cuda=SimpleNamespace(device_count=lambda: 3)), 3),
        ("openvino", SimpleNamespace(), 0),
    ],
    ids=["JAX, two", "JAX, none", "PyTorch, three", "a backend without devices"],
)
def test_gpus_of_other_backends_are_counted(
    keras: Any, monkeypatch: pytest.MonkeyPatch, name: str, module: Any, found: int
) -> None:
    monkeypatch.setattr(keras.config, "backend", lambda: name)
    monkeypatch.setitem(sys.modules, name, module)
    assert backend.count_gpus() == found


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "")
    monkeypatch.delenv("XLA_PYTHON_CLIENT_PREALLOCATE")
    backend.prepare_environment()
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"


@pytest.mark.parametrize(
    ("mode", "given", "kept"),
    [
        pytest.param(0o755, None, None, id="a home of one's own: Keras does as it always does"),
        pytest.param(None, None, f"{os.devnull}/keras", id="none, as Debian's system users have"),
        pytest.param(0o777, None, f"{os.devnull}/keras", id="one that everybody writes in"),
        pytest.param(None, "mine", "mine", id="none, and the user has said where"),
    ],
)
def test_keras_keeps_its_settings_where_nobody_else_writes(
    mode: int | None,
    given: str | None,
    kept: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a home Keras would take them from /tmp, where any user may put some."""
    home = tmp_path / "home"
    if mode is not None:
        home.mkdir()
        home.chmod(mode)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("KERAS_HOME", given or "")
    if given is None:
        monkeypatch.delenv("KERAS_HOME")
    backend.prepare_environment()
    assert os.environ.get("KERAS_HOME") == kept
    if kept == f"{os.devnull}/keras":
        with pytest.raises(NotADirectoryError):
            os.makedirs(kept)


READ_ONE = """
import json, sys
import numpy as np
from batchdigits import predict
print(predict.describe_devices())
picture = np.load(sys.argv[1])
classifier = predict.load_classifier(predict.load_card(None), device="cpu")
print(json.dumps(classifier.logits(picture).tolist()))
"""


@pytest.mark.parametrize("name", ["tensorflow", "jax", "torch"])
def test_any_backend_reads_the_same_and_says_nothing(
    tmp_path: Path, shipped: DigitNetwork, name: str
) -> None:
    if find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    np.save(tmp_path / "picture.npy", pictures(1))
    done = python(READ_ONE, str(tmp_path / "picture.npy"), KERAS_BACKEND=name)
    assert (done.returncode, done.stderr) == (0, "")
    told, logits = done.stdout.splitlines()
    assert told.startswith(f"Keras backend {name}: CPU, ")
    np.testing.assert_allclose(json.loads(logits), shipped.logits(pictures(1)), atol=1e-4)
