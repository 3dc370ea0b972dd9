"""Readings with their truth → figures: how many are right, and whether confidences hold.

A value is right when it equals the truth, whatever its status. A blank box is right when its
status is `blank`. What is no digit is right when it has any status but `ok`. Intervals are 95% and
exact, by Clopper and Pearson ("The use of confidence or fiducial limits illustrated in the case of
the binomial", Biometrika 26, 1934): for rare errors, which matter most here, they promise too
little rather than too much.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from batchdigits.evaluate.tables import STATUSES
from batchdigits.evaluate.truth import NO_DIGIT_TRUTH

BAND_EDGES = (0.9, 0.99, 0.999)
"""Confidences between which errors are counted; 0 and 1 are edges too."""
FINE_BAND_EDGES = (0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)
"""The same, for the reliability diagram."""
CALIBRATION_BINS = 15
"""Bins of equal width for the expected calibration error, as in Guo et al., "On calibration of
modern neural networks", ICML 2017."""
REVIEW_SHARES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Shares of the values that a person reviews, in the table of errors left."""
MAX_MISTAKES = 20
"""How many mistakes are shown."""
DIGITS = tuple("0123456789")


@dataclass(frozen=True, slots=True)
class Metrics:
    """What an evaluation found, as DataFrames.

    Attributes:
        summary: `measure`, `count`, `of`, `share`, `low`, `high`: a line per measure, with the 95%
            interval of the share where it has a meaning.
        digits: `digit`, `n`, `right`, `read`, `recall`, `precision`: a line per digit.
        confusion: `truth`, then a column for each result: digits, `blank`, `none` (for review,
            without a value) and `error`; counts of digits, not of values.
        bands: `confidence` (the band), `n`, `promised` (sum of 1 - confidence), `observed`
            (wrong values), `low` and `high` (95% interval of `observed`, in values).
        reliability: the same in narrower bands.
        review: `reviewed` (share), `values`, `left` (errors not reviewed), `share` (of the rest),
            `confidence` (lowest of the rest; NaN where it has none).
        curve: the same, with a line wherever an error is found.
        mistakes: the most confident wrong values, with the columns of the readings.
    """

    summary: pd.DataFrame
    digits: pd.DataFrame
    confusion: pd.DataFrame
    bands: pd.DataFrame
    reliability: pd.DataFrame
    review: pd.DataFrame
    curve: pd.DataFrame
    mistakes: pd.DataFrame


def compute_metrics(readings: pd.DataFrame) -> Metrics:
    """Compare readings with their truth.

    Args:
        readings: as in `MatchedReadings.readings`; one line at least.
    """
    confusion = _count_confusion(readings)
    valued = readings[_has_value_and_confidence(readings)]
    confidence = valued["confidence"].to_numpy(np.float64)
    wrong = (valued["value"] != valued["truth"]).to_numpy(bool)
    curve = _compute_review_curve(readings)
    return Metrics(
        summary=pd.concat(
            [_summarize_readings(readings), _compute_calibration_scores(confidence, wrong)],
            ignore_index=True,
        ),
        digits=_compute_digit_scores(confusion),
        confusion=confusion.rename_axis("truth").reset_index(),
        bands=_count_band_errors(confidence, wrong, BAND_EDGES),
        reliability=_count_band_errors(confidence, wrong, FINE_BAND_EDGES),
        review=_sample_curve(curve, _convert_shares(REVIEW_SHARES, len(readings))).assign(
            reviewed=REVIEW_SHARES
        ),
        curve=_sample_curve(curve, _find_curve_steps(curve["left"].to_numpy())),
        mistakes=_list_mistakes(readings),
    )


def compute_share_interval(count: int, of: int) -> tuple[float, float]:
    """Return the 95% interval of `count / of`, by Clopper and Pearson; NaN where `of` is 0."""
    from scipy.stats import binomtest  # noqa: PLC0415  (a second, which only this needs)

    if not of:
        return np.nan, np.nan
    interval = binomtest(count, of).proportion_ci(0.95, "exact")
    return float(interval.low), float(interval.high)


def is_right(readings: pd.DataFrame) -> pd.Series:
    """Return which readings are right, as the module defines it: bool, one for each line."""
    digits = (readings["value"] == readings["truth"]) & (readings["value"] != "")
    blank = (readings["truth"] == "") & (readings["status"] == "blank")
    rejected = (readings["truth"] == NO_DIGIT_TRUTH) & readings["status"].isin(
        ("review", "blank", "error")
    )
    return digits | blank | rejected


def _has_value_and_confidence(readings: pd.DataFrame) -> pd.Series:
    """Return which readings have a value with a confidence of the machine's own."""
    by_machine = (readings["value"] != "") & (readings["status"] != "verified")
    return by_machine & readings["confidence"].notna()


