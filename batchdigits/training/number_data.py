"""What the recipe `numbers` learns from: sets of digits, and strings in folders named by number."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import UsageError
from batchdigits.labelled import NO_DIGIT_LABEL, LabelledCrops, load_labelled_crops
from batchdigits.normalize.strips import strip
from batchdigits.records import GreyImage
from batchdigits.training.numbers import Real

MAX_DIGITS = 20
"""Digits of a number, at most."""
FOLD_COUNT = 5


def load_number_data(
    places: Sequence[str], names: Mapping[str, str]
) -> tuple[dict[str, LabelledCrops], Real | None]:
    """Load sets of single digits, and sets of strings.

    A set of strings is a folder of `NUMBER/*.png`: one of its folders, or more, is named by a
    number of two digits or more. Any other set is one of single digits, as `labelled` reads it.

    Args:
        places: the sets.
        names: what labels that are no digits mean; of a set of strings they can only be skipped.

    Returns:
        The sets of digits by name; and all strings, None where there are none.

    Raises:
        UsageError: a set is not as expected.
    """
    numbers = {place: _list_numbers(place, names) for place in places}
    sets = {
        place: load_labelled_crops(place, part="train", names=names)
        for place in places
        if not numbers[place]
    }
    found = [_load_strings(place, some, names) for place, some in numbers.items() if some]
    if not found:
        return sets, None
    crops = [crop for one in found for crop in one.crops]
    return sets, Real(crops, [number for one in found for number in one.digits])


def _list_numbers(place: str, names: Mapping[str, str]) -> list[str]:
    """List the numbers that folders of a set are named by; none where all are single digits."""
    found = {
        folder.name
        for part in _list_parts(place)
        for folder in part.iterdir()
        if folder.is_dir() and folder.name not in names and _is_number(folder.name)
    }
    return sorted(found) if any(len(name) > 1 for name in found) else []


def _list_parts(place: str) -> list[Path]:
    """List the folders that hold a set's labels: `train` and `test`, or the set's own folder."""
    if not os.path.isdir(place):
        return []
    parts = [Path(place, part) for part in ("train", "test")]
    return [part for part in parts if part.is_dir()] or [Path(place)]


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdecimal() and len(name) <= MAX_DIGITS


def _load_strings(place: str, numbers: Sequence[str], names: Mapping[str, str]) -> Real:
    meanings = dict(names) | dict.fromkeys(numbers, "none")  # so that `labelled` takes them
    found = load_labelled_crops(place, part="train", names=meanings)
    parent = Path(place, "train") if Path(place, "train").is_dir() else Path(place)
    folders = [os.path.relpath(name, parent).split(os.sep)[0] for name in found.names]
    known = set(numbers)
    for folder, label in zip(folders, found.labels.tolist(), strict=True):
        if folder not in known or label != NO_DIGIT_LABEL:
            raise UsageError(
                f"'{place}': '{folder}' is no number of 1 to {MAX_DIGITS} digits, as its other "
                f"folders are: leave it out by --labels '{folder}=skip'"
            )
    return Real([_darken_ink(crop) for crop in found.crops], folders)


def _darken_ink(crop: GreyImage) -> GreyImage:
    """Return a crop as dark ink on light paper; `strip` decides which of the two is the ink."""
    same = np.array_equal(strip(crop).picture, strip(crop, invert="yes").picture)
    return crop if same else np.asarray(255 - crop, np.uint8)


def assign_folds(count: int) -> NDArray[np.int64]:
    """Return the fold of each of `count` strings, 0 to 4, always the same: shape (count,)."""
    return np.random.default_rng(0).permutation(count) % FOLD_COUNT


def select_strings(real: Real, chosen: NDArray[np.bool_]) -> Real:
    """Return the strings where `chosen` (N,) is true, and the digits that are cut out of them."""
    places = np.flatnonzero(chosen).tolist()
    cut = [at for at, owner in enumerate(real.owners) if chosen[owner]]
    moved = (np.cumsum(chosen) - 1).tolist()
    return Real(
        [real.crops[n] for n in places],
        [real.digits[n] for n in places],
        [real.inks[n] for n in cut],
        [real.labels[n] for n in cut],
        [moved[real.owners[n]] for n in cut],
        [real.weights[n] for n in places] if real.weights else (),
    )


def join_strings(first: Real, second: Real | None) -> Real:
    """Return the strings of both, each taken as often as it says."""
    if second is None:
        return first
    count = len(first.crops)
    weights = [
        weight for one in (first, second) for weight in one.weights or [1.0] * len(one.crops)
    ]
    return Real(
        [*first.crops, *second.crops],
        [*first.digits, *second.digits],
        [*first.inks, *second.inks],
        [*first.labels, *second.labels],
        [*first.owners, *(count + owner for owner in second.owners)],
        weights,
    )
