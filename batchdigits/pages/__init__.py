"""One image file → its pages, upright and grey, or why a page could not be read.

A bad file gives a `Failure`, never an exception and never half a picture. This room also checks
for damage that decoders ignore in silence, as in a PNG whose data stop early or a fax with broken
lines. Decoding a TIFF redirects file descriptor 2 for a moment, so only single-threaded workers
may do it.
"""

import io
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image

from batchdigits.formats import FORMAT_BYTES
from batchdigits.pages import webp
from batchdigits.pages.jpeg import check_jpeg2000, decode_jpeg
from batchdigits.pages.opening import (
    TakeContent,
    open_file,
    read_content,
    require_readable_format,
)
from batchdigits.pages.pdf import inspect_pdf, load_pdf_pages
from batchdigits.pages.picture import (
    EXIF_TRANSPOSES,
    compute_upright_size,
    convert_to_grey,
    get_exif_orientation,
    open_image,
)
from batchdigits.pages.png import decode_plain_png, scale_transparent_colour
from batchdigits.pages.tiff import decode_tiff, find_tiff_directories, put_page_first
from batchdigits.pages.trouble import (
    PAGE_MISSING,
    check_pixel_count,
    describe_file_error,
    list_page_numbers,
)
from batchdigits.records import Failure, GreyImage, Page

_BYTES_PER_PIXEL = {"JPEG 2000": 6, "TIFF": 6, "WebP": 15}
"""Bytes a pixel that a decoder takes, for those decoders that report a lack of memory as broken
data: measured with greys, colours of 8 bits, and both with transparency."""


@dataclass(frozen=True, slots=True)
class ImageFileInfo:
    """What the header of a file says, for a dry run.

    Attributes:
        format: its name, such as "PNG".
        width: of the first page as `load_pages` would give it, in pixels; of a PDF, the first
            page that can be read.
        height: likewise.
        pages: how many `load_pages` yields, failures too; 1 for all but TIFF and PDF.
    """

    format: str
    width: int
    height: int
    pages: int


def load_pages(
    path: str | bytes,
    *,
    max_pixels: int,
    only: int | None = None,
    take_content: TakeContent | None = None,
) -> Iterator[Page | Failure]:
    """Yield every page of a file, one in memory at a time.

    Args:
        path: as the operating system takes it; undecodable bytes are surrogates. Or the bytes of
            a file, such as a member of an archive.
        max_pixels: most pixels of one page, checked before the page is decoded.
        only: number of the one page to decode, counted from 1; None for all.
        take_content: gets the bytes from which all pages are decoded; not called for a PDF, which
            is read in pieces, nor for a file that cannot be read.

    Yields:
        `Page` (uint8 (height, width), upright, transparency over white, square pixels), or
        `Failure` with one plain line, for a page or for the whole file.

    Raises:
        MemoryError: the worker's own limit was reached.
    """
    try:
        if isinstance(path, bytes):
            yield from _decode_content(path, max_pixels, only)
        else:
            yield from _load_file(path, max_pixels, only, take_content)
    except MemoryError:
        raise
    except Exception as error:
        yield Failure(only or 1, describe_file_error(error, "file"), whole=only is None)


def _load_file(
    path: str, max_pixels: int, only: int | None, take_content: TakeContent | None
) -> Iterator[Page | Failure]:
    descriptor, before = open_file(path)
    try:
        kind, data = read_content(descriptor, before)
        after = os.fstat(descriptor)
        if kind == "PDF":
            with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
                yield from load_pdf_pages(file, max_pixels, only)
            return
    finally:
        os.close(descriptor)
    if take_content is not None:
        take_content(data, before, after)
    yield from _decode_content(data, max_pixels, only)


def _decode_content(data: bytes, max_pixels: int, only: int | None) -> Iterator[Page | Failure]:
    kind = require_readable_format(data[:FORMAT_BYTES])
    if kind == "PDF":
        yield from load_pdf_pages(io.BytesIO(data), max_pixels, only)
    elif kind == "TIFF":
        yield from _decode_tiff_pages(io.BytesIO(data), max_pixels, only)
    elif only in (None, 1):
        yield _decode_page(io.BytesIO(data), kind, 1, max_pixels)
    else:
        yield Failure(only, PAGE_MISSING)