def _summarize_readings(readings: pd.DataFrame) -> pd.DataFrame:
    good, status = is_right(readings), readings["status"]
    all_rows, ok, blank = pd.Series(True, readings.index), status == "ok", status == "blank"
    lines = [
        ("accuracy", good, all_rows, True),
        *((name, status == name, all_rows, False) for name in STATUSES),
        ("accuracy among ok", good, ok, True),
        ("wrong among ok", ~good, ok, True),
        ("wrong among blank", ~good, blank, True),
        ("of another length", _has_other_length(readings), all_rows, False),
    ]
    table: list[tuple[Any, ...]] = [("values", len(readings), None, np.nan, np.nan, np.nan)]
    for name, selected, among, has_interval in lines:
        count, of = int((selected & among).sum()), int(among.sum())
        low, high = compute_share_interval(count, of) if has_interval else (np.nan, np.nan)
        table.append((name, count, of, count / of if of else np.nan, low, high))
    return _make_summary_rows(table)


def _compute_calibration_scores(
    confidence: NDArray[np.float64], wrong: NDArray[np.bool_]
) -> pd.DataFrame:
    """Return the expected calibration error and the Brier score of n values: (n,), (n,)."""
    n, brier, error = len(wrong), np.nan, np.nan
    if n:
        brier = float(np.mean((confidence - ~wrong) ** 2))
        bins = np.clip(
            np.ceil(confidence * CALIBRATION_BINS).astype(int) - 1, 0, CALIBRATION_BINS - 1
        )
        # Per bin, the gap between confidence and accuracy times the number of values.
        gaps = np.bincount(bins, (confidence - ~wrong), CALIBRATION_BINS)
        error = float(np.abs(gaps).sum() / n)
    return _make_summary_rows(
        [
            ("expected calibration error", None, n, error, np.nan, np.nan),
            ("Brier score", None, n, brier, np.nan, np.nan),
        ]
    )


def _make_summary_rows(table: list[tuple[Any, ...]]) -> pd.DataFrame:
    names = ["measure", "count", "of", "share", "low", "high"]
    return pd.DataFrame(table, columns=names).astype({"count": "Int64", "of": "Int64"})


def _has_other_length(readings: pd.DataFrame) -> pd.Series:
    """Return which values have more or fewer digits than the truth: their digits do not count."""
    expected = readings["truth"].where(~readings["truth"].isin(("", NO_DIGIT_TRUTH)), "0").str.len()
    return (readings["value"] != "") & (readings["value"].str.len() != expected)


def _count_confusion(readings: pd.DataFrame) -> pd.DataFrame:
    """Count digit by digit what was read for each truth: rows truth, columns read."""
    used = readings[~_has_other_length(readings)]
    true = used["truth"].where(used["truth"] != "", "-")
    true = true.where(true != NO_DIGIT_TRUTH, "n")
    signs = used["status"].map({"blank": "-", "error": "e"}).fillna("n")
    unread = [sign * len(truth) for sign, truth in zip(signs, true, strict=True)]
    read = used["value"].where(used["value"] != "", unread)
    names = [*DIGITS, "blank", NO_DIGIT_TRUTH, "error"]
    place = np.zeros(128, np.int64)
    place[[ord(sign) for sign in "0123456789-ne"]] = range(len(names))
    indices = [place[np.frombuffer("".join(texts).encode(), np.uint8)] for texts in (true, read)]
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, tuple(indices), 1)
    return pd.DataFrame(counts, names, names).drop(index="error")


