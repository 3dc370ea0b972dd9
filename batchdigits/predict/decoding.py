"""The number reader's logits become candidate numbers with probabilities (CTC decoding).

The network returns logits for every fourth column of a strip: ten digits, a separator, a flourish,
something that is not a digit, or nothing new ("blank"). The probability of a string is the sum over
all its alignments with the columns (Graves and others, "Connectionist temporal classification",
ICML 2006). A beam search over prefixes finds the likeliest strings. It counts separators and
flourishes as blank, because only the digits matter.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits.calibrate import compute_probabilities
from batchdigits.records import GreyImage

SEPARATOR_CHARACTERS = ".-"
"""The characters that stand for a separator and a flourish."""
NO_DIGIT = "x"
"""The character that stands for something that is not a digit."""
COLUMN_STRIDE_PX, INK_HEIGHT_PX = 4, 32
"""Columns of a strip per column of the network, and the height of the ink, px."""
BEAM_WIDTH = 10
"""Prefixes that the beam search keeps."""
MIN_SIGN_PROBABILITY = 1e-4
"""The beam search ignores signs that are less probable than this in a column."""
MIN_INK_LEVEL = 64
"""Level of a strip from which a pixel is ink."""
MIN_SEPARATOR_PROBABILITY = 0.1
"""Probability from which a separator or flourish is listed. At 0.3, 12 of 200 times were read
as numbers and `ok`; at 0.1 4 were, and no fewer strings of hidden hands were `ok`."""

_SEPARATOR_CLASS, _FLOURISH_CLASS, _OTHER_CLASS, _BLANK_CLASS = 10, 11, 12, 13
_MERGED_NAMES = f"0123456789{NO_DIGIT}"
_MERGED_BLANK_CLASS = 11  # blank among the merged classes

Probabilities = NDArray[np.float64]
PixelBox = tuple[int, int, int, int]


class DecodedSign(NamedTuple):
    """A sign of the likeliest reading, and the column of the network where it is clearest."""

    name: str
    column: int

    @property
    def middle_px(self) -> int:
        """The middle of its column in the strip, px."""
        return self.column * COLUMN_STRIDE_PX + COLUMN_STRIDE_PX // 2


class DecodedStrip(NamedTuple):
    """The candidates of a strip.

    Attributes:
        candidates: strings with their probabilities, the likeliest first; `NO_DIGIT` stands for
            something that is not a digit. The probabilities sum to 1 at most.
        signs: of the likeliest candidate, from left to right, with the separators and flourishes.
    """

    candidates: list[tuple[str, float]]
    signs: list[DecodedSign]

    @property
    def full_text(self) -> str:
        """Return the likeliest reading with its separators and flourishes."""
        return "".join(sign.name for sign in self.signs)


def decode_logits(logits: NDArray[np.float32], beam: int = BEAM_WIDTH) -> DecodedStrip:
    """Decode the logits of a strip.

    Args:
        logits: shape (T, 14), finite; one row per column of the network.
        beam: number of prefixes that the search keeps.
    """
    found = find_candidates(logits, beam)
    return DecodedStrip(found, find_signs(logits, found[0][0]))


def find_candidates(logits: NDArray[np.float32], beam: int = BEAM_WIDTH) -> list[tuple[str, float]]:
    """Return the candidates of a strip, as in `DecodedStrip`."""
    return _run_beam_search(_merge_into_blank(compute_probabilities(logits, 1.0)), beam)


def find_signs(logits: NDArray[np.float32], text: str) -> list[DecodedSign]:
    """Find the columns of a string's signs, with the separators and flourishes among them.

    Args:
        logits: as for `decode_logits`.
        text: a candidate.
    """
    shares = compute_probabilities(logits, 1.0)
    return _add_separator_signs(text, _align_text(_merge_into_blank(shares), text), shares)


def _merge_into_blank(shares: Probabilities) -> Probabilities:
    """Add the probabilities of separators and flourishes to blank; shape (T, 12)."""
    merged = np.empty((len(shares), 12))
    merged[:, :10], merged[:, 10] = shares[:, :10], shares[:, _OTHER_CLASS]
    merged[:, _MERGED_BLANK_CLASS] = (
        shares[:, _BLANK_CLASS] + shares[:, _SEPARATOR_CLASS] + shares[:, _FLOURISH_CLASS]
    )
    return merged


def _run_beam_search(merged: Probabilities, beam: int) -> list[tuple[str, float]]:
    """Find the likeliest strings by a beam search over prefixes.

    For each prefix the search keeps two probabilities: of the alignments that end in a blank, and
    of those that end in its last sign.
    """
    beams: dict[str, tuple[float, float]] = {"": (1.0, 0.0)}
    for row in merged.tolist():
        empty = row[_MERGED_BLANK_CLASS]
        signs = [
            (_MERGED_NAMES[c], share)
            for c, share in enumerate(row[:_MERGED_BLANK_CLASS])
            if share > MIN_SIGN_PROBABILITY
        ]
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


def _align_text(merged: Probabilities, text: str) -> list[int]:
    """Find the column where each sign is clearest, along the likeliest alignment (Viterbi)."""
    if not text:
        return []
    states = [_MERGED_BLANK_CLASS]
    for name in text:
        states += [_MERGED_NAMES.index(name), _MERGED_BLANK_CLASS]
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


def _add_separator_signs(text: str, columns: list[int], shares: Probabilities) -> list[DecodedSign]:
    """Insert the separators and flourishes that are seen among the signs of a string."""
    out = [DecodedSign(name, column) for name, column in zip(text, columns, strict=True)]
    for number, name in enumerate(SEPARATOR_CHARACTERS):
        there = shares[:, _SEPARATOR_CLASS + number] > MIN_SEPARATOR_PROBABILITY
        edges = np.flatnonzero(np.diff(np.concatenate([[0], there.astype(np.int8), [0]])))
        for start, end in edges.reshape(-1, 2).tolist():
            column = start + int(shares[start:end, _SEPARATOR_CLASS + number].argmax())
            if column not in columns:
                out.append(DecodedSign(name, column))
    return sorted(out, key=lambda sign: sign.column)


def find_sign_boxes(picture: GreyImage, signs: Sequence[DecodedSign]) -> list[PixelBox]:
    """Find the box around the ink of each sign.

    Neighbouring signs are split at the column with the least ink between them.

    Args:
        picture: the strip, uint8, shape (height, width), ink light.
        signs: from left to right.

    Returns:
        For each sign x, y, width, height, px of the strip.
    """
    if not signs:
        return []
    mass = picture.sum(axis=0, dtype=np.int64)
    at = [min(sign.middle_px, picture.shape[1] - 1) for sign in signs]
    cuts = [a + int(mass[a : b + 1].argmin()) for a, b in pairwise(at)]
    return [
        _find_ink_box(picture, start, end)
        for start, end in zip([0, *cuts], [*cuts, picture.shape[1]], strict=True)
    ]


def _find_ink_box(picture: GreyImage, start: int, end: int) -> PixelBox:
    """Find the box around the ink between two columns; without ink, all between them."""
    ink = picture[:, start:end] >= MIN_INK_LEVEL
    x, y = np.flatnonzero(ink.any(axis=0)), np.flatnonzero(ink.any(axis=1))
    if not len(x):
        return start, 0, max(1, end - start), picture.shape[0]
    return start + int(x[0]), int(y[0]), int(np.ptp(x)) + 1, int(np.ptp(y)) + 1
