"""Where a run writes: every path, resolved once before anything is written."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from batchdigits.errors import UsageError
from batchdigits.files import make_lock_path
from batchdigits.formats import has_image_suffix
from batchdigits.objects import is_url
from batchdigits.options import RunOptions
from batchdigits.sources import inspection

LOCAL_OPTIONS = ("state", "debug_pages", "summary_json", "log_file", "move_done", "move_failed")
"""Options of what a run writes to this machine's disk alone; tables may be URLs."""
MANIFEST_NAME = "_manifest.json"
"""Name of the file that tells of the parts of a table that is a folder."""


WHOLE_ENDING, SHARD_ENDING = ".state", ".shard"
"""Endings of a whole copy of a state, and of a shard of it, in the folder for them."""
KNOWN_NAME = "known"


@dataclass(frozen=True, slots=True)
class OutputPaths:
    """The files and folders that a run writes; None means that the run does not write it.

    Attributes:
        out: the table; a folder ending in `/` for a table of parts; `-` is standard output. None if
            rows go to the caller.
        state: what was read, for the next run; None if `out` is `-` and no state is named.
        corrections: what people said about the table's values; None if `out` is no file. A run
            reads it and never writes it.
        digits_out: the table of single digits; `-` is standard output.
        new_rows: the table of the rows that are new; `-` is standard output.
        log_file: the log.
        summary_json: the summary for programs.
        debug_pages: the folder for drawings of pages.
        move_folders: the folders that files are moved to, by the option that names each.
        tables: the table, and the table of single digits; of a table of parts, its manifest.
        written: everything that the run writes, except the folders that files are moved to.
        locked: the outputs that are locked during the run, by the option that names each.
        state_option: the option that names the state, for messages.
    """

    out: str | None
    state: str | None
    corrections: str | None
    digits_out: str | None
    new_rows: str | None
    log_file: str | None
    summary_json: str | None
    debug_pages: str | None
    move_folders: dict[str, str]
    tables: tuple[str, ...]
    written: tuple[str, ...]
    locked: dict[str, str]
    state_option: str

    def list_files(self) -> Iterator[tuple[str, str]]:
        """Yield each file that the run writes, as its option and its path."""
        path_by_option = {
            "--out": self.out,
            self.state_option: self.state,
            "the corrections of --out": self.corrections,
            "--digits-out": self.digits_out,
            "--new-rows": self.new_rows,
            "--log-file": self.log_file,
            "--summary-json": self.summary_json,
        }
        yield from ((option, path) for option, path in path_by_option.items() if path)
        locks = {make_lock_path(path): option for option, path in reversed(self.locked.items())}
        yield from ((f"the lock of {option}", lock) for lock, option in locks.items())
        if self.state is not None:
            yield f"the journal of {self.state_option}", f"{os.path.realpath(self.state)}-journal"


def make_corrections_path(table: str) -> str:
    """Return where what people said about a table's values is kept."""
    return f"{_strip_slashes(table)}.corrections.csv"


def make_state_path(table: str) -> str:
    """Return where the state of a table is kept, unless an option says otherwise."""
    return f"{_strip_slashes(table)}.state"


def make_shard_folder(state: str) -> str:
    """Return the folder for the shards of a state that is a copy of one in an object store.

    It exists only if the state is such a copy. Those that were fetched are in `KNOWN_NAME` below.
    """
    return f"{state}.shards"


def make_main_path(table: str) -> str:
    """Return the file by which a table is known: its manifest, if it is a folder of parts."""
    if table.endswith("/") or os.path.isfile(os.path.join(table, MANIFEST_NAME)):
        return os.path.join(table, MANIFEST_NAME)
    return table


def is_part_folder(table: str) -> bool:
    """Return whether a path names a table of parts: it ends in `/`, or holds a manifest."""
    return make_main_path(table) != table


def _strip_slashes(table: str) -> str:
    return table.rstrip("/") or table


def resolve_paths(options: RunOptions) -> OutputPaths:
    """Resolve where a run writes, and refuse paths that would overwrite something.

    Call this before the log file is opened, because opening it writes to it.

    Raises:
        UsageError: an option has an empty path or a URL that it cannot have, two of them lead to
            the same file, or one leads to an existing picture.
    """
    _check_local_paths(options)
    out, digits, state = options.out, options.digits_out, options.state
    if state is None and out is not None and out != "-":
        state = make_state_path(out)
    corrections = None if out is None or out == "-" else make_corrections_path(out)
    others = options.new_rows, options.log_file, options.summary_json, options.debug_pages
    own_paths = (out, state, digits, *others)
    # A state named after a table shares its lock, even if --state names it.
    locks = {"--out": out, "--digits-out": digits, "--new-rows": options.new_rows}
    locks["--state"] = options.state and options.state.removesuffix(".state")
    moves = {"--move-done": options.move_done, "--move-failed": options.move_failed}
    paths = OutputPaths(
        out=out,
        state=state,
        corrections=corrections,
        digits_out=digits,
        new_rows=options.new_rows,
        log_file=options.log_file,
        summary_json=options.summary_json,
        debug_pages=options.debug_pages,
        move_folders={option: folder for option, folder in moves.items() if folder is not None},
        tables=tuple(make_main_path(path) for path in (out, digits) if path is not None),
        written=tuple(path for path in own_paths if path is not None and path != "-"),
        locked={option: path for option, path in locks.items() if path and path != "-"},
        state_option="the state of --out" if options.state is None else "--state",
    )
    _check_nonempty_paths(paths)
    _check_distinct_paths(paths)
    return paths


def _check_local_paths(options: RunOptions) -> None:
    """Refuse URLs where only a table may be one."""
    for name in LOCAL_OPTIONS:
        refuse_url(name, getattr(options, name))


def refuse_url(name: str, value: str | None) -> None:
    """Raise `UsageError` if an option that names a place on this machine's disk has a URL."""
    if is_url(value or ""):
        option = f"--{name.replace('_', '-')}"
        raise UsageError(f"{option} is written to this machine's disk: give a path, not a URL")


def _check_nonempty_paths(paths: OutputPaths) -> None:
    """Refuse empty paths; an empty --out is refused later, by the check of its suffix."""
    path_by_option = {
        paths.state_option: paths.state,
        "--digits-out": paths.digits_out,
        "--new-rows": paths.new_rows,
        "--log-file": paths.log_file,
        "--summary-json": paths.summary_json,
    }
    for option, path in path_by_option.items():
        if path == "":
            raise UsageError(f"{option}: expected a path, got '': give one, or leave it out")


def _check_distinct_paths(paths: OutputPaths) -> None:
    option_by_path: dict[str, str] = {}
    for option, path in paths.list_files():
        other = option_by_path.setdefault(os.path.realpath(path), option)
        if other != option:
            raise UsageError(f"{other} and {option} are both '{path}': give two names")
        if path != "-" and _is_scan(path):
            raise UsageError(
                f"{option} '{path}' is a picture, which is never written over: give another name"
            )
    for option, folder in (("--debug-pages", paths.debug_pages), *paths.move_folders.items()):
        if folder is not None and (taken := option_by_path.get(os.path.realpath(folder))):
            raise UsageError(f"{taken} and {option} are both '{folder}': give two names")


def _is_scan(path: str) -> bool:
    """Return whether a path has a file that a run would read, by its name or its first bytes."""
    try:
        return (
            os.path.getsize(path) > 0
            and os.path.isfile(path)
            and (has_image_suffix(path) or inspection.has_image_signature(path))
        )
    except OSError:  # it does not exist, or cannot be read, so it is not written to either
        return False
