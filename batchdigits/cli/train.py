"""`train`: train a model on labelled digits."""

import io
import shlex
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from typing import Protocol

from batchdigits.cli.options import with_options
from batchdigits.cli.output import exit_on_broken_pipe
from batchdigits.options import TrainOptions

PACKAGE_MODEL = "default"
"""What --fine-tune calls the model in the package."""


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

    With --from-corrections a bundle learns from the digits and numbers that people verified, such
    as --fine-tune default --from-corrections results.csv.corrections.csv. It is kept only if it
    reads pages better that it has not learned, and digits and numbers of the package no worse (else
    exit code 6).
    """
    from batchdigits import predict, report  # noqa: PLC0415
    from batchdigits.training import course, fine_tune, number_bundle, shipped  # noqa: PLC0415

    if options.fine_tune == PACKAGE_MODEL:
        options = replace(options, fine_tune=str(predict.resolve_model_path(None)))

    progress_stream = None if options.quiet else sys.stderr
    bar = progress_stream is not None and progress_stream.isatty()
    by_recipe: dict[str, Callable[..., TrainingResult]] = {
        "default": shipped.run,
        "numbers": number_bundle.train_number_reader,
    }
    train_by = by_recipe.get(options.recipe, course.run)
    if options.from_corrections is not None:
        train_by = fine_tune.fine_tune_bundle
    with redirect_stdout(progress_stream or io.StringIO()):  # Keras prints its bars there
        done = train_by(options, (lambda _: None) if options.quiet else report.print_text, bar=bar)
    if options.quiet:
        return
    if train_by is course.run:
        report.print_message(
            "the model is not calibrated yet: batchdigits calibrate --model "
            f"{shlex.quote(done.model)} --data LABELLED --out BUNDLE makes a bundle of it"
        )
    with exit_on_broken_pipe():
        print(*done.lines(), sep="\n")
