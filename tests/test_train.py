import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import drawn
from numpy.typing import NDArray

from batchdigits import classify, cli, train
from batchdigits.classify import backend
from batchdigits.errors import OutputError, UsageError
from batchdigits.labelled import EMPTY, NONE, Labelled
from batchdigits.normalize import normalize
from batchdigits.options import RunOptions
from batchdigits.train import alter, bundle, epochs

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


# --- a card for what was trained ---


def test_a_card_holds_a_calibration_of_what_was_held_out(model: Any, tmp_path: Path) -> None:
    folded, labels = train.folded(model), np.arange(60) % 10
    held_out, test = (light(60), labels), (light(40), labels[:40])
    card = train.card_for(folded, name="small", held_out=held_out, test=test)
    train.write_bundle(tmp_path / "small", folded, card)
    known = classify.card(str(tmp_path / "small"))
    assert (known.name, known.calibrated, len(known.classes)) == ("small", True, 10)
    assert sum(one.right + one.wrong for one in known.readings) == 60, "each digit once"
    assert card["measured"]["digits"] == 40


# --- a model of the user's own ---


def labelled(count: int, *more: int, first: int = 0) -> Labelled:
    """Drawn digits 0 to 9 in turn, then crosses under the labels `more`."""
    crops = [drawn(n % 10, seed=first + n // 10) for n in range(count)]
    for n, _ in enumerate(more):
        cross = np.full((28, 28), 255, np.uint8)
        cv2.drawMarker(cross, (14, 14 + n % 3), 0, cv2.MARKER_TILTED_CROSS, 12 + n % 5, 2)
        crops.append(cross)
    labels = np.array([*(np.arange(count) % 10), *more], np.int64)
    return Labelled(crops, labels, [f"crop {n}" for n in range(len(crops))])


def centroids(keras: Any, classes: int, scale: float = 0.3) -> Any:
    """A network without training: logits are how near a picture is to each class's mean."""
    data = labelled(200, *[NONE] * 15, first=100)
    pictures = normalize(data.crops).pictures.reshape(-1, 784)
    means = np.stack([pictures[data.labels == label].mean(axis=0) for label in range(classes)])
    model = keras.Sequential(
        [keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(classes)]
    )
    model.layers[-1].set_weights([scale * means.T, -scale * (means**2).sum(axis=1) / 2])
    return model


@pytest.fixture(scope="module")
def mine(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("mine") / "mine.keras"
    centroids(keras, 10).save(place)
    return place


@pytest.fixture
def eleven(keras: Any, tmp_path: Path) -> Path:
    """A bundle that knows "not a digit", and whose card says where its weights come from."""
    place = tmp_path / "eleven"
    card = {
        "name": "eleven",
        "classes": [*"0123456789", "none"],
        "preprocessing": 1,
        "calibration": {"temperature": 3.0},
        "threshold": 0.5,
        "measured": {"digits": 1},
        "training": [{"source": "drawn", "licence": "none"}],
        "recipe": "centroids",
    }
    train.write_bundle(place, centroids(keras, 11), card)
    return place


def calibrated(model: Path, data: Labelled, **more: Any) -> dict[str, Any]:
    options = RunOptions.of({"model": model, "device": "cpu", **more})
    return bundle.calibrated(data, options, name="mine", source="drawn digits")


def test_a_calibration_makes_a_bundle_of_the_same_weights(mine: Path, tmp_path: Path) -> None:
    card = calibrated(mine, labelled(400))
    out = tmp_path / "bundle"
    bundle.write(str(out), str(mine), card)
    assert sorted(path.name for path in out.iterdir()) == ["card.json", "model.keras"]
    assert (out / "model.keras").read_bytes() == mine.read_bytes()
    assert list(tmp_path.iterdir()) == [out], "nothing is left beside it"

    known = classify.card(str(out))
    assert known.calibrated
    assert known.name == "mine"
    assert known.classes == tuple("0123456789")
    assert known.preprocessing == classify.card(None).preprocessing
    assert known.temperature == card["calibration"]["temperature"]
    assert sum(one.right + one.wrong for one in known.readings) == 400
    assert card["measured"]["digits"] == 400
    assert card["measured"]["right"] > 0.8, "near its mean, a drawn digit is read"
    assert "drawn digits" in card["calibration"]["fitted on"]
    assert "licence" in card["training"][0]


def test_a_calibration_undoes_what_a_model_makes_of_its_confidence(
    keras: Any, mine: Path, tmp_path: Path
) -> None:
    data = labelled(400)
    labels = np.where(np.arange(400) % 7 == 0, (data.labels + 1) % 10, data.labels)
    bold = tmp_path / "bold.keras"
    centroids(keras, 10, scale=0.3 * 4).save(bold)
    one, other = (
        calibrated(model, data._replace(labels=labels))["calibration"] for model in (mine, bold)
    )
    assert 0.2 < one["temperature"] < 2.5, "neither limit of the fit"
    assert other["temperature"] == pytest.approx(4 * one["temperature"], rel=0.01)
    surest = [card["readings"][0][0] for card in (one, other)]
    assert surest[1] == pytest.approx(surest[0], abs=0.01)


def test_a_calibration_is_repeatable(mine: Path) -> None:
    assert calibrated(mine, labelled(200)) == calibrated(mine, labelled(200))


def test_calibrating_a_bundle_anew_keeps_what_is_about_its_weights(eleven: Path) -> None:
    data = labelled(300, *[NONE] * 30, *[EMPTY] * 30)
    card = calibrated(eleven, data)
    assert card["classes"] == [*"0123456789", "none"]
    assert card["training"] == [{"source": "drawn", "licence": "none"}]
    assert card["recipe"] == "centroids"
    assert card["calibration"]["temperature"] != 3.0
    assert card["measured"]["not digits"] == 60
    assert card["measured"]["not digits among ok"] == 0, "it knows crosses"

    bundle.write(str(eleven), str(eleven), card)  # in its own place
    assert json.loads((eleven / "card.json").read_text()) == card
    assert sorted(path.name for path in eleven.iterdir()) == ["card.json", "model.keras"]


def test_what_is_no_digit_counts_as_wrong_for_a_model_that_knows_digits_alone(mine: Path) -> None:
    without, with_ = (calibrated(mine, labelled(300, *more)) for more in ([], [NONE] * 60))
    wrong = [sum(one[2] for one in card["calibration"]["readings"]) for card in (without, with_)]
    assert wrong[1] == wrong[0] + 60
    assert with_["calibration"]["temperature"] == without["calibration"]["temperature"]
    assert with_["measured"]["right"] == without["measured"]["right"]


def test_blank_and_illegible_crops_are_no_readings(mine: Path) -> None:
    data = labelled(300)
    blank = np.full((28, 28), 250, np.uint8)
    crops = [*data.crops, *[blank] * 10]
    labels = np.array([*data.labels, *[EMPTY] * 5, *[7] * 5], np.int64)
    card = calibrated(mine, Labelled(crops, labels, [""] * 310))
    assert sum(one[1] + one[2] for one in card["calibration"]["readings"]) == 300
    measured, before = card["measured"], calibrated(mine, data)["measured"]
    assert measured["digits"] == 305
    assert measured["right"] == pytest.approx(before["right"] * 300 / 305, abs=1e-4)
    assert measured["wrong among ok"] == before["wrong among ok"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (labelled(199), "expected 200 labelled digits or more to calibrate on, got 199"),
        (labelled(199, *[NONE] * 9), "got 199"),
        (labelled(0), "got 0"),
        (labelled(300)._replace(labels=np.arange(300) % 8), "none labelled 8, 9"),
        (
            labelled(300)._replace(crops=[np.full((9, 9), 9, np.uint8)] * 300),
            "found 0 of 300",
        ),
    ],
    ids=["too few", "what is no digit does not count", "none", "missing kinds", "all blank"],
)
def test_too_little_to_calibrate_on_is_refused(mine: Path, data: Labelled, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        calibrated(mine, data)
    assert words in str(caught.value)
    assert "drawn digits" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_card_is_readable_by_people(mine: Path) -> None:
    card = calibrated(mine, labelled(200))
    card["calibration"]["readings"] = [[0.9, 3, 0], [1e-05, 1, 12]]
    said = bundle.text(card)
    assert json.loads(said) == card
    assert "      [0.9, 3, 0],\n      [1e-05, 1, 12]\n" in said


# --- where a bundle may be written ---


@pytest.fixture
def card_of_mine(mine: Path) -> dict[str, Any]:
    return {"name": "new"}


@pytest.mark.parametrize("there", ["nothing", "an empty folder", "a bundle", "a link to a bundle"])
def test_a_bundle_is_written_where_it_does_no_harm(
    there: str, mine: Path, card_of_mine: dict[str, Any], tmp_path: Path
) -> None:
    out = real = tmp_path / "out"
    if there == "an empty folder":
        out.mkdir()
    elif there != "nothing":
        real = tmp_path / "real" if "link" in there else out
        real.mkdir()
        (real / "card.json").write_text("{}")
        (real / "model.keras").write_text("old")
    if "link" in there:
        out.symlink_to(real)
    bundle.write(str(out), str(mine), card_of_mine)
    assert json.loads((real / "card.json").read_text()) == card_of_mine
    assert (out / "model.keras").read_bytes() == mine.read_bytes()
    assert out.is_symlink() == ("link" in there)
    assert {path.name for path in tmp_path.iterdir()} == {"out", real.name}


@pytest.mark.parametrize(
    "name", ["file.csv", "full", "half", "none/out", "file.csv/out"], ids=lambda name: name
)
def test_nothing_that_is_there_is_lost_to_a_bundle(
    name: str, mine: Path, card_of_mine: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "file.csv").write_text("results")
    for folder, files in (
        ("full", ["card.json", "model.keras", "notes.txt"]),
        ("half", ["card.json"]),
    ):
        (tmp_path / folder).mkdir()
        for file in files:
            (tmp_path / folder / file).write_text("old")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for act in (bundle.check, lambda out: bundle.write(out, str(mine), card_of_mine)):
        with pytest.raises(OutputError) as caught:
            act(str(tmp_path / name))
        assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("at", ["fsync", "rename"])
def test_a_bundle_stays_when_its_successor_cannot_be_written(
    at: str,
    fault: BaseException,
    mine: Path,
    card_of_mine: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    bundle.write(str(out), str(mine), {"name": "old"})
    rename = Path.rename

    def broken(*_: Any) -> None:
        raise fault

    def second(self: Path, target: Path) -> Path:
        if (self / "card.json").exists() and "new" in (self / "card.json").read_text():
            raise fault
        return rename(self, target)

    with monkeypatch.context() as patch:
        if at == "fsync":
            patch.setattr("os.fsync", broken)
        else:
            patch.setattr(Path, "rename", second)
        with pytest.raises((OutputError, KeyboardInterrupt)):
            bundle.write(str(out), str(mine), card_of_mine)
    assert json.loads((out / "card.json").read_text()) == {"name": "old"}
    assert list(tmp_path.iterdir()) == [out]


# --- the command ---


def command(*arguments: object) -> int:
    return cli._exit_code([str(one) for one in arguments])


def test_calibrate_then_run_with_a_target_error(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data = labelled(420)
    for crop, label, name in zip(data.crops, data.labels, range(420), strict=True):
        place = tmp_path / "data" / ("zero" if label == 0 else str(label))
        place.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place / f"{name}.png"), crop)
    made = ["calibrate", "--model", mine, "--data", "data", "--out", "made", "--device", "cpu"]
    assert command(*made) == 2
    assert "'zero' is no digit" in capsys.readouterr().err
    assert command(*made, "--labels", "zero=0") == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "420 digits: " in err
    assert err.endswith("-> made\n")
    assert command(*made, "--labels", "zero=0", "--quiet", "--name", "third") == 0
    assert capsys.readouterr() == ("", "")

    assert command("info", "--model", "made") == 0
    told = capsys.readouterr().out
    assert "model third: calibrated" in told
    assert "readings 420 values" in told
    assert len(told.splitlines()) < 40, "the readings stay in the file"

    one = ["run", "data", "--out", "out.csv", "--model", "made", "--workers", 0, "--device", "cpu"]
    assert command(*one, "--target-error", 0.5) == 0
    assert "--target-error 0.5: values of confidence 0." in capsys.readouterr().err
    assert "uncalibrated" not in capsys.readouterr().err


def test_calibrate_takes_the_part_for_tests_where_there_is_one(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digits, labels = light(500), np.arange(500) % 10
    np.savez(
        tmp_path / "set.npz",
        x_train=digits[:250],
        y_train=labels[:250],
        x_test=digits[250:],
        y_test=labels[250:],
    )
    out = tmp_path / "made"
    assert command("calibrate", "--model", mine, "--data", tmp_path / "set.npz", "--out", out) == 0
    assert "250 digits: " in capsys.readouterr().err
    assert "its part for tests" in (out / "card.json").read_text()
    assert classify.card(str(out)).name == "made"
