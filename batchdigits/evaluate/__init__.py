"""Readings against truth: how many are right, whether confidences hold, and what changed.

In Python: `compute_metrics(match_truth(read_results(...), read_truth(...)).readings)`.
"""

from batchdigits.evaluate.crops import make_crop_lookup
from batchdigits.evaluate.differences import CONFIDENCE_TOLERANCE, compare_results
from batchdigits.evaluate.figures import Metrics, compute_metrics, compute_share_interval, is_right
from batchdigits.evaluate.files import format_csv, make_folder, write_evaluation
from batchdigits.evaluate.models import (
    check_labels,
    is_array_set,
    load_arrays,
    make_picture_lookup,
    read_crops,
    read_files,
)
from batchdigits.evaluate.page import render_report
from batchdigits.evaluate.said import (
    AUDIT,
    SaidReadings,
    match_corrections,
    measure_silent_errors,
    select_calibration,
)
from batchdigits.evaluate.sheet import draw_contact_sheet
from batchdigits.evaluate.tables import is_table, read_results
from batchdigits.evaluate.truth import (
    MatchedReadings,
    Truth,
    check_truth_rows,
    match_folder_labels,
    match_truth,
    read_truth,
)

__all__ = [
    "AUDIT",
    "CONFIDENCE_TOLERANCE",
    "MatchedReadings",
    "Metrics",
    "SaidReadings",
    "Truth",
    "check_labels",
    "check_truth_rows",
    "compare_results",
    "compute_metrics",
    "compute_share_interval",
    "draw_contact_sheet",
    "format_csv",
    "is_array_set",
    "is_right",
    "is_table",
    "load_arrays",
    "make_crop_lookup",
    "make_folder",
    "make_picture_lookup",
    "match_corrections",
    "match_folder_labels",
    "match_truth",
    "measure_silent_errors",
    "read_crops",
    "read_files",
    "read_results",
    "read_truth",
    "render_report",
    "select_calibration",
    "write_evaluation",
]
