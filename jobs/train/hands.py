"""Train the network that tells handwritten digits from print: signs → what they are.

    python jobs/train/hands.py data/ [more/] --out batchdigits/layout/hands.npz

DATA are the folders of `turns.py`, of which this takes the signs and the network. Signs are
handwritten digits, alone and in twos that touch; printed letters and digits, alone and in twos and
threes; handwritten letters; and what is no sign. All are upright, give or take some degrees. About
three minutes on two cores.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from turns import MORE_NAMES, NAMES, bend, cut, join, load_stock, make_blobs, scale, scan, train

from batchdigits.layout.networks import fit_sign
from batchdigits.layout.turns import ASPECT

SIGNS, HELD_OUT = 240_000, 6_000
SHARES = (0.40, 0.16, 0.08, 0.14, 0.14, 0.08)
"""Of printed signs, of digits of MNIST, of the Swiss, of UNIPEN, of letters of UNIPEN, of none."""
KINDS = (1, 0, 0, 0, 2, 3)
"""What each of these is: a handwritten digit, print, a handwritten letter, or nothing."""
JOINED_PRINT, JOINED_DIGITS = 0.3, 0.12
SEED = 7

Random = np.random.Generator
Picture = NDArray[np.uint8]


def main() -> None:
    """Make signs, train, tell how many of those held out are right, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    random = np.random.default_rng(SEED)
    pictures, kinds = make_signs(load_stock(given.data), SIGNS + HELD_OUT, random)
    network = train(pictures[:SIGNS], kinds[:SIGNS], random)
    seen = network.predict(scale(pictures[SIGNS:]), verbose=0).argmax(axis=1)
    for kind, name in enumerate(("handwritten digits", "print", "handwritten letters", "nothing")):
        own = kinds[SIGNS:] == kind
        print(f"held out: {name} right {np.mean(seen[own] == kind):.1%}")
    weights = dict(zip(NAMES + MORE_NAMES, network.get_weights(), strict=True))
    np.savez(given.out, **{name: held.astype(np.float16) for name, held in weights.items()})


def make_signs(
    stock: list[list[Picture]], count: int, random: Random
) -> tuple[Picture, NDArray[np.int64]]:
    """Make signs of all kinds: (count, 20, 20), and the kind of each, as in `KINDS`."""
    stock = [*stock, list(make_blobs(round(SHARES[5] * count), random))]
    out, kinds = np.empty((count, 20, 20), np.uint8), np.empty(count, np.int64)
    for n in range(count):
        sign = None
        while sign is None or min(sign.shape) < 2 or max(sign.shape) > ASPECT * min(sign.shape):
            source = int(random.choice(len(stock), p=SHARES))
            sign = make_sign(stock[source], KINDS[source], random)
        out[n], kinds[n] = fit_sign(np.ascontiguousarray(sign)), KINDS[source]
    return out, kinds


def make_sign(stock: list[Picture], kind: int, random: Random) -> Picture | None:
    """Make one sign of a kind; None where chance left none of it."""
    at = int(random.integers(len(stock)))
    sign = cut(stock[at])
    if sign is None or kind == 3:
        return sign
    if kind == 1 and random.random() < JOINED_PRINT:
        for following in stock[at + 1 : at + int(random.integers(2, 4))]:
            sign = join(sign, cut(following), int(random.integers(-1, 2)))
    if kind == 0 and random.random() < JOINED_DIGITS:
        sign = join(sign, cut(stock[int(random.integers(len(stock)))]), 0)
    return scan(bend(sign, random), random)


if __name__ == "__main__":
    main()
