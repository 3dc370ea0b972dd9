"""What the default recipe learns from: altered digits, strangers, epochs; and its network."""

from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import drawn
from numpy.typing import NDArray
from training_sets import AtOnce, Pictures, cut, labelled, random

from batchdigits.errors import ModelError, UsageError
from batchdigits.labelled import EMPTY_LABEL, NO_DIGIT_LABEL, LabelledCrops
from batchdigits.normalize import grey_levels, normalize, shares
from batchdigits.normalize.account import has_more_ink
from batchdigits.predict import backend
from batchdigits.training import corpus, default
from batchdigits.training.alter import alter, written_otherwise
from batchdigits.training.corpus import Corpus
from batchdigits.training.network import KINDS, Kind, with_weights_of
from batchdigits.training.network import network as default_network
from batchdigits.training.recipes import RECIPES, network
from batchdigits.training.strangers import draw_stranger

# --- altering a digit ---


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
    """Return a digit at the scale at which `written_otherwise` adds a stroke."""
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


# --- what an epoch is made of ---


def keep_labels(_: Pictures, labels: NDArray[np.int64]) -> NDArray[Any]:
    """Answer with the labels themselves, which tests can compare."""
    return labels


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
        return list(corpus.epochs(small, keep_labels, first=0, count=3, seed=5))


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
        for pictures, _ in corpus.epochs(
            small, keep_labels, first=0, count=2 * corpus.SHOWN, seed=2
        )
    ]
    assert max(shares[: corpus.SHOWN]) < 0.45
    assert min(shares[corpus.SHOWN :]) > 0.45


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
    ((pictures, labels),) = corpus.epochs(small, keep_labels, first=2, count=3, seed=5)
    assert (pictures == three[2][0]).all()
    assert (labels == three[2][1]).all()
    assert not list(corpus.epochs(small, keep_labels, first=3, count=3, seed=5))


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
    made = list(corpus.epochs(alike, keep_labels, first=0, count=2 * corpus.SHOWN, seed=5))
    first, second = made[:: corpus.SHOWN]
    altered = [
        one.tobytes()
        for pictures, labels in (first, second)
        for one in pictures[labels == 0]
        if (one != alike.plain[0]).any()
    ]
    assert len(altered) > 30
    assert len(set(altered)) == len(altered)
    ((other, _),) = corpus.epochs(small, keep_labels, first=0, count=1, seed=6)
    assert not {one.tobytes() for one in other} & (
        {one.tobytes() for one in three[0][0]} - {one.tobytes() for one in small.plain}
    )


def test_epochs_can_be_left_early(small: Corpus) -> None:
    several = corpus.epochs(small, keep_labels, first=0, count=50, seed=1)
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
    drawn_ = int(0.1 / 0.8 * (300 + shown))
    assert corpus.epoch_size(found) == 300 + shown + drawn_
    assert corpus.MOST_OFTEN == 3


