"""Train the number reader that the package ships, and those of the five folds that measure it.

    python jobs/train/reader.py DATA... --strings FOLDER --out BUNDLE

DATA are folders that hold the sets of `sources.py`, all with an open licence, and
`unipen_number_strings.npz`. FOLDER holds the real strings of `cheques.py` and `registers.py`, which
have none. BUNDLE is the bundle that the number reader joins. The networks stay in
`BUNDLE.training`, and what is there is not trained again:

- `open.keras` learns from composed strings and from those of pens: from open data alone;
- `registers.keras` goes on from it with the strings of the registers, but for the hidden books;
- `fold-0.keras` to `fold-4.keras` and `all.keras` go on from that with the amounts of cheques.

`jobs/bench/reader.py` measures them.
"""

import argparse
import os
import sys
from pathlib import Path

import cheques
import registers
import sources

OPEN_ROUNDS, REGISTER_ROUNDS, CHEQUE_ROUNDS = 10, 7, 4
CHEQUE_WEIGHT = 10.0
"""How often an amount is taken, for each string of the registers: they are a tenth as many."""
RATES = (1e-3, 6e-4)
"""The highest learning rate with registers, and with cheques."""


def main() -> None:
    """Train the networks and write the bundle."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+", help="folders with the sets of sources.py")
    parser.add_argument("--strings", type=Path, required=True, help="folder with the real strings")
    parser.add_argument("--out", type=Path, required=True, help="the bundle that the reader joins")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from batchdigits.training.number_bundle import make_number_bundle

    data = gather(given.data, given.strings)
    start = fit_registers(data, given)
    options = train_options(given)
    print(*make_number_bundle(data, options, tell, start=start, keep=True).lines(), sep="\n")


def tell(line: str) -> None:
    """Print a line on standard error."""
    print(line, file=sys.stderr, flush=True)


def gather(folders: list[Path], strings: Path):
    """Read all that is learned from."""
    from batchdigits.training.material import join_strings
    from batchdigits.training.number_data import gather_number_data

    sets = sources.sets(*folders)
    place = next(one for one in (f / "unipen_number_strings.npz" for f in folders) if one.is_file())
    parted = sources.part_by_writer(sets, without=sources.hidden_string_writers(place))
    amounts = strings / "orand_car_a_train.zip"
    real = cheques.cut_digits(amounts, cheques.read(amounts))
    real = real._replace(weights=[CHEQUE_WEIGHT] * len(real.crops))
    books = [registers.read(strings / name) for name in registers.FILES]
    hidden = [registers.read(strings / name, hidden=True) for name in registers.FILES]
    written = sources.pen_strings(place)
    about = [
        dict(zip(("source", "licence"), cheques.ABOUT, strict=True)) | {"strings": len(real.crops)},
        dict(zip(("source", "licence"), registers.ABOUT, strict=True))
        | {"strings": sum(len(one.crops) for one in books)},
        {
            "source": "UNIPEN train_r01_v07, numbers as strokes (Guyon and others 1994)",
            "licence": "CC BY 4.0",
            "strings": len(written),
        },
        {"source": "strings composed of the digits that the bundle's model learned from"},
    ]
    return gather_number_data(parted, real, about)._replace(
        written=written, always=join_strings(*books), held=join_strings(*hidden)
    )


def fit_registers(data, given: argparse.Namespace):
    """Train on open data, and then on the registers; return the network."""
    import keras

    from batchdigits import predict
    from batchdigits.options import count_processors
    from batchdigits.training.material import Material
    from batchdigits.training.numbers import Plan, fit

    work = given.out.with_name(f"{given.out.name}.training")
    work.mkdir(exist_ok=True)
    plan = Plan(OPEN_ROUNDS, given.seed, work / "open.keras", makers=count_processors())
    _, device = predict.start_keras(given.device)

    def say(number: int, loss: float, _) -> None:
        tell(f"epoch {number}: loss {loss:.4f}")

    with keras.device(device):
        reader = fit(Material(data.learned, data.written), plan, tell=say)
        plan = plan.finer(REGISTER_ROUNDS, RATES[0], 0.5).keep_in(work / "registers.keras")
        return fit(Material(data.learned, data.written, data.always), plan, start=reader, tell=say)


def train_options(given: argparse.Namespace):
    """Return the options of the folds."""
    from batchdigits.options import TrainOptions
    from batchdigits.training.number_bundle import EPOCHS, FINER_EPOCHS

    return TrainOptions.from_settings(
        {
            "recipe": "numbers",
            "out": str(given.out),
            "fine_tune": str(given.out),
            "epochs": CHEQUE_ROUNDS * EPOCHS // FINER_EPOCHS,
            "seed": given.seed,
            "device": given.device,
        }
    )


if __name__ == "__main__":
    main()
