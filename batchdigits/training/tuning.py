"""Both networks of a bundle learn from a few digits of one inbox, and forget nothing.

Digits of MNIST are mixed among those of the inbox. Of these the networks learn what the careful
network thought before, and not their labels alone (Li and Hoiem: "Learning without forgetting",
ECCV 2016). The weights that come of it are averaged with those from before (Wortsman and others:
"Robust fine-tuning of zero-shot models", CVPR 2022).
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits import predict
from batchdigits.labelled import LabelledCrops
from batchdigits.normalize import shares
from batchdigits.predict import backend
from batchdigits.training import corpus, default
from batchdigits.training.network import KINDS, Kind, with_weights_of

EPOCHS = 10
RATE = 5e-4
"""The highest learning rate."""
BATCH = 512
"""Pictures that a network reads in one go."""

Networks = Mapping[Kind, Any]
Pictures = NDArray[np.uint8]
"""Digits as the networks see them, shape (N, 28, 28)."""


@dataclass(frozen=True, slots=True)
class TuningPlan:
    """How a tuning goes.

    Attributes:
        epochs: how often all digits are seen.
        seed: makes it repeatable on one machine.
    """

    epochs: int = EPOCHS
    seed: int = 1


def tune_networks(start: Networks, sets: Sequence[LabelledCrops], plan: TuningPlan) -> Networks:
    """Let both networks learn from sets of digits, altered anew in each epoch.

    Args:
        start: the networks to start from, which stay as they are.
        sets: what to learn from, first the inbox's own.
        plan: how long, and what makes it repeatable.
    """
    import keras  # noqa: PLC0415

    found = corpus.gather({str(n): one for n, one in enumerate(sets)})
    steps = math.ceil(corpus.epoch_size(found) / default.BATCH) * plan.epochs
    keras.utils.set_random_seed(plan.seed)
    models = {kind: _prepare_network(start[kind], kind, steps) for kind in KINDS}
    answer = partial(_make_targets, own=corpus.count_first(found), teachers=[start["careful"]])
    made = corpus.epochs(found, answer, first=0, count=plan.epochs, seed=plan.seed)
    with closing(made):
        for pictures, targets in made:
            for model in models.values():
                default.learn_epoch(model, pictures, targets)
    return {
        kind: default.weighed(with_weights_of(model, kind), corpus.STRANGERS, default.EXPECTED)
        for kind, model in models.items()
    }


def _prepare_network(start: Any, kind: Kind, steps: int) -> Any:
    model = with_weights_of(start, kind, backend.choose_training_dtype())
    default.weighed(model, default.EXPECTED, corpus.STRANGERS)
    default.compile_network(model, RATE, steps)
    return model


def _make_targets(
    pictures: Pictures, labels: NDArray[np.int64], own: int, teachers: Sequence[Any]
) -> NDArray[np.float32]:
    """Give each class its probability: the first `own` digits as people said, others as taught."""
    said = default.make_targets(pictures[:own], labels[:own], ())
    return np.concatenate([said, default.make_targets(pictures[own:], labels[own:], teachers)])


def average_networks(start: Networks, tuned: Networks, share: float) -> Networks:
    """Return networks with averaged weights: `share` of the tuned, and the rest of the start's."""
    out: dict[Kind, Any] = {}
    for kind in KINDS:
        out[kind] = with_weights_of(start[kind], kind)
        pairs = zip(start[kind].get_weights(), tuned[kind].get_weights(), strict=True)
        out[kind].set_weights([(1 - share) * a + share * b for a, b in pairs])
    return out


def compute_logits(
    networks: Networks, pictures: Pictures, card: predict.Card, temperature: float
) -> NDArray[np.float32]:
    """Compute logits, shape (N, 11), as a run does: the careful network reads what is doubted.

    Args:
        networks: both.
        pictures: shape (N, 28, 28).
        card: has the gate, and the temperatures whose quotient holds for any temperature.
        temperature: the quick network's.
    """
    assert card.careful is not None
    out = _read_pictures(networks["quick"], pictures)
    doubted = predict.find_doubted(out, temperature, card.careful.gate)
    if doubted.any():
        scale = np.float32(card.temperature / card.careful.temperature)
        out[doubted] = _read_pictures(networks["careful"], pictures[doubted]) * scale
    return out


def _read_pictures(model: Any, pictures: Pictures) -> NDArray[np.float32]:
    parts = [
        np.asarray(model(shares(pictures[at : at + BATCH, ..., None]), training=False))
        for at in range(0, len(pictures), BATCH)
    ]
    return np.concatenate(parts)
