"""A model read over labelled pictures, by the very pipeline of `run`."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress

import pandas as pd

from batchdigits import labelled, outputs
from batchdigits.errors import UsageError
from batchdigits.evaluate.sheet import PictureLookup
from batchdigits.evaluate.tables import READING_COLUMNS
from batchdigits.evaluate.truth import MatchedReadings, Truth, check_truth_rows, match_folder_labels
from batchdigits.extract.tasks import FileTasks
from batchdigits.job import Job
from batchdigits.labelled import EMPTY_LABEL, NO_DIGIT_LABEL, LabelledCrops
from batchdigits.labelled.arrays import IDX_FILE_NAME
from batchdigits.records import GreyImage, Source
from batchdigits.run import Progress, read_rows
from batchdigits.sources import escape_path

_TRUTH_BY_LABEL = {digit: str(digit) for digit in range(10)} | {
    EMPTY_LABEL: "",
    NO_DIGIT_LABEL: "none",
}


def check_labels(
    files: Sequence[Source], truth: Truth | None, labels: Mapping[str, str] | None
) -> None:
    """Find out what is wrong with the labels before any file is read.

    Args:
        files: as `sources.find_sources` finds them.
        truth: as `read_truth` gives it; None: the folders' names say it.
        labels: what names that are no digit mean.

    Raises:
        UsageError: no files, a folder's name that means nothing, a truth for another file.
    """
    names = pd.DataFrame({"file": pd.Series([source.file for source in files], dtype="str")})
    if names.empty:
        raise UsageError("no images found: expected folders that hold some")
    if truth is None:
        match_folder_labels(names, labels)
    else:
        check_truth_rows(truth, names)


def read_files(
    files: Sequence[Source], job: Job, progress: Progress = lambda _done, _files: None
) -> pd.DataFrame:
    """Read files with a model, as `run` does.

    Args:
        files: as `sources.find_sources` finds them.
        job: the model, and how it is to read.
        progress: told how many of the files are done.

    Returns:
        As `read_results` gives a table.

    Raises:
        ModelError: the model cannot be used.
        UsageError: a device that is not there.
    """
    batches = read_rows(job, FileTasks(files), progress)
    return outputs.build_dataframe(row for batch in batches for row in batch)[READING_COLUMNS]


def is_array_set(place: str) -> bool:
    """Tell whether a place is a set of arrays, .npz or IDX, and no folder of pictures."""
    if os.path.splitext(place)[1].lower() == ".npz":
        return True
    with suppress(OSError, ValueError):
        return any(map(IDX_FILE_NAME.match, os.listdir(place)))
    return False


def read_crops(data: LabelledCrops, job: Job) -> MatchedReadings:
    """Read crops of a labelled set with a model, as `run` reads those of files.

    Args:
        data: as `labelled.load_labelled_crops` gives it.
        job: the model, and how it is to read.

    Raises:
        ModelError, UsageError: as `read_files`.
    """
    files = [Source(escape_path(name), "") for name in data.names]
    batches = read_rows(job, FileTasks(files, images=data.crops))
    table = outputs.build_dataframe(row for batch in batches for row in batch)[READING_COLUMNS]
    truth = pd.Series([_TRUTH_BY_LABEL[label] for label in data.labels.tolist()], dtype="str")
    return MatchedReadings(table.assign(truth=truth), 0, 0)


def load_arrays(place: str, names: Mapping[str, str]) -> LabelledCrops:
    """Load the test part of a set of arrays; all of it where it has no parts.

    Raises:
        UsageError: as `labelled.load_labelled_crops`.
    """
    return labelled.load_labelled_crops(place, part=labelled.choose_unseen_part(place), names=names)


def make_picture_lookup(data: LabelledCrops) -> PictureLookup:
    """Find the pictures of a labelled set by the names of its readings."""
    at = {escape_path(name): number for number, name in enumerate(data.names)}

    def picture(file: str, _page: int) -> GreyImage | None:
        return data.crops[at[file]] if file in at else None

    return picture
