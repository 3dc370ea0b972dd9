import json
import logging
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from batchdigits import predict
from batchdigits.errors import ModelError, UsageError
from batchdigits.predict import (
    DIGIT_CLASSES,
    MODEL_BATCH_SIZE,
    NONE_CLASS,
    Card,
    Classifier,
    backend,
    load_card,
    load_classifier,
)

Pictures = NDArray[np.float32]
Build = Callable[[Any], Any]
Make = Callable[[Path, Any], Path]


def pictures(count: int, seed: int = 0) -> Pictures:
    """As `normalize` gives them: float32 in [0, 1] in steps of 1/255."""
    levels = np.random.default_rng(seed).integers(0, 256, (count, 28, 28, 1))
    return levels.astype(np.float32) / np.float32(255)


def chain(*layers: str, shape: tuple[int | None, ...] = (28, 28)) -> Build:
    """A Sequential of layers, each written as it is in Python with `layers` left out."""

    def build(keras: Any) -> Any:
        made = [eval(f"layers.{layer}", {"layers": keras.layers}) for layer in layers]
        return keras.Sequential([keras.Input(shape), *made])

    return build


def branches(keras: Any) -> Any:
    """Functional, two ways through the picture that meet."""
    here = keras.Input((28, 28, 1))
    one = keras.layers.Flatten()(keras.layers.AveragePooling2D(4)(here))
    two = keras.layers.Flatten()(keras.layers.MaxPooling2D(4)(here))
    both = keras.layers.Concatenate()([one, two])
    return keras.Model(here, keras.layers.Dense(10, "softmax")(both))


def functional(keras: Any) -> Any:
    here = keras.Input((28, 28))
    return keras.Model(here, keras.layers.Dense(10)(keras.layers.Flatten()(here)))


def list_of_one(keras: Any) -> Any:
    here = keras.Input((28, 28))
    return keras.Model([here], [keras.layers.Dense(10)(keras.layers.Flatten()(here))])


def half_precision(keras: Any) -> Any:
    layers = keras.layers
    last = layers.Dense(10, dtype="float16")
    return keras.Sequential([keras.Input((28, 28)), layers.Flatten(), last])


def kept(model: Any, folder: Path) -> str:
    place = folder / "model.keras"
    model.save(place)
    return str(place)


def refused(path: str | None) -> str:
    """What is said to a user who names this model: by its card, or else when it is loaded."""
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


# --- models that can be used ---

LOGITS, PROBABILITIES = False, True
USABLE: list[tuple[str, Build, bool]] = [
    ("(28, 28), logits", chain("Flatten()", "Dense(10)"), LOGITS),
    ("(28, 28, 1), logits", chain("Flatten()", "Dense(10)", shape=(28, 28, 1)), LOGITS),
    ("softmax in the last layer", chain("Flatten()", "Dense(10, 'softmax')"), PROBABILITIES),
    ("a Softmax layer", chain("Flatten()", "Dense(10)", "Softmax()"), PROBABILITIES),
    (
        "an Activation layer, softmax",
        chain("Flatten()", "Dense(10)", "Activation('softmax')", shape=(28, 28, 1)),
        PROBABILITIES,
    ),
    (
        "an Activation layer, linear",
        chain("Flatten()", "Dense(10)", "Activation('linear')"),
        LOGITS,
    ),
    ("functional", functional, LOGITS),
    ("functional with branches", branches, PROBABILITIES),
    ("functional with lists of one", list_of_one, LOGITS),
    ("half precision", half_precision, LOGITS),
]


