"""A workbook in which an office settles values: the picture of each beside its reading."""

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from batchdigits.errors import OutputError, UsageError
from batchdigits.files import open_atomic_file, wrap_os_errors
from batchdigits.outputs import RESULT_COLUMNS
from batchdigits.outputs.table_format import sanitize_detail
from batchdigits.outputs.xlsx import make_status_formats
from batchdigits.review.items import ReviewItem
from batchdigits.review.page import ShownItem
from batchdigits.sources import unescape_path

MAX_ROWS = 5000
"""Rows with a picture that a workbook holds: it has to open quickly."""
PICTURE_HEIGHT_PX, PICTURE_WIDTH_PX = 54, 420
ROW_HEIGHT_POINTS = 45
MAX_LINK_CHARS = 2000
WIDTHS = {"file": 36, "page": 6, "field": 16, "value": 18, "confidence": 11, "status": 10}
HELP = (
    "Type what is written into the column value: digits; nothing where the box is blank; x where "
    "nobody can read it. Where the reading is right, choose verified as its status. Save, and give "
    "the workbook to batchdigits correct."
)


def write_workbook(out: str, shown: Sequence[ShownItem], table: str) -> None:
    """Write values with their pictures as a workbook.

    Args:
        out: its path.
        shown: the values, in order.
        table: the table that they are from; the workbook has its access rights.

    Raises:
        UsageError: XlsxWriter is missing, or there are too many values.
        OutputError: it cannot be written.
    """
    try:
        import xlsxwriter  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(
            f"cannot import what writes .xlsx ({error}): pip install 'batchdigits[xlsx]'"
        ) from None
    if len(shown) > MAX_ROWS:
        raise UsageError(
            f"{len(shown):,} values are too many for a workbook, which holds {MAX_ROWS:,}: give "
            "--field, or a page (.html)"
        )
    with wrap_os_errors(out):
        place = Path(os.path.realpath(out))
        if not place.parent.is_dir():
            raise OutputError(f"'{out}': '{place.parent}' is no folder: make it, or choose another")
        content = io.BytesIO()
        book = xlsxwriter.Workbook(content, {"in_memory": True})
        _fill_sheet(book, shown, place.parent)
        book.close()
        with open_atomic_file(place, mode_of=table) as file:
            file.write(content.getvalue())


def _fill_sheet(book: Any, shown: Sequence[ShownItem], folder: Path) -> None:
    sheet = book.add_worksheet("review")
    bold, text = book.add_format({"bold": True}), book.add_format({"num_format": "@"})
    typed = book.add_format({"num_format": "@", "bold": True, "border": 1, "font_size": 14})
    fills, sure = make_status_formats(book), book.add_format({"num_format": "0.0000"})
    names = [*RESULT_COLUMNS, "picture"]
    for at, name in enumerate(names):
        sheet.set_column(at, at, WIDTHS.get(name, 60), text if name == "value" else None)
        sheet.write_string(0, at, name, bold)
    sheet.write_comment(0, names.index("value"), HELP, {"x_scale": 2, "y_scale": 2})
    sheet.freeze_panes(1, 0)
    for at, one in enumerate(shown, 1):
        sheet.set_row(at, ROW_HEIGHT_POINTS)
        _write_row(sheet, at, one.item, folder, (typed, sure, fills))
        if one.view is not None:
            _insert_picture(sheet, at, names.index("picture"), one.view.strip)
        else:
            sheet.write_string(at, names.index("picture"), one.fault)
    if shown:
        choice = {"validate": "list", "source": ["review", "verified"]}
        sheet.data_validation(1, 5, len(shown), 5, choice)


def _write_row(
    sheet: Any, at: int, item: ReviewItem, folder: Path, formats: tuple[Any, Any, dict[str, Any]]
) -> None:
    row, (typed, sure, fills) = item.shown, formats
    link = make_link(row.file, folder)
    if link:
        sheet.write_url(at, 0, link, None, row.file)
    else:
        sheet.write_string(at, 0, row.file)
    sheet.write_number(at, 1, row.page)
    sheet.write_string(at, 2, row.field)
    sheet.write_string(at, 3, row.value, typed)
    if row.confidence is not None:
        sheet.write_number(at, 4, row.confidence, sure)
    sheet.write_string(at, 5, row.status, fills.get(row.status))
    sheet.write_string(at, 6, sanitize_detail(row.detail))


def _insert_picture(sheet: Any, row: int, column: int, strip: bytes) -> None:
    """Put a picture into a cell, as large as there is room; a spreadsheet knows no WebP."""
    grey = np.asarray(cv2.imdecode(np.frombuffer(strip, np.uint8), cv2.IMREAD_GRAYSCALE))
    high, wide = grey.shape
    share = min(PICTURE_HEIGHT_PX / high, PICTURE_WIDTH_PX / wide)
    png = io.BytesIO(cv2.imencode(".png", grey)[1].tobytes())
    scale = {"x_scale": share, "y_scale": share, "x_offset": 3, "y_offset": 3}
    sheet.insert_image(
        row, column, f"{row}.png", {"image_data": png, "object_position": 1, **scale}
    )


def make_link(file: str, folder: Path) -> str:
    """Return a link to a file for a workbook in a folder; empty where none would lead there.

    Args:
        file: as the table spells it.
        folder: of the workbook. A link is relative to it, as both may be moved together.
    """
    path = os.fsdecode(unescape_path(file))
    relative = os.path.relpath(path, folder)
    plain = relative.isprintable() and not set(relative) & set('#%?"<>|*\\')
    if not plain or len(relative) > MAX_LINK_CHARS:  # a spreadsheet reads these as something else
        return ""
    return f"external:{relative}"
