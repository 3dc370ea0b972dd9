"""`correct`: merge what people said into a table."""

from typing import TYPE_CHECKING, Annotated

import typer

from batchdigits.cli.options import ConfigOption, make_option, make_run_option
from batchdigits.options import RunOptions

if TYPE_CHECKING:
    from batchdigits.review import MergeOutcome

MAX_LINES = 10
"""Corrections and problems that are listed on standard error, each."""
ResultsArgument = Annotated[
    str,
    typer.Argument(
        metavar="RESULTS",
        help="A results table of `run`, or its folder of parts; a path or a URL.",
        show_default=False,
    ),
]
StateOption = Annotated[str | None, make_run_option("state")]
WaitOption = Annotated[str | None, make_run_option("wait")]
ByOption = Annotated[
    str, make_option("by", "Who says it, where the file does not tell.", "NAME", default="nobody")
]


def correct(  # noqa: PLR0913, PLR0917  (Typer takes one parameter for each option)
    results: ResultsArgument,
    corrections: Annotated[
        str,
        typer.Argument(
            metavar="CORRECTIONS",
            help="What was said: a file that `review` saved, or a copy of the table (in any "
            "format) in which values were typed over; a path or a URL.",
            show_default=False,
        ),
    ],
    by: ByOption = "",
    state: StateOption = None,
    wait: WaitOption = None,
    quiet: Annotated[bool, make_option("quiet", "Print warnings alone.", None, "-q")] = False,
    _config: ConfigOption = None,
) -> None:
    """Merge what people said into a table: their values get the status verified.

    All that was said is kept in RESULTS.corrections.csv. Every later run applies it again, also
    one that reads all anew, or with another model. Corrections of fields that the table does not
    have are listed, and kept too.
    """
    from batchdigits.outputs.table_copies import fetch_copies, stage_table  # noqa: PLC0415
    from batchdigits.review import correct_table  # noqa: PLC0415

    options = RunOptions.from_settings({"wait": wait, "state": state})
    with fetch_copies(corrections) as (said,), stage_table(results, options) as staged:
        outcome = correct_table(
            str(staged.options.out), said, by=by, state_path=options.state, wait=options.wait
        )
        outcome.problems = [*map(staged.spell, outcome.problems)]
        staged.publish()
    _report_outcome(outcome, results, quiet)


def _report_outcome(outcome: "MergeOutcome", path: str, quiet: bool) -> None:
    from batchdigits.corrections import describe_answer  # noqa: PLC0415
    from batchdigits.report import print_message  # noqa: PLC0415

    unmatched = [
        f"{one.file}, page {one.page}{f', {one.field}' if one.field else ''}: "
        f"{describe_answer(one)}"
        for one in outcome.unmatched
    ]
    for lines in (outcome.problems, unmatched):
        for line in lines[:MAX_LINES]:
            print_message(line)
        if len(lines) > MAX_LINES:
            print_message(f"and {len(lines) - MAX_LINES:,} more like it")
    promise = outcome.promise
    if promise.is_broken:
        print_message(
            f"warning: of {promise.values:,} values that were ok, {promise.promised:.1f} may be "
            f"wrong by their confidences, and {promise.found:,} are known to be"
            + (f" ({promise.audit_found} of {promise.audited} audited)" if promise.audited else "")
            + ": `batchdigits evaluate` makes a calibration of this, for run --calibration"
        )
    if not quiet or unmatched:
        print_message(f"{_describe_counts(outcome)} -> {path}")


def _describe_counts(outcome: "MergeOutcome") -> str:
    parts = [f"{count:,} {name}" for name, count in sorted(outcome.answers.items())]
    said = f"{outcome.merged:,} correction{'' if outcome.merged == 1 else 's'}"
    notes = {
        "said before": outcome.known,
        "that match no row, kept for later runs": len(outcome.unmatched),
        "rows for review still": outcome.statuses["review"],
    }
    more = [f"{count:,} {note}" for note, count in notes.items() if count]
    return "; ".join([f"{said}{': ' if parts else ''}{', '.join(parts)}", *more])
