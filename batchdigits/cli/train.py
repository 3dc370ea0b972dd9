"""`train`: labelled digits become a model."""

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
    """Train a network: by the recipe of a published tutorial, or as the shipped model is made.

    The tutorials' networks are fed as the tutorials feed them: grey levels divided by 255. What is
    saved is the model after the last epoch; an interrupted training leaves the best epoch's.

    The recipe default learns from one set or several, altered anew in every epoch, and learns what
    is no digit. Of each class the last in five are held out, and calibrate the bundle it makes.
    The recipe numbers makes a reader of numbers, which joins a bundle: it learns from strings that
    are composed of the digits, and from folders of NUMBER/*.png where there are any. These are
    parted into five; each part is read by a network that has not seen it, and calibrates.

    With both, an interrupted training goes on from OUT.training when the same command is given
    again.
    """
    from batchdigits import report  # noqa: PLC0415
    from batchdigits.training import course, number_bundle, shipped  # noqa: PLC0415

    shown = None if options.quiet else sys.stderr
    bar = shown is not None and shown.isatty()
    by_recipe: dict[str, Callable[..., TrainingResult]] = {
        "default": shipped.run,
        "numbers": number_bundle.train_number_reader,
    }
    train_by = by_recipe.get(options.recipe, course.run)
    with redirect_stdout(shown or io.StringIO()):  # where Keras prints its bars
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
