"""Readings against truth: how many are right, whether confidences hold, and what changed.

In Python: `measure(with_truth(read_results("results.csv"), read_truth("truth.csv")).readings)`.
"""

from batchdigits.evaluate.differences import TOLERANCE, compare
from batchdigits.evaluate.figures import Figures, interval, measure, right
from batchdigits.evaluate.files import csv_of, make_folder, write, write_text
from batchdigits.evaluate.models import (
    check_files,
    holds_arrays,
    load_arrays,
    pictures_of,
    read_arrays,
    read_files,
)
from batchdigits.evaluate.sheet import contact_sheet
from batchdigits.evaluate.tables import is_table, read_results
from batchdigits.evaluate.truth import (
    Matched,
    Truth,
    all_known,
    read_truth,
    with_folders,
    with_truth,
)

__all__ = [
    "TOLERANCE",
    "Figures",
    "Matched",
    "Truth",
    "all_known",
    "check_files",
    "compare",
    "contact_sheet",
    "csv_of",
    "holds_arrays",
    "interval",
    "is_table",
    "load_arrays",
    "make_folder",
    "measure",
    "pictures_of",
    "read_arrays",
    "read_files",
    "read_results",
    "read_truth",
    "right",
    "with_folders",
    "with_truth",
    "write",
    "write_text",
]
