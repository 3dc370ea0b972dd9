"""What a reader of numbers learns from: single digits, strings of pens, and real strings."""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage
from batchdigits.training.corpus import Corpus
from batchdigits.training.strings import PenString

FOLD_COUNT = 5
"""Parts that real strings are divided into: each is read by a network that has not seen it."""


class Real(NamedTuple):
    """Real strings, and single digits cut out of them.

    Attributes:
        crops: as scanned, uint8 each, dark ink on light paper.
        digits: in each, as text.
        inks: of single digits, uint8 each, ink light on no paper; strings are composed of them.
        labels: of these, 0 to 9.
        owners: of these, which string each is cut from, counted from 0.
        weights: how often each string is taken, relative to the others; none where all are alike.
    """

    crops: Sequence[GreyImage]
    digits: Sequence[str]
    inks: Sequence[GreyImage] = ()
    labels: Sequence[int] = ()
    owners: Sequence[int] = ()
    weights: Sequence[float] = ()


class Material(NamedTuple):
    """What a reader learns from.

    Attributes:
        digits: single digits that strings are composed of.
        written: strings as a pen wrote them, drawn among the composed ones.
        real: strings as scanned; their labels tell of digits alone. None for none.
    """

    digits: Corpus
    written: Sequence[PenString] = ()
    real: Real | None = None


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


def compute_mark(material: Material, weights: Sequence[NDArray[np.float32]], plan: str) -> int:
    """Sum up in 32 bits what a training learns from, so that it goes on with the same alone.

    Args:
        material: what it learns from.
        weights: of the network that it starts from; none where it starts from chance.
        plan: how it learns.
    """
    corpus, real = material.digits, material.real
    held = [corpus.plain, corpus.labels, corpus.sources, *weights]
    held += [stroke for string in material.written for stroke in string.strokes]
    mark = zlib.crc32(plan.encode())
    if real is not None:
        held += [*real.crops, *real.inks]
        mark = zlib.crc32(" ".join(real.digits).encode(), mark)
    for one in held:
        mark = zlib.crc32(np.ascontiguousarray(one).tobytes(), mark)
    return mark
