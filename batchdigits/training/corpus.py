"""What the network is shown: labelled sets, altered anew for every epoch, and normalised."""

import signal
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import UsageError
from batchdigits.labelled import EMPTY_LABEL, NO_DIGIT_LABEL, is_digit
from batchdigits.normalize import WORKING_SIDE, grey_levels, light_inked
from batchdigits.normalize.account import has_more_ink
from batchdigits.options import count_processors
from batchdigits.records import GreyImage
from batchdigits.training.alter import Ink, again, alter, inked, written_otherwise
from batchdigits.training.pen import LabelledSet, PenCrops, Random, add_curl
from batchdigits.training.strangers import draw_stranger

UNALTERED, AGAIN = 0.25, 0.45
"""Shares of the crops that an epoch shows as they are, and written once more by the same hand; the
rest are altered up to hard to read."""
FINISH, AS_THEY_ARE = 0.25, 0.6
"""In the last epochs, this share of all or more, so many crops are shown as they are: what is only
altered is never learned to the last digit."""
NEIGHBOURED = 0.25
"""Share of the altered digits that a neighbour of the same source reaches into."""
OTHERWISE = 0.1
"""Share of the altered digits 0, 1 and 7 that get the stroke some countries give them."""
CURLED = 0.25
"""Share of the altered 2s of a pen that begin with a curl."""
STRANGERS = 0.2
"""Share of an epoch that is not a digit: half drawn by chance, half as far as the sets have any."""
MOST_OFTEN = 3.0
"""How often a small source is shown in an epoch, at most."""
SHOWN = 2
"""How often what an epoch is made of is shown: making it takes longer than learning from it."""
MAKERS = 4
"""Processes that make epochs, at most: each holds the corpus."""
SHARD = 2000
"""Digits that one process alters at a time."""
THIN, TALL = 8, 12
"""A stranger under so many pixels wide and over so many tall could be a 1, and is left out."""

_CHOICE, _ORDER = 1 << 21, 1 << 20
"""Keep the chance of an epoch's choice and order apart from each other's and from the shards',
which are counted from 0. (NumPy takes the seed (1, 2) for the same as (1, 2, 0).)"""

Pictures = NDArray[np.uint8]
Labels = NDArray[np.int64]
Targets = NDArray[np.float32]
Answer = Callable[[Pictures, Labels], Targets]
"""Gives for pictures, (M, 28, 28), of known labels, (M,), the probability of each class, (M, 11),
that the network shall learn to give."""


class Corpus(NamedTuple):
    """Labelled sets, ready to be altered.

    Attributes:
        inks: N pictures of any size, uint8, ink light on no paper, cropped to the ink; or strokes.
        plain: uint8, shape (N, 28, 28): the same as `run` would show them to the network.
        labels: shape (N,), 0 to 9, or `labelled.NO_DIGIT_LABEL`.
        sources: shape (N,), which set each comes from, counted from 0; never falling.
    """

    inks: list[Ink]
    plain: Pictures
    labels: Labels
    sources: NDArray[np.int64]


def gather(sets: Mapping[str, LabelledSet]) -> Corpus:
    """Normalise labelled sets.

    What has no ink is left out, and what is no digit and not whole in its picture. Ink in a crop
    labelled empty, a piece of a box say, is no digit.

    Raises:
        UsageError: no crop has ink.
    """
    inks: list[Ink] = []
    plain, labels, sources = [], [], []
    for number, found in enumerate(sets.values()):
        for start in range(0, len(found.crops), SHARD):
            crops = list(found.crops[start : start + SHARD])
            seen = grey_levels(crops, invert="auto")
            given = found.labels[start : start + SHARD]
            inked = seen.extent.max(1) > 0
            partly = ~is_digit(given) & has_more_ink(
                seen.unused
            )  # what is left may well be a digit
            some = np.flatnonzero(inked & ~partly)
            if isinstance(found, PenCrops):
                inks += [found.strokes[start + n] for n in some.tolist()]
            else:
                inks += cropped([crops[n] for n in some.tolist()])
            plain.append(seen.pictures[some, ..., 0])
            labels.append(given[some])
            sources.append(np.full(len(some), number))
    if not inks:
        shown = ", ".join(f"'{name}'" for name in sets)
        raise UsageError(f"{shown}: expected crops with ink, found none")
    known = np.concatenate(labels)
    known[known == EMPTY_LABEL] = NO_DIGIT_LABEL
    return Corpus(inks, np.concatenate(plain), known, np.concatenate(sources))


