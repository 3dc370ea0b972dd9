"""`evaluate` compares readings or a model with truth."""

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from batchdigits.cli.options import (
    ConfigOption,
    DeviceOption,
    InvertOption,
    ModelOption,
    make_option,
    make_out_option,
    make_run_option,
)
from batchdigits.cli.output import exit_on_broken_pipe
from batchdigits.errors import UsageError
from batchdigits.files import write_file
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
            help="A results table of run, or its folder of parts; or pictures that a model is to "
            "read: folders named by label, an .npz file, or a folder of IDX files (the test part).",
            show_default=False,
        ),
    ],
    truth: Annotated[
        str | None,
        make_option(
            "truth",
            "Table with the columns file, page, field, value: digits, empty (a blank box) or none "
            "(no digit). Without page or field, files of one row are matched by the others.",
            "FILE",
        ),
    ] = None,
    corrections: Annotated[
        str | None,
        make_option(
            "corrections",
            "What people said as truth: a file that `review` saved or `correct` keeps. Values that "
            "`review` drew at random measure how many of all ok values are wrong.",
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
    from batchdigits.evaluate import is_table, make_folder  # noqa: PLC0415
    from batchdigits.labelled import parse_label_map  # noqa: PLC0415

    names = parse_label_map(labels or "")
    if any(map(is_table, inputs)):
        _check_table_options(context, inputs)
        if not (truth or labels_from_folders):
            said = _find_corrections(inputs, corrections)
            if page is not None:
                _write_page(inputs[0], page, said, quiet)
            if said:
                return _report_corrections(inputs[0], said, out, quiet)
            if page is not None:
                return None
        matched, picture = _match_table(inputs, truth, labels_from_folders, names), None
        if out is not None:
            make_folder(out)
        if page is not None:
            _write_page(inputs[0], page, matched, quiet)
    elif page is not None:
        raise UsageError("--html is for a results table: give one, or leave it out")
    elif corrections is not None:
        raise UsageError("--corrections is for a results table: give one, or leave it out")
    else:
        settings = {"model": model, "invert": invert, "device": device, "quiet": quiet}
        settings |= {"as_": "digit", "min_confidence": min_confidence}
        matched, picture = _read_and_match_pictures(inputs, truth, names, out, settings)
    return _report_metrics(matched, picture, out, quiet)


def _write_page(table: str, path: str, known: "MatchedReadings | str | None", quiet: bool) -> None:
    """Write the page of a table; `known` is its truth, or a file of what people said."""
    from batchdigits import evaluate as room  # noqa: PLC0415
    from batchdigits import report  # noqa: PLC0415
    from batchdigits.paths import make_main_path  # noqa: PLC0415

    if isinstance(known, str):
        known = room.match_corrections(known).matched
    metrics = None if known is None else room.compute_metrics(known.readings)
    readings = None if known is None else known.readings
    lookup = room.make_crop_lookup(table, RunOptions.from_settings({"quiet": quiet}))
    text = room.render_report(table, room.read_results(table), metrics, readings, lookup)
    write_file(path, text.encode(), mode_of=make_main_path(table))
    if not quiet:
        report.print_message(f"how '{table}' came out -> {path}")


def _find_corrections(inputs: list[str], given: str | None) -> str | None:
    """Return the file of what people said about a table; None if there is none."""
    from batchdigits.paths import make_corrections_path  # noqa: PLC0415

    if len(inputs) > 1:
        return None
    beside = make_corrections_path(inputs[0])
    return given or (beside if os.path.exists(beside) else None)


def _report_corrections(table: str, path: str, out: str | None, quiet: bool) -> None:
    """Print what people's answers say about a table, and write what calibrates by them."""
    from batchdigits import evaluate as room  # noqa: PLC0415
    from batchdigits import report  # noqa: PLC0415

    said, results = room.match_corrections(path), room.read_results(table)
    if out is not None:
        room.make_folder(out)
    _report_metrics(said.matched, None, out, quiet)
    if (said.how == room.AUDIT).any():
        with exit_on_broken_pipe():
            report.write_stdout("\n")
            report.print_tables(room.measure_silent_errors(said, results))
        if out is not None:
            place = os.path.join(out, "calibration.csv")
            write_file(place, room.format_csv(room.select_calibration(said, results)).encode())
            if not quiet:
                report.print_message(f"run --calibration {place} --target-error E goes by these")
    elif not quiet:
        report.print_message(
            "how many of the ok values are wrong is not measured: `batchdigits review --audit 200` "
            "draws some at random"
        )


def _check_table_options(context: typer.Context, inputs: list[str]) -> None:
    """Refuse typed options that change nothing here; those of the environment may stay."""
    for name in ("model", "invert", "min_confidence", "device"):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise UsageError(
                f"--{name.replace('_', '-')} is for pictures: '{inputs[0]}' is a table, which "
                "was read already"
            )


def _match_table(
    inputs: list[str], truth: str | None, from_folders: bool, names: dict[str, str]
) -> "MatchedReadings":
    from batchdigits.evaluate import (  # noqa: PLC0415
        match_folder_labels,
        match_truth,
        read_results,
        read_truth,
    )

    if len(inputs) > 1:
        raise UsageError(f"expected one results table, or pictures, got {len(inputs)} INPUTs")
    if truth is None and not from_folders:
        raise UsageError("--truth FILE is missing: expected it, or --labels-from-folders")
    results = read_results(inputs[0])
    if truth is None:
        return match_folder_labels(results, names)
    return match_truth(results, read_truth(truth, names))


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


def _report_metrics(
    matched: "MatchedReadings", picture: "PictureLookup | None", out: str | None, quiet: bool
) -> None:
    """Print the metrics and write the files; standard error says what was left out."""
    from batchdigits import report  # noqa: PLC0415
    from batchdigits.evaluate import compute_metrics, write_evaluation  # noqa: PLC0415

    metrics = compute_metrics(matched.readings)
    if not quiet:
        left_out = ((matched.unknown, "without a truth"), (matched.skipped, "skipped by --labels"))
        report.print_message(
            f"{len(matched.readings):,} value{'' if len(matched.readings) == 1 else 's'} compared"
            + "".join(f"; left out {count:,} {why}" for count, why in left_out if count)
            + (f" -> {out}" if out else "")
        )
    missing = "" if out is None else write_evaluation(out, matched.readings, metrics, picture)
    if missing:
        report.print_message(missing)
    with exit_on_broken_pipe():
        report.print_tables(
            metrics.summary,
            metrics.digits,
            metrics.confusion,
            metrics.bands,
            metrics.review,
            metrics.mistakes,
        )
