"""Both networks of a bundle learn from a few digits of one inbox, among others that they know.

Digits of MNIST are mixed among those of the inbox, so that these are not all that counts. Which the
quick network doubts are mixed in several times: they are forgotten first.
"""

import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.labelled import LabelledCrops
from batchdigits.predict import backend
from batchdigits.training import corpus, default
from batchdigits.training.averaging import Networks
from batchdigits.training.network import KINDS, Kind, with_weights_of

EPOCHS = 8
RATE = 5e-4
"""The highest learning rate."""
OWN_TIMES, DOUBTED_TIMES = 3, 4
"""How often an epoch shows a digit of the inbox, and one of the others that is doubted; each time
it is altered otherwise."""


@dataclass(frozen=True, slots=True)
class TuningPlan:
    """How a tuning goes.

    Attributes:
        epochs: how often all digits are seen.
        seed: makes it repeatable on one machine.
    """

    epochs: int = EPOCHS
    seed: int = 1


def repeat_digits(found: LabelledCrops, times: NDArray[np.int64]) -> LabelledCrops:
    """Return each digit as often as `times`, shape (N,), says."""
    return found.select(np.repeat(np.arange(len(found.labels)), times))


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
    answer = partial(default.make_targets, teachers=())
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
