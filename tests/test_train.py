import csv
import json
import math
import sys
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
from batchdigits.errors import ModelError, OutputError, UsageError
from batchdigits.labelled import EMPTY, NONE, Labelled
from batchdigits.normalize import normalize, shares
from batchdigits.options import RunOptions, TrainOptions
from batchdigits.train import alter, bundle, course, epochs, show
from batchdigits.train.digits import Digits, read
from batchdigits.train.recipes import RECIPES, network

Pictures = NDArray[np.uint8]


@pytest.fixture(scope="module")
def keras() -> Any:
    backend.prepare()
    with backend.hushed():
        import keras
    return keras


def light(count: int) -> Pictures:
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
def test_altered_digits_stay_pictures(digit: Pictures) -> None:
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


# --- recipes ---


def digits_set(place: Path, count: int = 200, **more: Any) -> str:
    """Write a labelled set of light digits, the last forty of which are its test part."""
    x, y = light(count + 40), np.arange(count + 40) % 10
    held = {"x_train": x[:count], "y_train": y[:count], "x_test": x[count:], "y_test": y[count:]}
    np.savez(place / "set.npz", **held | more)
    return str(place / "set.npz")


Do = Callable[..., course.Trained]


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def do(keras: Any, tmp_path: Path, told: list[str]) -> Do:
    """Train into the folder `out` on a small set, for one epoch, unless told otherwise."""
    digits_set(tmp_path)

    def run(recipe: str, tell: Callable[[str], None] = told.append, **more: Any) -> course.Trained:
        settings = {"data": tmp_path / "set.npz", "out": tmp_path / "out", "epochs": 1} | more
        return course.run(TrainOptions.of({"recipe": recipe, "device": "cpu"} | settings), tell)

    return run


def weights(keras: Any, place: Path) -> list[NDArray[np.float32]]:
    model = keras.saving.load_model(place / "model.keras", compile=False)
    found: list[NDArray[np.float32]] = model.get_weights()
    return found


def history(place: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((place / "history.csv").read_text().splitlines()))


