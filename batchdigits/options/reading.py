"""The options of `batchdigits.read`, which `run` has too."""

from dataclasses import field, fields
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le, Lt

from batchdigits.errors import UsageError
from batchdigits.options.declaration import (
    Option,
    Options,
    declare_options,
    format_option_name,
)
from batchdigits.options.types import (
    DAY_SECONDS,
    NO_PATH,
    NO_PATHS,
    Device,
    Invert,
    OptionalPath,
    PathList,
    ReadAs,
    Runtime,
    Share,
    count_processors,
)

PAGE_SECONDS = 60.0
MAX_PIXELS = 100_000_000
BATCH_SIZE = 2048

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
        from batchdigits.options import RunOptions  # noqa: PLC0415  (it is made of this class)

        known = {one.name for one in fields(cls)}
        if name not in {one.name for one in fields(RunOptions)} - known:
            return super().describe_unknown(name)
        return (
            f"'{name}' is for a run that writes a table, and this gives a DataFrame: for "
            f"--{format_option_name(name)} use `batchdigits run`, or leave it out"
        )
