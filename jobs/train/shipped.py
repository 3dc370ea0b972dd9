"""Train the model that the package ships on all sources with an open licence; write its bundle.

    python jobs/train/fonts.py /usr/share/fonts data/fonts.npz
    python jobs/train/shipped.py data/ --out batchdigits/models/default

Temperatures and threshold come from what is held out of each source, from that degraded, and from
the sources and writers that nothing is learned from. The MNIST test set serves for no choice.
Interrupted, it goes on from `OUT.training` when it is started again. `--teacher` names the
`careful.keras` of an earlier training, from whose doubts the careful network learns too: the
one that ships had two, of seed 1, trained without teachers for 40 and 44 epochs. With
`--weights BUNDLE` nothing is trained: that bundle of the same seed is calibrated anew, and keeps
its number reader.
"""

import argparse
import os
import sys
from pathlib import Path

import sources


def main() -> None:
    """Train, calibrate, measure, and write the bundle."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+", help="folders with the sets of sources.py")
    parser.add_argument("--out", type=Path, required=True, help="the bundle's folder")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--teacher", action="append", default=[], help="a careful.keras")
    parser.add_argument("--weights", help="a bundle trained before")
    parser.add_argument("--name", help="what the card calls the model; else the folder's name")
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from batchdigits import predict
    from batchdigits.options import TrainOptions
    from batchdigits.training import shipped
    from batchdigits.training.pen import draw_set

    sets = sources.sets(*given.data)
    never = sources.sets(*given.data, readers=sources.TEST_READERS)
    strangers = [draw_set(never[name]) for name in sources.CALIBRATES if name in never]
    if given.weights:
        calibrate(given, sets, strangers)
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
        strangers=strangers,
        teachers=[predict.load_keras_model(Path(place)) for place in given.teacher],
    )
    print(*done.lines(), sep="\n")


def calibrate(given: argparse.Namespace, sets, strangers) -> None:
    """Calibrate a bundle on what its training held out, and on what it never learned from."""
    from batchdigits.options import RunOptions
    from batchdigits.training import bundle, default, shipped
    from batchdigits.training.pen import draw_set

    unseen = [draw_set(default.held_out(found)[1]) for found in sets.values()]
    held = [*shipped.with_degraded(unseen, given.seed), *strangers]
    options = RunOptions.from_settings({"model": given.weights, "device": "cpu"})
    source = f"{shipped.HELD}{shipped.STRANGE}"
    card = bundle.calibrated(held, options, name=given.name or given.out.name, source=source)
    bundle.write(str(given.out), given.weights, card)


if __name__ == "__main__":
    main()
