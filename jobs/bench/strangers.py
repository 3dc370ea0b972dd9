"""How well the default recipe reads sources that it never saw, and what is no digit.

    python jobs/bench/strangers.py runs/ DATA... [--model BUNDLE] [--signs FOLDER] [--into-card]

`runs/` is what `jobs/train/leave_one_out.py` leaves: each source read by a network that did not
learn from it. DATA are folders with the sets of `jobs/train/sources.py`, for the bundle itself:
what it held out of each, the MNIST test set, letters of fonts it never saw, and strangers drawn
anew. `--signs` is a folder of scanned pages with boxed punctuation (HASCII). Temperature and
default threshold are the bundle's. Told are, of digits: how many are right and how many `ok`, wrong
values among those, errors observed and promised by band of confidence (a star where observed is
neither within half and twice nor within the 95% interval of it), and the errors left when a person
looks at the least confident 5%. Of what is no digit: how many are not `ok` at the default
threshold, and at the one that keeps 99% of the digits that the bundle held out. `--into-card`
writes all of it into the bundle's card.
"""

import argparse
import os
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.stats import poisson

sys.path.append(str(Path(__file__).parent.parent / "train"))
import leave_one_out
import sources
from figures import note

from batchdigits import labelled
from batchdigits.labelled import NO_DIGIT_LABEL, LabelledCrops

BANDS = (0, 0.9, 0.99, 0.999, 1)
EACH = 300
"""Strangers drawn of each kind."""


class Read(NamedTuple):
    """How a set was read: logits (M, 11) of the legible, labels (N,), which are legible (N,)."""

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    legible: NDArray[np.bool_]


