"""How a page lies: upright, on its side, or upside down, by the print and the writing on it.

A small network looks at signs one by one and gives each of the four turns its probability; the
signs of a page vote. A letter o tells nothing, and has no vote; hundreds of other signs agree.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.layout.networks import SIGN_SIDE, fit_sign, run_network
from batchdigits.records import GreyImage

WEIGHTS = "turns.npz"
SEARCHED_SIDE = 2000
"""px: a page is reduced to this longest side."""
MOST = 150
"""Signs of a page that are looked at; evenly many of its top and its bottom."""
LEAST_PX, MOST_PX, LEAST_WIDTH_PX = 8, 90, 3
"""Least and greatest longer side, and least shorter side, of a sign."""
ASPECT, LEAST_FILL, MOST_FILL, LEAST_AREA = 3, 0.12, 0.85, 25
"""Greatest ratio of the sides of a sign, share of its box that is ink, and its ink, px."""
PAPER_PX, LEAST_DARKNESS, SHARE_OF_OTSU = 31, 25, 0.8
"""Ink is darker by so many grey levels than the paper within so many px, and by this share of the
level that Otsu's method finds."""
NO_VOTE = -3.0
"""Least logarithm of a probability that counts: one odd sign must not outvote a line of others."""
UPRIGHT = 3.0
"""Votes that upright has before any sign is seen, natural logarithm: twenty pages lie so for one
that lies otherwise."""
SURE_VOTES, SURE_SHARE = 5.0, 0.04
"""By how much the votes for a turn must exceed those for any other: natural logarithms, and for
each sign. Of 50 real pages at four turns, those with print or digits on them have 0.08 to 3 for
each sign; dots, tallies and the grain of paper up to 0.1, at most 4.5 in all."""

Votes = NDArray[np.float64]
"""(4,): sums of logarithms of probabilities: upright, and turned by 90, 180, 270 degrees
anticlockwise."""


class PageTurn(NamedTuple):
    """How a page lies.

    Attributes:
        quarters: by how many quarter turns, anticlockwise, it was turned from upright: 0 to 3.
        sure: whether the signs on it are enough to say so.
    """

    quarters: int
    sure: bool


def find_turn(grey: GreyImage, more: NDArray[np.uint8] | None = None) -> PageTurn:
    """Find by how many quarter turns a page lies from upright.

    Args:
        grey: uint8, (height, width), dark ink on light paper.
        more: signs that are known to be on it, as from `cut_signs`.
    """
    signs = cut_signs(find_ink(grey))
    votes, count = count_votes(signs if more is None else np.concatenate([signs, more]))
    votes[0] += UPRIGHT
    first, second = np.argsort(-votes)[:2].tolist()
    lead = float(votes[first] - votes[second])
    return PageTurn(first, lead >= max(SURE_VOTES, SURE_SHARE * count))


def lay_upright(grey: GreyImage, turn: PageTurn) -> GreyImage:
    """Turn a page so that it lies upright."""
    return np.ascontiguousarray(np.rot90(grey, -turn.quarters))


def turn_back(turn: PageTurn, size: tuple[int, int]) -> NDArray[np.float64]:
    """Return the matrix (3, 3) from px of the upright page to px of the page as it lies.

    Args:
        turn: how the page lies.
        size: width and height of the page as it lies, px.
    """
    right, low = size[0] - 1, size[1] - 1
    rows = (
        [[1, 0, 0], [0, 1, 0]],
        [[0, 1, 0], [-1, 0, low]],
        [[-1, 0, right], [0, -1, low]],
        [[0, -1, right], [1, 0, 0]],
    )[turn.quarters]
    return np.array([*rows, [0, 0, 1]], np.float64)


def find_ink(grey: GreyImage) -> NDArray[np.uint8]:
    """Find what is darker than the paper about it: 0 or 1, (height, width)."""
    scale = min(1.0, SEARCHED_SIDE / max(grey.shape))
    size = [max(1, round(side * scale)) for side in grey.shape[::-1]]
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA) if scale < 1 else grey
    soft = cv2.blur(small, (3, 3))
    near = np.ones((PAPER_PX, PAPER_PX), np.uint8)
    dark = cv2.subtract(cv2.morphologyEx(soft, cv2.MORPH_CLOSE, near), small)
    some = dark[dark > LEAST_DARKNESS // 2]
    level = cv2.threshold(some, 0, 255, cv2.THRESH_OTSU)[0] if len(some) else 255
    least = max(LEAST_DARKNESS, SHARE_OF_OTSU * level)
    return np.asarray((dark > least).view(np.uint8))


def cut_signs(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut out what may be letters and digits: (N, 20, 20), 0 to 255, N at most `MOST`.

    Args:
        ink: 0 or not, shape (height, width).
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    wide, high, area = stats[1:, 2], stats[1:, 3], stats[1:, 4]
    longer, shorter = np.maximum(wide, high), np.minimum(wide, high)
    fill = area / np.maximum(wide * high, 1)
    signs = (longer >= LEAST_PX) & (longer <= MOST_PX) & (shorter >= LEAST_WIDTH_PX)
    signs &= (longer <= ASPECT * shorter) & (area >= LEAST_AREA)
    signs &= (fill >= LEAST_FILL) & (fill <= MOST_FILL)
    found = 1 + np.flatnonzero(signs)
    if len(found) > MOST:
        found = found[np.linspace(0, len(found) - 1, MOST).round().astype(int)]
    out = np.zeros((len(found), SIGN_SIDE, SIGN_SIDE), np.uint8)
    for n, label in enumerate(found.tolist()):
        left, top, across, down = stats[label, :4].tolist()
        part = labels[top : top + down, left : left + across] == label
        out[n] = fit_sign(part.view(np.uint8) * 255)
    return out


def count_votes(signs: NDArray[np.uint8]) -> tuple[Votes, float]:
    """Count the votes of signs, (N, 20, 20), and how many of these are signs at all."""
    if not len(signs):
        return np.zeros(4), 0.0
    logits = np.zeros((len(signs), 5))
    for quarters in range(4):  # the network may have learned that one turn is likelier
        seen = run_network(WEIGHTS, np.ascontiguousarray(np.rot90(signs, quarters, (1, 2))))
        logits[:, :4] += np.roll(seen[:, :4], -quarters, axis=1) / 4
        logits[:, 4] += seen[:, 4] / 4
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    weights = 1 - chances[:, 4]
    turns = chances[:, :4] / np.maximum(chances[:, :4].sum(axis=1, keepdims=True), 1e-9)
    votes = weights[:, None] * np.log(np.maximum(turns, np.exp(NO_VOTE)))
    return votes.sum(axis=0), float(weights.sum())
