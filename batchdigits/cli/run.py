"""`run`: folders become a table."""

import gc
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import typer

from batchdigits.cli.options import Inputs, with_options
from batchdigits.cli.output import reader_may_leave
from batchdigits.errors import Stop, UsageError
from batchdigits.options import RunOptions

if TYPE_CHECKING:
    from batchdigits.pipeline import Summary
    from batchdigits.sources import Found

GARBAGE = 50_000
"""Objects that are made before Python looks for garbage among them. By default it walks through
TensorFlow's 600,000 so often that 70,000 digits take an eighth longer."""
stop = Stop()
"""What a signal ends a run by; see `cli`."""


@with_options(RunOptions)
def run(inputs: Inputs, options: RunOptions) -> None:
    """Read folders of digit crops or forms into a table, whatever happens."""
    from batchdigits import pipeline  # noqa: PLC0415
    from batchdigits.cli import ending  # noqa: PLC0415

    pipeline.apart(options.out, options)  # before a log or a summary is written
    if options.dry_run:
        return _list(inputs, options)
    with ending.told(options) as summary:
        raise typer.Exit(_read(inputs, options, summary))


def _list(inputs: list[str], options: RunOptions) -> None:
    """List what would be read."""
    from batchdigits import pipeline, report  # noqa: PLC0415
    from batchdigits.cli import logs  # noqa: PLC0415

    logs.send(options)
    found = _finder(inputs, options)[1]()
    with reader_may_leave():
        report.plan(pipeline.plan(found.sources, options), found.skipped, options.quiet)


def _read(inputs: list[str], options: RunOptions, summary: "Summary") -> int:
    """Write the table; give the exit code."""
    from batchdigits import pipeline, report  # noqa: PLC0415
    from batchdigits.cli import logs  # noqa: PLC0415

    logs.send(options)
    paths, find = _finder(inputs, options)
    if (out := options.out) is None:
        raise UsageError("--out is missing: expected a path such as results.csv, or - (--help)")
    pipeline.check(out, options, paths)
    settled = pipeline.settled(options)
    if options.target_error is not None and not options.quiet:
        report.say(
            f"--target-error {options.target_error:g}: values of confidence "
            f"{settled.min_confidence:.4f} or more are ok"
        )
    gc.set_threshold(GARBAGE)
    with reader_may_leave(), report.progress(None, options.quiet) as bar:

        def listed_now() -> "Found":
            found = find()
            bar.reset(len(found.sources))
            return found

        pipeline.run(listed_now, out, settled, bar.update, stop, summary)
    return report.summary(summary, out, settled)


def _finder(inputs: list[str], options: RunOptions) -> tuple[list[str], Callable[[], "Found"]]:
    """Give the INPUTs that were typed, and what finds the files of all."""
    from batchdigits import pipeline  # noqa: PLC0415

    paths, listed = _inputs(inputs, options.null)
    ours = pipeline.outputs(options.out, options)
    return paths, partial(pipeline.find, paths, listed, *ours, moved=options.moves)


def _inputs(inputs: list[str], null: bool) -> tuple[list[str], list[str]]:
    """Part INPUTs into those typed and, for `-`, those listed on standard input."""
    if "-" not in inputs:
        return inputs, []
    from batchdigits.sources import listed  # noqa: PLC0415

    if sys.stdin is None:
        raise UsageError("INPUT - reads paths from standard input, which is closed: open it")
    paths = listed(sys.stdin.buffer.read(), null=null)
    return [path for path in inputs if path != "-"], paths
