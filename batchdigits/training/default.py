"""The recipe of the model that the package ships: small, quick, and taught what is no digit."""

import math
import zlib
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import ModelError
from batchdigits.labelled import NO_DIGIT_LABEL
from batchdigits.normalize import shares
from batchdigits.predict import backend, load_keras_model
from batchdigits.training import corpus, show
from batchdigits.training.network import Kind, network, with_weights_of
from batchdigits.training.pen import LabelledSet

EPOCHS: dict[Kind, int] = {"quick": 70, "careful": 40}
GATE = 0.97
"""The careful network reads what the quick one is less confident of."""
BATCH = 256
RATE, LEAST_RATE, DECAY, CLIP = 2e-3, 1e-5, 0.05, 1.0
"""Of AdamW: the highest and the last learning rate, along a cosine; the weights' decay; the
gradient's largest norm."""
EXPECTED = 0.02
"""Share of what is no digit among the marks that a run meets."""
ONE_IN, MOST = 10, 500
"""Of each class of a set the last one in ten is held out, at most so many."""

Tell = Callable[[int, float, Any], None]


def held_out(found: LabelledSet) -> tuple[LabelledSet, LabelledSet]:
    """Part a set into what is trained on and what is not: the last of each class.

    The last, and not some by chance: neighbours in a set are often by one hand.
    """
    out = np.zeros(len(found.labels), bool)
    for label in np.unique(found.labels):
        places = np.flatnonzero(found.labels == label)
        out[places[len(places) - min(len(places) // ONE_IN, MOST) :]] = True
    return found.select(np.flatnonzero(~out)), found.select(np.flatnonzero(out))


@dataclass(frozen=True, slots=True)
class DefaultPlan:
    """How a training goes.

    Attributes:
        kind: which network.
        count: number of epochs; the learning rate falls along a cosine over them.
        seed: makes the run repeatable on one machine, also where it was interrupted.
        checkpoint: a `.keras` file that the network is kept in after every epoch; where it is
            there, training goes on from it.
    """

    kind: Kind
    count: int
    seed: int
    checkpoint: Path


def fit(
    sets: Mapping[str, LabelledSet],
    plan: DefaultPlan,
    *,
    tell: Tell | None = None,
    start: Any = None,
) -> Any:
    """Train the network on labelled sets, altered anew in each epoch.

    Args:
        sets: what to learn from, each by its name; `held_out` is the caller's to do.
        plan: how long, and what makes it repeatable.
        tell: called after each epoch with its number from 1, the mean loss, and the network.
        start: a network as this function returns it, to start from instead of from chance.

    Returns:
        The trained network, computing in float32, and reckoning with `EXPECTED`.

    Raises:
        ModelError: the checkpoint is of another training, or the start of another recipe.
        UsageError: there is no ink in the sets.
    """
    import keras  # noqa: PLC0415

    found = corpus.gather(sets)
    steps = math.ceil(corpus.epoch_size(found) / BATCH)
    name = f"{plan.kind}_{plan.count}x{steps}_seed{plan.seed}_{_mark(found, start):08x}"
    keras.utils.set_random_seed(plan.seed)
    if plan.checkpoint.exists():
        model = _resumed(plan.checkpoint, name)
    else:
        model = _fresh(name, plan, plan.count * steps, start)
    first = int(model.optimizer.iterations) // steps
    made = corpus.epochs(found, first=first, count=plan.count, seed=plan.seed)
    with closing(made):
        for epoch, (pictures, labels) in enumerate(made, first):
            for layer in model.layers:
                if hasattr(layer, "seed_generator"):  # dropout: an epoch's chance is its own
                    layer.seed_generator.state.assign([plan.seed, epoch])
            loss = _epoch(model, pictures, labels)
            with show.aside(plan.checkpoint) as under:
                model.save(under)
            if tell:
                tell(epoch + 1, loss, model)
    return weighed(with_weights_of(model, plan.kind), corpus.STRANGERS, EXPECTED)


def weighed(model: Any, before: float, now: float) -> Any:
    """Bring a network from one share of what is no digit to another, by the bias of that class.

    Trained on one stranger in seven, it would doubt every odd 7 on forms, where strangers are
    rare (Saerens and others: "Adjusting the outputs of a classifier to new a priori
    probabilities", Neural Computation 14, 2002).

    Args:
        model: as from `network`; it is changed.
        before: the share that it reckons with, in (0, 1).
        now: the share that it shall reckon with.
    """
    kernel, bias = model.layers[-1].get_weights()
    bias[NO_DIGIT_LABEL] += _log_odds(now) - _log_odds(before)
    model.layers[-1].set_weights([kernel, bias])
    return model


def _log_odds(share: float) -> float:
    return math.log(share / (1 - share))


def _mark(found: corpus.Corpus, start: Any) -> int:
    """Sum up in 32 bits what a training begins with, so that it goes on with the same alone."""
    weights = [] if start is None else start.get_weights()
    mark = 0
    for held in (found.plain, found.labels, found.sources, *weights):
        mark = zlib.crc32(held.tobytes(), mark)
    return mark


def _fresh(name: str, plan: DefaultPlan, steps: int, start: Any) -> Any:
    import keras  # noqa: PLC0415

    dtype = backend.choose_training_dtype()
    if start is None:
        model, highest = network(plan.kind, dtype), RATE
    else:
        model, highest = with_weights_of(start, plan.kind, dtype), RATE / 10
        weighed(model, EXPECTED, corpus.STRANGERS)
    model.name = name
    rate = keras.optimizers.schedules.CosineDecay(
        LEAST_RATE, steps, warmup_target=highest, warmup_steps=max(1, steps // 20)
    )
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=DECAY, global_clipnorm=CLIP),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


def _resumed(checkpoint: Path, name: str) -> Any:
    model = load_keras_model(checkpoint, compiled=True)
    if model.name != name:
        raise ModelError(
            f"'{checkpoint}' is of another training ({model.name}, this is {name}): remove it, "
            "or give the same data, epochs, seed and start"
        )
    return model


def _epoch(model: Any, pictures: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
    """Show the network an epoch's pictures once; return the mean loss."""
    total = 0.0
    for at in range(0, len(labels), BATCH):
        shown = shares(pictures[at : at + BATCH, ..., np.newaxis])
        model.reset_metrics()  # Keras 3.15 does so itself, earlier versions give a running mean
        loss = model.train_on_batch(shown, labels[at : at + BATCH])
        total += float(loss) * len(shown)
    return total / len(labels)
