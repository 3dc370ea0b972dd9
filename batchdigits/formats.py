"""The formats of image files: their names, suffixes and first bytes, in one table.

Two questions need different signatures. A file that is read in any case needs its format: a loose
signature finds it even where a header is damaged, and the format's decoder then reports the
damage. A file in a folder may be anything: a strict signature keeps texts from being read.
"""

import re
from typing import NamedTuple


class FileFormat(NamedTuple):
    """A format of image files.

    Attributes:
        name: as messages and `Page` have it.
        suffixes: of file names, in lower case, separated by spaces.
        signature: regular expression for the first bytes, up to `FORMAT_BYTES`, that name the
            format.
        strict: the same for the first `SIGNATURE_BYTES` of a file that nothing else shows to be an
            image; empty where `signature` is strict enough.
        is_read: whether `pages` has a decoder for it.
    """

    name: str
    suffixes: str
    signature: bytes
    strict: bytes = b""
    is_read: bool = True


FORMAT_BYTES = 1024
"""First bytes of a file that show its format."""
SIGNATURE_BYTES = 18
"""First bytes of a file that show whether it is an image: as many as the longest entry needs."""
FORMATS = (
    FileFormat("PNG", "png", rb"\x89PNG", rb"\x89PNG\r\n\x1a\n"),
    FileFormat("JPEG", "jpg jpeg jpe jfif mpo", rb"\xff\xd8\xff"),
    # Both byte orders; + is BigTIFF.
    FileFormat("TIFF", "tif tiff", rb"II[*+]\x00|MM\x00[*+]"),
    # "BM" begins many a text: `strict` asks for a known size of the header at byte 14 as well.
    FileFormat("BMP", "bmp dib", rb"BM", rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\x00\x00\x00"),
    FileFormat("WebP", "webp", rb"RIFF.{4}WEBP"),
    FileFormat("GIF", "gif", rb"GIF8", rb"GIF8[79]a"),
    # In boxes, or a bare codestream.
    FileFormat(
        "JPEG 2000",
        "jp2 j2k jpf jpx jpc",
        rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51",
        rb"\x00\x00\x00\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    ),
    # Readers allow junk before it.
    FileFormat("PDF", "pdf", rb".*?%PDF", rb"%PDF-"),
    # ISO base media files: `signature` looks through the list of brands, `strict` at the major one.
    FileFormat("AVIF", "avif", rb".{4}ftyp.{0,53}avi", rb".{4}ftypavi[fs]", is_read=False),
    FileFormat(
        "HEIC",
        "heic heif",
        rb".{4}ftyp.{0,53}(?:hei|hev|mif|msf)",
        rb".{4}ftyp(?:hei[cmsx]|hev[cmsx]|mif1|miaf|msf1)",
        is_read=False,
    ),
)
"""The first format whose signature matches is a file's; groups in signatures do not capture."""

ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".zip", ".parquet")
"""Suffixes of archives, whose members are read."""

_SUFFIX = re.compile(
    rf"\.(?:{'|'.join('|'.join(one.suffixes.split()) for one in FORMATS)})\Z",
    re.IGNORECASE | re.ASCII,
)
_SIGNATURE = re.compile(b"|".join(b"(%b)" % one.signature for one in FORMATS), re.DOTALL)
_STRICT_SIGNATURE = re.compile(b"|".join(one.strict or one.signature for one in FORMATS), re.DOTALL)


def has_image_suffix(name: str) -> bool:
    """Return whether a file's name ends in the suffix of an image format."""
    return bool(_SUFFIX.search(name))


def has_archive_suffix(name: str) -> bool:
    """Return whether a file's name ends in the suffix of an archive, in any case."""
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def has_image_signature(head: bytes) -> bool:
    """Return whether a file that begins with `head` is an image, by the strict signatures."""
    return bool(_STRICT_SIGNATURE.match(head))


def identify_format(head: bytes) -> FileFormat | None:
    """Return the format of a file that begins with `head`; None if it is no known one."""
    match = _SIGNATURE.match(head)
    return FORMATS[match.lastindex - 1] if match and match.lastindex else None
