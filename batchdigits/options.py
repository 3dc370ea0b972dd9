"""The settings of a run: typed, checked once, then frozen."""

import difflib
import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from batchdigits.errors import UsageError
from batchdigits.records import As, Invert

PAGE_SECONDS = 60.0
MAX_PIXELS = 100_000_000
BATCH_SIZE = 2048
SETTLE = 5.0


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _as_text(path: Any) -> Any:
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if isinstance(text, str) and "\0" in text:
        raise ValueError("expected a path, which holds no zero byte")
    return text


Place = Annotated[str, BeforeValidator(_as_text), Field(min_length=1)]


def _several(places: Any) -> Any:
    """Take one path for a list of one."""
    return [places] if isinstance(places, str | os.PathLike) else places


def _known_device(device: str) -> str:
    if not re.fullmatch(r"auto|cpu|gpu(:\d{1,3})?", device):
        raise ValueError("expected auto, cpu, gpu, or gpu:N counted from 0")
    return device


class _Options(BaseModel):
    """Settings of a command, each named as on the command line."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Build the options from settings by name; what is None takes its default.

        Raises:
            UsageError: an unknown name, or a value that does not fit.
        """
        try:
            return cls(**{name: value for name, value in settings.items() if value is not None})
        except ValidationError as error:
            raise UsageError(_in_words(error, cls)) from None


class RunOptions(_Options):
    """The settings of `run` and `batchdigits.read`; each is named as on the command line.

    Attributes:
        as_: what each image holds: auto, digit, number or form.
        model: a bundle's folder or a `.keras` file; None for the model in the package.
        invert: yes for dark ink on light paper, no for light ink, auto to decide by image.
        max_pixels: a page with more pixels is an error row; checked before it is decoded.
        page_seconds: wall-clock limit for reading one file or page, s.
        min_confidence: values under it are for review; None for the model's own threshold.
        target_error: instead of it: the share of wrong values among `ok` that the threshold
            shall keep under, in (0, 1); see `calibrate.threshold_for`.
        calibration: CSV of audited results that the threshold for `target_error` comes from;
            None for the calibration data in the model's card.
        template: TOML files, or folders of such, that say what forms look like; none for images of
            single digits.
        wide: a row for each page of a form, with a column for each field.
        digits_out: a second table, a row for each digit; None for none.
        state: the ledger of what was read; None for beside the table, and none for `-`.
        fresh: read all anew, whatever the ledger knows.
        prune: drop the rows of files that are gone.
        settle: a file of a folder that was written to within so many seconds waits for next time.
        wait: s to wait for another run that writes the same output.
        fail_over: share of the inputs that may be errors before the exit code says so.
        log_file: where warnings and how pages were laid straight are kept as well.
        summary_json: how the run went, for programs.
        move_done: a folder for files that were read, once their rows are safe; None: they stay.
        move_failed: likewise for those with an error row.
        debug_pages: a folder for a picture of each page of a form, with what was found and read
            drawn on it; None for none.
        excel: write CSV for spreadsheets that expect a byte order mark and `;`.
        quiet: print nothing on standard error while all goes well.
        batch_size: crops gathered before the model is called; it changes no result.
        workers: processes that decode; 0 decodes in this process, without limits.
        device: auto, cpu, gpu, or gpu:N counted from 0.
    """

    out: Annotated[str | None, BeforeValidator(_as_text)] = None
    null: bool = False
    dry_run: bool = False
    append: bool = False
    as_: As = Field("auto", alias="as")
    model: Annotated[str | None, BeforeValidator(_as_text)] = None
    invert: Invert = "auto"
    max_pixels: int = Field(MAX_PIXELS, ge=1)
    page_seconds: float = Field(PAGE_SECONDS, gt=0, le=86_400)
    min_confidence: float | None = Field(None, ge=0, le=1)
    target_error: float | None = Field(None, gt=0, lt=1)
    calibration: Annotated[str | None, BeforeValidator(_as_text)] = None
    template: Annotated[tuple[Place, ...], BeforeValidator(_several)] = ()
    wide: bool = False
    digits_out: Annotated[str | None, BeforeValidator(_as_text)] = None
    state: Annotated[str | None, BeforeValidator(_as_text)] = None
    fresh: bool = False
    prune: bool = False
    settle: float = Field(default_factory=lambda: SETTLE, ge=0, le=86_400)
    wait: float = Field(0.0, ge=0, le=86_400 * 7)
    fail_over: float = Field(0.0, ge=0, le=1)
    log_file: Annotated[str | None, BeforeValidator(_as_text)] = None
    summary_json: Annotated[str | None, BeforeValidator(_as_text)] = None
    debug_pages: Annotated[str | None, BeforeValidator(_as_text)] = None
    move_done: Annotated[Place | None, BeforeValidator(_as_text)] = None
    move_failed: Annotated[Place | None, BeforeValidator(_as_text)] = None
    excel: bool = False
    quiet: bool = False
    batch_size: int = Field(BATCH_SIZE, ge=1, le=1_000_000)
    workers: int = Field(default_factory=processors, ge=0, le=256)
    device: Annotated[str, AfterValidator(_known_device)] = "auto"

    @property
    def moves(self) -> list[str]:
        """The folders that files are moved to."""
        return [one for one in (self.move_done, self.move_failed) if one is not None]

    @model_validator(mode="after")
    def _threshold_is_chosen_in_one_way(self) -> Self:
        if self.target_error is None and self.calibration is not None:
            raise ValueError("--calibration is for --target-error: give that too, or leave it out")
        if self.target_error is not None and self.min_confidence is not None:
            raise ValueError("--min-confidence and --target-error both set the threshold: give one")
        return self

    @model_validator(mode="after")
    def _templates_are_for_forms(self) -> Self:
        if self.template and self.as_ not in ("auto", "form"):
            raise ValueError(
                f"--template makes every page a form, --as {self.as_} does not: leave one out"
            )
        if self.wide and self.as_ in ("digit", "number"):
            raise ValueError(
                f"--wide is for forms, a column for each field, --as {self.as_} is none: "
                "leave one out"
            )
        return self


