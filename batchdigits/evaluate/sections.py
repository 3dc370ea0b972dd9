"""The parts of a report: what is counted, in a table each, and pictures."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

import pandas as pd

from batchdigits.evaluate.figures import DIGITS, Metrics, is_right
from batchdigits.evaluate.tables import STATUSES
from batchdigits.sources import unescape_path

CONFIDENCE_EDGES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 1.0)
MOST_FIELDS, MOST_PAGES, MOST_CROPS = 30, 12, 24
"""Lines and pictures that a part of the page shows."""
CropLookup = Callable[[Sequence[tuple[str, int, str]]], Sequence[bytes | None]]
"""Returns the pictures (WebP) of fields by file, page and field; None where there is none."""


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        title: its heading.
        line: what its figures mean, in one line.
        names: of the columns of its table.
        rows: of its table; a float between 0 and 1 in a column `share` is drawn as a bar.
        crops: pictures, each with its caption.
    """

    title: str
    line: str
    names: Sequence[str] = ()
    rows: Sequence[Sequence[object]] = ()
    crops: Sequence[tuple[bytes, str]] = ()


def make_sections(
    results: pd.DataFrame,
    metrics: Metrics | None,
    readings: pd.DataFrame | None,
    find_crops: CropLookup,
) -> list[Section]:
    """Return the parts of a report that have anything to tell; see `page.render_report`."""
    sections = [
        _describe_whole(results),
        _describe_fields(results),
        _describe_folders(results),
        _describe_days(results),
        _describe_confidences(results),
        _describe_pages(results),
        _show_doubtful(_list_doubtful(results), find_crops),
    ]
    if metrics is not None and readings is not None:
        sections += [*_describe_truth(metrics, readings), _show_mistakes(metrics, find_crops)]
    return [one for one in sections if one.rows or one.crops]


def _describe_whole(results: pd.DataFrame) -> Section:
    sure = results[results["status"] == "ok"]
    promised = float((1 - sure["confidence"]).sum())
    rows: list[tuple[object, ...]] = [
        ("files", results["file"].nunique(), None),
        ("pages", len(results.drop_duplicates(["file", "page"])), None),
        ("values", len(results), None),
    ]
    rows += [
        (
            status,
            int((results["status"] == status).sum()),
            _compute_share(results["status"] == status),
        )
        for status in STATUSES
    ]
    rows.append(("errors that confidences promise among ok", f"{promised:.1f}", None))
    line = "What came in, and how much of it was read without a person."
    return Section("The whole", line, ("", "count", "share"), rows)


def _describe_fields(results: pd.DataFrame) -> Section:
    rows = _rank_groups(results, results["field"].where(results["field"] != "", "(single)"))
    line = "Share of the values of a field that a person has to look at, the most first."
    return Section("Fields", line, ("field", "values", "for review", "share"), rows)


def _describe_folders(results: pd.DataFrame) -> Section:
    folder = results["file"].str.rpartition("/")[0]
    line = "The same by folder: a scanner or a day that went wrong shows here."
    return Section(
        "Folders", line, ("folder", "values", "for review", "share"), _rank_groups(results, folder)
    )


def _describe_days(results: pd.DataFrame) -> Section:
    """Group values by the day on which their file was last written, as a scanner does."""
    days = {file: _find_day(file) for file in results["file"].unique()}
    day = results["file"].map(days)
    rows = sorted(_rank_groups(results[day != ""], day[day != ""]))
    line = "The same by the day of the scan, for files that are still there."
    return Section("Days", line, ("day", "values", "for review", "share"), rows)


def _find_day(file: str) -> str:
    try:
        time = os.stat(unescape_path(file)).st_mtime
    except (OSError, ValueError):
        return ""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d")


def _rank_groups(results: pd.DataFrame, names: pd.Series) -> list[tuple[object, ...]]:
    waiting = results["status"].isin(("review", "error"))
    groups = (
        waiting.groupby(names).agg(["size", "sum", "mean"]).sort_values("mean", ascending=False)
    )
    return [
        (str(name), int(size), int(some), float(share))
        for name, size, some, share in groups.head(MOST_FIELDS).itertuples()
    ]


def _describe_confidences(results: pd.DataFrame) -> Section:
    read = (results["value"] != "") & (results["status"] != "verified")
    sure = results.loc[results["confidence"].notna() & read, "confidence"]
    bands = pd.cut(sure, CONFIDENCE_EDGES, include_lowest=True, right=False).value_counts(
        sort=False
    )
    rows = [
        (f"{low:g} to {high:g}", int(count), count / max(len(sure), 1))
        for (low, high), count in zip(pairwise(CONFIDENCE_EDGES), bands, strict=True)
    ]
    line = "How sure the machine was; most values should be in the last two bands."
    return Section("Confidences", line, ("confidence", "values", "share"), rows)


