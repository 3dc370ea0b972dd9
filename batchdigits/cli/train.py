"""`train`: labelled digits become a model."""

import io
import shlex
import sys
from contextlib import redirect_stdout

from batchdigits.cli.options import with_options
from batchdigits.cli.output import exit_on_broken_pipe
from batchdigits.options import TrainOptions


@with_options(TrainOptions)
def train(options: TrainOptions) -> None:
    """Train a network: by the recipe of a published tutorial, or as the shipped model is made.

    The tutorials' networks are fed as the tutorials feed them: grey levels divided by 255. What is
    saved is the model after the last epoch; an interrupted training leaves the best epoch's.

    The recipe default learns from one set or several, altered anew in every epoch, and learns what
    is no digit. Of each class the last in five are held out, and calibrate the bundle it makes.
    An interrupted training goes on from OUT.training when the same command is given again.
    """
    from batchdigits import report  # noqa: PLC0415
    from batchdigits.training import course, shipped  # noqa: PLC0415

    shown = None if options.quiet else sys.stderr
    bar = shown is not None and shown.isatty()
    train_by = shipped.run if options.recipe == "default" else course.run
    with redirect_stdout(shown or io.StringIO()):  # where Keras prints its bars
        done = train_by(options, (lambda _: None) if options.quiet else report.print_text, bar=bar)
    if options.quiet:
        return
    if options.recipe != "default":
        report.print_message(
            "the model is not calibrated yet: batchdigits calibrate --model "
            f"{shlex.quote(done.model)} --data LABELLED --out BUNDLE makes a bundle of it"
        )
    with exit_on_broken_pipe():
        print(*done.lines(), sep="\n")
