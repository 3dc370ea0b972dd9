"""Which models can be used, what their logits are, and how others are refused."""

import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from predict_models import CARD, ELEVEN, Build, bundle, chain, functional, kept, pictures, refused

from batchdigits import predict
from batchdigits.errors import ModelError
from batchdigits.predict import (
    DIGIT_CLASSES,
    NONE_CLASS,
    load_card,
    load_classifier,
)

Make = Callable[[Path, Any], Path]


def branches(keras: Any) -> Any:
    """Functional, two ways through the picture that meet."""
    here = keras.Input((28, 28, 1))
    one = keras.layers.Flatten()(keras.layers.AveragePooling2D(4)(here))
    two = keras.layers.Flatten()(keras.layers.MaxPooling2D(4)(here))
    both = keras.layers.Concatenate()([one, two])
    return keras.Model(here, keras.layers.Dense(10, "softmax")(both))


def list_of_one(keras: Any) -> Any:
    here = keras.Input((28, 28))
    return keras.Model([here], [keras.layers.Dense(10)(keras.layers.Flatten()(here))])


def half_precision(keras: Any) -> Any:
    layers = keras.layers
    last = layers.Dense(10, dtype="float16")
    return keras.Sequential([keras.Input((28, 28)), layers.Flatten(), last])


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
