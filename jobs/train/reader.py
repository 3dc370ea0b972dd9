"""Train the number reader that the package ships, and those of the five folds that measure it.

    python jobs/train/reader.py DATA... --real orand_car_a_train.zip --out runs/
    python jobs/train/reader.py DATA... --real orand_car_a_train.zip --out runs/ --bundle BUNDLE

DATA are folders that hold the sets of `sources.py`. First a network learns from composed strings
alone (`runs/composed.keras`). From there one goes on for each fold with the real strings of the
four others (`runs/fold-N.keras`), and one with all of them (`runs/all.keras`). What is there
already is not trained again, and what was interrupted goes on. With `--bundle` the last joins a
bundle, calibrated on what the folds' networks read of strings they had not seen.
"""

import argparse
import os
import sys
from pathlib import Path

import cheques
import sources

ROUNDS, FINER = 30, 5
"""Rounds of composed strings, and of those with real ones among them."""
RATE, REAL = 1e-3, 0.45
"""Of the latter: the highest learning rate, and the share of real strings."""


def main() -> None:
    """Train what is not there yet; write the bundle."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+", help="folders with the sets of sources.py")
    parser.add_argument("--real", type=Path, required=True, help="orand_car_a_train.zip")
    parser.add_argument("--out", type=Path, required=True, help="folder for what is trained")
    parser.add_argument("--bundle", type=Path, help="a bundle that the number reader joins")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--finer", type=int, default=FINER)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--makers", type=int, default=1, help="processes that compose strings")
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    given.out.mkdir(parents=True, exist_ok=True)
    train(given)
    if given.bundle:
        join(given)


def train(given: argparse.Namespace) -> None:
    """Train the network of composed strings, those of the folds, and that of all."""
    from batchdigits.predict import load_keras_model
    from batchdigits.training import corpus, default
    from batchdigits.training.numbers import Plan, fit

    real = cheques.read(given.real)
    fold = cheques.folds(len(real.digits))
    wanted = {f"fold-{n}": fold != n for n in range(cheques.FOLDS)} | {"all": fold >= 0}
    todo = [one for one in ["composed", *wanted] if not (given.out / f"{one}.keras").exists()]
    if not todo:
        return
    sets = sources.sets(*given.data)
    sets.pop("meter", None)  # drums of dials, seen through windows: nobody writes so
    digits = corpus.gather({name: default.held_out(found)[0] for name, found in sets.items()})
    cut = cheques.digits(given.real, real)
    for name in todo:
        plan = Plan(given.rounds, given.seed, given.out / f"{name}.checkpoint.keras")
        some, start = None, None
        if name != "composed":
            some = cheques.select(real, wanted[name], cut)
            start = load_keras_model(given.out / "composed.keras")
            plan = plan.finer(given.finer, RATE, REAL)
        model = fit(digits, plan, real=some, start=start, tell=teller(name))
        model.save(given.out / f"{name}.keras")
        plan.checkpoint.unlink(missing_ok=True)


def teller(name: str):
    """Tell after each round how it went."""

    def tell(number: int, loss: float, _: object) -> None:
        print(f"{name}: round {number}, loss {loss:.3f}", file=sys.stderr, flush=True)

    return tell


def join(given: argparse.Namespace) -> None:
    """Calibrate the network of all strings by what the folds' networks read, and add it."""
    from batchdigits.predict import load_keras_model
    from batchdigits.training import reading

    real = cheques.read(given.real)
    fold = cheques.folds(len(real.digits))
    parts = []
    for n in range(cheques.FOLDS):
        unseen = cheques.select(real, fold == n)
        model = load_keras_model(given.out / f"fold-{n}.keras")
        parts.append((reading.read(model, unseen.crops), unseen.digits))
    said = reading.calibrated(parts)
    said["training"] = [
        dict(zip(("source", "licence"), cheques.ABOUT, strict=True)) | {"strings": len(fold)},
        {"source": "strings composed of the digits that the bundle's model learned from"},
    ]
    reading.join(given.bundle, given.out / "all.keras", said)
    print(f"bundle {given.bundle}")


if __name__ == "__main__":
    main()
