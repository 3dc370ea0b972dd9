"""PNG: every file is checked, and plain ones are decoded."""

import struct
import zlib
from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np
from PIL import Image

from batchdigits.pages.overhear import capture_stderr
from batchdigits.pages.trouble import UnreadableFileError, check_pixel_count
from batchdigits.records import GreyImage

# PNG 1.2, section 8.2: first column, first row, column step, row step of each Adam7 pass.
_ADAM7 = "0088 4088 0448 2044 0224 1022 0112"
_HEADER = struct.Struct(">IIBBBBB")
_CHUNK_HEAD, _CHECKSUM = struct.Struct(">I4s"), struct.Struct(">I")
_PLAIN_CHUNKS = {b"IHDR", b"IDAT", b"IEND"}
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_SMALL_BYTES = 1 << 20


def decode_plain_png(data: bytes, max_pixels: int) -> GreyImage | None:
    """Check a whole PNG, and decode it if it is plain and sound; return None for any other.

    Pillow skips the checksums of the picture data and leaves black what truncated data do not
    reach. libpng reports both in print, which is caught here. What is not plain for it, or not
    sound, is checked in a second way, before Pillow decodes it.

    Raises:
        UnreadableFileError: the file is truncated, damaged or too large.
    """
    parts = _split_png_chunks(data)
    width, height, depth, colour, _, _, lace = _HEADER.unpack(parts[0][1])
    if colour not in _CHANNELS or not width or not height:
        raise UnreadableFileError("damaged PNG: its header makes no sense; export it again")
    check_pixel_count(width, height, max_pixels)
    line_bytes = 1 + (width * depth * _CHANNELS[colour] + 7) // 8
    size = height * line_bytes if not lace else _compute_laced_size(width, height, depth, colour)
    if not lace and depth <= 8 and _is_plain(parts, colour, size):
        grey = _decode_and_listen(data)
        if grey is not None:
            return grey
    check_packed_data([body for name, body in parts if name == b"IDAT"], size)
    return None


def _is_plain(parts: Sequence[tuple[bytes, memoryview]], colour: int, size: int) -> bool:
    """Return whether OpenCV decodes a PNG as Pillow does: its greys are what is stored.

    Args:
        parts: name and body of each chunk.
        colour: the type of its colours.
        size: of its picture data, bytes.
    """
    if colour != 0 and not (colour == 2 and size <= _SMALL_BYTES):
        return False
    return all(
        name in _PLAIN_CHUNKS or (name == b"pHYs" and body[:4] == body[4:8]) for name, body in parts
    )


def _decode_and_listen(data: bytes) -> GreyImage | None:
    """Decode a PNG; return None if libpng or OpenCV prints anything, as of any that is not sound.

    libpng checks everything that `check_packed_data` does, and the checksums.

    Raises:
        MemoryError: memory is too short.
    """
    try:
        grey, said = capture_stderr(
            lambda: cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
        )
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from error
        return None
    return None if said else cast("GreyImage | None", grey)


def _compute_laced_size(width: int, height: int, depth: int, colour: int) -> int:
    """Return the bytes of unpacked picture data in the order of Adam7."""
    size, bits = 0, depth * _CHANNELS[colour]
    for x, y, dx, dy in (map(int, step) for step in _ADAM7.split()):
        columns, rows = -(-(width - x) // dx), -(-(height - y) // dy)
        size += rows * (1 + (columns * bits + 7) // 8) if columns > 0 and rows > 0 else 0
    return size


def _split_png_chunks(data: bytes) -> list[tuple[bytes, memoryview]]:
    """Return (name, body) of each chunk up to IEND; check the checksums."""
    parts: list[tuple[bytes, memoryview]] = []
    view, at, name, file_bytes = memoryview(data), 8, b"", len(data)
    while name != b"IEND":
        length, name = _CHUNK_HEAD.unpack_from(data, at) if at + 12 <= file_bytes else (0, b"")
        end = at + 12 + length
        if end > file_bytes:
            raise UnreadableFileError("truncated PNG: its end is missing; copy or scan it again")
        named = view[at + 4 : end - 4]
        if (zlib.crc32(named),) != _CHECKSUM.unpack_from(data, end - 4):
            raise UnreadableFileError("damaged PNG: a checksum is wrong; copy or scan it again")
        parts.append((name, named[4:]))
        at = end
    if parts[0][0] != b"IHDR" or len(parts[0][1]) != 13:
        raise UnreadableFileError("damaged PNG: it does not begin with its header; export it again")
    return parts


def check_packed_data(bodies: Sequence[memoryview], size: int, kind: str = "PNG") -> None:
    """Check that compressed picture data hold at least `size` bytes.

    Args:
        bodies: the compressed data, in pieces.
        size: bytes that the picture needs.
        kind: format for error messages.

    Raises:
        UnreadableFileError: the data are truncated or damaged.
    """
    engine, total = zlib.decompressobj(), 0
    try:
        for body in bodies:
            rest: bytes | memoryview = body
            while rest and total <= size:  # more than `size` may be a decompression bomb
                total += len(engine.decompress(rest, _SMALL_BYTES))
                rest = engine.unconsumed_tail
    except zlib.error:
        raise UnreadableFileError(
            f"damaged {kind}: its data do not unpack; copy or scan it again"
        ) from None
    if total < size:
        raise UnreadableFileError(
            f"truncated {kind}: its data end before the picture; export it again"
        )


def scale_transparent_colour(image: Image.Image, depth: int) -> None:
    """Scale the transparent colour of 2, 4 and 16 bits as Pillow scales the samples.

    Pillow itself leaves that colour as it is stored.
    """
    clear = image.info.get("transparency")
    if isinstance(clear, int) and image.mode == "L":
        image.info["transparency"] = clear * 255 // (2**depth - 1)
    elif isinstance(clear, tuple) and depth == 16:
        image.info["transparency"] = tuple(value >> 8 for value in clear)
