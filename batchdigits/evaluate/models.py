"""A model read over labelled pictures, by the very pipeline of `run`."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress

import pandas as pd

from batchdigits import labelled, outputs
from batchdigits.errors import UsageError
from batchdigits.evaluate.sheet import Picture
from batchdigits.evaluate.tables import RESULTS
from batchdigits.evaluate.truth import Matched, Truth, all_known, with_folders
from batchdigits.extract.tasks import Tasks
from batchdigits.job import Job
from batchdigits.labelled import EMPTY, NONE, Labelled
from batchdigits.labelled.arrays import IDX
from batchdigits.records import Grey, Source
from batchdigits.run import Progress, read_rows
from batchdigits.sources import spell

_TRUTH = {digit: str(digit) for digit in range(10)} | {EMPTY: "", NONE: "none"}


def check_files(
    files: Sequence[Source], truth: Truth | None, labels: Mapping[str, str] | None
) -> None:
    """Find out what is wrong with the labels before any file is read.

    Args:
        files: as `sources.find` finds them.
        truth: as `read_truth` gives it; None: the folders' names say it.
        labels: what names that are no digit mean.

    Raises:
        UsageError: no files, a folder's name that means nothing, a truth for another file.
    """
    names = pd.DataFrame({"file": pd.Series([source.file for source in files], dtype="str")})
    if names.empty:
        raise UsageError("no images found: expected folders that hold some")
    if truth is None:
        with_folders(names, labels)
    else:
        all_known(truth, names)


def read_files(
    files: Sequence[Source], job: Job, progress: Progress = lambda _done, _files: None
) -> pd.DataFrame:
    """Read files with a model, as `run` does.

    Args:
        files: as `sources.find` finds them.
        job: the model, and how it is to read.
        progress: told how many of the files are done.

    Returns:
        As `read_results` gives a table.

    Raises:
        ModelError: the model cannot be used.
        UsageError: a device that is not there.
    """
    batches = read_rows(job, Tasks(files), progress)
    return outputs.table(row for batch in batches for row in batch)[RESULTS]


def holds_arrays(place: str) -> bool:
    """Tell whether a place is a set of arrays, .npz or IDX, and no folder of pictures."""
    if os.path.splitext(place)[1].lower() == ".npz":
        return True
    with suppress(OSError, ValueError):
        return any(map(IDX.match, os.listdir(place)))
    return False


def read_arrays(data: Labelled, job: Job) -> Matched:
    """Read crops of a labelled set with a model, as `run` reads those of files.

    Args:
        data: as `labelled.read` gives it.
        job: the model, and how it is to read.

    Raises:
        ModelError, UsageError: as `read_files`.
    """
    files = [Source(spell(name), "") for name in data.names]
    batches = read_rows(job, Tasks(files, images=data.crops))
    table = outputs.table(row for batch in batches for row in batch)[RESULTS]
    truth = pd.Series([_TRUTH[label] for label in data.labels.tolist()], dtype="str")
    return Matched(table.assign(truth=truth), 0, 0)


def load_arrays(place: str, names: Mapping[str, str]) -> Labelled:
    """Load the test part of a set of arrays; all of it where it has no parts.

    Raises:
        UsageError: as `labelled.read`.
    """
    return labelled.read(place, part=labelled.unseen(place), names=names)


def pictures_of(data: Labelled) -> Picture:
    """Find the pictures of a labelled set by the names of its readings."""
    at = {spell(name): number for number, name in enumerate(data.names)}

    def picture(file: str, _page: int) -> Grey | None:
        return data.crops[at[file]] if file in at else None

    return picture
