"""The options of `run`, `batchdigits.read` and `train`, each declared once.

A field is an option: its name, type, limits, help text and default. The command line, the
environment, the configuration file and the keywords of `batchdigits.read` are made from it.
"""

from dataclasses import field, fields
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le, Lt, MinLen

from batchdigits.errors import UsageError
from batchdigits.options.declaration import (
    Option,
    Options,
    declare_options,
    format_option_name,
    suggest_name,
)
from batchdigits.options.training import TrainOptions
from batchdigits.options.types import (
    DAY_SECONDS,
    NO_PATH,
    NO_PATHS,
    Device,
    Engine,
    Invert,
    OptionalNonEmptyPath,
    OptionalPath,
    PathList,
    ReadAs,
    Runtime,
    Seconds,
    Share,
    count_processors,
)

__all__ = [
    "Invert",
    "ReadAs",
    "ReadOptions",
    "RunOptions",
    "Runtime",
    "TrainOptions",
    "count_processors",
    "suggest_name",
]

PAGE_SECONDS = 60.0
MAX_PIXELS = 100_000_000
BATCH_SIZE = 2048
SETTLE_SECONDS = 5.0

INPUT, MODEL, OUTPUT, RUNNING = PANELS = ("Input", "Model", "Output", "Running")
"""The panels of `run --help`, in their order."""


@declare_options
class ReadOptions(Options):
    """The options of `batchdigits.read`, which `run` has too. Paths are kept as str."""

    panels: ClassVar = PANELS
    as_: Annotated[
        ReadAs,
        Option(
            "What an image holds: one digit, one number, or a form (a page). auto goes by its "
            "size; with --template all are forms. Of a form without a template, the boxes that "
            "are found are read.",
            INPUT,
        ),
    ] = "auto"
    template: Annotated[
        PathList,
        Option(
            "What a form looks like: a template, or a folder of them; may be given again. Every "
            "page is a form then.",
            INPUT,
            "FORM.toml",
        ),
    ] = NO_PATHS
    invert: Annotated[
        Invert,
        Option(
            "Whether ink is dark on light paper (yes) or light on dark (no); auto decides for "
            "each digit.",
            INPUT,
        ),
    ] = "auto"
    max_pixels: Annotated[
        int,
        Ge(1),
        Option(
            "Largest page that is decoded, in pixels; a larger one is an error row.", INPUT, "N"
        ),
    ] = MAX_PIXELS
    page_seconds: Annotated[
        float,
        Gt(0),
        Le(DAY_SECONDS),
        Option("Seconds that reading a page may take; a slower one is an error row.", INPUT, "S"),
    ] = PAGE_SECONDS
    model: Annotated[
        OptionalPath,
        Option(
            "A model bundle (a folder) or .keras file.",
            MODEL,
            "PATH",
            default="the model in the package",
        ),
    ] = NO_PATH
    min_confidence: Annotated[
        Share | None,
        Option(
            "Values with less confidence are for review, 0 to 1.",
            MODEL,
            "P",
            default="the model's own",
        ),
    ] = None
    target_error: Annotated[
        float | None,
        Gt(0),
        Lt(1),
        Option(
            "Instead of --min-confidence: the threshold that keeps the share of wrong values "
            "among ok under E, by the calibration data (95% upper bound).",
            MODEL,
            "E",
        ),
    ] = None
    calibration: Annotated[
        OptionalPath,
        Option(
            "Audited results for --target-error, as `evaluate` writes in readings.csv.",
            MODEL,
            "FILE",
            default="the data in the model's card",
        ),
    ] = NO_PATH
    device: Annotated[
        Device,
        Option(
            "Where the model runs; GPUs are counted from 0.",
            MODEL,
            "auto|cpu|gpu|gpu:N",
            suggest=("auto", "cpu", "gpu"),
        ),
    ] = "auto"
    batch_size: Annotated[
        int,
        Ge(1),
        Le(1_000_000),
        Option("Crops gathered before the model is called; changes no result.", RUNNING, "N"),
    ] = BATCH_SIZE
    workers: Annotated[
        int,
        Ge(0),
        Le(256),
        Option(
            "Processes that decode files; 0 decodes in the command's own, without limits of time "
            "and memory.",
            RUNNING,
            "N",
            default="one for each processor",
        ),
    ] = field(default_factory=count_processors)
    runtime: Annotated[
        Runtime,
        Option(
            "What runs the networks of single digits: Keras on TensorFlow, or ONNX Runtime, which "
            "starts in a fraction of a second; needs batchdigits[onnx].",
            RUNNING,
        ),
    ] = "tensorflow"

    def __post_init__(self) -> None:
        """Refuse options that contradict each other.

        Raises:
            UsageError: two of them do.
        """
        if self.target_error is None and self.calibration is not None:
            raise UsageError("--calibration is for --target-error: give that too, or leave it out")
        if self.target_error is not None and self.min_confidence is not None:
            raise UsageError("--min-confidence and --target-error both set the threshold: give one")
        if self.template and self.as_ not in ("auto", "form"):
            raise UsageError(
                f"--template makes every page a form, --as {self.as_} does not: leave one out"
            )

    @classmethod
    def describe_unknown(cls, name: str) -> str:
        """Return the error for an unknown name, which may be an option of `run` only."""
        known = {one.name for one in fields(cls)}
        if name not in {one.name for one in fields(RunOptions)} - known:
            return super().describe_unknown(name)
        return (
            f"'{name}' is for a run that writes a table, and this gives a DataFrame: for "
            f"--{format_option_name(name)} use `batchdigits run`, or leave it out"
        )


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
