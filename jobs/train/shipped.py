"""Train the model that the package ships, on MNIST alone.

    python jobs/train/shipped.py mnist.npz batchdigits/models/default

About twenty minutes on two cores. The last 5,000 training digits are held out for calibration;
the test set serves for no choice.
"""

import argparse
import os
from pathlib import Path

import numpy as np

HELD_OUT = 5_000


def main() -> None:
    """Train, calibrate, measure, and write the bundle."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mnist", type=Path, help=".npz with x_train, y_train, x_test, y_test")
    parser.add_argument("out", type=Path, help="the bundle's folder")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from batchdigits import train

    data = np.load(given.mnist)
    digits, labels = data["x_train"], data["y_train"].astype(np.int64)
    model = train.fit(
        digits[:-HELD_OUT],
        labels[:-HELD_OUT],
        count=given.epochs,
        seed=given.seed,
        keep=given.out.with_suffix(".part.keras"),
    )
    card = train.card_for(
        model,
        name="mnist-1",
        held_out=(digits[-HELD_OUT:], labels[-HELD_OUT:]),
        test=(data["x_test"], data["y_test"].astype(np.int64)),
    )
    card["training"] = [
        {
            "source": "MNIST, training part less its last 5,000 (LeCun, Cortes, Burges)",
            "licence": "CC BY-SA 3.0",
            "digits": len(digits) - HELD_OUT,
            "epochs": given.epochs,
            "seed": given.seed,
        }
    ]
    train.write_bundle(given.out, model, card)
    given.out.with_suffix(".part.keras").unlink(missing_ok=True)
    print(card["measured"])


if __name__ == "__main__":
    main()
