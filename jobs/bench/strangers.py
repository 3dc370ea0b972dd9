"""How the shipped model reads sources and hands that it never saw, and what is no digit.

    python jobs/bench/strangers.py DATA... [--model BUNDLE] [--left-out GROUP] [--signs FOLDER]
        [--sheet FILE] [--into-card]

DATA are folders with the sets of `jobs/train/sources.py`. For each set that nothing was learned
from, temperatures and threshold are fitted without it: on what the bundle held out, as it is and
degraded, and on the other such sets. Told are, of digits: how many are right and how many `ok`,
wrong values among those with the lower 95% bound of their share, what the careful network reads,
and errors observed and promised by band of confidence (a star where observed is neither within half
and twice nor within the 95% interval of it). Of what is no digit: how many are `ok`. `--left-out`
measures a bundle of `jobs/train/leave_one_out.py`. Nothing is learned from the MNIST test set, and
it serves for no choice. `--signs` is a folder of scanned pages with boxed punctuation (HASCII).
`--sheet` draws the surest mistakes. `--into-card` writes all of it into the bundle's card.
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
from scipy.stats import beta, poisson

sys.path.append(str(Path(__file__).parent.parent / "train"))
import leave_one_out
import sources
from figures import note

from batchdigits import calibrate, labelled, predict
from batchdigits.labelled import NO_DIGIT_LABEL, LabelledCrops, join_labelled_crops
from batchdigits.training import bundle, default, strangers
from batchdigits.training.alter import Ink, other_pen, scanned
from batchdigits.training.corpus import could_be_one
from batchdigits.training.pen import draw_set
from batchdigits.training.shipped import degraded

BANDS = (0, 0.9, 0.99, 0.999, 1)
EACH = 1000
"""Marks drawn of each kind."""
SHEET = 50
"""Mistakes that are drawn."""


class Read(NamedTuple):
    """How a set is read.

    Attributes:
        quick: logits of the legible crops, float32, (M, 11).
        careful: likewise, of the careful network.
        doubtful: which of them are for review whatever is read, (M,).
        labels: of all crops, (N,).
        legible: (N,).
        pictures: of the legible crops, uint8, (M, 28, 28, 1).
    """

    quick: NDArray[np.float32]
    careful: NDArray[np.float32]
    doubtful: NDArray[np.bool_]
    labels: NDArray[np.int64]
    legible: NDArray[np.bool_]
    pictures: NDArray[np.uint8]

    @property
    def known(self) -> NDArray[np.int64]:
        """Return the labels of the legible crops, (M,)."""
        return self.labels[self.legible]


class Fitted(NamedTuple):
    """Temperatures of the two networks, and the threshold."""

    quick: float
    careful: float
    threshold: float


def main() -> None:
    """Print a table, and keep it in the card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--model", help="a bundle; without it the package's own")
    parser.add_argument(
        "--left-out", choices=leave_one_out.RUNS, help="group it was trained without"
    )
    parser.add_argument("--signs", type=Path, help="folder of pages with boxed punctuation")
    parser.add_argument("--sheet", type=Path, help="picture of the surest mistakes")
    parser.add_argument("--into-card", action="store_true")
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    card = predict.load_card(given.model)
    readers = load_networks(card)
    away = leave_one_out.RUNS.get(given.left_out, ())
    sets, tests = sources.sets(*given.data), sources.sets(*given.data, readers=sources.TEST_READERS)
    tests = {name: sets.pop(name) for name in away} | tests
    unseen = {name: draw_set(default.held_out(found)[1]) for name, found in sets.items()}
    held = {
        name: read_set(join_labelled_crops([found, degraded(found, 1)]), readers)
        for name, found in unseen.items()
    }
    never = {name: read_set(draw_set(found), readers) for name, found in tests.items()}
    others = {
        name: read_set(found, readers)
        for name, found in gather_others(given.data, given.signs).items()
    }
    calibrates = {n: r for n, r in never.items() if n in {*sources.CALIBRATES, *away}}
    gate = card.careful.gate if card.careful else 0.0
    fitted = {
        name: fit_without([*held.values(), *(r for n, r in calibrates.items() if n != name)], gate)
        for name in [*never, ""]
    }
    print(f"model {card.name}: gate {gate}, fitted {fitted['']}\n{HEAD}")
    figures = []
    plain = {f"{name} (held out)": read_set(found, readers) for name, found in unseen.items()}
    for name, read in {**never, **others, **plain}.items():
        figures.append(measure(name, read, fitted.get(name, fitted[""]), gate))
        print(format_line(figures[-1]), flush=True)
    pool = [one for one in figures if one["set"] in never and "ok" in one]
    count = sum(round(one["digits"] * one["ok"]) for one in pool)
    wrong = sum(one["wrong among ok"] for one in pool)
    print(f"never seen, pooled: {wrong} of {count} `ok` are wrong, {wrong / count:.3%}")
    if given.sheet:
        draw_mistakes(given.sheet, never, fitted, gate)
    if given.into_card:
        note(given.model, "reading", figures)


