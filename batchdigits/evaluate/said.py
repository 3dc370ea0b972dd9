"""What people said about values, as truth; and what a random sample of sure values measures."""

from typing import NamedTuple

import pandas as pd

from batchdigits.corrections import Correction, read_corrections
from batchdigits.errors import UsageError
from batchdigits.evaluate.figures import compute_share_interval, is_right
from batchdigits.evaluate.tables import KEY_COLUMNS, READING_COLUMNS, STATUSES
from batchdigits.evaluate.truth import MatchedReadings

AUDIT = "audit"


class SaidReadings(NamedTuple):
    """Readings that people looked at.

    Attributes:
        matched: what the machine had read, with what people said as truth.
        how: of each reading, how the person came to see it, as in `Correction.how`.
    """

    matched: MatchedReadings
    how: pd.Series


def match_corrections(path: str) -> SaidReadings:
    """Take what people said as truth for what the machine had read.

    Of several answers for one field the last counts. What nobody can read has no truth.

    Args:
        path: corrections, as `correct` keeps them or `review` saves them.

    Raises:
        UsageError: it cannot be read, or has no answer beside a reading.
    """
    latest: dict[tuple[object, ...], Correction] = {}
    for one in read_corrections(path):
        latest[one.content or one.file, one.page, one.template, one.field, one.box] = one
    said = [one for one in latest.values() if one.answer != "withdrawn"]
    known = [one for one in said if one.answer != "unreadable" and one.read_status in STATUSES]
    if not known:
        raise UsageError(
            f"'{path}' has no answer beside what was read: expected corrections that `review` "
            "saved, or that `correct` merged"
        )
    readings = pd.DataFrame(
        [
            (
                *(one.file, one.page, one.field, one.read_value),
                float(one.read_confidence) if one.read_confidence else float("nan"),
                *(one.read_status, one.value),
            )
            for one in known
        ],
        columns=[*READING_COLUMNS, "truth"],
    )
    how = pd.Series([one.how for one in known], dtype="str")
    return SaidReadings(MatchedReadings(readings, len(said) - len(known), 0), how)


def measure_silent_errors(said: SaidReadings, results: pd.DataFrame) -> pd.DataFrame:
    """Measure how many of all `ok` values are wrong, by those that were drawn at random.

    Args:
        said: as `match_corrections` returns it.
        results: the table, as `read_results` returns it.

    Returns:
        `measure`, `count`, `of`, `share`, `low`, `high`: errors among the audited values with the
        95% interval of their share, errors that their confidences promised, and both for all values
        of the table that are `ok`.
    """
    readings = said.matched.readings
    was_sure = readings["status"] == "ok"
    audited = readings[(said.how == AUDIT) & was_sure]
    sure = pd.concat([readings[was_sure], list_sure_values(results, readings)])
    wrong, count, whole = int((~is_right(audited)).sum()), len(audited), len(sure)
    low, high = compute_share_interval(wrong, count)
    share = wrong / count if count else float("nan")
    promised = [float((1 - some["confidence"]).sum()) for some in (audited, sure)]
    none = float("nan")
    lines = [
        ("wrong among audited", wrong, count, share, low, high),
        ("promised among audited", promised[0], count, promised[0] / max(count, 1), none, none),
        ("expected wrong among all ok", share * whole, whole, share, low, high),
        ("promised among all ok", promised[1], whole, promised[1] / max(whole, 1), none, none),
    ]
    table = pd.DataFrame(lines, columns=["silent errors", "count", "of", "share", "low", "high"])
    return table.astype({"count": "float64"})


def list_sure_values(results: pd.DataFrame, readings: pd.DataFrame) -> pd.DataFrame:
    """Return the `ok` rows of a table about which nothing was said."""
    rows = results[results["status"] == "ok"]
    known = pd.MultiIndex.from_frame(readings[list(KEY_COLUMNS)])
    is_new = ~pd.MultiIndex.from_frame(rows[list(KEY_COLUMNS)]).isin(known)
    unsaid: pd.DataFrame = rows[is_new]
    return unsaid


def select_calibration(said: SaidReadings, results: pd.DataFrame) -> pd.DataFrame:
    """Return the readings that may calibrate: those that nobody chose for being wrong.

    These are the values drawn at random among those that were `ok`, and the doubtful ones under the
    least confidence of these, which were all asked about. The threshold that they lead to is a
    little too high rather than too low, since of the sure values there is a sample alone.

    Raises:
        UsageError: nothing was drawn at random.
    """
    readings = said.matched.readings
    audited = (said.how == AUDIT) & (readings["status"] == "ok")
    if not audited.any():
        raise UsageError(
            "no value was drawn at random: `batchdigits review --audit 200` puts some into the "
            "review"
        )
    sure = pd.concat([readings[readings["status"] == "ok"], list_sure_values(results, readings)])
    least = sure["confidence"].min()
    doubtful = (readings["status"] == "review") & (readings["confidence"] < least)
    chosen: pd.DataFrame = readings[audited | doubtful]
    return chosen.reset_index(drop=True)
