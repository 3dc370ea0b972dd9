import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy.stats import binom

from batchdigits.calibrate import (
    MAX_CONFIDENCE,
    compute_min_target_error,
    compute_probabilities,
    compute_upper_bound,
    find_default_threshold,
    find_threshold,
    fit_calibration,
    fit_median_temperature,
    fit_temperature,
    group_by_confidence,
    load_audit_table,
    predict_digits,
    truncate_probabilities,
)
from batchdigits.errors import ModelError, UsageError
from batchdigits.records import CalibrationBin

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
    likely = compute_probabilities(rows, temperature)
    assert likely.dtype == np.float64
    assert likely.shape == rows.shape
    assert ((likely >= 0) & (likely <= 1)).all()
    np.testing.assert_allclose(likely.sum(axis=1), 1, rtol=1e-12)


@unhurried
@given(logits, temperatures)
def test_the_likeliest_has_the_highest_logit(rows: NDArray[np.float32], temperature: float) -> None:
    likely = compute_probabilities(rows, temperature)
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
    moved = compute_probabilities(rows + np.float32(constant), temperature)
    np.testing.assert_allclose(
        moved, compute_probabilities(rows, temperature), rtol=1e-9, atol=1e-12
    )


def test_rows_do_not_depend_on_each_other() -> None:
    rows = np.random.default_rng(0).normal(0, 5, (50, 10)).astype(np.float32)
    together = compute_probabilities(rows, 1.3)
    alone = np.concatenate([compute_probabilities(row[None], 1.3) for row in rows])
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
    found = compute_probabilities(np.array([row], np.float32), temperature)
    np.testing.assert_allclose(found, [expected], atol=1e-7)


def test_no_rows_give_no_rows() -> None:
    assert compute_probabilities(np.zeros((0, 10), np.float32), 1).shape == (0, 10)


# --- what is written ---


@unhurried
@given(st.floats(0, 1))
def test_written_cuts_and_never_rounds(confidence: float) -> None:
    found = float(truncate_probabilities(np.array(confidence)))
    if confidence >= MAX_CONFIDENCE:
        assert found == MAX_CONFIDENCE
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
    assert truncate_probabilities(np.array([confidence])).tolist() == [expected]


@unhurried
@given(st.floats(0, 1), st.floats(0, 1))
def test_written_keeps_the_order(one: float, two: float) -> None:
    low, high = truncate_probabilities(np.array(sorted([one, two])))
    assert low <= high


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 10), (2, 3, 4)], ids=str)
def test_written_keeps_any_shape(shape: tuple[int, ...]) -> None:
    some = np.full(shape, 0.12345678)
    found = truncate_probabilities(some)
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
        likely = compute_probabilities(rows, temperature)
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
    likely = compute_probabilities(others, fit_temperature(rows, labels))
    right = (likely.argmax(axis=1) == truth).mean()
    assert likely.max(axis=1).mean() == pytest.approx(right, abs=0.02)


# --- what is read from the probabilities ---


def test_ten_classes_are_all_digits() -> None:
    rows = np.log(np.array([[1, 1, 1, 60, 1, 1, 1, 30, 2, 2]], np.float32))
    found = predict_digits(rows, 1)
    assert (found.digit.tolist(), found.second.tolist()) == ([3], [7])
    assert found.confidence.tolist() == [0.6]
    assert found.other.tolist() == [False]


@pytest.mark.parametrize(
    ("none", "confidence", "other"),
    [
        (0, 0.5, False),
        (40, 0.375, False),
        (59, 0.3351, False),
        (61, 0.3314, True),
        (120, 0.25, True),
    ],
    ids=["surely a digit", "perhaps none", "nearly as likely", "rather none", "surely none"],
)
def test_the_eleventh_class_takes_its_share(none: float, confidence: float, other: bool) -> None:
    row = np.full((1, 11), -1000, np.float32)
    row[0, [1, 2]] = np.log([60, 60 - 1e-3])
    row[0, 10] = math.log(none) if none else -1000
    found = predict_digits(row, 1)
    assert (found.digit.tolist(), found.second.tolist()) == ([1], [2])
    assert found.confidence.tolist() == [pytest.approx(confidence, abs=1.01e-4)]
    assert found.other.tolist() == [other]


@unhurried
@given(arrays.arrays(np.float32, (3, 11), elements=st.floats(-20, 20, width=32)), temperatures)
def test_knowing_of_not_a_digit_never_makes_surer(
    rows: NDArray[np.float32], temperature: float
) -> None:
    eleven, ten = predict_digits(rows, temperature), predict_digits(rows[:, :10], temperature)
    assert (eleven.digit < 10).all()
    assert (eleven.digit != eleven.second).all()
    assert (eleven.confidence <= ten.confidence).all()
    assert (eleven.confidence[eleven.other] <= 0.5).all()


