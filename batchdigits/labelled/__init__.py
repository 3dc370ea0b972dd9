"""Labelled data sets, as .npz, IDX files or folders → crops with their labels.

A set is checked as a whole before it is returned, so that nothing is trained or measured on half
of it. Crops stay as they were scanned; the callers normalise them.
"""

import os
from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import UsageError
from batchdigits.labelled import arrays, folders
from batchdigits.labelled.labels import (
    EMPTY_LABEL,
    EXPECTED_DATA,
    NO_DIGIT_LABEL,
    LabelledCrops,
    Loader,
    Part,
    parse_label_map,
    stack_crops,
)

__all__ = [
    "EMPTY_LABEL",
    "NO_DIGIT_LABEL",
    "LabelledCrops",
    "choose_unseen_part",
    "is_digit",
    "join_labelled_crops",
    "list_parts",
    "load_labelled_crops",
    "parse_label_map",
]


def is_digit(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which labels, of any shape, are digits: not `EMPTY_LABEL` or `NO_DIGIT_LABEL`."""
    digits: NDArray[np.bool_] = (labels >= 0) & (labels < NO_DIGIT_LABEL)
    return digits


def list_parts(place: str) -> tuple[Part, ...]:
    """Return which parts a labelled set has: train, test, or both; only names are read.

    Raises:
        UsageError: `place` is not a labelled set.
    """
    return tuple(_find_loaders(place))


def load_labelled_crops(
    place: str, *, part: Literal["train", "test", "all"], names: Mapping[str, str] | None = None
) -> LabelledCrops:
    """Read a labelled set.

    Args:
        place: a `.npz` file with x_train, y_train, x_test, y_test, or x and y, or images and
            labels (the last two are all part train); a folder of IDX files
            (http://yann.lecun.com/exdb/mnist), plain or `.gz`; or a folder of `<label>/*.png`, in
            any image format that `run` reads, perhaps with `train/` and `test/` above the labels.
        part: which part; `all` is train, then test.
        names: what labels mean that are not digits 0 to 9, or mean another digit; as from
            `parse_label_map`.

    Returns:
        The crops, unchanged, in the order of the files. Arrays are uint8 (N, height, width) or
        (N, height, width, 1), or other whole numbers from 0 to 255. Colour and shares are
        refused: how to make grey levels of them would be a guess.

    Raises:
        UsageError: what is wrong with the set, on one line.
    """
    loaders = _find_loaders(place)
    parts = list(loaders) if part == "all" else [name for name in loaders if name == part]
    if not parts:
        raise UsageError(
            f"'{place}' holds the part '{next(iter(loaders))}' alone: expected '{part}'"
        )
    loaded = [loaders[name](names or {}) for name in parts]
    return loaded[0] if len(loaded) == 1 else join_labelled_crops(loaded)


def choose_unseen_part(place: str) -> Literal["test", "all"]:
    """Return the part of a set to measure a model on: its test part, or all of it without one.

    Raises:
        UsageError: `place` is not a labelled set.
    """
    return "test" if "test" in list_parts(place) else "all"


def join_labelled_crops(several: list[LabelledCrops]) -> LabelledCrops:
    """Join several sets into one, in their order."""
    return LabelledCrops(
        stack_crops([crop for data in several for crop in data.crops]),
        np.concatenate([data.labels for data in several]),
        [name for data in several for name in data.names],
    )


def _find_loaders(place: str) -> dict[Part, Loader]:
    """Return the parts of a set of any kind, and what loads each."""
    if not os.path.exists(place):
        raise UsageError(f"labelled data '{place}' do not exist: expected {EXPECTED_DATA}")
    if not os.path.isdir(place):
        return arrays.find_npz_loaders(place)
    try:
        idx_files = list(filter(None, map(arrays.IDX_FILE_NAME.match, sorted(os.listdir(place)))))
        if idx_files:
            return arrays.find_idx_loaders(place, idx_files)
        return folders.map_parts_to_folder_loaders(place)
    except OSError as error:
        raise UsageError(f"'{place}' cannot be read: {error.strerror}") from None
