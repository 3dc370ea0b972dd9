"""Train the model that the package ships, on all sources, and write its bundle.

    python jobs/train/fonts.py /usr/share/fonts data/fonts.npz
    python jobs/train/leave_one_out.py data/ --out runs/
    python jobs/train/shipped.py data/ --left-out runs/ --out batchdigits/models/default

Temperature and threshold come from what is held out of each source, from that altered, and from
what the runs of `leave_one_out.py` read of the sources that they left out. The MNIST test set
serves for no choice. Interrupted, it goes on from `OUT.training` when it is started again. With
`--weights BUNDLE` nothing is trained: that bundle of the same seed is calibrated anew.
"""

import argparse
import os
import sys
from pathlib import Path

import leave_one_out
import numpy as np
import sources


def main() -> None:
    """Train, calibrate, measure, and write the bundle."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+", help="folders with the sets of sources.py")
    parser.add_argument("--left-out", type=Path, help="folder that leave_one_out.py has written")
    parser.add_argument("--out", type=Path, required=True, help="the bundle's folder")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--weights", help="a bundle trained before")
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from batchdigits.options import TrainOptions
    from batchdigits.training import shipped

    sets = sources.sets(*given.data)
    beside = given.left_out and read_by_others(given.left_out)
    if given.weights:
        calibrate(given.weights, given.out, sets, given.seed, beside)
        return
    options = TrainOptions.from_settings(
        {
            "recipe": "default",
            "out": str(given.out),
            "epochs": given.epochs,
            "seed": given.seed,
            "device": "cpu",
        }
    )
    done = shipped.make(
        sets,
        options,
        lambda line: print(line, file=sys.stderr, flush=True),
        about=sources.ABOUT,
        beside=beside,
    )
    print(*done.lines(), sep="\n")


def calibrate(weights: str, out: Path, sets, seed: int, beside) -> None:
    """Calibrate a bundle on what its training held out, and on what else there is."""
    from batchdigits.options import RunOptions
    from batchdigits.training import bundle, default, shipped

    held = shipped.with_degraded([default.held_out(found)[1] for found in sets.values()], seed)
    options = RunOptions.from_settings({"model": weights, "device": "cpu"})
    card = bundle.calibrated(held, options, name=out.name, source=shipped.HELD, beside=beside)
    bundle.write(str(out), weights, card)


def read_by_others(folder: Path):
    """Gather how left-out sources of handwriting were read by the networks that had not seen them.

    Not those of print: the model knows print, and the network that read them knew none.
    """
    from batchdigits.training.bundle import Beside

    logits, labels, names = [], [], []
    for run, left_out in leave_one_out.RUNS.items():
        if run == "printed":
            continue
        found = np.load(folder / f"{run}.npz")
        for name in left_out:
            logits.append(found[f"{name}/logits"])
            labels.append(found[f"{name}/labels"][found[f"{name}/legible"]])
            names.append(name)
    of_which = ", ".join(dict.fromkeys(names))
    words = f"{sum(map(len, labels))} crops of {of_which}, read by networks that saw none of each"
    of = np.repeat(np.arange(len(names)), [len(one) for one in labels])
    return Beside(np.concatenate(logits), np.concatenate(labels), of, words)


if __name__ == "__main__":
    main()
