"""The contact sheet: pictures of mistakes, with what was read and the truth."""

import os
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pandas as pd

from batchdigits import pages, sources
from batchdigits.options import MAX_PIXELS
from batchdigits.records import GreyImage, Page
from batchdigits.views import open_picture

SHEET_COLUMNS = 5
PICTURE_PX, LINE_PX, MARGIN_PX = 144, 18, 12
"""Side of a picture, height of a line of text, and the space round them, px."""
MAX_LINE_CHARS = 22
"""Characters that fit on a line under a picture."""

PictureLookup = Callable[[str, int], GreyImage | None]
"""Returns the picture of a `file` and `page` of the table; None where it is gone."""


def load_picture(file: str, page: int) -> GreyImage | None:
    """Read the picture of a row from its file; None where that fails."""
    path = os.fsdecode(sources.unescape_path(file))
    with open_picture(path, "") as place:
        for loaded in pages.load_pages(place, max_pixels=MAX_PIXELS):
            if isinstance(loaded, Page) and loaded.number == page:
                return loaded.grey
    return None


def draw_contact_sheet(mistakes: pd.DataFrame, picture: PictureLookup = load_picture) -> GreyImage:
    """Draw mistakes in rows of cells: picture, value read, truth, confidence, file.

    Args:
        mistakes: with the columns of the readings.
        picture: finds the picture of a mistake; a mistake without one is a grey cell.

    Returns:
        uint8, shape (height, width), black on white.
    """
    cells = [
        _draw_mistake(row, picture(row["file"], int(row["page"]))) for _, row in mistakes.iterrows()
    ]
    if not cells:
        cells = [_add_caption(np.full((PICTURE_PX, PICTURE_PX), 255, np.uint8), ["no mistakes"])]
    blank = np.full_like(cells[0], 255)
    wide = min(SHEET_COLUMNS, len(cells))
    cells += [blank] * (-len(cells) % wide)
    rows = [np.hstack(cells[start : start + wide]) for start in range(0, len(cells), wide)]
    return np.asarray(np.vstack(rows), np.uint8)


def _draw_mistake(row: "pd.Series[Any]", crop: GreyImage | None) -> GreyImage:
    square = np.full((PICTURE_PX, PICTURE_PX), 255, np.uint8)
    if crop is None:
        square[:] = 208
        cv2.putText(square, "no picture", (30, 76), _FONT, 0.45, 96, 1, cv2.LINE_AA)
    else:
        fitted = _scale_crop(crop)
        top, left = ((PICTURE_PX - side) // 2 for side in fitted.shape)
        square[top : top + fitted.shape[0], left : left + fitted.shape[1]] = fitted
    square[[0, -1]] = square[:, [0, -1]] = 160
    return _add_caption(
        square,
        [
            f"read {row['value']}, true {row['truth'] or 'blank'}",
            f"{row['confidence']:.4f} {row['status']}",
            _shorten_file_name(
                row["file"] if row["page"] == 1 else f"{row['file']} p{row['page']}"
            ),
        ],
    )


def _scale_crop(crop: GreyImage) -> GreyImage:
    """Scale a crop to fit a cell, keeping its proportions; enlarged pixels stay visible."""
    share = PICTURE_PX / max(crop.shape)
    size = [max(1, round(side * share)) for side in crop.shape[::-1]]
    method = cv2.INTER_AREA if share < 1 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(crop, size, interpolation=method), np.uint8)


def _add_caption(square: GreyImage, lines: list[str]) -> GreyImage:
    """Put lines of text under a picture, and space round both."""
    cell = np.full(
        (PICTURE_PX + 3 * LINE_PX + 2 * MARGIN_PX, PICTURE_PX + 2 * MARGIN_PX), 255, np.uint8
    )
    cell[MARGIN_PX : MARGIN_PX + PICTURE_PX, MARGIN_PX : MARGIN_PX + PICTURE_PX] = square
    for number, line in enumerate(lines, 1):
        foot = (MARGIN_PX, MARGIN_PX + PICTURE_PX + number * LINE_PX - 3)
        cv2.putText(cell, line, foot, _FONT, 0.4, 0, 1, cv2.LINE_AA)
    return cell


def _shorten_file_name(file: str) -> str:
    """Return the end of a name, which differs most, in characters that can be drawn."""
    plain = file.encode("ascii", "replace").decode()
    return plain if len(plain) <= MAX_LINE_CHARS else f"...{plain[3 - MAX_LINE_CHARS :]}"


_FONT = cv2.FONT_HERSHEY_SIMPLEX
