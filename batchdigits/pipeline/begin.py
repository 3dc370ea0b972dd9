"""What is found out before anything is read: the files, and whether the rest will do."""

import os
from collections.abc import Sequence

from batchdigits import classify, results, sources
from batchdigits.errors import TemplateError, UsageError
from batchdigits.options import RunOptions
from batchdigits.pipeline import moves, show, tables
from batchdigits.pipeline.references import wanted
from batchdigits.results import place as places
from batchdigits.sources import MARK


def find(
    inputs: Sequence[str], listed: Sequence[str], *outputs: str | None, moved: Sequence[str] = ()
) -> sources.Found:
    """Find the files to read; the job's own outputs are none of them, nor what it moved."""
    ours = [one for one in outputs if one is not None and one != "-"]
    return sources.find(inputs, listed=listed, outputs=ours, moved=moved)


def outputs(out: str | None, options: RunOptions) -> list[str]:
    """Name the files and folders that a run writes, but for those that files are moved to."""
    kept = options.state if out is None else state_of(out, options)
    more = options.digits_out, options.log_file, options.summary_json, options.debug_pages
    return [one for one in (out, kept, *more) if one is not None and one != "-"]


def check(out: str, options: RunOptions, inputs: Sequence[str] = ()) -> None:
    """Find out what is wrong with inputs, output, model and templates before anything is read.

    Raises:
        UsageError: the table's suffix, an option that does not go with it, or an INPUT that is not
            there.
        OutputError: the table, or what else is asked for, cannot be written there.
        ModelError: the model cannot be used, as far as can be told without loading it.
        TemplateError: a template cannot be used.
    """
    sources.check(inputs, outputs=outputs(out, options), moved=options.moves)
    if options.moves and state_of(out, options) is None:
        raise UsageError(
            "--move-done and --move-failed want rows that are safe on disk: give --state with "
            "--out -, or another --out"
        )
    results.check(out, excel=options.excel)
    if options.digits_out is not None:
        results.check(options.digits_out, excel=options.excel, option="--digits-out")
        if os.path.realpath(out) == os.path.realpath(options.digits_out):
            raise UsageError(f"--out and --digits-out are both '{out}': give two names")
    classify.card(options.model)
    wanted(options)
    if options.wide or out.lower().endswith(".xlsx"):
        named = [layout.names for layout in tables.layouts(options)]
        if twice := [one for names in named for one in names if names.count(one) > 1]:
            raise TemplateError(
                f"a table with a row a page has a column '{twice[0]}' of its own: give the field "
                "of that name another, or leave --wide and .xlsx out"
            )
    for path in (state_of(out, options), options.summary_json):
        if path is not None:
            with places.faults(path):
                places.check_place(path)
    if options.debug_pages is not None:
        show.check(options.debug_pages)
    for folder in options.moves:
        _apart(folder, inputs)
        moves.check(folder)


def _apart(folder: str, inputs: Sequence[str]) -> None:
    """Refuse a folder of an INPUT that has files in it: they would never be read again."""
    place = os.path.realpath(folder)
    tops = [top for top in map(os.path.realpath, inputs) if os.path.isdir(top)]
    if not any(os.path.commonpath([place, top]) == top for top in tops):
        return
    if os.path.isdir(place) and os.listdir(place) and MARK not in os.listdir(place):
        raise UsageError(
            f"'{folder}' lies in an INPUT and has files that may be read: give --move-done and "
            "--move-failed a new folder"
        )


def state_of(out: str, options: RunOptions) -> str | None:
    """Name the ledger of a table; none for standard output, unless it is given."""
    if options.state is not None or out == "-":
        return options.state
    return f"{out}.state"
