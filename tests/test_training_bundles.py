"""Calibrated bundles of models: their cards, where they are written, and the command."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from training_sets import command, labelled, light

from batchdigits import predict
from batchdigits.calibrate import predict_digits
from batchdigits.errors import ModelError, OutputError, UsageError
from batchdigits.labelled import EMPTY_LABEL, NO_DIGIT_LABEL, LabelledCrops
from batchdigits.normalize import VERSION, normalize
from batchdigits.options import RunOptions
from batchdigits.training import bundle

# --- a model of the user's own ---


def centroids(keras: Any, classes: int, scale: float = 0.3) -> Any:
    """A network without training: logits are how near a picture is to each class's mean."""
    data = labelled(200, *[NO_DIGIT_LABEL] * 15, first=100)
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
        "preprocessing": VERSION,
        "calibration": {"temperature": 3.0},
        "threshold": 0.5,
        "measured": {"digits": 1},
        "training": [{"source": "drawn", "licence": "none"}],
        "recipe": "centroids",
    }
    place.mkdir()
    centroids(keras, 11).save(place / "model.keras")
    (place / "card.json").write_text(json.dumps(card))
    return place


def two_networks(keras: Any, place: Path, gate: float, bold: float = 1.0) -> Path:
    """A bundle of a quick network that is sure of little, and a careful one, `bold` times surer."""
    place.mkdir()
    centroids(keras, 11, scale=0.02).save(place / "model.keras")
    centroids(keras, 11, scale=0.3 * bold).save(place / "careful.keras")
    card = {
        "name": "two",
        "classes": [*"0123456789", "none"],
        "preprocessing": VERSION,
        "calibration": {"temperature": 1.0},
        "threshold": 0.5,
        "careful": {"gate": gate, "temperature": 7.0},
        "training": [{"source": "drawn", "licence": "none"}],
    }
    (place / "card.json").write_text(json.dumps(card))
    return place


def some_mistaken(count: int) -> LabelledCrops:
    """Drawn digits and crosses, one in seven with a wrong label."""
    data = labelled(count, *[NO_DIGIT_LABEL] * 40)
    wrong = (np.arange(len(data.labels)) % 7 == 0) & (data.labels < 10)
    return data._replace(labels=np.where(wrong, (data.labels + 1) % 10, data.labels))


def calibrated(model: Path, data: LabelledCrops, **more: Any) -> dict[str, Any]:
    options = RunOptions.from_settings({"model": model, "device": "cpu", **more})
    return bundle.calibrated([data], options, name="mine", source="drawn digits")


def test_a_calibration_makes_a_bundle_of_the_same_weights(mine: Path, tmp_path: Path) -> None:
    card = calibrated(mine, labelled(400))
    out = tmp_path / "bundle"
    bundle.write(str(out), str(mine), card)
    assert sorted(path.name for path in out.iterdir()) == ["card.json", "model.keras"]
    assert (out / "model.keras").read_bytes() == mine.read_bytes()
    assert list(tmp_path.iterdir()) == [out], "nothing is left beside it"

    known = predict.load_card(str(out))
    assert known.calibrated
    assert known.name == "mine"
    assert known.classes == tuple("0123456789")
    assert known.preprocessing == predict.load_card(None).preprocessing
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
    data = labelled(300, *[NO_DIGIT_LABEL] * 30, *[EMPTY_LABEL] * 30)
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
    without, with_ = (
        calibrated(mine, labelled(300, *more)) for more in ([], [NO_DIGIT_LABEL] * 60)
    )
    wrong = [sum(one[2] for one in card["calibration"]["readings"]) for card in (without, with_)]
    assert wrong[1] == wrong[0] + 60
    assert with_["calibration"]["temperature"] == without["calibration"]["temperature"]
    assert with_["measured"]["right"] == without["measured"]["right"]


def test_blank_and_illegible_crops_are_no_readings(mine: Path) -> None:
    data = labelled(300)
    blank = np.full((28, 28), 250, np.uint8)
    crops = [*data.crops, *[blank] * 10]
    labels = np.array([*data.labels, *[EMPTY_LABEL] * 5, *[7] * 5], np.int64)
    card = calibrated(mine, LabelledCrops(crops, labels, [""] * 310))
    assert sum(one[1] + one[2] for one in card["calibration"]["readings"]) == 300
    measured, before = card["measured"], calibrated(mine, data)["measured"]
    assert measured["digits"] == 305
    assert measured["right"] == pytest.approx(before["right"] * 300 / 305, abs=1e-4)
    assert measured["wrong among ok"] == before["wrong among ok"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (labelled(199), "expected 200 labelled digits or more to calibrate on, got 199"),
        (labelled(199, *[NO_DIGIT_LABEL] * 9), "got 199"),
        (labelled(0), "got 0"),
        (labelled(300)._replace(labels=np.arange(300) % 8), "none labelled 8, 9"),
        (
            labelled(300)._replace(crops=[np.full((9, 9), 9, np.uint8)] * 300),
            "found 0 of 300",
        ),
    ],
    ids=["too few", "what is no digit does not count", "none", "missing kinds", "all blank"],
)
def test_too_little_to_calibrate_on_is_refused(mine: Path, data: LabelledCrops, words: str) -> None:
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


