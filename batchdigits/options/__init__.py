"""The options of `run`, `batchdigits.read` and `train`, each declared once.

A field is an option: its name, type, limits, help text and default. The command line, the
environment, the configuration file and the keywords of `batchdigits.read` are made from it.
"""

from dataclasses import field
from typing import Annotated

from annotated_types import Ge, Le, MinLen

from batchdigits.errors import UsageError
from batchdigits.options.declaration import (
    Option,
    declare_options,
    suggest_name,
)
from batchdigits.options.reading import (
    INPUT,
    MAX_PIXELS,
    OUTPUT,
    RUNNING,
    ReadOptions,
)
from batchdigits.options.training import TrainOptions
from batchdigits.options.types import (
    DAY_SECONDS,
    NO_PATH,
    Engine,
    Invert,
    OptionalNonEmptyPath,
    OptionalPath,
    ReadAs,
    Runtime,
    Seconds,
    Share,
    count_processors,
)

__all__ = [
    "MAX_PIXELS",
    "Invert",
    "ReadAs",
    "ReadOptions",
    "RunOptions",
    "Runtime",
    "TrainOptions",
    "count_processors",
    "suggest_name",
]

SETTLE_SECONDS = 5.0


@declare_options
class RunOptions(ReadOptions):
    """The options of `run`. Paths are kept as str."""

    settle: Annotated[
        Seconds,
        Option(
            "Leave files of folders that were written to in the last S seconds for the next run.",
            INPUT,
            "S",
        ),
    ] = field(default_factory=lambda: SETTLE_SECONDS)
    null: Annotated[
        bool, Option("Paths on standard input (INPUT is -) end with NUL, not with the line.", INPUT)
    ] = False
    out: Annotated[
        OptionalPath,
        Option(
            "The table, a path or URL: .csv .tsv .parquet .jsonl .xlsx, a folder ending in / for "
            "parts (Parquet; results.csv/ for CSV), or - for CSV on standard output.",
            OUTPUT,
            "PATH",
            flags=("-o",),
        ),
    ] = NO_PATH
    digits_out: Annotated[
        OptionalPath,
        Option("A second table: every digit, its runner-up, and where it stands.", OUTPUT, "PATH"),
    ] = NO_PATH
    new_rows: Annotated[
        OptionalPath,
        Option(
            "A second table: the rows that are new since the last run, or changed by this one.",
            OUTPUT,
            "PATH",
        ),
    ] = NO_PATH
    wide: Annotated[
        bool, Option("One row for each page of a form, one column for each field.", OUTPUT)
    ] = False
    excel: Annotated[
        bool,
        Option(
            "CSV that spreadsheets open by a click, values as text; with --decimal-comma where "
            "they expect that.",
            OUTPUT,
        ),
    ] = False
    decimal_comma: Annotated[
        bool,
        Option("CSV with decimal commas and ; between columns, as in Germany or France.", OUTPUT),
    ] = False
    debug_pages: Annotated[
        OptionalPath,
        Option(
            "A folder for a picture of each page of a form, with what was found and read.",
            OUTPUT,
            "DIR",
        ),
    ] = NO_PATH
    summary_json: Annotated[
        OptionalPath,
        Option(
            "A file that says for programs how the run went: counts, seconds, model.",
            OUTPUT,
            "PATH",
        ),
    ] = NO_PATH
    log_file: Annotated[
        OptionalPath,
        Option(
            "Keep the log in this file as well: 1 MB at most, and three older files.",
            OUTPUT,
            "PATH",
        ),
    ] = NO_PATH
    quiet: Annotated[bool, Option("Print nothing while all goes well.", OUTPUT, flags=("-q",))] = (
        False
    )
    engine: Annotated[
        Engine,
        Option("Who reads: the processors of this machine, or a Ray cluster.", RUNNING),
    ] = "local"
    ray_address: Annotated[
        Annotated[str, MinLen(1)] | None,
        Option(
            "The cluster of --engine ray, as Ray takes it.",
            RUNNING,
            "HOST:PORT",
            default="RAY_ADDRESS, or this machine",
        ),
    ] = None
    dry_run: Annotated[
        bool,
        Option(
            "Read nothing: list on standard output what would be read, as what and why.", RUNNING
        ),
    ] = False
    fresh: Annotated[bool, Option("Read all again, whatever was read before.", RUNNING)] = False
    append: Annotated[bool, Option("Keep the rows of other INPUTs in the table.", RUNNING)] = False
    state: Annotated[
        OptionalPath,
        Option(
            "Where what was read is kept, so that it is not read again.",
            RUNNING,
            "PATH",
            default="beside the table",
        ),
    ] = NO_PATH
    prune: Annotated[bool, Option("Drop the rows of files that are gone.", RUNNING)] = False
    wait: Annotated[
        float,
        Ge(0),
        Le(7 * DAY_SECONDS),
        Option("Seconds to wait for another run that writes the same output.", RUNNING, "S"),
    ] = 0.0
    fail_over: Annotated[
        Share,
        Option(
            "Exit with 3 only when more than this share of the files failed, 0 to 1.",
            RUNNING,
            "SHARE",
        ),
    ] = 0.0
    move_done: Annotated[
        OptionalNonEmptyPath,
        Option(
            "Move files of INPUT that were read to this folder, once their rows are safe; an "
            "archive as a whole.",
            RUNNING,
            "DIR",
        ),
    ] = NO_PATH
    move_failed: Annotated[
        OptionalNonEmptyPath, Option("Likewise those with an error row.", RUNNING, "DIR")
    ] = NO_PATH

    def __post_init__(self) -> None:
        """Refuse options that contradict each other.

        Raises:
            UsageError: two of them do.
        """
        super().__post_init__()
        if self.wide and self.as_ in ("digit", "number"):
            raise UsageError(
                f"--wide is for forms, a column for each field, --as {self.as_} is none: "
                "leave one out"
            )
        if self.ray_address is not None and self.engine != "ray":
            raise UsageError("--ray-address is for --engine ray: give that too, or leave it out")

    @property
    def moves(self) -> list[str]:
        """The folders of --move-done and --move-failed, those that are given."""
        return [one for one in (self.move_done, self.move_failed) if one is not None]
