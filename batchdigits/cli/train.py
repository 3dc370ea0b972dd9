"""`train`: labelled digits become a model."""

import io
import shlex
import sys
from contextlib import redirect_stdout
from typing import Annotated

import typer

from batchdigits.cli.options import Config, Quiet, option
from batchdigits.cli.output import reader_may_leave
from batchdigits.errors import UsageError


def train(  # noqa: PLR0913, PLR0917  (one parameter an option is how Typer is told of them)
    recipe: Annotated[
        str | None,
        option("recipe", "default, conv1, mlp, conv3, conv3-logits or conv2-adadelta.", "NAME"),
    ] = None,
    out: Annotated[
        str | None,
        option(
            "out",
            "Folder for model.keras, summary.txt, samples.png, history.csv and curves.png. It is "
            "made where it is missing, and refused where it holds a model already. Recipe default "
            "makes a bundle, which replaces one that is there.",
            "FOLDER",
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            help="Labelled digits: an .npz file, a folder of IDX files, or of LABEL/*.png; for "
            "--recipe default several, each by its own --data.  "
            "[default: MNIST, downloaded by Keras]",
            metavar="PATH",
        ),
    ] = None,
    labels: Annotated[
        str | None,
        option(
            "labels",
            "What labels that are no digits mean: a digit, empty, none or skip, as in "
            "ten=0,other=skip.",
            "MAP",
        ),
    ] = None,
    seed: Annotated[
        str | None, option("seed", "Makes the training repeatable on this machine.", "N")
    ] = None,
    epochs: Annotated[
        str | None,
        option("epochs", "How often all digits are seen.  [default: the recipe's own]", "N"),
    ] = None,
    fine_tune: Annotated[
        str | None,
        option(
            "fine-tune", "Start from this bundle or .keras file, made by the same recipe.", "BUNDLE"
        ),
    ] = None,
    device: Annotated[
        str, option("device", "Where the model is trained.", "auto|cpu|gpu|gpu:N")
    ] = "auto",
    quiet: Quiet = False,
    _config: Config = None,
) -> None:
    """Train a network: by the recipe of a published tutorial, or as the shipped model is made.

    The tutorials' networks are fed as the tutorials feed them: grey levels divided by 255. What is
    saved is the model after the last epoch; an interrupted training leaves the best epoch's.

    The recipe default learns from one set or several, altered anew in every epoch, and learns what
    is no digit. Of each class the last in five are held out, and calibrate the bundle it makes.
    An interrupted training goes on from OUT.training when the same command is given again.
    """
    for name, value in (("recipe", recipe), ("out", out)):
        if value is None:
            raise UsageError(f"--{name} is missing (--help tells what it takes)")
    from batchdigits.options import TrainOptions  # noqa: PLC0415

    options = TrainOptions.of(
        {
            "recipe": recipe,
            "out": out,
            "data": tuple(data or ()),
            "labels": labels,
            "seed": seed,
            "epochs": epochs,
            "fine_tune": fine_tune,
            "device": device,
        }
    )
    from batchdigits import report  # noqa: PLC0415
    from batchdigits.train import course, shipped  # noqa: PLC0415

    shown = None if quiet else sys.stderr
    bar = shown is not None and shown.isatty()
    train_by = shipped.run if recipe == "default" else course.run
    with redirect_stdout(shown or io.StringIO()):  # where Keras prints its bars
        done = train_by(options, (lambda _: None) if quiet else report.show, bar=bar)
    if quiet:
        return
    if recipe != "default":
        report.say(
            "the model is not calibrated yet: batchdigits calibrate --model "
            f"{shlex.quote(done.model)} --data LABELLED --out BUNDLE makes a bundle of it"
        )
    with reader_may_leave():
        print(*done.lines(), sep="\n")
