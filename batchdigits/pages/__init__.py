"""One image file → its pages, upright and grey, or why a page could not be read.

A bad file is never an exception and never half a picture: what the decoders pass over in silence
(a PNG whose data stop early, a fax with broken lines) is looked for here. Decoding TIFF borrows
file descriptor 2 for a moment, so this room belongs in single-threaded workers.
"""

import io
import logging
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image

from batchdigits.pages import webp
from batchdigits.pages.jpeg import check_jpeg2000, load_jpeg
from batchdigits.pages.pdf import look_pdf, read_pdf
from batchdigits.pages.picture import TURNS, flattened, header, turn_of, upright
from batchdigits.pages.png import mend_png, plain_png
from batchdigits.pages.tiff import directories, load_tiff, put_first
from batchdigits.pages.trouble import GONE, TroubleError, limit, numbers, words
from batchdigits.records import MOST_BYTES, Failure, Grey, Page

_SIGNATURES = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"GIF8": "GIF",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"BM": "BMP",
}
_NEED = {"JPEG 2000": 6, "TIFF": 6, "WebP": 15}
"""Bytes a pixel that decoders of the kinds take which say of a lack of memory that data are broken:
measured, of greys, colours of 8 bits, and both with transparency."""
_FOREIGN = {b"avi": "AVIF", b"hei": "HEIC", b"hev": "HEIC", b"mif": "HEIC", b"msf": "HEIC"}


@dataclass(frozen=True, slots=True)
class Look:
    """What the header of a file says, for a dry run.

    Attributes:
        format: its name, as "PNG".
        width: of the first page as `read` would give it, in pixels; of a PDF, the first sound one.
        height: likewise.
        pages: how many `read` yields, failures too; 1 for all but TIFF and PDF.
    """

    format: str
    width: int
    height: int
    pages: int


def read(path: str, *, max_pixels: int, only: int | None = None) -> Iterator[Page | Failure]:
    """Yield every page of a file, one in memory at a time; a bad file is a `Failure`.

    Args:
        path: as the operating system takes it; undecodable bytes are surrogates.
        max_pixels: most pixels of one page, checked before they are decoded.
        only: a page's number, counted from 1, to have that one alone; the others are not decoded.

    Yields:
        `Page` (uint8 (height, width), upright, transparency over white, square pixels), or
        `Failure` with one plain line.

    Raises:
        MemoryError: the worker's own limit was reached.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(_opened(path))
            head = file.read(1024)
            kind = _sniff(head)
            data = b"" if kind == "PDF" else head + file.read()
        except MemoryError:
            raise
        except Exception as error:
            yield Failure(only or 1, words(error, "file"), whole=only is None)
            return
        if kind == "PDF":
            yield from read_pdf(file, max_pixels, only)
            return
    if kind == "TIFF":
        yield from _read_tiff(io.BytesIO(data), max_pixels, only)
    elif only in (None, 1):
        yield _page(io.BytesIO(data), kind, 1, max_pixels)
    else:
        yield Failure(only, GONE)


def look(path: str, *, max_pixels: int) -> Look | Failure:
    """Say from the header alone what a file is and how large its first page would be.

    Args:
        path: as in `read`.
        max_pixels: as in `read`.

    Returns:
        A `Look`, or the `Failure` that the header already shows.

    Raises:
        MemoryError: the worker's own limit was reached.
    """
    kind = "file"
    try:
        with _opened(path) as file, _quiet():
            kind = _sniff(file.read(1024))
            if kind == "PDF":
                pages, width, height = look_pdf(file, max_pixels)
                return Look(kind, width, height, pages)
            starts, fault = directories(file) if kind == "TIFF" else ([0], "")
            if not starts:
                return Failure(1, fault)
            if kind == "WebP":
                file.seek(0)
                limit(*webp.size(file.read(30)), max_pixels)
            image = header(file, kind)
            width, height = upright(image, kind, turn_of(image))
            limit(width, height, max_pixels)
            return Look(kind, width, height, len(starts) + bool(fault))
    except MemoryError:
        raise
    except Exception as error:
        return Failure(1, words(error, kind))


def _opened(path: str) -> BinaryIO:
    """Open a regular file; without blocking, as opening a named pipe would wait for ever."""
    try:
        file = open(  # noqa: SIM115 - the caller closes it; flags need an opener
            path, "rb", buffering=0, opener=lambda p, f: os.open(p, f | os.O_NONBLOCK | os.O_NOCTTY)
        )
    except IsADirectoryError:
        raise TroubleError("not a file but a folder") from None
    except FileNotFoundError:
        raise TroubleError("no such file") from None
    except PermissionError:
        raise TroubleError("permission denied: let this account read the file") from None
    except OSError as error:
        raise TroubleError(f"cannot be opened: {error.strerror}") from None
    except ValueError:
        raise TroubleError("not a path: it holds a zero byte") from None
    status = os.fstat(file.fileno())
    fault = ""
    if not stat.S_ISREG(status.st_mode):
        fault = "not a regular file but a pipe, socket or device"
    elif status.st_size > MOST_BYTES:
        fault = f"too large: {status.st_size:,} bytes, over the limit of {MOST_BYTES:,}"
    if fault:
        file.close()
        raise TroubleError(fault)
    return file


def _sniff(head: bytes) -> str:
    """Name the format by its first bytes; names and suffixes are often wrong."""
    if not head:
        raise TroubleError("empty file (0 bytes)")
    for signature, kind in _SIGNATURES.items():
        if head.startswith(signature):
            return kind
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WebP"
    if b"%PDF" in head:  # readers allow junk of up to 1024 bytes before it
        return "PDF"
    brands = head[8:64] if head[4:8] == b"ftyp" else b""
    for brand, name in _FOREIGN.items():
        if brand in brands:
            raise TroubleError(f"{name} is not read: convert it to PNG or JPEG")
    raise TroubleError(
        f"not an image: begins with {head[:8]!r}; "
        "expected PNG, JPEG, TIFF, BMP, WebP, GIF, JPEG 2000 or PDF"
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Set Pillow's warnings, log lines and own size limit aside: rows and `limit` serve here."""
    logger = logging.getLogger("PIL")
    level, most = logger.level, Image.MAX_IMAGE_PIXELS
    logger.setLevel(logging.CRITICAL)
    Image.MAX_IMAGE_PIXELS = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        Image.MAX_IMAGE_PIXELS = most


