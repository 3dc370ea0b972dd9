"""`evaluate` compares readings or a model with truth."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from batchdigits.cli.evaluate_table import TableTruth, evaluate_table, report_metrics
from batchdigits.cli.options import (
    ConfigOption,
    DeviceOption,
    InvertOption,
    ModelOption,
    make_option,
    make_out_option,
    make_run_option,
)
from batchdigits.errors import UsageError
from batchdigits.options import RunOptions

if TYPE_CHECKING:
    from batchdigits.evaluate import MatchedReadings
    from batchdigits.evaluate.sheet import PictureLookup


def evaluate(  # noqa: PLR0913, PLR0917  (Typer takes one parameter for each option)
    context: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="A results table of run, or its folder of parts, by path or URL; or pictures that "
            "a model is to read: folders named by label, an .npz file, or a folder of IDX files "
            "(the test part).",
            show_default=False,
        ),
    ],
    truth: Annotated[
        str | None,
        make_option(
            "truth",
            "Table with the columns file, page, field, value: digits, empty (a blank box) or none "
            "(no digit). Without page or field, files of one row are matched by the others. A path "
            "or a URL.",
            "FILE",
        ),
    ] = None,
    corrections: Annotated[
        str | None,
        make_option(
            "corrections",
            "What people said as truth: a file that `review` saved or `correct` keeps, by path or "
            "URL. Values that `review` drew at random measure how many of all ok values are wrong.",
            "FILE",
            default="that beside a table without --truth",
        ),
    ] = None,
    labels_from_folders: Annotated[
        bool,
        make_option(
            "labels-from-folders",
            "The folder that holds a file names its digit: inbox/7/a.png. Taken for granted where "
            "a model reads pictures without --truth.",
        ),
    ] = False,
    labels: Annotated[
        str | None,
        make_option(
            "labels",
            "What labels that are no digits mean, as 10=empty,x=none: a digit, empty, none (no "
            "digit) or skip.",
            "MAP",
        ),
    ] = None,
    out: Annotated[
        str | None,
        make_out_option("Folder for the tables as CSV, plots, and the worst mistakes.", "DIR"),
    ] = None,
    page: Annotated[
        str | None,
        make_option(
            "html",
            "A page that tells how a results table came out, with or without truth.",
            "PATH",
            environment=False,
        ),
    ] = None,
    model: ModelOption = None,
    invert: InvertOption = None,
    min_confidence: Annotated[str | None, make_run_option("min_confidence")] = None,
    device: DeviceOption = None,
    quiet: Annotated[bool, make_option("quiet", "Print the figures alone.", None, "-q")] = False,
    _config: ConfigOption = None,
) -> None:
    """Compare readings with truth: accuracy, confusion, calibration, error against review rate.

    The figures are printed on standard output; intervals are Clopper and Pearson's, 95%.
    --model, --invert, --min-confidence and --device are for pictures.
    """
    given = {
        "--truth": truth is not None,
        "--corrections": corrections is not None,
        "--labels-from-folders": labels_from_folders,
    }
    if page is not None and not page.lower().endswith((".html", ".htm")):
        raise UsageError(f"--html '{page}': expected a page, .html")
    if len(several := [name for name, is_given in given.items() if is_given]) > 1:
        raise UsageError(f"{' and '.join(several)} are both given: expected one")
    from batchdigits.evaluate import is_table  # noqa: PLC0415
    from batchdigits.labelled import parse_label_map  # noqa: PLC0415
    from batchdigits.outputs.table_copies import is_part_url  # noqa: PLC0415
    from batchdigits.paths import refuse_url  # noqa: PLC0415

    refuse_url("out", out)
    refuse_url("html", page)
    names = parse_label_map(labels or "")
    if any(is_table(one) or is_part_url(one) for one in inputs):
        _check_table_options(context, inputs)
        known = TableTruth(truth, corrections, labels_from_folders, names)
        return evaluate_table(inputs, known, page, out, quiet)
    if page is not None:
        raise UsageError("--html is for a results table: give one, or leave it out")
    if corrections is not None:
        raise UsageError("--corrections is for a results table: give one, or leave it out")
    settings = {"model": model, "invert": invert, "device": device, "quiet": quiet}
    settings |= {"as_": "digit", "min_confidence": min_confidence}
    matched, picture = _read_and_match_pictures(inputs, truth, names, out, settings)
    return report_metrics(matched, picture, out, quiet)


def _check_table_options(context: typer.Context, inputs: list[str]) -> None:
    """Refuse typed options that change nothing here; those of the environment may stay."""
    for name in ("model", "invert", "min_confidence", "device"):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise UsageError(
                f"--{name.replace('_', '-')} is for pictures: '{inputs[0]}' is a table, which "
                "was read already"
            )


def _read_and_match_pictures(
    inputs: list[str],
    truth: str | None,
    names: dict[str, str],
    out: str | None,
    settings: dict[str, Any],
) -> "tuple[MatchedReadings, PictureLookup | None]":
    """Read pictures with a model and match them with truth; check their labels first."""
    from batchdigits import evaluate as room  # noqa: PLC0415
    from batchdigits import sources  # noqa: PLC0415
    from batchdigits.job import resolve_job  # noqa: PLC0415
    from batchdigits.progress import show_progress  # noqa: PLC0415

    options = RunOptions.from_settings(settings)
    job = resolve_job(options)
    if any(map(room.is_array_set, inputs)):
        if len(inputs) > 1 or truth is not None:
            raise UsageError("a set of arrays (.npz, IDX) is evaluated alone, by its own labels")
        data = room.load_arrays(inputs[0], names)
        if out is not None:
            room.make_folder(out)
        return room.read_crops(data, job), room.make_picture_lookup(data)
    files = sources.find_sources(inputs, outputs=[] if out is None else [out]).sources
    expected = None if truth is None else room.read_truth(truth, names)
    room.check_labels(files, expected, names)
    if out is not None:
        room.make_folder(out)
    with show_progress(options.quiet, "crops") as show_done:
        results = room.read_files(files, job, show_done)
    if expected is None:
        return room.match_folder_labels(results, names), None
    return room.match_truth(results, expected), None
