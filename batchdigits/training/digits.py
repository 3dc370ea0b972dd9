"""Labelled sets → the digits that recipes learn from, as the tutorials feed them."""

import socket
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits import labelled
from batchdigits.errors import UsageError
from batchdigits.labelled import LabelledCrops
from batchdigits.normalize import grey_levels

ONE_IN = 7
"""Of sets without a test part every seventh digit is held out for it, as MNIST's own 10,000 are."""
PATIENCE = 60
"""How long a download may stand still, s."""


class Digits(NamedTuple):
    """Pictures and their labels.

    Attributes:
        pictures: uint8, shape (N, 28, 28), ink light on dark.
        labels: int64, shape (N,), 0 to 9.
    """

    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64]


class Parts(NamedTuple):
    """What a recipe learns from, what it is tested on, and remarks for people."""

    train: Digits
    test: Digits
    remarks: list[str]


def read(place: str | None, names: Mapping[str, str]) -> Parts:
    """Read a labelled set, MNIST where `place` is None, and check that ten digits can be learned.

    Pictures of 28 x 28 with light ink on dark are taken as they are, as the tutorials take
    MNIST's; where a set has others, all of it goes through `normalize`, as what `run` reads does.

    Raises:
        UsageError: it is no such set, it holds more than digits, or a digit is missing.
    """
    remarks: list[str] = []
    train, test = mnist() if place is None else _parts(place, names, remarks)
    shown = place or "MNIST"
    labels = np.concatenate([train.labels, test.labels])
    if strange := int((~labelled.is_digit(labels)).sum()):
        raise UsageError(
            f"'{shown}': recipes learn digits alone, and {strange:,} crops are empty or no digits: "
            "leave them out by --labels LABEL=skip"
        )
    if missing := sorted(set(range(10)) - set(train.labels.tolist())):
        raise UsageError(
            f"'{shown}': expected all ten digits to learn from, got none of "
            f"{', '.join(map(str, missing))}"
        )
    if not (_as_mnist(train) and _as_mnist(test)):
        remarks.append(
            "the pictures are not all 28 x 28 with light ink on dark: brought there by "
            "normalize, as run does"
        )
        return Parts(normalized(train), normalized(test), remarks)
    return Parts(_as_they_are(train), _as_they_are(test), remarks)


def mnist() -> tuple[LabelledCrops, LabelledCrops]:
    """Have Keras download MNIST, or take it from where Keras keeps what it has downloaded."""
    import keras  # noqa: PLC0415  (heavy: only when called)

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        parts: Any = keras.datasets.mnist.load_data()
    except Exception as error:
        raise UsageError(
            f"MNIST cannot be downloaded: {error}; give a labelled set by --data, as in "
            "--data mnist.npz"
        ) from None
    finally:
        socket.setdefaulttimeout(before)
    train, test = (LabelledCrops(x, y.astype(np.int64), [""] * len(x)) for x, y in parts)
    return train, test


def _parts(
    place: str, names: Mapping[str, str], remarks: list[str]
) -> tuple[LabelledCrops, LabelledCrops]:
    train = labelled.load_labelled_crops(place, part="train", names=names)
    if "test" in labelled.list_parts(place):
        return train, labelled.load_labelled_crops(place, part="test", names=names)
    random = np.random.default_rng(0)
    mixed = random.permutation(len(train.labels))
    ordered = mixed[np.argsort(train.labels[mixed], kind="stable")]
    kept, out = np.sort(ordered[np.arange(len(ordered)) % ONE_IN > 0]), np.sort(ordered[::ONE_IN])
    remarks.append(f"'{place}' has no test part: one digit in {ONE_IN} is held out for it")
    return train.select(kept), train.select(out)


def _as_mnist(found: LabelledCrops) -> bool:
    """Tell whether pictures are 28 x 28 with light ink: the border's median is dark."""
    crops = found.crops
    if not isinstance(crops, np.ndarray) or crops.shape[1:] != (28, 28):
        return False
    return bool(np.median(np.stack([crops[:, [0, -1]], crops[:, :, [0, -1]].swapaxes(1, 2)])) < 128)


def _as_they_are(found: LabelledCrops) -> Digits:
    return Digits(np.asarray(found.crops), found.labels)


def normalized(found: LabelledCrops) -> Digits:
    """Bring crops of any kind to pictures as `run` shows them to a model."""
    return Digits(grey_levels(list(found.crops)).pictures[..., 0], found.labels)
