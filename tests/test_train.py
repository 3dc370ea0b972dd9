from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import drawn
from numpy.typing import NDArray

from batchdigits import classify, train
from batchdigits.classify import backend
from batchdigits.normalize import normalize
from batchdigits.train import alter, epochs

Digits = NDArray[np.uint8]


@pytest.fixture(scope="module")
def keras() -> Any:
    backend.prepare()
    with backend.hushed():
        import keras
    return keras


def light(count: int) -> Digits:
    """Digits as MNIST has them: ink light on dark; 0 to 9 in turn."""
    return np.stack([255 - drawn(i % 10, seed=i // 10) for i in range(count)]).astype(np.uint8)


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# --- altering a digit ---


@pytest.mark.parametrize(
    "digit",
    [
        light(1)[0],
        np.zeros((28, 28), np.uint8),
        np.full((28, 28), 255, np.uint8),
        random().integers(0, 256, (28, 28)).astype(np.uint8),
    ],
    ids=["a digit", "nothing", "all ink", "noise"],
)
def test_altered_digits_stay_pictures(digit: Digits) -> None:
    before = digit.copy()
    for seed in range(60):
        altered = alter(digit, random(seed))
        assert altered.dtype == np.uint8
        assert altered.shape == (56, 56)
    assert (digit == before).all(), "the digit itself is left as it was"


def test_altering_is_repeatable() -> None:
    digit = light(4)[3]
    for seed in range(20):
        assert (alter(digit, random(seed)) == alter(digit, random(seed))).all()


def test_altering_differs_from_one_chance_to_the_next() -> None:
    digit, chance = light(4)[3], random()
    several = {alter(digit, chance).tobytes() for _ in range(30)}
    assert len(several) == 30


def test_an_altered_digit_keeps_its_ink_light_and_in_the_middle() -> None:
    """The paper stays dark at the sides, and the ink is neither lost nor doubled."""
    for number, digit in enumerate(light(10)):
        for seed in range(20):
            altered = alter(digit, random(100 * number + seed)).astype(float)
            assert altered[20:36, 20:36].max() > 60
            assert altered[[0, -1]].mean() < 20
            assert altered[:, [0, -1]].mean() < 20
            assert 0.2 < altered.mean() / digit.mean() < 4


# --- epochs of altered digits ---


def test_epochs_are_as_many_as_asked_and_shaped_like_the_digits() -> None:
    digits = light(12)
    several = list(epochs(digits, count=3, seed=5))
    assert [one.shape for one in several] == [(12, 28, 28)] * 3
    assert all(one.dtype == np.uint8 for one in several)
    assert all(one.max((1, 2)).min() > 0 for one in several), "no digit is lost"


def test_epochs_are_repeatable_and_differ_from_each_other() -> None:
    digits = light(12)
    first, second = epochs(digits, count=2, seed=5)
    again = list(epochs(digits, count=2, seed=5))
    (other,) = epochs(digits, count=1, seed=6)
    assert (np.stack([first, second]) == again).all()
    assert (first != second).any((1, 2)).mean() > 0.5
    assert (first != other).any((1, 2)).mean() > 0.5


def test_shards_keep_the_order_and_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    digits = light(11)
    digits[3] = 0  # it stays as it is, and so marks its place
    monkeypatch.setattr(train, "SHARD", 4)
    (found,) = epochs(digits, count=1, seed=5)
    assert found.shape == (11, 28, 28)
    assert np.flatnonzero(found.max((1, 2)) == 0).tolist() == [3]

    digits[:] = digits[0]
    (same,) = epochs(digits, count=1, seed=5)
    assert (same[:4] != same[4:8]).any(), "each shard has its own chance"


def test_what_normalize_finds_no_ink_in_stays_as_it_is() -> None:
    speck = np.zeros((1, 28, 28), np.uint8)
    for one in epochs(speck, count=2, seed=1):
        assert (one == speck).all()


def test_pictures_are_as_in_prediction(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training sees what `normalize` gives, in the same steps of 1/255."""
    digits = light(60)
    (found,) = epochs(digits, count=1, seed=2)
    whole = normalize(list(digits), invert="no").pictures[..., 0]
    unaltered = [
        (picture.astype(np.float32) / np.float32(255) == wanted).all()
        for picture, wanted in zip(found, whole, strict=True)
    ]
    assert 1 <= sum(unaltered) <= 30, "about 15 in 100 are shown as they are"


def test_epochs_can_be_left_early() -> None:
    several = epochs(light(3), count=50, seed=1)
    assert len(list(islice(several, 1))) == 1
    several.close()  # type: ignore[attr-defined]


# --- the network ---


@pytest.fixture
def model(keras: Any) -> Any:
    """The network as it might be after training: no normalisation is at its start values."""
    keras.utils.set_random_seed(3)
    model = train.network()
    chance = random(3)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights(
                [
                    chance.normal(1, 0.4, gamma.shape),
                    chance.normal(0, 0.5, beta.shape),
                    chance.normal(0, 0.5, mean.shape),
                    chance.uniform(0.05, 3, variance.shape),
                ]
            )
    return model


def test_the_network_takes_pictures_and_gives_ten_logits(keras: Any) -> None:
    model = train.network()
    assert model.input_shape == (None, 28, 28, 1)
    assert model.output_shape == (None, 10)
    assert model.layers[-1].get_config()["activation"] == "linear"


def test_folding_changes_no_output(model: Any) -> None:
    some = random().random((40, 28, 28, 1)).astype(np.float32)
    before = model.predict_on_batch(some)
    folded = train.folded(model)
    assert np.ptp(before, axis=0).min() > 0.01, "a model that says the same shows nothing"
    np.testing.assert_allclose(folded.predict_on_batch(some), before, atol=1e-4)
    assert (model.predict_on_batch(some) == before).all(), "the model itself is left as it was"


def test_folding_leaves_only_what_is_needed(keras: Any, model: Any) -> None:
    kinds = [type(layer).__name__ for layer in train.folded(model).layers]
    assert "BatchNormalization" not in kinds
    assert "Dropout" not in kinds
    assert kinds.count("Conv2D") == 4
    assert kinds[-1] == "Dense"


def test_a_folded_network_is_one_that_classify_reads(model: Any, tmp_path: Path) -> None:
    some = random().random((3, 28, 28, 1)).astype(np.float32)
    folded = train.folded(model)
    folded.save(tmp_path / "folded.keras")
    read = classify.load(str(tmp_path / "folded.keras"), device="cpu").logits(some)
    np.testing.assert_allclose(read, folded.predict_on_batch(some), atol=1e-4)


# --- a training ---


@pytest.fixture(scope="module")
def trained(
    keras: Any, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int], tuple[Any, Path]]:
    def fit(count: int) -> tuple[Any, Path]:
        place = tmp_path_factory.mktemp("trained") / "kept.keras"
        labels = np.arange(256) % 10
        return train.fit(light(256), labels, count=count, seed=1, keep=place), place

    return fit


def test_a_training_is_repeatable_learns_and_can_be_read(
    trained: Callable[[int], tuple[Any, Path]], keras: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    (one, place), (two, _) = trained(5), trained(5)
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        assert (a == b).all()
    pictures = normalize(list(light(50)), invert="no").pictures
    right = (one.predict_on_batch(pictures).argmax(axis=1) == np.arange(50) % 10).mean()
    assert right > 0.15, "more than chance"
    kept = keras.saving.load_model(place, compile=False)
    np.testing.assert_allclose(
        train.folded(kept).predict_on_batch(pictures), one.predict_on_batch(pictures), atol=1e-3
    )
    assert "epoch 5 of 5" in capfd.readouterr().out
