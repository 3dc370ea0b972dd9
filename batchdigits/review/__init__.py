"""What people do about doubtful values: look at them, say what they are, merge what was said."""

from batchdigits.review.build import ViewOptions, make_title, show_items, write_pages
from batchdigits.review.items import ReviewItem, Selection, select_items
from batchdigits.review.merge import MergeOutcome, correct_table
from batchdigits.review.page import PageContext, ShownItem, render_page
from batchdigits.review.results import OpenResults, ReadFile, open_results

__all__ = [
    "MergeOutcome",
    "OpenResults",
    "PageContext",
    "ReadFile",
    "ReviewItem",
    "Selection",
    "ShownItem",
    "ViewOptions",
    "correct_table",
    "make_title",
    "open_results",
    "render_page",
    "select_items",
    "show_items",
    "write_pages",
]