def _page(file: io.BytesIO, kind: str, number: int, max_pixels: int) -> Page | Failure:
    try:
        grey = plain_png(file.getvalue(), max_pixels) if kind == "PNG" else None
        if grey is None:
            with _quiet():
                grey = _decode(file, kind, max_pixels)
        return Page(number, grey, kind)
    except MemoryError:
        raise
    except Exception as error:
        return Failure(number, words(error, kind))


def _decode(file: io.BytesIO, kind: str, max_pixels: int) -> Grey:
    """Decode what the file's header points at through Pillow, upright and on square pixels."""
    if kind == "WebP":
        size = webp.size(file.getvalue()[:30])
        limit(*size, max_pixels)
        _room(*size, kind)
    image = header(file, kind)
    if kind == "PNG":  # its size is checked already
        mend_png(image, file.getvalue()[24])
        image.load()  # its orientation may stand behind the picture
    turn = turn_of(image)
    width, height = upright(image, kind, turn)
    limit(width, height, max_pixels)
    _room(width, height, kind)
    if kind == "TIFF":
        load_tiff(image)
    elif kind == "JPEG":
        load_jpeg(image, file.getvalue())
    elif kind == "JPEG 2000":
        check_jpeg2000(file.getvalue())
    flat = flattened(image, kind)
    if turn in TURNS and kind != "TIFF":  # Pillow has turned a TIFF already
        flat = flat.transpose(TURNS[turn])
    grey = np.array(flat)
    if grey.shape != (height, width):
        grey = cv2.resize(grey, (width, height), interpolation=cv2.INTER_LINEAR)
    return grey


def _room(width: int, height: int, kind: str) -> None:
    """Find out whether memory will do: some decoders take want of it for damage of the file.

    A worker that is told of it reads the file again, alone: what its neighbours hold must not
    decide what becomes of it.

    Raises:
        MemoryError: it will not.
    """
    np.empty(width * height * _NEED.get(kind, 0), np.uint8)


def _read_tiff(file: io.BytesIO, max_pixels: int, only: int | None) -> Iterator[Page | Failure]:
    """Yield each page, opened as though it were the first: damage to one stays with that one."""
    starts, fault = directories(file)
    for number in numbers(len(starts) + bool(fault), only):
        if number > len(starts):
            yield Failure(number, fault or GONE, whole=only is None)
            return
        if number > 1:
            put_first(file, starts[number - 1])
        yield _page(file, "TIFF", number, max_pixels)
