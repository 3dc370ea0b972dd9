"""What differs between two results tables."""

import numpy as np
import pandas as pd

from batchdigits.evaluate.tables import KEY_COLUMNS

CONFIDENCE_TOLERANCE = 0.001
"""How much confidences may differ from machine to machine."""
CHANGE_KINDS = ("only old", "only new", "value", "status", "confidence")


def compare_results(
    old: pd.DataFrame, new: pd.DataFrame, *, tolerance: float = CONFIDENCE_TOLERANCE
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """List the rows in which two tables differ.

    Args:
        old: as `read_results` returns it.
        new: likewise.
        tolerance: confidences that differ by no more are the same.

    Returns:
        summary: `change`, `rows`; a line for each of `CHANGE_KINDS`, then `same`.
        rows: a line for each row that differs, ordered by file and page, then as in the tables:
            `file`, `page`, `field`, `change` (the first of `CHANGE_KINDS` that applies),
            `old_value`, `new_value`, `old_status`, `new_status`, `old_confidence`,
            `new_confidence`.
    """
    placed = [table.assign(at=range(len(table))) for table in (old, new)]
    merged = placed[0].merge(
        placed[1], on=list(KEY_COLUMNS), how="outer", suffixes=("_old", "_new"), indicator=True
    )
    merged["at"] = merged["at_new"].fillna(merged["at_old"])
    merged = merged.sort_values(["file", "page", "at"], kind="stable", ignore_index=True)
    change = _classify_changes(merged, tolerance)
    differs = change != ""
    changes = merged.loc[differs, list(KEY_COLUMNS)].assign(change=change[differs])
    for name in ("value", "status", "confidence"):
        for age in ("old", "new"):
            column = merged.loc[differs, f"{name}_{age}"]
            changes[f"{age}_{name}"] = column if name == "confidence" else column.fillna("")
    counts = [int((change == kind).sum()) for kind in CHANGE_KINDS]
    summary = pd.DataFrame(
        {"change": [*CHANGE_KINDS, "same"], "rows": [*counts, int((~differs).sum())]}
    )
    return summary, changes.reset_index(drop=True)


def _classify_changes(merged: pd.DataFrame, tolerance: float) -> pd.Series:
    """Return the change of each row; empty where there is none."""
    before, after = merged["confidence_old"], merged["confidence_new"]
    moved = (before - after).abs() > tolerance + 1e-9  # so that 0.9990 to 0.9980 is 0.001
    moved |= before.isna() != after.isna()
    conditions = [
        merged["_merge"] == "left_only",
        merged["_merge"] == "right_only",
        merged["value_old"] != merged["value_new"],
        merged["status_old"] != merged["status_new"],
        moved,
    ]
    return pd.Series(np.select(conditions, CHANGE_KINDS, ""), merged.index)
