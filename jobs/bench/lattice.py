"""The other way to read a number: cut it up in too many ways, and let the digit classifier choose.

A strip is set upright, cut wherever little ink stands in a column, and every few pieces in a row
are one digit by assumption. `normalize` and the shipped classifier say how likely each digit is,
and how likely no digit at all; the best way through the pieces is the reading. This is what
`number.keras` is measured against; no run uses it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from batchdigits import calibrate, predict
from batchdigits.normalize import grey_levels, shares

INK = 32
"""Height of the ink in a strip, px."""
LEAST, WIDEST, PIECES = 3, 1.45, 6
"""Columns of a piece at least; of a digit at most, as a share of the height and in pieces."""
LOW = 0.45
"""What is not so high, as a share of the ink, is no digit but a point or a stroke."""


class Edge(NamedTuple):
    """A piece, or several, from one cut to a later one, and what stands there."""

    start: int
    end: int
    crop: np.ndarray


def cuts(strip: np.ndarray) -> list[int]:
    """Find the columns where a strip may be cut: in gaps, and where a column has little ink."""
    mass = strip.sum(axis=0, dtype=np.int64) / 255
    inked = np.flatnonzero(mass > 0.3)
    if not len(inked):
        return []
    first, last = int(inked[0]), int(inked[-1]) + 1
    smooth = cv2.GaussianBlur(mass[None].astype(np.float32), (5, 1), 0)[0]
    out = [first]
    for x in range(first + 1, last):
        near = smooth[max(first, x - 3) : x + 4]
        if smooth[x] == near.min() and smooth[x] < 0.35 * INK and x - out[-1] >= LEAST:
            out.append(x)
    return [*out, last] if last - out[-1] >= LEAST else [*out[:-1], last]


def edges(strip: np.ndarray) -> tuple[list[int], list[Edge]]:
    """List all that may be one digit, or one mark between digits."""
    at = cuts(strip)
    found = []
    for first in range(len(at) - 1):
        for last in range(first + 1, min(first + PIECES, len(at) - 1) + 1):
            if at[last] - at[first] > WIDEST * INK and last > first + 1:
                break
            crop = strip[:, at[first] : at[last]]
            found.append(Edge(first, last, np.pad(crop, ((4, 4), (6, 6)))))
    return at, found


def read(strips: Sequence[np.ndarray], classifier: predict.Classifier, temperature: float):
    """Read strips; give of each the likeliest number, and its probability as far as it goes."""
    laid = [edges(one) if one.shape[1] else ([], []) for one in strips]
    crops = [edge.crop for _, some in laid for edge in some]
    seen = grey_levels(crops, invert="no")
    likely = calibrate.compute_probabilities(classifier.logits(shares(seen.pictures)), temperature)
    blank = np.array([not _whole(crop, one) for crop, one in zip(crops, seen.extent, strict=True)])
    out, start = [], 0
    for at, some in laid:
        part = slice(start, start + len(some))
        out.append(_way(at, some, likely[part], blank[part]))
        start += len(some)
    return out


def _whole(crop: np.ndarray, extent: np.ndarray) -> bool:
    """Tell whether `normalize` took all of a crop's ink for the digit."""
    ink = crop > 90
    own = [np.ptp(np.flatnonzero(ink.any(axis=axis))) + 1 if ink.any() else 0 for axis in (1, 0)]
    kept = extent * crop.shape
    return bool(kept.max() > 0 and kept[1] > 0.88 * own[1] and kept[0] > 0.88 * own[0])


def _way(at: list[int], some: Sequence[Edge], likely: np.ndarray, blank: np.ndarray):
    """Find the best way through the pieces of a strip: its digits, and how likely they are."""
    best = [(-np.inf, "", 0.0)] * len(at)
    if not at:
        return "", 0.0
    best[0] = (0.0, "", 0.0)
    for edge, row, empty in zip(some, likely, blank, strict=True):
        score, text, surely = best[edge.start]
        rows = np.flatnonzero((edge.crop > 90).any(axis=1))
        high = (np.ptp(rows) + 1) / INK if len(rows) else 0.0
        digit = int(row[:10].argmax())
        here = float(np.log(max(row[digit], 1e-6)))
        ways = []
        if not empty and high >= LOW:
            ways.append((score + here, text + str(digit), surely + here))
        if high < LOW:
            ways.append((score, text, surely))
        for way in ways:
            if way[0] > best[edge.end][0]:
                best[edge.end] = way
    _, text, surely = best[-1]
    return text, float(np.exp(surely)) if text else 0.0