@pytest.mark.parametrize(
    ("build", "probabilities"), [row[1:] for row in USABLE], ids=[row[0] for row in USABLE]
)
def test_logits_are_the_models_own_output(
    keras: Any, tmp_path: Path, build: Build, probabilities: bool
) -> None:
    model = build(keras)
    some = pictures(5)
    own = np.asarray(model.predict_on_batch(some.reshape(5, *model.input_shape[1:])), np.float32)

    read = load_classifier(load_card(kept(model, tmp_path)), device="cpu").logits(some)

    assert read.dtype == np.float32
    assert read.shape == (5, 10)
    assert np.ptp(own) > 0.01, "a model that says the same of everything shows nothing"
    np.testing.assert_allclose(read, np.log(own) if probabilities else own, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "scaling",
    ["Rescaling(1 / 255)", "Rescaling(1 / 127.5, offset=-1)"],
    ids=["to 0…1", "to -1…1"],
)
def test_a_model_that_divides_by_255_itself_is_given_bytes(
    keras: Any, tmp_path: Path, scaling: str
) -> None:
    model = chain(scaling, "Flatten()", "Dense(10)")(keras)
    some = pictures(5)
    own = np.asarray(model.predict_on_batch(some[..., 0] * 255))

    read = load_classifier(load_card(kept(model, tmp_path)), device="cpu").logits(some)

    np.testing.assert_allclose(read, own, rtol=1e-4, atol=1e-5)


def test_a_rescaling_that_does_not_expect_bytes_changes_nothing(keras: Any, tmp_path: Path) -> None:
    model = chain("Rescaling(2, offset=-1)", "Flatten()", "Dense(10)")(keras)
    some = pictures(3)
    own = np.asarray(model.predict_on_batch(some[..., 0]))

    read = load_classifier(load_card(kept(model, tmp_path)), device="cpu").logits(some)

    np.testing.assert_allclose(read, own, rtol=1e-5, atol=1e-5)


def test_a_rescaling_inside_a_layer_of_layers_counts_too(keras: Any, tmp_path: Path) -> None:
    first = chain("Rescaling(1 / 255)", "Flatten()")(keras)
    model = keras.Sequential([keras.Input((28, 28)), first, keras.layers.Dense(10)])
    some = pictures(3)
    own = np.asarray(model.predict_on_batch(some[..., 0] * 255))

    read = load_classifier(load_card(kept(model, tmp_path)), device="cpu").logits(some)

    np.testing.assert_allclose(read, own, rtol=1e-4, atol=1e-5)


def test_an_input_of_integers_is_given_bytes(keras: Any, tmp_path: Path) -> None:
    here = keras.Input((28, 28), dtype="uint8")
    flat = keras.layers.Flatten()(keras.ops.cast(here, "float32") / 255)
    model = keras.Model(here, keras.layers.Dense(10)(flat))
    some = pictures(3)
    own = np.asarray(model.predict_on_batch(np.rint(some[..., 0] * 255).astype(np.uint8)))

    read = load_classifier(load_card(kept(model, tmp_path)), device="cpu").logits(some)

    np.testing.assert_allclose(read, own, rtol=1e-4, atol=1e-5)


def test_a_probability_of_zero_gives_a_finite_logit(keras: Any, tmp_path: Path) -> None:
    model = chain("Flatten()", "Dense(10, 'softmax')")(keras)
    model.layers[-1].set_weights([np.zeros((784, 10)), np.array([1e4] + [-1e4] * 9)])

    read = load_classifier(load_card(kept(model, tmp_path)), device="cpu").logits(pictures(1))

    assert read[0].argmax() == 0
    assert np.isfinite(read).all()


def test_the_shipped_model_loads_and_its_card_is_calibrated() -> None:
    known = load_card(None)
    read = load_classifier(load_card(None), device="cpu").logits(pictures(2))
    assert known.calibrated
    assert known.preprocessing is not None
    assert known.classes == (*DIGIT_CLASSES, NONE_CLASS)
    assert read.shape == (2, 11)


