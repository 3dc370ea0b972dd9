"""One image file → its pages, upright and grey, or why a page could not be read.

A bad file is never an exception and never half a picture: what the decoders pass over in silence
(a PNG whose data stop early, a fax with broken lines) is looked for here. Decoding TIFF borrows
file descriptor 2 for a moment, so this room belongs in single-threaded workers.
"""

import io
import logging
import os
import re
import stat
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import cv2
import numpy as np
from PIL import Image, ImageChops, UnidentifiedImageError

from batchdigits.records import Failure, Grey, Page

MOST_BYTES = 1 << 30
"""Largest file that is read, in bytes."""

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
_FOREIGN = {b"avi": "AVIF", b"hei": "HEIC", b"hev": "HEIC", b"mif": "HEIC", b"msf": "HEIC"}
_TO_PILLOW = {"JPEG 2000": "JPEG2000", "WebP": "WEBP"}
# EXIF 2.32, tag 0x0112: what turns the stored picture upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# PNG 1.2, section 8.2: first column, first row, column step, row step of each Adam7 pass.
_ADAM7 = "0088 4088 0448 2044 0224 1022 0112"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_SMALL = 1 << 20


@dataclass(frozen=True, slots=True)
class Unread:
    """A page of a format that is recognised but not decoded in this version.

    Attributes:
        number: counted from 1 within its file.
        format: its name, "PDF".
    """

    number: int
    format: str


@dataclass(frozen=True, slots=True)
class Look:
    """What the header of a file says, for a dry run.

    Attributes:
        format: its name, as "PNG".
        width: of the first page as `read` would give it, in pixels; 0 for PDF.
        height: likewise.
        pages: how many pages the file lists; 1 for all but TIFF.
    """

    format: str
    width: int
    height: int
    pages: int


class _TroubleError(Exception):
    """What is wrong with the file, already in plain words."""


def read(path: str, *, max_pixels: int) -> Iterator[Page | Failure | Unread]:
    """Yield every page of a file, one in memory at a time; a bad file is a `Failure`.

    Args:
        path: as the operating system takes it; undecodable bytes are surrogates.
        max_pixels: most pixels of one page, checked before they are decoded.

    Yields:
        `Page` (uint8 (height, width), upright, transparency over white, square pixels),
        `Failure` with one plain line, or `Unread`.

    Raises:
        MemoryError: the worker's own limit was reached.
    """
    try:
        with _opened(path) as file:
            head = file.read(1024)
            kind = _sniff(head)
            data = b"" if kind == "PDF" else head + file.read()
    except MemoryError:
        raise
    except Exception as error:
        yield Failure(1, _words(error, "file"))
        return
    if kind == "PDF":
        yield Unread(1, kind)
    elif kind == "TIFF":
        yield from _read_tiff(io.BytesIO(data), max_pixels)
    else:
        yield _page(io.BytesIO(data), kind, 1, max_pixels)


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
                return Look(kind, 0, 0, 1)
            pages = len(_directories(file)[0]) if kind == "TIFF" else 1
            image = _header(file, kind)
            width, height = _upright(image, kind, _turn(image))
            _limit(width, height, max_pixels)
            return Look(kind, width, height, pages)
    except MemoryError:
        raise
    except Exception as error:
        return Failure(1, _words(error, kind))


def _opened(path: str) -> BinaryIO:
    """Open a regular file; without blocking, as opening a named pipe would wait for ever."""
    try:
        file = open(  # noqa: SIM115 - the caller closes it; flags need an opener
            path, "rb", buffering=0, opener=lambda p, f: os.open(p, f | os.O_NONBLOCK | os.O_NOCTTY)
        )
    except IsADirectoryError:
        raise _TroubleError("not a file but a folder") from None
    except FileNotFoundError:
        raise _TroubleError("no such file") from None
    except PermissionError:
        raise _TroubleError("permission denied: let this account read the file") from None
    except OSError as error:
        raise _TroubleError(f"cannot be opened: {error.strerror}") from None
    except ValueError:
        raise _TroubleError("not a path: it holds a zero byte") from None
    status = os.fstat(file.fileno())
    fault = ""
    if not stat.S_ISREG(status.st_mode):
        fault = "not a regular file but a pipe, socket or device"
    elif status.st_size > MOST_BYTES:
        fault = f"too large: {status.st_size:,} bytes, over the limit of {MOST_BYTES:,}"
    if fault:
        file.close()
        raise _TroubleError(fault)
    return file


def _sniff(head: bytes) -> str:
    """Name the format by its first bytes; names and suffixes are often wrong."""
    if not head:
        raise _TroubleError("empty file (0 bytes)")
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
            raise _TroubleError(f"{name} is not read: convert it to PNG or JPEG")
    raise _TroubleError(
        f"not an image: begins with {head[:8]!r}; "
        "expected PNG, JPEG, TIFF, BMP, WebP, GIF, JPEG 2000 or PDF"
    )


