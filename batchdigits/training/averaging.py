"""Weights before and after a tuning are averaged: as much of the new as forgets nothing.

The networks of several tunings from one start are averaged too: the mean reads better than each,
and forgets less (Wortsman and others: "Model soups", ICML 2022; "Robust fine-tuning of zero-shot
models", CVPR 2022).
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits import predict
from batchdigits.normalize import shares as to_shares
from batchdigits.training.comparison import Readings
from batchdigits.training.network import KINDS, Kind, with_weights_of

SHARES = tuple(tenths / 10 for tenths in range(11))
"""Of the tuned weights in the average with those from before; the first leaves a network as it
was."""
BATCH = 512
"""Pictures that a network reads in one go."""

Networks = Mapping[Kind, Any]
Pictures = NDArray[np.uint8]
"""Digits as the networks see them, shape (N, 28, 28)."""


class TunedShares(NamedTuple):
    """Of the tuned weights in each network, as indices of `SHARES`."""

    quick: int
    careful: int

    def describe(self) -> dict[Kind, float]:
        """Return the share of each network by its kind."""
        return {"quick": SHARES[self.quick], "careful": SHARES[self.careful]}


UNTUNED = TunedShares(0, 0)


class SharedReadings(NamedTuple):
    """How N digits are read at each share of the tuned weights.

    Attributes:
        quick: logits of the quick network, float32, shape (shares, N, 11).
        careful: of the careful network, scaled to the quick one's temperature.
        labels: shape (N,), 0 to 9.
        card: has the gate.
    """

    quick: NDArray[np.float32]
    careful: NDArray[np.float32]
    labels: NDArray[np.int64]
    card: predict.Card

    def combine(self, chosen: TunedShares) -> Readings:
        """Return the readings as a run makes them: the careful network reads what is doubted."""
        out = self.quick[chosen.quick].copy()
        doubted = _find_doubted(out, self.card)
        out[doubted] = self.careful[chosen.careful, doubted]
        return Readings(out, self.labels)


def _find_doubted(logits: NDArray[np.float32], card: predict.Card) -> NDArray[np.bool_]:
    assert card.careful is not None
    return predict.find_doubted(logits, card.temperature, card.careful.gate)


def read_at_shares(
    start: Networks,
    tuned: Networks,
    digits: tuple[Pictures, NDArray[np.int64]],
    card: predict.Card,
) -> SharedReadings:
    """Read digits at each share of the tuned weights in each network.

    Args:
        start: the networks from before.
        tuned: the networks after the tuning.
        digits: pictures and labels.
        card: of the networks from before.
    """
    assert card.careful is not None
    pictures, labels = digits
    quick = np.stack(
        [_read_pictures(one, pictures) for one in _blend_at_shares(start, tuned, "quick")]
    )
    doubted = np.any([_find_doubted(one, card) for one in quick], axis=0)
    careful = np.zeros_like(quick)
    scale = np.float32(card.temperature / card.careful.temperature)
    if doubted.any():
        for n, one in enumerate(_blend_at_shares(start, tuned, "careful")):
            careful[n, doubted] = _read_pictures(one, pictures[doubted]) * scale
    return SharedReadings(quick, careful, labels, card)


def find_doubted_digits(
    networks: Networks, pictures: Pictures, card: predict.Card
) -> NDArray[np.bool_]:
    """Tell which pictures, shape (N, 28, 28), the quick network doubts: shape (N,)."""
    return _find_doubted(_read_pictures(networks["quick"], pictures), card)


def join_parts(parts: Sequence[SharedReadings], order: NDArray[np.int64]) -> SharedReadings:
    """Join the readings of several parts, each by networks of its own, in another order, (N,)."""
    return SharedReadings(
        np.concatenate([one.quick for one in parts], axis=1)[:, order],
        np.concatenate([one.careful for one in parts], axis=1)[:, order],
        np.concatenate([one.labels for one in parts])[order],
        parts[0].card,
    )


def choose_shares(corrected: SharedReadings, guard: SharedReadings) -> TunedShares:
    """Choose shares that forget nothing, and read the corrected digits best.

    Args:
        corrected: held-out corrections; the fewest wrong are best, and of as many the least loss.
        guard: the guard digits, of which no more may be wrong than with the networks from before.
    """
    allowed = guard.combine(UNTUNED).count_wrong()
    temperature = corrected.card.temperature

    def judge(chosen: TunedShares) -> tuple[int, float]:
        one = corrected.combine(chosen)
        return one.count_wrong(), one.compute_loss(temperature)

    pairs = [TunedShares(*pair) for pair in product(range(len(SHARES)), repeat=2)]
    return min((pair for pair in pairs if guard.combine(pair).count_wrong() <= allowed), key=judge)


def average_networks(many: Sequence[Networks]) -> Networks:
    """Return networks whose weights are the mean of those of many."""
    return {
        kind: _with_mean_weights([one[kind] for one in many], [1 / len(many)] * len(many), kind)
        for kind in KINDS
    }


def blend_networks(start: Networks, tuned: Networks, chosen: TunedShares) -> Networks:
    """Return networks with so much of the tuned weights, and the rest of the start's."""
    return {
        kind: _with_mean_weights([start[kind], tuned[kind]], [1 - share, share], kind)
        for kind, share in chosen.describe().items()
    }


def _blend_at_shares(start: Networks, tuned: Networks, kind: Kind) -> Iterator[Any]:
    """Yield a network at each share of the tuned weights."""
    for share in SHARES:
        yield _with_mean_weights([start[kind], tuned[kind]], [1 - share, share], kind)


def _with_mean_weights(models: Sequence[Any], factors: Sequence[float], kind: Kind) -> Any:
    out = with_weights_of(models[0], kind)
    each = zip(*(model.get_weights() for model in models), strict=True)
    out.set_weights([sum(f * w for f, w in zip(factors, some, strict=True)) for some in each])
    return out


def _read_pictures(model: Any, pictures: Pictures) -> NDArray[np.float32]:
    parts = [
        np.asarray(model(to_shares(pictures[at : at + BATCH, ..., None]), training=False))
        for at in range(0, len(pictures), BATCH)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, 11), np.float32)
