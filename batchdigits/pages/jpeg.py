"""JPEG and JPEG 2000: what their decoders fill up in silence is told."""

import io
import re
from typing import Any

from batchdigits.pages.picture import open_image
from batchdigits.pages.trouble import UnreadableFileError


def decode_jpeg(image: Any, data: bytes) -> None:
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
    again: Any = open_image(io.BytesIO(longer), "JPEG")
    again.draft("L", image.size)
    again.load()
    if again.tobytes() != image.tobytes():
        raise UnreadableFileError("truncated JPEG: its data end before the picture; scan it again")


def check_jpeg2000(data: bytes) -> None:
    """OpenJPEG takes a file that ends after its header for an empty picture."""
    tile = data.find(b"\xff\x90")
    if tile < 0 or data.find(b"\xff\xd9", tile) < 0:
        raise UnreadableFileError("truncated JPEG 2000: its end is missing; copy or scan it again")
