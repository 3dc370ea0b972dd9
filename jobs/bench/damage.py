"""Sound files of every kind, and what disks, cables and programs do to files."""

import io
import struct
import zlib
from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)

Random = np.random.Generator


def digit(value: int) -> NDArray[np.uint8]:
    """Draw a digit, dark on light: uint8, (28, 28)."""
    large = np.full((112, 112), 255, np.uint8)
    cv2.putText(large, str(value), (28, 88), 0, 2.6, 0, 8, cv2.LINE_AA)
    return np.asarray(cv2.resize(large, (28, 28), interpolation=cv2.INTER_AREA), np.uint8)


def kinds(value: int) -> Iterator[tuple[str, bytes]]:
    """Give a digit's picture in files of every kind, each with its suffix."""
    grey = Image.fromarray(digit(value))
    modes = {"L": grey, "1": grey.convert("1")}
    modes |= {mode: grey.convert("RGB").convert(mode) for mode in ("RGB", "RGBA", "P", "CMYK")}
    modes["I;16"] = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    more = [Image.fromarray(digit((value + n) % 10)) for n in (1, 2)]
    wide = Image.fromarray(np.hstack([np.asarray(grey)] * 3))
    ways: list[tuple[str, str, dict[str, object]]] = [
        *((mode, "png", {}) for mode in ("L", "1", "RGB", "RGBA", "P", "I;16")),
        *((mode, "jpeg", {}) for mode in ("L", "RGB", "CMYK")),
        ("RGB", "jpeg", {"progressive": True, "exif": exif()}),
        *((mode, "tiff", {}) for mode in ("L", "RGB", "CMYK", "I;16", "P")),
        *(("L", "tiff", {"compression": f"tiff_{way}"}) for way in ("lzw", "adobe_deflate")),
        *(("L", "tiff", {"compression": way}) for way in ("packbits", "jpeg")),
        *(("1", "tiff", {"compression": way}) for way in ("group3", "group4", "tiff_ccitt")),
        ("L", "tiff", {"save_all": True, "append_images": more}),
        ("L", "tiff", {"big_tiff": True}),
        *((mode, "bmp", {}) for mode in ("L", "RGB", "1")),
        ("P", "gif", {"transparency": 0}),
        ("RGB", "webp", {"lossless": True}),
        ("RGB", "webp", {}),
        *(("L", "jpeg2000", {"no_jp2": bare}) for bare in (True, False)),
        *((mode, "pdf", {}) for mode in ("L", "1", "RGB", "CMYK")),
        ("L", "pdf", {"save_all": True, "append_images": more}),
    ]
    for mode, kind, options in ways:
        yield kind.replace("jpeg2000", "jp2"), encoded(modes[mode], kind, options)
    yield "png", encoded(wide, "png", {})


def exif() -> Image.Exif:
    """Say that a picture lies on its side."""
    made = Image.Exif()
    made[0x0112] = 6
    return made


def encoded(image: Image.Image, kind: str, options: dict[str, object]) -> bytes:
    """Write a picture."""
    out = io.BytesIO()
    image.save(out, kind, **options)  # type: ignore[arg-type]
    return out.getvalue()


def cut(data: bytearray, random: Random, _: bytes) -> None:
    """Lose the end."""
    del data[random.integers(len(data)) :]


def flipped(data: bytearray, random: Random, _: bytes) -> None:
    """Spoil some bytes."""
    for at in random.integers(0, len(data), random.integers(1, 9)):
        data[at] ^= int(random.integers(1, 256))


def inserted(data: bytearray, random: Random, _: bytes) -> None:
    """Put bytes in."""
    at = random.integers(len(data))
    data[at:at] = random.bytes(int(random.integers(1, 40)))


def lost(data: bytearray, random: Random, _: bytes) -> None:
    """Take bytes out."""
    at = random.integers(len(data))
    del data[at : at + random.integers(1, 40)]


def swapped(data: bytearray, random: Random, _: bytes) -> None:
    """Have two stretches change places."""
    size = int(random.integers(1, max(2, len(data) // 4)))
    one, two = (int(at) for at in random.integers(0, max(1, len(data) - size), 2))
    data[one : one + size], data[two : two + size] = (
        data[two : two + size],
        data[one : one + size],
    )


def extreme(data: bytearray, random: Random, _: bytes) -> None:
    """Set numbers, most of them in the header, to what nobody expects."""
    for _ in range(random.integers(1, 4)):
        size = int(random.choice([1, 2, 4]))
        value = int(random.choice(EXTREMES)) & (1 << 8 * size) - 1
        within = len(data) if random.random() < 0.3 else min(len(data), 200)
        at = int(random.integers(max(1, within - size)))
        data[at : at + size] = value.to_bytes(size, random.choice(["little", "big"]))


def spliced(data: bytearray, random: Random, other: bytes) -> None:
    """Go on with another file."""
    data[random.integers(len(data)) :] = other[random.integers(len(other)) :]


WAYS: list[Callable[[bytearray, Random, bytes], None]] = [
    *(cut, flipped, inserted, lost, swapped, extreme, spliced)
]


def damaged(data: bytes, random: Random, other: bytes) -> bytes:
    """Give a file as something broke it, in one or more ways."""
    out = bytearray(data)
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        if len(out) > 1:
            WAYS[random.integers(len(WAYS))](out, random, other)
    if out.startswith(b"\x89PNG") and random.random() < 0.5:
        summed(out)
    return bytes(out)


def summed(data: bytearray) -> None:
    """Put the checksums of a PNG right."""
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + struct.unpack_from(">I", data, at)[0]
        if end + 4 > len(data):
            return
        struct.pack_into(">I", data, end, zlib.crc32(data[at + 4 : end]))
        at = end + 4
