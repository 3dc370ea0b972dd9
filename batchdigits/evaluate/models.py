"""Labelled pictures read with a model, by the same steps as `run`."""

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
    """Check the labels before any file is read.

    Args:
        files: as `sources.find_sources` returns them.
        truth: as `read_truth` returns it; None takes the names of folders as labels.
        labels: what names that are not digits mean.

    Raises:
        UsageError: no files, a folder's name without a meaning, or a truth for another file.
    """
    names = pd.DataFrame({"file": pd.Series([source.file for source in files], dtype="str")})
    if names.empty:
        raise UsageError("no images found: expected folders that hold some")
    if truth is None:
        match_folder_labels(names, labels)
    else:
        check_truth_rows(truth, names)


def read_files(
    files: Sequence[Source], job: Job, progress: Progress = lambda _done, _pages: None
) -> pd.DataFrame:
    """Read files with a model, as `run` does.

    Args:
        files: as `sources.find_sources` returns them.
        job: the model, and how it reads.
        progress: called with how many pages are done, and of how many.

    Returns:
        A table as from `read_results`.

    Raises:
        ModelError: the model cannot be used.
        UsageError: the device does not exist.
    """
    batches = read_rows(job, FileTasks(files), progress)
    return outputs.build_dataframe(row for batch in batches for row in batch)[READING_COLUMNS]


def is_array_set(place: str) -> bool:
    """Return whether a place is a set of arrays, .npz or IDX, and not a folder of pictures."""
    if os.path.splitext(place)[1].lower() == ".npz":
        return True
    with suppress(OSError, ValueError):
        return any(map(IDX_FILE_NAME.match, os.listdir(place)))
    return False


def read_crops(data: LabelledCrops, job: Job) -> MatchedReadings:
    """Read the crops of a labelled set with a model, as `run` reads those of files.

    Args:
        data: as `labelled.load_labelled_crops` returns it.
        job: the model, and how it reads.

    Raises:
        ModelError, UsageError: as in `read_files`.
    """
    files = [Source(escape_path(name), "") for name in data.names]
    batches = read_rows(job, FileTasks(files, images=data.crops))
    table = outputs.build_dataframe(row for batch in batches for row in batch)[READING_COLUMNS]
    truth = pd.Series([_TRUTH_BY_LABEL[label] for label in data.labels.tolist()], dtype="str")
    return MatchedReadings(table.assign(truth=truth), 0, 0)


def load_arrays(place: str, names: Mapping[str, str]) -> LabelledCrops:
    """Load the test part of a set of arrays, or all of a set without one.

    Raises:
        UsageError: as in `labelled.load_labelled_crops`.
    """
    return labelled.load_labelled_crops(place, part=labelled.choose_unseen_part(place), names=names)


def make_picture_lookup(data: LabelledCrops) -> PictureLookup:
    """Return a function that finds the picture of a reading in a labelled set."""
    index_by_file = {escape_path(name): number for number, name in enumerate(data.names)}

    def picture(file: str, _page: int) -> GreyImage | None:
        return data.crops[index_by_file[file]] if file in index_by_file else None

    return picture