# --- two networks ---


@pytest.mark.parametrize("gate", [0.9, 1.0], ids=["some", "all"])
def test_two_networks_are_calibrated_as_they_read_in_a_run(
    keras: Any, tmp_path: Path, gate: float
) -> None:
    place, data = two_networks(keras, tmp_path / "two", gate), some_mistaken(400)
    card = calibrated(place, data)
    bundle.write(str(tmp_path / "made"), str(place), card)
    known = predict.load_card(str(tmp_path / "made"))
    assert known.careful == predict.CarefulCard(gate, card["careful"]["temperature"])
    assert known.temperature == card["calibration"]["temperature"]
    read = predict.load_classifier(known, device="cpu")
    logits, legible, pictures, _ = bundle.crops_read(data.crops, read.logits)
    assert legible.all()
    assert pictures.shape == (len(data.labels), 28, 28, 1)
    found = predict_digits(logits, known.temperature)
    digit = data.labels < 10
    right = found.digit == data.labels
    assert card["measured"]["right"] == pytest.approx(right[digit].mean(), abs=1e-4)
    counts = [sum(one[n] for one in card["calibration"]["readings"]) for n in (1, 2)]
    assert counts == [(right & ~found.other).sum(), (~right & ~found.other).sum()]
    confidences = sorted(found.confidence[~found.other])
    assert card["calibration"]["readings"][0][0] <= confidences[-1]
    quick = predict.load_network(known, known.network, device="cpu")
    doubted = predict.find_doubted(
        bundle.crops_read(data.crops, quick.logits)[0], known.temperature, gate
    )
    assert card["careful"]["read again"] == pytest.approx(doubted.mean(), abs=1e-4)
    assert doubted.any()
    assert doubted.all() == (gate == 1.0)


def test_a_calibration_undoes_what_the_careful_network_makes_of_its_confidence(
    keras: Any, tmp_path: Path
) -> None:
    data = some_mistaken(400)
    one, four = (
        calibrated(two_networks(keras, tmp_path / f"{bold}", 1.0, bold), data) for bold in (1, 4)
    )
    assert one["calibration"]["temperature"] == four["calibration"]["temperature"]
    assert 0.2 < one["careful"]["temperature"] < 2.5, "neither limit of the fit"
    assert four["careful"]["temperature"] == pytest.approx(
        4 * one["careful"]["temperature"], rel=0.01
    )
    surest = [card["calibration"]["readings"][0][0] for card in (one, four)]
    assert surest[1] == pytest.approx(surest[0], abs=0.01)


def test_where_nothing_is_doubted_the_careful_network_s_temperature_stays(
    keras: Any, tmp_path: Path
) -> None:
    card = calibrated(two_networks(keras, tmp_path / "two", 0.0), labelled(300))
    assert card["careful"] == {
        "gate": 0.0,
        "temperature": 7.0,
        "read again": 0.0,
        "field_power": 1.0,
        "field_odds": 1.0,
    }


def test_the_command_keeps_both_networks_and_the_gate(keras: Any, tmp_path: Path) -> None:
    place = two_networks(keras, tmp_path / "two", 0.9)
    x, y = light(400), np.arange(400) % 10
    np.savez(tmp_path / "set.npz", x=x, y=y)
    line = ("calibrate", "--model", place, "--data", tmp_path / "set.npz", "--device", "cpu", "-q")
    for out in (tmp_path / "made", tmp_path / "made"):  # the second time over the first
        assert command(*line, "--out", out) == 0
        names = ("model.keras", "careful.keras")
        assert {path.name for path in out.iterdir()} == {"card.json", *names}
        for name in names:
            assert (out / name).read_bytes() == (place / name).read_bytes()
    card = json.loads((tmp_path / "made" / "card.json").read_text())
    assert card["careful"]["gate"] == 0.9
    assert card["careful"]["temperature"] != 7.0
    assert card["calibration"]["temperature"] != 1.0
    assert card["training"] == [{"source": "drawn", "licence": "none"}]


def test_a_bundle_whose_careful_network_is_gone_cannot_be_calibrated(
    keras: Any, tmp_path: Path
) -> None:
    place = two_networks(keras, tmp_path / "two", 0.9)
    card = calibrated(place, labelled(200))
    (place / "careful.keras").unlink()
    for act in (
        lambda: calibrated(place, labelled(200)),
        lambda: bundle.write(str(tmp_path / "made"), str(place), card),
    ):
        with pytest.raises(ModelError) as caught:
            act()
        assert "careful.keras" in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "made").exists()


def test_a_card_without_a_careful_network_needs_no_file_of_it(mine: Path, tmp_path: Path) -> None:
    bundle.write(str(tmp_path / "made"), str(mine), {"careful": None, "numbers": None})
    assert {path.name for path in (tmp_path / "made").iterdir()} == {"card.json", "model.keras"}


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
    assert predict.load_card(str(out)).name == "made"
