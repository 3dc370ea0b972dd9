"""Digits as strokes of a pen: what is learned from them, drawn anew each time."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from training_sets import Pictures, labelled, pen_set, pen_strokes, random

from batchdigits.labelled import EMPTY_LABEL, NO_DIGIT_LABEL, LabelledCrops
from batchdigits.normalize import normalize, shares
from batchdigits.training import corpus, default
from batchdigits.training.alter import ANOTHER, THE_SAME, Hand, again, alter, laid
from batchdigits.training.pen import (
    PenCrops,
    Strokes,
    add_tremor,
    draw_set,
    draw_strokes,
    scale_strokes,
    scan_plainly,
)

DIGITS = pytest.mark.parametrize("digit", range(10))
HANDS = pytest.mark.parametrize("hand", [ANOTHER, THE_SAME], ids=["another", "the same"])


def scaled(digit: int, seed: int = 0) -> Strokes:
    return scale_strokes(pen_strokes(digit, seed))


# --- strokes ---


@DIGITS
def test_strokes_are_brought_to_one_place_and_size(digit: int) -> None:
    found = scaled(digit)
    given = pen_strokes(digit)
    assert [one.shape for one in found] == [one.shape for one in given]
    assert all(one.dtype == np.float32 for one in found)
    every, wide = np.concatenate(found), np.ptp(np.concatenate(given), axis=0)
    assert every.min(0) + every.max(0) == pytest.approx([0, 0], abs=1e-6)
    assert np.ptp(every, axis=0) == pytest.approx(wide / wide.max(), abs=1e-5)


@pytest.mark.parametrize(
    ("times", "more"), [(1, 5000), (0.01, -3), (64, 0)], ids=["elsewhere", "small", "large"]
)
@DIGITS
def test_the_tablet_s_units_do_not_matter(digit: int, times: float, more: float) -> None:
    other = scale_strokes([times * one + more for one in pen_strokes(digit)])
    for one, two in zip(scaled(digit), other, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-3)
    apart = np.abs(scan_plainly(other).astype(int) - scan_plainly(scaled(digit)))
    assert apart.mean() < 0.5, "but for rounding, the same picture"


def test_whole_numbers_are_strokes_too() -> None:
    found = scale_strokes([np.array([[0, 0], [4, 8]], np.int16)])
    np.testing.assert_allclose(found[0], [[-0.25, -0.5], [0.25, 0.5]])


@pytest.mark.parametrize("times", [1, 3], ids=["one point", "one point several times"])
def test_a_dot_is_ink(times: int) -> None:
    dot = scale_strokes([np.array([[7, 9]] * times)])
    assert not np.any(dot)
    ink = scan_plainly(dot) < 128
    assert 1 <= ink.sum() < 30
    assert ink[23:26, 23:26].any()


@DIGITS
def test_a_plain_scan_is_dark_ink_inside_its_paper(digit: int) -> None:
    found = scan_plainly(scaled(digit))
    assert (found.dtype, found.shape) == (np.uint8, (48, 48))
    assert (found == scan_plainly(scaled(digit))).all()
    rim = np.ones_like(found, bool)
    rim[3:-3, 3:-3] = False
    assert (found[rim] == 255).all()
    assert found.min() == 0
    assert 0.02 < (found < 128).mean() < 0.35
    y, x = np.nonzero(found < 128)
    assert 32 <= max(np.ptp(y), np.ptp(x)) <= 40


def test_a_wider_pen_leaves_more_ink_and_takes_none_away() -> None:
    placed = tuple(40 * one + 32 for one in scaled(4))
    before = np.zeros((64, 64), np.uint8)
    before[:5] = 99
    inked = []
    for pen in (1, 2, 4, 6):
        canvas = before.copy()
        draw_strokes(canvas, placed, pen)
        assert (canvas >= before).all()
        assert canvas.max() > 200
        inked.append(np.count_nonzero(canvas))
    assert inked == sorted(set(inked))


def test_a_hand_trembles_smoothly_and_by_no_more_than_its_reach() -> None:
    line = np.column_stack([np.linspace(5, 60, 200), np.full(200, 30.0)])
    for seed in range(30):
        moved = add_tremor(line, 1.5, random(seed)) - line
        assert (moved == add_tremor(line, 1.5, random(seed)) - line).all()
        assert np.abs(moved).max() <= 1.5
        assert np.abs(np.diff(moved, axis=0)).max() < 0.2, "neighbours move alike"
        assert np.ptp(moved, axis=0).max() > 0.3
    assert (add_tremor(line, 0, random()) == line).all()


# --- strokes, altered as pictures are ---


@HANDS
@DIGITS
def test_strokes_are_written_inside_the_canvas_in_light_ink(digit: int, hand: Hand) -> None:
    strokes = scaled(digit)
    before = [one.copy() for one in strokes]
    cut_off = 0
    for seed in range(60):
        found = laid(strokes, random(seed), hand)
        assert (found.dtype, found.shape) == (np.uint8, (64, 64))
        assert (found == laid(strokes, random(seed), hand)).all()
        assert found.max() > 200
        assert 0.004 < (found > 127).mean() < 0.35
        y, x = np.nonzero(found)
        middle = (y.min() + y.max()) / 2, (x.min() + x.max()) / 2
        assert middle == pytest.approx((31.5, 31.5), abs=1.6)
        cut_off += bool(found[[0, -1]].any() or found[:, [0, -1]].any())
    assert cut_off <= 1, "hardly any is too large"
    for one, two in zip(strokes, before, strict=True):
        assert (one == two).all()


def test_no_two_times_are_strokes_written_alike() -> None:
    chance = random()
    some = [laid(scaled(5), chance) for _ in range(60)]
    assert len({one.tobytes() for one in some}) == 60
    inked = [np.count_nonzero(one > 127) for one in some]
    assert max(inked) > 2 * min(inked), "with any pen"


def test_how_large_strokes_were_written_does_not_matter() -> None:
    larger = scale_strokes([4 * one for one in pen_strokes(6)])
    for seed in range(20):
        assert (laid(scaled(6), random(seed)) == laid(larger, random(seed))).all()


@DIGITS
def test_strokes_are_altered_as_pictures_are(digit: int) -> None:
    for seed in range(20):
        neighbour: Any = (None, scaled(3), labelled(1).crops[0])[seed % 3]
        one, two = (alter(scaled(digit), random(seed), neighbour) for _ in range(2))
        assert one.dtype == np.uint8
        assert 20 <= one.shape[0] == one.shape[1] <= 64
        assert one.shape == two.shape
        assert (one == two).all()
        same, twice = (again(scaled(digit), random(seed)) for _ in range(2))
        assert (same.dtype, same.shape) == (np.uint8, (64, 64))
        assert (same == twice).all()


@pytest.mark.parametrize("write", [again, alter], ids=["again", "altered"])
def test_strokes_written_anew_stay_the_digit_they_are(write: Any) -> None:
    """Nearest to the mean of their own kind: by chance that is one in ten."""

    def seen(crops: list[Pictures]) -> NDArray[np.float32]:
        return normalize(crops, invert="no").pictures.reshape(len(crops), -1)

    light = [255 - crop for crop in pen_set(100).crops]
    means = np.stack([seen(light[digit::10]).mean(axis=0) for digit in range(10)])
    found = seen([write(scaled(n % 10, n), random(n)) for n in range(200)])
    nearest = ((found[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == np.arange(200) % 10).mean() > 0.7


# --- sets of them ---


def test_entries_of_a_set_are_selected_in_the_order_asked_for() -> None:
    whole = pen_set(20)
    some = whole.select(np.array([7, 3, 19, 3]))
    assert some.labels.tolist() == [7, 3, 9, 3]
    assert list(some.names) == ["sign 7", "sign 3", "sign 19", "sign 3"]
    for at, n in enumerate((7, 3, 19, 3)):
        assert some.strokes[at] is whole.strokes[n]
        assert (some.crops[at] == whole.crops[n]).all()
    assert len(whole.select(np.zeros(0, np.int64)).crops) == 0


def test_a_set_is_drawn_as_it_was_written() -> None:
    whole = pen_set(12)
    drawn_ = draw_set(whole)
    assert isinstance(drawn_, LabelledCrops)
    assert drawn_.labels.tolist() == whole.labels.tolist()
    assert list(drawn_.names) == list(whole.names)
    for crop, strokes in zip(drawn_.crops, whole.strokes, strict=True):
        assert (crop == scan_plainly(strokes)).all()
    pictures = labelled(3)
    assert draw_set(pictures) is pictures


def test_of_strokes_the_same_are_held_out_as_of_pictures() -> None:
    pen = pen_set(150)
    for strokes, pictures in zip(
        default.held_out(pen), default.held_out(draw_set(pen)), strict=True
    ):
        assert isinstance(strokes, PenCrops)
        assert list(strokes.names) == list(pictures.names)
        assert strokes.labels.tolist() == pictures.labels.tolist()


@pytest.mark.parametrize("shard", [2000, 4], ids=["at once", "in parts"])
def test_strokes_are_gathered_as_strokes_and_seen_as_a_run_sees_them(
    shard: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "SHARD", shard)
    pen, pictures = pen_set(11), labelled(5)
    labels = pen.labels.copy()
    labels[[2, 6]] = EMPTY_LABEL, NO_DIGIT_LABEL
    pen = PenCrops(pen.strokes, labels, pen.names)
    found = corpus.gather({"pen": pen, "pictures": pictures})
    assert found.labels.tolist() == [0, 1, 10, 3, 4, 5, 10, 7, 8, 9, 0, 0, 1, 2, 3, 4]
    assert found.sources.tolist() == [0] * 11 + [1] * 5
    assert all(one is two for one, two in zip(found.inks, pen.strokes, strict=False))
    assert all(isinstance(ink, np.ndarray) for ink in found.inks[11:])
    wanted = normalize([*pen.crops, *pictures.crops]).pictures
    assert (shares(found.plain) == wanted[..., 0]).all()


def test_epochs_are_made_of_strokes_and_pictures_alike() -> None:
    found = corpus.gather({"pen": pen_set(60), "pictures": labelled(60, NO_DIGIT_LABEL)})
    one, two = (
        next(corpus.epochs(found, lambda _, labels: labels, first=0, count=1, seed=4))
        for _ in range(2)
    )
    assert (one[0] == two[0]).all()
    assert (one[1] == two[1]).all()
    pictures, labels = one
    assert len(pictures) == corpus.epoch_size(found)
    assert np.bincount(labels)[:10].tolist() == [12] * 10
    assert pictures.max((1, 2)).min() > 0, "none is lost"
    known = {picture.tobytes() for picture in found.plain}
    assert np.mean([picture.tobytes() in known for picture in pictures]) < 0.7
