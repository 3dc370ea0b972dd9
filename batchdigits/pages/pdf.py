"""PDF: its pages, drawn one at a time at the resolution of the scans in them."""

from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO

import numpy as np
import pypdfium2  # type: ignore[import-untyped]
from pypdfium2 import raw

from batchdigits.pages.scan import (
    PdfPicture,
    check_picture_data,
    compute_scan_resolution,
    list_pictures,
    pick_scan_pictures,
    snap_pictures_to_pixels,
)
from batchdigits.pages.trouble import (
    PAGE_MISSING,
    UnreadableFileError,
    check_page_count,
    check_pixel_count,
    describe_file_error,
    list_page_numbers,
)
from batchdigits.records import Failure, GreyImage, Page

DRAWN_PIXELS_PER_POINT = 300 / 72
"""Pixels a point of pages that are drawn and not scanned: 300 an inch."""


def load_pdf_pages(
    file: BinaryIO, max_pixels: int, only: int | None = None
) -> Iterator[Page | Failure]:
    """Yield every page of a PDF, upright and in grey on white; a damaged page spares the others.

    Args:
        file: seekable; read piece by piece, as pages need it.
        max_pixels: most pixels of one page, checked before it is drawn.
        only: number of the one page to draw, counted from 1; None for all.

    Raises:
        MemoryError: the worker's own limit was reached.
    """
    try:
        document = _open_document(file)
    except MemoryError:
        raise
    except Exception as error:
        yield Failure(only or 1, describe_file_error(error, "PDF"), whole=only is None)
        return
    with closing(document):
        for number in list_page_numbers(len(document), only):
            yield _decode_page(document, number, max_pixels)


def inspect_pdf(file: BinaryIO, max_pixels: int) -> tuple[int, int, int]:
    """Return how many pages a PDF has, and the size of the first page that can be read.

    Args:
        file: as in `load_pdf_pages`.
        max_pixels: likewise.

    Returns:
        Number of pages; width and height as drawn, in pixels.

    Raises:
        UnreadableFileError: the file or every page of it cannot be read.
    """
    with closing(_open_document(file)) as document:
        fault: UnreadableFileError | None = None
        for number in range(1, len(document) + 1):
            try:
                with closing(_open_page(document, number)) as page:
                    return len(document), *_measure_page(page, max_pixels)[0]
            except UnreadableFileError as error:
                fault = fault or error
        raise fault or UnreadableFileError("damaged PDF: it lists no page; copy or scan it again")


def _open_document(file: BinaryIO) -> pypdfium2.PdfDocument:
    try:
        document = pypdfium2.PdfDocument(file)
    except pypdfium2.PdfiumError as error:
        if error.err_code in (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY):
            raise UnreadableFileError("encrypted PDF: save it without a password") from None
        raise UnreadableFileError("truncated or damaged PDF; copy or scan it again") from None
    try:
        check_page_count(len(document))
    except UnreadableFileError:
        document.close()
        raise
    document.init_forms()  # without it, what was typed into fields is not drawn
    return document


def _open_page(document: pypdfium2.PdfDocument, number: int) -> pypdfium2.PdfPage:
    """Load a page, and check that it has a size and contents.

    pdfium gives a page without a size that of Letter, and draws nothing where contents are broken
    or missing. No form to read is so empty: even a blank sheet that was scanned holds a picture.

    Raises:
        UnreadableFileError: the page is missing, or has no size or nothing on it.
    """
    if number > len(document):
        raise UnreadableFileError(PAGE_MISSING)
    try:
        page = document[number - 1]
    except pypdfium2.PdfiumError:
        raise UnreadableFileError(
            "damaged PDF: the page cannot be found; copy or scan it again"
        ) from None
    left, bottom, right, top = page.get_mediabox(fallback_ok=False) or page.get_bbox()
    fault = ""
    if left == right or bottom == top or not all(page.get_size()):
        fault = "damaged PDF: a page without a size; copy or scan it again"
    elif not raw.FPDFPage_CountObjects(page) and not raw.FPDFPage_GetAnnotCount(page):
        fault = "nothing is on the page: it is damaged, or was left empty; take it out, or scan it"
    if fault:
        page.close()
        raise UnreadableFileError(fault)
    return page


def _decode_page(document: pypdfium2.PdfDocument, number: int, max_pixels: int) -> Page | Failure:
    try:
        with closing(_open_page(document, number)) as page:
            size, scan = _measure_page(page, max_pixels)
            for picture in scan:
                check_picture_data(picture)
            return Page(number, _draw_page(page, size), "PDF")
    except MemoryError:
        raise
    except Exception as error:
        return Failure(number, describe_file_error(error, "PDF"))


def _measure_page(
    page: pypdfium2.PdfPage, max_pixels: int
) -> tuple[tuple[int, int], list[PdfPicture]]:
    """Return the size to draw a page at, (width, height) in pixels, and the pictures of its scan.

    A scanned page is drawn with the pixels of its scan, neither more nor fewer. A page that is
    drawn, not scanned, gets 300 pixels an inch, or as many as the limit allows.

    Raises:
        UnreadableFileError: a scan of more than `max_pixels` pixels.
    """
    turned = page.get_rotation() in (90, 270)
    wide, high = reversed(page.get_size()) if turned else page.get_size()
    pictures = list_pictures(page)
    scan = pick_scan_pictures(pictures, (wide, high))
    if scan:
        across, down = compute_scan_resolution(scan)
        width, height = round(wide * across), round(high * down)
    else:
        width, height = round(wide * DRAWN_PIXELS_PER_POINT), round(high * DRAWN_PIXELS_PER_POINT)
        if width * height > max_pixels:
            fit = (max_pixels / (wide * high)) ** 0.5
            width, height = int(wide * fit), int(high * fit)
    width, height = max(1, width), max(1, height)
    check_pixel_count(width, height, max_pixels)
    snap_pictures_to_pixels(pictures, page.get_bbox(), (width, height))
    return ((height, width) if turned else (width, height)), scan


def _draw_page(page: pypdfium2.PdfPage, size: tuple[int, int]) -> GreyImage:
    """Draw a page upright, in grey on white, with annotations and filled fields.

    pdfium's grey is 0.30 R + 0.59 G + 0.11 B, as in ITU-R 601.
    """
    width, height = size
    bitmap = pypdfium2.PdfBitmap.new_native(width, height, raw.FPDFBitmap_Gray)
    with closing(bitmap):
        bitmap.fill_rect((255, 255, 255, 255), 0, 0, width, height)
        placement = (0, 0, width, height, 0, raw.FPDF_ANNOT)
        raw.FPDF_RenderPageBitmap(bitmap, page, *placement)
        if page.formenv:
            raw.FPDF_FFLDraw(page.formenv, bitmap, page, *placement)
        return np.asarray(bitmap.to_numpy(), np.uint8)