def cropped(crops: Sequence[GreyImage]) -> list[GreyImage]:
    """Bring crops of either polarity to ink light on no paper, cut to the ink.

    Which is ink is decided as `normalize` does it. What is larger than it works on is reduced.
    """
    light = light_inked(crops)
    pairs = zip(crops, light, strict=True)
    return [_cropped(crop if bright else 255 - crop) for crop, bright in pairs]


def _cropped(crop: GreyImage) -> GreyImage:
    ink = inked(crop)
    y, x = np.nonzero(ink > 40)
    if len(y):
        ink = ink[y.min() : y.max() + 1, x.min() : x.max() + 1]
    share = WORKING_SIDE / max(ink.shape)
    if share >= 1:
        return np.ascontiguousarray(ink)
    height, width = (max(1, round(side * share)) for side in ink.shape)
    return np.asarray(cv2.resize(ink, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def epoch_size(corpus: Corpus) -> int:
    """Tell how many pictures an epoch holds."""
    often = _often(corpus)
    return sum(int(len(rows) * times) for rows, times in often) + _drawn(often)


Often = list[tuple[NDArray[np.int64], float]]


def _often(corpus: Corpus) -> Often:
    """Say which rows belong together, and how often an epoch shows them: small sources more."""
    digits = [
        np.flatnonzero((corpus.sources == source) & (corpus.labels != NO_DIGIT_LABEL))
        for source in range(int(corpus.sources.max()) + 1)
    ]
    largest = max(len(rows) for rows in digits)
    often = [
        (rows, float(np.clip(0.5 * np.sqrt(largest / len(rows)), 1, MOST_OFTEN)))
        for rows in digits
        if len(rows)
    ]
    none = np.flatnonzero(corpus.labels == NO_DIGIT_LABEL)
    if len(none):
        total = sum(len(rows) * times for rows, times in often)
        often.append((none, min(1.0, STRANGERS / 2 / (1 - STRANGERS) * total / len(none))))
    return often


def _drawn(often: Often) -> int:
    """Say how many strangers an epoch draws by chance."""
    total = sum(len(rows) * times for rows, times in often)
    return int(STRANGERS / 2 / (1 - STRANGERS) * total)


def epochs(
    corpus: Corpus, answer: Answer, *, first: int, count: int, seed: int
) -> Generator[tuple[Pictures, Targets]]:
    """Give the epochs from `first` to `count`, made while those before are used.

    Yields:
        Pictures, uint8, shape (M, 28, 28), and what `answer` gives for them, shuffled anew; `SHOWN`
        epochs after each other hold the same. An epoch is the same whether or not those before it
        were made in the same run.
    """
    if first >= count:
        return
    pool = ProcessPoolExecutor(
        min(MAKERS, count_processors()),
        get_context("forkserver"),
        initializer=_set_corpus,
        initargs=(corpus,),
    )

    def start(making: int) -> tuple[Labels, list[Future[Pictures]]]:
        rows = _rows(corpus, np.random.default_rng((seed, making, _CHOICE)))
        shards = [rows[at : at + SHARD] for at in range(0, len(rows), SHARD)]
        early = (making + 1) * SHOWN <= (1 - FINISH) * count
        unaltered = UNALTERED if early else AS_THEY_ARE
        return np.where(rows < 0, NO_DIGIT_LABEL, corpus.labels[rows]), [
            pool.submit(_shard, shard, (seed, making, at), unaltered)
            for at, shard in enumerate(shards)
        ]

    try:
        waiting = start(first // SHOWN)
        for making in range(first // SHOWN, -(-count // SHOWN)):
            labels, shards = waiting
            pictures = np.concatenate([future.result() for future in shards])
            if (making + 1) * SHOWN < count:
                waiting = start(making + 1)
            del shards  # which hold the pictures a second time
            targets = answer(pictures, labels)
            for epoch in range(max(first, making * SHOWN), min(count, (making + 1) * SHOWN)):
                mixed = np.random.default_rng((seed, epoch, _ORDER)).permutation(len(labels))
                yield pictures[mixed], targets[mixed]
    finally:  # who leaves early does not wait for the epoch that is being made
        pool.shutdown(cancel_futures=True)


def _rows(corpus: Corpus, random: Random) -> NDArray[np.int64]:
    """Choose the rows of an epoch; -1 stands for a stranger to be drawn."""
    chosen = []
    often = _often(corpus)
    for rows, times in often:
        whole = int(times)
        rest = random.permutation(rows)[: int(len(rows) * times) - whole * len(rows)]
        chosen += [rows] * whole + [rest]
    return np.concatenate([*chosen, np.full(_drawn(often), -1)])


_corpus: list[Corpus] = []


def _set_corpus(corpus: Corpus) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the command's to act on
    cv2.setNumThreads(1)
    _corpus[:] = [corpus]


def _shard(rows: NDArray[np.int64], seed: tuple[int, ...], unaltered: float) -> Pictures:
    """Alter a share of some rows of the process's corpus, and normalise them: (M, 28, 28)."""
    corpus, random = _corpus[0], np.random.default_rng(seed)
    out = np.where(rows[:, None, None] < 0, 0, corpus.plain[rows]).astype(np.uint8)
    altered = np.flatnonzero((rows < 0) | (random.random(len(rows)) > unaltered))
    crops = [_altered(corpus, int(row), random) for row in rows[altered]]
    seen = grey_levels(crops, invert="no")
    other = could_be_one(seen.pictures[..., 0]) | has_more_ink(seen.unused) | seen.unclear
    kept = (seen.extent.max(1) > 0) & ~((rows[altered] < 0) & other)
    out[altered[kept]] = seen.pictures[kept, ..., 0]
    for lost in altered[~kept & (rows[altered] < 0)]:
        out[lost] = _surely_a_stranger(corpus, random)
    return out


def _altered(corpus: Corpus, row: int, random: Random) -> GreyImage:
    if row < 0:
        return draw_stranger(random, lambda label: _choose_digit(corpus, label, random))
    ink, label = corpus.inks[row], int(corpus.labels[row])
    if isinstance(ink, tuple) and label == 2 and random.random() < CURLED:
        ink = add_curl(ink, random)
    if random.random() < AGAIN / (1 - UNALTERED):
        return again(ink, random)
    if not isinstance(ink, tuple) and label in {0, 1, 7} and random.random() < OTHERWISE:
        ink = written_otherwise(ink, label, random)
    neighbour = None
    if label != NO_DIGIT_LABEL and random.random() < NEIGHBOURED:
        source = corpus.sources[row]
        start, end = np.searchsorted(corpus.sources, [source, source + 1])
        neighbour = corpus.inks[start + random.integers(end - start)]
    return alter(ink, random, neighbour)


def _choose_digit(corpus: Corpus, label: int | None, random: Random) -> Ink:
    """Choose a digit of a label; of any for None, and where there is none of that label."""
    rows = np.flatnonzero(corpus.labels == label) if label is not None else np.zeros(0, np.int64)
    if not len(rows):
        rows = np.flatnonzero(corpus.labels != NO_DIGIT_LABEL)
    return corpus.inks[int(rows[random.integers(len(rows))])]


def _surely_a_stranger(corpus: Corpus, random: Random) -> Pictures:
    """Draw strangers until one has ink that is all in the picture, and could not be a 1."""
    while True:
        seen = grey_levels([_altered(corpus, -1, random)], invert="no")
        shown = seen.pictures[..., 0]
        if shown.any() and not (could_be_one(shown) | has_more_ink(seen.unused) | seen.unclear)[0]:
            return np.asarray(shown[0], np.uint8)


def could_be_one(pictures: Pictures) -> NDArray[np.bool_]:
    """Tell which pictures, uint8, shape (M, 28, 28), hold nothing but an upright stroke: (M,)."""
    ink = pictures > 64
    wide, tall = (np.any(ink, axis=axis).sum(axis=1) for axis in (1, 2))
    found: NDArray[np.bool_] = (wide < THIN) & (tall > TALL)
    return found
