"""What is found out before anything is read: the files, and whether the rest will do."""

import os
from collections.abc import Iterator, Sequence

from batchdigits import classify, results, sources
from batchdigits.errors import TemplateError, UsageError
from batchdigits.ledger.lock import lock_of
from batchdigits.options import RunOptions
from batchdigits.pipeline import moves, show, tables
from batchdigits.pipeline.references import wanted
from batchdigits.results import place as places
from batchdigits.sources import MARK, kinds


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


def apart(out: str | None, options: RunOptions) -> None:
    """Refuse options that name one file for two things, or a scan to be written over.

    A log file is written to as soon as it is opened, so this comes before.

    Raises:
        UsageError: two of the options lead to the same file, or one to a picture that is there.
    """
    seen: dict[str, str] = {}
    for option, path in _files(out, options):
        other = seen.setdefault(os.path.realpath(path), option)
        if other != option:
            raise UsageError(f"{other} and {option} are both '{path}': give two names")
        if path != "-" and _is_scan(path):
            raise UsageError(
                f"{option} '{path}' is a picture, which is never written over: give another name"
            )
    for option, folder in (("--debug-pages", options.debug_pages), *_folders(options)):
        if folder is not None and (taken := seen.get(os.path.realpath(folder))):
            raise UsageError(f"{taken} and {option} are both '{folder}': give two names")


def _files(out: str | None, options: RunOptions) -> Iterator[tuple[str, str]]:
    """Name the files that a run writes, by the options that name them."""
    state = options.state if out is None else state_of(out, options)
    own = "--state" if options.state is not None else "the state of --out"
    named = {
        "--out": out,
        own: state,
        "--digits-out": options.digits_out,
        "--log-file": options.log_file,
        "--summary-json": options.summary_json,
    }
    for option, path in named.items():
        if path == "" and option != "--out":  # of which is told where its suffix is looked at
            raise UsageError(f"{option}: expected a path, got '': give one, or leave it out")
        if path:
            yield option, path
    locks = {lock_of(path): one for one, path in reversed(held(out, options).items())}
    yield from ((f"the lock of {one}", lock) for lock, one in locks.items())
    if state is not None:
        yield f"the journal of {own}", f"{os.path.realpath(state)}-journal"


def held(out: str | None, options: RunOptions) -> dict[str, str]:
    """Name the outputs that a run locks, by the options that name them.

    A state has the lock of the table it is named after, however it is given.
    """
    state = options.state and options.state.removesuffix(".state")
    named = {"--out": out, "--digits-out": options.digits_out, "--state": state}
    return {option: path for option, path in named.items() if path and path != "-"}


def _folders(options: RunOptions) -> list[tuple[str, str]]:
    """Name the folders that files are moved to, by the options that name them."""
    both = {"--move-done": options.move_done, "--move-failed": options.move_failed}
    return [(option, folder) for option, folder in both.items() if folder is not None]


def _is_scan(path: str) -> bool:
    """Tell whether a file is there that a run would read, by its name or its first bytes."""
    try:
        return (
            os.path.getsize(path) > 0
            and os.path.isfile(path)
            and (kinds.named_so(path) or kinds.begins_so(path))
        )
    except OSError:  # nothing is there; or it cannot be read, and so be written to
        return False


def check(out: str, options: RunOptions, inputs: Sequence[str] = ()) -> None:
    """Find out what is wrong with inputs, output, model and templates before anything is read.

    Raises:
        UsageError: the table's suffix, an option that does not go with it, paths that are not
            `apart`, a folder for files that has others, or an INPUT that is not there.
        OutputError: the table, or what else is asked for, cannot be written there.
        ModelError: the model cannot be used, as far as can be told without loading it.
        TemplateError: a template cannot be used.
    """
    apart(out, options)
    sources.check(inputs, outputs=outputs(out, options), moved=options.moves)
    if options.moves and state_of(out, options) is None:
        raise UsageError(
            "--move-done and --move-failed want rows that are safe on disk: give --state with "
            "--out -, or another --out"
        )
    results.check(out, excel=options.excel)
    if options.digits_out is not None:
        results.check(options.digits_out, excel=options.excel, option="--digits-out")
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
    for option, folder in _folders(options):
        _free(option, folder, out, options)
    for _, folder in _folders(options):
        moves.check(folder)


def _free(option: str, folder: str, out: str, options: RunOptions) -> None:
    """Refuse a folder with files of others in it: they would be passed over by every run."""
    place = os.path.realpath(folder)
    with places.faults(folder):
        names = os.listdir(place) if os.path.isdir(place) else []
    ours = {os.path.realpath(path) for _, path in _files(out, options)}
    if MARK not in names and any(os.path.join(place, name) not in ours for name in names):
        raise UsageError(
            f"{option} '{folder}' has files that no run has moved there, and that none would read "
            f"any more: give a new folder, or, if that is meant, make a file {MARK} in it"
        )


def state_of(out: str, options: RunOptions) -> str | None:
    """Name the ledger of a table; none for standard output, unless it is given."""
    if options.state is not None or out == "-":
        return options.state
    return f"{out}.state"