class TrainOptions(_Options):
    """The settings of `train`; each is named as on the command line.

    Attributes:
        recipe: its name; see `batchdigits.train.recipes`.
        out: the folder for the model and what is shown of its training.
        data: labelled sets, as `batchdigits.labelled.read` takes them; none for MNIST. The
            tutorials' recipes learn from one, `default` from any number.
        labels: what labels that are no digits mean, as `batchdigits.labelled.label_map` takes it.
        seed: makes the training repeatable; None for another chance each time.
        epochs: how often all pictures are seen; None for the recipe's own number.
        fine_tune: a bundle's folder or `.keras` file of the same recipe to start from.
        device: auto, cpu, gpu, or gpu:N counted from 0.
    """

    recipe: str
    out: Place
    data: tuple[Annotated[str, BeforeValidator(_as_text)], ...] = ()
    labels: str = ""
    seed: int | None = Field(None, ge=0, lt=1 << 32)
    epochs: int | None = Field(None, ge=1, le=100_000)
    fine_tune: Annotated[str | None, BeforeValidator(_as_text)] = None
    device: Annotated[str, AfterValidator(_known_device)] = "auto"

    @model_validator(mode="after")
    def _tutorials_learn_from_one_set(self) -> Self:
        if self.recipe != "default" and len(self.data) > 1:
            raise ValueError(
                f"--data: recipe {self.recipe} learns from one set, got {len(self.data)}: give "
                "one, or use --recipe default"
            )
        return self


def nearest(name: str, known: list[str]) -> str:
    """Say which known name is meant by an unknown one: `; did you mean 'x'?`, or nothing."""
    close = difflib.get_close_matches(name, known, 1)
    return f"; did you mean '{close[0]}'?" if close else ""


def _in_words(error: ValidationError, model: type[BaseModel]) -> str:
    """Tell the first thing that is wrong with the settings, on one line."""
    first = error.errors()[0]
    if not first["loc"]:  # of the settings together
        return first["msg"].removeprefix("Value error, ")
    name = str(first["loc"][0]).rstrip("_")
    if first["type"] == "extra_forbidden":
        return f"unknown option '{name}'{nearest(name, list(model.model_fields))}"
    text = first["msg"].removeprefix("Value error, ")
    expected = text[0].lower() + text[1:]
    return f"{name.replace('_', '-')}: {expected}, got {first['input']!r}"
