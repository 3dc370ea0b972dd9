"""Ink of a strip that the number reader passed over: a digit, or a point between two digits."""

import cv2
import numpy as np

from batchdigits.predict.decoding import (
    COLUMN_STRIDE_PX,
    INK_HEIGHT_PX,
    NO_DIGIT,
    SEPARATOR_CHARACTERS,
    DecodedSign,
    DecodedStrip,
)
from batchdigits.records import GreyImage

UNREAD_LEVEL, MIN_UNREAD_HEIGHT, SIGN_REACH_PX = 36, 0.45, 6
"""Ink of this level and share of a digit's height that has no sign within so many px is not read.
Of 4,269 strings that no network had learned, 39 right ones were marked so, and 28 wrong ones."""
MIN_FILLED_RATIO = 0.1
"""A candidate with a digit where ink is not read is shown before the likeliest one if it is so
probable at least, compared with it. Of 42 strings with such ink 8 more are right so, 2 fewer."""

POINT_SIDES, MIN_POINT_PIXELS, MIN_POINT_ROW, POINT_REACH_PX = (2, 10), 4, 24, 8
"""Ink that is so many px high and wide, of so many pixels, in the lower part of the strip and alone
in its columns is a point between digits, unless a sign is seen within so many px. Of 2,352 strings
of hidden hands 20 have such points that no sign tells of; 18 of them are separators."""


def mark_unread_ink(picture: GreyImage, decoded: DecodedStrip) -> DecodedStrip:
    """Put `NO_DIGIT` into the likeliest reading where tall ink has no sign.

    A network may pass over a digit; the number would then be shorter than what is written.

    Args:
        picture: the strip, uint8, shape (height, width), ink light.
        decoded: how it was read.

    Returns:
        The reading with one more candidate before the others where there is such ink; after it
        comes the likeliest one that has a digit there, if it is likely enough.
    """
    ink = (picture >= UNREAD_LEVEL).view(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    tall = stats[1:][stats[1:, cv2.CC_STAT_HEIGHT] >= MIN_UNREAD_HEIGHT * INK_HEIGHT_PX]
    seen = np.array([sign.middle_px for sign in decoded.signs])
    unread = []
    for left, wide in tall[:, [cv2.CC_STAT_LEFT, cv2.CC_STAT_WIDTH]].tolist():
        if not ((seen >= left - SIGN_REACH_PX) & (seen < left + wide + SIGN_REACH_PX)).any():
            unread.append(DecodedSign(NO_DIGIT, (left + wide // 2) // COLUMN_STRIDE_PX))
    if not unread:
        return decoded
    signs = sorted([*decoded.signs, *unread], key=lambda sign: sign.column)
    text = "".join(sign.name for sign in signs if sign.name not in SEPARATOR_CHARACTERS)
    likeliest = decoded.candidates[0][1]
    filled = [
        one
        for one in decoded.candidates
        if one[1] >= MIN_FILLED_RATIO * likeliest and _fills_gaps(one[0], text)
    ][:1]
    rest = [one for one in decoded.candidates if one not in filled]
    return DecodedStrip([(text, likeliest), *filled, *rest], signs)


def _fills_gaps(candidate: str, text: str) -> bool:
    """Return whether a candidate is a text with a digit in place of each `NO_DIGIT`."""
    return len(candidate) == len(text) and all(
        one != NO_DIGIT and other in {one, NO_DIGIT}
        for one, other in zip(candidate, text, strict=True)
    )


def mark_unread_points(picture: GreyImage, decoded: DecodedStrip) -> DecodedStrip:
    """Add the separators between digits that the network has passed over because they are tiny.

    Args:
        picture: as for `mark_unread_ink`.
        decoded: how it was read.
    """
    places = [(sign.middle_px, sign.name) for sign in decoded.signs]
    digits = [place for place, name in places if name not in SEPARATOR_CHARACTERS]
    seen = [place for place, name in places if name in SEPARATOR_CHARACTERS]
    if len(digits) < 2:
        return decoded
    ink = (picture >= UNREAD_LEVEL).view(np.uint8)
    inked = ink.sum(axis=0)
    _, _, stats, centres = cv2.connectedComponentsWithStats(ink, connectivity=8)
    points = []
    for (left, _, wide, high, area), (x, y) in zip(stats[1:].tolist(), centres[1:], strict=True):
        small = all(POINT_SIDES[0] <= side <= POINT_SIDES[1] for side in (wide, high))
        alone = inked[left : left + wide].sum() == area
        unseen = all(abs(x - place) >= POINT_REACH_PX for place in seen)
        between = digits[0] < x < digits[-1] and y >= MIN_POINT_ROW
        if small and alone and unseen and between and area >= MIN_POINT_PIXELS:
            points.append(DecodedSign(SEPARATOR_CHARACTERS[0], int(x) // COLUMN_STRIDE_PX))
    signs = sorted([*decoded.signs, *points], key=lambda sign: sign.column)
    return decoded._replace(signs=signs)
