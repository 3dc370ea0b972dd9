"""The recipe of the model that the package ships: small, quick, and taught what is no digit."""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from batchdigits.errors import ModelError
from batchdigits.labelled import NO_DIGIT_LABEL, is_digit
from batchdigits.normalize import shares
from batchdigits.predict import backend, load_keras_model
from batchdigits.training import corpus, show
from batchdigits.training.network import Kind, network, with_weights_of
from batchdigits.training.pen import LabelledSet

EPOCHS: dict[Kind, int] = {"quick": 45, "careful": 40}
GATE = 0.985
"""The careful network reads what the quick one is less confident of. It lies by the threshold, so
that nothing is for review that was not looked at twice; at 0.97 one digit in fifty less was `ok`,
and no less of those were wrong."""
BATCH = 256
ANSWERED = 2048
"""Pictures that teachers look at in one go."""
RATE, LEAST_RATE, DECAY, CLIP = 2e-3, 1e-5, 0.05, 1.0
"""Of AdamW: the highest and the last learning rate, along a cosine; the weights' decay; the
gradient's largest norm."""
TAUGHT = 0.7
"""Weight of the teachers' opinion of a digit beside its label's. (Furlanello and others:
"Born-again neural networks", ICML 2018: a network learns more from another's doubts.)"""
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
    teachers: Sequence[Any] = (),
) -> Any:
    """Train the network on labelled sets, altered anew in each epoch.

    Args:
        sets: what to learn from, each by its name; `held_out` is the caller's to do.
        plan: how long, and what makes it repeatable.
        tell: called after each epoch with its number from 1, the mean loss, and the network.
        start: a network as this function returns it, to start from instead of from chance.
        teachers: networks as this function returns them, whose mean opinion of each altered digit
            is learned beside its label. What they think of marks is not.

    Returns:
        The trained network, computing in float32, and reckoning with `EXPECTED`.

    Raises:
        ModelError: the checkpoint is of another training, or the start of another recipe.
        UsageError: there is no ink in the sets.
    """
    import keras  # noqa: PLC0415

    found = corpus.gather(sets)
    steps = math.ceil(corpus.epoch_size(found) / BATCH)
    learned_from = [start, *teachers]
    name = f"{plan.kind}_{plan.count}x{steps}_seed{plan.seed}_{_mark(found, learned_from):08x}"
    keras.utils.set_random_seed(plan.seed)
    if plan.checkpoint.exists():
        model = _resumed(plan.checkpoint, name)
    else:
        model = _fresh(name, plan, plan.count * steps, start)
    first = int(model.optimizer.iterations) // steps
    answer = partial(make_targets, teachers=teachers)
    made = corpus.epochs(found, answer, first=first, count=plan.count, seed=plan.seed)
    with closing(made):
        for epoch, (pictures, targets) in enumerate(made, first):
            for layer in model.layers:
                if hasattr(layer, "seed_generator"):  # dropout: an epoch's chance is its own
                    layer.seed_generator.state.assign([plan.seed, epoch])
            loss = learn_epoch(model, pictures, targets)
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


def make_targets(
    pictures: NDArray[np.uint8], labels: NDArray[np.int64], teachers: Sequence[Any]
) -> NDArray[np.float32]:
    """Give each class its probability: as labelled, and of digits as the teachers think.

    They reckon with `EXPECTED`, as `fit` returns them, and are asked as a training reckons.
    """
    out = np.eye(NO_DIGIT_LABEL + 1, dtype=np.float32)[labels]
    digit = np.flatnonzero(is_digit(labels))
    more = _log_odds(corpus.STRANGERS) - _log_odds(EXPECTED)
    for at in range(0, len(digit), ANSWERED):
        rows = digit[at : at + ANSWERED]
        shown = shares(pictures[rows, ..., np.newaxis])
        for teacher in teachers:
            logits = teacher.predict_on_batch(shown)
            logits[:, NO_DIGIT_LABEL] += more
            thought = softmax(logits, axis=1) - np.eye(NO_DIGIT_LABEL + 1)[labels[rows]]
            out[rows] += TAUGHT / len(teachers) * thought
    return out


def _mark(found: corpus.Corpus, networks: Sequence[Any]) -> int:
    """Sum up in 32 bits what a training begins with, so that it goes on with the same alone."""
    weights = [one for model in networks if model is not None for one in model.get_weights()]
    mark = 0
    for held in (found.plain, found.labels, found.sources, *weights):
        mark = zlib.crc32(held.tobytes(), mark)
    return mark


def _fresh(name: str, plan: DefaultPlan, steps: int, start: Any) -> Any:
    dtype = backend.choose_training_dtype()
    if start is None:
        model, highest = network(plan.kind, dtype), RATE
    else:
        model, highest = with_weights_of(start, plan.kind, dtype), RATE / 10
        weighed(model, EXPECTED, corpus.STRANGERS)
    model.name = name
    compile_network(model, highest, steps)
    return model


def compile_network(model: Any, highest: float, steps: int) -> None:
    """Prepare a network for a training of so many steps, of which one has the highest rate."""
    import keras  # noqa: PLC0415

    rate = keras.optimizers.schedules.CosineDecay(
        LEAST_RATE, steps, warmup_target=highest, warmup_steps=max(1, steps // 20)
    )
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=DECAY, global_clipnorm=CLIP),
        keras.losses.CategoricalCrossentropy(from_logits=True),
    )


def _resumed(checkpoint: Path, name: str) -> Any:
    model = load_keras_model(checkpoint, compiled=True)
    if model.name != name:
        raise ModelError(
            f"'{checkpoint}' is of another training ({model.name}, this is {name}): remove it, "
            "or give the same data, epochs, seed and start"
        )
    return model


def learn_epoch(model: Any, pictures: NDArray[np.uint8], targets: NDArray[np.float32]) -> float:
    """Show the network an epoch's pictures once; return the mean loss."""
    total = 0.0
    for at in range(0, len(targets), BATCH):
        shown = shares(pictures[at : at + BATCH, ..., np.newaxis])
        model.reset_metrics()  # Keras 3.15 does so itself, earlier versions give a running mean
        loss = model.train_on_batch(shown, targets[at : at + BATCH])
        total += float(loss) * len(shown)
    return total / len(targets)