def main() -> None:
    """Print a table, and keep it in the card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--model", help="a bundle; without it the package's own")
    parser.add_argument("--signs", type=Path, help="folder of pages with boxed punctuation")
    parser.add_argument("--into-card", action="store_true")
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from batchdigits import predict
    from batchdigits.training import bundle

    card = predict.load_card(given.model)
    classifier = predict.load_classifier(card, device="cpu")
    every = left_out(given.runs)
    for name, found in by_bundle(given.data, given.signs).items():
        logits, legible = bundle.crops_read(found.crops, classifier.logits)
        every[name] = Read(logits, found.labels, legible)
    held = [read for name, read in every.items() if name.endswith("held out by the bundle")]
    level = keeping(0.99, held, card.temperature)
    print(
        f"model {card.name}: temperature {card.temperature}, threshold {card.threshold}; ", end=""
    )
    print(f"{level} keeps 99% of the digits it held out")
    figures = [figured(name, read, card, level) for name, read in every.items()]
    print(HEAD, *map(line, figures), sep="\n")
    if given.into_card:
        note(given.model, "reading", figures)


def left_out(runs: Path) -> dict[str, Read]:
    """Gather what each run read of the sources that it left out."""
    out = {}
    for run, names in leave_one_out.RUNS.items():
        place = runs / f"{run}.npz"
        if place.exists():
            found = np.load(place)
            for name in names:
                parts = (found[f"{name}/{part}"] for part in Read._fields)
                out[f"{name}, with {', '.join(names)} left out"] = Read(*parts)
    return out


def by_bundle(folders: list[Path], signs: Path | None) -> dict[str, LabelledCrops]:
    """Gather what the bundle did not learn from."""
    from batchdigits.training import default

    held = {name: default.held_out(found)[1] for name, found in sources.sets(*folders).items()}
    out = {f"{name}, held out by the bundle": found for name, found in held.items()}
    for name, file, reader, part in (
        ("MNIST test", "mnist.npz", sources.arrays, "test"),
        ("digits of unseen fonts", "fonts.npz", sources.arrays, "test"),
        ("letters, signs of unseen fonts", "fonts.npz", sources.letters, "test"),
        ("letters like digits, / and |", "fonts.npz", alike, ""),
    ):
        for place in (folder / file for folder in folders):
            if place.exists():
                out[name] = reader(place, part)
    out |= strangers(held["mnist"])
    if signs is not None:
        found = punctuation(signs)
        alone = strokes(found.crops)
        out["scanned punctuation"] = found.select(np.flatnonzero(~alone))
        out["scanned strokes like a 1"] = found.select(np.flatnonzero(alone))
    return out


def alike(place: Path, _: str) -> LabelledCrops:
    """Read the letters and strokes that look like digits."""
    with np.load(place) as found:
        crops = found["x_alike"]
    return LabelledCrops(crops, np.full(len(crops), NO_DIGIT_LABEL), [""] * len(crops))


def strokes(crops: list[NDArray[np.uint8]]) -> NDArray[np.bool_]:
    """Tell which crops hold nothing but an upright stroke, which no one could tell from a 1."""
    from batchdigits.normalize import grey_levels
    from batchdigits.training.corpus import could_be_one

    return could_be_one(grey_levels(crops).pictures[..., 0])


def strangers(digits: LabelledCrops) -> dict[str, LabelledCrops]:
    """Draw strangers of each kind, by a seed that no training has; the digits serve for pieces.

    As in training, what is nothing but an upright stroke is left out.
    """
    from batchdigits.training import strangers
    from batchdigits.training.alter import other_pen, scanned
    from batchdigits.training.corpus import cropped

    random, out = np.random.default_rng(2 << 40), {}
    inks = cropped(list(digits.crops))
    for kind in dict.fromkeys(strangers._KINDS):
        pairs = random.integers(len(inks), size=(2 * EACH, 2)).tolist()
        drawn = [
            scanned(other_pen(kind(random, [inks[one], inks[two]]), random), random)
            for one, two in pairs
        ]
        crops = [drawn[n] for n in np.flatnonzero(~strokes(drawn))[:EACH]]
        name = f"drawn: {kind.__name__.strip('_').replace('_', ' ')}"
        out[name] = LabelledCrops(crops, np.full(len(crops), NO_DIGIT_LABEL), [name] * len(crops))
    return out


def punctuation(folder: Path) -> LabelledCrops:
    """Cut the boxes out of the pages: white areas of 150 to 230 px within a dark grid."""
    crops = []
    for place in sorted(p for p in folder.iterdir() if p.suffix.lower() in {".jpeg", ".jpg"}):
        page = cv2.imread(str(place), cv2.IMREAD_GRAYSCALE)
        paper = (page > 110).astype(np.uint8)
        _, _, areas, _ = cv2.connectedComponentsWithStats(paper, connectivity=4)
        for x, y, width, height, area in areas[1:].tolist():
            if 150 < width < 230 and 150 < height < 230 and area > 20_000:
                crops.append(page[y : y + height, x : x + width])
    return LabelledCrops(crops, np.full(len(crops), NO_DIGIT_LABEL), [""] * len(crops))


def keeping(share: float, reads: list[Read], temperature: float) -> float:
    """Find the highest threshold that so many of the digits are `ok` at."""
    from batchdigits.calibrate import predict_digits

    sure = []
    for read in reads:
        seen, known = predict_digits(read.logits, temperature), read.labels[read.legible]
        digit = labelled.is_digit(known)
        missed = (labelled.is_digit(read.labels) & ~read.legible).sum()
        sure += [np.where(seen.other, 0, seen.confidence)[digit], np.zeros(missed)]
    down = -np.sort(-np.concatenate(sure))
    return float(down[int(np.ceil(share * len(down))) - 1])


def figured(name: str, read: Read, card: Any, level: float) -> dict[str, Any]:
    """Measure one set: what `HEAD` names."""
    from batchdigits.calibrate import predict_digits

    seen, known = predict_digits(read.logits, card.temperature), read.labels[read.legible]
    sure = np.where(seen.other, 0, seen.confidence)
    none = ~labelled.is_digit(read.labels)
    digit = labelled.is_digit(known)
    out: dict[str, Any] = {"set": name}
    if none.any():
        count = int(none.sum())
        out["not digits"] = count
        for words, threshold in (("not ok", card.threshold), ("not ok, keeping 99%", level)):
            out[words] = round(1 - float((sure[~digit] >= threshold).sum()) / count, 4)
    if digit.any():
        right, confidence, sure = (seen.digit == known)[digit], seen.confidence[digit], sure[digit]
        count, ok = int((~none).sum()), sure >= card.threshold
        unsure = max(count * 5 // 100 - (count - len(right)), 0)  # the illegible are looked at
        left = int((~right[np.argsort(sure, kind="stable")][unsure:]).sum())
        out |= {
            "digits": count,
            "right": round(float(right.sum()) / count, 5),
            "ok": round(float(ok.sum()) / count, 4),
            "wrong among ok": int((ok & ~right).sum()),
            "bands": [
                [int((~right[band]).sum()), round(float((1 - confidence[band]).sum()), 1)]
                for low, high in pairwise(BANDS)
                for band in [(confidence >= low) & (confidence < high)]
            ],
            "errors after 5% to review": left,
        }
    return out


HEAD = (
    f"{'set':40}{'digits':>7}{'right':>9}{'ok':>8}{'wrong ok':>9}"
    f"{'wrong/promised <.9':>20}{'.9-.99':>12}{'.99-.999':>12}{'>.999':>12}{'left at 5%':>14}"
)


def line(one: dict[str, Any]) -> str:
    """Write the figures of one set."""
    out = f"{one['set']:40}"
    if "digits" in one:
        bands = [f"{wrong}/{promised}{star(wrong, promised)}" for wrong, promised in one["bands"]]
        left = one["errors after 5% to review"]
        out += (
            f"{one['digits']:7}{one['right']:9.2%}{one['ok']:8.2%}{one['wrong among ok']:9}"
            f"{bands[0]:>20}{bands[1]:>12}{bands[2]:>12}{bands[3]:>12}"
            f"{left:6} {left / one['digits']:7.3%}"
        )
    if "not digits" in one:
        ok, keeping = one["not ok"], one["not ok, keeping 99%"]
        out += f"  {one['not digits']} not digits: {ok:.2%} not ok, {keeping:.2%} keeping 99%"
    return out


def star(wrong: int, promised: float) -> str:
    """Mark what is neither within half and twice of what was promised, nor by chance."""
    low, high = poisson.interval(0.95, promised) if promised else (0, 0)
    return "" if promised / 2 <= wrong <= 2 * promised or low <= wrong <= high else "*"


if __name__ == "__main__":
    main()