# --- values of known truth ---

values = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.5, 0.77, 0.9, 0.98, 0.99, 0.9999]), st.booleans())
)
errors = st.floats(0.001, 0.999)


def gathered(some: list[tuple[float, bool]]) -> list[CalibrationBin]:
    confidence = np.array([one for one, _ in some], np.float64)
    return group_by_confidence(confidence, np.array([one for _, one in some], np.bool_))


def by_hand(some: list[tuple[float, bool]], fits: Callable[[int, int], bool]) -> float | None:
    """The lowest confidence over which wrong ones and all values fit."""
    for level in sorted({confidence for confidence, _ in some}):
        over = [right for confidence, right in some if confidence >= level]
        if fits(over.count(False), len(over)):
            return level
    return None


@pytest.mark.parametrize(
    ("some", "expected"),
    [
        ([], []),
        ([(0.5, True)], [(0.5, 1, 0)]),
        ([(0.5, False)], [(0.5, 0, 1)]),
        ([(0.9, True), (0.8, True), (0.7, True)], [(0.7, 3, 0)]),
        ([(0.7, True), (0.9, True), (0.8, False)], [(0.9, 1, 0), (0.7, 1, 1)]),
        ([(0.8, False), (0.8, True), (0.8, False)], [(0.8, 1, 2)]),
        ([(0.9, False), (0.8, False), (0.7, True)], [(0.9, 0, 1), (0.7, 1, 1)]),
    ],
    ids=[
        "none",
        "one right",
        "one wrong",
        "right ones in a row",
        "a wrong one, and what is below",
        "ties",
        "wrong from the top",
    ],
)
def test_readings(some: list[tuple[float, bool]], expected: list[tuple[float, int, int]]) -> None:
    assert gathered(some) == expected


@unhurried
@given(values)
def test_readings_lose_no_value(some: list[tuple[float, bool]]) -> None:
    found = gathered(some)
    assert sum(one.right for one in found) == sum(right for _, right in some)
    assert sum(one.wrong for one in found) == sum(not right for _, right in some)
    assert [one.confidence for one in found] == sorted({one[0] for one in found}, reverse=True)
    assert all(one.wrong for one in found[1:]), "right ones alone are no reading of their own"


@pytest.mark.parametrize(
    ("wrong", "count", "bound"),
    [
        (0, 1, 0.95),
        (0, 10, 0.2589),
        (0, 59, 0.0495),  # the least number without a fault for 5%
        (0, 299, 0.0100),  # and for 1%
        (1, 10, 0.3942),
        (3, 20, 0.3437),
        (10, 10, 1),
        (0, 0, 1),
    ],
)
def test_the_upper_bound_is_clopper_and_pearsons(wrong: int, count: int, bound: float) -> None:
    assert float(compute_upper_bound(wrong, count)) == pytest.approx(bound, abs=5e-5)


@unhurried
@given(st.integers(0, 200), st.integers(1, 10_000))
def test_at_the_upper_bound_so_few_come_once_in_twenty(wrong: int, more: int) -> None:
    bound = float(compute_upper_bound(wrong, wrong + more))
    assert binom.cdf(wrong, wrong + more, bound) == pytest.approx(0.05, rel=1e-6)


@unhurried
@given(values, errors)
def test_the_threshold_is_the_lowest_whose_bound_is_under_the_error(
    some: list[tuple[float, bool]], error: float
) -> None:
    expected = by_hand(some, lambda wrong, count: float(compute_upper_bound(wrong, count)) < error)
    found = gathered(some)
    if expected is None:
        with pytest.raises(ModelError, match="support"):
            find_threshold(found, error)
    else:
        assert find_threshold(found, error) == expected
        assert find_threshold(found[::-1], error) == expected, "in any order"


@unhurried
@given(values)
def test_the_least_error_is_granted_and_none_much_smaller(some: list[tuple[float, bool]]) -> None:
    found = gathered(some)
    least = compute_min_target_error(found)
    if least < 1:
        assert find_threshold(found, least) >= 0
        assert float(f"{least:g}") == least, "as it is told, it can be given"
    with pytest.raises(ModelError, match="support"):
        find_threshold(found, least * 0.998)