def load_networks(card: predict.Card) -> list[Any]:
    """Load the quick and, if there is one, the careful network."""
    networks = [predict.load_network(card, card.network, device="cpu").logits]
    if card.careful is not None:
        place = card.place / predict.CAREFUL_FILE
        networks.append(predict.load_network(card, place, device="cpu").logits)
    return networks


def read_set(found: LabelledCrops, networks: list[Any]) -> Read:
    """Read a set with both networks."""
    quick = bundle.crops_read(found.crops, networks[0])
    careful = bundle.in_parts(quick.pictures, networks[-1])
    return Read(quick.logits, careful, quick.doubtful, found.labels, quick.legible, quick.pictures)


def fit_without(reads: list[Read], gate: float) -> Fitted:
    """Fit temperatures and threshold on sets, as `bundle.calibrated` does."""
    labels = np.concatenate([read.known[~read.doubtful] for read in reads])
    sets = np.repeat(np.arange(len(reads)), [(~read.doubtful).sum() for read in reads])
    quick = np.concatenate([read.quick[~read.doubtful] for read in reads])
    careful = np.concatenate([read.careful[~read.doubtful] for read in reads])
    first = calibrate.fit_median_temperature(quick, labels, sets)
    doubted = predict.find_doubted(quick, first, gate)
    second = first
    if doubted.any():
        second = calibrate.fit_median_temperature(careful[doubted], labels[doubted], sets[doubted])
        quick[doubted] = careful[doubted] * np.float32(first / second)
    found = calibrate.fit_calibration(quick, labels, sources=sets, temperature=first)
    return Fitted(first, second, found.threshold)


def join_logits(read: Read, fitted: Fitted, gate: float) -> tuple[NDArray[np.float32], float]:
    """Return the logits of a cascade, and the share that the careful network reads."""
    doubted = predict.find_doubted(read.quick, fitted.quick, gate)
    out = read.quick.copy()
    out[doubted] = read.careful[doubted] * np.float32(fitted.quick / fitted.careful)
    return out, float(doubted.mean()) if len(doubted) else 0.0


def gather_others(folders: list[Path], signs: Path | None) -> dict[str, LabelledCrops]:
    """Gather the MNIST test set, unseen fonts, and marks drawn anew of hidden writers' digits."""
    out = {}
    for name, file, reader, part in (
        ("MNIST test", "mnist.npz", sources.arrays, "test"),
        ("digits of unseen fonts", "fonts.npz", sources.arrays, "test"),
        ("letters, signs of unseen fonts", "fonts.npz", sources.letters, "test"),
        ("letters like digits, / and |", "fonts.npz", load_alike, ""),
        ("handwritten B, S, Z, learned", "unipen_letters_symbols.npz", load_signs, "BSZsz"),
        (
            "handwritten O, l, I, b and the like",
            "unipen_letters_symbols.npz",
            load_signs,
            "OoDIlbgqG",
        ),
    ):
        for place in (folder / file for folder in folders):
            if place.exists():
                out[name] = reader(place, part)
    for place in (folder / "pendigits.npz" for folder in folders):
        if place.exists():
            out |= draw_marks(place)
    if signs is not None:
        found = cut_punctuation(signs)
        alone = strokes_alone(found.crops)
        out["scanned punctuation"] = found.select(np.flatnonzero(~alone))
        out["scanned strokes like a 1"] = found.select(np.flatnonzero(alone))
    return out


def load_alike(place: Path, _: str) -> LabelledCrops:
    """Read the letters and strokes that look like digits."""
    with np.load(place) as found:
        crops = found["x_alike"]
    return LabelledCrops(crops, np.full(len(crops), NO_DIGIT_LABEL), [""] * len(crops))


def load_signs(place: Path, wanted: str) -> LabelledCrops:
    """Read handwritten letters and signs."""
    return draw_set(sources.strokes(place, only=wanted))


def strokes_alone(crops: list[NDArray[np.uint8]]) -> NDArray[np.bool_]:
    """Tell which crops hold nothing but an upright stroke, which no one could tell from a 1."""
    from batchdigits.normalize import grey_levels

    return could_be_one(grey_levels(crops).pictures[..., 0])


def draw_marks(place: Path) -> dict[str, LabelledCrops]:
    """Draw marks of each kind, of hidden writers' digits, by a seed that no training has.

    As in training, what is nothing but an upright stroke is left out.
    """
    found = sources.strokes(place, hidden=True)
    random, out = np.random.default_rng(2 << 40), {}

    def choose(label: int | None) -> Ink:
        rows = np.flatnonzero(found.labels == label) if label is not None else found.labels
        at = int(random.choice(rows)) if label is not None else int(random.integers(len(rows)))
        return found.strokes[at]

    for kind in dict.fromkeys(strangers.KINDS):
        drawn = [
            255 - scanned(other_pen(kind(random, choose), random), random) for _ in range(2 * EACH)
        ]
        crops = [drawn[n] for n in np.flatnonzero(~strokes_alone(drawn))[:EACH]]
        name = f"drawn: {kind.__name__.removeprefix('draw_').replace('_', ' ')}"
        out[name] = LabelledCrops(crops, np.full(len(crops), NO_DIGIT_LABEL), [name] * len(crops))
    return out


