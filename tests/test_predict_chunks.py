"""Chunks of pictures: the same bits in every chunk, and chunks that exceed the memory."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from predict_models import (
    Pictures,
    chain,
    kept,
    one_line,
    pictures,
    shipped_fixture,  # noqa: F401
    small_convolution,
    two_networks,
)

from batchdigits.errors import ModelError
from batchdigits.predict import (
    MODEL_BATCH_SIZE,
    Classifier,
    DigitNetwork,
    backend,
    load_card,
    load_classifier,
)

# --- chunks ---


@pytest.fixture(scope="module")
def convolution(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> DigitNetwork:
    place = kept(small_convolution(keras), tmp_path_factory.mktemp("convolution"))
    return load_classifier(load_card(place), device="cpu")


@pytest.fixture(scope="module")
def cascade(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> DigitNetwork:
    place = two_networks(keras, tmp_path_factory.mktemp("cascade"))
    return load_classifier(load_card(place), device="cpu")


@pytest.fixture(params=["convolution", "cascade", "shipped"])
def classifier(request: pytest.FixtureRequest) -> DigitNetwork:
    found: DigitNetwork = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize(
    "count",
    [1, 2, MODEL_BATCH_SIZE - 1, MODEL_BATCH_SIZE, MODEL_BATCH_SIZE + 1, 2 * MODEL_BATCH_SIZE],
)
def test_bits_do_not_depend_on_how_many_are_beside(classifier: DigitNetwork, count: int) -> None:
    some = pictures(600)
    among_all = classifier.logits(some)
    for start in (0, 301, 600 - count):
        alone = classifier.logits(some[start : start + count])
        assert alone.tobytes() == among_all[start : start + count].tobytes()


def test_bits_do_not_depend_on_the_place(classifier: DigitNetwork) -> None:
    some = pictures(600)
    shuffled = np.random.default_rng(1).permutation(600)
    in_order = classifier.logits(some)
    assert len(np.unique(in_order, axis=0)) == 600, "each picture reads differently"
    assert classifier.logits(some[shuffled]).tobytes() == in_order[shuffled].tobytes()


def test_no_pictures_give_no_logits(convolution: DigitNetwork) -> None:
    none = convolution.logits(pictures(0))
    assert none.shape == (0, 10)
    assert none.dtype == np.float32


def test_pictures_are_left_as_they_were(keras: Any, tmp_path: Path) -> None:
    model = chain("Rescaling(1 / 255)", "Flatten()", "Dense(10)")(keras)
    some = pictures(3)
    load_classifier(load_card(kept(model, tmp_path)), device="cpu").logits(some)
    assert (some == pictures(3)).all()


class Small:
    """A model on a device that holds `most` pictures at once; logits are the first ten pixels."""

    input_shape = (None, 28, 28, 1)
    output_shape = (None, 10)

    def __init__(self, most: int, error: Exception) -> None:
        self.layers = [
            SimpleNamespace(name="last", get_config=lambda: {"activation": "linear"}),
        ]
        self.most, self.error, self.calls = most, error, list[int]()

    def predict_on_batch(self, batch: Pictures) -> Pictures:
        self.calls.append(len(batch))
        if len(batch) > self.most:
            raise self.error
        return batch.reshape(len(batch), -1)[:, :10]


TORCH = type("OutOfMemoryError", (RuntimeError,), {})
OUT_OF_MEMORY = [
    pytest.param(RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying"), id="XLA"),
    pytest.param(ValueError("{{node conv}} OOM when allocating tensor"), id="TensorFlow"),
    pytest.param(TORCH("CUDA out of memory. Tried to allocate 2.00 GiB"), id="PyTorch"),
    pytest.param(MemoryError(), id="the machine"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_out_of_memory_halves_the_chunk(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    model = Small(70, error)
    classifier = Classifier(model, "gpu:0", chunk=256)
    some = pictures(300)

    with caplog.at_level(logging.WARNING):
        read = classifier.logits(some)

    assert (read == some.reshape(300, -1)[:, :10]).all()
    assert model.calls == [256, 128, 64, 64, 64, 64, 64]
    assert [record.getMessage() for record in caplog.records] == [
        "out of memory on gpu:0: 128 pictures at once",
        "out of memory on gpu:0: 64 pictures at once",
    ]


def test_the_smaller_chunk_stays() -> None:
    model = Small(70, MemoryError())
    classifier = Classifier(model, "gpu:0", chunk=128)
    classifier.logits(pictures(1))
    model.calls.clear()
    classifier.logits(pictures(65))
    assert model.calls == [64, 64]


class Filling(Small):
    """Its device loses most of its memory after the first call."""

    def predict_on_batch(self, batch: Pictures) -> Pictures:
        self.most = 30 if self.calls else 1000
        return super().predict_on_batch(batch)


def test_memory_that_runs_out_in_the_middle_loses_nothing() -> None:
    model = Filling(1000, MemoryError())
    some = pictures(250)
    read = Classifier(model, "gpu:0", chunk=100).logits(some)
    assert (read == some.reshape(250, -1)[:, :10]).all()
    assert model.calls == [100, 100, 50, *[25] * 6]


@pytest.mark.parametrize(
    ("chunk", "calls"), [(8, [8, 4, 2, 1]), (5, [5, 3, 2, 1]), (1, [1])], ids=["8", "5", "1"]
)
def test_memory_for_not_even_one_picture_is_an_error(chunk: int, calls: list[int]) -> None:
    model = Small(0, MemoryError("no room"))
    with pytest.raises(MemoryError, match="no room"):
        Classifier(model, "gpu:0", chunk=chunk).logits(pictures(9))
    assert model.calls == calls


@pytest.mark.parametrize(
    "error",
    [RuntimeError("INTERNAL: no algorithm worked"), ValueError("shapes"), KeyError("OUT")],
    ids=repr,
)
def test_other_errors_pass(error: Exception) -> None:
    model = Small(0, error)
    with pytest.raises(type(error)) as caught:
        Classifier(model, "gpu:0").logits(pictures(1))
    assert caught.value is error
    assert model.calls == [MODEL_BATCH_SIZE], "it is tried once"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 7])
def test_one_value_that_is_no_number_is_an_error(value: float, at: int) -> None:
    some = pictures(8)
    some[at, 0, 3] = value
    with pytest.raises(ModelError, match="no numbers") as caught:
        Classifier(Small(4, MemoryError()), "cpu:0", chunk=4).logits(some)
    one_line(caught.value)


# --- which errors mean that the memory is full ---


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), True),
        (RuntimeError("RESOURCE_EXHAUSTED: x"), True),
        (RuntimeError("Out of memory allocating 5 bytes"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (ValueError("OOM when allocating tensor with shape[1]"), True),
        (RuntimeError("INTERNAL: launch failed"), False),
        (ValueError(""), False),
        (OSError(28, "No space left on device"), False),
    ],
    ids=repr,
)
def test_is_out_of_memory(error: Exception, told: bool) -> None:
    assert backend.is_out_of_memory(error) is told
