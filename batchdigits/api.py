"""The Python interface: files or arrays become a DataFrame, as `batchdigits run` reads them."""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from batchdigits.job import Job
    from batchdigits.pipeline.tasks import Tasks

Place = str | os.PathLike[str]
ShowProgress = bool | Callable[[int, int], object]
"""True shows a bar on standard error; a function is told how many are done, and of how many."""


class Reader:
    """Reads files and arrays with one set of options; the models stay loaded between calls."""

    def __init__(self, **options: Any) -> None:
        """Resolve the options; the models are loaded when they are first needed.

        Args:
            **options: as of `batchdigits.read`.

        Raises:
            batchdigits.errors.UsageError: an unknown option, or one that makes no sense here.
            batchdigits.errors.ModelError: the model cannot be used.
            batchdigits.errors.TemplateError: a template cannot be used.
        """
        from batchdigits.job import resolve_job  # noqa: PLC0415  (heavy: only when called)
        from batchdigits.options import RunOptions  # noqa: PLC0415
        from batchdigits.pipeline.findings import Predictor  # noqa: PLC0415

        self._job = resolve_job(RunOptions.of(options))
        self._predictor = Predictor(self._job)

    def read(
        self, inputs: Place | Iterable[Place], *, progress: ShowProgress = False
    ) -> "pd.DataFrame":
        """Read files; see `batchdigits.read`."""
        from batchdigits.job import Inputs  # noqa: PLC0415
        from batchdigits.pipeline.tasks import Tasks  # noqa: PLC0415
        from batchdigits.run import find_files  # noqa: PLC0415

        several = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
        asked = Inputs([os.fspath(one) for one in several])
        job = replace(self._job, inputs=asked)
        return self._read(job, Tasks(find_files(asked, job.paths).sources), progress)

    def read_images(
        self,
        images: "Iterable[Any]",
        *,
        names: Sequence[str] | None = None,
        progress: ShowProgress = False,
    ) -> "pd.DataFrame":
        """Read pictures that are in memory; see `batchdigits.read_images`."""
        from batchdigits.errors import UsageError  # noqa: PLC0415
        from batchdigits.pages.arrays import convert_image  # noqa: PLC0415
        from batchdigits.pipeline.tasks import Tasks  # noqa: PLC0415
        from batchdigits.records import Source  # noqa: PLC0415
        from batchdigits.sources import spell  # noqa: PLC0415

        several = list(images)
        called = [str(at) for at in range(len(several))] if names is None else list(names)
        if len(called) != len(several):
            raise UsageError(
                f"expected {len(several)} names for the images, got {len(called)}: give one for each"
            )
        files = [Source(spell(name), "", named=True) for name in called]
        grey = [convert_image(one, name) for one, name in zip(several, called, strict=True)]
        return self._read(self._job, Tasks(files, images=grey), progress)

    def _read(self, job: "Job", tasks: "Tasks", progress: ShowProgress) -> "pd.DataFrame":
        from batchdigits import report, results  # noqa: PLC0415
        from batchdigits.run import read_rows  # noqa: PLC0415

        shown = nullcontext(progress) if callable(progress) else report.progress(not progress)
        with shown as show_done:
            batches = read_rows(job, tasks, show_done, self._predictor)
            return results.table(row for batch in batches for row in batch)


def read(
    inputs: Place | Iterable[Place], *, progress: ShowProgress = False, **options: Any
) -> "pd.DataFrame":
    """Read folders or files, as `batchdigits run` does, into a DataFrame."""
    return Reader(**options).read(inputs, progress=progress)


def read_images(
    images: Iterable[Any],
    *,
    names: Sequence[str] | None = None,
    progress: ShowProgress = False,
    **options: Any,
) -> "pd.DataFrame":
    """Read pictures that are in memory, each as a file with these pixels would be read."""
    return Reader(**options).read_images(images, names=names, progress=progress)
