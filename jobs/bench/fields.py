"""How sure fields of several digits are: what several looks at each box bring, and their odds.

    python jobs/bench/fields.py DATA... [--model BUNDLE] [--sheet FILE] [--into-card]

DATA are folders with the sets of `jobs/train/sources.py`. Fields of N digits are composed, each of
one set that nothing was learned from. Told are, for the product of the confidences as single digits
have them, and for several looks (`Cascade.read_fields`): how many fields are `ok` by the card's
threshold, how many of these are wrong, and how many their confidences promise to be. All sets
weigh the same. The power and the factor of the odds, `field_power` and `field_odds`, are fitted on
the sets that the model is calibrated on; each of these is measured by those fitted without it. The
factor is then lowered until at most `MAX_WRONG_SHARE` of the fields of each length are wrong among
those that are `ok`: confidences that are right on the whole are not so at the threshold.
Digits whose label is plainly wrong, by eye, are left out; the figures with them are told beside.
`--sheet` draws the surest mistakes with the names by which `WRONG_LABELS` knows them. `--into-card`
writes power, factor and table into the bundle's card.
"""

import argparse
import hashlib
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).parent.parent / "train"))
import sources

from batchdigits import calibrate, labelled, predict
from batchdigits.calibrate import MAX_WRONG_SHARE
from batchdigits.labelled import LabelledCrops
from batchdigits.normalize import shares
from batchdigits.predict.cascade import MIN_REST
from batchdigits.training import bundle
from batchdigits.training.pen import draw_set

COUNTS = (1, 2, 3, 4, 6, 9)
"""Digits of a field."""
FITTED_COUNTS = (2, 3, 4, 6, 9)
"""Digits of the fields that the power and the factor of the odds are fitted on."""
POWERS = np.round(np.arange(0.8, 1.61, 0.05), 2).tolist()
FACTORS = np.round(np.arange(1.0, 3.01, 0.05), 2).tolist()
"""Powers and factors of the odds that are tried."""
TIMES, FITTED_TIMES = 40, 4
"""How many times each digit is in some field of each length, measured and fitted on."""
LEAST = 400
"""Sets with fewer legible digits are left out."""
SHEET_CONFIDENCE = 0.95
"""Mistakes of single digits that are surer than this are drawn."""
WRONG_LABELS = frozenset(
    [
        "6e236df02c",
        "037bb994d0",
        "cfd3a9b00e",
        "0420b9d3bb",
        "bcce51421f",
        "712389c52e",
        "ba5b786cf2",
        "0e7a10f0e4",
        "946c3b5d36",
        "2c5f59070c",
        "eab11e96d8",
        "b343f29cf5",
        "6447a7ffdd",
        "9c949fa9ab",
        "7d453e3031",
        "fb0322524c",
        "29a7902b35",
        "f2a59abea1",
        "1f5eb0c5e6",
        "7581b952b8",
    ]
)
"""Names of pictures whose label is plainly another digit than the one that is written: 20 of the 80
surest mistakes. Where anybody could see the label in the picture, the mistake counts."""


class Digits(NamedTuple):
    """The legible digits of a set.

    Attributes:
        once: confidence as a single digit, (M,).
        looks: confidence after several looks, by odds as they are, (M,).
        right_once: whether the reading is the label, (M,).
        right_looks: likewise, after several looks.
        plain: whether the label is not plainly wrong, (M,).
    """

    once: NDArray[np.float64]
    looks: NDArray[np.float64]
    right_once: NDArray[np.bool_]
    right_looks: NDArray[np.bool_]
    plain: NDArray[np.bool_]


class Odds(NamedTuple):
    """What becomes of the odds of a box's likeliest digit: a power of them, times a factor."""

    power: float = 1.0
    factor: float = 1.0


class Fields(NamedTuple):
    """Fields composed of a set's digits: the confidence of each, and whether it is right."""

    confidence: NDArray[np.float64]
    right: NDArray[np.bool_]


