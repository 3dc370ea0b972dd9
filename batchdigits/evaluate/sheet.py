"""The contact sheet: mistakes as pictures, with what was read and what is true."""

import os
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pandas as pd

from batchdigits import pages, sources
from batchdigits.options import MAX_PIXELS
from batchdigits.records import Grey, Page

COLUMNS = 5
PICTURE, LINE, MARGIN = 144, 18, 12
"""Side of a picture, height of a line of words, and the space round them, px."""
WORDS = 22
"""Characters of a line of words that fit under a picture."""

Picture = Callable[[str, int], Grey | None]
"""Gives the picture of a `file` and `page` of the table; None where it is gone."""


def stored(file: str, page: int) -> Grey | None:
    """Read the picture of a row again from its file; None where that cannot be done."""
    path = os.fsdecode(sources.unspell(file))
    for found in pages.read(path, max_pixels=MAX_PIXELS):
        if isinstance(found, Page) and found.number == page:
            return found.grey
    return None


def contact_sheet(mistakes: pd.DataFrame, picture: Picture = stored) -> Grey:
    """Draw mistakes row by row: the picture, what was read, the truth, confidence, file.

    Args:
        mistakes: with the columns of the readings; a picture that is gone is a grey cell.
        picture: where pictures come from.

    Returns:
        uint8, shape (height, width), black on white.
    """
    cells = [_cell(row, picture(row["file"], int(row["page"]))) for _, row in mistakes.iterrows()]
    if not cells:
        cells = [_worded(np.full((PICTURE, PICTURE), 255, np.uint8), ["no mistakes"])]
    blank = np.full_like(cells[0], 255)
    wide = min(COLUMNS, len(cells))
    cells += [blank] * (-len(cells) % wide)
    rows = [np.hstack(cells[start : start + wide]) for start in range(0, len(cells), wide)]
    return np.asarray(np.vstack(rows), np.uint8)


def _cell(row: "pd.Series[Any]", crop: Grey | None) -> Grey:
    square = np.full((PICTURE, PICTURE), 255, np.uint8)
    if crop is None:
        square[:] = 208
        cv2.putText(square, "no picture", (30, 76), _FONT, 0.45, 96, 1, cv2.LINE_AA)
    else:
        fitted = _fitted(crop)
        top, left = ((PICTURE - side) // 2 for side in fitted.shape)
        square[top : top + fitted.shape[0], left : left + fitted.shape[1]] = fitted
    square[[0, -1]] = square[:, [0, -1]] = 160
    return _worded(
        square,
        [
            f"read {row['value']}, true {row['truth'] or 'blank'}",
            f"{row['confidence']:.4f} {row['status']}",
            _ending(row["file"] if row["page"] == 1 else f"{row['file']} p{row['page']}"),
        ],
    )


def _fitted(crop: Grey) -> Grey:
    """Scale a crop to fit a cell, keeping its shape; pixels stay visible where it grows."""
    share = PICTURE / max(crop.shape)
    size = [max(1, round(side * share)) for side in crop.shape[::-1]]
    method = cv2.INTER_AREA if share < 1 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(crop, size, interpolation=method), np.uint8)


def _worded(square: Grey, lines: list[str]) -> Grey:
    """Put words under a picture and space round both."""
    cell = np.full((PICTURE + 3 * LINE + 2 * MARGIN, PICTURE + 2 * MARGIN), 255, np.uint8)
    cell[MARGIN : MARGIN + PICTURE, MARGIN : MARGIN + PICTURE] = square
    for number, line in enumerate(lines, 1):
        foot = (MARGIN, MARGIN + PICTURE + number * LINE - 3)
        cv2.putText(cell, line, foot, _FONT, 0.4, 0, 1, cv2.LINE_AA)
    return cell


def _ending(file: str) -> str:
    """Keep a name's end, which tells it from others, in the characters that can be drawn."""
    plain = file.encode("ascii", "replace").decode()
    return plain if len(plain) <= WORDS else f"...{plain[3 - WORDS :]}"


_FONT = cv2.FONT_HERSHEY_SIMPLEX
