"""`review`: a page on which a person settles doubtful values."""

import os
import shlex
from typing import TYPE_CHECKING, Annotated

from batchdigits.cli.correct import ResultsArgument, StateOption, WaitOption
from batchdigits.cli.options import ConfigOption, QuietOption, make_option, make_run_option
from batchdigits.cli.words import StoppedBySignal
from batchdigits.errors import UsageError
from batchdigits.options import RunOptions

if TYPE_CHECKING:
    from batchdigits.review import ReviewItem, ReviewServer


def review(  # noqa: PLR0913, PLR0917  (Typer takes one parameter for each option)
    results: ResultsArgument,
    out: Annotated[
        str | None,
        make_option(
            "out",
            "The page: .html; or a workbook with pictures: .xlsx. With --serve the corrections: "
            ".csv, by default corrections.csv.",
            "PAGE",
            "-o",
            environment=False,
        ),
    ] = None,
    audit: Annotated[
        int,
        make_option(
            "audit", "Show N values that are ok besides, drawn at random.", "N", default="0", min=0
        ),
    ] = 0,
    groups: Annotated[
        bool, make_option("groups", "Show all values that are ok too, for sheets of equal digits.")
    ] = False,
    field: Annotated[
        str | None,
        make_option("field", "Show the values of this field alone.", "NAME", default="all"),
    ] = None,
    again: Annotated[bool, make_option("again", "Ask again about what was said before.")] = False,
    pictures: Annotated[
        list[str] | None,
        make_option(
            "pictures",
            "A folder that files were moved to after they were read; may be given again.",
            "DIR",
            environment=False,
        ),
    ] = None,
    by: Annotated[
        str,
        make_option("by", "Who is asked; the page lets it be changed.", "NAME", default="nobody"),
    ] = "",
    seed: Annotated[
        int | None,
        make_option("seed", "Makes the draw of --audit repeatable.", "N", default="chance", min=0),
    ] = None,
    serve: Annotated[
        bool,
        make_option(
            "serve",
            "Serve the page to this machine alone, at an address with a secret in it, and write "
            "what is said to --out at once.",
        ),
    ] = False,
    port: Annotated[
        int, make_option("port", "Where --serve listens.", "N", default="any", min=0, max=65535)
    ] = 0,
    state: StateOption = None,
    wait: WaitOption = None,
    max_pixels: Annotated[str | None, make_run_option("max_pixels")] = None,
    page_seconds: Annotated[str | None, make_run_option("page_seconds")] = None,
    workers: Annotated[str | None, make_run_option("workers")] = None,
    quiet: QuietOption = False,
    _config: ConfigOption = None,
) -> None:
    """Make a page on which a person settles the values that are for review.

    The page is one file that needs no network. It shows each value with its picture, one by one or
    in groups of equal digits, and saves what is said as corrections.csv, for `correct`.
    """
    out = _check_out(out, serve, results)
    options = RunOptions.from_settings(
        {
            "state": state,
            "wait": wait,
            "max_pixels": max_pixels,
            "page_seconds": page_seconds,
            "workers": workers,
            "quiet": quiet,
        }
    )
    from batchdigits import progress, report  # noqa: PLC0415
    from batchdigits import review as room  # noqa: PLC0415
    from batchdigits.outputs.table_copies import stage_table  # noqa: PLC0415

    session = room.load_book(out) if serve else None
    selection = room.Selection(audit, groups, field, again, seed, session)
    with (
        stage_table(results, options, read_only=True) as staged,
        room.open_results(str(staged.options.out), options.state, options.wait) as opened,
    ):
        items = room.select_items(opened, selection)
    views = room.ViewOptions(
        pictures or (), options.max_pixels, options.page_seconds, options.workers
    )
    context = room.PageContext(results, room.make_title(results), by=by)
    with progress.show_progress(options.quiet, "pages") as show_done:
        if not serve:
            pages = room.write_pages(out, items, views, context, show_done)
        else:
            served = room.prepare_served_review(items, views, context, out, show_done)
    if serve:
        _serve_until_stopped(room.ReviewServer(served, port), results, out)
    elif not options.quiet:
        report.print_message(f"{_describe_items(items)} -> {', '.join(pages[:5])}")


def _check_out(out: str | None, serve: bool, results: str) -> str:
    """Return where the page goes, or the corrections of a page that is served."""
    from batchdigits.paths import make_corrections_path, refuse_url  # noqa: PLC0415

    if out is None and serve:
        return "corrections.csv"
    if out is None:
        raise UsageError("--out is missing: expected a path such as review.html")
    refuse_url("out", out)
    endings = (".csv",) if serve else (".html", ".htm", ".xlsx")
    if not out.lower().endswith(endings):
        what = "corrections, .csv, with --serve" if serve else "a page, .html or .xlsx"
        raise UsageError(f"--out '{out}': expected {what}")
    taken = {os.path.realpath(one) for one in (results, make_corrections_path(results))}
    if os.path.realpath(out) in taken:
        raise UsageError(f"--out '{out}' is the table, or what was said about it: choose another")
    return out


def _serve_until_stopped(server: "ReviewServer", results: str, out: str) -> None:
    """Serve until a signal ends it, which is how one stops."""
    from batchdigits import report  # noqa: PLC0415

    report.print_message(f"open {server.address} (Ctrl-C ends; nothing else reaches it)")
    try:
        with server:
            server.serve_forever(poll_interval=0.2)
    except StoppedBySignal:
        command = f"batchdigits correct {shlex.quote(results)} {shlex.quote(out)}"
        report.print_message(f"what was said is in '{out}': `{command}` merges it")


def _describe_items(items: "list[ReviewItem]") -> str:
    names = {"one": "for review", "audit": "ok, drawn at random", "group": "ok, in groups"}
    counts = {name: sum(one.how == name for one in items) for name in names}
    parts = [f"{count:,} {names[name]}" for name, count in counts.items() if count]
    return f"{len(items):,} values: {', '.join(parts)}" if parts else "nothing is for review"
