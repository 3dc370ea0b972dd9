"""Strips become candidate numbers, with the boxes of their digits."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits import calibrate
from batchdigits.extract.placement import StripPlacement, locate_in_page
from batchdigits.normalize.strips import HEIGHT
from batchdigits.predict import augmentation, decoding
from batchdigits.predict.decoding import NO_DIGIT, SEPARATOR_CHARACTERS, DecodedStrip
from batchdigits.records import GreyImage
from batchdigits.templates.field import Field

RULED_BEAM_FACTOR = 4
"""The beam is so many times as wide where a field's rule chooses among the candidates."""


class NumberDigit(NamedTuple):
    """One digit of a number, as `--digits-out` lists it; see `records.DigitRow`."""

    digit: str
    confidence: float
    runner_up: str
    runner_up_confidence: float
    place: tuple[int, int, int, int]


def read_numbers(
    logits: Callable[[Sequence[GreyImage]], Sequence[NDArray[np.float32]]],
    strips: Sequence[GreyImage],
    fields: Sequence[Field | None],
    temperature: float,
) -> list[DecodedStrip]:
    """Read strips and calibrate their candidates.

    Args:
        logits: computes the logits of strips, as `NumberReader.logits`.
        strips: uint8, each (height, width).
        fields: the field of each strip, with its rules; None for an image that is one number.
        temperature: of the number reader.
    """
    ruled = [field is not None and field.has_rule for field in fields]
    beams = [
        decoding.BEAM_WIDTH * RULED_BEAM_FACTOR if rule else decoding.BEAM_WIDTH for rule in ruled
    ]
    return [
        found._replace(candidates=calibrate.calibrate_candidates(found.candidates, temperature))
        for found in augmentation.read_strips(logits, strips, beams)
    ]


def list_number_digits(
    picture: GreyImage, number: StripPlacement, found: DecodedStrip
) -> list[NumberDigit]:
    """List the digits of a number, from left to right, with their boxes in the page."""
    best = "".join(sign.name for sign in found.signs if sign.name not in SEPARATOR_CHARACTERS)
    alike = [(text, share) for text, share in found.candidates if len(text) == len(best)]
    out = []
    boxes = decoding.find_sign_boxes(picture, found.signs)
    own = [
        box
        for sign, box in zip(found.signs, boxes, strict=True)
        if sign.name not in SEPARATOR_CHARACTERS
    ]
    for at, (name, box) in enumerate(zip(best, own, strict=True)):
        shares: dict[str, float] = {}
        for text, share in alike:
            if text[at] != NO_DIGIT:
                shares[text[at]] = shares.get(text[at], 0.0) + share
        if name == NO_DIGIT or name not in shares:
            continue
        second = max((one for one in shares if one != name), key=shares.__getitem__, default="")
        sure, runner_up = (
            calibrate.truncate_confidence(shares[name]),
            calibrate.truncate_confidence(shares.get(second, 0.0)),
        )
        out.append(NumberDigit(name, sure, second, runner_up, _map_box_to_page(box, number)))
    return out


def _map_box_to_page(
    box: tuple[int, int, int, int], number: StripPlacement
) -> tuple[int, int, int, int]:
    """Map a box from the strip to the page; slanted writing gets the box around all of it."""
    x, y, width, height = box
    leans = [number.slant * (HEIGHT / 2 - row) for row in (y, y + height)]
    wide = width + abs(leans[0] - leans[1])
    return locate_in_page((x + min(leans), y, wide, height), number)
