import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from batchdigits.calibrate import HIGHEST, fit_temperature, probabilities, written

unhurried = settings(deadline=None)

# --- probabilities ---

logits = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.integers(2, 10)),
    elements=st.floats(-(2.0**100), 2.0**100, width=32),
)
temperatures = st.floats(0.05, 20)


@unhurried
@given(logits, temperatures)
def test_rows_are_probabilities(rows: NDArray[np.float32], temperature: float) -> None:
    likely = probabilities(rows, temperature)
    assert likely.dtype == np.float64
    assert likely.shape == rows.shape
    assert ((likely >= 0) & (likely <= 1)).all()
    np.testing.assert_allclose(likely.sum(axis=1), 1, rtol=1e-12)


@unhurried
@given(logits, temperatures)
def test_the_likeliest_has_the_highest_logit(rows: NDArray[np.float32], temperature: float) -> None:
    likely = probabilities(rows, temperature)
    at = rows.argmax(axis=1)[:, None]
    assert (np.take_along_axis(likely, at, axis=1)[:, 0] == likely.max(axis=1)).all()


@unhurried
@given(
    arrays.arrays(np.float32, (3, 10), elements=st.floats(-50, 50, width=32)),
    st.integers(-1000, 1000),
    temperatures,
)
def test_a_constant_of_a_row_changes_nothing(
    rows: NDArray[np.float32], constant: int, temperature: float
) -> None:
    rows = np.rint(rows * 64).astype(np.float32) / np.float32(
        64
    )  # so that adding the constant is exact
    moved = probabilities(rows + np.float32(constant), temperature)
    np.testing.assert_allclose(moved, probabilities(rows, temperature), rtol=1e-9, atol=1e-12)


def test_rows_do_not_depend_on_each_other() -> None:
    rows = np.random.default_rng(0).normal(0, 5, (50, 10)).astype(np.float32)
    together = probabilities(rows, 1.3)
    alone = np.concatenate([probabilities(row[None], 1.3) for row in rows])
    assert together.tobytes() == alone.tobytes()


@pytest.mark.parametrize(
    ("row", "temperature", "expected"),
    [
        ([0, 0], 1, [0.5, 0.5]),
        ([math.log(3), 0], 1, [0.75, 0.25]),
        ([2 * math.log(3), 0], 2, [0.75, 0.25]),
        ([math.log(3), 0], 0.5, [0.9, 0.1]),
        ([3e38, -3e38], 1, [1, 0]),
        ([3e38, 3e38], 1, [0.5, 0.5]),
        ([-3e38, -3e38], 0.1, [0.5, 0.5]),
        ([-87.3, -1000], 1, [1, 0]),
    ],
    ids=[
        "even",
        "three to one",
        "hotter is less sure",
        "colder is surer",
        "the widest float32 holds",
        "both huge",
        "both hugely negative",
        "no overflow far below zero",
    ],
)
def test_what_logits_mean(row: list[float], temperature: float, expected: list[float]) -> None:
    found = probabilities(np.array([row], np.float32), temperature)
    np.testing.assert_allclose(found, [expected], atol=1e-7)


def test_no_rows_give_no_rows() -> None:
    assert probabilities(np.zeros((0, 10), np.float32), 1).shape == (0, 10)


# --- what is written ---


@unhurried
@given(st.floats(0, 1))
def test_written_cuts_and_never_rounds(confidence: float) -> None:
    found = float(written(np.array(confidence)))
    if confidence >= HIGHEST:
        assert found == HIGHEST
        return
    # One step of 0.0001 at most is lost; 1e-15 is what a double itself cannot tell apart.
    assert -1e-15 <= confidence - found < 0.0001 + 1e-15
    assert float(f"{found:.4f}") == found, "four decimals say it all"


