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
from batchdigits.labelled.marks import EMPTY, FORMS, NONE, Labelled, Loader, Part, alike, label_map

__all__ = [
    "EMPTY",
    "NONE",
    "Labelled",
    "digits",
    "joined",
    "label_map",
    "parts",
    "read",
    "unseen",
]


def digits(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which labels, of any shape, are digits, and not `EMPTY` or `NONE`."""
    found: NDArray[np.bool_] = (labels >= 0) & (labels < NONE)
    return found


def parts(place: str) -> tuple[Part, ...]:
    """Tell which parts a labelled set has: train, test, or both; nothing but names is read.

    Raises:
        UsageError: it is no labelled set.
    """
    return tuple(_loaders(place))


def read(
    place: str, *, part: Literal["train", "test", "all"], names: Mapping[str, str] | None = None
) -> Labelled:
    """Read a labelled set.

    Args:
        place: a `.npz` file with x_train, y_train, x_test, y_test, or x and y, or images and
            labels (then all is the part train); a folder of IDX files (http://yann.lecun.com/
            exdb/mnist), plain or `.gz`; or a folder of `<label>/*.png`, of any image format that
            `run` reads, perhaps with `train/` and `test/` above the labels.
        part: which part; all is train, then test.
        names: what labels that are no digits 0 to 9 mean, or other than they seem; as from
            `label_map`.

    Returns:
        The crops as they are, in the order of the files. Arrays are taken as uint8 (N, height,
        width) or (N, height, width, 1), or other whole numbers from 0 to 255; colour and shares
        are refused, since how to make them grey levels is not ours to guess.

    Raises:
        UsageError: one line on what is wrong with the set; nothing of it is given.
    """
    loaders = _loaders(place)
    wanted = list(loaders) if part == "all" else [one for one in loaders if one == part]
    if not wanted:
        raise UsageError(
            f"'{place}' holds the part '{next(iter(loaders))}' alone: expected '{part}'"
        )
    found = [loaders[one](names or {}) for one in wanted]
    return found[0] if len(found) == 1 else joined(found)


def unseen(place: str) -> Literal["test", "all"]:
    """Tell which part of a set a model was not trained on: its part for tests, or all of it.

    Raises:
        UsageError: it is no labelled set.
    """
    return "test" if "test" in parts(place) else "all"


def joined(several: list[Labelled]) -> Labelled:
    """Put several sets into one, in their order."""
    return Labelled(
        alike([crop for one in several for crop in one.crops]),
        np.concatenate([one.labels for one in several]),
        [name for one in several for name in one.names],
    )


def _loaders(place: str) -> dict[Part, Loader]:
    """Tell by its form what a place holds: each part, and what loads it."""
    if not os.path.exists(place):
        raise UsageError(f"labelled data '{place}' do not exist: expected {FORMS}")
    if not os.path.isdir(place):
        return arrays.npz(place)
    try:
        found = list(filter(None, map(arrays.IDX.match, sorted(os.listdir(place)))))
        return arrays.idx(place, found) if found else folders.parts(place)
    except OSError as error:
        raise UsageError(f"'{place}' cannot be read: {error.strerror}") from None
