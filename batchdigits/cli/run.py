"""`run`: folders become a table."""

import gc
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from batchdigits.cli.options import Config, Device, Invert, Quiet, option
from batchdigits.cli.options import Inputs as Typed
from batchdigits.cli.output import reader_may_leave
from batchdigits.errors import Stop, UsageError

if TYPE_CHECKING:
    from batchdigits.job import Inputs
    from batchdigits.options import RunOptions
    from batchdigits.paths import Paths
    from batchdigits.run import Summary

GARBAGE = 50_000
"""Objects that are made before Python looks for garbage among them. By default it walks through
TensorFlow's 600,000 so often that 70,000 digits take an eighth longer."""
stop = Stop()
"""What a signal ends a run by; see `cli`."""


def run(  # noqa: PLR0913, PLR0917  (one parameter an option is how Typer is told of them)
    inputs: Typed,
    out: Annotated[
        str | None,
        option(
            "out",
            "The table: .csv .tsv .parquet .jsonl .xlsx, or - for CSV on standard output.",
            "PATH",
        ),
    ] = None,
    as_: Annotated[
        str,
        option(
            "as",
            "What an image holds; auto goes by its size, and with a template all are forms. Of a "
            "form without a template the boxes that are found are read.",
            "auto|digit|number|form",
        ),
    ] = "auto",
    model: Annotated[
        str | None,
        option(
            "model", "A model bundle or .keras file.  [default: the model in the package]", "PATH"
        ),
    ] = None,
    invert: Invert = "auto",
    null: Annotated[bool, option("null", "Paths on standard input end with NUL.")] = False,
    max_pixels: Annotated[
        str | None,
        option(
            "max-pixels", "Largest page that is decoded, in pixels.  [default: 100 million]", "N"
        ),
    ] = None,
    page_seconds: Annotated[
        str | None,
        option("page-seconds", "Longest time that reading a page may take.  [default: 60]", "S"),
    ] = None,
    min_confidence: Annotated[
        str | None,
        option(
            "min-confidence",
            "Values under it are for review, 0 to 1.  [default: the model's own]",
            "P",
        ),
    ] = None,
    target_error: Annotated[
        str | None,
        option(
            "target-error",
            "Instead: the threshold that keeps the share of wrong values among ok under E, by "
            "the calibration data (95% upper bound).",
            "E",
        ),
    ] = None,
    calibration: Annotated[
        str | None,
        option(
            "calibration",
            "Audited results for --target-error, as `evaluate` writes in readings.csv.  "
            "[default: the data in the model's card]",
            "FILE",
        ),
    ] = None,
    template: Annotated[
        list[str] | None,
        option(
            "template",
            "What a form looks like; again for several, or a folder. Every page is a form then.",
            "FORM.toml",
        ),
    ] = None,
    wide: Annotated[bool, option("wide", "A row a page of a form, a column a field.")] = False,
    digits_out: Annotated[
        str | None,
        option(
            "digits-out", "A second table: every digit, its runner-up, and where it stands.", "PATH"
        ),
    ] = None,
    state: Annotated[
        str | None,
        option(
            "state",
            "What was read, so that it is not read again.  [default: beside the table]",
            "PATH",
        ),
    ] = None,
    append: Annotated[
        bool, option("append", "Keep the rows of other INPUTs in the table.")
    ] = False,
    fresh: Annotated[bool, option("fresh", "Read all again, whatever was read before.")] = False,
    prune: Annotated[bool, option("prune", "Drop the rows of files that are gone.")] = False,
    settle: Annotated[
        str | None,
        option(
            "settle",
            "Leave files of folders that were written to in the last S seconds for next time.  "
            "[default: 5]",
            "S",
        ),
    ] = None,
    wait: Annotated[
        str | None,
        option("wait", "Wait for another run of the same output.  [default: 0]", "SECONDS"),
    ] = None,
    fail_over: Annotated[
        str | None,
        option(
            "fail-over",
            "Exit with 3 only when more than this share of the files failed, 0 to 1.  [default: 0]",
            "SHARE",
        ),
    ] = None,
    log_file: Annotated[
        str | None,
        option("log-file", "Keep the log there as well, 1 MB at most and three older.", "PATH"),
    ] = None,
    summary_json: Annotated[
        str | None,
        option("summary-json", "How the run went, for programs: counts, seconds, model.", "PATH"),
    ] = None,
    move_done: Annotated[
        str | None,
        option(
            "move-done",
            "A folder for files of INPUT that were read, once their rows are safe.",
            "DIR",
        ),
    ] = None,
    move_failed: Annotated[
        str | None,
        option("move-failed", "The same for files with an error row.", "DIR"),
    ] = None,
    debug_pages: Annotated[
        str | None,
        option(
            "debug-pages",
            "A folder for a picture of each page of a form, with what was found and read.",
            "DIR",
        ),
    ] = None,
    excel: Annotated[
        bool, option("excel", "CSV with a UTF-8 mark and ; for spreadsheets that need it.")
    ] = False,
    quiet: Quiet = False,
    batch_size: Annotated[
        str | None,
        option(
            "batch-size",
            "Crops gathered before the model is called; changes no result.  [default: 2048]",
            "N",
        ),
    ] = None,
    workers: Annotated[
        str | None,
        option(
            "workers",
            "Processes that decode; 0: none, and no limits.  [default: one a processor]",
            "N",
        ),
    ] = None,
    device: Device = "auto",
    dry_run: Annotated[
        bool,
        option(
            "dry-run", "List on standard output what would be read, as what and why; read nothing."
        ),
    ] = False,
    _config: Config = None,
) -> None:
    """Read folders of digit crops or forms into a table, whatever happens."""
    from batchdigits.options import RunOptions  # noqa: PLC0415

    options = RunOptions.of(
        {
            "as_": as_,
            "model": model,
            "invert": invert,
            "max_pixels": max_pixels,
            "page_seconds": page_seconds,
            "min_confidence": min_confidence,
            "target_error": target_error,
            "calibration": calibration,
            "template": template,
            "wide": wide,
            "digits_out": digits_out,
            "state": state,
            "fresh": fresh,
            "prune": prune,
            "settle": settle,
            "wait": wait,
            "fail_over": fail_over,
            "log_file": log_file,
            "summary_json": summary_json,
            "move_done": move_done,
            "move_failed": move_failed,
            "debug_pages": debug_pages,
            "excel": excel,
            "quiet": quiet,
            "batch_size": batch_size,
            "workers": workers,
            "device": device,
            "out": out,
            "null": null,
            "dry_run": dry_run,
            "append": append,
        }
    )
    raise typer.Exit(_run(inputs, options))


