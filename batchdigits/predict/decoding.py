"""What the reader of numbers sees in each column becomes candidate numbers with probabilities.

The network gives odds for every fourth column of a strip: ten digits, a separator, a flourish,
something that is no digit, or nothing new ("blank"). The probability of a string is the sum over
all ways to lay it along the columns (Graves and others, "Connectionist temporal classification",
ICML 2006); the likeliest are found by a search over their beginnings. Separators and flourishes
count as blank there: what counts are the digits.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits.records import Grey

SIGNS = ".-"
"""What a separator and a flourish are written as."""
NO_DIGIT = "x"
"""What something that is no digit is written as."""
STRIDE, INK = 4, 32
"""Columns of a strip for each of the network's, and the height of the ink, px."""
BEAM = 10
"""Beginnings that are followed at a time."""
LEAST = 1e-4
"""A sign less probable than this in a column is not followed there."""
INKED = 64
"""Level of a strip from which there is ink."""
SEEN = 0.3
"""Probability from which a separator or flourish is told of."""

_SEPARATOR, _FLOURISH, _OTHER, _BLANK = 10, 11, 12, 13
_NAMES = f"0123456789{NO_DIGIT}"
_EMPTY = 11  # blank among the merged classes

Shares = NDArray[np.float64]
Box = tuple[int, int, int, int]


class Sign(NamedTuple):
    """A sign of the likeliest reading, and the column of the network it is seen in."""

    name: str
    column: int


class Decoded(NamedTuple):
    """What a strip may say.

    Attributes:
        candidates: strings, the likeliest first, with their probabilities; `NO_DIGIT` stands for
            something that is no digit. They sum to 1 at most.
        signs: of the likeliest, from left to right, with the separators and flourishes seen.
    """

    candidates: list[tuple[str, float]]
    signs: list[Sign]

    @property
    def seen(self) -> str:
        """Give the likeliest reading with its separators and flourishes."""
        return "".join(sign.name for sign in self.signs)


def decoded(logits: NDArray[np.float32], beam: int = BEAM) -> Decoded:
    """Read a strip.

    Args:
        logits: shape (T, 14), finite; classes as above.
        beam: how many beginnings are followed.
    """
    found = candidates(logits, beam)
    return Decoded(found, signs_of(logits, found[0][0]))


def candidates(logits: NDArray[np.float32], beam: int = BEAM) -> list[tuple[str, float]]:
    """Give what a strip may say, as in `Decoded`, and not where."""
    return _searched(_merged(_shares(logits)), beam)


def signs_of(logits: NDArray[np.float32], text: str) -> list[Sign]:
    """Find where the signs of a string stand, with the separators and flourishes among them.

    Args:
        logits: as for `decoded`.
        text: a candidate.
    """
    shares = _shares(logits)
    return _signs(text, _aligned(_merged(shares), text), shares)


def _shares(logits: NDArray[np.float32]) -> Shares:
    levels = logits.astype(np.float64)
    powers = np.exp(levels - levels.max(axis=1, keepdims=True))
    shares: Shares = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _merged(shares: Shares) -> Shares:
    """Count separators and flourishes as blank."""
    merged = np.empty((len(shares), 12))
    merged[:, :10], merged[:, 10] = shares[:, :10], shares[:, _OTHER]
    merged[:, _EMPTY] = shares[:, _BLANK] + shares[:, _SEPARATOR] + shares[:, _FLOURISH]
    return merged


