"""What the recipe `numbers` learns from: sets of digits, and strings in folders named by number."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import UsageError
from batchdigits.labelled import NO_DIGIT_LABEL, LabelledCrops, load_labelled_crops
from batchdigits.normalize.strips import strip
from batchdigits.records import GreyImage
from batchdigits.training.corpus import Corpus, gather
from batchdigits.training.default import ONE_IN, held_out
from batchdigits.training.material import Real
from batchdigits.training.strings import PenString

MIN_STRINGS = 100
"""Real strings that a training takes at least: a fold of them calibrates, and 20 are few."""
MAX_DIGITS = 20
"""Digits of a number, at most."""


class NumberData(NamedTuple):
    """What a number reader learns from.

    Attributes:
        learned: digits that strings are composed of.
        unseen: digits of the same sets that were held out.
        real: strings that are learned fold by fold; None for none.
        about: what the card says of all of it.
        written: strings as a pen wrote them.
        always: strings that are learned in every fold.
        held: strings that are never learned, and calibrate beside the folds.
    """

    learned: Corpus
    unseen: Corpus
    real: Real | None
    about: list[dict[str, Any]]
    written: Sequence[PenString] = ()
    always: Real | None = None
    held: Real | None = None


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
    return Real([darken_ink(crop) for crop in found.crops], folders)


def darken_ink(crop: GreyImage) -> GreyImage:
    """Return a crop as dark ink on light paper; `strip` decides which of the two is the ink."""
    same = np.array_equal(strip(crop).picture, strip(crop, invert="yes").picture)
    return crop if same else np.asarray(255 - crop, np.uint8)


def gather_number_data(
    sets: Mapping[str, LabelledCrops], real: Real | None, about: list[dict[str, Any]]
) -> NumberData:
    """Normalise digits and check that they, and the strings, are enough to learn from.

    Raises:
        UsageError: they are not.
    """
    if real is not None:
        legible = sum(not strip(crop).fault for crop in real.crops)
        if legible < MIN_STRINGS:
            raise UsageError(
                f"expected {MIN_STRINGS} strings or more in which something can be read, got "
                f"{legible}: add some, or give digits alone"
            )
    parted = {name: held_out(found) for name, found in sets.items()}
    learned = {name: part for name, (part, _) in parted.items()}
    unseen = {name: part for name, (_, part) in parted.items()}
    held = [part.labels for part in unseen.values()]
    if any(map(_has_all_digits, held)):  # else there may be nothing to gather
        found = NumberData(gather(learned), gather(unseen), real, about)
        corpora = (found.learned, found.unseen)
        if all(_has_whole_source(corpus) for corpus in corpora):
            return found
    shown = ", ".join(f"'{name}'" for name in sets)
    raise UsageError(
        f"{shown}: expected a set with {ONE_IN} or more of each of the ten digits, of which "
        "strings are composed: add one by another --data"
    )


def _has_whole_source(corpus: Corpus) -> bool:
    sources = range(int(corpus.sources.max()) + 1)
    return any(_has_all_digits(corpus.labels[corpus.sources == one]) for one in sources)


def _has_all_digits(labels: NDArray[np.int64]) -> bool:
    return set(range(10)) <= set(labels.tolist())
