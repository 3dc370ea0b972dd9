"""A recipe's training from its data to a saved model, with what the tutorials show on the way."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from batchdigits import predict
from batchdigits.errors import ModelError, OutputError, UsageError
from batchdigits.labelled import parse_label_map
from batchdigits.normalize import shares
from batchdigits.options import TrainOptions
from batchdigits.predict import backend
from batchdigits.training import digits, show
from batchdigits.training.digits import Digits
from batchdigits.training.recipes import Recipe, chosen, network

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of a training.

    Attributes:
        recipe: its name.
        parameters: how many numbers the network has learned.
        epochs: how often it saw all pictures.
        test_loss: mean loss on the test part, after the last epoch.
        test_accuracy: share of the test part that is read right, 0 to 1.
        model: the saved `.keras` file.
    """

    recipe: str
    parameters: int
    epochs: int
    test_loss: float
    test_accuracy: float
    model: str

    def lines(self) -> list[str]:
        """Give each attribute as a line, `name value`."""
        return [
            f"recipe {self.recipe}",
            f"parameters {self.parameters}",
            f"epochs {self.epochs}",
            f"test_loss {self.test_loss:.4f}",
            f"test_accuracy {self.test_accuracy:.4f}",
            f"model {self.model}",
        ]


@dataclass
class _Keeper:
    """Keeps the history, and the best epoch's model until the last one's takes its place.

    The best is that of the least validation loss; without validation, of the least loss.
    """

    out: Path
    title: str
    count: int
    tell: Tell
    bar: bool
    model: Any = None
    epochs: list[dict[str, float]] = field(default_factory=list)
    best: int = 0
    least: float = math.inf
    since: float = 0.0

    def begin(self, *_: Any) -> None:
        """Note when an epoch began."""
        self.since = time.monotonic()

    def end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Take down what an epoch (from 0) gave, and keep its model if it is the best so far."""
        self.epochs.append({"epoch": epoch + 1, **logs})
        show.history(self.out / "history.csv", self.epochs)
        loss = logs.get("val_loss", logs["loss"])
        if loss < self.least:
            self.least, self.best = loss, epoch + 1
            self.save()
        if self.bar:  # which has told it
            return
        figures = ", ".join(
            f"{name.replace('val_', 'validation ')} {logs[name]:.4f}"
            for name in show.COLUMNS[1:]
            if name in logs
        )
        took = time.monotonic() - self.since
        self.tell(f"epoch {epoch + 1} of {self.count}: {figures}, {took:.0f} s")

    def save(self) -> None:
        with show.aside(self.out / "model.keras") as under:
            self.model.save(under)

    def draw(self) -> bool:
        """Draw the curves, if there are any and matplotlib is installed."""
        return show.curves(self.out / "curves.png", self.title, self.epochs)

    def left(self) -> str:
        """Say what is there after an interruption."""
        if not self.best:
            return "no epoch was finished, no model is kept"
        return f"epoch {self.best} of {self.count}, the best so far, is kept in '{self.out}'"


def run(options: TrainOptions, tell: Tell, *, bar: bool = False) -> Trained:
    """Train a recipe as the options say.

    What is written into the folder `options.out`: samples.png, summary.txt, history.csv,
    curves.png, and model.keras: after the last epoch the model as it then is, as in the
    tutorials; until then, and where the run is interrupted, that of the best epoch.

    Args:
        options: which recipe, on what, and where to.
        tell: takes lines for people.
        bar: whether Keras draws its bar for each epoch, on standard output.

    Raises:
        UsageError: the data, the recipe or the folder are not as expected; nothing is written.
        ModelError: the model to start from is of another recipe.
        OutputError: the folder cannot be written.
    """
    recipe, out = chosen(options.recipe), Path(options.out)
    names = parse_label_map(options.labels)
    _check(out)
    keeper = _Keeper(out, options.recipe, options.epochs or recipe.epochs, tell, bar)
    with _kept(keeper):
        parts = digits.read(options.data[0], names) if options.data else None
        with backend.silence_stderr():
            keras, device = predict.start_keras(options.device)
        parts = parts or digits.read(None, names)
        with faults(out, device), keras.device(device):
            with backend.silence_stderr():
                if options.seed is not None:
                    backend.enable_determinism()
                    keras.utils.set_random_seed(options.seed)
                keeper.model = network(recipe)
                if options.fine_tune is not None:
                    _start_from(options.fine_tune, keeper.model, options.recipe)
            return _course(keeper, recipe, parts)


def _check(out: Path) -> None:
    for name in ("model.keras", "card.json"):
        if (out / name).exists():
            raise UsageError(f"--out '{out}' holds {name} already: choose another folder")
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out '{out}': expected a folder, which is made where it is missing")


@contextmanager
def _kept(keeper: _Keeper) -> Iterator[None]:
    """Where the training is interrupted, draw the curves so far, and say what is kept."""
    try:
        yield
    except Exception:
        raise
    except BaseException as stopped:
        if keeper.epochs:
            keeper.draw()
        stopped.add_note(keeper.left())
        raise


@contextmanager
def faults(out: Path, device: str) -> Iterator[None]:
    """Put into words what the disk and the device's memory refuse."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"'{out}' cannot be written: {error.strerror or error}") from None
    except Exception as error:
        if backend.is_out_of_memory(error):
            raise ModelError(
                f"memory ran out on {device}: use --device cpu, or fewer pictures"
            ) from None
        raise