def cut_punctuation(folder: Path) -> LabelledCrops:
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


def measure(name: str, read: Read, fitted: Fitted, gate: float) -> dict[str, Any]:
    """Measure one set: what `HEAD` names."""
    logits, again = join_logits(read, fitted, gate)
    seen, known = calibrate.predict_digits(logits, fitted.quick), read.known
    sure = np.where(seen.other | read.doubtful, 0, seen.confidence)
    none, digit = ~labelled.is_digit(read.labels), labelled.is_digit(known)
    out: dict[str, Any] = {"set": name, "read again": round(again, 4)}
    if none.any():
        out["not digits"] = int(none.sum())
        out["of these ok"] = int((sure[~digit] >= fitted.threshold).sum())
    if digit.any():
        right, confidence = (seen.digit == known)[digit], seen.confidence[digit]
        count, ok = int((~none).sum()), sure[digit] >= fitted.threshold
        wrong = int((ok & ~right).sum())
        out |= {
            "digits": count,
            "right": round(float(right.sum()) / count, 5),
            "ok": round(float(ok.sum()) / count, 4),
            "wrong among ok": wrong,
            "at least": round(
                float(beta.ppf(0.05, wrong, ok.sum() - wrong + 1)) if wrong else 0, 5
            ),
            "bands": [
                [int((~right[band]).sum()), round(float((1 - confidence[band]).sum()), 1)]
                for low, high in pairwise(BANDS)
                for band in [(confidence >= low) & (confidence < high)]
            ],
        }
    return out


HEAD = (
    f"{'set':40}{'again':>7}{'digits':>7}{'right':>9}{'ok':>8}{'wrong ok':>9}{'share':>8}{'≥':>8}"
    f"{'wrong/promised <.9':>20}{'.9-.99':>12}{'.99-.999':>12}{'>.999':>12}"
)


def format_line(one: dict[str, Any]) -> str:
    """Write the figures of one set."""
    out = f"{one['set']:40}{one['read again']:7.1%}"
    if "digits" in one:
        bands = [f"{wrong}/{promised}{star(wrong, promised)}" for wrong, promised in one["bands"]]
        wrong = one["wrong among ok"]
        out += (
            f"{one['digits']:7}{one['right']:9.2%}{one['ok']:8.2%}{wrong:9}"
            f"{wrong / max(1, one['digits'] * one['ok']):8.3%}{one['at least']:8.3%}"
            f"{bands[0]:>20}{bands[1]:>12}{bands[2]:>12}{bands[3]:>12}"
        )
    if "not digits" in one:
        ok, count = one["of these ok"], one["not digits"]
        out += f"  {ok} of {count} not digits are ok, {ok / count:.2%}"
    return out


def star(wrong: int, promised: float) -> str:
    """Mark what is neither within half and twice of what was promised, nor by chance."""
    low, high = poisson.interval(0.95, promised) if promised else (0, 0)
    return "" if promised / 2 <= wrong <= 2 * promised or low <= wrong <= high else "*"


def draw_mistakes(
    place: Path, reads: dict[str, Read], fitted: dict[str, Fitted], gate: float
) -> None:
    """Draw the surest mistakes of sets, with the label and what was read."""
    found = []
    for name, read in reads.items():
        logits, _ = join_logits(read, fitted[name], gate)
        seen = calibrate.predict_digits(logits, fitted[name].quick)
        for n in np.flatnonzero((seen.digit != read.known) & ~seen.other & ~read.doubtful).tolist():
            words = f"{read.known[n]} read {seen.digit[n]} {name[:8]}"
            found.append((seen.confidence[n], words, read.pictures[n, ..., 0]))
    found.sort(key=lambda one: -one[0])
    tiles = []
    for _, words, picture in found[:SHEET]:
        tile = np.full((128, 132), 255, np.uint8)
        tile[:112, 8:120] = 255 - cv2.resize(picture, (112, 112), interpolation=cv2.INTER_NEAREST)
        tiles.append(cv2.putText(tile, words, (2, 124), 0, 0.33, 0, 1, cv2.LINE_AA))
    tiles += [np.full((128, 132), 255, np.uint8)] * (-len(tiles) % 10)
    cv2.imwrite(
        str(place), np.vstack([np.hstack(tiles[n : n + 10]) for n in range(0, len(tiles), 10)])
    )


if __name__ == "__main__":
    main()
