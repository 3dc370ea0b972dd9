"""A strip in doubt is looked at more than once: what it is read as each time is averaged.

Mistakes of a network on the edge of what it knows change with small changes of the picture, what
is right does not. Only what the first look leaves in doubt is looked at again.
"""

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.predict.decoding import DecodedStrip, decode_logits, find_candidates, find_signs
from batchdigits.records import GreyImage

MIN_SURE_PROBABILITY = 0.9
"""Probability of the likeliest string from which one look is enough."""
LOOK_DISTORTIONS: tuple[dict[str, float], ...] = ({"lean": 0.15}, {"lean": -0.15})
"""How the picture is altered for each further look; as `distort_strip` takes it."""

Logits = NDArray[np.float32]


def read_strips(
    logits: Callable[[Sequence[GreyImage]], Sequence[Logits]],
    strips: Sequence[GreyImage],
    beams: Sequence[int],
) -> list[DecodedStrip]:
    """Read strips.

    Args:
        logits: gives those of strips, as `classify.NumberReader.logits`.
        strips: uint8, each (height, width), ink light on dark.
        beams: how many beginnings are followed for each; see `decode_logits`.
    """
    first = list(logits(strips))
    out = [decode_logits(one, beam) for one, beam in zip(first, beams, strict=True)]
    again = [at for at, one in enumerate(out) if one.candidates[0][1] < MIN_SURE_PROBABILITY]
    for_each = [distort_strip(strips[at], **look) for at in again for look in LOOK_DISTORTIONS]
    others = iter(logits(for_each)) if for_each else iter(())
    for at in again:
        further = [find_candidates(next(others), beams[at]) for _ in LOOK_DISTORTIONS]
        out[at] = _average_candidates(out[at], further, first[at])
    return out


def distort_strip(
    strip: GreyImage,
    *,
    lean: float = 0.0,
    wider: float = 1.0,
    taller: float = 1.0,
    right: float = 0.0,
) -> GreyImage:
    """Alter a strip about its middle.

    Args:
        strip: uint8, shape (height, width).
        lean: columns to the right for each row upwards.
        wider: stretches it across.
        taller: stretches it upright.
        right: columns that it moves to the right.
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
    """Average what the looks give; where the signs stand is told by the first."""
    shares: dict[str, float] = {}
    for look in (first.candidates, *further):
        for text, share in look:
            shares[text] = shares.get(text, 0.0) + share / (1 + len(further))
    found = sorted(shares.items(), key=lambda one: (-one[1], one[0]))
    best = found[0][0]
    same = best == first.candidates[0][0]
    return DecodedStrip(found, first.signs if same else find_signs(logits, best))
