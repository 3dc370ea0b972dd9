"""PDF: its pages, drawn at the resolution of the scans in them."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
import pypdfium2
from pypdfium2 import raw

from batchdigits.pages.trouble import TroubleError, limit
from batchdigits.records import Grey

DRAWN = 300 / 72
"""Pixels a point, of pages that are drawn and not scanned: 300 an inch."""
SCANNED = 0.3
"""Share of a page that its largest picture covers, from which on the page counts as scanned."""
LEAST, MOST = 50 / 72, 2400 / 72
"""Pixels a point that a scan may have; outside, its size on the page is a slip of the writer."""


@contextmanager
def opened(data: bytes) -> Iterator[pypdfium2.PdfDocument]:
    """Open a PDF.

    Raises:
        TroubleError: it is encrypted, or no PDF that anyone could read.
    """
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code == raw.FPDF_ERR_PASSWORD:
            raise TroubleError("encrypted PDF: save it without a password") from None
        raise TroubleError("truncated or damaged PDF; copy or scan it again") from None
    with closing(document):
        yield document


def page_size(page: pypdfium2.PdfPage, most: int) -> tuple[int, int]:
    """Say how large a page is drawn: (width, height), in pixels.

    A scanned page has the pixels of its scan, neither blown up nor thinned; where these are finer
    along one axis, as in a fax, that axis decides. A page that is drawn, not scanned, has 300
    pixels an inch, or what is left within the limit.

    Raises:
        TroubleError: a scan of more than `most` pixels, or a page without a size.
    """
    across, down = page.get_size()
    if not (across > 0 and down > 0):
        raise TroubleError("damaged PDF: a page without a size; scan it again")
    fine = _resolution(page, across * down)
    if fine is None:
        fine = min(DRAWN, (most / (across * down)) ** 0.5)
        width, height = (max(1, round(side * fine)) for side in (across, down))
        return (width, height) if width * height <= most else (width - 1, height - 1)
    width, height = max(1, round(across * fine)), max(1, round(down * fine))
    limit(width, height, most)
    return width, height


def _resolution(page: pypdfium2.PdfPage, area: float) -> float | None:
    """Find the pixels a point of the largest picture on a page; None where none is large."""
    largest, fine = SCANNED * area, None
    for picture in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE]):
        place = picture.get_matrix()
        wide, high = np.hypot(place.a, place.b), np.hypot(place.c, place.d)
        columns, rows = picture.get_px_size()
        if wide * high >= largest and wide and high:
            largest, fine = wide * high, max(columns / wide, rows / high)
    return float(fine) if fine is not None and LEAST <= fine <= MOST else None


def drawn(page: pypdfium2.PdfPage, most: int) -> Grey:
    """Draw a page upright, in grey, on white: uint8, shape (height, width), see `page_size`.

    Raises:
        TroubleError: as `page_size`.
    """
    width, height = page_size(page, most)
    bitmap: Any = pypdfium2.PdfBitmap.new_native(width, height, raw.FPDFBitmap_BGRx)
    with closing(bitmap):
        bitmap.fill_rect((255, 255, 255, 255), 0, 0, width, height)
        flags = raw.FPDF_ANNOT | raw.FPDF_LCD_TEXT * 0
        raw.FPDF_RenderPageBitmap(bitmap, page, 0, 0, width, height, 0, flags)
        import cv2

        return np.asarray(cv2.cvtColor(bitmap.to_numpy()[..., :3], cv2.COLOR_BGR2GRAY), np.uint8)