@pytest.mark.parametrize(
    ("nones", "share"),
    [(0, 0.111), (400, 0.177), (9000, 0.21)],
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

    raw = [draw_stranger(random(seed), lambda label: cut(label or 3)) for seed in range(300)]
    assert upright(grey_levels(raw, invert="no").pictures[..., 0]).any(), "some would be"
    line = np.zeros((28, 28), np.uint8)
    line[5:23, 13:15] = 255
    assert upright(grey_levels([line]).pictures[..., 0]).all()
    digits = small.labels < NO_DIGIT_LABEL
    alone = Corpus(small.inks[:120], *(one[digits] for one in small[1:]))
    monkeypatch.setattr(corpus, "STRANGERS", 8 / 9)
    ((pictures, labels),) = corpus.epochs(alone, keep_labels, first=0, count=1, seed=3)
    assert (labels == NO_DIGIT_LABEL).sum() > 470
    assert not upright(pictures[labels == NO_DIGIT_LABEL]).any()
    assert pictures[labels == NO_DIGIT_LABEL].max((1, 2)).min() > 0


def test_no_stranger_is_a_clean_digit_and_ink_that_is_dropped(
    small: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a run asks a person about it, whatever the network makes of the digit that is left."""
    two = np.zeros((64, 64), np.uint8)
    two[10:54, 3:33] = cv2.resize(cut(3), (30, 44))
    two[20:44, 46:58] = cv2.resize(cut(4), (12, 24))
    cross = 255 - labelled(0, NO_DIGIT_LABEL).crops[0]
    seen = grey_levels([two, cross], invert="no")
    assert has_more_ink(seen.unused).tolist() == [True, False]
    drawn_ = []

    def draw(chance: np.random.Generator, _choose: object) -> Pictures:
        drawn_.append(two if chance.random() < 0.7 else cross)
        return drawn_[-1]

    monkeypatch.setattr(corpus, "draw_stranger", draw)
    monkeypatch.setattr(corpus, "STRANGERS", 0.5)
    monkeypatch.setattr(corpus, "ProcessPoolExecutor", AtOnce)
    monkeypatch.setattr(corpus.signal, "signal", lambda *_: None)
    digits = small.labels < NO_DIGIT_LABEL
    alone = Corpus(small.inks[:120], *(one[digits] for one in small[1:]))
    ((pictures, labels),) = corpus.epochs(alone, keep_labels, first=0, count=1, seed=3)
    strange = pictures[labels == NO_DIGIT_LABEL]
    assert len(strange) == 60
    assert sum(one is two for one in drawn_) > 60, "it was drawn, and others in its place"
    assert (strange == seen.pictures[1, ..., 0]).all()


# --- the networks ---


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_the_network_takes_pictures_and_gives_eleven_logits(
    keras: Any, kind: Kind, dtype: str
) -> None:
    model = default_network(kind, dtype)
    assert model.input_shape == (None, 28, 28, 1)
    assert model.output_shape == (None, 11)
    assert model.layers[-1].get_config()["activation"] == "linear"
    assert {weight.dtype for weight in model.weights} == {"float32"}


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_trained_in_16_bits_is_given_in_32(keras: Any, kind: Kind) -> None:
    some = random().random((40, 28, 28, 1)).astype(np.float32)
    model = default_network(kind, "mixed_bfloat16")
    before = model.predict_on_batch(some)
    plain = with_weights_of(model, kind)
    assert {layer.compute_dtype for layer in plain.layers} == {"float32"}
    assert np.ptp(before, axis=0).min() > 0.01, "a model that says the same shows nothing"
    np.testing.assert_allclose(plain.predict_on_batch(some), before, atol=0.05)
    for one, two in zip(plain.get_weights(), model.get_weights(), strict=True):
        assert (one == two).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_reckons_with_the_share_of_what_is_no_digit(keras: Any, kind: Kind) -> None:
    some = random().random((40, 28, 28, 1)).astype(np.float32)
    model = default_network(kind)
    before = model.predict_on_batch(some)
    after = default.weighed(model, 0.2, 0.1).predict_on_batch(some)
    np.testing.assert_allclose(after[:, :NO_DIGIT_LABEL], before[:, :NO_DIGIT_LABEL], atol=1e-5)
    moved = np.exp(after[:, NO_DIGIT_LABEL] - before[:, NO_DIGIT_LABEL])
    np.testing.assert_allclose(moved, (0.1 / 0.9) / (0.2 / 0.8), rtol=1e-4)
    back = default.weighed(model, 0.1, 0.2).predict_on_batch(some)
    np.testing.assert_allclose(back, before, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_another_recipe_or_kind_are_refused(keras: Any, kind: Kind) -> None:
    (other,) = set(KINDS) - {kind}
    for model in (network(RECIPES["conv3"]), default_network(other)):
        with pytest.raises(ModelError) as caught:
            with_weights_of(model, kind)
        assert "is not of recipe default: expected weights" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_the_careful_network_has_several_times_the_weights(keras: Any) -> None:
    quick, careful = (default_network(kind).count_params() for kind in KINDS)
    assert careful > 5 * quick


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
