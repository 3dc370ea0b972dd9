"""A trained number reader is measured on strings that it has not seen, and calibrated."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits import calibrate, predict
from batchdigits.normalize.strips import VERSION, strip
from batchdigits.postprocess import numbers
from batchdigits.predict import augmentation
from batchdigits.predict.decoding import BEAM_WIDTH, DecodedStrip
from batchdigits.records import GreyImage

THRESHOLD = 0.97
"""Default confidence from which a number is `ok`: of 2,400 strings of hidden writers and books that
are so sure, 8 are wrong, and 10 of 2,640 from 0.95 on. It is not fitted when a bundle is made: of
real strings' labels one in fifty is wrong itself, and those are the surest mistakes."""

Card = dict[str, Any]


class Judged(NamedTuple):
    """How N strings were read: entry n of each belongs to string n.

    Attributes:
        values: the digits, as text.
        confidence: float64, shape (N,), as written; 0 where the number is for review anyhow.
        right: bool, shape (N,).
    """

    values: list[str]
    confidence: NDArray[np.float64]
    right: NDArray[np.bool_]


def read(
    model: Any, crops: Sequence[GreyImage], device: str = "cpu:0"
) -> list[DecodedStrip | None]:
    """Read crops of numbers, as `run` does; None where there is nothing to read.

    Args:
        model: a network as from `numbers.fit`.
        crops: uint8, each (height, width).
        device: as Keras names it.
    """
    strips = [strip(crop) for crop in crops]
    some = [one.picture for one in strips if not one.fault]
    found = augmentation.read_strips(
        predict.NumberReader(model, device).logits, some, [BEAM_WIDTH] * len(some)
    )
    each = iter(found)
    return [None if one.fault else next(each) for one in strips]


def judged(
    found: Sequence[DecodedStrip | None], truth: Sequence[str], temperature: float
) -> Judged:
    """Judge readings as `run` does, without a field's rules."""
    values, sure = [], np.zeros(len(found))
    for at, one in enumerate(found):
        value = ""
        if one is not None:
            likely = one._replace(
                candidates=calibrate.calibrate_candidates(one.candidates, temperature)
            )
            said = numbers.judge_number(None, likely, 0.0)
            value = said.value
            sure[at] = said.confidence or 0.0 if said.status == "ok" else 0.0
        values.append(value)
    right = np.array([a == b for a, b in zip(values, truth, strict=True)], bool)
    return Judged(values, sure, right)


def calibrated(parts: Sequence[tuple[Sequence[DecodedStrip | None], Sequence[str]]]) -> Card:
    """Fit the temperature on strings that were held out, part by part.

    Args:
        parts: of each part its readings, by a network that had not seen it, and the truth.

    Returns:
        What a card says of the number reader, but for its training. What it says was measured
        crosswise: each part by the temperature of the others.
    """
    judgements = []
    for n, (found, truth) in enumerate(parts):
        others = [pair for at, pair in enumerate(parts) if at != n] or [parts[n]]
        judgements.append(judged(found, truth, temperature(others)))
    sure = np.concatenate([one.confidence for one in judgements])
    right = np.concatenate([one.right for one in judgements])
    readings = calibrate.group_by_confidence(sure[sure > 0], right[sure > 0])
    ok = sure >= THRESHOLD
    least = np.argsort(-sure, kind="stable")[: round(0.9 * len(sure))]
    return {
        "preprocessing": VERSION,
        "calibration": {
            "temperature": round(temperature(parts), 4),
            "fitted on": f"{len(sure)} strings, each read by a network that had not seen it",
            "readings": [list(one) for one in readings],
        },
        "threshold": THRESHOLD,
        "measured": {
            "strings": len(sure),
            "right": round(float(right.mean()), 4),
            "for review": round(float(1 - ok.mean()), 4),
            "wrong among ok": int((ok & ~right).sum()),
            "wrong among the surest 90%": round(float(1 - right[least].mean()), 4),
        },
    }


def temperature(parts: Sequence[tuple[Sequence[DecodedStrip | None], Sequence[str]]]) -> float:
    """Fit the temperature on all strings of some parts."""
    pairs = [pair for found, truth in parts for pair in zip(found, truth, strict=True)]
    read_ = [(one.candidates, right) for one, right in pairs if one is not None]
    return calibrate.fit_string_temperature(
        [one for one, _ in read_], [right for _, right in read_]
    )