def to_start_from(path: str) -> Any:
    """Load the network that a training starts from.

    Raises:
        ModelError: there is none.
    """
    place = predict.resolve_keras_path(path)
    if not place.exists():
        raise ModelError(f"--fine-tune '{path}': expected a bundle's folder or a .keras file")
    return predict.load_keras_model(place)


def _start_from(path: str, model: Any, name: str) -> None:
    """Give a network the weights of a model of the same recipe."""
    start = to_start_from(path)
    wanted, got = _layers(model), _layers(start)
    if wanted != got:
        raise ModelError(
            f"--fine-tune '{path}' is not of recipe {name}: expected {' '.join(wanted)}; "
            f"got {' '.join(got):.200}"
        )
    model.set_weights(start.get_weights())


def _layers(model: Any) -> list[str]:
    """Describe the layers that hold weights, and what is done with their sums."""
    return [
        f"{type(layer).__name__}{tuple(layer.weights[0].shape)}"
        f":{layer.get_config().get('activation', '')}"
        for layer in model.layers
        if layer.weights
    ]


def _course(keeper: _Keeper, recipe: Recipe, parts: digits.Parts) -> Trained:
    """Show, fit, test and write; all is checked before."""
    model, out, tell = keeper.model, keeper.out, keeper.tell
    about = [*parts.remarks, _shapes("training", parts.train), _shapes("test", parts.test)]
    model.summary(print_fn=lambda line, **_: about.append(line), line_length=80)
    out.mkdir(parents=True, exist_ok=True)
    tell("\n".join(about))
    show.text(out / "summary.txt", "\n".join(about) + "\n")
    show.samples(out / "samples.png", parts.train)
    (x, y), test = (_fed(part, recipe) for part in (parts.train, parts.test))
    with backend.silence_stderr():  # what is printed when a device is first used
        model(x[: recipe.batch])
    _fit(keeper, recipe, (x, y), test if recipe.validation else None)
    figures = model.evaluate(*test, batch_size=recipe.batch, verbose=0, return_dict=True)
    keeper.save()
    if not keeper.draw():
        tell(show.NO_CURVES)
    trained = Trained(
        recipe=keeper.title,
        parameters=model.count_params(),
        epochs=keeper.count,
        test_loss=figures["loss"],
        test_accuracy=figures["accuracy"],
        model=str(out / "model.keras"),
    )
    show.text(out / "summary.txt", "\n".join([*about, *trained.lines()]) + "\n")
    return trained


def _fit(keeper: _Keeper, recipe: Recipe, train: Any, validation: Any) -> None:
    import keras  # noqa: PLC0415  (heavy: only when called)

    keeper.model.fit(
        *train,
        batch_size=recipe.batch,
        epochs=keeper.count,
        validation_data=validation,
        callbacks=[keras.callbacks.LambdaCallback(keeper.begin, keeper.end)],
        verbose=1 if keeper.bar else 0,
    )


def _shapes(part: str, found: Digits) -> str:
    counts = np.bincount(found.labels, minlength=10)
    return (
        f"{part}: pictures {found.pictures.shape} {found.pictures.dtype}, "
        f"labels {found.labels.shape}, {counts.min():,} to {counts.max():,} of each digit"
    )


def _fed(found: Digits, recipe: Recipe) -> tuple[Any, Any]:
    """Give pictures and labels in the form the recipe's network takes."""
    pictures = shares(found.pictures).reshape(-1, *recipe.shape)
    return pictures, np.eye(10, dtype=np.float32)[found.labels] if recipe.one_hot else found.labels
