"""PNG: every file is checked, and small plain ones are decoded."""

import struct
import zlib
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from batchdigits.pages.trouble import UnreadableFileError, check_pixel_count
from batchdigits.records import GreyImage

# PNG 1.2, section 8.2: first column, first row, column step, row step of each Adam7 pass.
_ADAM7 = "0088 4088 0448 2044 0224 1022 0112"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_SMALL_BYTES = 1 << 20


def decode_plain_png(data: bytes, max_pixels: int) -> GreyImage | None:
    """Check a whole PNG, and decode it if it is small and plain; return None for any other.

    Pillow skips the checksums of the picture data and leaves black what truncated data do not
    reach; libpng prints its complaints. So the file is checked before either sees it.

    Raises:
        UnreadableFileError: the file is truncated, damaged or too large.
    """
    parts = _split_png_chunks(data)
    width, height, depth, colour, _, _, lace = struct.unpack(">IIBBBBB", parts[0][1])
    if colour not in _CHANNELS or not width or not height:
        raise UnreadableFileError("damaged PNG: its header makes no sense; export it again")
    check_pixel_count(width, height, max_pixels)
    bits = depth * _CHANNELS[colour]
    size = 0
    for x, y, dx, dy in (map(int, step) for step in (_ADAM7.split() if lace else ["0011"])):
        columns, rows = -(-(width - x) // dx), -(-(height - y) // dy)
        size += rows * (1 + (columns * bits + 7) // 8) if columns > 0 and rows > 0 else 0
    raw = inflate_picture_data([body for name, body in parts if name == b"IDAT"], size)
    plain = all(
        name in (b"IHDR", b"IDAT", b"IEND") or (name == b"pHYs" and body[:4] == body[4:8])
        for name, body in parts
    )
    if not plain or not raw or lace or depth > 8 or colour not in (0, 2):
        return None
    if raw[:: size // height].strip(b"\0\1\2\3\4"):  # libpng prints about any other row filter
        return None
    grey: GreyImage | None = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    return grey


def _split_png_chunks(data: bytes) -> list[tuple[bytes, memoryview]]:
    """Return (name, body) of each chunk up to IEND; check the checksums."""
    parts: list[tuple[bytes, memoryview]] = []
    view, at = memoryview(data), 8
    while not parts or parts[-1][0] != b"IEND":
        length, name = struct.unpack_from(">I4s", data, at) if at + 12 <= len(data) else (0, b"")
        end = at + 12 + length
        if end > len(data):
            raise UnreadableFileError("truncated PNG: its end is missing; copy or scan it again")
        if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(view[end - 4 : end]):
            raise UnreadableFileError("damaged PNG: a checksum is wrong; copy or scan it again")
        parts.append((name, view[at + 8 : end - 4]))
        at = end
    if parts[0][0] != b"IHDR" or len(parts[0][1]) != 13:
        raise UnreadableFileError("damaged PNG: it does not begin with its header; export it again")
    return parts


def inflate_picture_data(bodies: Sequence[memoryview], size: int, kind: str = "PNG") -> bytes:
    """Check that compressed picture data hold at least `size` bytes.

    Args:
        bodies: the compressed data, in pieces.
        size: bytes that the picture needs.
        kind: format for error messages.

    Returns:
        The data if they are small, exactly `size` bytes long and followed by nothing; else b"".

    Raises:
        UnreadableFileError: the data are truncated or damaged.
    """
    engine, total, kept = zlib.decompressobj(), 0, []
    try:
        for body in bodies:
            rest: bytes | memoryview = body
            while rest and total <= size:  # more than `size` may be a decompression bomb
                piece = engine.decompress(rest, _SMALL_BYTES)
                rest, total = engine.unconsumed_tail, total + len(piece)
                if size <= _SMALL_BYTES:
                    kept.append(piece)
    except zlib.error:
        raise UnreadableFileError(
            f"damaged {kind}: its data do not unpack; copy or scan it again"
        ) from None
    if total < size:
        raise UnreadableFileError(
            f"truncated {kind}: its data end before the picture; export it again"
        )
    return b"".join(kept) if total == size and engine.eof and not engine.unused_data else b""


def scale_transparent_colour(image: Image.Image, depth: int) -> None:
    """Scale the transparent colour of 2, 4 and 16 bits as Pillow scales the samples.

    Pillow itself leaves that colour as it is stored.
    """
    clear = image.info.get("transparency")
    if isinstance(clear, int) and image.mode == "L":
        image.info["transparency"] = clear * 255 // (2**depth - 1)
    elif isinstance(clear, tuple) and depth == 16:
        image.info["transparency"] = tuple(value >> 8 for value in clear)
