"""What an image is, as far as its name and its first bytes tell."""

import os
import re

_SUFFIX = re.compile(
    r"\.(?:png|jpe?g|jpe|jfif|tiff?|bmp|dib|webp|gif|jp2|j2k|jp[fxc]|pdf|mpo|hei[cf]|avif)\Z",
    re.IGNORECASE | re.ASCII,
)
_HEAD_BYTES = 18
"""As many bytes as the longest entry of `_SIGNATURES` looks at."""
_SIGNATURES = (
    rb"\x89PNG\r\n\x1a\n",
    rb"\xff\xd8\xff",  # JPEG
    rb"II[*+]\x00|MM\x00[*+]",  # TIFF in both byte orders; + is BigTIFF
    # "BM" begins many a text: ask as well for a known size of the header that follows at 14.
    rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\x00\x00\x00",
    rb"RIFF.{4}WEBP",
    rb"GIF8[79]a",
    rb"\x00\x00\x00\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",  # JPEG 2000: in boxes, bare codestream
    rb"%PDF-",
    rb".{4}ftyp(?:hei[cmsx]|hev[cmsx]|mif1|miaf|msf1|avi[fs])",  # HEIF and AVIF: ISO-BMFF brands
)
_IMAGE = re.compile(b"|".join(_SIGNATURES), re.DOTALL)


def named_so(name: str) -> bool:
    """Tell whether a file has the suffix of an image."""
    return bool(_SUFFIX.search(name))


def begins_so(path: str) -> bool:
    """Tell whether a file begins as an image does.

    Raises:
        OSError: it cannot be read.
    """
    return bool(_IMAGE.match(_head(path)))


def _head(path: str) -> bytes:
    # Without O_NONBLOCK, a pipe put in the file's place since it was listed would hang the run.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.read(handle, _HEAD_BYTES)
    finally:
        os.close(handle)
