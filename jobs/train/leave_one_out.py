"""Train the default recipe without a group of sources, for each group in turn.

    python jobs/train/leave_one_out.py DATA... --out runs/ [--epochs 20] [--only swiss]

DATA are folders that hold the sets of `sources.py`. Every run leaves a bundle `runs/NAME`, which
`jobs/bench/strangers.py --model runs/NAME --left-out NAME` measures on what it left out. A run that
was interrupted goes on from its checkpoints; one whose bundle is there is done. Sources without an
open licence are left out of every training as it is.
"""

import argparse
import os
import sys
from pathlib import Path

import sources

RUNS: dict[str, tuple[str, ...]] = {
    "swiss": ("swiss",),
    "strokes": ("pendigits", "unipen", "unipen words", "unipen letters"),
}
"""What each run leaves out."""


def main() -> None:
    """Train what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+", help="folders with the sets")
    parser.add_argument("--out", type=Path, required=True, help="folder for what the runs leave")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=RUNS, action="append")
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from batchdigits.options import TrainOptions
    from batchdigits.training import shipped

    given.out.mkdir(parents=True, exist_ok=True)
    sets = sources.sets(*given.data)
    for run in given.only or RUNS:
        place = given.out / run
        if place.exists():
            print(f"{run}: done already")
            continue
        shipped.make(
            {name: found for name, found in sets.items() if name not in RUNS[run]},
            TrainOptions.from_settings(
                {
                    "recipe": "default",
                    "out": str(place),
                    "epochs": given.epochs,
                    "seed": given.seed,
                    "device": "cpu",
                }
            ),
            lambda line, run=run: print(f"{run}: {line}", file=sys.stderr, flush=True),
            about=sources.ABOUT,
        )


if __name__ == "__main__":
    main()
