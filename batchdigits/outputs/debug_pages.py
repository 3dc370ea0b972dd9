"""Pictures for `--debug-pages`: pages, with boxes and values drawn over them."""

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np

from batchdigits import files
from batchdigits.calibrate import Thresholds
from batchdigits.errors import OutputError
from batchdigits.extract.chunk_builder import DebugPage
from batchdigits.postprocess.judge import judge_findings
from batchdigits.predict.findings import TaskFindings
from batchdigits.records import Row

STATUS_COLOURS = {
    "ok": (0, 140, 0),
    "verified": (0, 140, 0),
    "review": (0, 110, 255),
    "blank": (200, 140, 0),
    "error": (0, 0, 220),
    "": (170, 170, 170),
}
"""Blue, green, red by status; grey for a box without a row, such as a printed label."""
LETTER_HEIGHT_SHARE = 0.011
"""Height of a letter, as a share of the longest side of the picture."""
_CAPITAL_HEIGHT_PX = 22.0
"""Height of a capital letter in OpenCV's plain font at scale 1, px."""


def prepare_debug_folder(folder: str) -> None:
    """Make the folder, and check that files can be written in it.

    Raises:
        OutputError: it is a file, or cannot be made or written in.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        files.check_writable(os.path.join(folder, "page.png"))
    except OSError as error:
        raise OutputError(
            f"--debug-pages '{folder}' takes no files: {error.strerror}: choose another folder"
        ) from None


def draw_pages(folder: str, batch: Iterable[TaskFindings], thresholds: Thresholds) -> None:
    """Draw and save those pages among the findings that come with a picture.

    Raises:
        OutputError: a picture cannot be written.
    """
    for task_findings in batch:
        if task_findings.shown:
            file = task_findings.task.source.file
            rows = judge_findings(file, task_findings.findings, thresholds).rows
            for page in task_findings.shown:
                rows_of_page = [row for row in rows if row.page == page.page]
                write_page_picture(folder, file, page, rows_of_page)


def write_page_picture(folder: str, file: str, page: DebugPage, rows: Sequence[Row]) -> None:
    """Draw the boxes of a page with their values, and save the picture.

    Args:
        folder: where the picture goes.
        file: name of the page's file, as in the table.
        page: the page.
        rows: of the page.

    Raises:
        OutputError: the picture cannot be written.
    """
    path = Path(folder) / name_page_picture(file, page.page)
    try:
        path.write_bytes(cv2.imencode(".png", draw_boxes(page, rows))[1].tobytes())
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written: {error.strerror}") from None


def name_page_picture(file: str, page: int) -> str:
    """Return the file name of a page's picture: legible, unique, safe in any file system."""
    legible = re.sub(r"[^A-Za-z0-9._-]+", "_", file).strip("._")[-80:]
    unique = hashlib.sha256(file.encode()).hexdigest()[:8]
    return f"{legible}-{unique}-{page:03}.png"


def draw_boxes(page: DebugPage, rows: Sequence[Row]) -> np.ndarray:
    """Return the page with its boxes: uint8, shape (height, width, 3), blue, green, red."""
    grey = cv2.imdecode(np.frombuffer(page.picture, np.uint8), cv2.IMREAD_GRAYSCALE)
    picture = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)
    row_by_field = {row.field: row for row in rows}
    side = max(picture.shape)
    thick, scale = max(1, side // 900), max(0.3, LETTER_HEIGHT_SHARE * side / _CAPITAL_HEIGHT_PX)
    labelled = set()
    for box, field in zip(page.boxes, page.names, strict=True):
        row = row_by_field.get(field)
        colour = STATUS_COLOURS[row.status if row and field else ""]
        corners = np.rint(box * 16).astype(np.int32)  # in sixteenths of a pixel: 4 bits
        cv2.polylines(picture, [corners], True, colour, thick, cv2.LINE_AA, 4)
        if row and field and field not in labelled:
            labelled.add(field)
            text = f"{field} {row.value or row.status}"
            corner = (round(float(box[0, 0])), max(8, round(float(box[0, 1])) - 2 * thick))
            cv2.putText(
                picture, text, corner, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA
            )
    return picture
