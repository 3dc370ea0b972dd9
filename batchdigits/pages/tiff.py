"""TIFF: its chain of pages, and the errors that libtiff prints and does not raise."""

import io
import os
import struct
from typing import Any, BinaryIO

from batchdigits.pages.overhear import capture_stderr
from batchdigits.pages.trouble import UnreadableFileError, check_page_count


def find_tiff_directories(file: BinaryIO) -> tuple[list[int], str]:
    """Return the offset in bytes of each page's directory, and why some are missing, or "".

    TIFF 6.0 section 2, and its 64-bit variant BigTIFF. A chain that returns to an earlier page
    ends there.
    """
    file.seek(0)
    order, big = ("<" if file.read(2) == b"II" else ">"), b"+" in file.read(2)
    link, entry, at = (order + "Q", 20, 8) if big else (order + "I", 12, 4)
    count = order + ("Q" if big else "H")
    file_bytes = file.seek(0, os.SEEK_END)
    starts: dict[int, None] = {}

    def read_number(form: str, place: int) -> int:
        file.seek(min(place, file_bytes))
        return int(struct.unpack(form, file.read(struct.calcsize(form)))[0])

    try:
        while (start := read_number(link, at)) and start not in starts:
            at = start + struct.calcsize(count) + entry * read_number(count, start)
            starts[start] = None
            check_page_count(len(starts))
    except UnreadableFileError as fault:
        return [], str(fault)
    except struct.error:
        return list(starts), "truncated TIFF: its list of pages breaks off; copy or scan it again"
    return list(starts), "" if starts else "damaged TIFF: it lists no page; copy or scan it again"


def put_page_first(file: io.BytesIO, start: int) -> None:
    """Make the page whose directory is at byte `start` the first of the chain, in `file` itself."""
    file.seek(0)
    head = file.read(4)
    order = "<" if head.startswith(b"II") else ">"
    form, at = (order + "Q", 8) if b"+" in head else (order + "I", 4)
    struct.pack_into(form, file.getbuffer(), at, start)


def wrap_fax_as_tiff(data: bytes, size: tuple[int, int], coding: tuple[int, int]) -> io.BytesIO:
    """Wrap a fax's bare data in a TIFF of one strip (TIFF 6.0 sections 10 and 11).

    Args:
        data: as coded by ITU-T T.4 or T.6.
        size: width and height, in pixels.
        coding: the tag Compression: 3 or 4 for the group, or 2 for lines that begin at whole
            bytes; and for group 3 the tag T4Options: 1 for coding in two dimensions.
    """
    (width, height), (group, options) = size, coding
    tags = {256: width, 257: height, 258: 1, 259: group, 262: 0, 273: 8, 277: 1, 278: height}
    tags |= {279: len(data), **({292: options} if group == 3 else {})}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = struct.pack("<2sHI", b"II", 42, 8 + len(data))
    return io.BytesIO(head + data + struct.pack("<H", len(tags)) + entries + bytes(4))


def decode_tiff(image: Any) -> None:
    """Decode a TIFF page in place; errors that libtiff merely prints are raised.

    It prints, for example, that it has filled a broken line of a fax.

    Raises:
        UnreadableFileError: the page is truncated or damaged.
    """
    covered = sum((x1 - x0) * (y1 - y0) for _, (x0, y0, x1, y1), *_ in image.tile)
    layers = len(image.getbands()) if len(image.tile) > 1 and image.tag_v2.get(284) == 2 else 1
    if covered < image.width * image.height * layers:
        raise UnreadableFileError("truncated TIFF: its strips do not cover the page; scan it again")
    fault, said = capture_stderr(lambda: _load_picture(image))
    lines = [line for line in said.splitlines() if "Decode" in line or "JPEGLib" in line]
    if fault or lines:
        reason = lines[0] if lines else fault
        raise UnreadableFileError(f"truncated or damaged TIFF: {reason}; copy or scan it again")


def _load_picture(image: Any) -> Exception | None:
    """Decode a picture; return what went wrong."""
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as error:
        return error
    return None