def test_a_refusal_names_an_error_that_is_granted() -> None:
    found = [
        CalibrationBin(0.99, 5_000, 0),
        CalibrationBin(0.9, 3_000, 4),
        CalibrationBin(0.3, 10, 90),
    ]
    with pytest.raises(ModelError) as caught:
        find_threshold(found, 0.0001)
    said = str(caught.value)
    assert "the 8,104 values" in said
    assert "by the 5,000 surest" in said
    named = float(said.partition("support is ")[2].partition(",")[0])
    assert named == 0.0005990  # 1 - 0.05 ** (1 / 5000) = 0.00059897
    assert find_threshold(found, named) == 0.99


def test_no_data_support_no_error() -> None:
    with pytest.raises(ModelError, match="the 0 values of the calibration data support none"):
        find_threshold([], 0.5)


@unhurried
@given(values)
def test_the_default_threshold_lets_one_in_five_hundred_through(
    some: list[tuple[float, bool]],
) -> None:
    expected = by_hand(some, lambda wrong, count: wrong <= 0.002 * count)
    assert find_default_threshold(gathered(some)) == (1 if expected is None else expected)


def test_the_default_threshold_counts_to_five_hundred() -> None:
    assert find_default_threshold([CalibrationBin(0.9, 498, 0), CalibrationBin(0.8, 1, 1)]) == 0.8
    assert find_default_threshold([CalibrationBin(0.9, 498, 0), CalibrationBin(0.8, 0, 1)]) == 0.9


# --- audited results ---


def audit(folder: Path, text: str | bytes) -> str:
    place = folder / "audited.csv"
    place.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(place)


FULL = """file,page,field,value,confidence,status,truth
a.png,1,,7,0.9,ok,7
b.png,1,,1,0.8,review,7
c.png,1,,,,blank,
d.png,1,,,,error,3
e.png,1,,,0.0000,review,3
f.png,1,,4,0.7,verified,4
g.png,1,,5,0.6,ok,
h.png,1,,6,0.5,ok,none
i.png,1,,007,0.4,ok,7
j.png,1,,007,0.3,ok,007
"""


def test_audited_results_are_read(tmp_path: Path) -> None:
    found = load_audit_table(audit(tmp_path, FULL))
    wrong = [(0.8, 0, 1), (0.6, 0, 1), (0.5, 0, 1), (0.3, 1, 1)]
    assert found == [(0.9, 1, 0), *wrong], "no confidence, no value, a person's: they do not count"


@pytest.mark.parametrize(
    "text",
    [
        "value,truth,confidence\n1,1,0.5\n2,1,0.4\n",
        "\ufeffvalue;truth;confidence\n1;1;0.5\n2;1;0.4\n",
        "value\ttruth\tconfidence\r\n1\t1\t0.5\r\n2\t1\t0.4",
        'note,value,truth,confidence\n"a, ""b""\nc",1, 1 ,0.5\n,2,1,0.4\n',
    ],
    ids=["other order, no status", "a spreadsheet's", "tabs", "quotes and spaces"],
)
def test_audited_results_may_be_written_in_other_ways(tmp_path: Path, text: str) -> None:
    assert load_audit_table(audit(tmp_path, text)) == [(0.5, 1, 0), (0.4, 0, 1)]


HEAD = "confidence,value,truth\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected the columns confidence, value, truth"),
        ("file,page,field,value,confidence,status,detail\n", "evaluate --out"),
        (HEAD, "got none"),
        (HEAD + ",,\n,,3\n", "got none"),
        (HEAD + "0.5,1,1\n1.2,1,1\n", "got '1.2' in row 2"),
        (HEAD + "-0.1,1,1\n", "got '-0.1' in row 1"),
        (HEAD + "nan,1,1\n", "got 'nan' in row 1"),
        (HEAD + "high,1,1\n", "got 'high' in row 1"),
        (HEAD.encode() + b"\xff\xfe,1,1\n", "expected a table in CSV"),
        (HEAD + '0.5,"' + "x" * 200_000 + '",1\n', "expected a table in CSV"),
    ],
    ids=[
        "empty",
        "no truth",
        "no rows",
        "no readings",
        "over 1",
        "under 0",
        "NaN",
        "words",
        "not UTF-8",
        "a huge cell",
    ],
)
def test_what_is_no_audit_is_refused_in_one_line(
    tmp_path: Path, text: str | bytes, words: str
) -> None:
    with pytest.raises(UsageError) as caught:
        load_audit_table(audit(tmp_path, text))
    said = str(caught.value)
    assert said.startswith("--calibration '")
    assert words in said
    assert "\n" not in said
    assert len(said) < 500


@pytest.mark.parametrize("name", ["none.csv", "", "a\0b"], ids=["missing", "empty", "impossible"])
def test_an_audit_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="--calibration"):
        load_audit_table(name)


