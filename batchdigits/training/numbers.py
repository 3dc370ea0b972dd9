"""Train the reader of numbers on composed strings, and on real ones where there are any."""

import math
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import ModelError
from batchdigits.normalize import shares
from batchdigits.normalize.strips import MARGIN, strip
from batchdigits.predict import backend, load_keras_model
from batchdigits.predict.augmentation import distort_strip
from batchdigits.records import GreyImage
from batchdigits.training import show
from batchdigits.training.corpus import Corpus
from batchdigits.training.lines import OTHER
from batchdigits.training.material import Material, Real, compute_mark
from batchdigits.training.paper import rescanned
from batchdigits.training.pen import Random
from batchdigits.training.reader import BLANK, STRIDE, loss, network
from batchdigits.training.signs import add_cross, strike_out
from batchdigits.training.strings import STRUCK, TICKED, Hands

ROUND = 12_000
"""Strings that are made at a time, unless a plan says otherwise."""
SHARD = 500
"""Strings that one process makes at a time."""
SHOWN = 4
"""How often a string is shown: making it takes longer than learning from it."""
COLUMNS = 32 * 160
"""Columns of strips in a batch."""
DROPOUT = (0.2, 0.4)
"""On composed strings alone, and with real ones: they are few, and learned by heart too soon."""
MOVED = (0.08, 0.05, 0.04, 1.0)
"""How far strips are altered: lean, stretch across and upright (of the logarithm), columns."""
FAVOURITE = 0.6
"""Share of the composed strings that are of digits cut out of real ones, where there are any."""
LONGEST = 32
"""Signs of a string at most."""
RATE, LEAST, DECAY, CLIP, WARM = 2e-3, 1e-5, 0.02, 1.0, 0.03
"""Of AdamW: the highest and the last learning rate, along a cosine after a warm-up of this share;
the weights' decay; the gradient's largest norm."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a training goes.

    Attributes:
        rounds: how many times strings are made.
        seed: makes the run repeatable on one machine.
        checkpoint: a `.keras` file that the network is kept in after every round; where it is
            there, training goes on from it.
        rate: the highest learning rate.
        real: share of the strings that are real ones, altered.
        makers: processes that make strings.
        strings: that are made in a round, in shards of `SHARD`.
    """

    rounds: int
    seed: int
    checkpoint: Path
    rate: float = RATE
    real: float = 0.0
    makers: int = 1
    strings: int = field(default_factory=lambda: ROUND)

    def finer(self, rounds: int, rate: float, real: float) -> "Plan":
        """Plan what comes after: with real strings among the composed."""
        return replace(self, rounds=rounds, rate=rate, real=real)

    def keep_in(self, checkpoint: Path) -> "Plan":
        """Return the same plan with another checkpoint."""
        return replace(self, checkpoint=checkpoint)


class Strips(NamedTuple):
    """Strips of one width with their labels, as `reader.loss` takes them."""

    pictures: NDArray[np.uint8]
    labels: NDArray[np.int16]


def fit(
    material: Material,
    plan: Plan,
    *,
    start: Any = None,
    tell: Callable[[int, float, Any], None] | None = None,
) -> Any:
    """Train the reader.

    Args:
        material: what it learns from.
        plan: how long, and what makes it repeatable.
        start: a network to start from, instead of from chance.
        tell: called after each round with its number from 1, the mean loss, and the network.

    Returns:
        The network, computing in float32; it is what the checkpoint then holds.

    Raises:
        ModelError: the checkpoint is of another training.
    """
    import keras  # noqa: PLC0415

    keras.utils.set_random_seed(plan.seed)
    weights = [] if start is None else start.get_weights()
    mark = compute_mark(material, weights, f"{plan.rate} {plan.real}")
    name = f"numbers_{plan.rounds}_seed{plan.seed}_{mark:08x}"
    if plan.checkpoint.exists():
        model = load_keras_model(plan.checkpoint)
        if not model.name.startswith(name):
            raise ModelError(
                f"'{plan.checkpoint}' is of another training: remove it, or give the same data, "
                "epochs, seed and start"
            )
        first = int(model.name.rpartition("_at")[2])
    else:
        dropout = DROPOUT[0] if material.real is None else DROPOUT[1]
        model, first = network(backend.choose_training_dtype(), dropout), 0
        if start is not None:
            model.set_weights(start.get_weights())
    compile_network(model, plan)
    for number, mean_loss in learn_rounds(model, material, plan, first, warm=start is None):
        model.name = f"{name}_at{number + 1}"
        with show.aside(plan.checkpoint) as under:
            model.save(under, include_optimizer=False)
        if tell:
            tell(number + 1, mean_loss, model)
    out = network()
    out.set_weights(model.get_weights())
    out.name = model.name
    with show.aside(plan.checkpoint) as under:
        out.save(under)
    return out


def compile_network(model: Any, plan: Plan) -> None:
    """Prepare a network for `learn_rounds`."""
    import keras  # noqa: PLC0415

    optimizer = keras.optimizers.AdamW(plan.rate, weight_decay=DECAY, global_clipnorm=CLIP)
    model.compile(optimizer, loss)


def learn_rounds(
    model: Any, material: Material, plan: Plan, first: int, *, warm: bool
) -> Iterator[tuple[int, float]]:
    """Let a network learn, and yield the number of each round, from 0, with the mean loss.

    Args:
        model: as from `compile_network`.
        material: what it learns from.
        plan: how long.
        first: the round to begin with.
        warm: whether the learning rate rises from nearly nothing, as from chance it must.
    """
    for number, made in rounds(material, plan, first):
        total = shown = 0.0
        for again in range(SHOWN):
            random = np.random.default_rng((plan.seed, number, again, 1))
            batches = list(_batches(made, random))
            for at, (pictures, labels) in enumerate(batches):
                done = (number + (again + at / len(batches)) / SHOWN) / plan.rounds
                model.optimizer.learning_rate.assign(_rate(plan.rate, done, warm=warm))
                got = float(model.train_on_batch(shares(pictures[..., None]), labels))
                total, shown = total + got * len(labels), shown + len(labels)
        yield number, total / max(1, shown)


