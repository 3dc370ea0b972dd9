"""Train the number reader that the package ships, and those of the five folds that measure it.

    python jobs/train/reader.py DATA... --real orand_car_a_train.zip --out BUNDLE

DATA are folders that hold the sets of `sources.py`. This is `batchdigits train --recipe numbers`
with these sets, with the amounts of ORAND-CAR-A as real strings, and with the digits that are cut
out of them. BUNDLE is the bundle that the number reader joins. Its networks stay in
`BUNDLE.training`: `composed.keras`, `fold-0.keras` to `fold-4.keras`, and `all.keras`; what is
there is not trained again. `jobs/bench/reader.py` measures them.
"""

import argparse
import os
import sys
from pathlib import Path

import cheques
import sources


def main() -> None:
    """Train the networks and write the bundle."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+", help="folders with the sets of sources.py")
    parser.add_argument("--real", type=Path, required=True, help="orand_car_a_train.zip")
    parser.add_argument("--out", type=Path, required=True, help="the bundle that the reader joins")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from batchdigits.options import TrainOptions
    from batchdigits.training.number_bundle import gather_number_data, make_number_bundle

    options = TrainOptions.from_settings(
        {
            "recipe": "numbers",
            "out": str(given.out),
            "fine_tune": str(given.out),
            "epochs": given.epochs,
            "seed": given.seed,
            "device": given.device,
        }
    )
    sets = sources.sets(*given.data)
    sets.pop("meter", None)  # drums of dials, seen through windows: nobody writes so
    real = cheques.cut_digits(given.real, cheques.read(given.real))
    about = [
        dict(zip(("source", "licence"), cheques.ABOUT, strict=True)) | {"strings": len(real.crops)},
        {"source": "strings composed of the digits that the bundle's model learned from"},
    ]
    done = make_number_bundle(
        gather_number_data(sets, real, about),
        options,
        lambda line: print(line, file=sys.stderr, flush=True),
        keep=True,
    )
    print(*done.lines(), sep="\n")


if __name__ == "__main__":
    main()
