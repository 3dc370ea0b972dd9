"""The recipes of the tutorials: their networks, their data, and the reports that they leave."""

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from training_sets import (
    Stopped,
    history,
    light,
    told_fixture,  # noqa: F401
)

from batchdigits import predict
from batchdigits.errors import ModelError, OutputError, UsageError
from batchdigits.normalize import normalize, shares
from batchdigits.options import TrainOptions
from batchdigits.training import course, show
from batchdigits.training.digits import Digits, read
from batchdigits.training.recipes import RECIPES, network

# --- recipes ---


def digits_set(place: Path, count: int = 200, **more: Any) -> str:
    """Write a labelled set of light digits, the last forty of which are its test part."""
    x, y = light(count + 40), np.arange(count + 40) % 10
    held = {"x_train": x[:count], "y_train": y[:count], "x_test": x[count:], "y_test": y[count:]}
    np.savez(place / "set.npz", **held | more)
    return str(place / "set.npz")


Do = Callable[..., course.Trained]


@pytest.fixture
def do(keras: Any, tmp_path: Path, told: list[str]) -> Do:
    """Train into the folder `out` on a small set, for one epoch, unless told otherwise."""
    digits_set(tmp_path)

    def run(recipe: str, tell: Callable[[str], None] = told.append, **more: Any) -> course.Trained:
        settings = {"data": tmp_path / "set.npz", "out": tmp_path / "out", "epochs": 1} | more
        if settings["data"] is not None:
            settings["data"] = (settings["data"],)
        return course.run(
            TrainOptions.from_settings({"recipe": recipe, "device": "cpu"} | settings), tell
        )

    return run


def weights(keras: Any, place: Path) -> list[NDArray[np.float32]]:
    model = keras.saving.load_model(place / "model.keras", compile=False)
    found: list[NDArray[np.float32]] = model.get_weights()
    return found


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
    read = predict.load_classifier(predict.load_card(done.model), device="cpu").logits(
        shares(test[..., np.newaxis])
    )
    assert (read.argmax(axis=1) == np.arange(40) % 10).mean() == pytest.approx(done.test_accuracy)
    if validation:
        assert float(lines[-1]["val_loss"]) == pytest.approx(done.test_loss, abs=1e-4)
    assert not predict.load_card(done.model).calibrated

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


def test_memory_that_runs_out_is_told(do: Do, keras: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise MemoryError("out of memory")

    monkeypatch.setattr(keras.Model, "fit", full)
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
