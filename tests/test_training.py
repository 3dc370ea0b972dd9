import csv
import io
import json
import math
import os
import signal
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from conftest import drawn
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from batchdigits import cli, predict, report
from batchdigits.errors import ModelError, OutputError, UsageError
from batchdigits.labelled import EMPTY_LABEL, NO_DIGIT_LABEL, LabelledCrops
from batchdigits.normalize import grey_levels, normalize, shares
from batchdigits.options import RunOptions, TrainOptions
from batchdigits.predict import backend
from batchdigits.training import bundle, corpus, course, default, shipped, show, strangers
from batchdigits.training.alter import alter, written_otherwise
from batchdigits.training.corpus import Corpus
from batchdigits.training.digits import Digits, read
from batchdigits.training.network import network as default_network
from batchdigits.training.network import with_weights_of
from batchdigits.training.recipes import RECIPES, network
from batchdigits.training.strangers import stranger

Pictures = NDArray[np.uint8]


def light(count: int) -> Pictures:
    """Digits as MNIST has them: ink light on dark; 0 to 9 in turn."""
    return np.stack([255 - drawn(i % 10, seed=i // 10) for i in range(count)]).astype(np.uint8)


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# --- altering a digit ---


def cut(digit: int, seed: int = 0) -> Pictures:
    """A drawn digit as the recipe `default` alters it: ink light on no paper, cut to the ink."""
    (ink,) = corpus.cropped([drawn(digit, seed=seed)])
    return ink


@pytest.mark.parametrize(
    "ink",
    [
        cut(5),
        np.zeros((28, 28), np.uint8),
        np.full((28, 28), 255, np.uint8),
        random().integers(0, 256, (28, 28)).astype(np.uint8),
        np.full((60, 2), 200, np.uint8),
        np.full((1, 1), 255, np.uint8),
    ],
    ids=["a digit", "nothing", "all ink", "noise", "narrow", "one pixel"],
)
def test_altered_digits_stay_pictures(ink: Pictures) -> None:
    before = ink.copy()
    for seed in range(60):
        altered = alter(ink, random(seed), cut(3) if seed % 2 else None)
        assert altered.dtype == np.uint8
        assert altered.shape[0] == altered.shape[1]
        assert 20 <= altered.shape[0] <= 64
    assert (ink == before).all(), "the digit itself is left as it was"


def test_altering_is_repeatable() -> None:
    for seed in range(20):
        one, two = (alter(cut(3), random(seed), cut(8)) for _ in range(2))
        assert one.shape == two.shape
        assert (one == two).all()


def test_altering_differs_from_one_chance_to_the_next() -> None:
    chance = random()
    assert len({alter(cut(3), chance).tobytes() for _ in range(30)}) == 30


def test_an_altered_digit_keeps_its_ink_light() -> None:
    """Read as light ink on dark, as training reads them, hardly any is lost or becomes paper."""
    altered = [alter(cut(n % 10, n // 10), random(n)) for n in range(200)]
    found = grey_levels(altered, invert="no")
    assert (found.extent.max(1) > 0).mean() > 0.97
    dark = np.array([np.median(one) < np.quantile(one, 0.98) - 40 for one in altered])
    assert dark.mean() > 0.95, "most of a picture is paper, darker than what is on it"


def test_a_neighbour_reaches_in_at_the_sides() -> None:
    def mean(neighbour: Pictures | None) -> NDArray[np.float64]:
        nothing = np.zeros((28, 28), np.uint8)
        several = [alter(nothing, random(seed), neighbour) for seed in range(150)]
        return np.mean([cv2.resize(one, (64, 64)) for one in several], axis=0)

    more = mean(cut(8)) - mean(None)
    assert more[:, :12].mean() > 8
    assert more[:, -12:].mean() > 8
    assert abs(more[24:40, 24:40].mean()) < 5, "not as far as the digit's own place"


# --- the strokes that some countries give a 0 and a 7 ---


def doubled(ink: Pictures) -> Pictures:
    """As `written_otherwise` gives a digit before its new stroke."""
    big = cv2.resize(ink, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    return np.pad(big, 6)


@pytest.mark.parametrize("seed", range(8))
def test_a_0_gets_ink_in_its_middle(seed: int) -> None:
    ring = np.zeros((34, 26), np.uint8)
    cv2.ellipse(ring, (12, 16), (10, 14), 0, 0, 360, 255, 2 + seed % 3)
    before, after = doubled(ring), written_otherwise(ring, 0, random(seed))
    middle = before.shape[0] // 2, before.shape[1] // 2
    assert after.shape == before.shape
    assert (after >= before).all()
    assert before[middle] < 20
    assert after[middle] > 200


@pytest.mark.parametrize("seed", range(8))
def test_a_7_gets_a_bar_through_its_stem(seed: int) -> None:
    before = doubled(cut(7, seed))
    after = written_otherwise(cut(7, seed), 7, random(seed))
    assert after.shape == before.shape
    assert (after >= before).all()
    height, width = before.shape
    rows = slice(int(0.35 * height), int(0.7 * height))
    inked = [(one[rows] > 127).sum(axis=1).max() for one in (before, after)]
    assert inked[1] > inked[0] + 0.1 * width
    top = slice(0, int(0.25 * height))
    assert (after[top] == before[top]).all()


@pytest.mark.parametrize("seed", range(8))
def test_a_1_gets_a_stroke_that_leads_up_to_its_top(seed: int) -> None:
    plain = np.zeros((30, 9), np.uint8)
    plain[1:-1, 3:7] = 255
    after = written_otherwise(plain, 1, random(seed)) > 127
    stem = np.pad(doubled(plain), ((0, 0), (len(plain) - 6, 0))) > 127
    assert after.shape == stem.shape
    assert (after >= stem).all()
    y, x = np.nonzero(after & ~stem)
    assert x.max() <= np.nonzero(stem)[1].max()  # all to the left
    leftmost, topmost = y[x.argmin()], y.min()
    assert 0.1 * len(stem) < leftmost - topmost < 0.6 * len(stem)


@pytest.mark.parametrize(
    ("label", "inked"),
    [
        pytest.param(7, slice(None, 5), id="no stem where the bar would be"),
        pytest.param(1, slice(None), id="a 1 as wide as tall has its strokes already"),
        pytest.param(1, slice(0), id="no ink"),
    ],
)
def test_where_there_is_no_place_for_it_no_stroke_is_added(label: int, inked: slice) -> None:
    ink = np.zeros((30, 30), np.uint8)
    ink[inked] = 255
    for seed in range(10):
        assert written_otherwise(ink, label, random(seed)) is ink


# --- what is no digit ---


@pytest.mark.parametrize("kind", dict.fromkeys(strangers._KINDS), ids=lambda kind: kind.__name__)
def test_every_kind_of_stranger_is_ink(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "_KINDS", (kind,))
    several = [stranger(random(seed), [cut(3), cut(8)]) for seed in range(30)]
    for one in several:
        assert one.dtype == np.uint8
        assert one.shape[0] == one.shape[1]
        assert 22 <= one.shape[0] <= 64
        assert np.ptp(one) > 60
    assert len({one.tobytes() for one in several}) > 25


def test_strangers_are_repeatable() -> None:
    for seed in range(40):
        one, two = (stranger(random(seed), [cut(3), cut(8)]).tolist() for _ in range(2))
        assert one == two


# --- what an epoch is made of ---


def gathered(count: int, *more: int) -> Corpus:
    return corpus.gather({"drawn": labelled(count, *more)})


def test_gathering_leaves_out_what_is_empty_and_takes_marks_for_no_digits() -> None:
    cross = labelled(0, EMPTY_LABEL).crops[0]
    blank = np.full((28, 28), 250, np.uint8)
    crops = [drawn(4), blank, cross, blank, drawn(6, side=40), cross]
    first = LabelledCrops(
        crops, np.array([4, 7, EMPTY_LABEL, EMPTY_LABEL, 6, NO_DIGIT_LABEL]), [""] * 6
    )
    found = corpus.gather({"first": first, "second": labelled(3)})
    assert found.labels.tolist() == [4, NO_DIGIT_LABEL, 6, NO_DIGIT_LABEL, 0, 1, 2]
    assert found.sources.tolist() == [0, 0, 0, 0, 1, 1, 1]
    wanted = normalize([crops[n] for n in (0, 2, 4, 5)] + labelled(3).crops)
    assert (shares(found.plain) == wanted.pictures[..., 0]).all()
    assert len(found.inks) == 7
    for ink in found.inks:
        assert all(side.max() > 40 for side in (ink[0], ink[-1], ink[:, 0], ink[:, -1]))


def test_either_polarity_is_learned_as_the_same() -> None:
    dark = labelled(40)
    light_ = dark._replace(crops=[255 - crop for crop in dark.crops])
    one, two = (corpus.gather({"a": data}) for data in (dark, light_))
    assert (one.plain == two.plain).all()
    for a, b in zip(one.inks, two.inks, strict=True):
        assert (a == b).all()


@pytest.mark.parametrize(("paper", "ink"), [(110, 30), (120, 60), (140, 230), (160, 250)])
def test_ink_is_told_from_paper_as_normalize_does(paper: int, ink: int) -> None:
    """Dark ink on paper that is itself dark, as in old records, and light ink on light."""
    share = (255 - drawn(5)) / 255
    (found,) = corpus.cropped([np.rint(paper + share * (ink - paper)).astype(np.uint8)])
    wanted = cut(5)
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).max() < 8


def test_large_crops_are_reduced_and_keep_thin_strokes() -> None:
    large = np.full((3000, 2000), 255, np.uint8)
    cv2.circle(large, (1000, 1500), 900, 0, 14)
    (ink,) = corpus.cropped([large])
    assert ink.shape == (96, 96)
    assert ink.max(axis=0).min() > 40, "the ring is whole"


@pytest.mark.parametrize("crops", [[], [np.full((9, 9), 9, np.uint8)] * 3], ids=["none", "blank"])
def test_nothing_to_learn_from_is_told(crops: list[Pictures]) -> None:
    data = LabelledCrops(crops, np.arange(len(crops)), [""] * len(crops))
    with pytest.raises(UsageError, match="expected crops with ink, found none"):
        corpus.gather({"mine": data})


# --- epochs ---


Epoch = tuple[Pictures, NDArray[np.int64]]


@pytest.fixture(scope="module")
def small() -> Corpus:
    return gathered(120, *[NO_DIGIT_LABEL] * 12)


@pytest.fixture(scope="module")
def three(small: Corpus) -> list[Epoch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "SHARD", 50)
        patch.setattr(corpus, "SHOWN", 2)
        return list(corpus.epochs(small, first=0, count=3, seed=5))


def test_epochs_hold_what_they_should(small: Corpus, three: list[Epoch]) -> None:
    assert len(three) == 3
    for pictures, labels in three:
        assert pictures.shape == (corpus.epoch_size(small), 28, 28)
        assert pictures.dtype == np.uint8
        assert len(labels) == len(pictures)
        assert np.bincount(labels)[:10].tolist() == [12] * 10
        assert pictures.max((1, 2)).min() > 0, "none is lost"
    assert (three[0][1] != three[1][1]).any(), "shuffled otherwise"


def test_what_is_made_is_shown_several_times(three: list[Epoch]) -> None:
    first, second, third = (
        {(one.tobytes(), n) for one, n in zip(*epoch, strict=True)} for epoch in three
    )
    assert first == second
    assert len(first & third) < len(first) / 2


def test_the_last_epochs_show_more_digits_as_they_are(small: Corpus) -> None:
    known = {one.tobytes() for one in small.plain}
    shares = [
        np.mean([one.tobytes() in known for one in pictures])
        for pictures, _ in corpus.epochs(small, first=0, count=2 * corpus.SHOWN, seed=2)
    ]
    assert max(shares[:4]) < 0.45
    assert min(shares[4:]) > 0.45


def test_pictures_and_labels_stay_together(small: Corpus, three: list[Epoch]) -> None:
    """Some are shown as they are; the others are still nearest to their own kind's."""
    label = {one.tobytes(): n for one, n in zip(small.plain, small.labels.tolist(), strict=True)}
    means = np.stack([small.plain[small.labels == n].mean(axis=0) for n in range(10)])
    for pictures, labels in three:
        digit = labels < NO_DIGIT_LABEL
        known = [label.get(one.tobytes()) for one in pictures]
        as_it_is = np.array([one is not None for one in known]) & digit
        assert 0.1 < as_it_is.sum() / digit.sum() < 0.75, "a quarter, more in the end"
        assert [known[n] for n in np.flatnonzero(as_it_is)] == labels[as_it_is].tolist()
        altered = digit & ~as_it_is
        apart = ((pictures[altered, None].astype(float) - means) ** 2).sum(axis=(2, 3))
        assert (apart.argmin(axis=1) == labels[altered]).mean() > 0.5, "by chance one in ten"


def test_an_epoch_is_the_same_whether_others_were_made_before_it(
    small: Corpus, three: list[Epoch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "SHARD", 50)
    monkeypatch.setattr(corpus, "SHOWN", 2)
    ((pictures, labels),) = corpus.epochs(small, first=2, count=3, seed=5)
    assert (pictures == three[2][0]).all()
    assert (labels == three[2][1]).all()
    assert not list(corpus.epochs(small, first=3, count=3, seed=5))


def test_chance_is_never_the_same_twice(
    small: Corpus, three: list[Epoch], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in two epochs, two shards, or with two seeds: what was altered is another picture."""
    alike = small._replace(
        inks=[small.inks[0]] * 30,
        plain=small.plain[:1].repeat(30, axis=0),
        labels=small.labels[:1].repeat(30),
        sources=small.sources[:30],
    )
    monkeypatch.setattr(corpus, "SHARD", 10)
    made = list(corpus.epochs(alike, first=0, count=2 * corpus.SHOWN, seed=5))
    first, second = made[:: corpus.SHOWN]
    altered = [
        one.tobytes()
        for pictures, labels in (first, second)
        for one in pictures[labels == 0]
        if (one != alike.plain[0]).any()
    ]
    assert len(altered) > 30
    assert len(set(altered)) == len(altered)
    ((other, _),) = corpus.epochs(small, first=0, count=1, seed=6)
    assert not {one.tobytes() for one in other} & (
        {one.tobytes() for one in three[0][0]} - {one.tobytes() for one in small.plain}
    )


def test_epochs_can_be_left_early(small: Corpus) -> None:
    several = corpus.epochs(small, first=0, count=50, seed=1)
    assert len(list(islice(several, 1))) == 1
    several.close()
    assert not list(several)


@pytest.mark.parametrize(
    ("others", "shown"),
    [
        (300, 300),  # as large: once
        (75, 75),  # half the root of 4
        (12, 30),  # half the root of 25: 2.5 times
        (3, 9),  # never more than three times
    ],
)
def test_small_sources_are_shown_more_often(others: int, shown: int) -> None:
    labels = np.repeat([1, 2], [300, others])
    blank = np.zeros((len(labels), 28, 28), np.uint8)
    found = Corpus([cut(1)] * len(labels), blank, labels, (labels == 2).astype(np.int64))
    drawn_ = int(0.08 / 0.84 * (300 + shown))
    assert corpus.epoch_size(found) == 300 + shown + drawn_
    assert corpus.MOST_OFTEN == 3


@pytest.mark.parametrize(
    ("nones", "share"),
    [(0, 0.087), (400, 0.155), (9000, 0.166)],
    ids=["drawn alone", "half are the sets' own", "no more, however many there are"],
)
def test_the_share_of_strangers(nones: int, share: float) -> None:
    labels = np.repeat([1, NO_DIGIT_LABEL], [5000, nones])
    blank = np.zeros((len(labels), 28, 28), np.uint8)
    found = Corpus([cut(1)] * len(labels), blank, labels, np.zeros(len(labels), np.int64))
    assert 1 - 5000 / corpus.epoch_size(found) == pytest.approx(share, abs=0.005)


def test_no_stranger_could_be_a_1(small: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    def upright(pictures: Pictures) -> NDArray[np.bool_]:
        ink = pictures > 64
        return (ink.any(1).sum(1) < corpus.THIN) & (ink.any(2).sum(1) > corpus.TALL)

    raw = [stranger(random(seed), [cut(3), cut(8)]) for seed in range(300)]
    assert upright(grey_levels(raw, invert="no").pictures[..., 0]).any(), "some would be"
    line = np.zeros((28, 28), np.uint8)
    line[5:23, 13:15] = 255
    assert upright(grey_levels([line]).pictures[..., 0]).all()
    digits = small.labels < NO_DIGIT_LABEL
    alone = Corpus(small.inks[:120], *(one[digits] for one in small[1:]))
    monkeypatch.setattr(corpus, "STRANGERS", 8 / 9)
    ((pictures, labels),) = corpus.epochs(alone, first=0, count=1, seed=3)
    assert (labels == NO_DIGIT_LABEL).sum() > 470
    assert not upright(pictures[labels == NO_DIGIT_LABEL]).any()
    assert pictures[labels == NO_DIGIT_LABEL].max((1, 2)).min() > 0


# --- the network ---


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_the_network_takes_pictures_and_gives_eleven_logits(keras: Any, dtype: str) -> None:
    model = default_network(dtype)
    assert model.input_shape == (None, 28, 28, 1)
    assert model.output_shape == (None, 11)
    assert model.layers[-1].get_config()["activation"] == "linear"
    assert {weight.dtype for weight in model.weights} == {"float32"}


def test_what_was_trained_in_16_bits_is_given_in_32(keras: Any) -> None:
    some = random().random((40, 28, 28, 1)).astype(np.float32)
    model = default_network("mixed_bfloat16")
    before = model.predict_on_batch(some)
    plain = with_weights_of(model)
    assert {layer.compute_dtype for layer in plain.layers} == {"float32"}
    assert np.ptp(before, axis=0).min() > 0.01, "a model that says the same shows nothing"
    np.testing.assert_allclose(plain.predict_on_batch(some), before, atol=0.05)
    for one, two in zip(plain.get_weights(), model.get_weights(), strict=True):
        assert (one == two).all()


def test_a_network_reckons_with_the_share_of_what_is_no_digit(keras: Any) -> None:
    some = random().random((40, 28, 28, 1)).astype(np.float32)
    model = default_network()
    before = model.predict_on_batch(some)
    after = default.weighed(model, 0.2, 0.1).predict_on_batch(some)
    np.testing.assert_allclose(after[:, :NO_DIGIT_LABEL], before[:, :NO_DIGIT_LABEL], atol=1e-5)
    moved = np.exp(after[:, NO_DIGIT_LABEL] - before[:, NO_DIGIT_LABEL])
    np.testing.assert_allclose(moved, (0.1 / 0.9) / (0.2 / 0.8), rtol=1e-4)
    back = default.weighed(model, 0.1, 0.2).predict_on_batch(some)
    np.testing.assert_allclose(back, before, atol=1e-5)


def test_weights_of_another_recipe_are_refused(keras: Any) -> None:
    with pytest.raises(ModelError) as caught:
        with_weights_of(network(RECIPES["conv3"]))
    assert "is not of recipe default: expected weights" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [
        ("flags : fpu amx_bf16 avx512_bf16", "mixed_bfloat16"),
        ("flags : fpu avx512_bf16", "float32"),  # has them, and is slower with them
        (None, "float32"),  # no such file
    ],
)
def test_16_bits_are_for_processors_that_multiply_them(
    flags: str | None, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def text(*_: Any) -> str:
        if flags is None:
            raise FileNotFoundError
        return flags

    monkeypatch.setattr(Path, "read_text", text)
    assert backend.choose_training_dtype() == dtype


# --- a training by the recipe default ---


@given(st.lists(st.integers(-1, 10), max_size=80))
def test_of_each_class_the_last_is_held_out(labels: list[int]) -> None:
    crops = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1)
    found = LabelledCrops(crops, np.array(labels, np.int64), [str(n) for n in range(len(labels))])
    learned, held = default.held_out(found)
    for one in (learned, held):
        assert [int(crop[0, 0]) for crop in one.crops] == [int(name) for name in one.names]
        assert [labels[int(name)] for name in one.names] == one.labels.tolist()
    for label in set(labels):
        places = [n for n, one in enumerate(labels) if one == label]
        kept = len(places) - len(places) // 5
        assert [n for n in map(int, learned.names) if labels[n] == label] == places[:kept]
        assert [n for n in map(int, held.names) if labels[n] == label] == places[kept:]


def test_no_more_is_held_out_than_serves() -> None:
    found = LabelledCrops(np.zeros((5000, 1, 1), np.uint8), np.arange(5000) % 2 * 7, [""] * 5000)
    learned, held = default.held_out(found._replace(labels=np.where(np.arange(5000) < 40, 3, 7)))
    assert np.bincount(held.labels, minlength=8)[[3, 7]].tolist() == [8, 500]
    assert np.bincount(learned.labels, minlength=8)[[3, 7]].tolist() == [32, 4460]


class Whole(NamedTuple):
    """A network trained for two epochs without a break, what was told, and the batches' losses."""

    model: Any
    told: list[float]
    losses: list[tuple[float, int]]


@pytest.fixture(scope="module")
def whole(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    plan = default.Plan(2, 7, tmp_path_factory.mktemp("whole") / "checkpoint.keras")
    told: list[float] = []
    losses: list[tuple[float, int]] = []
    original = keras.Sequential.train_on_batch

    def spy(self: Any, x: Any, y: Any) -> Any:
        losses.append((float(original(self, x, y)), len(x)))
        return losses[-1][0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(default, "BATCH", 24)
        patch.setattr(keras.Sequential, "train_on_batch", spy)
        model = default.fit({"a": labelled(60)}, plan, tell=lambda _, loss, __: told.append(loss))
    return Whole(model, told, losses)


def test_the_loss_that_is_told_is_of_the_whole_epoch(whole: Whole) -> None:
    half = len(whole.losses) // 2
    assert half == 3
    for told, batches in zip(whole.told, (whole.losses[:half], whole.losses[half:]), strict=True):
        losses, sizes = zip(*batches, strict=True)
        assert told == pytest.approx(np.average(losses, weights=sizes))
        assert len(set(losses)) == half


def test_a_training_can_be_interrupted_and_repeated_bit_by_bit(
    whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(default, "BATCH", 24)
    told: list[int] = []

    def stop(epoch: int, loss: float, model: Any) -> None:
        told.append(epoch)
        if told == [1]:
            raise Stopped

    data, plan = labelled(60), default.Plan(2, 7, tmp_path / "checkpoint.keras")
    with pytest.raises(Stopped):
        default.fit({"a": data}, plan, tell=stop)
    assert list(tmp_path.iterdir()) == [plan.checkpoint]
    others: list[tuple[LabelledCrops, default.Plan, Any]] = [
        (data, replace(plan, seed=8), None),
        (data, replace(plan, count=3), None),
        (data._replace(labels=data.labels[::-1]), plan, None),
        (data, plan, whole.model),
    ]
    before = plan.checkpoint.read_bytes()
    for other, another, start in others:
        with pytest.raises(ModelError, match="is of another training") as caught:
            default.fit({"a": other}, another, start=start)
        assert "\n" not in str(caught.value)
    assert plan.checkpoint.read_bytes() == before

    model = default.fit({"a": data}, plan, tell=stop)
    assert told == [1, 2]
    for one, two in zip(model.get_weights(), whole.model.get_weights(), strict=True):
        assert (one == two).all()


def test_what_is_no_checkpoint_is_told(tmp_path: Path) -> None:
    plan = default.Plan(2, 7, tmp_path / "checkpoint.keras")
    plan.checkpoint.write_bytes(b"no model")
    with pytest.raises(ModelError, match="cannot be loaded"):
        default.fit({"a": labelled(20)}, plan)


# --- from labelled sets to a bundle ---


class Made(NamedTuple):
    """A bundle trained by the command, interrupted once, and what the command said."""

    place: Path
    interrupted: str
    kept: set[str]
    out: str
    err: str


def train_default(place: Path, *more: object) -> tuple[int, str, str]:
    """Train into the bundle `made` by the command: its exit code, output, and words."""
    out, err = io.StringIO(), io.StringIO()
    line = ("train", "--recipe", "default", "--out", place / "made", "--device", "cpu")
    with redirect_stdout(out), redirect_stderr(err):
        code = command(*line, *more)
    return code, out.getvalue(), err.getvalue()


def few(place: Path, count: int, *left_out: int) -> Path:
    """Write a set of drawn digits without a test part."""
    x, y = light(count), np.arange(count) % 10
    some = ~np.isin(y, left_out)
    np.savez(place, x=x[some], y=y[some])
    return place


@pytest.fixture(scope="module")
def made(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> Made:
    place = tmp_path_factory.mktemp("made")
    more = ("--data", few(place / "set.npz", 560), "--epochs", 2, "--seed", 0)
    show_ = report.print_text

    def stop(text: str) -> None:
        show_(text)
        if text.startswith("epoch 1 of 2"):
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, cli._handle_signal)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(report, "print_text", stop)
            code, out, interrupted = train_default(place, *more)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (code, out) == (130, "")
    assert not (place / "made").exists()
    kept = {path.name for path in (place / "made.training").iterdir()}
    code, out, err = train_default(place, *more)
    assert code == 0, err
    return Made(place, interrupted, kept, out, err)


def test_an_interrupted_training_of_the_default_goes_on(made: Made) -> None:
    assert made.kept == {"samples.png", "history.csv", "checkpoint.keras"}
    last = made.interrupted.splitlines()[-1]
    place = made.place / "made.training"
    assert last == (
        f"batchdigits: interrupted: '{place}' keeps what was learned: the same command goes on "
        "from there"
    )
    assert "epoch 1 of 2" not in made.err
    assert "epoch 2 of 2: loss " in made.err
    assert [line["epoch"] for line in history(place)] == ["1", "2"]


def test_the_default_recipe_leaves_a_bundle_and_what_is_shown(made: Made) -> None:
    assert {path.name for path in made.place.iterdir()} == {"set.npz", "made", "made.training"}
    place = made.place / "made.training"
    assert {path.name for path in place.iterdir()} == {"samples.png", "history.csv", "curves.png"}
    sheet = cv2.imread(str(place / "samples.png"), cv2.IMREAD_GRAYSCALE)
    assert sheet is not None
    assert all(sheet[34:400, 6 + 62 * n : 62 * n + 62].min() == 0 for n in range(10)), "all digits"
    told = dict(line.split(" ", 1) for line in made.out.splitlines())
    assert list(told) == ["recipe", "epochs", "held_out_digits", "held_out_accuracy", "model"]
    assert (told["recipe"], told["epochs"]) == ("default", "2")
    assert told["held_out_digits"] == "220", "11 of 56 of each digit, as they are and altered"
    assert told["model"] == str(made.place / "made")

    card = predict.load_card(told["model"])
    assert card.classes == (*"0123456789", "none")
    assert card.preprocessing == predict.load_card(None).preprocessing
    assert (card.name, card.calibrated) == ("made", True)
    (about,) = card.whole["training"]
    assert about["source"] == str(made.place / "set.npz")
    assert (about["crops"], about["epochs"], about["seed"]) == (450, 2, 0)


def test_run_reads_with_it(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("7.png", drawn(7))
    line = ("run", "7.png", "--out", "-", "--workers", 0, "--device", "cpu", "--quiet")
    assert command(*line, "--model", made.place / "made") == 0
    out, err = capfd.readouterr()
    assert out.splitlines()[1].startswith("7.png,1,,")
    assert err == "", "it is calibrated"


def test_the_default_recipe_starts_from_a_bundle_with_several_sets(
    made: Made, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    one, two = few(tmp_path / "one.npz", 300, 7, 8), few(tmp_path / "two.npz", 400)
    more = ("--data", one, "--data", two, "--epochs", 1, "--fine-tune", made.place / "made")
    assert train_default(tmp_path, *more, "--quiet") == (0, "", "")
    assert capfd.readouterr() == ("", "")
    training = predict.load_card(str(tmp_path / "made")).whole["training"]
    assert [part["source"] for part in training] == [str(one), str(two)]
    assert [part["crops"] for part in training] == [8 * 24, 10 * 32]
    before, after = (
        np.concatenate([one.ravel() for one in predict.load_keras_model(place).get_weights()])
        for place in (made.place / "made" / "model.keras", tmp_path / "made" / "model.keras")
    )
    assert 0 < np.abs(after - before).max() < 0.1, "a few steps from where it started"


@pytest.mark.parametrize(
    ("count", "left_out", "more", "code", "words"),
    [
        (600, (7, 9), (), 2, "expected all ten digits to learn from, got none of 7, 9: add a set"),
        (90, (), (), 2, "expected 200 labelled digits or more to calibrate on, got 20: add some"),
        (600, (), ("--fine-tune", "mlp.keras"), 6, "is not of recipe default"),
        (600, (), ("--fine-tune", "none.keras"), 6, "expected a bundle's folder or a .keras file"),
        (600, (), ("--fine-tune", "set.npz"), 6, "cannot be loaded"),
        (600, (), ("--data", "missing.npz"), 2, "'missing.npz' do not exist"),
        (600, (), ("--out", "set.npz"), 5, "is no bundle"),
        (600, (), ("--out", "file"), 5, "file.training' cannot be written: File exists"),
    ],
)
def test_what_the_default_recipe_refuses_in_one_line(
    count: int,
    left_out: tuple[int, ...],
    more: tuple[str, ...],
    code: int,
    words: str,
    keras: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    few(Path("set.npz"), count, *left_out)
    network(RECIPES["mlp"]).save("mlp.keras")
    Path("file.training").write_text("mine")
    found, out, err = train_default(Path(), "--data", "set.npz", *more)
    assert (found, out) == (code, "")
    assert words in err
    assert err.count("\n") == 1
    assert not Path("made").exists()
    assert not list(Path().glob("**/checkpoint.keras"))


def test_no_finished_epoch_is_said(
    keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise Stopped

    monkeypatch.setattr(shipped, "fit", stop)
    options = {"recipe": "default", "data": (str(few(tmp_path / "set.npz", 560)),)}
    with pytest.raises(Stopped) as stopped:
        shipped.run(
            TrainOptions.from_settings({**options, "out": str(tmp_path / "made")}), lambda _: None
        )
    assert stopped.value.__notes__ == ["no epoch was finished, no model is kept"]


@pytest.mark.parametrize("recipe", ["mlp", "conv3"])
def test_the_tutorials_learn_from_one_set(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ("train", "--recipe", recipe, "--out", tmp_path / "out", "--data", "a", "--data", "b")
    assert command(*line) == 2
    err = capsys.readouterr().err
    assert f"recipe {recipe} learns from one set, got 2" in err
    assert err.count("\n") == 1


def test_a_configuration_file_may_name_one_set_or_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    few(Path("a.npz"), 60, 1)
    few(Path("b.npz"), 60, 1, 2)
    for data, missing in (('"b.npz"', "1, 2"), ('["b.npz", "a.npz"]', "1")):
        Path("settings.toml").write_text(f"data = {data}\n")
        code, _, err = train_default(Path(), "--config", "settings.toml")
        assert code == 2
        assert f"got none of {missing}: " in err


# --- a model of the user's own ---


def labelled(count: int, *more: int, first: int = 0) -> LabelledCrops:
    """Drawn digits 0 to 9 in turn, then crosses under the labels `more`."""
    crops = [drawn(n % 10, seed=first + n // 10) for n in range(count)]
    for n, _ in enumerate(more):
        cross = np.full((28, 28), 255, np.uint8)
        cv2.drawMarker(cross, (14, 14 + n % 3), 0, cv2.MARKER_TILTED_CROSS, 12 + n % 5, 2)
        crops.append(cross)
    labels = np.array([*(np.arange(count) % 10), *more], np.int64)
    return LabelledCrops(crops, labels, [f"crop {n}" for n in range(len(crops))])


def centroids(keras: Any, classes: int, scale: float = 0.3) -> Any:
    """A network without training: logits are how near a picture is to each class's mean."""
    data = labelled(200, *[NO_DIGIT_LABEL] * 15, first=100)
    pictures = normalize(data.crops).pictures.reshape(-1, 784)
    means = np.stack([pictures[data.labels == label].mean(axis=0) for label in range(classes)])
    model = keras.Sequential(
        [keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(classes)]
    )
    model.layers[-1].set_weights([scale * means.T, -scale * (means**2).sum(axis=1) / 2])
    return model


@pytest.fixture(scope="module")
def mine(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("mine") / "mine.keras"
    centroids(keras, 10).save(place)
    return place


@pytest.fixture
def eleven(keras: Any, tmp_path: Path) -> Path:
    """A bundle that knows "not a digit", and whose card says where its weights come from."""
    place = tmp_path / "eleven"
    card = {
        "name": "eleven",
        "classes": [*"0123456789", "none"],
        "preprocessing": 1,
        "calibration": {"temperature": 3.0},
        "threshold": 0.5,
        "measured": {"digits": 1},
        "training": [{"source": "drawn", "licence": "none"}],
        "recipe": "centroids",
    }
    place.mkdir()
    centroids(keras, 11).save(place / "model.keras")
    (place / "card.json").write_text(json.dumps(card))
    return place


def calibrated(model: Path, data: LabelledCrops, **more: Any) -> dict[str, Any]:
    options = RunOptions.from_settings({"model": model, "device": "cpu", **more})
    return bundle.calibrated([data], options, name="mine", source="drawn digits")


def test_a_calibration_makes_a_bundle_of_the_same_weights(mine: Path, tmp_path: Path) -> None:
    card = calibrated(mine, labelled(400))
    out = tmp_path / "bundle"
    bundle.write(str(out), str(mine), card)
    assert sorted(path.name for path in out.iterdir()) == ["card.json", "model.keras"]
    assert (out / "model.keras").read_bytes() == mine.read_bytes()
    assert list(tmp_path.iterdir()) == [out], "nothing is left beside it"

    known = predict.load_card(str(out))
    assert known.calibrated
    assert known.name == "mine"
    assert known.classes == tuple("0123456789")
    assert known.preprocessing == predict.load_card(None).preprocessing
    assert known.temperature == card["calibration"]["temperature"]
    assert sum(one.right + one.wrong for one in known.readings) == 400
    assert card["measured"]["digits"] == 400
    assert card["measured"]["right"] > 0.8, "near its mean, a drawn digit is read"
    assert "drawn digits" in card["calibration"]["fitted on"]
    assert "licence" in card["training"][0]


def test_a_calibration_undoes_what_a_model_makes_of_its_confidence(
    keras: Any, mine: Path, tmp_path: Path
) -> None:
    data = labelled(400)
    labels = np.where(np.arange(400) % 7 == 0, (data.labels + 1) % 10, data.labels)
    bold = tmp_path / "bold.keras"
    centroids(keras, 10, scale=0.3 * 4).save(bold)
    one, other = (
        calibrated(model, data._replace(labels=labels))["calibration"] for model in (mine, bold)
    )
    assert 0.2 < one["temperature"] < 2.5, "neither limit of the fit"
    assert other["temperature"] == pytest.approx(4 * one["temperature"], rel=0.01)
    surest = [card["readings"][0][0] for card in (one, other)]
    assert surest[1] == pytest.approx(surest[0], abs=0.01)


def test_a_calibration_is_repeatable(mine: Path) -> None:
    assert calibrated(mine, labelled(200)) == calibrated(mine, labelled(200))


def test_calibrating_a_bundle_anew_keeps_what_is_about_its_weights(eleven: Path) -> None:
    data = labelled(300, *[NO_DIGIT_LABEL] * 30, *[EMPTY_LABEL] * 30)
    card = calibrated(eleven, data)
    assert card["classes"] == [*"0123456789", "none"]
    assert card["training"] == [{"source": "drawn", "licence": "none"}]
    assert card["recipe"] == "centroids"
    assert card["calibration"]["temperature"] != 3.0
    assert card["measured"]["not digits"] == 60
    assert card["measured"]["not digits among ok"] == 0, "it knows crosses"

    bundle.write(str(eleven), str(eleven), card)  # in its own place
    assert json.loads((eleven / "card.json").read_text()) == card
    assert sorted(path.name for path in eleven.iterdir()) == ["card.json", "model.keras"]


def test_what_is_no_digit_counts_as_wrong_for_a_model_that_knows_digits_alone(mine: Path) -> None:
    without, with_ = (
        calibrated(mine, labelled(300, *more)) for more in ([], [NO_DIGIT_LABEL] * 60)
    )
    wrong = [sum(one[2] for one in card["calibration"]["readings"]) for card in (without, with_)]
    assert wrong[1] == wrong[0] + 60
    assert with_["calibration"]["temperature"] == without["calibration"]["temperature"]
    assert with_["measured"]["right"] == without["measured"]["right"]


def test_blank_and_illegible_crops_are_no_readings(mine: Path) -> None:
    data = labelled(300)
    blank = np.full((28, 28), 250, np.uint8)
    crops = [*data.crops, *[blank] * 10]
    labels = np.array([*data.labels, *[EMPTY_LABEL] * 5, *[7] * 5], np.int64)
    card = calibrated(mine, LabelledCrops(crops, labels, [""] * 310))
    assert sum(one[1] + one[2] for one in card["calibration"]["readings"]) == 300
    measured, before = card["measured"], calibrated(mine, data)["measured"]
    assert measured["digits"] == 305
    assert measured["right"] == pytest.approx(before["right"] * 300 / 305, abs=1e-4)
    assert measured["wrong among ok"] == before["wrong among ok"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (labelled(199), "expected 200 labelled digits or more to calibrate on, got 199"),
        (labelled(199, *[NO_DIGIT_LABEL] * 9), "got 199"),
        (labelled(0), "got 0"),
        (labelled(300)._replace(labels=np.arange(300) % 8), "none labelled 8, 9"),
        (
            labelled(300)._replace(crops=[np.full((9, 9), 9, np.uint8)] * 300),
            "found 0 of 300",
        ),
    ],
    ids=["too few", "what is no digit does not count", "none", "missing kinds", "all blank"],
)
def test_too_little_to_calibrate_on_is_refused(mine: Path, data: LabelledCrops, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        calibrated(mine, data)
    assert words in str(caught.value)
    assert "drawn digits" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_card_is_readable_by_people(mine: Path) -> None:
    card = calibrated(mine, labelled(200))
    card["calibration"]["readings"] = [[0.9, 3, 0], [1e-05, 1, 12]]
    said = bundle.text(card)
    assert json.loads(said) == card
    assert "      [0.9, 3, 0],\n      [1e-05, 1, 12]\n" in said


# --- where a bundle may be written ---


@pytest.fixture
def card_of_mine(mine: Path) -> dict[str, Any]:
    return {"name": "new"}


@pytest.mark.parametrize("there", ["nothing", "an empty folder", "a bundle", "a link to a bundle"])
def test_a_bundle_is_written_where_it_does_no_harm(
    there: str, mine: Path, card_of_mine: dict[str, Any], tmp_path: Path
) -> None:
    out = real = tmp_path / "out"
    if there == "an empty folder":
        out.mkdir()
    elif there != "nothing":
        real = tmp_path / "real" if "link" in there else out
        real.mkdir()
        (real / "card.json").write_text("{}")
        (real / "model.keras").write_text("old")
    if "link" in there:
        out.symlink_to(real)
    bundle.write(str(out), str(mine), card_of_mine)
    assert json.loads((real / "card.json").read_text()) == card_of_mine
    assert (out / "model.keras").read_bytes() == mine.read_bytes()
    assert out.is_symlink() == ("link" in there)
    assert {path.name for path in tmp_path.iterdir()} == {"out", real.name}


@pytest.mark.parametrize(
    "name", ["file.csv", "full", "half", "none/out", "file.csv/out"], ids=lambda name: name
)
def test_nothing_that_is_there_is_lost_to_a_bundle(
    name: str, mine: Path, card_of_mine: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "file.csv").write_text("results")
    for folder, files in (
        ("full", ["card.json", "model.keras", "notes.txt"]),
        ("half", ["card.json"]),
    ):
        (tmp_path / folder).mkdir()
        for file in files:
            (tmp_path / folder / file).write_text("old")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for act in (bundle.check, lambda out: bundle.write(out, str(mine), card_of_mine)):
        with pytest.raises(OutputError) as caught:
            act(str(tmp_path / name))
        assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("at", ["fsync", "rename"])
def test_a_bundle_stays_when_its_successor_cannot_be_written(
    at: str,
    fault: BaseException,
    mine: Path,
    card_of_mine: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    bundle.write(str(out), str(mine), {"name": "old"})
    rename = Path.rename

    def broken(*_: Any) -> None:
        raise fault

    def second(self: Path, target: Path) -> Path:
        if (self / "card.json").exists() and "new" in (self / "card.json").read_text():
            raise fault
        return rename(self, target)

    with monkeypatch.context() as patch:
        if at == "fsync":
            patch.setattr("os.fsync", broken)
        else:
            patch.setattr(Path, "rename", second)
        with pytest.raises((OutputError, KeyboardInterrupt)):
            bundle.write(str(out), str(mine), card_of_mine)
    assert json.loads((out / "card.json").read_text()) == {"name": "old"}
    assert list(tmp_path.iterdir()) == [out]


# --- the command ---


def command(*arguments: object) -> int:
    return cli._run_command_line([str(one) for one in arguments])


def test_calibrate_then_run_with_a_target_error(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data = labelled(420)
    for crop, label, name in zip(data.crops, data.labels, range(420), strict=True):
        place = tmp_path / "data" / ("zero" if label == 0 else str(label))
        place.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place / f"{name}.png"), crop)
    made = ["calibrate", "--model", mine, "--data", "data", "--out", "made", "--device", "cpu"]
    assert command(*made) == 2
    assert "'zero' is no digit" in capsys.readouterr().err
    assert command(*made, "--labels", "zero=0") == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "420 digits: " in err
    assert err.endswith("-> made\n")
    assert command(*made, "--labels", "zero=0", "--quiet", "--name", "third") == 0
    assert capsys.readouterr() == ("", "")

    assert command("info", "--model", "made") == 0
    told = capsys.readouterr().out
    assert "model third: calibrated" in told
    assert "readings 420 values" in told
    assert len(told.splitlines()) < 40, "the readings stay in the file"

    one = ["run", "data", "--out", "out.csv", "--model", "made", "--workers", 0, "--device", "cpu"]
    assert command(*one, "--target-error", 0.5) == 0
    assert "--target-error 0.5: values of confidence 0." in capsys.readouterr().err
    assert "uncalibrated" not in capsys.readouterr().err


def test_calibrate_takes_the_part_for_tests_where_there_is_one(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digits, labels = light(500), np.arange(500) % 10
    np.savez(
        tmp_path / "set.npz",
        x_train=digits[:250],
        y_train=labels[:250],
        x_test=digits[250:],
        y_test=labels[250:],
    )
    out = tmp_path / "made"
    assert command("calibrate", "--model", mine, "--data", tmp_path / "set.npz", "--out", out) == 0
    assert "250 digits: " in capsys.readouterr().err
    assert "its part for tests" in (out / "card.json").read_text()
    assert predict.load_card(str(out)).name == "made"


# --- recipes ---


def digits_set(place: Path, count: int = 200, **more: Any) -> str:
    """Write a labelled set of light digits, the last forty of which are its test part."""
    x, y = light(count + 40), np.arange(count + 40) % 10
    held = {"x_train": x[:count], "y_train": y[:count], "x_test": x[count:], "y_test": y[count:]}
    np.savez(place / "set.npz", **held | more)
    return str(place / "set.npz")


Do = Callable[..., course.Trained]


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def do(keras: Any, tmp_path: Path, told: list[str]) -> Do:
    """Train into the folder `out` on a small set, for one epoch, unless told otherwise."""
    digits_set(tmp_path)

    def run(recipe: str, tell: Callable[[str], None] = told.append, **more: Any) -> course.Trained:
        settings = {"data": tmp_path / "set.npz", "out": tmp_path / "out", "epochs": 1} | more
        if settings["data"] is not None:
            settings["data"] = (settings["data"],)
        return course.run(
            TrainOptions.from_settings({"recipe": recipe, "device": "cpu"} | settings), tell
        )

    return run


def weights(keras: Any, place: Path) -> list[NDArray[np.float32]]:
    model = keras.saving.load_model(place / "model.keras", compile=False)
    found: list[NDArray[np.float32]] = model.get_weights()
    return found


def history(place: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((place / "history.csv").read_text().splitlines()))


# Counted by hand from the table: a convolution has 9 * in * out + out numbers, a dense
# layer in * out + out; the rest is the table's own.
TABLE = {
    "conv1": (693_962, "Adam", 0.001, "CategoricalCrossentropy", 100, 5, False, "softmax"),
    "mlp": (13_002, "Adam", 0.001, "SparseCategoricalCrossentropy", 32, 20, True, "softmax"),
    "conv3": (93_322, "RMSprop", 0.001, "CategoricalCrossentropy", 64, 5, False, "softmax"),
    "conv3-logits": (
        *(93_322, "RMSprop", 0.001, "SparseCategoricalCrossentropy"),
        *(32, 5, True, "linear"),
    ),
    "conv2-adadelta": (
        *(2_380_938, "Adadelta", 0.001, "CategoricalCrossentropy"),
        *(128, 10, True, "softmax"),
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_recipe_is_what_its_tutorial_says(name: str, keras: Any) -> None:
    parameters, optimizer, rate, loss, batch, epochs, validation, activation = TABLE[name]
    recipe = RECIPES[name]
    model = network(recipe)
    assert model.count_params() == parameters
    assert model.input_shape == ((None, 28, 28) if name == "mlp" else (None, 28, 28, 1))
    assert model.layers[-1].get_config()["activation"] == activation
    hidden = [layer for layer in model.layers[:-1] if layer.weights]
    assert {layer.get_config()["activation"] for layer in hidden} == {"relu"}
    assert type(model.optimizer).__name__ == optimizer
    assert float(model.optimizer.learning_rate) == pytest.approx(rate)
    assert type(model.loss).__name__ == loss
    assert model.loss.get_config()["from_logits"] is (activation == "linear")
    assert (recipe.batch, recipe.epochs, recipe.validation) == (batch, epochs, validation)


def test_the_recipes_are_those_of_the_table() -> None:
    assert set(RECIPES) == set(TABLE)
    dropped = {
        name: [settings["rate"] for kind, settings in recipe.layers if kind == "Dropout"]
        for name, recipe in RECIPES.items()
    }
    assert {name for name, rates in dropped.items() if rates} == {"mlp", "conv2-adadelta"}
    assert (dropped["mlp"], dropped["conv2-adadelta"]) == ([0.2], [0.25, 0.5])


@pytest.mark.parametrize("name", TABLE)
def test_a_recipe_leaves_all_it_should_and_a_model_that_run_reads(
    name: str, do: Do, keras: Any, tmp_path: Path, told: list[str]
) -> None:
    done, out = do(name, epochs=2), tmp_path / "out"
    parameters, *_, validation, _ = TABLE[name]
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["model.keras", "summary.txt", "samples.png", "history.csv", "curves.png"]
    )
    assert (done.recipe, done.parameters, done.epochs) == (name, parameters, 2)
    assert done.model == str(out / "model.keras")
    lines = history(out)
    assert [line["epoch"] for line in lines] == ["1", "2"]
    assert all(float(line["loss"]) > 0 and 0 <= float(line["accuracy"]) <= 1 for line in lines)
    assert all(bool(line["val_loss"]) is validation for line in lines)
    assert all(bool(line["val_accuracy"]) is validation for line in lines)

    model = keras.saving.load_model(done.model)
    assert int(model.optimizer.iterations) == 2 * math.ceil(200 / RECIPES[name].batch)
    test = light(240)[200:]
    read = predict.load_classifier(predict.load_card(done.model), device="cpu").logits(
        shares(test[..., np.newaxis])
    )
    assert (read.argmax(axis=1) == np.arange(40) % 10).mean() == pytest.approx(done.test_accuracy)
    if validation:
        assert float(lines[-1]["val_loss"]) == pytest.approx(done.test_loss, abs=1e-4)
    assert not predict.load_card(done.model).calibrated

    words = "\n".join(told)
    assert "training: pictures (200, 28, 28) uint8, labels (200,), 20 to 20 of each" in words
    assert "test: pictures (40, 28, 28)" in words
    assert f"Total params: {parameters:,}" in words
    assert f"Total params: {parameters:,}" in (out / "summary.txt").read_text("utf-8")
    assert "epoch 2 of 2: loss " in words
    for name_ in ("samples.png", "curves.png"):
        assert cv2.imread(str(out / name_)) is not None


@pytest.mark.parametrize("name", ["mlp", "conv3"])
def test_a_seed_makes_a_recipe_repeatable(do: Do, keras: Any, tmp_path: Path, name: str) -> None:
    """First weights, order of the digits, dropout; in convolutions, sums made in parallel."""
    places = [tmp_path / name for name in ("one", "two", "other")]
    for place, seed in zip(places, (5, 5, 6), strict=True):
        do(name, out=place, seed=seed)
    one, two, other = (weights(keras, place) for place in places)
    assert all((a == b).all() for a, b in zip(one, two, strict=True))
    assert any((a != b).any() for a, b in zip(one, other, strict=True))
    texts = [(place / "history.csv").read_text() for place in places]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize("start", ["first", "first/model.keras"])
def test_fine_tuning_starts_from_the_weights_it_is_given(
    do: Do, keras: Any, tmp_path: Path, start: str
) -> None:
    first = network(RECIPES["mlp"])
    (tmp_path / "first").mkdir()
    first.save(tmp_path / "first" / "model.keras")
    do("mlp", fine_tune=tmp_path / start)
    before, tuned, other = (
        np.concatenate([one.ravel() for one in several])
        for several in (
            first.get_weights(),
            weights(keras, tmp_path / "out"),
            network(RECIPES["mlp"]).get_weights(),
        )
    )
    assert 0 < np.abs(tuned - before).max() < 0.05, "seven steps of Adam at 0.001"
    assert np.abs(other - before).max() > 0.2


@pytest.mark.parametrize(
    ("recipe", "other", "words"),
    [
        ("conv3-logits", "conv3", "is not of recipe conv3-logits"),  # the same shapes
        ("conv3", "mlp", "is not of recipe conv3"),
        ("conv3", "conv1", "is not of recipe conv3"),
        ("conv3", None, "cannot be loaded"),
        ("conv3", "", "expected a bundle's folder or a .keras file"),
    ],
)
def test_a_checkpoint_from_another_recipe_is_refused(
    do: Do, tmp_path: Path, recipe: str, other: str | None, words: str
) -> None:
    start = tmp_path / "start.keras"
    if other:
        network(RECIPES[other]).save(start)
    elif other is None:
        start.write_bytes(b"no model")
    with pytest.raises(ModelError) as error:
        do(recipe, fine_tune=start)
    assert words in str(error.value)
    assert not (tmp_path / "out").exists()


class Stopped(BaseException):
    """As a signal raises."""


def test_interrupting_keeps_the_best_epoch(do: Do, keras: Any, tmp_path: Path) -> None:
    """With wrong labels in the test part, an early epoch is the best, however long one trains."""
    wrong = (np.arange(40) + 1) % 10
    digits_set(tmp_path, y_test=wrong)

    def tell(line: str) -> None:
        if line.startswith("epoch 30"):
            raise Stopped

    with pytest.raises(Stopped) as stopped:
        do("mlp", tell, epochs=40, seed=3)
    out, lines = tmp_path / "out", history(tmp_path / "out")
    losses = [float(line["val_loss"]) for line in lines]
    best = int(np.argmin(losses)) + 1
    assert len(lines) == 30
    assert best < 25
    assert float(lines[-1]["loss"]) < 0.8 * float(lines[0]["loss"]), "it learns"
    note = f"epoch {best} of 40, the best so far, is kept in '{out}'"
    assert stopped.value.__notes__ == [note]
    model = keras.saving.load_model(out / "model.keras")
    found = model.evaluate(shares(light(240)[200:]), wrong, verbose=0)[0]
    assert found == pytest.approx(min(losses), abs=1e-4)
    assert cv2.imread(str(out / "curves.png")) is not None
    assert not [path for path in out.iterdir() if "part" in path.name]


def test_interrupting_before_an_epoch_is_done_leaves_no_model(do: Do, tmp_path: Path) -> None:
    def tell(line: str) -> None:
        raise Stopped

    with pytest.raises(Stopped) as stopped:
        do("mlp", tell)
    assert stopped.value.__notes__ == ["no epoch was finished, no model is kept"]
    assert not (tmp_path / "out" / "model.keras").exists()
    do("mlp")  # the same folder may be used again


def test_without_matplotlib_all_but_the_curves_comes(
    do: Do, tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    do("mlp")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"model.keras", "summary.txt", "samples.png", "history.csv"}
    assert "pip install 'batchdigits[plots]'" in told[-1]


@pytest.mark.parametrize("name", ["model.keras", "card.json"])
def test_a_model_is_never_written_over(do: Do, tmp_path: Path, name: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine")
    with pytest.raises(UsageError, match=f"holds {name} already"):
        do("mlp")
    assert [(path.name, path.read_text()) for path in (tmp_path / "out").iterdir()] == [
        (name, "mine")
    ]


def test_a_folder_that_cannot_be_is_told(do: Do, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UsageError, match="expected a folder"):
        do("mlp")
    with pytest.raises(OutputError, match="cannot be written"):
        do("mlp", out=tmp_path / "out" / "below")


def test_memory_that_runs_out_is_told(do: Do, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise MemoryError("out of memory")

    monkeypatch.setattr(course, "_fit", full)
    with pytest.raises(ModelError, match="memory ran out on cpu:0"):
        do("mlp")


# --- what recipes learn from ---


X, Y = light(140), np.arange(140) % 10


@pytest.mark.parametrize(
    ("held", "labels", "words"),
    [
        ({"x": X, "y": Y[:-1]}, "", "a label for each of 140 images"),
        ({"x": X, "y": Y + 1}, "", "the label '10' is no digit"),
        ({"x": X, "y": Y + 1}, "10=empty", "14 crops are empty or no digits"),
        ({"x": X, "y": Y + 1}, "10=skip", "got none of 0"),
        ({"x": X[Y != 7], "y": Y[Y != 7]}, "", "expected all ten digits to learn from"),
        ({"x": X / 255, "y": Y}, "", "expected grey levels"),
        ({"x": X[..., 0], "y": Y}, "", "got shape (140, 28)"),
        ({"x_test": X, "y_test": Y}, "", "holds the part 'test' alone"),
        (
            {"x_train": X, "y_train": Y, "x_test": X[:5], "y_test": Y[:5] - 1},
            "-1=none",
            "1 crops are empty or no digits",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_data_are_told_and_nothing_is_trained(
    do: Do, tmp_path: Path, held: dict[str, Any], labels: str, words: str
) -> None:
    np.savez(tmp_path / "wrong.npz", **held)
    with pytest.raises(UsageError) as error:
        do("mlp", data=tmp_path / "wrong.npz", labels=labels)
    assert words in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_set_without_a_test_part_lends_a_seventh_of_each_digit(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", x=X, y=Y)
    found = read(str(tmp_path / "set.npz"), {})
    assert np.bincount(found.train.labels).tolist() == [12] * 10
    assert np.bincount(found.test.labels).tolist() == [2] * 10
    both = np.concatenate([found.train.pictures, found.test.pictures])
    assert sorted(one.tobytes() for one in both) == sorted(one.tobytes() for one in X)
    assert ["one digit in 7 is held out" in one for one in found.remarks] == [True]
    again = read(str(tmp_path / "set.npz"), {})
    assert (again.test.pictures == found.test.pictures).all()


def test_mnists_own_form_is_fed_as_it_is(tmp_path: Path) -> None:
    found = read(digits_set(tmp_path), {})
    assert (found.train.pictures == light(240)[:200]).all()
    assert found.remarks == []


@pytest.mark.parametrize(
    "form",
    [
        lambda x: 255 - x,
        lambda x: np.pad(x, ((0, 0), (3, 4), (1, 1))),
        lambda x: np.stack([cv2.resize(one, (20, 20)) for one in x]),
    ],
    ids=["dark ink", "other size", "small"],
)
def test_other_forms_go_through_normalize(tmp_path: Path, form: Any) -> None:
    digits_set(tmp_path, x_train=form(light(200)))
    found = read(str(tmp_path / "set.npz"), {})
    assert found.train.pictures.shape == (200, 28, 28)
    wanted = normalize(list(form(light(200)))).pictures[..., 0]
    assert (shares(found.train.pictures) == wanted).all()
    wanted = normalize(list(light(240)[200:])).pictures[..., 0]
    assert (shares(found.test.pictures) == wanted).all(), "both parts alike"
    assert ["normalize" in one for one in found.remarks] == [True]


def test_mnist_comes_from_keras(keras: Any, monkeypatch: pytest.MonkeyPatch, do: Do) -> None:
    parts = ((X, Y.astype(np.uint8)), (X[:20], Y[:20].astype(np.uint8)))
    monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: parts)
    found = read(None, {})
    assert (found.train.pictures == X).all()
    assert found.test.labels.tolist() == Y[:20].tolist()


def test_a_download_that_fails_is_told(
    keras: Any, monkeypatch: pytest.MonkeyPatch, do: Do, tmp_path: Path
) -> None:
    def fail() -> None:
        raise OSError("URL fetch failure")

    monkeypatch.setattr(keras.datasets.mnist, "load_data", fail)
    with pytest.raises(UsageError, match="URL fetch failure; give a labelled set by --data"):
        do("mlp", data=None)
    assert not (tmp_path / "out").exists()


# --- what a training shows ---


def test_the_history_is_a_table(tmp_path: Path) -> None:
    with_validation = {"epoch": 1.0, "val_accuracy": 0.5, "loss": 2.0, "accuracy": 1 / 3}
    show.history(tmp_path / "h.csv", [with_validation | {"val_loss": 0.1}, {"epoch": 2, "loss": 1}])
    assert (tmp_path / "h.csv").read_text() == (
        "epoch,loss,accuracy,val_loss,val_accuracy\n"
        "1,2.000000,0.333333,0.100000,0.500000\n2,1.000000,,,\n"
    )


def test_the_samples_show_each_digit_in_its_column(tmp_path: Path) -> None:
    show.samples(tmp_path / "s.png", Digits(X, Y))
    sheet = cv2.imread(str(tmp_path / "s.png"), cv2.IMREAD_GRAYSCALE)
    assert sheet is not None
    for digit in range(10):
        for row in range(6):
            top, left = 34 + 62 * row, 6 + 62 * digit
            tile = sheet[top : top + 56, left : left + 56]
            assert (tile[::2, ::2] == X[digit + 10 * row]).all()


def test_what_fails_half_way_leaves_what_was_there(tmp_path: Path) -> None:
    place = tmp_path / "kept.txt"
    place.write_text("before")
    with pytest.raises(Stopped), show.aside(place) as under:
        under.write_text("half")
        raise Stopped
    assert place.read_text() == "before"
    assert list(tmp_path.iterdir()) == [place]
