"""Pages for `--debug-pages`: what was found and read on each, drawn over it."""

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
from batchdigits.extract.chunk import DebugPage
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
"""By status, blue before green before red; of a box without a row, a printed label, grey."""
LETTER_HEIGHT_SHARE = 0.011
"""Height of a letter, as a share of the picture's longest side."""
_CAPITAL_HEIGHT_PX = 22.0
"""Its height in OpenCV's plain font at scale 1, px."""


def prepare_debug_folder(folder: str) -> None:
    """Make the folder, and find out whether it takes files.

    Raises:
        OutputError: it cannot be made or written in, or is a file.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        files.check_writable(os.path.join(folder, "page.png"))
    except OSError as error:
        raise OutputError(
            f"--debug-pages '{folder}' takes no files: {error.strerror}: choose another folder"
        ) from None


def draw_pages(folder: str, found: Iterable[TaskFindings], thresholds: Thresholds) -> None:
    """Draw and save the pages that people want to see, among what was found.

    Raises:
        OutputError: one cannot be written.
    """
    for one in found:
        if one.shown:
            file = one.task.source.file
            rows = judge_findings(file, one.findings, thresholds).rows
            for page in one.shown:
                write_page_picture(
                    folder, file, page, [row for row in rows if row.page == page.page]
                )


def write_page_picture(folder: str, file: str, shown: DebugPage, rows: Sequence[Row]) -> None:
    """Draw a page's boxes with their values, and save it.

    Args:
        folder: where to.
        file: as the table spells it.
        shown: the page.
        rows: of the page.

    Raises:
        OutputError: it cannot be written.
    """
    path = Path(folder) / name_page_picture(file, shown.page)
    try:
        path.write_bytes(cv2.imencode(".png", draw_boxes(shown, rows))[1].tobytes())
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written: {error.strerror}") from None


def name_page_picture(file: str, page: int) -> str:
    """Name a page's picture: legible, safe in any file system, and its own."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", file).strip("._")[-80:]
    own = hashlib.sha256(file.encode()).hexdigest()[:8]
    return f"{plain}-{own}-{page:03}.png"


def draw_boxes(shown: DebugPage, rows: Sequence[Row]) -> np.ndarray:
    """Draw: uint8, (height, width, 3), blue before green before red."""
    grey = cv2.imdecode(np.frombuffer(shown.picture, np.uint8), cv2.IMREAD_GRAYSCALE)
    picture = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)
    said = {row.field: row for row in rows}
    side = max(picture.shape)
    thick, scale = max(1, side // 900), max(0.3, LETTER_HEIGHT_SHARE * side / _CAPITAL_HEIGHT_PX)
    begun = set()
    for box, field in zip(shown.boxes, shown.names, strict=True):
        row = said.get(field)
        colour = STATUS_COLOURS[row.status if row and field else ""]
        ends = np.rint(box * 16).astype(np.int32)
        cv2.polylines(picture, [ends], True, colour, thick, cv2.LINE_AA, 4)
        if row and field and field not in begun:
            begun.add(field)
            words = f"{field} {row.value or row.status}"
            at = (round(float(box[0, 0])), max(8, round(float(box[0, 1])) - 2 * thick))
            cv2.putText(picture, words, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)
    return picture
