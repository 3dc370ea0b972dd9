"""The table of formats gives the verdicts of the two tables that it replaced."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from batchdigits.formats import (
    FORMAT_BYTES,
    FORMATS,
    SIGNATURE_BYTES,
    has_image_signature,
    has_image_suffix,
    identify_format,
)

OLD_STRICT = re.compile(
    b"|".join(
        (
            rb"\x89PNG\r\n\x1a\n",
            rb"\xff\xd8\xff",
            rb"II[*+]\x00|MM\x00[*+]",
            rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\x00\x00\x00",
            rb"RIFF.{4}WEBP",
            rb"GIF8[79]a",
            rb"\x00\x00\x00\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
            rb"%PDF-",
            rb".{4}ftyp(?:hei[cmsx]|hev[cmsx]|mif1|miaf|msf1|avi[fs])",
        )
    ),
    re.DOTALL,
)
"""What once told, in `sources`, whether a file's first 18 bytes are an image's."""
OLD_STARTS = {
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
OLD_BRANDS = {b"avi": "AVIF", b"hei": "HEIC", b"hev": "HEIC", b"mif": "HEIC", b"msf": "HEIC"}


def identify_as_before(head: bytes) -> str | None:
    """What once named a format, in `pages`, by a file's first 1024 bytes."""
    for start, name in OLD_STARTS.items():
        if head.startswith(start):
            return name
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WebP"
    if b"%PDF" in head:
        return "PDF"
    brands = head[8:64] if head[4:8] == b"ftyp" else b""
    return next((name for brand, name in OLD_BRANDS.items() if brand in brands), None)


def agree(head: bytes) -> bool:
    found = identify_format(head)
    strict = bool(OLD_STRICT.match(head[:18]))
    return (
        (found and found.name) == identify_as_before(head)
        and has_image_signature(head) == strict
        and has_image_signature(head[:SIGNATURE_BYTES]) == strict
    )


PIECES = [
    *OLD_STARTS,
    *OLD_BRANDS,
    *(b"\r\n\x1a\n", b"7a", b"9a", b"\r\n\x87\n", b"RIFF", b"WEBP", b"%PDF", b"-", b"ftyp"),
    *(
        b"heic",
        b"hevx",
        b"mif1",
        b"miaf",
        b"msf1",
        b"avis",
        b"\x28\0\0\0",
        b"\n" * 12,
        b"\0\0\0\x18",
    ),
]
WHOLE_HEADS = [
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"\xff\xd8\xff\xe0\0\x10JFIF",
    b"II*\0\x08\0\0\0",
    b"MM\0+\0\x08\0\0",
    b"BM" + bytes(12) + b"\x28\0\0\0",
    b"RIFF\x0a\n\0\0WEBPVP8 ",
    b"GIF89a",
    b"\0\0\0\x0cjP  \r\n\x87\n",
    b"\xff\x4f\xff\x51",
    b"%PDF-1.7",
    b"junk\n%PDF-1.7",
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif",
    b"\0\0\0\nftypavif",
    b"\0\0\0\x18ftypmiaf",
    b"\0\0\0\x18ftypisom",
]


@st.composite
def mutated_heads(draw: st.DrawFn) -> bytes:
    """Real heads, with a few bytes changed, put in or taken out, and cut short."""
    head = bytearray(draw(st.sampled_from(WHOLE_HEADS)) + draw(st.binary(max_size=60)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(head)))
        head[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(head[: draw(st.integers(0, len(head)))])


ANY_HEAD = st.one_of(
    st.binary(max_size=80),
    mutated_heads(),
    st.lists(st.sampled_from(PIECES) | st.binary(max_size=6), max_size=8).map(b"".join),
)


@given(ANY_HEAD)
@settings(max_examples=2000, deadline=None)
@example(b"\0\0\0\x18ftyp" + b"\n" * 53 + b"avi")  # the last brand within bytes 8 to 63
@example(b"\0\0\0\x18ftyp" + b"\n" * 54 + b"avi")  # one byte beyond
@example(b"\n" * (FORMAT_BYTES - 4) + b"%PDF")
@example(b"\0\0\0\x18ftypavif%PDF")
@example(b"\x89PNG%PDF-")
def test_verdicts_are_those_of_the_tables_before(head: bytes) -> None:
    assert agree(head)


@pytest.mark.parametrize("head", WHOLE_HEADS)
def test_every_change_of_one_byte_gets_the_verdicts_before(head: bytes) -> None:
    for at in range(len(head)):
        for byte in range(256):
            assert agree(head[:at] + bytes([byte]) + head[at + 1 :])


@pytest.mark.parametrize(
    ("name", "expected", "reason"),
    [
        *((f"a.{one}", True, "a known suffix") for f in FORMATS for one in f.suffixes.split()),
        ("a.PnG", True, "in any case"),
        (".png", True, "nothing before it"),
        ("a.png\n", False, "something after it"),
        ("a.J2\N{KELVIN SIGN}", False, "a letter that is K in small letters only"),
        ("apng", False, "no dot"),
        ("a.png.txt", False, "not the last suffix"),
    ],
)
def test_suffixes(name: str, expected: bool, reason: str) -> None:
    assert has_image_suffix(name) is expected, reason
