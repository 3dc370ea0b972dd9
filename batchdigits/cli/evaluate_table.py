"""`evaluate` of a results table: with truth, or with what people said about it."""

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from batchdigits.cli.output import exit_on_broken_pipe
from batchdigits.errors import UsageError
from batchdigits.files import write_file
from batchdigits.options import RunOptions

if TYPE_CHECKING:
    import pandas as pd

    from batchdigits.evaluate import MatchedReadings, SaidReadings
    from batchdigits.evaluate.sheet import PictureLookup


class TableTruth(NamedTuple):
    """Where the truth about a table is.

    Attributes:
        path: of a table of it; None for none.
        said: the file of what people said; None for that beside the table.
        from_folders: whether the folder of a file names its digit.
        names: what labels mean that are no digits.
    """

    path: str | None
    said: str | None
    from_folders: bool
    names: dict[str, str]


def evaluate_table(
    inputs: list[str], known: TableTruth, page: str | None, out: str | None, quiet: bool
) -> None:
    """Compare a table with what is known about it; of what URLs name, copies are read."""
    from batchdigits import evaluate as room  # noqa: PLC0415
    from batchdigits.outputs.table_copies import fetch_copies, stage_table  # noqa: PLC0415

    if len(inputs) > 1:
        raise UsageError(f"expected one results table, or pictures, got {len(inputs)} INPUTs")
    options = RunOptions.from_settings({"quiet": quiet})
    with_said = known.path is None and not known.from_folders
    named = _find_corrections(inputs[0], known.said) if with_said else known.path
    with ExitStack() as stack:
        truth = stack.enter_context(fetch_copies(named))[0] if named else None
        if page is not None:  # its pictures are found by the state
            staged = stack.enter_context(stage_table(inputs[0], options, read_only=True))
            table = str(staged.options.out)
        else:
            (table,) = stack.enter_context(fetch_copies(inputs[0]))
        said = room.match_corrections(truth) if with_said and truth else None
        if with_said and said is None and page is not None:
            return _write_page((table, inputs[0]), page, None, quiet)
        results = room.read_results(table)
        matched = said.matched if said else _match_table(results, truth, known)
        if out is not None:
            room.make_folder(out)
        if page is not None:
            _write_page((table, inputs[0]), page, matched, quiet)
        if said is None:
            return report_metrics(matched, None, out, quiet)
        return _report_corrections(said, results, out, quiet)


def _write_page(
    table: tuple[str, str], path: str, known: "MatchedReadings | None", quiet: bool
) -> None:
    """Write the page of a table, which is given by its path and its name, and its truth."""
    from batchdigits import evaluate as room  # noqa: PLC0415
    from batchdigits import report  # noqa: PLC0415
    from batchdigits.paths import make_main_path  # noqa: PLC0415

    place, name = table
    metrics = None if known is None else room.compute_metrics(known.readings)
    readings = None if known is None else known.readings
    lookup = room.make_crop_lookup(place, RunOptions.from_settings({"quiet": quiet}))
    text = room.render_report(name, room.read_results(place), metrics, readings, lookup)
    write_file(path, text.encode(), mode_of=make_main_path(name))
    if not quiet:
        report.print_message(f"how '{name}' came out -> {path}")


def _find_corrections(table: str, given: str | None) -> str | None:
    """Return the file of what people said about a table; None if there is none."""
    from batchdigits.outputs.table_copies import exists  # noqa: PLC0415
    from batchdigits.paths import make_corrections_path  # noqa: PLC0415

    beside = make_corrections_path(table)
    return given or (beside if exists(beside) else None)


def _report_corrections(
    said: "SaidReadings", results: "pd.DataFrame", out: str | None, quiet: bool
) -> None:
    """Print what people's answers say about a table, and write what calibrates by them."""
    from batchdigits import evaluate as room  # noqa: PLC0415
    from batchdigits import report  # noqa: PLC0415

    if out is not None:
        room.make_folder(out)
    report_metrics(said.matched, None, out, quiet)
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


def report_metrics(
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


def _match_table(
    results: "pd.DataFrame", truth: str | None, known: TableTruth
) -> "MatchedReadings":
    """Match a table with a table of truth, or with the folders of its files."""
    from batchdigits.evaluate import match_folder_labels, match_truth, read_truth  # noqa: PLC0415

    if known.from_folders:
        return match_folder_labels(results, known.names)
    if truth is None:
        raise UsageError("--truth FILE is missing: expected it, or --labels-from-folders")
    return match_truth(results, read_truth(truth, known.names))
