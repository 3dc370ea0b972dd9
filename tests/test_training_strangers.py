"""What is no digit, as the default recipe draws it to learn from."""

from collections.abc import Callable

import numpy as np
import pytest
from training_sets import Pictures, cut, pen_strokes, random

from batchdigits.training import spoiled
from batchdigits.training.alter import Ink
from batchdigits.training.pen import scale_strokes
from batchdigits.training.strangers import draw_stranger

Choose = Callable[[int | None], Ink]


def choose_picture(label: int | None) -> Ink:
    return cut(3 if label is None else label)


def choose_strokes(label: int | None) -> Ink:
    return scale_strokes(pen_strokes(3 if label is None else label))


EITHER = pytest.mark.parametrize("choose", [choose_picture, choose_strokes])
SEEDS = range(800)
"""Each of the kinds, which chance chooses, is among so many several times."""


@pytest.fixture(scope="module")
def asked() -> list[list[int | None]]:
    """Return for each seed which digits a stranger was made of."""
    out: list[list[int | None]] = []
    for seed in SEEDS:
        labels: list[int | None] = []

        def choose(label: int | None, labels: list[int | None] = labels) -> Pictures:
            labels.append(label)
            return cut(3 if label is None else label)

        draw_stranger(random(seed), choose)
        out.append(labels)
    return out


@EITHER
def test_every_kind_of_stranger_is_ink(choose: Choose) -> None:
    several = [draw_stranger(random(seed), choose) for seed in SEEDS]
    for one in several:
        assert one.dtype == np.uint8
        assert one.shape[0] == one.shape[1]
        assert 22 <= one.shape[0] <= 64
        assert np.ptp(one) > 24, "a thin stroke, scanned faintly, is still to be seen"
    assert len({one.tobytes() for one in several}) == len(several)


@EITHER
def test_strangers_are_repeatable(choose: Choose) -> None:
    for seed in range(0, len(SEEDS), 2):
        one, two = (draw_stranger(random(seed), choose) for _ in range(2))
        assert one.shape == two.shape
        assert (one == two).all()


def test_some_strangers_are_made_of_digits_and_some_are_not(asked: list[list[int | None]]) -> None:
    """One crossed out or struck once, two touching or above each other, two or three as 1 1/2."""
    counts = np.bincount([len(labels) for labels in asked])
    assert (counts[:4] > 20).all()


def test_no_0_1_or_7_is_struck_once(asked: list[list[int | None]]) -> None:
    """As some people write these: with a slash, an upstroke, a bar."""
    struck = [labels[0] for labels in asked if len(labels) == 1 and labels[0] is not None]
    assert set(struck) == {2, 3, 4, 5, 6, 8, 9}


def test_fractions_are_halves_and_quarters_alone_or_after_any_digit() -> None:
    fractions = []
    for seed in range(60):
        labels: list[int | None] = []

        def choose(label: int | None, labels: list[int | None] = labels) -> Pictures:
            labels.append(label)
            return cut(3 if label is None else label)

        spoiled.draw_fraction(random(seed), choose)
        fractions.append(labels)
    assert {tuple(labels[-2:]) for labels in fractions} == {(1, 2), (1, 4), (3, 4)}
    assert {tuple(labels[:-2]) for labels in fractions} == {(), (None,)}


def test_a_digit_over_another_is_over_another_digit() -> None:
    for seed in range(40):
        labels: list[int | None] = []

        def choose(label: int | None, labels: list[int | None] = labels) -> Pictures:
            labels.append(label)
            return cut(3 if label is None else label)

        spoiled.draw_overwritten(random(seed), choose)
        assert len(labels) % 2 == 0
        assert all(one != two for one, two in zip(labels[::2], labels[1::2], strict=True))


@EITHER
def test_two_in_one_show_ink_of_both(choose: Choose) -> None:
    for seed in range(60):
        drawn = spoiled.draw_several(random(seed), choose)
        columns = np.flatnonzero((drawn > 99).any(axis=0))
        rows = np.flatnonzero((drawn > 99).any(axis=1))
        assert np.ptp(columns) > 0.5 * np.ptp(rows), "as wide as two digits beside each other"
