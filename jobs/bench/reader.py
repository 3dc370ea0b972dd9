"""Measure the two ways to read numbers written freely, side by side.

    python jobs/bench/reader.py RUNS --real orand_car_a_train.zip --mnist mnist.npz --out figures/

RUNS is the folder `BUNDLE.training` that `jobs/train/reader.py` has filled. Each of the 1,080 real
strings is read by the network that had not seen its fold, by the network that has seen no real
string at all, and by the lattice of the digit classifier (`lattice.py`). "Wrong" is the share of
wrong values among those left when the least confident 10% go to a person; what is no number goes
first. Boxed strips are made of MNIST's training digits, as the pages of `jobs/bench/forms.py` are.
The worst twenty of each way, the most confident wrong ones, are drawn as contact sheets.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import cv2
import lattice
import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent.parent / "train"))
import cheques

from batchdigits.training.number_data import FOLD_COUNT, assign_folds, select_strings

WORST, BOXED = 20, 1000
"""Strings on a contact sheet; boxed strips that are made."""
REVIEWED = 0.1


def main() -> None:
    """Measure, print the table, draw the sheets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, help="folder that jobs/train/reader.py has filled")
    parser.add_argument("--real", type=Path, required=True, help="orand_car_a_train.zip")
    parser.add_argument("--mnist", type=Path, required=True, help="mnist.npz, for boxed strips")
    parser.add_argument("--out", type=Path, required=True, help="folder for the contact sheets")
    parser.add_argument("--bundle", help="for the speed; the one in the package if none is given")
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    given.out.mkdir(parents=True, exist_ok=True)
    real = cheques.read(given.real)
    fold = assign_folds(len(real.digits))
    ways = {
        "network, five folds": folded(given.runs, real, fold),
        "network, no real strings": composed(given.runs, real, fold),
        "lattice": cut_up(real),
    }
    print("way | right | wrong with 10% in review | of whose values")
    for name, judged in ways.items():
        told(name, judged)
        sheet(given.out / f"{name.replace(', ', '-').replace(' ', '-')}.png", real, judged)
    in_boxes(given.mnist, given.bundle)
    speed(real, given.bundle)


def told(name: str, judged) -> None:
    """Print a line of the table."""
    values, sure, right = judged
    count = len(values)
    surest = np.argsort(-sure, kind="stable")[: round((1 - REVIEWED) * count)]
    wrong = int((~right[surest]).sum())
    print(f"{name} | {right.mean():.2%} | {wrong / len(surest):.2%} | {wrong} of {len(surest)}")


def folded(runs: Path, real, fold: np.ndarray):
    """Read each fold by the network that has not seen it, calibrated on the other folds."""
    from batchdigits.predict import load_keras_model
    from batchdigits.training import reading

    parts = []
    for n in range(FOLD_COUNT):
        unseen = select_strings(real, fold == n)
        model = load_keras_model(runs / f"fold-{n}.keras")
        parts.append((reading.read(model, unseen.crops), unseen.digits))
    return crosswise(parts, fold)


def composed(runs: Path, real, fold: np.ndarray):
    """Read all by the network that has seen no real string; calibrated fold by fold."""
    from batchdigits.predict import load_keras_model
    from batchdigits.training import reading

    found = reading.read(load_keras_model(runs / "composed.keras"), real.crops)
    parts = [
        ([found[at] for at in np.flatnonzero(fold == n)], select_strings(real, fold == n).digits)
        for n in range(FOLD_COUNT)
    ]
    return crosswise(parts, fold)


def crosswise(parts, fold: np.ndarray):
    """Judge each fold by the temperature of the others; give all in the strings' order."""
    from batchdigits.training import reading

    values, sure = np.empty(len(fold), object), np.zeros(len(fold))
    right = np.zeros(len(fold), bool)
    for n, (found, truth) in enumerate(parts):
        others = [part for at, part in enumerate(parts) if at != n]
        judged = reading.judged(found, truth, reading.temperature(others))
        values[fold == n], sure[fold == n], right[fold == n] = judged
    return values, sure, right


def cut_up(real):
    """Read all by the lattice."""
    from batchdigits import predict
    from batchdigits.normalize.strips import strip

    card = predict.load_card(None)
    strips = [strip(crop).picture for crop in real.crops]
    found = lattice.read(strips, predict.load_classifier(card, device="cpu"), card.temperature)
    values = [text for text, _ in found]
    right = np.array([a == b for a, b in zip(values, real.digits, strict=True)])
    return values, np.array([sure for _, sure in found]), right


