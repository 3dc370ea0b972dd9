"""`train`: train a model on labelled digits."""

import io
import shlex
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Protocol

from batchdigits.cli.options import with_options
from batchdigits.cli.output import exit_on_broken_pipe
from batchdigits.options import TrainOptions


class TrainingResult(Protocol):
    """What a training gives: the saved model, and lines of `name value` for people."""

    @property
    def model(self) -> str:
        """The bundle's folder, or the `.keras` file."""

    def lines(self) -> list[str]:
        """Return what matters as lines."""


@with_options(TrainOptions)
def train(options: TrainOptions) -> None:
    """Train a network by the recipe of a published tutorial, or a bundle as the package has one.

    The tutorials' networks get grey levels divided by 255, as in the tutorials. The model of the
    last epoch is saved; if the training is interrupted, that of the best epoch.

    The recipe default learns from one set or several, altered in every epoch, and learns what is
    not a digit. The last tenth of each class is held out and calibrates the bundle.

    The recipe numbers trains a number reader and puts it into a bundle. It learns from strings that
    are composed of the digits, and from folders of NUMBER/*.png. Five networks each leave a fifth
    of these out; what they read of it calibrates the bundle.

    If a training by these two is interrupted, give the same command again: it goes on from
    OUT.training.
    """
    from batchdigits import report  # noqa: PLC0415
    from batchdigits.training import course, number_bundle, shipped  # noqa: PLC0415

    progress_stream = None if options.quiet else sys.stderr
    bar = progress_stream is not None and progress_stream.isatty()
    by_recipe: dict[str, Callable[..., TrainingResult]] = {
        "default": shipped.run,
        "numbers": number_bundle.train_number_reader,
    }
    train_by = by_recipe.get(options.recipe, course.run)
    with redirect_stdout(progress_stream or io.StringIO()):  # Keras prints its bars there
        done = train_by(options, (lambda _: None) if options.quiet else report.print_text, bar=bar)
    if options.quiet:
        return
    if options.recipe not in by_recipe:
        report.print_message(
            "the model is not calibrated yet: batchdigits calibrate --model "
            f"{shlex.quote(done.model)} --data LABELLED --out BUNDLE makes a bundle of it"
        )
    with exit_on_broken_pipe():
        print(*done.lines(), sep="\n")
