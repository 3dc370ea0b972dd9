"""What people do about doubtful values: look at them, say what they are, merge what was said."""

from batchdigits.corrections import load_book
from batchdigits.review.build import (
    ViewOptions,
    make_title,
    prepare_served_review,
    show_items,
    write_pages,
)
from batchdigits.review.items import ReviewItem, Selection, make_item, select_items
from batchdigits.review.merge import MergeOutcome, correct_table
from batchdigits.review.page import PageContext, ShownItem, render_page
from batchdigits.review.results import OpenResults, ReadFile, open_results
from batchdigits.review.server import ReviewServer, ServedReview
from batchdigits.review.turns import find_quarters

__all__ = [
    "MergeOutcome",
    "OpenResults",
    "PageContext",
    "ReadFile",
    "ReviewItem",
    "ReviewServer",
    "Selection",
    "ServedReview",
    "ShownItem",
    "ViewOptions",
    "correct_table",
    "find_quarters",
    "load_book",
    "make_item",
    "make_title",
    "open_results",
    "prepare_served_review",
    "render_page",
    "select_items",
    "show_items",
    "write_pages",
]
