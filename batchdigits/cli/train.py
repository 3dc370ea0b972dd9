"""`train`: labelled digits become a model."""

import io
import shlex
import sys
from contextlib import redirect_stdout
from typing import Annotated

from batchdigits.cli.options import Config, option
from batchdigits.cli.output import reader_may_leave
from batchdigits.errors import UsageError


def train(  # noqa: PLR0913, PLR0917  (one parameter an option is how Typer is told of them)
    recipe: Annotated[
        str | None,
        option("recipe", "conv1, mlp, conv3, conv3-logits or conv2-adadelta.", "NAME"),
    ] = None,
    out: Annotated[
        str | None,
        option(
            "out",
            "Folder for model.keras, summary.txt, samples.png, history.csv and curves.png. It is "
            "made where it is missing, and refused where it holds a model already.",
            "FOLDER",
        ),
    ] = None,
    data: Annotated[
        str | None,
        option(
            "data",
            "Labelled digits: an .npz file, a folder of IDX files, or of LABEL/*.png.  "
            "[default: MNIST, downloaded by Keras]",
            "PATH",
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
    quiet: Annotated[
        bool, option("quiet", "Print nothing while all goes well.", None, "-q")
    ] = False,
    _config: Config = None,
) -> None:
    """Train a network by the recipe of a published tutorial.

    The digits are fed as the tutorials feed them: grey levels divided by 255. What is saved is the
    model after the last epoch; an interrupted training leaves the best epoch's.
    """
    for name, value in (("recipe", recipe), ("out", out)):
        if value is None:
            raise UsageError(f"--{name} is missing (--help tells what it takes)")
    from batchdigits.options import TrainOptions  # noqa: PLC0415

    options = TrainOptions.of(
        {
            "recipe": recipe,
            "out": out,
            "data": data,
            "labels": labels,
            "seed": seed,
            "epochs": epochs,
            "fine_tune": fine_tune,
            "device": device,
        }
    )
    from batchdigits import report  # noqa: PLC0415
    from batchdigits.train import course  # noqa: PLC0415

    shown = None if quiet else sys.stderr
    bar = shown is not None and shown.isatty()
    with redirect_stdout(shown or io.StringIO()):  # where Keras prints its bars
        done = course.run(options, (lambda _: None) if quiet else report.show, bar=bar)
    if quiet:
        return
    report.say(
        "the model is not calibrated yet: batchdigits calibrate --model "
        f"{shlex.quote(done.model)} --data LABELLED --out BUNDLE makes a bundle of it"
    )
    with reader_may_leave():
        print(*done.lines(), sep="\n")