def in_boxes(mnist: Path, bundle: str | None) -> None:
    """Read boxed strips as `run` does, box by box."""
    import batchdigits

    strips, truth = boxed(mnist)
    with tempfile.TemporaryDirectory() as folder:
        for at, strip in enumerate(strips):
            place = Path(folder) / f"{at:05}.png"
            place.write_bytes(cv2.imencode(".png", strip)[1].tobytes())
        found = batchdigits.read(folder, model=bundle, device="cpu")
    right = found["value"].to_numpy() == np.array(truth)
    ok = found["status"].to_numpy() == "ok"
    print(
        f"boxed strips: {right.mean():.2%} right; {ok.mean():.2%} ok, {(ok & ~right).sum()} of "
        f"them wrong"
    )


def boxed(mnist: Path):
    """Make strips of boxes, each with a digit, as a form's field is cut out of a scan."""
    data = np.load(mnist)
    digits, labels = data["x_train"], data["y_train"]
    random = np.random.default_rng(5)
    strips, truth = [], []
    for _ in range(BOXED):
        many = int(random.integers(4, 11))
        at = random.integers(len(labels), size=many)
        strips.append(row_of_boxes([digits[n] for n in at], random))
        truth.append("".join(str(labels[n]) for n in at))
    return strips, truth


def row_of_boxes(digits, random: np.random.Generator) -> np.ndarray:
    """Write digits into a row of boxes, dark on light: a comb, or boxes apart."""
    high, wide = int(random.integers(44, 60)), int(random.integers(36, 52))
    gap, thick = int(random.choice((0, 0, 8))), int(random.integers(1, 4))
    page = np.full((high + 20, 20 + len(digits) * (wide + gap)), 0, np.float32)
    for at, digit in enumerate(digits):
        x = 10 + at * (wide + gap)
        cv2.rectangle(page, (x, 10), (x + wide, 10 + high), float(random.uniform(90, 220)), thick)
        side = int(min(wide, high) * random.uniform(0.85, 1.0)) - 2 * thick
        small = cv2.resize(digit, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
        left, top = x + (wide - side) // 2 + 1, 10 + (high - side) // 2 + 1
        part = page[top : top + side, left : left + side]
        np.maximum(part, small, out=part)
    light = random.uniform(200, 250)
    grey = light - page * random.uniform(0.5, 0.9) + random.normal(0, 3, page.shape)
    return np.clip(grey, 0, 255).astype(np.uint8)


def speed(real, bundle: str | None) -> None:
    """Measure the whole way from files to the table, three times as many strings as there are."""
    from batchdigits.job import Inputs, resolve_job
    from batchdigits.options import RunOptions
    from batchdigits.run import run_job

    with tempfile.TemporaryDirectory() as folder:
        inbox = Path(folder) / "inbox"
        inbox.mkdir()
        for at, crop in enumerate([*real.crops] * 3):
            (inbox / f"{at:05}.png").write_bytes(cv2.imencode(".png", crop)[1].tobytes())
        given = {"workers": 2, "device": "cpu", "as": "number", "model": bundle, "settle": 0}
        options = RunOptions.from_settings({**given, "out": f"{folder}/out.csv"})
        begin = time.perf_counter()
        run_job(resolve_job(options, Inputs([str(inbox)])))
        took = time.perf_counter() - begin
    count = 3 * len(real.crops)
    print(f"{count} strings from file to table in {took:.1f} s: {count / took:.0f} a second")


def sheet(place: Path, real, judged) -> None:
    """Draw the worst twenty: wrong, and the most confident of those."""
    from batchdigits.evaluate.sheet import draw_contact_sheet

    values, sure, right = judged
    wrong = np.flatnonzero(~right)
    worst = wrong[np.argsort(-sure[wrong], kind="stable")][:WORST]
    rows = [
        {
            "file": str(at),
            "page": 1,
            "value": values[at],
            "truth": real.digits[at],
            "confidence": sure[at],
            "status": "",
        }
        for at in worst
    ]
    picture = draw_contact_sheet(pd.DataFrame(rows), lambda file, _: real.crops[int(file)])
    place.write_bytes(cv2.imencode(".png", picture)[1].tobytes())


if __name__ == "__main__":
    main()