def _compute_digit_scores(confusion: pd.DataFrame) -> pd.DataFrame:
    digits = list(DIGITS)
    hits = np.diag(confusion.loc[digits, digits])
    n, read = confusion.loc[digits].sum(axis=1).to_numpy(), confusion[digits].sum().to_numpy()
    with np.errstate(invalid="ignore"):  # a digit that never occurs has neither
        recall, precision = hits / n, hits / read
    return pd.DataFrame(
        {
            "digit": digits,
            "n": n,
            "right": hits,
            "read": read,
            "recall": recall,
            "precision": precision,
        }
    )


def _count_band_errors(
    confidence: NDArray[np.float64], wrong: NDArray[np.bool_], edges: Sequence[float]
) -> pd.DataFrame:
    """Count promised and observed errors in each band of confidence."""
    band_indices = np.searchsorted(edges, confidence, side="right")
    band_indices[np.isin(confidence, edges[-1:])] -= 1  # the last band begins above its edge
    texts = [f"{edge:g}" for edge in edges]
    names = [f"< {texts[0]}", *(f"{a} - {b}" for a, b in pairwise(texts)), f"> {texts[-1]}"]
    lines = []
    for band, name in enumerate(names):
        here = band_indices == band
        n, observed = int(here.sum()), int(wrong[here].sum())
        low, high = (n * bound for bound in compute_share_interval(observed, n))
        lines.append((name, n, float((1 - confidence[here]).sum()), observed, low, high))
    return pd.DataFrame(lines, columns=["confidence", "n", "promised", "observed", "low", "high"])


def _compute_review_curve(readings: pd.DataFrame) -> pd.DataFrame:
    """Return errors left, and the lowest confidence of the rest, after 0 to n values are reviewed.

    A person reviews first what has no reading, then the least confident values, and blanks last.
    Of equal confidences the right ones come first, so that the errors left are never
    underestimated.
    """
    status, confidence = readings["status"], readings["confidence"].to_numpy(np.float64)
    unread = status.isin(("error", "review")) & readings["confidence"].isna()
    rank = np.where(unread, -1.0, np.where(np.isnan(confidence), 2.0, confidence))
    none = readings["truth"] == NO_DIGIT_TRUTH
    bad = ((~none & ~is_right(readings)) | (none & (readings["value"] != ""))).to_numpy(bool)
    order = np.lexsort((bad, rank))
    left = bad.sum() - np.append(0, bad[order].cumsum())
    return pd.DataFrame({"left": left, "confidence": np.append(confidence[order], np.nan)})


def _convert_shares(shares: Sequence[float], n: int) -> NDArray[np.int64]:
    """Turn shares of n values into whole numbers, rounded down: 0.07 of 100 is 7, of 99 is 6."""
    return np.floor(np.array(shares) * n + 1e-9).astype(np.int64)


def _find_curve_steps(left: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where the number of errors left changes, and both ends."""
    changed = np.flatnonzero(np.diff(left)) + 1
    return np.unique(np.concatenate([[0], changed, [len(left) - 1]]))


def _sample_curve(curve: pd.DataFrame, values: NDArray[np.int64]) -> pd.DataFrame:
    """Return the lines of a curve at these numbers of reviewed values."""
    n = len(curve) - 1
    sampled = curve.iloc[values].reset_index(drop=True)
    rest = np.maximum(n - values, 1)
    return pd.DataFrame(
        {
            "reviewed": values / n,
            "values": values,
            "left": sampled["left"],
            "share": sampled["left"] / rest,
            "confidence": sampled["confidence"],
        }
    )


def _list_mistakes(readings: pd.DataFrame) -> pd.DataFrame:
    wrong = readings[_has_value_and_confidence(readings) & ~is_right(readings)]
    ranked = wrong.sort_values("confidence", ascending=False, kind="stable")
    return ranked.head(MAX_MISTAKES).reset_index(drop=True)
