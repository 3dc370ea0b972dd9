"""`calibrate` and `info`: a model's card is made, and shown."""

from typing import Annotated

from batchdigits.cli.options import Config, Device, Invert, Model, Quiet, option, out_option
from batchdigits.cli.output import reader_may_leave
from batchdigits.options import RunOptions


def calibrate(  # noqa: PLR0913, PLR0917  (one parameter an option is how Typer is told of them)
    data: Annotated[
        str,
        option(
            "data",
            "Labelled digits that the model was not trained on, 200 or more: an .npz file, a "
            "folder of IDX files, or of LABEL/*.png. Of a set with a part for tests, that part.",
            "LABELLED",
        ),
    ],
    out: Annotated[
        str, out_option("The folder to make; a bundle that is there is replaced.", "BUNDLE")
    ],
    model: Model = None,
    labels: Annotated[
        str,
        option(
            "labels",
            "What labels that are no digits mean: a digit, empty, none (not a digit) or skip, as "
            "in 10=empty,x=none.",
            "MAP",
        ),
    ] = "",
    name: Annotated[
        str | None, option("name", "What the card calls it.", "NAME", default="BUNDLE's name")
    ] = None,
    invert: Invert = None,
    device: Device = None,
    quiet: Quiet = False,
    _config: Config = None,
) -> None:
    """Give a model of your own its calibration and default threshold: makes a bundle of it."""
    options = RunOptions.of({"model": model, "invert": invert, "device": device, "quiet": quiet})
    from batchdigits import labelled, predict, report  # noqa: PLC0415
    from batchdigits.training import bundle  # noqa: PLC0415

    names = labelled.label_map(labels)
    bundle.check(out)
    predict.card(options.model)
    part = labelled.unseen(data)
    try:
        card = bundle.calibrated(
            [labelled.read(data, part=part, names=names)],
            options,
            name=name or bundle.name_of(out),
            source=f"{data} (its part for tests)" if part == "test" else data,
        )
        bundle.write(out, options.model, card)
    except BaseException as stopped:
        stopped.add_note("no bundle was written")
        raise
    report.calibrated(card, out, quiet)


def info(
    model: Model = None,
) -> None:
    """Show versions, devices, and the model's card."""
    from batchdigits import report  # noqa: PLC0415

    with reader_may_leave():
        for line in report.info(model):
            print(report.printable(line))
