"""Pictures of fields for people: a field in a strip of its surroundings, its digits, its page.

They are cut out again from the file, in worker processes: the state keeps no pixels.
"""

from batchdigits.views.cut import (
    WHOLE_PAGE,
    FieldRequest,
    FieldView,
    FileRequest,
    FileViews,
    cut_views,
    draw_page,
)
from batchdigits.views.places import open_picture
from batchdigits.views.stream import cut_file_views, find_picture, index_pictures

__all__ = [
    "WHOLE_PAGE",
    "FieldRequest",
    "FieldView",
    "FileRequest",
    "FileViews",
    "cut_file_views",
    "cut_views",
    "draw_page",
    "find_picture",
    "index_pictures",
    "open_picture",
]
