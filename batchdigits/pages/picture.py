"""Pillow's picture → its size and its greys, upright and on square pixels."""

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from batchdigits.pages.trouble import UnreadableFileError
from batchdigits.records import GreyImage

BAND_PIXELS = 1 << 23
"""Pixels that are converted to grey at a time: for a whole page this takes many times its size."""
_PILLOW_FORMATS = {"JPEG 2000": "JPEG2000", "WebP": "WEBP"}
# EXIF 2.32, tag 0x0112: the operation that turns the stored picture upright.
EXIF_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def open_image(file: BinaryIO, kind: str) -> Image.Image:
    """Open a file by its header, without decoding it; `kind` is a name from `formats.FORMATS`."""
    file.seek(0)
    return Image.open(file, formats=(_PILLOW_FORMATS.get(kind, kind),))


def get_exif_orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 if the EXIF block is broken."""
    try:
        # The base class's reader: PNG's own would decode the whole picture for this.
        turn = Image.Image.getexif(image).get(0x0112)
    except MemoryError:
        raise
    except Exception:
        return 1
    return turn if isinstance(turn, int) and turn in EXIF_TRANSPOSES else 1


def compute_upright_size(image: Image.Image, kind: str, turn: int) -> tuple[int, int]:
    """Return (width, height), pixels, of a picture made upright and on square pixels.

    Faxes have twice as many dots across as down (204 x 98 an inch), and a classifier takes a digit
    of half its height for another digit. The coarser axis is enlarged, so that no dot is lost.
    Densities outside 20..5000, or with a ratio over 4, are the writing program's errors, and are
    ignored.
    """
    width, height = image.size
    try:
        across, down = (float(value) for value in image.info.get("dpi", (1, 1)))
    except (TypeError, ValueError, ZeroDivisionError):
        across = down = 1.0
    if turn >= 5:
        across, down = down, across
        if kind != "TIFF":  # Pillow has turned a TIFF's size already
            width, height = height, width
    if 20 <= across <= 5000 and 20 <= down <= 5000:
        if 1.05 < across / down <= 4:
            height = round(height * across / down)
        elif 1.05 < down / across <= 4:
            width = round(width * down / across)
    return width, height


def convert_to_grey(image: Image.Image, kind: str) -> Image.Image:
    """Return the picture in mode L, over white; a colour becomes its ITU-R 601 luma."""
    if image.mode[0] in "IF":  # I, I;16, I;16B, F
        return Image.fromarray(_scale_to_8_bits(image))
    wide, high = image.size
    rows = max(1, BAND_PIXELS // wide)
    if rows >= high:
        return _flatten_to_grey(image, kind)
    whole = Image.new("L", image.size)
    for top in range(0, high, rows):
        box = (0, top, wide, min(top + rows, high))
        whole.paste(_flatten_to_grey(image.crop(box), kind), box)
    return whole


def _flatten_to_grey(image: Image.Image, kind: str) -> Image.Image:
    if kind == "JPEG" and image.mode == "CMYK" and "adobe" not in image.info:
        # Pillow takes every CMYK JPEG for one of Adobe's, whose inks are stored inverted.
        image = ImageChops.invert(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L")


def _measure_range(samples: NDArray[Any]) -> tuple[float, float]:
    """Return the least and the largest finite sample.

    Raises:
        UnreadableFileError: no sample is finite.
    """
    ends = []
    for band in _split_bands(samples):
        sound = band[np.isfinite(band)] if band.dtype.kind == "f" else band
        if sound.size:
            ends.append((float(sound.min()), float(sound.max())))
    if not ends:
        raise UnreadableFileError("damaged picture: not one sample is a number")
    return min(low for low, _ in ends), max(high for _, high in ends)


def _split_bands(samples: NDArray[Any]) -> Iterator[NDArray[Any]]:
    rows = max(1, BAND_PIXELS // samples.shape[1])
    for top in range(0, len(samples), rows):
        yield samples[top : top + rows]


def _scale_to_8_bits(image: Image.Image) -> GreyImage:
    """Scale 16-bit, 32-bit and float samples to 8 bits by the range that they really use.

    White is the least 2^n - 1 that holds the largest sample (12 bits often come in 16), or 1 for
    floats within [0, 1]. Black is 0, or the least sample if it is negative. Stretching minimum to
    maximum would turn the grain of a blank page into ink; n is at least 4 for the same reason.
    """
    tags: dict[int, Any] = getattr(image, "tag_v2", {})
    samples = np.asarray(image)
    if image.mode == "I" and tags.get(339, (1,))[0] == 1:
        samples = samples.view(np.uint32)  # Pillow keeps unsigned samples as signed ones
    low, high = _measure_range(samples)  # as float64: float32 would round 2^32 - 1 up
    top = float(max(15, 2 ** int(high).bit_length() - 1)) if low >= 0 else high
    if image.mode == "F" and low >= 0 and high <= 1:
        top = 1.0
    low = min(low, 0.0)
    grey: GreyImage = np.empty(samples.shape, np.uint8)
    for band, out in zip(_split_bands(samples), _split_bands(grey), strict=True):
        values = (band.astype(np.float32) - np.float32(low)) * (255 / max(top - low, 1e-30)) + 0.5
        out[:] = np.where(np.isfinite(values), values, 255).clip(0, 255)
    if tags.get(262) == 0:  # MinIsWhite, which Pillow inverts for 1 to 8 bits only
        grey = 255 - grey
    if isinstance(clear := image.info.get("transparency"), int):
        grey[samples == clear] = 255
    return grey