def _describe_pages(results: pd.DataFrame) -> Section:
    waiting = results["status"].isin(("review", "error"))
    pages = waiting.groupby([results["file"], results["page"]]).agg(["sum", "size"])
    worst = pages[pages["sum"] > 0].sort_values(["sum", "size"], ascending=[False, True])
    rows = [
        (file, page, int(some), int(size))
        for (file, page), some, size in worst.head(MOST_PAGES).itertuples()
    ]
    line = "Pages with the most values for review or in error."
    return Section("Worst pages", line, ("file", "page", "for review", "values"), rows)


def _list_doubtful(results: pd.DataFrame) -> pd.DataFrame:
    return results[results["status"] == "review"].sort_values("confidence").head(MOST_CROPS)


def _show_doubtful(rows: pd.DataFrame, find_crops: CropLookup) -> Section:
    captions = [
        f"{value or 'not read'} ({sure:.4f}): {file}{f', {field}' if field else ''}"
        for file, field, value, sure in rows[["file", "field", "value", "confidence"]].itertuples(
            index=False
        )
    ]
    line = "The values that the machine was least sure of."
    return Section("Doubtful", line, crops=_pair_crops(rows, captions, find_crops))


def _show_mistakes(metrics: Metrics, find_crops: CropLookup) -> Section:
    rows = metrics.mistakes.head(MOST_CROPS)
    captions = [
        f"read {value}, true {truth or 'blank'} ({sure:.4f} {status})"
        for value, truth, sure, status in rows[
            ["value", "truth", "confidence", "status"]
        ].itertuples(index=False)
    ]
    line = "Wrong values, the surest first: those that nobody would have looked at."
    return Section("Mistakes", line, crops=_pair_crops(rows, captions, find_crops))


def _pair_crops(
    rows: pd.DataFrame, captions: Sequence[str], find_crops: CropLookup
) -> list[tuple[bytes, str]]:
    keys = [
        (str(a), int(b), str(c))
        for a, b, c in rows[["file", "page", "field"]].itertuples(index=False)
    ]
    return [
        (crop, caption)
        for crop, caption in zip(find_crops(keys), captions, strict=True)
        if crop is not None
    ]


def _describe_truth(metrics: Metrics, readings: pd.DataFrame) -> Iterable[Section]:
    summary = metrics.summary
    rows = [
        (
            name,
            _format_number(count),
            _format_number(of),
            _format_number(share),
            _format_interval(low, high),
        )
        for name, count, of, share, low, high in summary.itertuples(index=False)
    ]
    line = "How many values are right, with 95% intervals; wrong among ok are the silent errors."
    yield Section("Against the truth", line, ("measure", "count", "of", "share", "interval"), rows)
    good = is_right(readings)
    by_field = good.groupby(readings["field"].where(readings["field"] != "", "(single)"))
    scores = by_field.agg(["size", "sum", "mean"]).sort_values("mean")
    yield Section(
        "Accuracy by field",
        "Share of the values of a field that are right, the worst first.",
        ("field", "values", "right", "share"),
        [
            (str(a), int(b), int(c), float(d))
            for a, b, c, d in scores.head(MOST_FIELDS).itertuples()
        ],
    )
    digits = metrics.digits[metrics.digits["digit"].isin(DIGITS)]
    yield Section(
        "Accuracy by digit",
        "How often each digit is read as itself, and how often a digit that was read is right.",
        ("digit", "written", "right", "recall", "precision"),
        [
            (a, int(b), int(c), _format_number(d), _format_number(e))
            for a, b, c, d, e in digits[["digit", "n", "right", "recall", "precision"]].itertuples(
                index=False
            )
        ],
    )
    yield _describe_positions(readings)
    yield Section(
        "Reliability",
        "Errors that confidences promised and errors that there are: the second should lie near.",
        ("confidence", "values", "promised", "observed", "interval"),
        [
            (a, int(b), f"{c:.1f}", int(d), _format_interval(e, f))
            for a, b, c, d, e, f in metrics.bands.itertuples(index=False)
        ],
    )


def _describe_positions(readings: pd.DataFrame) -> Section:
    """Count right digits by their position in values of the right length."""
    pairs = readings[
        (readings["value"].str.len() == readings["truth"].str.len()) & (readings["value"] != "")
    ]
    counts: dict[int, list[int]] = {}
    for value, truth in pairs[["value", "truth"]].itertuples(index=False):
        for at, (read, true) in enumerate(zip(value, truth, strict=True), 1):
            count = counts.setdefault(at, [0, 0])
            count[0] += 1
            count[1] += read == true
    rows = [(at, n, right, right / n) for at, (n, right) in sorted(counts.items())]
    line = "Share of the digits that are right by their place in the value, from the left."
    return Section("Accuracy by position", line, ("position", "digits", "right", "share"), rows)


def _compute_share(chosen: pd.Series) -> float | None:
    return float(chosen.mean()) if len(chosen) else None


def _format_number(value: object) -> object:
    if value is None or pd.isna(value):  # type: ignore[call-overload]
        return None
    return f"{value:.4f}" if isinstance(value, float) else value


def _format_interval(low: float, high: float) -> str | None:
    return None if pd.isna(low) else f"{low:.4g} to {high:.4g}"