def inspect_image_file(path: str | bytes, *, max_pixels: int) -> ImageFileInfo | Failure:
    """Return what the header alone says: a file's format, pages, and size of the first page.

    Args:
        path: as in `load_pages`.
        max_pixels: as in `load_pages`.

    Returns:
        An `ImageFileInfo`, or the `Failure` that the header already shows.

    Raises:
        MemoryError: the worker's own limit was reached.
    """
    kind = "file"
    try:
        with _open_stream(path) as file, _silence_pillow():
            kind = require_readable_format(file.read(FORMAT_BYTES))
            if kind == "PDF":
                pages, width, height = inspect_pdf(file, max_pixels)
                return ImageFileInfo(kind, width, height, pages)
            starts, fault = find_tiff_directories(file) if kind == "TIFF" else ([0], "")
            if not starts:
                return Failure(1, fault)
            if kind == "WebP":
                file.seek(0)
                check_pixel_count(*webp.parse_webp_size(file.read(30)), max_pixels)
            image = open_image(file, kind)
            width, height = compute_upright_size(image, kind, get_exif_orientation(image))
            check_pixel_count(width, height, max_pixels)
            return ImageFileInfo(kind, width, height, len(starts) + bool(fault))
    except MemoryError:
        raise
    except Exception as error:
        return Failure(1, describe_file_error(error, kind))


def _open_stream(path: str | bytes) -> BinaryIO:
    if isinstance(path, bytes):
        return io.BytesIO(path)
    return os.fdopen(open_file(path)[0], "rb", buffering=0)


@contextmanager
def _silence_pillow() -> Iterator[None]:
    """Turn off Pillow's warnings, log lines and size limit.

    Failures take the place of the first two, and `check_pixel_count` that of the limit.
    """
    logger = logging.getLogger("PIL")
    level, max_image_pixels = logger.level, Image.MAX_IMAGE_PIXELS
    logger.setLevel(logging.CRITICAL)
    Image.MAX_IMAGE_PIXELS = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        Image.MAX_IMAGE_PIXELS = max_image_pixels


def _decode_page(file: io.BytesIO, kind: str, number: int, max_pixels: int) -> Page | Failure:
    try:
        grey = decode_plain_png(file.getvalue(), max_pixels) if kind == "PNG" else None
        if grey is None:
            with _silence_pillow():
                grey = _decode_image(file, kind, max_pixels)
        return Page(number, grey, kind)
    except MemoryError:
        raise
    except Exception as error:
        return Failure(number, describe_file_error(error, kind))


def _decode_image(file: io.BytesIO, kind: str, max_pixels: int) -> GreyImage:
    """Decode the first page of a file through Pillow, upright and on square pixels."""
    if kind == "WebP":
        size = webp.parse_webp_size(file.getvalue()[:30])
        check_pixel_count(*size, max_pixels)
        _check_memory(*size, kind)
    image = open_image(file, kind)
    if kind == "PNG":  # `decode_plain_png` has checked its size
        scale_transparent_colour(image, file.getvalue()[24])
        image.load()  # the orientation may come after the picture data
    turn = get_exif_orientation(image)
    width, height = compute_upright_size(image, kind, turn)
    check_pixel_count(width, height, max_pixels)
    _check_memory(width, height, kind)
    if kind == "TIFF":
        decode_tiff(image)
    elif kind == "JPEG":
        decode_jpeg(image, file.getvalue())
    elif kind == "JPEG 2000":
        check_jpeg2000(file.getvalue())
    flat = convert_to_grey(image, kind)
    if turn in EXIF_TRANSPOSES and kind != "TIFF":  # Pillow has turned a TIFF already
        flat = flat.transpose(EXIF_TRANSPOSES[turn])
    grey = np.array(flat)
    if grey.shape != (height, width):
        grey = cv2.resize(grey, (width, height), interpolation=cv2.INTER_LINEAR)
    return grey


def _check_memory(width: int, height: int, kind: str) -> None:
    """Check that a decoder will have enough memory: some report a lack of it as a damaged file.

    After a `MemoryError` the file is read again in a worker alone, so that what other workers hold
    does not decide its result.

    Raises:
        MemoryError: memory is too short.
    """
    np.empty(width * height * _BYTES_PER_PIXEL.get(kind, 0), np.uint8)


def _decode_tiff_pages(
    file: io.BytesIO, max_pixels: int, only: int | None
) -> Iterator[Page | Failure]:
    """Yield each page, opened as though it were the first: damage to one page spares the others."""
    starts, fault = find_tiff_directories(file)
    for number in list_page_numbers(len(starts) + bool(fault), only):
        if number > len(starts):
            yield Failure(number, fault or PAGE_MISSING, whole=only is None)
            return
        if number > 1:
            put_page_first(file, starts[number - 1])
        yield _decode_page(file, "TIFF", number, max_pixels)