# --- a calibration as a whole ---


def test_a_calibration_finds_the_temperature_and_counts_each_value_once() -> None:
    rows, labels = sampled(2, 4000)
    found = fit_calibration(rows, labels)
    assert found.temperature == fit_temperature(rows, labels)
    assert (found.right == (rows.argmax(axis=1) == labels)).all()
    assert sum(one.right for one in found.readings) == found.right.sum()
    assert sum(one.right + one.wrong for one in found.readings) == 4000
    assert found.threshold == find_default_threshold(found.readings)


def test_a_temperature_that_is_given_is_not_fitted() -> None:
    """As where two networks are read as one: each has its own already."""
    rows, labels = sampled(2, 4000)
    found = fit_calibration(rows, labels, temperature=1.3)
    assert found.temperature == 1.3
    confidence = predict_digits(rows, 1.3).confidence
    assert found.readings == group_by_confidence(confidence, found.right)
    assert found.threshold == find_default_threshold(found.readings)
    own = fit_temperature(rows, labels)
    assert fit_calibration(rows, labels, temperature=own).threshold == pytest.approx(
        fit_calibration(rows, labels).threshold, abs=0.02
    )


def test_the_median_temperature_is_of_the_sources_with_enough_digits() -> None:
    parts = [sampled(temperature, count) for temperature, count in ((1, 400), (3, 50), (9, 49))]
    rows, labels = (np.concatenate(part) for part in zip(*parts, strict=True))
    sources = np.repeat([0, 1, 2], [400, 50, 49])
    each = [fit_temperature(*part) for part in parts[:2]]
    assert fit_median_temperature(rows, labels, sources) == pytest.approx(np.median(each))
    unknown = np.where(np.arange(499) % 3 == 0, -1, labels)
    known = unknown >= 0
    assert fit_median_temperature(rows, unknown, 0 * sources) == fit_temperature(
        rows[known], labels[known]
    )


def test_a_calibration_is_repeatable_and_halved_by_its_seed() -> None:
    rows, labels = sampled(2, 600)
    once, again, other = (fit_calibration(rows, labels, seed=seed) for seed in (1, 1, 2))
    assert once.readings == again.readings
    assert (once.ok == again.ok).all()
    assert once.readings != other.readings
    assert once.temperature == other.temperature


def test_what_is_ok_was_judged_by_the_other_half() -> None:
    """Were it the same half, at most one in five hundred would ever be wrong."""
    shares = []
    for seed in range(6):
        rows, labels = sampled(1, 1000, seed)
        found = fit_calibration(3 * rows, labels)
        shares.append((found.ok & ~found.right).sum() / max(found.ok.sum(), 1))
    assert max(shares) > 0.002


def test_of_several_sources_the_temperature_is_the_median() -> None:
    """Else the largest source, or the one with most wrong labels, would decide for all."""
    sampled_ = [sampled(temperature, 600) for temperature in (1, 2, 9)]
    few = sampled(30, 20)
    rows, labels = (np.concatenate(part) for part in zip(*sampled_, sampled_[2], few, strict=True))
    sources = np.repeat([0, 1, 2, 2, 3], [600, 600, 600, 600, 20])
    found = fit_calibration(rows, labels, sources=sources)
    assert found.temperature == fit_temperature(*sampled_[1])
    assert fit_calibration(rows, labels).temperature > 1.2 * found.temperature


@pytest.mark.parametrize("label", [-1, 10])
def test_not_a_digit_is_wrong_whatever_it_is_read_as(label: int) -> None:
    rows, labels = sampled(1, 400)
    odd = np.arange(400) % 4 == 0
    found = fit_calibration(rows, np.where(odd, label, labels))
    assert not found.right[odd].any()
    assert found.temperature == fit_temperature(rows[~odd], labels[~odd])
    assert sum(one.wrong for one in found.readings) == (~found.right).sum()


@pytest.mark.parametrize("label", [-1, 10])
def test_a_model_that_knows_not_a_digit_learns_from_it(label: int) -> None:
    rows, labels = sampled(2, 3000)
    eleven = np.concatenate([rows, np.full((3000, 1), -50, np.float32)], axis=1)
    odd = np.arange(3000) % 5 == 0
    eleven[odd, 10] = 9
    labels = np.where(odd, label, labels)
    found = fit_calibration(eleven, labels)
    assert found.temperature == fit_temperature(eleven, np.where(odd, 10, labels))
    other = predict_digits(eleven, found.temperature).other
    assert other[odd].mean() > 0.9
    assert not found.ok[other].any()
    assert sum(one.right + one.wrong for one in found.readings) == (~other).sum()
