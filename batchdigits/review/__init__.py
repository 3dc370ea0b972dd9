"""What people do about doubtful values: look at them, say what they are, merge what was said."""

from batchdigits.review.merge import MergeOutcome, correct_table
from batchdigits.review.results import OpenResults, ReadFile, open_results

__all__ = [
    "MergeOutcome",
    "OpenResults",
    "ReadFile",
    "correct_table",
    "open_results",
]
