"""JPEG and JPEG 2000: truncated data are found, which their decoders fill up in silence."""

import io
import re
from typing import Any

from batchdigits.pages.picture import open_image
from batchdigits.pages.trouble import UnreadableFileError


def decode_jpeg(image: Any, data: bytes) -> None:
    """Decode a JPEG in place, only its luma where the decoder can.

    If the end mark comes too early, libjpeg fills the rest of the picture with mid-grey, without
    a warning. Bytes inserted before the end mark are ignored if the data are complete, and drawn
    if they are not: so a picture that ends in mid-grey is decoded a second time with such bytes.

    Raises:
        UnreadableFileError: the data are truncated.
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
    second: Any = open_image(io.BytesIO(longer), "JPEG")
    second.draft("L", image.size)
    second.load()
    if second.tobytes() != image.tobytes():
        raise UnreadableFileError("truncated JPEG: its data end before the picture; scan it again")


def check_jpeg2000(data: bytes) -> None:
    """Check that a JPEG 2000 has its end: OpenJPEG decodes a bare header to an empty picture.

    Raises:
        UnreadableFileError: the data are truncated.
    """
    tile = data.find(b"\xff\x90")
    if tile < 0 or data.find(b"\xff\xd9", tile) < 0:
        raise UnreadableFileError("truncated JPEG 2000: its end is missing; copy or scan it again")