# Counted by hand from the table: a convolution has 9 * in * out + out numbers, a dense
# layer in * out + out; the rest is the table's own.
TABLE = {
    "conv1": (693_962, "Adam", 0.001, "CategoricalCrossentropy", 100, 5, False, "softmax"),
    "mlp": (13_002, "Adam", 0.001, "SparseCategoricalCrossentropy", 32, 20, True, "softmax"),
    "conv3": (93_322, "RMSprop", 0.001, "CategoricalCrossentropy", 64, 5, False, "softmax"),
    "conv3-logits": (
        *(93_322, "RMSprop", 0.001, "SparseCategoricalCrossentropy"),
        *(32, 5, True, "linear"),
    ),
    "conv2-adadelta": (
        *(2_380_938, "Adadelta", 0.001, "CategoricalCrossentropy"),
        *(128, 10, True, "softmax"),
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_recipe_is_what_its_tutorial_says(name: str, keras: Any) -> None:
    parameters, optimizer, rate, loss, batch, epochs, validation, activation = TABLE[name]
    recipe = RECIPES[name]
    model = network(recipe)
    assert model.count_params() == parameters
    assert model.input_shape == ((None, 28, 28) if name == "mlp" else (None, 28, 28, 1))
    assert model.layers[-1].get_config()["activation"] == activation
    hidden = [layer for layer in model.layers[:-1] if layer.weights]
    assert {layer.get_config()["activation"] for layer in hidden} == {"relu"}
    assert type(model.optimizer).__name__ == optimizer
    assert float(model.optimizer.learning_rate) == pytest.approx(rate)
    assert type(model.loss).__name__ == loss
    assert model.loss.get_config()["from_logits"] is (activation == "linear")
    assert (recipe.batch, recipe.epochs, recipe.validation) == (batch, epochs, validation)


def test_the_recipes_are_those_of_the_table() -> None:
    assert set(RECIPES) == set(TABLE)
    dropped = {
        name: [settings["rate"] for kind, settings in recipe.layers if kind == "Dropout"]
        for name, recipe in RECIPES.items()
    }
    assert {name for name, rates in dropped.items() if rates} == {"mlp", "conv2-adadelta"}
    assert (dropped["mlp"], dropped["conv2-adadelta"]) == ([0.2], [0.25, 0.5])


@pytest.mark.parametrize("name", TABLE)
def test_a_recipe_leaves_all_it_should_and_a_model_that_run_reads(
    name: str, do: Do, keras: Any, tmp_path: Path, told: list[str]
) -> None:
    done, out = do(name, epochs=2), tmp_path / "out"
    parameters, *_, validation, _ = TABLE[name]
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["model.keras", "summary.txt", "samples.png", "history.csv", "curves.png"]
    )
    assert (done.recipe, done.parameters, done.epochs) == (name, parameters, 2)
    assert done.model == str(out / "model.keras")
    lines = history(out)
    assert [line["epoch"] for line in lines] == ["1", "2"]
    assert all(float(line["loss"]) > 0 and 0 <= float(line["accuracy"]) <= 1 for line in lines)
    assert all(bool(line["val_loss"]) is validation for line in lines)
    assert all(bool(line["val_accuracy"]) is validation for line in lines)

    model = keras.saving.load_model(done.model)
    assert int(model.optimizer.iterations) == 2 * math.ceil(200 / RECIPES[name].batch)
    test = light(240)[200:]
    read = classify.load(done.model, device="cpu").logits(shares(test[..., np.newaxis]))
    assert (read.argmax(axis=1) == np.arange(40) % 10).mean() == pytest.approx(done.test_accuracy)
    if validation:
        assert float(lines[-1]["val_loss"]) == pytest.approx(done.test_loss, abs=1e-4)
    assert not classify.card(done.model).calibrated

    words = "\n".join(told)
    assert "training: pictures (200, 28, 28) uint8, labels (200,), 20 to 20 of each" in words
    assert "test: pictures (40, 28, 28)" in words
    assert f"Total params: {parameters:,}" in words
    assert f"Total params: {parameters:,}" in (out / "summary.txt").read_text("utf-8")
    assert "epoch 2 of 2: loss " in words
    for name_ in ("samples.png", "curves.png"):
        assert cv2.imread(str(out / name_)) is not None


@pytest.mark.parametrize("name", ["mlp", "conv3"])
def test_a_seed_makes_a_recipe_repeatable(do: Do, keras: Any, tmp_path: Path, name: str) -> None:
    """First weights, order of the digits, dropout; in convolutions, sums made in parallel."""
    places = [tmp_path / name for name in ("one", "two", "other")]
    for place, seed in zip(places, (5, 5, 6), strict=True):
        do(name, out=place, seed=seed)
    one, two, other = (weights(keras, place) for place in places)
    assert all((a == b).all() for a, b in zip(one, two, strict=True))
    assert any((a != b).any() for a, b in zip(one, other, strict=True))
    texts = [(place / "history.csv").read_text() for place in places]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize("start", ["first", "first/model.keras"])
def test_fine_tuning_starts_from_the_weights_it_is_given(
    do: Do, keras: Any, tmp_path: Path, start: str
) -> None:
    first = network(RECIPES["mlp"])
    (tmp_path / "first").mkdir()
    first.save(tmp_path / "first" / "model.keras")
    do("mlp", fine_tune=tmp_path / start)
    before, tuned, other = (
        np.concatenate([one.ravel() for one in several])
        for several in (
            first.get_weights(),
            weights(keras, tmp_path / "out"),
            network(RECIPES["mlp"]).get_weights(),
        )
    )
    assert 0 < np.abs(tuned - before).max() < 0.05, "seven steps of Adam at 0.001"
    assert np.abs(other - before).max() > 0.2


@pytest.mark.parametrize(
    ("recipe", "other", "words"),
    [
        ("conv3-logits", "conv3", "is not of recipe conv3-logits"),  # the same shapes
        ("conv3", "mlp", "is not of recipe conv3"),
        ("conv3", "conv1", "is not of recipe conv3"),
        ("conv3", None, "cannot be loaded"),
        ("conv3", "", "expected a bundle's folder or a .keras file"),
    ],
)
def test_a_checkpoint_from_another_recipe_is_refused(
    do: Do, tmp_path: Path, recipe: str, other: str | None, words: str
) -> None:
    start = tmp_path / "start.keras"
    if other:
        network(RECIPES[other]).save(start)
    elif other is None:
        start.write_bytes(b"no model")
    with pytest.raises(ModelError) as error:
        do(recipe, fine_tune=start)
    assert words in str(error.value)
    assert not (tmp_path / "out").exists()


class Stopped(BaseException):
    """As a signal raises."""


def test_interrupting_keeps_the_best_epoch(do: Do, keras: Any, tmp_path: Path) -> None:
    """With wrong labels in the test part, an early epoch is the best, however long one trains."""
    wrong = (np.arange(40) + 1) % 10
    digits_set(tmp_path, y_test=wrong)

    def tell(line: str) -> None:
        if line.startswith("epoch 30"):
            raise Stopped

    with pytest.raises(Stopped) as stopped:
        do("mlp", tell, epochs=40, seed=3)
    out, lines = tmp_path / "out", history(tmp_path / "out")
    losses = [float(line["val_loss"]) for line in lines]
    best = int(np.argmin(losses)) + 1
    assert len(lines) == 30
    assert best < 25
    assert float(lines[-1]["loss"]) < 0.8 * float(lines[0]["loss"]), "it learns"
    note = f"epoch {best} of 40, the best so far, is kept in '{out}'"
    assert stopped.value.__notes__ == [note]
    model = keras.saving.load_model(out / "model.keras")
    found = model.evaluate(shares(light(240)[200:]), wrong, verbose=0)[0]
    assert found == pytest.approx(min(losses), abs=1e-4)
    assert cv2.imread(str(out / "curves.png")) is not None
    assert not [path for path in out.iterdir() if "part" in path.name]


def test_interrupting_before_an_epoch_is_done_leaves_no_model(do: Do, tmp_path: Path) -> None:
    def tell(line: str) -> None:
        raise Stopped

    with pytest.raises(Stopped) as stopped:
        do("mlp", tell)
    assert stopped.value.__notes__ == ["no epoch was finished, no model is kept"]
    assert not (tmp_path / "out" / "model.keras").exists()
    do("mlp")  # the same folder may be used again


def test_without_matplotlib_all_but_the_curves_comes(
    do: Do, tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    do("mlp")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"model.keras", "summary.txt", "samples.png", "history.csv"}
    assert "pip install 'batchdigits[plots]'" in told[-1]


@pytest.mark.parametrize("name", ["model.keras", "card.json"])
def test_a_model_is_never_written_over(do: Do, tmp_path: Path, name: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine")
    with pytest.raises(UsageError, match=f"holds {name} already"):
        do("mlp")
    assert [(path.name, path.read_text()) for path in (tmp_path / "out").iterdir()] == [
        (name, "mine")
    ]


def test_a_folder_that_cannot_be_is_told(do: Do, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UsageError, match="expected a folder"):
        do("mlp")
    with pytest.raises(OutputError, match="cannot be written"):
        do("mlp", out=tmp_path / "out" / "below")


def test_memory_that_runs_out_is_told(do: Do, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise MemoryError("out of memory")

    monkeypatch.setattr(course, "_fit", full)
    with pytest.raises(ModelError, match="memory ran out on cpu:0"):
        do("mlp")


# --- what recipes learn from ---


X, Y = light(140), np.arange(140) % 10


@pytest.mark.parametrize(
    ("held", "labels", "words"),
    [
        ({"x": X, "y": Y[:-1]}, "", "a label for each of 140 images"),
        ({"x": X, "y": Y + 1}, "", "the label '10' is no digit"),
        ({"x": X, "y": Y + 1}, "10=empty", "14 crops are empty or no digits"),
        ({"x": X, "y": Y + 1}, "10=skip", "got none of 0"),
        ({"x": X[Y != 7], "y": Y[Y != 7]}, "", "expected all ten digits to learn from"),
        ({"x": X / 255, "y": Y}, "", "expected grey levels"),
        ({"x": X[..., 0], "y": Y}, "", "got shape (140, 28)"),
        ({"x_test": X, "y_test": Y}, "", "holds the part 'test' alone"),
        (
            {"x_train": X, "y_train": Y, "x_test": X[:5], "y_test": Y[:5] - 1},
            "-1=none",
            "1 crops are empty or no digits",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_data_are_told_and_nothing_is_trained(
    do: Do, tmp_path: Path, held: dict[str, Any], labels: str, words: str
) -> None:
    np.savez(tmp_path / "wrong.npz", **held)
    with pytest.raises(UsageError) as error:
        do("mlp", data=tmp_path / "wrong.npz", labels=labels)
    assert words in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_set_without_a_test_part_lends_a_seventh_of_each_digit(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", x=X, y=Y)
    found = read(str(tmp_path / "set.npz"), {})
    assert np.bincount(found.train.labels).tolist() == [12] * 10
    assert np.bincount(found.test.labels).tolist() == [2] * 10
    both = np.concatenate([found.train.pictures, found.test.pictures])
    assert sorted(one.tobytes() for one in both) == sorted(one.tobytes() for one in X)
    assert ["one digit in 7 is held out" in one for one in found.remarks] == [True]
    again = read(str(tmp_path / "set.npz"), {})
    assert (again.test.pictures == found.test.pictures).all()


def test_mnists_own_form_is_fed_as_it_is(tmp_path: Path) -> None:
    found = read(digits_set(tmp_path), {})
    assert (found.train.pictures == light(240)[:200]).all()
    assert found.remarks == []


@pytest.mark.parametrize(
    "form",
    [
        lambda x: 255 - x,
        lambda x: np.pad(x, ((0, 0), (3, 4), (1, 1))),
        lambda x: np.stack([cv2.resize(one, (20, 20)) for one in x]),
    ],
    ids=["dark ink", "other size", "small"],
)
def test_other_forms_go_through_normalize(tmp_path: Path, form: Any) -> None:
    digits_set(tmp_path, x_train=form(light(200)))
    found = read(str(tmp_path / "set.npz"), {})
    assert found.train.pictures.shape == (200, 28, 28)
    wanted = normalize(list(form(light(200)))).pictures[..., 0]
    assert (shares(found.train.pictures) == wanted).all()
    wanted = normalize(list(light(240)[200:])).pictures[..., 0]
    assert (shares(found.test.pictures) == wanted).all(), "both parts alike"
    assert ["normalize" in one for one in found.remarks] == [True]


def test_mnist_comes_from_keras(keras: Any, monkeypatch: pytest.MonkeyPatch, do: Do) -> None:
    parts = ((X, Y.astype(np.uint8)), (X[:20], Y[:20].astype(np.uint8)))
    monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: parts)
    found = read(None, {})
    assert (found.train.pictures == X).all()
    assert found.test.labels.tolist() == Y[:20].tolist()


def test_a_download_that_fails_is_told(
    keras: Any, monkeypatch: pytest.MonkeyPatch, do: Do, tmp_path: Path
) -> None:
    def fail() -> None:
        raise OSError("URL fetch failure")

    monkeypatch.setattr(keras.datasets.mnist, "load_data", fail)
    with pytest.raises(UsageError, match="URL fetch failure; give a labelled set by --data"):
        do("mlp", data=None)
    assert not (tmp_path / "out").exists()


# --- what a training shows ---


def test_the_history_is_a_table(tmp_path: Path) -> None:
    with_validation = {"epoch": 1.0, "val_accuracy": 0.5, "loss": 2.0, "accuracy": 1 / 3}
    show.history(tmp_path / "h.csv", [with_validation | {"val_loss": 0.1}, {"epoch": 2, "loss": 1}])
    assert (tmp_path / "h.csv").read_text() == (
        "epoch,loss,accuracy,val_loss,val_accuracy\n"
        "1,2.000000,0.333333,0.100000,0.500000\n2,1.000000,,,\n"
    )


def test_the_samples_show_each_digit_in_its_column(tmp_path: Path) -> None:
    show.samples(tmp_path / "s.png", Digits(X, Y))
    sheet = cv2.imread(str(tmp_path / "s.png"), cv2.IMREAD_GRAYSCALE)
    assert sheet is not None
    for digit in range(10):
        for row in range(6):
            top, left = 34 + 62 * row, 6 + 62 * digit
            tile = sheet[top : top + 56, left : left + 56]
            assert (tile[::2, ::2] == X[digit + 10 * row]).all()


def test_what_fails_half_way_leaves_what_was_there(tmp_path: Path) -> None:
    place = tmp_path / "kept.txt"
    place.write_text("before")
    with pytest.raises(Stopped), show.aside(place) as under:
        under.write_text("half")
        raise Stopped
    assert place.read_text() == "before"
    assert list(tmp_path.iterdir()) == [place]
