"""Fillers: marks that people put into the boxes before a number, such as X X 5 in three boxes."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from batchdigits.extract.chunk_builder import DigitSpot
from batchdigits.extract.marks import CROSS, DASH, STAR
from batchdigits.predict.findings import DigitPrediction
from batchdigits.templates.field import FILLERS, Field

LIKELIHOOD_RATIOS = {CROSS: 110.0, DASH: 1000.0, STAR: 60.0}
"""How many times likelier the shape is on the mark than on a digit. Of 4,550 digits of four sources
0.75%, 0.05% and 0.7% have the shapes of an X, a dash and an asterisk; of 249 X 84% have theirs, of
151 dashes 95%, and of 150 asterisks 53%."""
MIN_FILLER, MIN_UNLISTED_FILLER = 0.5, 0.9
"""Least probability from which a mark is taken for a filler, and for one that a template does not
list."""
MAX_DOUBTED_DIGIT = 0.5
"""What is left of a clear filler is a digit only if it is surer than this: numbers are written to
the right."""

LEFT_OF_FILLER_RATIO = 20.0
"""How many times likelier, with a clear filler right behind it, a mark is one too than a digit that
looks like one: hardly anybody writes X behind the digits."""


class FoundFillers(NamedTuple):
    """The fillers of a field.

    Attributes:
        boxes: the probability of each filler, by the index of its box.
        fault: why they send the field to review; empty for no reason.
    """

    boxes: Mapping[int, float]
    fault: str = ""

    @property
    def confidence(self) -> float:
        """Return the probability that all of them are fillers."""
        return math.prod(self.boxes.values())


def find_fillers(
    field: Field, filled: Sequence[tuple[DigitSpot, DigitPrediction | None]]
) -> FoundFillers:
    """Find the fillers before the digits of a field.

    Behind digits a mark is none: a number would become a tenth of itself by a 4 that looks like an
    X. Marks that the template does not list are found only where they are clear, and digits or
    further marks follow. What is hardly a digit before a clear mark is one too.

    Args:
        field: its template lists the marks.
        filled: its boxes, from left to right, with their predictions.
    """
    boxes: dict[int, float] = {}
    faults = []
    inked = [n for n, (spot, _) in enumerate(filled) if spot.status != "blank"]
    doubted = _count_doubted(field, [filled[n] for n in inked])
    for at, n in enumerate(inked):
        spot, read = filled[n]
        if spot.status is not None or read is None:
            break
        listed = spot.mark != "" and spot.mark in field.filler
        probability = _compute_probability(spot.mark, read)
        if probability >= (MIN_FILLER if listed else MIN_UNLISTED_FILLER):
            if not listed:
                faults.append(
                    f"box {n + 1}: {FILLERS[spot.mark]}, as in an empty box: filler lists none"
                )
        elif (field.filler and read.other) or at < doubted:
            listed_marks = " or ".join(FILLERS[one] for one in field.filler or CROSS)
            faults.append(f"box {n + 1}: neither a digit nor clearly {listed_marks}")
        else:
            break
        boxes[n] = probability
    if not field.filler and len(inked) == 1:
        return FoundFillers({})
    return FoundFillers(_support_by_next(boxes), faults[0] if faults else "")


def _support_by_next(boxes: Mapping[int, float]) -> dict[int, float]:
    """Raise the probability of each filler that is right before a clear one."""
    out = dict(boxes)
    for one, following in pairwise(sorted(boxes)):
        if boxes[following] >= MIN_UNLISTED_FILLER:
            digit = (1 - boxes[one]) / LEFT_OF_FILLER_RATIO
            out[one] = boxes[one] / (boxes[one] + digit) if boxes[one] else 0.0
    return out


def _count_doubted(field: Field, inked: Sequence[tuple[DigitSpot, DigitPrediction | None]]) -> int:
    """Count the boxes before a clear mark, of those that hold ink, in which no digit is sure."""
    count = 0
    for n, (spot, read) in enumerate(inked):
        if spot.status is not None or read is None:
            break
        listed = spot.mark != "" and spot.mark in field.filler
        if _compute_probability(spot.mark, read) >= MIN_UNLISTED_FILLER:
            count = n
        elif not listed and read.confidence >= MAX_DOUBTED_DIGIT:
            break
    return count


def _compute_probability(mark: str, read: DigitPrediction) -> float:
    """Return the probability that a mark is what it looks like, by Bayes' rule; 0 for no mark."""
    ratio = LIKELIHOOD_RATIOS.get(mark, 0.0)
    digit = min(1.0, math.fsum(read.likely))
    other = 1 - digit
    return other * ratio / (other * ratio + digit) if other * ratio else 0.0
