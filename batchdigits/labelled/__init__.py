"""Digits with their labels, from the forms in which data sets come: .npz, IDX, folders.

All of a set is checked before any of it is given, so that nothing is trained or measured on
half of one. What comes out are crops as they were scanned: `normalize` is for the rooms above.
"""

import os
from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import UsageError
from batchdigits.labelled import arrays, folders
from batchdigits.labelled.marks import (
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
    """Tell which labels, of any shape, are digits, and not `EMPTY` or `NONE`."""
    found: NDArray[np.bool_] = (labels >= 0) & (labels < NO_DIGIT_LABEL)
    return found


def list_parts(place: str) -> tuple[Part, ...]:
    """Tell which parts a labelled set has: train, test, or both; nothing but names is read.

    Raises:
        UsageError: it is no labelled set.
    """
    return tuple(_find_loaders(place))


def load_labelled_crops(
    place: str, *, part: Literal["train", "test", "all"], names: Mapping[str, str] | None = None
) -> LabelledCrops:
    """Read a labelled set.

    Args:
        place: a `.npz` file with x_train, y_train, x_test, y_test, or x and y, or images and
            labels (then all is the part train); a folder of IDX files (http://yann.lecun.com/
            exdb/mnist), plain or `.gz`; or a folder of `<label>/*.png`, of any image format that
            `run` reads, perhaps with `train/` and `test/` above the labels.
        part: which part; all is train, then test.
        names: what labels that are no digits 0 to 9 mean, or other than they seem; as from
            `parse_label_map`.

    Returns:
        The crops as they are, in the order of the files. Arrays are taken as uint8 (N, height,
        width) or (N, height, width, 1), or other whole numbers from 0 to 255; colour and shares
        are refused, since how to make them grey levels is not ours to guess.

    Raises:
        UsageError: one line on what is wrong with the set; nothing of it is given.
    """
    loaders = _find_loaders(place)
    wanted = list(loaders) if part == "all" else [one for one in loaders if one == part]
    if not wanted:
        raise UsageError(
            f"'{place}' holds the part '{next(iter(loaders))}' alone: expected '{part}'"
        )
    found = [loaders[one](names or {}) for one in wanted]
    return found[0] if len(found) == 1 else join_labelled_crops(found)


def choose_unseen_part(place: str) -> Literal["test", "all"]:
    """Tell which part of a set a model was not trained on: its part for tests, or all of it.

    Raises:
        UsageError: it is no labelled set.
    """
    return "test" if "test" in list_parts(place) else "all"


def join_labelled_crops(several: list[LabelledCrops]) -> LabelledCrops:
    """Put several sets into one, in their order."""
    return LabelledCrops(
        stack_crops([crop for one in several for crop in one.crops]),
        np.concatenate([one.labels for one in several]),
        [name for one in several for name in one.names],
    )


def _find_loaders(place: str) -> dict[Part, Loader]:
    """Tell by its form what a place holds: each part, and what loads it."""
    if not os.path.exists(place):
        raise UsageError(f"labelled data '{place}' do not exist: expected {EXPECTED_DATA}")
    if not os.path.isdir(place):
        return arrays.find_npz_loaders(place)
    try:
        found = list(filter(None, map(arrays.IDX_FILE_NAME.match, sorted(os.listdir(place)))))
        return (
            arrays.find_idx_loaders(place, found) if found else folders.find_folder_loaders(place)
        )
    except OSError as error:
        raise UsageError(f"'{place}' cannot be read: {error.strerror}") from None