def main() -> None:
    """Print a table; keep it in the card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--model", help="a bundle; without it the package's own")
    parser.add_argument("--sheet", type=Path, help="picture of the surest mistakes")
    parser.add_argument("--into-card", action="store_true")
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    card = predict.load_card(given.model)
    assert card.careful is not None
    level = replace(card, careful=replace(card.careful, field_odds=1.0, field_power=1.0))
    cascade = predict.load_classifier(level, device="cpu")
    assert isinstance(cascade, predict.Cascade)
    read, mistakes = {}, []
    for name, crops in gather_sets(given.data).items():
        read[name] = read_digits(crops, cascade, card.temperature, mistakes)
        print(f"{name}: {len(read[name].once)} digits", flush=True)
    if given.sheet:
        draw_mistakes(given.sheet, mistakes)
    figures = measure(read, card.threshold)
    if given.into_card:
        write_card(card, figures)


def gather_sets(folders: list[Path]) -> dict[str, LabelledCrops]:
    """Gather the sets that nothing was learned from, and the MNIST test set."""
    found = {
        name: draw_set(one)
        for name, one in sources.sets(*folders, readers=sources.TEST_READERS).items()
    }
    for place in (folder / "mnist.npz" for folder in folders):
        if place.exists():
            found["MNIST test"] = sources.arrays(place, "test")
    return {n: f for n, f in found.items() if labelled.is_digit(f.labels).sum() >= LEAST}


def read_digits(
    crops: LabelledCrops,
    cascade: predict.Cascade,
    temperature: float,
    mistakes: list[tuple[float, str, NDArray[np.uint8]]],
) -> Digits:
    """Read the digits of a set once and with several looks; note the surest mistakes."""
    seen = bundle.crops_read(crops.crops, cascade.logits)
    labels = crops.labels[seen.legible]
    kept = labelled.is_digit(labels) & ~seen.doubtful
    once = calibrate.predict_digits(seen.logits[kept], temperature)
    pictures, labels = seen.pictures[kept], labels[kept]
    logits = [
        cascade.read_fields(shares(pictures[at : at + 4096]))
        for at in range(0, len(pictures), 4096)
    ]
    looks = calibrate.predict_digits(np.concatenate(logits), temperature)
    names = [name_picture(picture) for picture in pictures]
    for n in np.flatnonzero((looks.digit != labels) & (looks.confidence > SHEET_CONFIDENCE)):
        words = f"{labels[n]} read {looks.digit[n]} {names[n]}"
        mistakes.append((float(looks.confidence[n]), words, pictures[n, ..., 0]))
    both = ~once.other & ~looks.other
    plain = np.array([name not in WRONG_LABELS for name in names])
    return Digits(
        once.confidence[both],
        looks.likely.max(axis=1)[both],
        (once.digit == labels)[both],
        (looks.digit == labels)[both],
        plain[both],
    )


def name_picture(picture: NDArray[np.uint8]) -> str:
    """Return the name by which `WRONG_LABELS` knows a picture."""
    return hashlib.sha256(picture.tobytes()).hexdigest()[:10]


def compose_fields(
    confidence: NDArray[np.float64],
    right: NDArray[np.bool_],
    count: int,
    odds: Odds,
    times: int = TIMES,
) -> Fields:
    """Compose fields of `count` digits, at random, each digit `times` times."""
    random = np.random.default_rng(count)
    each = len(confidence) // count * count
    rows = np.concatenate(
        [random.permutation(len(confidence))[:each].reshape(-1, count) for _ in range(times)]
    )
    rest = np.maximum(1 - confidence, MIN_REST)
    raised = (confidence / rest) ** odds.power * odds.factor
    raised /= raised + 1
    return Fields(raised[rows].prod(axis=1), right[rows].all(axis=1))


def fit_odds(sets: list[Digits]) -> Odds:
    """Fit what becomes of the odds, so that what fields are, right or wrong, is most likely.

    Power and factor are fitted in turn: their loss has one minimum.
    """

    def compute_loss(odds: Odds) -> float:
        total = 0.0
        for digits in sets:
            looks, right = digits.looks[digits.plain], digits.right_looks[digits.plain]
            for count in FITTED_COUNTS:
                some = compose_fields(looks, right, count, odds, FITTED_TIMES)
                sure = np.clip(some.confidence, 1e-9, 1 - 1e-9)
                total -= float(np.where(some.right, np.log(sure), np.log(1 - sure)).mean())
        return total

    best, last = Odds(), None
    while best != last:
        last = best
        best = min((best._replace(factor=one) for one in FACTORS), key=compute_loss)
        best = min((best._replace(power=one) for one in POWERS), key=compute_loss)
    return best


def lower_factor(odds: Odds, sets: list[Digits], threshold: float) -> Odds:
    """Lower the factor of fitted odds until few enough fields of each length are wrong and `ok`."""
    for factor in [one for one in reversed(FACTORS) if one <= odds.factor]:
        lower = odds._replace(factor=factor)
        if all(share_wrong(lower, sets, count, threshold) <= MAX_WRONG_SHARE for count in COUNTS):
            return lower
    return odds._replace(factor=FACTORS[0])


def share_wrong(odds: Odds, sets: list[Digits], count: int, threshold: float) -> float:
    """Return how many of the `ok` fields of `count` digits are wrong; all sets weigh the same."""
    ok = wrong = 0.0
    for one in sets:
        looks, right = one.looks[one.plain], one.right_looks[one.plain]
        some = compose_fields(looks, right, count, odds, FITTED_TIMES)
        sure = some.confidence >= threshold
        ok, wrong = ok + float(sure.mean()), wrong + float((sure & ~some.right).mean())
    return wrong / ok if ok else 0.0


def measure(read: dict[str, Digits], threshold: float) -> dict[str, Any]:
    """Measure the sets by the threshold, and print the table."""
    fitting = [name for name in sources.CALIBRATES if name in read]
    odds = {}
    for name in [*fitting, ""]:
        sets = [read[one] for one in fitting if one != name]
        odds[name] = lower_factor(fit_odds(sets), sets, threshold)
    print("odds", odds)
    lines = []
    for count in COUNTS:
        for plain in (True, False):
            row: dict[str, Any] = {"digits": count, "wrong labels": "out" if plain else "in"}
            for how in ("once", "looks"):
                totals = np.zeros(3)
                for name, one in read.items():
                    kept = one.plain | (not plain)
                    raised = odds.get(name, odds[""]) if how == "looks" else Odds()
                    values, right = (getattr(one, part)[kept] for part in (how, f"right_{how}"))
                    some = compose_fields(values, right, count, raised)
                    ok = some.confidence >= threshold
                    totals += (
                        ok.mean(),
                        (ok & ~some.right).mean(),
                        (ok * (1 - some.confidence)).mean(),
                    )
                share, wrong, doubt = totals / len(read)
                row[how] = [round(share, 3), round(wrong / share, 5), round(doubt / share, 5)]
            lines.append(row)
            print(json.dumps(row), flush=True)
    return {
        "field_odds": odds[""].factor,
        "field_power": odds[""].power,
        "without one": odds,
        "fields": lines,
    }


def draw_mistakes(place: Path, mistakes: list[tuple[float, str, NDArray[np.uint8]]]) -> None:
    """Draw the surest mistakes, with label, reading and name."""
    tiles = []
    for confidence, words, picture in sorted(mistakes, key=lambda one: -one[0]):
        tile = np.full((118, 124), 255, np.uint8)
        tile[:84, :84] = 255 - cv2.resize(picture, (84, 84), interpolation=cv2.INTER_NEAREST)
        for line, text in enumerate((words[:9], words[9:], f"{confidence:.4f}")):
            cv2.putText(tile, text, (0, 95 + 11 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.36, 0, 1)
        tiles.append(tile)
    tiles += [np.full((118, 124), 255, np.uint8)] * (-len(tiles) % 12)
    rows = [np.hstack(tiles[at : at + 12]) for at in range(0, len(tiles), 12)]
    cv2.imwrite(str(place), np.vstack(rows))


def write_card(card: predict.Card, figures: dict[str, Any]) -> None:
    """Write power, factor and table into the card of a bundle."""
    fitted = {key: figures[key] for key in ("field_odds", "field_power")}
    careful = card.whole["careful"] | fitted
    told = card.whole.get("figures", {}) | {"fields": figures["fields"]}
    bundle.write(
        str(card.place), str(card.place), card.whole | {"careful": careful, "figures": told}
    )


if __name__ == "__main__":
    main()
