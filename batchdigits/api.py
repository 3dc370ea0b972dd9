"""The Python interface: read files or arrays, as `batchdigits run` does, into a DataFrame."""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Annotated, Any

from batchdigits.options import ReadOptions, RunOptions
from batchdigits.options.declaration import Option, declare_options, take_keywords

if TYPE_CHECKING:
    import pandas as pd

    from batchdigits.extract.tasks import FileTasks
    from batchdigits.job import Job

AnyPath = str | os.PathLike[str]
ShowProgress = bool | Callable[[int, int], object]


@declare_options
class ReadKeywords(ReadOptions):
    """The keywords of `read`."""

    progress: Annotated[
        ShowProgress,
        Option(
            "True shows a bar on a terminal; a function is called with the number of pages that "
            "are done, and of all. An image of a digit or a number is a page."
        ),
    ] = False


@declare_options
class ImageKeywords(ReadKeywords):
    """The keywords of `read_images`."""

    names: Annotated[
        Sequence[str] | None,
        Option("What the column `file` holds for each picture; its index, if left out."),
    ] = None


class Reader:
    """Reads files and pictures with one set of options; the models stay loaded between calls."""

    @take_keywords(ReadOptions)
    def __init__(self, options: ReadOptions) -> None:
        """Resolve the options; the first picture loads the model.

        Raises:
            batchdigits.errors.UsageError: an option is unknown, does not fit, or makes no sense
                here.
            batchdigits.errors.ModelError: the model cannot be used.
            batchdigits.errors.TemplateError: a template cannot be used.
        """
        from batchdigits.job import resolve_job  # noqa: PLC0415  (heavy: only when called)
        from batchdigits.predict.predictor import Predictor  # noqa: PLC0415

        settings = {one.name: getattr(options, one.name) for one in fields(ReadOptions)}
        self._job = resolve_job(RunOptions(**settings))
        self._predictor = Predictor(self._job.card, options.device, options.runtime)

    def read(
        self, inputs: AnyPath | Iterable[AnyPath], *, progress: ShowProgress = False
    ) -> "pd.DataFrame":
        """Read folders and files; see `batchdigits.read`."""
        from batchdigits.job import Inputs  # noqa: PLC0415
        from batchdigits.objects import strip_file_scheme  # noqa: PLC0415

        several = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
        job = replace(
            self._job, inputs=Inputs([strip_file_scheme(os.fspath(one)) for one in several])
        )
        return self._read_table(job, None, progress)

    def read_images(
        self,
        images: Iterable[Any],
        *,
        names: Sequence[str] | None = None,
        progress: ShowProgress = False,
    ) -> "pd.DataFrame":
        """Read pictures in memory; see `batchdigits.read_images`."""
        from batchdigits.errors import UsageError  # noqa: PLC0415
        from batchdigits.extract.tasks import FileTasks  # noqa: PLC0415
        from batchdigits.pages.arrays import convert_image  # noqa: PLC0415
        from batchdigits.records import Source  # noqa: PLC0415
        from batchdigits.sources import escape_path  # noqa: PLC0415

        several = list(images)
        called = [str(at) for at in range(len(several))] if names is None else list(names)
        if len(called) != len(several):
            raise UsageError(
                f"names: expected {len(several)}, one for each image, got {len(called)}"
            )
        files = [Source(escape_path(name), "", named=True) for name in called]
        grey = [convert_image(one, name) for one, name in zip(several, called, strict=True)]
        return self._read_table(self._job, FileTasks(files, images=grey), progress)

    def _read_table(
        self, job: "Job", tasks: "FileTasks | None", progress: ShowProgress
    ) -> "pd.DataFrame":
        from batchdigits import outputs  # noqa: PLC0415
        from batchdigits.progress import show_progress  # noqa: PLC0415
        from batchdigits.run import read_rows  # noqa: PLC0415

        display = nullcontext(progress) if callable(progress) else show_progress(not progress)
        with display as show_done:
            batches = read_rows(job, tasks, show_done, self._predictor)
            return outputs.build_dataframe(row for batch in batches for row in batch)


@take_keywords(ReadKeywords)
def read(inputs: AnyPath | Iterable[AnyPath], options: ReadKeywords) -> "pd.DataFrame":
    """Read folders or files, as `batchdigits run` does, into a DataFrame.

    Args:
        inputs: a folder (read with all below it) or a file, or several.
        options: given as keyword arguments, for example `min_confidence=0.99` or `as_="digit"`;
            each is listed below, and has the name of the option of `run`. None takes the default.

    Returns:
        A row for each row of the table that `run` would write: `page` int64, `confidence` float64
        (NaN if there is none), `file`, `field`, `value`, `status` and `detail` str.

    Raises:
        batchdigits.errors.UsageError: an option is unknown, does not fit, or makes no sense
            without a table to write, or an input does not exist.
        batchdigits.errors.ModelError: the model cannot be used.
        batchdigits.errors.TemplateError: a template cannot be used.
    """
    return Reader(**_drop_options(options, "progress")).read(inputs, progress=options.progress)


@take_keywords(ImageKeywords)
def read_images(images: Iterable[Any], options: ImageKeywords) -> "pd.DataFrame":
    """Read pictures in memory, each as a file of the same pixels is read.

    Args:
        images: NumPy arrays, or what NumPy converts to one, each of shape (height, width),
            (height, width, 3) as red, green, blue, or (height, width, 4) with opacity, which is
            laid over white; dtype uint8, bool (true is white), uint16 (grey only), or a float from
            0 to 1. A stack of shape (N, height, width) is N pictures.
        options: given as keyword arguments; each is listed below. None takes the default.

    Returns:
        The columns of `read`, in the order of the pictures; `file` is the picture's name.

    Raises:
        batchdigits.errors.UsageError: an image is no such array, or as for `read`.
        batchdigits.errors.ModelError, batchdigits.errors.TemplateError: as for `read`.
    """
    reader = Reader(**_drop_options(options, "progress", "names"))
    return reader.read_images(images, names=options.names, progress=options.progress)


def _drop_options(options: ReadOptions, *names: str) -> dict[str, Any]:
    return {name: value for name, value in vars(options).items() if name not in names}
