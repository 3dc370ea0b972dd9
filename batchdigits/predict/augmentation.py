"""Doubtful strips are read again, distorted, and the readings averaged: test-time augmentation.

Where a network is unsure, its mistakes change with small changes of the picture; right readings do
not. Only strips that the first reading leaves in doubt are read again.
"""

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.predict.decoding import (
    DecodedStrip,
    decode_logits,
    find_candidates,
    find_signs,
)
from batchdigits.predict.unread import mark_unread_ink, mark_unread_points
from batchdigits.records import GreyImage

MIN_SURE_PROBABILITY = 0.995
"""From this probability of the likeliest string on, one reading is enough. Of 3,386 strings that no
network had learned, 10 of those from 0.95 on were wrong; with 0.9 instead, 16 were."""
LOOK_DISTORTIONS: tuple[dict[str, float], ...] = ({"lean": 0.15}, {"lean": -0.15})
"""Arguments of `distort_strip` for each further reading."""

Logits = NDArray[np.float32]


def read_strips(
    logits: Callable[[Sequence[GreyImage]], Sequence[Logits]],
    strips: Sequence[GreyImage],
    beams: Sequence[int],
) -> list[DecodedStrip]:
    """Read strips, doubtful ones several times.

    Args:
        logits: computes the logits of strips, as `NumberReader.logits`.
        strips: uint8, each (height, width), ink light on dark.
        beams: the beam width for each strip; see `decode_logits`.
    """
    first = list(logits(strips))
    out = [decode_logits(one, beam) for one, beam in zip(first, beams, strict=True)]
    again = [at for at, one in enumerate(out) if one.candidates[0][1] < MIN_SURE_PROBABILITY]
    for_each = [distort_strip(strips[at], **look) for at in again for look in LOOK_DISTORTIONS]
    others = iter(logits(for_each)) if for_each else iter(())
    for at in again:
        further = [find_candidates(next(others), beams[at]) for _ in LOOK_DISTORTIONS]
        out[at] = _average_candidates(out[at], further, first[at])
    return [
        mark_unread_points(strip, mark_unread_ink(strip, one))
        for strip, one in zip(strips, out, strict=True)
    ]


def distort_strip(
    strip: GreyImage,
    *,
    lean: float = 0.0,
    wider: float = 1.0,
    taller: float = 1.0,
    right: float = 0.0,
) -> GreyImage:
    """Distort a strip about its middle.

    Args:
        strip: uint8, shape (height, width).
        lean: columns to the right for each row upwards.
        wider: factor of the width.
        taller: factor of the height.
        right: shift to the right, columns.
    """
    x, y = (strip.shape[1] - 1) / 2, (strip.shape[0] - 1) / 2
    back: Any = np.array(
        [
            [1 / wider, lean / wider, x - (x + lean * y + right) / wider],
            [0, 1 / taller, y - y / taller],
        ]
    )
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    return np.asarray(cv2.warpAffine(strip, back, strip.shape[::-1], flags=flags), np.uint8)


def _average_candidates(
    first: DecodedStrip, further: Sequence[list[tuple[str, float]]], logits: Logits
) -> DecodedStrip:
    """Average the candidates of all readings; the first reading's logits place the signs."""
    shares: dict[str, float] = {}
    for look in (first.candidates, *further):
        for text, share in look:
            shares[text] = shares.get(text, 0.0) + share / (1 + len(further))
    found = sorted(shares.items(), key=lambda one: (-one[1], one[0]))
    best = found[0][0]
    same = best == first.candidates[0][0]
    return DecodedStrip(found, first.signs if same else find_signs(logits, best))
