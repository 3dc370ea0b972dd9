"""The recipes of five published tutorials, as data: adding one is one entry in `RECIPES`."""

from dataclasses import dataclass
from typing import Any

from batchdigits.errors import UsageError
from batchdigits.options import suggest_name
from batchdigits.options.training import BUNDLE_RECIPES

Layer = tuple[str, dict[str, Any]]
"""The name of a layer of Keras, and its settings where they are not Keras's defaults."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a training is made of; pictures go in as shares from 0 to 1, ink light on dark.

    Attributes:
        shape: of one picture: (28, 28) or (28, 28, 1).
        layers: from the picture to ten outputs.
        optimizer: its name in Keras, at Keras's default rate.
        logits: whether the outputs are logits; else probabilities.
        one_hot: whether labels go in as rows of ten; else as digits.
        batch: pictures a step.
        epochs: how often all pictures are seen.
        validation: whether the test part is measured after each epoch; nothing is ever held out
            of the training part, as in the tutorials.
    """

    shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    optimizer: str
    logits: bool
    one_hot: bool
    batch: int
    epochs: int
    validation: bool


def _convolution(filters: int) -> Layer:
    return "Conv2D", {"filters": filters, "kernel_size": 3, "activation": "relu"}


def _dense(units: int, activation: str | None = "relu") -> Layer:
    return "Dense", {"units": units, "activation": activation}


def _dropout(share: float) -> Layer:
    return "Dropout", {"rate": share}


_POOL: Layer = ("MaxPooling2D", {})
_FLAT: Layer = ("Flatten", {})
_CONV3 = (
    *(_convolution(32), _POOL),
    *(_convolution(64), _POOL),
    *(_convolution(64), _FLAT, _dense(64)),
)

RECIPES = {
    "conv1": Recipe(
        shape=(28, 28, 1),
        layers=(_convolution(32), _POOL, _FLAT, _dense(128), _dense(10, "softmax")),
        optimizer="adam",
        logits=False,
        one_hot=True,
        batch=100,
        epochs=5,
        validation=False,
    ),
    "mlp": Recipe(
        shape=(28, 28),
        layers=(_FLAT, _dense(16), _dense(16), _dropout(0.2), _dense(10, "softmax")),
        optimizer="adam",
        logits=False,
        one_hot=False,
        batch=32,
        epochs=20,
        validation=True,
    ),
    "conv3": Recipe(
        shape=(28, 28, 1),
        layers=(*_CONV3, _dense(10, "softmax")),
        optimizer="rmsprop",
        logits=False,
        one_hot=True,
        batch=64,
        epochs=5,
        validation=False,
    ),
    "conv3-logits": Recipe(
        shape=(28, 28, 1),
        layers=(*_CONV3, _dense(10, None)),
        optimizer="rmsprop",
        logits=True,
        one_hot=False,
        batch=32,
        epochs=5,
        validation=True,
    ),
    "conv2-adadelta": Recipe(
        shape=(28, 28, 1),
        layers=(
            *(_convolution(32), _convolution(64), _POOL, _dropout(0.25), _FLAT),
            *(_dense(256), _dropout(0.5), _dense(10, "softmax")),
        ),
        optimizer="adadelta",
        logits=False,
        one_hot=True,
        batch=128,
        epochs=10,
        validation=True,
    ),
}
"""By name, as `--recipe` takes it."""


def chosen(name: str) -> Recipe:
    """Give a recipe by its name.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in RECIPES:
        known = [*BUNDLE_RECIPES, *RECIPES]
        raise UsageError(
            f"--recipe '{name}': expected one of {', '.join(known)}{suggest_name(name, known)}"
        )
    return RECIPES[name]


def network(recipe: Recipe) -> Any:
    """Build a recipe's network, ready to be trained."""
    import keras  # noqa: PLC0415  (heavy: only when called)

    layers = [getattr(keras.layers, name)(**settings) for name, settings in recipe.layers]
    model = keras.Sequential([keras.Input(recipe.shape), *layers])
    kind = "CategoricalCrossentropy" if recipe.one_hot else "SparseCategoricalCrossentropy"
    loss = getattr(keras.losses, kind)(from_logits=recipe.logits)
    model.compile(recipe.optimizer, loss, metrics=["accuracy"])
    return model
