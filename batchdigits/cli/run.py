"""`run`: read folders into a table."""

import gc
import sys
from typing import TYPE_CHECKING

import typer

from batchdigits.cli.options import InputsArgument, with_options
from batchdigits.cli.output import exit_on_broken_pipe
from batchdigits.errors import UsageError
from batchdigits.options import RunOptions
from batchdigits.summary import StopRequest

if TYPE_CHECKING:
    from batchdigits import job
    from batchdigits.paths import OutputPaths
    from batchdigits.run import Summary

GC_THRESHOLD = 50_000
"""New objects before Python collects garbage. By default it walks through TensorFlow's 600,000
objects so often that 70,000 digits take an eighth longer."""
stop = StopRequest()
"""Through this, the signal handler in `cli` asks a run to stop."""


@with_options(RunOptions)
def run(inputs: InputsArgument, options: RunOptions) -> None:
    """Read folders of digit crops or forms into a table, whatever happens."""
    from batchdigits.cli import ending, logs  # noqa: PLC0415
    from batchdigits.paths import resolve_paths  # noqa: PLC0415

    paths = resolve_paths(options)  # before a log or a summary is written
    if options.dry_run:
        logs.configure_logging(options)
        return _print_plan(_split_inputs(inputs, options.null), options, paths)
    with ending.write_summary_at_end(options) as summary:
        logs.configure_logging(options)
        run_inputs = _split_inputs(inputs, options.null)
        raise typer.Exit(_run_job(run_inputs, options, summary))


def _print_plan(inputs: "job.Inputs", options: RunOptions, paths: "OutputPaths") -> None:
    """Print what would be read, and read nothing."""
    from batchdigits import report  # noqa: PLC0415
    from batchdigits.run import find_files, plan_files  # noqa: PLC0415

    listing = find_files(inputs, paths)
    with exit_on_broken_pipe():
        plan = plan_files(listing.sources, options, listing.skipped)
        report.print_plan(plan, listing.skipped, options.quiet)


def _run_job(inputs: "job.Inputs", options: RunOptions, summary: "Summary") -> int:
    """Run a job, print its last line, and return the exit code."""
    from batchdigits import report  # noqa: PLC0415
    from batchdigits.job import resolve_job  # noqa: PLC0415
    from batchdigits.outputs.remote import stage_outputs  # noqa: PLC0415
    from batchdigits.progress import show_progress  # noqa: PLC0415
    from batchdigits.run import run_job  # noqa: PLC0415

    if options.out is None:
        raise UsageError("--out is missing: expected a path such as results.csv, or - (--help)")
    with stage_outputs(options) as staged:
        job = resolve_job(staged.options, inputs)
        summary.model = {"name": job.card.name, "fingerprint": job.fingerprint}
        if options.target_error is not None and not options.quiet:
            report.print_message(
                f"--target-error {options.target_error:g}: values of confidence "
                f"{job.threshold:.4f} or more are ok"
            )
        gc.set_threshold(GC_THRESHOLD)
        with exit_on_broken_pipe(), show_progress(options.quiet, _name_unit(options)) as show_done:
            run_job(job, show_done, stop, summary)
        staged.publish()
    return report.print_summary(summary, options.out, options)


def _name_unit(options: RunOptions) -> str:
    """Return what the bar counts; without --template or --as, files may hold either."""
    if options.template or options.as_ == "form":
        return "pages"
    return "images" if options.as_ == "auto" else "crops"


def _split_inputs(inputs: list[str], null: bool) -> "job.Inputs":
    """Split INPUTs into those typed and, for `-`, those listed on standard input."""
    from batchdigits.job import Inputs  # noqa: PLC0415
    from batchdigits.objects import strip_file_scheme  # noqa: PLC0415
    from batchdigits.sources import parse_path_list  # noqa: PLC0415

    inputs = [strip_file_scheme(path) for path in inputs]
    if "-" not in inputs:
        return Inputs(inputs)
    if sys.stdin is None:
        raise UsageError("INPUT - reads paths from standard input, which is closed: open it")
    paths = parse_path_list(sys.stdin.buffer.read(), null=null)
    listed = [strip_file_scheme(path) for path in paths]
    return Inputs([path for path in inputs if path != "-"], listed)
