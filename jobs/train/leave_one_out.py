"""Train the default recipe without a source, for each source in turn, and read what it left out.

    python jobs/train/leave_one_out.py DATA... --out runs/ [--epochs 30] [--only usps]

DATA are folders that hold the sets of `sources.py`. Every run leaves a bundle `runs/NAME` and
`runs/NAME.npz`: the logits and labels of each set that it did not learn from. From them
`shipped.py` takes the temperature, and `jobs/bench/strangers.py` the table. A run that was
interrupted goes on from its checkpoint; one whose `.npz` is there is done.
"""

import argparse
import os
from pathlib import Path

import numpy as np
import sources

from batchdigits.labelled import LabelledCrops

RUNS: dict[str, tuple[str, ...]] = {
    "usps": ("usps",),
    "opencv": ("opencv",),
    "swedish": ("ardis", "dida"),
    "ardis": ("ardis",),
    "printed": ("sudoku", "photo", "meter", "fonts", "letters"),
}
"""What each run leaves out. ARDIS and DIDA are cut from the same records; a network that learns
letters of fonts without their digits takes what is printed for no digit."""
ALIKE = 0.93
"""Correlation of two normalised pictures from which they are taken for one image cut twice: of
the pairs above it nearly all have one label, and by eye one shape."""


def main() -> None:
    """Train what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+", help="folders with the sets")
    parser.add_argument("--out", type=Path, required=True, help="folder for what the runs leave")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=RUNS, action="append")
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from batchdigits.training import default

    given.out.mkdir(parents=True, exist_ok=True)
    sets = sources.sets(*given.data)
    for run in given.only or RUNS:
        place = given.out / f"{run}.npz"
        if place.exists():
            print(f"{run}: done already")
            continue
        learned, unseen = parted(sets, RUNS[run])
        model = default.fit(
            learned,
            default.DefaultPlan(given.epochs, given.seed, given.out / f"{run}.checkpoint.keras"),
            tell=lambda epoch, loss, _, run=run: print(
                f"{run}: epoch {epoch} of {given.epochs}, loss {loss:.4f}", flush=True
            ),
        )
        np.savez_compressed(place, **read(model, unseen))


def parted(
    sets: dict[str, LabelledCrops], left_out: tuple[str, ...]
) -> tuple[dict[str, LabelledCrops], dict[str, LabelledCrops]]:
    """Part the sets into what is learned and what is not, the held-out digits of the first too."""
    from batchdigits.training import default

    learned, unseen = {}, {}
    for name, found in sets.items():
        if name in left_out:
            unseen[name] = found
        else:
            learned[name], unseen[f"{name} (held out)"] = default.held_out(found)
    if "ardis" in left_out and "dida" in learned:
        learned["dida"] = without_shared(learned["dida"], sets["ardis"])
    return learned, unseen


def without_shared(found: LabelledCrops, others: LabelledCrops) -> LabelledCrops:
    """Leave out the crops that are also in another set."""
    from batchdigits.normalize import grey_levels

    def unit(crops: list) -> np.ndarray:
        flat = grey_levels(crops).pictures.reshape(len(crops), -1).astype(np.float32)
        flat -= flat.mean(axis=1, keepdims=True)
        return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)

    alike = unit(list(found.crops)) @ unit(list(others.crops)).T
    return found.select(np.flatnonzero(alike.max(axis=1) < ALIKE))


def read(model, sets: dict[str, LabelledCrops]) -> dict[str, np.ndarray]:
    """Read sets as `run` does: logits of legible crops, labels of all, and which are legible."""
    from batchdigits.training.bundle import crops_read

    def network(pictures: np.ndarray) -> np.ndarray:
        return model.predict(pictures, batch_size=256, verbose=0)

    out = {}
    for name, found in sets.items():
        out[f"{name}/logits"], out[f"{name}/legible"] = crops_read(found.crops, network)
        out[f"{name}/labels"] = found.labels
    return out


if __name__ == "__main__":
    main()
