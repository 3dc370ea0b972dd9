"""Train the network by which a page is laid upright: signs → which of four turns, or no sign.

    python jobs/train/turns.py data/ [more/] --out batchdigits/layout/turns.npz

DATA are folders that hold mnist.npz, swiss_digits.zip, unipen_digits.npz,
unipen_letters_symbols.npz (see `sources.py`) and fonts.npz (see `fonts.py`). Signs are printed
letters, alone and in twos and threes that touch, and handwritten digits and letters, scanned at
7 to 32 px; what is no sign is blobs, rings, lines and triangles. Each sign is turned by chance
before it is brought to its size, so that no rounding gives its turn away. About three minutes on
two cores.
"""

import argparse
import os
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import sources

from batchdigits.layout.networks import fit_sign
from batchdigits.layout.turns import ASPECT
from batchdigits.training.pen import scan_plainly

SIGNS, BLOBS, HELD_OUT = 235_000, 43_000, 5_000
EPOCHS, BATCH, RATE, DECAY, DROPOUT = 8, 256, 2e-3, 0.02, 0.1
SEED = 5
INK = 90
"""Pixels over this are ink."""
SHARES = (0.5, 0.18, 0.1, 0.12, 0.1)
"""Of printed signs, and of digits of MNIST, of the Swiss, of UNIPEN, and of letters of UNIPEN."""
NAMES = ("first", "first_bias", "second", "second_bias")
MORE_NAMES = ("third", "third_bias", "fourth", "fourth_bias")

Random = np.random.Generator
Picture = NDArray[np.uint8]


def main() -> None:
    """Make signs, train, tell how many of those held out are right, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    random = np.random.default_rng(SEED)
    stock = load_stock(given.data)
    signs, turns = make_signs(stock, SIGNS + HELD_OUT, random)
    blobs = make_blobs(BLOBS + HELD_OUT // 2, random)
    pictures = np.concatenate([signs[:SIGNS], blobs[:BLOBS]])
    labels = np.concatenate([turns[:SIGNS], np.full(BLOBS, 4)])
    network = train(pictures, labels, random)
    seen = network.predict(scale(signs[SIGNS:]), verbose=0).argmax(axis=1)
    nothing = network.predict(scale(blobs[BLOBS:]), verbose=0).argmax(axis=1)
    print(f"held out: turns right {np.mean(seen == turns[SIGNS:]):.1%}, ", end="")
    print(f"no signs right {np.mean(nothing == 4):.1%}")
    weights = dict(zip(NAMES + MORE_NAMES, network.get_weights(), strict=True))
    np.savez(given.out, **{name: held.astype(np.float16) for name, held in weights.items()})


def load_stock(folders: list[Path]) -> list[list[Picture]]:
    """Load the pictures that signs are made of, by kind: uint8, ink light, of any size."""

    def find(name: str) -> Path:
        places = [place / name for place in folders if (place / name).is_file()]
        return places[0] if places else sys.exit(f"expected {name} in one of the folders")

    swiss = [
        np.clip(1.5 * (float(np.median(crop)) - 10 - crop.astype(np.float32)), 0, 255)
        for crop in sources.swiss(find("swiss_digits.zip")).crops
    ]
    written = [
        [255 - scan_plainly(one) for one in sources.strokes(find(f"{name}.npz")).strokes]
        for name in ("unipen_digits", "unipen_letters_symbols")
    ]
    with np.load(find("fonts.npz")) as fonts, np.load(find("mnist.npz")) as mnist:
        printed, digits = list(fonts["x_train"]), list(mnist["x_train"])
    return [printed, digits, [crop.astype(np.uint8) for crop in swiss], *written]


def cut(picture: Picture) -> Picture | None:
    """Cut a picture to its ink; None where there is hardly any."""
    y, x = np.nonzero(picture > INK)
    return picture[y.min() : y.max() + 1, x.min() : x.max() + 1] if len(y) >= 3 else None


def make_signs(
    stock: list[list[Picture]], count: int, random: Random
) -> tuple[Picture, NDArray[np.int64]]:
    """Make signs at any turn: (count, 20, 20), and by how many quarters each is turned."""
    out, turns = np.empty((count, 20, 20), np.uint8), random.integers(0, 4, count)
    for n in range(count):
        sign = None
        while sign is None or min(sign.shape) < 2 or sign.shape[1] > ASPECT * sign.shape[0]:
            sign = make_sign(stock, random)
        out[n] = fit_sign(np.ascontiguousarray(np.rot90(sign, turns[n])))
    return out, turns


def make_sign(stock: list[list[Picture]], random: Random) -> Picture | None:
    """Make one upright sign; None where chance left none of it."""
    kind = int(random.choice(len(stock), p=SHARES))
    at = int(random.integers(len(stock[kind])))
    sign = cut(stock[kind][at])
    if sign is not None and kind == 0 and random.random() < 0.3:
        for following in stock[0][at + 1 : at + int(random.integers(2, 4))]:
            sign = join(sign, cut(following), int(random.integers(-1, 2)))
    return None if sign is None else scan(bend(sign, random), random)


def join(one: Picture, other: Picture | None, gap: int) -> Picture:
    """Put a sign beside another, on one line, `gap` px apart."""
    if other is None:
        return one
    high = max(len(one), len(other))
    one, other = (np.pad(sign, ((high - len(sign), 0), (0, 0))) for sign in (one, other))
    return np.hstack([one, np.zeros((high, max(0, gap)), np.uint8), other])


def bend(sign: Picture, random: Random) -> Picture:
    """Slant a sign, turn it a little, and make it thinner or bolder."""
    slant, turn = random.normal(0, 0.12), np.radians(random.normal(0, 3))
    matrix = np.array([[np.cos(turn), slant - np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    big = np.pad(sign, max(sign.shape) // 2 + 2)
    middle = np.array(big.shape[::-1]) / 2
    affine = np.column_stack([matrix, middle - matrix @ middle])
    bent = cv2.warpAffine(big, affine, big.shape[::-1])
    chance = random.random()
    if chance < 0.3:
        side = 2 if chance < 0.15 else 3
        return np.asarray(cv2.dilate(bent, np.ones((side, side), np.uint8)), np.uint8)
    thin = cv2.erode(bent, np.ones((2, 2), np.uint8))
    return np.asarray(thin if chance < 0.44 and (thin > INK).sum() > 20 else bent, np.uint8)


def scan(sign: Picture, random: Random) -> Picture | None:
    """Scan a sign at 7 to 32 px, sharp, soft or in one bit, and cut it to its ink."""
    whole = cut(sign)
    if whole is None:
        return None
    scale_by = min(1.0, random.uniform(7, 32) / len(whole))
    size = [max(2, round(side * scale_by)) for side in whole.shape[::-1]]
    small = cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
    chance = random.random()
    if chance < 0.5:
        small = np.where(small > random.uniform(70, 150), 255, 0)
    elif chance < 0.7:
        small = cv2.GaussianBlur(np.pad(small, 1), (0, 0), 0.6)
    return cut(np.asarray(small, np.uint8))


def make_blobs(count: int, random: Random) -> Picture:
    """Make what is no sign: (count, 20, 20)."""
    out = np.empty((count, 20, 20), np.uint8)
    for n in range(count):
        blob = None
        while blob is None or max(blob.shape) > ASPECT * min(blob.shape):
            drawn = make_grain(random) if random.random() < 0.5 else make_shape(random)
            blob = scan(drawn, random)
        out[n] = fit_sign(blob)
    return out


def make_grain(random: Random) -> Picture:
    """Make a piece of a paper's pattern: (64, 64)."""
    sides = random.uniform(1.2, 6, 2)
    field = cv2.GaussianBlur(random.normal(0, 1, (64, 64)), (0, 0), sides[0], sigmaY=sides[1])
    mask = (field > np.quantile(field, random.uniform(0.6, 0.95))).astype(np.uint8)
    count, labels = cv2.connectedComponents(mask)
    return np.where(labels == random.integers(1, count), 255, 0).astype(np.uint8)