def test_a_bundle_is_loaded_from_its_folder(keras: Any, tmp_path: Path) -> None:
    model = functional(keras)
    kept(model, tmp_path)
    some = pictures(2)

    read = load_classifier(load_card(bundle(tmp_path, json.dumps(CARD))), device="cpu").logits(some)

    np.testing.assert_allclose(read, model.predict_on_batch(some[..., 0]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("last", "probabilities"), [("Dense(11)", False), ("Dense(11, 'softmax')", True)]
)
def test_a_bundle_may_know_not_a_digit(
    keras: Any, tmp_path: Path, last: str, probabilities: bool
) -> None:
    model = chain("Flatten()", last)(keras)
    kept(model, tmp_path)
    some = pictures(3)

    read = load_classifier(load_card(bundle(tmp_path, json.dumps(ELEVEN))), device="cpu").logits(
        some
    )

    own = model.predict_on_batch(some[..., 0])
    assert read.shape == (3, 11)
    np.testing.assert_allclose(read, np.log(own) if probabilities else own, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("outputs", "eleven", "words"),
    [(10, True, "11 outputs"), (11, False, "10 outputs")],
    ids=["the card has one more", "the model has one more"],
)
def test_a_card_of_another_number_of_classes_is_refused(
    keras: Any, tmp_path: Path, outputs: int, eleven: bool, words: str
) -> None:
    kept(chain("Flatten()", f"Dense({outputs})")(keras), tmp_path)
    said = refused(bundle(tmp_path, json.dumps(ELEVEN if eleven else CARD)))
    assert words in said
    assert f"(None, {outputs})" in said


# --- models that cannot ---


def two_inputs(keras: Any) -> Any:
    one, two = keras.Input((28, 28)), keras.Input((28, 28))
    flat = keras.layers.Flatten()(keras.layers.Add()([one, two]))
    return keras.Model([one, two], keras.layers.Dense(10)(flat))


def two_outputs(keras: Any) -> Any:
    here = keras.Input((28, 28))
    flat = keras.layers.Flatten()(here)
    return keras.Model(here, [keras.layers.Dense(10)(flat), keras.layers.Dense(10)(flat)])


def output_by_name(keras: Any) -> Any:
    here = keras.Input((28, 28))
    return keras.Model(here, {"digit": keras.layers.Dense(10)(keras.layers.Flatten()(here))})


def code_in_a_layer(keras: Any) -> Any:
    layers = keras.layers
    mine = layers.Lambda(lambda x: x)
    return keras.Sequential([keras.Input((28, 28)), layers.Flatten(), layers.Dense(10), mine])


def layer_of_ones_own(keras: Any) -> Any:
    class Mine(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x

    layers = keras.layers
    return keras.Sequential([keras.Input((28, 28)), layers.Flatten(), Mine(), layers.Dense(10)])


UNUSABLE: list[tuple[str, Build, list[str]]] = [
    ("a flat input", chain("Dense(10)", shape=(784,)), ["(28, 28)", "(None, 784)"]),
    ("colour", chain("Flatten()", "Dense(10)", shape=(28, 28, 3)), ["(None, 28, 28, 3)"]),
    ("channels first", chain("Flatten()", "Dense(10)", shape=(1, 28, 28)), ["(None, 1, 28, 28)"]),
    ("another size", chain("Flatten()", "Dense(10)", shape=(32, 32)), ["(None, 32, 32)"]),
    (
        "any size",
        chain("GlobalMaxPooling2D()", "Dense(10)", shape=(None, None, 1)),
        ["(None, None, None, 1)"],
    ),
    ("eleven outputs", chain("Flatten()", "Dense(11)"), ["10 outputs", "(None, 11)"]),
    ("letters", chain("Flatten()", "Dense(26, 'softmax')"), ["10 outputs", "(None, 26)"]),
    ("an output of rows", chain("Dense(10)"), ["(None, 28, 10)"]),
    ("two inputs", two_inputs, ["[(None, 28, 28), (None, 28, 28)]"]),
    ("two outputs", two_outputs, ["[(None, 10), (None, 10)]"]),
    ("sigmoid", chain("Flatten()", "Dense(10, 'sigmoid')"), ["sigmoid", "softmax", "linear"]),
    ("ReLU", chain("Flatten()", "Dense(10)", "ReLU()"), ["ReLU", "softmax", "linear"]),
    ("code in a Lambda layer", code_in_a_layer, ["Lambda", "not loaded"]),
    ("a layer of one's own", layer_of_ones_own, ["cannot be loaded", "Keras's own layers"]),
]


@pytest.mark.parametrize(
    ("build", "words"), [row[1:] for row in UNUSABLE], ids=[row[0] for row in UNUSABLE]
)
def test_another_kind_of_model_is_refused_in_one_line(
    keras: Any, tmp_path: Path, build: Build, words: list[str]
) -> None:
    said = refused(kept(build(keras), tmp_path))
    for word in words:
        assert word in said


def test_an_output_by_name_is_refused(keras: Any, tmp_path: Path) -> None:
    refused(kept(output_by_name(keras), tmp_path))


def test_code_in_a_model_is_not_run(keras: Any, tmp_path: Path) -> None:
    mark = tmp_path / "was run"
    layers = keras.layers
    command = f"touch '{mark}'"
    mine = layers.Lambda(lambda x: os.system(command) or x)
    model = keras.Sequential([keras.Input((28, 28)), layers.Flatten(), layers.Dense(10), mine])
    place = kept(model, tmp_path)
    assert mark.exists(), "building it runs it"
    mark.unlink()

    refused(place)

    assert not mark.exists()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_model_that_gives_no_numbers_is_refused(keras: Any, tmp_path: Path, value: float) -> None:
    model = functional(keras)
    model.layers[-1].set_weights([np.zeros((784, 10)), np.array([value] + [0.0] * 9)])
    assert "NaN" in refused(kept(model, tmp_path))


def a_zip(folder: Path, keras: Any) -> Path:
    place = folder / "a.keras"
    with zipfile.ZipFile(place, "w") as into:
        into.writestr("letter.txt", "hello")
    return place


def a_zip_with_another_config(folder: Path, keras: Any) -> Path:
    place = folder / "b.keras"
    with zipfile.ZipFile(place, "w") as into:
        into.writestr("config.json", '{"a": 1}')
        into.writestr("metadata.json", "{}")
    return place


def no_weights(folder: Path, keras: Any) -> Path:
    place = folder / "c.keras"
    model = kept(functional(keras), folder)
    with zipfile.ZipFile(model) as whole, zipfile.ZipFile(place, "w") as into:
        for name in ("config.json", "metadata.json"):
            into.writestr(name, whole.read(name))
    return place


def half_of_a_model(folder: Path, keras: Any) -> Path:
    place = Path(kept(functional(keras), folder))
    place.write_bytes(place.read_bytes()[: place.stat().st_size // 2])
    return place


def another_suffix(folder: Path, keras: Any) -> Path:
    return Path(kept(functional(keras), folder)).rename(folder / "model.zip")


def text(folder: Path, keras: Any) -> Path:
    place = folder / "text.keras"
    place.write_text("hello\n")
    return place


def nothing_in_it(folder: Path, keras: Any) -> Path:
    place = folder / "empty.keras"
    place.touch()
    return place


def missing(folder: Path, keras: Any) -> Path:
    return folder / "missing.keras"


def below_a_file(folder: Path, keras: Any) -> Path:
    return text(folder, keras) / "model.keras"


def no_card(folder: Path, keras: Any) -> Path:
    kept(functional(keras), folder)
    return folder


def no_model(folder: Path, keras: Any) -> Path:
    (folder / "card.json").write_text(json.dumps(CARD))
    return folder


NO_MODELS: list[tuple[Make, str]] = [
    (a_zip, "cannot be loaded"),
    (a_zip_with_another_config, "cannot be loaded"),
    (no_weights, "cannot be loaded"),
    (half_of_a_model, "is not a model"),
    (another_suffix, "cannot be loaded"),
    (text, "is not a model"),
    (nothing_in_it, "is not a model"),
    (missing, "does not exist"),
    (below_a_file, "does not exist"),
    (no_card, "expected card.json and model.keras"),
    (no_model, "cannot be loaded"),
]


@pytest.mark.parametrize(("make", "words"), NO_MODELS, ids=[make.__name__ for make, _ in NO_MODELS])
def test_what_is_no_model_is_refused_in_one_line(
    keras: Any, tmp_path: Path, make: Make, words: str
) -> None:
    place = make(tmp_path, keras)
    said = refused(str(place))
    assert str(place) in said
    assert words in said


@pytest.mark.parametrize("make", [text, missing, half_of_a_model])
def test_load_refuses_by_itself(keras: Any, tmp_path: Path, make: Make) -> None:
    with pytest.raises(ModelError, match=r"cannot be loaded"):
        load_classifier(replace(load_card(None), network=make(tmp_path, keras)), device="cpu")


def test_a_name_that_cannot_exist_does_not_exist() -> None:
    refused("x" * 300)


# --- cards ---

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


def test_a_card_is_read(tmp_path: Path) -> None:
    assert load_card(bundle(tmp_path, json.dumps(CARD))) == Card("house", 3, 1.25, 0.97, True, CARD)


def test_a_card_may_hold_readings_and_not_a_digit(tmp_path: Path) -> None:
    calibration = {"temperature": 1, "readings": [[0.99, 50, 0], [0.4, 3, 2]]}
    found = load_card(bundle(tmp_path, json.dumps(ELEVEN | {"calibration": calibration})))
    assert found.classes == (*"0123456789", "none")
    assert found.readings == ((0.99, 50, 0), (0.4, 3, 2))


def test_a_plain_file_is_taken_as_uncalibrated(keras: Any, tmp_path: Path) -> None:
    place = kept(functional(keras), tmp_path)
    assert load_card(place) == Card("model.keras", None, 1.0, 0.95, False, {})


@pytest.mark.parametrize(
    "change",
    [{"classes": list(range(10))}, {"threshold": 0}, {"threshold": 1}, {"more": None}],
    ids=["classes as numbers", "lowest threshold", "highest threshold", "more than is known"],
)
def test_what_a_card_may_say(tmp_path: Path, change: dict[str, Any]) -> None:
    assert load_card(bundle(tmp_path, json.dumps(CARD | change))).name == "house"


def without(name: str) -> str:
    return json.dumps({key: value for key, value in CARD.items() if key != name})


def but(**change: Any) -> str:
    return json.dumps(CARD | change)


def calibration(temperature: Any) -> str:
    return but(calibration={"temperature": temperature})


def readings(listed: Any) -> str:
    return but(calibration={"temperature": 1, "readings": listed})


DAMAGED: list[Any] = [
    pytest.param("", "JSONDecodeError", id="empty"),
    pytest.param(json.dumps(CARD)[:40], "JSONDecodeError", id="cut off"),
    pytest.param(b"\xff\xfe{}", "UnicodeDecodeError", id="not UTF-8"),
    pytest.param("[]", "cannot be used", id="a list"),
    pytest.param("null", "cannot be used", id="nothing"),
    pytest.param(without("name"), "'name'", id="no name"),
    pytest.param(without("classes"), "'classes'", id="no classes"),
    pytest.param(without("preprocessing"), "'preprocessing'", id="no preprocessing"),
    pytest.param(without("calibration"), "'calibration'", id="no calibration"),
    pytest.param(without("threshold"), "'threshold'", id="no threshold"),
    pytest.param(but(calibration={}), "'temperature'", id="no temperature"),
    pytest.param(but(calibration=None), "cannot be used", id="calibration is nothing"),
    pytest.param(but(threshold="high"), "high", id="threshold in words"),
    pytest.param(but(preprocessing=None), "cannot be used", id="preprocessing is nothing"),
    pytest.param(but(classes=None), "cannot be used", id="classes are nothing"),
    pytest.param(but(classes=list("0123456798")), "classes 0 to 9", id="classes in other order"),
    pytest.param(but(classes=list("01234567")), "classes 0 to 9", id="eight classes"),
    pytest.param(but(classes=["cat", "dog"]), "cat, dog", id="other classes"),
    pytest.param(but(threshold=1.01), "1.01", id="threshold over 1"),
    pytest.param(but(threshold=-0.01), "-0.01", id="threshold under 0"),
    pytest.param(but(threshold=float("nan")), "nan", id="threshold NaN"),
    pytest.param(calibration(float("nan")), "nan", id="temperature NaN"),
    pytest.param(calibration(float("inf")), "inf", id="temperature infinite"),
    pytest.param(calibration(0), "0.0", id="temperature 0"),
    pytest.param(calibration(-1), "-1.0", id="temperature below 0"),
    pytest.param(but(preprocessing=float("inf")), "card", id="version inf"),
    pytest.param(calibration(10**400), "card", id="temperature 1e400"),
    pytest.param("[" * 100_000, "card", id="very deep"),
    pytest.param(but(classes=[*"0123456789", "other"]), "'none'", id="another eleventh class"),
    pytest.param(but(classes=["none", *"0123456789"]), "'none'", id="not a digit comes first"),
    pytest.param(readings([[1.01, 1, 1]]), "1.01", id="confidence over 1"),
    pytest.param(readings([[float("nan"), 1, 1]]), "nan", id="confidence NaN"),
    pytest.param(readings([[0.5, -1, 1]]), "-1", id="less than no values"),
    pytest.param(readings([[0.5, 1]]), "cannot be used", id="a reading of two numbers"),
    pytest.param(readings([0.5]), "cannot be used", id="readings without counts"),
    pytest.param(readings(3), "cannot be used", id="readings are a number"),
    pytest.param(readings([["high", 1, 1]]), "high", id="confidence in words"),
    pytest.param(but(calibration=[]), "cannot be used", id="calibration is a list"),
    pytest.param(but(classes=["a\nb"]), "classes", id="line break"),
    pytest.param(but(classes=["a"] * 999), "classes", id="999 classes"),
]


@pytest.mark.parametrize(("content", "word"), DAMAGED)
def test_a_damaged_card_is_refused_in_one_line(
    tmp_path: Path, content: str | bytes, word: str
) -> None:
    said = refused(bundle(tmp_path, content))
    assert str(tmp_path / "card.json") in said
    assert word in said


def test_a_card_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "card.json").mkdir()
    assert "cannot be used" in refused(str(tmp_path))


# --- chunks ---


@pytest.fixture(scope="module")
def convolution(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    layers = ["Conv2D(4, 5, 3, activation='relu')", "Flatten()", "Dense(24, 'relu')", "Dense(10)"]
    model = chain(*layers, shape=(28, 28, 1))(keras)
    return load_classifier(
        load_card(kept(model, tmp_path_factory.mktemp("convolution"))), device="cpu"
    )


@pytest.fixture(scope="module")
def shipped(keras: Any) -> Classifier:
    return load_classifier(load_card(None), device="cpu")


@pytest.fixture(params=["convolution", "shipped"])
def classifier(request: pytest.FixtureRequest) -> Classifier:
    found: Classifier = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize(
    "count",
    [1, 2, MODEL_BATCH_SIZE - 1, MODEL_BATCH_SIZE, MODEL_BATCH_SIZE + 1, 2 * MODEL_BATCH_SIZE],
)
def test_bits_do_not_depend_on_how_many_are_beside(classifier: Classifier, count: int) -> None:
    some = pictures(600)
    among_all = classifier.logits(some)
    for start in (0, 301, 600 - count):
        alone = classifier.logits(some[start : start + count])
        assert alone.tobytes() == among_all[start : start + count].tobytes()


def test_bits_do_not_depend_on_the_place(classifier: Classifier) -> None:
    some = pictures(600)
    shuffled = np.random.default_rng(1).permutation(600)
    in_order = classifier.logits(some)
    assert len(np.unique(in_order, axis=0)) == 600, "each picture reads differently"
    assert classifier.logits(some[shuffled]).tobytes() == in_order[shuffled].tobytes()


def test_no_pictures_give_no_logits(convolution: Classifier) -> None:
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
    classifier = load_classifier(load_card(None), device=wanted)
    assert classifier.device == chosen
    assert set(devices_asked) == {chosen}

    devices_asked.clear()
    classifier.logits(pictures(2 * MODEL_BATCH_SIZE))
    assert devices_asked == [chosen, chosen], "each chunk is read there"


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
    tmp_path: Path, shipped: Classifier, name: str
) -> None:
    if find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    np.save(tmp_path / "picture.npy", pictures(1))
    done = python(READ_ONE, str(tmp_path / "picture.npy"), KERAS_BACKEND=name)
    assert (done.returncode, done.stderr) == (0, "")
    told, logits = done.stdout.splitlines()
    assert told.startswith(f"Keras backend {name}: CPU, ")
    np.testing.assert_allclose(json.loads(logits), shipped.logits(pictures(1)), atol=1e-4)


# --- standard error, kept quiet while native libraries start ---


def python(script: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


START = """
import faulthandler, io, os, sys
from batchdigits.predict.backend import silence_stderr
"""


def test_what_native_code_says_is_kept_away_while_all_goes_well() -> None:
    done = python(
        START
        + """
print("before", file=sys.stderr)
with silence_stderr():
    os.write(2, b"native\\n")
    print("python", file=sys.stderr)
    os.system("echo child >&2")
    print("data")
os.write(2, b"after\\n")
print("python after", file=sys.stderr)
"""
    )
    assert (done.returncode, done.stdout) == (0, "data\n")
    assert done.stderr == "before\nafter\npython after\n"


@pytest.mark.parametrize("error", ["ValueError('bad')", "OSError('bad')"])
def test_what_native_code_says_is_told_when_it_goes_wrong(error: str) -> None:
    done = python(
        START
        + f"""
try:
    with silence_stderr():
        os.write(2, b"native\\n")
        print("python", file=sys.stderr)
        raise {error}
except BaseException as error:
    print(repr(error))
os.write(2, b"after\\n")
with silence_stderr():
    os.write(2, b"hidden\\n")
"""
    )
    assert (done.returncode, done.stdout) == (0, error + "\n")
    assert done.stderr == "native\npython\nafter\n"


@pytest.mark.parametrize("inner", ["", "; raise ValueError"], ids=["well", "wrong"])
def test_hushed_within_hushed(inner: str) -> None:
    done = python(
        START
        + f"""
try:
    with silence_stderr():
        with silence_stderr():
            os.write(2, b"inner\\n"){inner}
        os.write(2, b"outer\\n")
except ValueError:
    pass
os.write(2, b"after\\n")
"""
    )
    assert done.stderr == ("inner\nafter\n" if inner else "after\n")


def test_a_crash_leaves_a_trace_on_the_real_standard_error() -> None:
    done = python(
        START
        + """
import resource
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
with silence_stderr():
    os.abort()
"""
    )
    assert done.returncode < 0
    assert "Fatal Python error: Aborted" in done.stderr
    assert "os.abort" not in done.stdout


@pytest.mark.parametrize("enabled", [False, True])
def test_the_fault_handler_is_left_as_it_was(enabled: bool) -> None:
    done = python(
        START
        + f"""
faulthandler.enable() if {enabled} else faulthandler.disable()
for body in ("pass", "1 / 0"):
    try:
        with silence_stderr():
            exec(body)
    except ZeroDivisionError:
        pass
    print(faulthandler.is_enabled())
"""
    )
    assert done.stdout.split() == [str(enabled)] * 2


def test_descriptors_do_not_leak() -> None:
    done = python(
        START
        + """
before = os.listdir("/proc/self/fd")
for _ in range(20):
    with silence_stderr():
        pass
print(before == os.listdir("/proc/self/fd"))
"""
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


CLOSED = """
try:
    with silence_stderr():
        print("inside")
        if len(sys.argv) > 1:
            raise ValueError("bad")
except ValueError as error:
    print(error)
print("after")
"""


@pytest.mark.parametrize("arguments", [[], ["raise"]], ids=["well", "wrong"])
def test_a_service_may_run_without_standard_error(arguments: list[str]) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", START + CLOSED, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.split() == ["inside", *(["bad"] if arguments else []), "after"]


def test_a_file_opened_in_the_place_of_standard_error_is_unharmed(tmp_path: Path) -> None:
    script = START + "opened = open(sys.argv[1], 'w'); print(opened.fileno())\n"
    script += "with silence_stderr():\n    pass\nopened.write('mine'); opened.close()\n"
    place = tmp_path / "file"
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", script, str(place)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "2\n")
    assert place.read_text() == "mine"


@pytest.mark.parametrize("instead", ["io.StringIO()", "None"])
def test_standard_error_may_be_something_without_a_descriptor(instead: str) -> None:
    done = python(
        START
        + f"""
faulthandler.enable()
sys.stderr = {instead}
with silence_stderr():
    os.write(2, b"native")
print("after")
"""
    )
    assert done.stdout == "after\n"


def test_nobody_reading_standard_error_hides_no_error() -> None:
    done = python(
        START
        + """
from_it, into = os.pipe()
os.close(from_it)
os.dup2(into, 2)
try:
    with silence_stderr():
        os.write(2, b"native")
        raise ValueError("bad")
except Exception as error:
    print(repr(error))
"""
    )
    assert done.stdout == "ValueError('bad')\n"


@contextmanager
def _standard_error_of_this_process(place: Path) -> Iterator[None]:
    real = os.dup(2)
    with place.open("wb") as into:
        os.dup2(into.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(real, 2)
            os.close(real)


def test_loading_says_nothing_and_a_refusal_leaves_standard_error_whole(
    keras: Any, tmp_path: Path
) -> None:
    place = tmp_path / "stderr"
    with _standard_error_of_this_process(place):
        load_classifier(load_card(None), device="cpu")
        assert place.read_bytes() == b""
        refused(str(tmp_path / "missing.keras"))
        os.write(2, b"after\n")
    assert place.read_bytes().endswith(b"after\n")


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


def fixed_batch(keras: Any) -> Any:
    here = keras.Input(batch_shape=(2, 28, 28))
    return keras.Sequential([here, keras.layers.Flatten(), keras.layers.Dense(10)])


def softmax_after_the_layers(keras: Any) -> Any:
    here = keras.Input((28, 28))
    logits = keras.layers.Dense(10)(keras.layers.Flatten()(here))
    return keras.Model(here, keras.ops.softmax(logits))


def nested_softmax(keras: Any) -> Any:
    layers = keras.layers
    inner = keras.Sequential([layers.Flatten(), layers.Dense(10, "softmax")])
    here = keras.Input((28, 28))
    return keras.Model(here, inner(here))


@pytest.mark.parametrize("build", [fixed_batch, softmax_after_the_layers, nested_softmax])
def test_what_makes_the_output_decides(build: Any, keras: Any, tmp_path: Path) -> None:
    model = build(keras)
    model.save(tmp_path / "m.keras")
    some = np.random.default_rng(0).random((5, 28, 28, 1), np.float32)
    logits = predict.load_classifier(
        predict.load_card(str(tmp_path / "m.keras")), device="cpu"
    ).logits(some)
    given = np.stack([np.asarray(model(some[[i, i], ..., 0]))[0] for i in range(5)])
    wanted = given if build is fixed_batch else np.log(given)
    np.testing.assert_allclose(logits, wanted, atol=1e-4)
