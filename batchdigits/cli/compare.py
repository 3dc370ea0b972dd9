"""`compare` lists what two tables read differently."""

import os
from typing import Annotated

import typer

from batchdigits.cli.options import ConfigOption, make_option, make_out_option
from batchdigits.cli.output import exit_on_broken_pipe
from batchdigits.errors import UsageError
from batchdigits.files import write_file


def compare(
    old: Annotated[
        str,
        typer.Argument(
            metavar="OLD", help="A results table, or a folder of parts; a path or a URL."
        ),
    ],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Another, to compare with it.")],
    out: Annotated[
        str | None,
        make_out_option(
            "The list as CSV; then the number of rows by kind goes to standard output, which "
            "otherwise has the list.",
            "PATH",
        ),
    ] = None,
    tolerance: Annotated[
        float,
        make_option(
            "tolerance", "Confidences that are this near are the same.", "P", default="0.001", min=0
        ),
    ] = 0.001,
    quiet: Annotated[bool, make_option("quiet", "Print the list alone.", None, "-q")] = False,
    _config: ConfigOption = None,
) -> None:
    """List as CSV what two results tables read differently. The exit code is 0 either way."""
    from batchdigits import report  # noqa: PLC0415
    from batchdigits.evaluate import compare_results, format_csv, read_results  # noqa: PLC0415
    from batchdigits.outputs.table_copies import fetch_copies  # noqa: PLC0415
    from batchdigits.paths import refuse_url  # noqa: PLC0415

    refuse_url("out", out)
    if out is not None and any(os.path.realpath(out) == os.path.realpath(p) for p in (old, new)):
        raise UsageError(f"--out '{out}' is one of the tables to compare: choose another")
    with fetch_copies(old, new) as places:
        summary, rows = compare_results(*map(read_results, places), tolerance=tolerance)
    if out is not None:
        write_file(out, format_csv(rows).encode())
    elif not quiet:
        counts = [f"{count:,} {kind}" for kind, count in summary.itertuples(index=False) if count]
        report.print_message(f"{', '.join(counts) or 'no rows'} ({old} -> {new})")
    with exit_on_broken_pipe():
        if out is None:
            report.write_stdout(format_csv(rows))
        else:
            report.print_tables(summary)