@pytest.mark.parametrize(
    ("confidence", "expected"),
    [
        (0.0, 0.0),
        (0.00009999, 0.0),
        (0.00019999, 0.0001),
        (0.5, 0.5),
        (0.94999999, 0.9499),
        (0.95, 0.95),
        (0.97, 0.97),
        (0.99, 0.99),
        (0.998999999, 0.9989),
        (0.99989999, 0.9998),
        (0.9999, 0.9999),
        (0.99999999, 0.9999),
        (1.0, 0.9999),
    ],
)
def test_written(confidence: float, expected: float) -> None:
    assert written(np.array([confidence])).tolist() == [expected]


@unhurried
@given(st.floats(0, 1), st.floats(0, 1))
def test_written_keeps_the_order(one: float, two: float) -> None:
    low, high = written(np.array(sorted([one, two])))
    assert low <= high


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 10), (2, 3, 4)], ids=str)
def test_written_keeps_any_shape(shape: tuple[int, ...]) -> None:
    some = np.full(shape, 0.12345678)
    found = written(some)
    assert found.shape == shape
    assert (found == 0.1234).all()
    assert (some == 0.12345678).all(), "what it is given stays"


# --- the temperature ---


def sampled(
    temperature: float, count: int, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits, and labels drawn with the probabilities that the temperature gives them."""
    random = np.random.default_rng(seed)
    rows = random.normal(0, 2, (count, 10)).astype(np.float32)
    powers = np.exp(rows / temperature)
    steps = np.cumsum(powers / powers.sum(axis=1, keepdims=True), axis=1)
    labels = (random.random((count, 1)) > steps[:, :-1]).sum(axis=1)
    return rows, labels


@pytest.mark.parametrize("temperature", [0.2, 0.5, 1, 3, 7])
def test_a_known_temperature_is_found(temperature: float) -> None:
    rows, labels = sampled(temperature, 6000)
    assert fit_temperature(rows, labels) == pytest.approx(temperature, rel=0.1)


@pytest.mark.parametrize("factor", [0.5, 2, 3])
def test_logits_times_a_factor_have_a_temperature_times_it(factor: float) -> None:
    rows, labels = sampled(1, 2000)
    once = fit_temperature(rows, labels)
    assert fit_temperature(rows * np.float32(factor), labels) == pytest.approx(
        once * factor, rel=0.005
    )


def test_a_constant_of_each_row_changes_no_temperature() -> None:
    rows, labels = sampled(2, 1000)
    moved = rows + np.arange(1000, dtype=np.float32)[:, None]
    assert fit_temperature(moved, labels) == pytest.approx(fit_temperature(rows, labels), rel=0.005)


@pytest.mark.parametrize("seed", range(3))
def test_no_other_temperature_is_much_better(seed: int) -> None:
    rows, labels = sampled(1.7, 800, seed)

    def surprise(temperature: float) -> float:
        likely = probabilities(rows, temperature)
        return -float(np.log(likely[np.arange(len(labels)), labels]).mean())

    found = fit_temperature(rows, labels)
    assert all(
        surprise(found) <= surprise(found * factor)
        for factor in (0.2, 0.5, 0.9, 0.99, 0.995, 1.005, 1.01, 1.1, 2, 5)
    )


@pytest.mark.parametrize(
    ("right", "limit"),
    [(True, 0.1), (False, 10)],
    ids=["all right: as sure as allowed", "all wrong: as unsure as allowed"],
)
def test_the_temperature_has_limits(right: bool, limit: float) -> None:
    labels = np.arange(200) % 10
    rows = np.eye(10, dtype=np.float32)[labels if right else (labels + 1) % 10] * 5
    assert fit_temperature(rows, labels) == pytest.approx(limit)


@pytest.mark.parametrize("size", [1e4, 1e30])
def test_huge_logits_give_a_temperature(size: float) -> None:
    rows, labels = sampled(1, 200)
    assert 0.1 <= fit_temperature(rows * np.float32(size), labels) <= 10.0001


def test_a_fitted_temperature_makes_confidence_true() -> None:
    rows, labels = sampled(3, 6000)
    others, truth = sampled(3, 6000, seed=1)
    likely = probabilities(others, fit_temperature(rows, labels))
    right = (likely.argmax(axis=1) == truth).mean()
    assert likely.max(axis=1).mean() == pytest.approx(right, abs=0.02)
