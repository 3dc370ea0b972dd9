"""How far each ingredient of the default recipe moves what is read of sources never seen.

    python jobs/bench/ingredients.py DATA... --out runs/ [--epochs 10]

DATA are folders with the sets of `jobs/train/sources.py`. USPS, ARDIS and DIDA are left out of
every training. One training has all ingredients, the others lack one each; all have the same
epochs and seed, so those on less data take fewer steps. Told are the right ones of the legible
digits, and how much that is no digit (letters and signs of fonts never seen, empty Sudoku cells,
dials between two digits, all from what is held out) is not `ok` at the threshold that keeps 99%
of the digits held out of the other sources.
"""

import argparse
import os
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np

sys.path.append(str(Path(__file__).parent.parent / "train"))
import leave_one_out
import sources

from batchdigits import labelled
from batchdigits.labelled import LabelledCrops

LEFT_OUT = ("usps", "ardis", "dida")
Sets = dict[str, LabelledCrops]


def main() -> None:
    """Train what is not there yet, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True, help="folder for what the runs leave")
    parser.add_argument("--epochs", type=int, default=10)
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    given.out.mkdir(parents=True, exist_ok=True)
    learned, unseen = leave_one_out.parted(sources.sets(*given.data), LEFT_OUT)
    for place in (folder / "fonts.npz" for folder in given.data):
        if place.exists():
            unseen["letters"] = sources.letters(place, "test")
    print(f"{'':34}{'USPS':>9}{'ARDIS':>9}{'DIDA':>9}{'not digits, not ok':>20}")
    for words, sets, changes in (
        ("all ingredients", learned, {}),
        ("nothing altered", learned, {"UNALTERED": 1.0, "AS_THEY_ARE": 1.0}),
        ("MNIST alone, and what is no digit", only_mnist(learned), {}),
        ("no class for what is no digit", digits(learned), {"STRANGERS": 0.0}),
    ):
        place = given.out / f"{words.replace(' ', '-')}.npz"
        if not place.exists():
            np.savez_compressed(place, **trained(sets, unseen, changes, given.epochs, place))
        print(f"{words:34}{line(np.load(place))}", flush=True)


def only_mnist(sets: Sets) -> Sets:
    """Take MNIST's digits, and of the others what is no digit."""
    return {
        name: found
        if name == "mnist"
        else found.select(np.flatnonzero(~labelled.is_digit(found.labels)))
        for name, found in sets.items()
    }


def digits(sets: Sets) -> Sets:
    """Leave out what is no digit."""
    return {
        name: found.select(np.flatnonzero(labelled.is_digit(found.labels)))
        for name, found in sets.items()
    }


def trained(
    sets: Sets, unseen: Sets, changes: dict[str, float], epochs: int, place: Path
) -> dict[str, np.ndarray]:
    """Train with some constants of the corpus changed; read what was left out, as arrays."""
    from batchdigits.training import corpus, default

    changes = {"STRANGERS": corpus.STRANGERS} | changes
    learned = changes["STRANGERS"] > 0
    weighed = default.weighed if learned else lambda model, *_: model  # a class it never learned
    with patch.multiple(corpus, **changes), patch.object(default, "weighed", weighed):
        plan = default.DefaultPlan(epochs, 1, place.with_suffix(".checkpoint.keras"))
        model = default.fit(sets, plan)
    return leave_one_out.read(model, unseen)


def line(found: np.lib.npyio.NpzFile) -> str:
    """Say how a network reads each source that it never saw, and what is no digit."""
    from batchdigits.calibrate import predict_digits

    shares, confidences, strangers = [], [], []
    count = 0
    for name in sorted({key.partition("/")[0] for key in found}):
        logits, labels, legible = (found[f"{name}/{p}"] for p in ("logits", "labels", "legible"))
        seen, known = predict_digits(logits, 1.0), labels[legible]
        sure = np.where(seen.other, 0, seen.confidence)
        if name in LEFT_OUT:
            shares.append((name, (seen.digit == known).mean()))
        else:
            confidences.append(sure[labelled.is_digit(known)])
        strangers.append(sure[~labelled.is_digit(known)])
        count += (~labelled.is_digit(labels)).sum()
    threshold = np.quantile(np.concatenate(confidences), 0.01)
    ok = (np.concatenate(strangers) >= threshold).sum()
    by_name = dict(shares)
    return "".join(f"{by_name[name]:9.2%}" for name in LEFT_OUT) + f"{1 - ok / count:20.2%}"


if __name__ == "__main__":
    main()
