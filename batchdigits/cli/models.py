"""`calibrate` makes a model's card, `info` shows it."""

from typing import Annotated

from batchdigits.cli.options import (
    ConfigOption,
    DeviceOption,
    InvertOption,
    ModelOption,
    QuietOption,
    make_option,
    make_out_option,
)
from batchdigits.cli.output import exit_on_broken_pipe
from batchdigits.options import RunOptions


def calibrate(  # noqa: PLR0913, PLR0917  (Typer takes one parameter for each option)
    data: Annotated[
        str,
        make_option(
            "data",
            "Labelled digits that the model was not trained on, 200 or more: an .npz file, a "
            "folder of IDX files, or of LABEL/*.png. Of a set with a part for tests, that part.",
            "LABELLED",
        ),
    ],
    out: Annotated[
        str, make_out_option("The folder to make; a bundle that is there is replaced.", "BUNDLE")
    ],
    model: ModelOption = None,
    labels: Annotated[
        str,
        make_option(
            "labels",
            "What labels that are no digits mean: a digit, empty, none (not a digit) or skip, as "
            "in 10=empty,x=none.",
            "MAP",
        ),
    ] = "",
    name: Annotated[
        str | None, make_option("name", "What the card calls it.", "NAME", default="BUNDLE's name")
    ] = None,
    invert: InvertOption = None,
    device: DeviceOption = None,
    quiet: QuietOption = False,
    _config: ConfigOption = None,
) -> None:
    """Give a model of your own its calibration and default threshold: makes a bundle of it."""
    options = RunOptions.from_settings(
        {"model": model, "invert": invert, "device": device, "quiet": quiet}
    )
    from batchdigits import labelled, predict, report  # noqa: PLC0415
    from batchdigits.training import bundle  # noqa: PLC0415

    names = labelled.parse_label_map(labels)
    bundle.check(out)
    predict.load_card(options.model)
    part = labelled.choose_unseen_part(data)
    try:
        card = bundle.calibrated(
            [labelled.load_labelled_crops(data, part=part, names=names)],
            options,
            name=name or bundle.name_of(out),
            source=f"{data} (its part for tests)" if part == "test" else data,
        )
        bundle.write(out, options.model, card)
    except BaseException as stopped:
        stopped.add_note("no bundle was written")
        raise
    report.print_calibration(card, out, quiet)


def info(
    model: ModelOption = None,
) -> None:
    """Show versions, devices, and the model's card."""
    from batchdigits import report  # noqa: PLC0415
    from batchdigits.cli import installation  # noqa: PLC0415

    with exit_on_broken_pipe():
        for line in installation.describe_installation(model):
            print(report.make_printable(line))