def make_shape(random: Random) -> Picture:
    """Make an ellipse, a ring, a polygon, its outline, a line or a box: (64, 64)."""
    out, kind = np.zeros((64, 64), np.uint8), int(random.integers(6))
    if kind < 2:
        axes, thick = random.integers(8, 28, 2).tolist(), -1 if kind == 0 else random.integers(1, 6)
        turn = float(random.choice((0, 90, random.uniform(0, 180))))
        cv2.ellipse(out, (32, 32), axes, turn, 0, 360, 255, int(thick))
    elif kind == 2:
        cv2.fillPoly(
            out, [random.integers(4, 60, (int(random.integers(3, 5)), 2)).astype(np.int32)], 255
        )
    elif kind < 5:
        points = random.integers(4, 60, (4 if kind == 3 else 2, 2)).astype(np.int32)
        cv2.polylines(out, [points], kind == 3, 255, int(random.integers(1, 6)))
    else:
        left, top = random.integers(4, 20, 2).tolist()
        right, low = random.integers(30, 60, 2).tolist()
        cv2.rectangle(out, (left, top), (right, low), 255, int(random.choice((-1, 1, 2, 3))))
    return out


def scale(pictures: Picture) -> NDArray[np.float32]:
    """Turn pictures (N, 20, 20) into what the network takes: (N, 20, 20, 1), 0 to 1."""
    return pictures[..., np.newaxis] / np.float32(255)


def train(pictures: Picture, labels: NDArray[np.int64], random: Random):
    """Train the network on pictures (N, 20, 20) of labels 0 to 4."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(SEED)
    shapes = {"strides": 2, "padding": "same", "activation": "relu"}
    network = keras.Sequential(
        [
            keras.Input((20, 20, 1)),
            layers.Conv2D(16, 5, kernel_initializer="he_normal", **shapes),
            layers.Conv2D(32, 3, kernel_initializer="he_normal", **shapes),
            layers.Flatten(),
            layers.Dropout(DROPOUT),
            layers.Dense(48, activation="relu"),
            layers.Dense(5),
        ]
    )
    rate = keras.optimizers.schedules.CosineDecay(RATE, EPOCHS * (len(labels) // BATCH))
    network.compile(
        keras.optimizers.AdamW(rate, weight_decay=DECAY),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    for _ in range(EPOCHS):
        order = random.permutation(len(labels))
        for at in range(0, len(order) - BATCH + 1, BATCH):
            some = order[at : at + BATCH]
            network.train_on_batch(scale(pictures[some]), labels[some])
    return network


if __name__ == "__main__":
    main()
