"""The ink of a page → signs, words that these make, and words that stand below each other."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from batchdigits.layout.frames import Frames
from batchdigits.layout.grids import roots
from batchdigits.layout.networks import fit_sign
from batchdigits.layout.pen import Mask, Pen

LOWEST_PX, LOWEST, HIGHEST = 12, 0.008, 0.2
"""Least height of a sign: px, and as a share of the page's longer side; and the greatest, as a
share of its height."""
FLAT, LEAST_FILL = 3.0, 0.06
"""Greatest width of a sign, times its height; and the least share of its box that is ink."""
ON_LINE, BESIDE_PX = 0.7, 9
"""Share of a sign on an upright line from which on it is a piece of that; and by how many px such a
line is broadened, which may be bent."""
MOST_SIGNS = 4000
"""A page with more signs is not searched: it is print, or a picture."""
LEVEL, APART, UNLIKE = 0.5, 1.0, 2.2
"""Signs of a word share so much of the lower one's height, are so near, as a share of a height, and
are so many times as high as each other at most."""
LONGEST = 10
"""Signs of a word that may be a number."""
PITCH, OVER, ALIKE = 3.0, 0.3, 1.8
"""Words below each other: how far apart at most, times their height; what share of the narrower
one's width they have in common; and how many times as high as each other at most."""


class Signs(NamedTuple):
    """What may be letters and digits.

    Attributes:
        frames: of each sign.
        labels: of the page's pixels, the number of their piece of ink.
        pieces: of each sign, that number.
    """

    frames: Frames
    labels: NDArray[np.int32]
    pieces: NDArray[np.int64]

    def draw(self, number: int) -> Mask:
        """Draw a sign as the networks see it."""
        left, top, right, bottom = self.frames[number].astype(int).tolist()
        part = self.labels[top:bottom, left:right] == self.pieces[number]
        return fit_sign(part.view(np.uint8) * 255)


class Word(NamedTuple):
    """Signs beside each other.

    Attributes:
        signs: their numbers, from left to right.
        frame: left, top, right, bottom, px.
        height: usual height of its signs, px.
    """

    signs: tuple[int, ...]
    frame: NDArray[np.float64]
    height: float

    @property
    def middle(self) -> float:
        """Give its middle's height in the page, px."""
        return float(self.frame[1] + self.frame[3]) / 2


def find_signs(pen: Pen) -> Signs:
    """Find the pieces of ink that may be letters and digits; none where there are too many."""
    high, wide = pen.ink.shape
    whole = cv2.morphologyEx(pen.ink, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(whole, connectivity=8)
    across, down, area = stats[:, 2], stats[:, 3], stats[:, 4]
    least = max(LOWEST_PX, LOWEST * max(high, wide))
    kept = (down >= least) & (down <= HIGHEST * high) & (across <= FLAT * down)
    kept &= area >= LEAST_FILL * across * down
    kept[0] = False
    beside = cv2.dilate(pen.upright, np.ones((1, BESIDE_PX), np.uint8))
    on_line = np.bincount(labels[beside > 0], minlength=len(stats))
    kept &= on_line < ON_LINE * area
    pieces = np.flatnonzero(kept)
    if len(pieces) > MOST_SIGNS:
        pieces = pieces[:0]
    frames = stats[pieces, :4].astype(np.float64)
    frames[:, 2:] += frames[:, :2]
    return Signs(frames, labels, pieces)


def find_words(signs: Signs, upright: Mask) -> list[Word]:
    """Find the signs that stand beside each other, as long as they may be numbers.

    Args:
        signs: of the page.
        upright: ruled lines, which part words.
    """
    frames = signs.frames
    if not len(frames):
        return []
    return [
        make_word(frames, members)
        for members in _group_connected(len(frames), _find_neighbours(frames, upright))
        if len(members) <= LONGEST
    ]


def make_word(frames: Frames, members: Iterable[int]) -> Word:
    """Make a word of signs."""
    order = sorted(members, key=lambda n: float(frames[n, 0]))
    own = frames[order]
    frame = np.concatenate([own[:, :2].min(axis=0), own[:, 2:].max(axis=0)])
    return Word(tuple(order), frame, float(np.median(own[:, 3] - own[:, 1])))


def _find_neighbours(frames: Frames, upright: Mask) -> list[tuple[int, int]]:
    """Find pairs of signs of which the second goes on with the first, and no line is between."""
    high = frames[:, 3] - frames[:, 1]
    middle = (frames[:, 1] + frames[:, 3]) / 2
    starts = cKDTree(np.column_stack([frames[:, 0], middle]))
    near = starts.query_ball_point(np.column_stack([frames[:, 2], middle]), 1.7 * high)
    one = np.repeat(np.arange(len(frames)), [len(some) for some in near])
    two = np.array([n for some in near for n in some], int)
    common = np.minimum(frames[one, 3], frames[two, 3]) - np.maximum(frames[one, 1], frames[two, 1])
    low, tall = np.minimum(high[one], high[two]), np.maximum(high[one], high[two])
    gap = frames[two, 0] - frames[one, 2]
    pairs = (common >= LEVEL * low) & (tall <= UNLIKE * low) & (frames[two, 0] > frames[one, 0])
    pairs &= (gap <= APART * tall) & (gap >= -LEVEL * low)
    found = zip(one[pairs].tolist(), two[pairs].tolist(), strict=True)
    return [(a, b) for a, b in found if not _is_parted(frames[a], frames[b], upright)]


def _is_parted(one: NDArray[np.float64], other: NDArray[np.float64], upright: Mask) -> bool:
    """Return whether an upright line goes between two signs."""
    middle = int((max(one[1], other[1]) + min(one[3], other[3])) / 2)
    ends = (one[0] + one[2]) / 2, (other[0] + other[2]) / 2
    return bool(upright[middle, int(ends[0]) : int(ends[1])].any())


def find_columns(words: list[Word]) -> list[list[Word]]:
    """Find the words that stand below each other: two or more, from the top down."""
    if not words:
        return []
    frames = np.array([word.frame for word in words])
    high = np.array([word.height for word in words])
    middle = (frames[:, 1] + frames[:, 3]) / 2
    down = middle[None] - middle[:, None]
    low, tall = np.minimum(high[:, None], high), np.maximum(high[:, None], high)
    common = np.minimum(frames[:, None, 2], frames[:, 2])
    common -= np.maximum(frames[:, None, 0], frames[:, 0])
    wide = frames[:, 2] - frames[:, 0]
    pairs = (down > LEVEL * low) & (down <= PITCH * tall) & (tall <= ALIKE * low)
    pairs &= common >= OVER * np.minimum(wide[:, None], wide)
    found = _group_connected(len(words), [(int(one), int(two)) for one, two in np.argwhere(pairs)])
    return [
        sorted((words[n] for n in members), key=lambda word: word.middle)
        for members in found
        if len(members) > 1
    ]


def _group_connected(count: int, pairs: list[tuple[int, int]]) -> list[list[int]]:
    found = defaultdict(list)
    for n, root in enumerate(roots(count, pairs)):
        found[root].append(n)
    return list(found.values())