def _rate(highest: float, done: float, *, warm: bool) -> float:
    if warm and done < WARM:
        return highest * (0.02 + 0.98 * done / WARM)
    return LEAST + (highest - LEAST) * (1 + math.cos(math.pi * done)) / 2


def _batches(made: Sequence[Strips], random: Random) -> Iterator[tuple[Any, Any]]:
    """Cut strips of each width into batches, in an order by chance."""
    cuts = []
    for strips in made:
        size = max(4, COLUMNS // strips.pictures.shape[2])
        order = random.permutation(len(strips.labels))
        # whole batches alone: each other size would have to be traced
        cuts += [(strips, order[at : at + size]) for at in range(0, len(order) - size + 1, size)]
    for at in random.permutation(len(cuts)).tolist():
        strips, rows = cuts[at]
        yield strips.pictures[rows], strips.labels[rows]


def rounds(material: Material, plan: Plan, first: int) -> Iterator[tuple[int, list[Strips]]]:
    """Make the strings of each round while those of the one before are learned."""
    pool = ProcessPoolExecutor(
        plan.makers, get_context("forkserver"), initializer=_set, initargs=(material,)
    )

    def start(number: int) -> list[Any]:
        shards = plan.strings // SHARD
        return [
            pool.submit(_shard, (plan.seed, number, at), SHARD, plan.real if material.real else 0.0)
            for at in range(shards)
        ]

    try:
        waiting = start(first) if first < plan.rounds else []
        for number in range(first, plan.rounds):
            shards = waiting
            waiting = start(number + 1) if number + 1 < plan.rounds else []
            yield number, _joined([one.result() for one in shards])
    finally:
        pool.shutdown(cancel_futures=True)


def _joined(shards: Sequence[list[Strips]]) -> list[Strips]:
    widths = sorted({one.pictures.shape[2] for shard in shards for one in shard})
    out = []
    for width in widths:
        same = [one for shard in shards for one in shard if one.pictures.shape[2] == width]
        parts = zip(*same, strict=True)
        out.append(Strips(*(np.concatenate(part) for part in parts)))
    return out


_hands: list[tuple[Hands, Real | None, NDArray[np.float64] | None]] = []


def _set(material: Material) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the command's to act on
    cv2.setNumThreads(1)
    corpus, written, real = material
    favourite = 0.0
    if real is not None and len(real.inks):
        source = int(corpus.sources.max()) + 1
        corpus = Corpus(
            [*corpus.inks, *real.inks],
            corpus.plain,
            np.concatenate([corpus.labels, np.array(real.labels, np.int64)]),
            np.concatenate([corpus.sources, np.full(len(real.inks), source)]),
        )
        favourite = FAVOURITE
    _hands[:] = [(Hands(corpus, favourite, written), real, real and _weigh_strings(real))]


def _weigh_strings(real: Real) -> NDArray[np.float64]:
    """Return the sums (N,), up to each string, of the shares in which the strings are taken."""
    weights = np.array(real.weights or [1.0] * len(real.crops))
    return np.asarray(np.cumsum(weights / weights.sum()))


def _moved(picture: GreyImage, random: Random) -> GreyImage:
    """Alter a strip a little, as its slant and its box are measured a little otherwise."""
    if not picture.shape[1]:
        return picture
    lean, wider, taller, right = random.normal(0, 1, 4) * MOVED
    room = 2 * 0.8 * MARGIN / picture.shape[1]  # what leaves the strip cannot be read
    wider, taller = np.exp([np.clip(wider, -room, room), taller])
    return distort_strip(picture, lean=lean, wider=wider, taller=taller, right=right)


def _shard(seed: tuple[int, ...], count: int, share: float) -> list[Strips]:
    """Make up to `count` strips by chance, sorted by width; `share` of them are real ones."""
    (hands, real, weights), random = _hands[0], np.random.default_rng(seed)
    by_width: dict[int, list[tuple[GreyImage, list[int]]]] = {}
    for _ in range(count):
        if real is not None and weights is not None and random.random() < share:
            at = min(int(np.searchsorted(weights, random.random())), len(real.crops) - 1)
            crop, signs = real.crops[at], list(map(int, real.digits[at]))
            if len(signs) > 1 and random.random() < STRUCK:
                crop, signs = strike_out(crop, random), [OTHER] * len(signs)
            elif random.random() < TICKED:
                crop = add_cross(crop, random)
            crop = rescanned(crop, random)
            labels = [1, *signs]
        else:
            crop, signs = hands.strip(random)
            labels = [0, *signs]
        found = strip(crop, invert="yes")
        found = found._replace(picture=_moved(found.picture, random))
        least = len(signs) + sum(a == b for a, b in zip(signs[1:], signs[:-1], strict=True))
        if found.fault or not 0 < least <= found.picture.shape[1] // STRIDE or least > LONGEST:
            continue
        filled = labels + [BLANK] * (1 + LONGEST - len(labels))
        by_width.setdefault(found.picture.shape[1], []).append((found.picture, filled))
    return [
        Strips(np.stack([p for p, _ in some]), np.array([y for _, y in some], np.int16))
        for _, some in sorted(by_width.items())
    ]
