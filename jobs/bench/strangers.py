"""How well the default recipe reads sources that it never saw, and what is no digit.

    python jobs/bench/strangers.py runs/ DATA... [--model BUNDLE]

`runs/` is what `jobs/train/leave_one_out.py` leaves. For each source that a run left out, and for
what each held out: how many are right, promised against observed errors by band of confidence,
and the errors left when a person looks at the least confident 5%. Temperature and threshold are
the bundle's. DATA are folders with the sets of `jobs/train/sources.py`, for the bundle itself: what
it held out of each, the MNIST test set, and letters and signs of fonts it never saw.
"""

import argparse
import os
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).parent.parent / "train"))
import leave_one_out
import sources

BANDS = (0, 0.9, 0.99, 0.999, 1)


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--model", help="a bundle; without it the package's own")
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from batchdigits import classify

    card = classify.card(given.model)
    print(f"model {card.name}: temperature {card.temperature}, threshold {card.threshold}")
    print("left out, or held out of training".ljust(34), HEAD)
    for run in leave_one_out.RUNS:
        place = given.runs / f"{run}.npz"
        if place.exists():
            found = np.load(place)
            for name in sorted({key.partition("/")[0] for key in found}):
                if name in leave_one_out.RUNS[run] or run == "printed":
                    parts = (found[f"{name}/{part}"] for part in ("logits", "labels", "legible"))
                    print(f"{run}: {name}".ljust(34), line(*parts, card))
    of_the_bundle(given.data, given.model, card)


HEAD = (
    f"{'n':>7} {'right':>8} {'ok':>7} {'wrong ok':>8}  "
    f"{'observed/promised errors: <.9':>30} {'.9-.99':>10} {'.99-.999':>10} {'>.999':>10} "
    f"{'left after 5%':>14}"
)


def line(
    logits: NDArray[np.float32], labels: NDArray[np.int64], legible: NDArray[np.bool_], card
) -> str:
    """Say of one set what `HEAD` names; of sets that are no digits, how many are `ok`."""
    from batchdigits.calibrate import judged

    seen = judged(logits, card.temperature)
    known = labels[legible]
    ok = ~seen.other & (seen.confidence >= card.threshold)
    digit = (known >= 0) & (known < 10)
    none = (labels < 0) | (labels > 9)
    strangers = f"  not digits {none.sum()}: {1 - ok[~digit].sum() / max(none.sum(), 1):.2%} not ok"
    if not digit.any():
        return strangers
    right = (seen.digit == known)[digit]
    confidence, ok = seen.confidence[digit], ok[digit]
    count = int((~none).sum())
    bands = []
    for low, high in pairwise(BANDS):
        band = (confidence >= low) & (confidence < high)
        bands.append(f"{(~right[band]).sum()}/{(1 - confidence[band]).sum():.1f}".rjust(10))
    unsure = count * 5 // 100 - (count - len(right))  # what is illegible is looked at anyway
    left = (~right[np.argsort(confidence, kind="stable")][max(unsure, 0) :]).sum()
    return (
        f"{count:7} {right.sum() / count:8.2%} {ok.sum() / count:7.2%} {(ok & ~right).sum():8}  "
        f"{'':19} {' '.join(bands)} {left:6} {left / count:7.3%}"
        f"{strangers if none.any() else ''}"
    )


def of_the_bundle(folders: list[Path], model: str | None, card) -> None:
    """Print what the bundle itself makes of what it did not learn from."""
    from batchdigits import classify
    from batchdigits.train import default
    from batchdigits.train.bundle import crops_read

    classifier = classify.load(model, device="cpu")
    sets = {
        f"{name}, held out": default.held_out(found)[1]
        for name, found in sources.sets(*folders).items()
    }
    for name, file, reader in (
        ("MNIST test", "mnist.npz", sources.arrays),
        ("digits of unseen fonts", "fonts.npz", sources.arrays),
        ("letters and signs, unseen fonts", "fonts.npz", sources.letters),
    ):
        for place in (folder / file for folder in folders):
            if place.exists():
                sets[name] = reader(place, "test")
    for name, found in sets.items():
        logits, legible = crops_read(found.crops, classifier.logits)
        print(f"the bundle: {name}".ljust(34), line(logits, found.labels, legible, card))


if __name__ == "__main__":
    main()