def _words(error: Exception, kind: str) -> str:
    """Put trouble into one printable line of at most 200 characters."""
    text = str(error)
    if isinstance(error, UnidentifiedImageError):
        text = f"damaged {kind}, or of a kind that is not read: convert it to 8-bit PNG"
    elif isinstance(error, OSError) and error.strerror:
        text = f"cannot be read: {error.strerror}"
    elif not isinstance(error, _TroubleError):
        text = f"truncated or damaged {kind}: {text or type(error).__name__}; copy or scan it again"
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return plain if len(plain) <= 200 else plain[:197] + "..."


def _limit(width: int, height: int, most: int) -> None:
    def count(n: int) -> str:
        return f"{n // 10**6:,} million" if n and n % 10**6 == 0 else f"{n:,}"

    if width * height > most:
        raise _TroubleError(
            f"too large: {width}x{height} is {count(width * height)} pixels, "
            f"over the limit of {count(most)} (--max-pixels)"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Set Pillow's warnings, log lines and own size limit aside: rows and `_limit` serve here."""
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
        grey = _plain_png(file.getvalue(), max_pixels) if kind == "PNG" else None
        if grey is None:
            with _quiet():
                grey = _decode(file, kind, max_pixels)
        return Page(number, grey)
    except MemoryError:
        raise
    except Exception as error:
        return Failure(number, _words(error, kind))


def _header(file: BinaryIO, kind: str) -> Image.Image:
    file.seek(0)
    return Image.open(file, formats=(_TO_PILLOW.get(kind, kind),))


def _decode(file: io.BytesIO, kind: str, max_pixels: int) -> Grey:
    """Decode what the file's header points at through Pillow, upright and on square pixels."""
    image = _header(file, kind)
    if kind == "PNG":  # its size is checked already
        _mend_png(image, file.getvalue()[24])
        image.load()  # its orientation may stand behind the picture
    turn = _turn(image)
    width, height = _upright(image, kind, turn)
    _limit(width, height, max_pixels)
    if kind == "TIFF":
        _load_tiff(image)
    elif kind == "JPEG":
        _load_jpeg(image, file.getvalue())
    elif kind == "JPEG 2000":
        _check_jpeg2000(file.getvalue())
    flat = _flat(image, kind)
    if turn in _TURNS and kind != "TIFF":  # Pillow has turned a TIFF already
        flat = flat.transpose(_TURNS[turn])
    grey = np.array(flat)
    if grey.shape != (height, width):
        grey = cv2.resize(grey, (width, height), interpolation=cv2.INTER_LINEAR)
    return grey


def _turn(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; a broken EXIF block is no reason to lose a picture."""
    try:
        # The base class's reader, because PNG's own would decode the whole picture for it.
        turn = Image.Image.getexif(image).get(0x0112)
    except MemoryError:
        raise
    except Exception:
        return 1
    return turn if isinstance(turn, int) and turn in _TURNS else 1


def _upright(image: Image.Image, kind: str, turn: int) -> tuple[int, int]:
    """Return (width, height) once upright and on square pixels.

    Faxes have twice as many dots across as down (204 x 98 an inch), and a digit half as high is
    another digit to a classifier. The coarser axis is enlarged, so that no dot is lost. Densities
    outside 20..5000 or further apart than 4 are slips of the writer, not scanners.
    """
    width, height = image.size
    try:
        across, down = (float(value) for value in image.info.get("dpi", (1, 1)))
    except (TypeError, ValueError, ZeroDivisionError):
        across = down = 1.0
    if turn >= 5:
        across, down = down, across
        if kind != "TIFF":  # Pillow tells a TIFF's size as turned
            width, height = height, width
    if 20 <= across <= 5000 and 20 <= down <= 5000:
        if 1.05 < across / down <= 4:
            height = round(height * across / down)
        elif 1.05 < down / across <= 4:
            width = round(width * down / across)
    return width, height


def _flat(image: Image.Image, kind: str) -> Image.Image:
    """Return the picture as mode L, over white; the grey of a colour is its ITU-R 601 luma."""
    if image.mode[0] in "IF":  # I, I;16, I;16B, F
        return Image.fromarray(_levels(image))
    if kind == "JPEG" and image.mode == "CMYK" and "adobe" not in image.info:
        # Pillow takes every CMYK JPEG for Adobe's, whose inks are stored inverted.
        image = ImageChops.invert(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L")


def _levels(image: Image.Image) -> Grey:
    """Bring 16-bit, 32-bit and float samples to 8 bits by the range they really use.

    The top is the least 2^n - 1 that holds the largest sample (12 bits often come in 16), or 1 for
    floats within [0, 1]. Zero stays black: stretching minimum to maximum would turn the grain of a
    blank page into ink, and n is at least 4 for the same reason. Only negative samples shift it.
    """
    tags: dict[int, Any] = getattr(image, "tag_v2", {})
    samples = np.asarray(image)
    if image.mode == "I" and tags.get(339, (1,))[0] == 1:
        samples = samples.view(np.uint32)  # Pillow keeps unsigned samples as signed ones
    values = samples.astype(np.float32)
    sound = np.isfinite(values)
    if not sound.any():
        raise _TroubleError("damaged picture: not one sample is a number")
    exact = samples[sound] if image.mode == "F" else samples  # float32 rounds 2^32 - 1 up
    low, high = float(exact.min()), float(exact.max())
    top = float(max(15, 2 ** int(high).bit_length() - 1)) if low >= 0 else high
    if image.mode == "F" and low >= 0 and high <= 1:
        top = 1.0
    low = min(low, 0.0)
    values -= low
    values *= 255 / max(top - low, 1e-30)
    grey: Grey = np.where(sound, values + 0.5, 255).clip(0, 255).astype(np.uint8)
    if tags.get(262) == 0:  # MinIsWhite, which Pillow inverts for 1 to 8 bits only
        grey = 255 - grey
    if isinstance(clear := image.info.get("transparency"), int):
        grey[samples == clear] = 255
    return grey


def _plain_png(data: bytes, max_pixels: int) -> Grey | None:
    """Check a whole PNG, and decode it if it is a small plain one; the others return None.

    Checked here because Pillow skips the checksums of the picture data and leaves black what
    they do not reach, and because libpng prints its complaints.
    """
    parts = _png_parts(data)
    width, height, depth, colour, _, _, lace = struct.unpack(">IIBBBBB", parts[0][1])
    if colour not in _CHANNELS or not width or not height:
        raise _TroubleError("damaged PNG: its header makes no sense; export it again")
    _limit(width, height, max_pixels)
    bits = depth * _CHANNELS[colour]
    size = 0
    for x, y, dx, dy in (map(int, step) for step in (_ADAM7.split() if lace else ["0011"])):
        columns, rows = -(-(width - x) // dx), -(-(height - y) // dy)
        size += rows * (1 + (columns * bits + 7) // 8) if columns > 0 and rows > 0 else 0
    raw = _inflate([body for name, body in parts if name == b"IDAT"], size)
    plain = all(
        name in (b"IHDR", b"IDAT", b"IEND") or (name == b"pHYs" and body[:4] == body[4:8])
        for name, body in parts
    )
    if not plain or not raw or lace or depth > 8 or colour not in (0, 2):
        return None
    if raw[:: size // height].strip(b"\0\1\2\3\4"):  # libpng prints on any other row filter
        return None
    grey: Grey | None = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    return grey


def _png_parts(data: bytes) -> list[tuple[bytes, memoryview]]:
    """Return (name, body) of each chunk up to IEND, checksums checked."""
    parts: list[tuple[bytes, memoryview]] = []
    view, at = memoryview(data), 8
    while not parts or parts[-1][0] != b"IEND":
        length, name = struct.unpack_from(">I4s", data, at) if at + 12 <= len(data) else (0, b"")
        end = at + 12 + length
        if end > len(data):
            raise _TroubleError("truncated PNG: its end is missing; copy or scan it again")
        if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(view[end - 4 : end]):
            raise _TroubleError("damaged PNG: a checksum is wrong; copy or scan it again")
        parts.append((name, view[at + 8 : end - 4]))
        at = end
    if parts[0][0] != b"IHDR" or len(parts[0][1]) != 13:
        raise _TroubleError("damaged PNG: it does not begin with its header; export it again")
    return parts


def _inflate(bodies: list[memoryview], size: int) -> bytes:
    """Check that the picture data hold `size` bytes; return them if few, neat and exactly that."""
    engine, total, kept = zlib.decompressobj(), 0, []
    try:
        for body in bodies:
            rest: bytes | memoryview = body
            while rest and total <= size:  # past `size` it may be a bomb
                piece = engine.decompress(rest, _SMALL)
                rest, total = engine.unconsumed_tail, total + len(piece)
                if size <= _SMALL:
                    kept.append(piece)
    except zlib.error:
        raise _TroubleError("damaged PNG: its data do not unpack; copy or scan it again") from None
    if total < size:
        raise _TroubleError("truncated PNG: its data end before the picture; export it again")
    return b"".join(kept) if total == size and engine.eof and not engine.unused_data else b""


def _mend_png(image: Image.Image, depth: int) -> None:
    """Scale the transparent colour as Pillow scales the samples (it leaves 2, 4 and 16 bits)."""
    clear = image.info.get("transparency")
    if isinstance(clear, int) and image.mode == "L":
        image.info["transparency"] = clear * 255 // (2**depth - 1)
    elif isinstance(clear, tuple) and depth == 16:
        image.info["transparency"] = tuple(value >> 8 for value in clear)


def _load_jpeg(image: Any, data: bytes) -> None:
    """Decode a JPEG, luma only where it can.

    Before an end mark that comes too early, libjpeg fills the picture with mid-grey and says so
    to nobody. Bytes put before that mark are ignored if the data were complete, and drawn if not.
    """
    image.draft("L", image.size)
    image.load()
    last = image.getpixel((image.width - 1, image.height - 1))
    if not {127, 128}.issuperset(last if isinstance(last, tuple) else (last,)):
        return
    end = re.compile(rb"\xff[^\0\xd0-\xd7\xff]").search(data, data.rfind(b"\xff\xda") + 2)
    if end is None:
        return
    longer = data[: end.start()] + b"\x5a" * 64 + data[end.start() :]
    again: Any = _header(io.BytesIO(longer), "JPEG")
    again.draft("L", image.size)
    again.load()
    if again.tobytes() != image.tobytes():
        raise _TroubleError("truncated JPEG: its data end before the picture; scan it again")


def _check_jpeg2000(data: bytes) -> None:
    """OpenJPEG takes a file that ends after its header for an empty picture."""
    tile = data.find(b"\xff\x90")
    if tile < 0 or data.find(b"\xff\xd9", tile) < 0:
        raise _TroubleError("truncated JPEG 2000: its end is missing; copy or scan it again")


def _directories(file: BinaryIO) -> tuple[list[int], str]:
    """Walk a TIFF's chain of pages: where each begins, and how the chain broke, if it did.

    TIFF 6.0 section 2, and its 64-bit sibling BigTIFF. A chain that bites its tail ends there.
    """
    file.seek(0)
    order, big = ("<" if file.read(2) == b"II" else ">"), b"+" in file.read(2)
    link, entry, at = (order + "Q", 20, 8) if big else (order + "I", 12, 4)
    count = order + ("Q" if big else "H")
    most = file.seek(0, os.SEEK_END)
    starts: dict[int, None] = {}

    def number(form: str, place: int) -> int:
        file.seek(min(place, most))
        return int(struct.unpack(form, file.read(struct.calcsize(form)))[0])

    try:
        while (start := number(link, at)) and start not in starts:
            at = start + struct.calcsize(count) + entry * number(count, start)
            starts[start] = None
    except struct.error:
        return list(starts), "truncated TIFF: its list of pages breaks off; copy or scan it again"
    return list(starts), "" if starts else "damaged TIFF: it lists no page; copy or scan it again"


def _read_tiff(file: io.BytesIO, max_pixels: int) -> Iterator[Page | Failure]:
    """Yield each page, opened as though it were the first: damage to one stays with that one."""
    starts, fault = _directories(file)
    order = "<" if file.getvalue()[:2] == b"II" else ">"
    for number, start in enumerate(starts, 1):
        if number > 1:
            form, at = (order + "Q", 8) if b"+" in file.getvalue()[2:4] else (order + "I", 4)
            struct.pack_into(form, file.getbuffer(), at, start)
        yield _page(file, "TIFF", number, max_pixels)
    if fault:
        yield Failure(len(starts) + 1, fault)


def _load_tiff(image: Any) -> None:
    """Decode a TIFF page; what libtiff merely prints (a broken fax line it filled) is trouble."""
    covered = sum((x1 - x0) * (y1 - y0) for _, (x0, y0, x1, y1), *_ in image.tile)
    layers = len(image.getbands()) if len(image.tile) > 1 and image.tag_v2.get(284) == 2 else 1
    if covered < image.width * image.height * layers:
        raise _TroubleError("truncated TIFF: its strips do not cover the page; scan it again")
    said, fault = _overheard(image.load)
    lines = [line for line in said.splitlines() if "Decode" in line or "JPEGLib" in line]
    if fault or lines:
        reason = lines[0] if lines else fault
        raise _TroubleError(f"truncated or damaged TIFF: {reason}; copy or scan it again")


def _overheard(act: Callable[[], object]) -> tuple[str, Exception | None]:
    """Run `act`; return what it printed on file descriptor 2, and what it raised."""
    try:
        saved = os.dup(2)
    except OSError:  # the job was started without a standard error
        saved = os.open(os.devnull, os.O_WRONLY)
    caught = os.memfd_create("overheard")
    os.dup2(caught, 2)
    fault = None
    try:
        act()
    except MemoryError:
        raise
    except Exception as error:
        fault = error
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        said = os.pread(caught, 4096, 0).decode("ascii", "replace")
        os.close(caught)
    return said, fault