def _run(inputs: list[str], options: "RunOptions") -> int:
    """Read, or list, what the options say; return the exit code."""
    from batchdigits.cli import ending, logs  # noqa: PLC0415
    from batchdigits.paths import resolve_paths  # noqa: PLC0415

    paths = resolve_paths(options)  # before a log or a summary is written
    if options.dry_run:
        logs.send(options)
        return _list(_split_inputs(inputs, options.null), options, paths)
    with ending.told(options) as summary:
        logs.send(options)
        code = _read(_split_inputs(inputs, options.null), options, paths, summary)
        raise typer.Exit(code)


def _list(inputs: "Inputs", options: "RunOptions", paths: "Paths") -> int:
    """List what would be read."""
    from batchdigits import report  # noqa: PLC0415
    from batchdigits.run import find_files, plan_files  # noqa: PLC0415

    found = find_files(inputs, paths)
    with reader_may_leave():
        report.plan(plan_files(found.sources, options), found.skipped, options.quiet)
    return 0


def _read(inputs: "Inputs", options: "RunOptions", paths: "Paths", summary: "Summary") -> int:
    """Write the table; return the exit code."""
    from batchdigits import report  # noqa: PLC0415
    from batchdigits.job import resolve_job  # noqa: PLC0415
    from batchdigits.run import run_job  # noqa: PLC0415

    if options.out is None:
        raise UsageError("--out is missing: expected a path such as results.csv, or - (--help)")
    job = resolve_job(options, inputs, paths)
    summary.model = {"name": job.card.name, "fingerprint": job.fingerprint}
    if options.target_error is not None and not options.quiet:
        report.say(
            f"--target-error {options.target_error:g}: values of confidence "
            f"{job.threshold:.4f} or more are ok"
        )
    gc.set_threshold(GARBAGE)
    with reader_may_leave(), report.progress(options.quiet) as progress:
        run_job(job, progress, stop, summary)
    return report.summary(summary, options.out, options)


def _split_inputs(inputs: list[str], null: bool) -> "Inputs":
    """Part INPUTs into those typed and, for `-`, those listed on standard input."""
    from batchdigits.job import Inputs  # noqa: PLC0415
    from batchdigits.sources import listed  # noqa: PLC0415

    if "-" not in inputs:
        return Inputs(inputs)
    if sys.stdin is None:
        raise UsageError("INPUT - reads paths from standard input, which is closed: open it")
    paths = listed(sys.stdin.buffer.read(), null=null)
    return Inputs([path for path in inputs if path != "-"], paths)