def _searched(merged: Shares, beam: int) -> list[tuple[str, float]]:
    """Find the likeliest strings by their beginnings.

    Of each the share that ends in a blank, and that which ends in its last sign, are kept apart.
    """
    beams: dict[str, tuple[float, float]] = {"": (1.0, 0.0)}
    for row in merged.tolist():
        empty = row[_EMPTY]
        signs = [(_NAMES[c], share) for c, share in enumerate(row[:_EMPTY]) if share > LEAST]
        grown: dict[str, tuple[float, float]] = {}
        by_name = dict(signs)
        for text, (ends, goes_on) in beams.items():
            both = ends + goes_on
            old = grown.get(text, (0.0, 0.0))
            last = text[-1:]
            stays = goes_on * by_name.get(last, 0.0)
            grown[text] = (old[0] + both * empty, old[1] + stays)
            for name, share in signs:
                longer = text + name
                before = grown.get(longer, (0.0, 0.0))
                grown[longer] = (before[0], before[1] + share * (ends if name == last else both))
        if len(grown) > beam:
            grown = dict(sorted(grown.items(), key=lambda one: -sum(one[1]))[:beam])
        beams = grown
    whole = [(text, ends + goes_on) for text, (ends, goes_on) in beams.items()]
    return sorted(whole, key=lambda one: (-one[1], one[0]))


def _aligned(merged: Shares, text: str) -> list[int]:
    """Find in which column each sign of a string is seen clearest, along the likeliest way."""
    if not text:
        return []
    states = [_EMPTY]
    for name in text:
        states += [_NAMES.index(name), _EMPTY]
    classes = np.array(states)
    levels = np.log(np.maximum(merged[:, classes], 1e-12))
    may_skip = np.zeros(len(states), bool)
    may_skip[3::2] = classes[3::2] != classes[1:-2:2]
    best = np.full(len(states), -math.inf)
    best[:2] = levels[0, :2]
    steps = np.zeros(levels.shape, np.int8)
    for at in range(1, len(levels)):
        ways = np.full((3, len(states)), -math.inf)
        ways[0], ways[1, 1:] = best, best[:-1]
        ways[2, 2:] = np.where(may_skip[2:], best[:-2], -math.inf)
        steps[at] = ways.argmax(axis=0)
        best = ways.max(axis=0) + levels[at]
    state = len(states) - 1 - int(best[-2] > best[-1])
    columns: dict[int, int] = {}
    for at in range(len(levels) - 1, -1, -1):
        sign = state // 2
        if state % 2 and (sign not in columns or levels[at, state] > levels[columns[sign], state]):
            columns[sign] = at
        state -= int(steps[at, state])
    return [columns[sign] for sign in range(len(text))]


def _signs(text: str, columns: list[int], shares: Shares) -> list[Sign]:
    """Put the separators and flourishes that are seen among the signs of a string."""
    out = [Sign(name, column) for name, column in zip(text, columns, strict=True)]
    for number, name in enumerate(SIGNS):
        there = shares[:, _SEPARATOR + number] > SEEN
        edges = np.flatnonzero(np.diff(np.concatenate([[0], there.astype(np.int8), [0]])))
        for start, end in edges.reshape(-1, 2).tolist():
            column = start + int(shares[start:end, _SEPARATOR + number].argmax())
            if column not in columns:
                out.append(Sign(name, column))
    return sorted(out, key=lambda sign: sign.column)


def boxes(picture: Grey, signs: Sequence[Sign]) -> list[Box]:
    """Find the box round the ink of each sign.

    Neighbours are parted at the column with the least ink between those they are seen in.

    Args:
        picture: the strip, uint8, shape (height, width), ink light.
        signs: from left to right.

    Returns:
        Of each sign x, y, width, height, px of the strip.
    """
    if not signs:
        return []
    mass = picture.sum(axis=0, dtype=np.int64)
    at = [min(sign.column * STRIDE + STRIDE // 2, picture.shape[1] - 1) for sign in signs]
    cuts = [a + int(mass[a : b + 1].argmin()) for a, b in pairwise(at)]
    return [
        _inked(picture, start, end)
        for start, end in zip([0, *cuts], [*cuts, picture.shape[1]], strict=True)
    ]


def _inked(picture: Grey, start: int, end: int) -> Box:
    """Find the box round the ink between two columns; of no ink their own."""
    ink = picture[:, start:end] >= INKED
    x, y = np.flatnonzero(ink.any(axis=0)), np.flatnonzero(ink.any(axis=1))
    if not len(x):
        return start, 0, max(1, end - start), picture.shape[0]
    return start + int(x[0]), int(y[0]), int(np.ptp(x)) + 1, int(np.ptp(y)) + 1
