"""One file in, grey pages or plain trouble out: every kind of picture, every kind of damage."""

import io
import os
import struct
import subprocess
import sys
import tracemalloc
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import cv2
import numpy as np
import pytest
from fpdf import FPDF
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from batchdigits import pages
from batchdigits.pages import paper, picture, trouble, webp
from batchdigits.records import Failure, GreyImage, Page

pytestmark = pytest.mark.skipif(
    not hasattr(os, "memfd_create"), reason="TIFF is decoded with Linux's memfd_create"
)

MOST = 10**8

# Nothing in it is symmetric, and no row or column repeats, so every turn and slip shows.
PICTURE = np.full((24, 40), 230, np.uint8)
PICTURE[2:9, 3:20] = 30
PICTURE[12:22, 30:36] = 90
PICTURE[15:18, 2:6] = 140


def encode(picture: GreyImage | Image.Image, kind: str, **options: object) -> bytes:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def readings(folder: Path, data: bytes, most: int = MOST) -> list[Page | Failure]:
    path = folder / "file.jpg"  # on purpose no format's own name for most
    path.write_bytes(data)
    return list(pages.load_pages(str(path), max_pixels=most))


def grey(folder: Path, data: bytes) -> GreyImage:
    (page,) = readings(folder, data)
    assert isinstance(page, Page), page
    assert page.number == 1
    assert page.grey.dtype == np.uint8
    assert page.grey.flags.c_contiguous
    return page.grey


def detail(folder: Path, data: bytes, most: int = MOST) -> str:
    (failure,) = readings(folder, data, most)
    assert isinstance(failure, Failure), failure
    assert failure.detail.isprintable()
    assert 0 < len(failure.detail) <= 200
    return failure.detail


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(
    size: tuple[int, int],
    depth: int,
    colour: int,
    raw: bytes,
    extra: bytes = b"",
    *,
    tail: bytes = b"",
) -> bytes:
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(raw)) + tail + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + body


def tiff(tags: dict[int, tuple[int, list[int]]], strips: bytes, order: str = "<") -> bytes:
    """A one-page TIFF with the strips at byte 8; tag → (3 short or 4 long, values)."""
    start, extra, entries = 8 + len(strips), b"", b""
    after = start + 2 + 12 * len(tags) + 4
    for tag, (kind, values) in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(packed) > 4:
            packed, extra = struct.pack(order + "I", after + len(extra)), extra + packed
        entries += struct.pack(order + "HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", start)
    count = struct.pack(order + "H", len(tags))
    return head + strips + count + entries + struct.pack(order + "I", 0) + extra


def grey_tiff(values: np.ndarray, photometric: int, form: int = 1, order: str = "<") -> bytes:
    raw = values.astype(values.dtype.newbyteorder("<" if order == "<" else ">")).tobytes()
    height, width = values.shape
    shorts = {256: width, 257: height, 258: values.itemsize * 8, 259: 1, 262: photometric}
    tags = {tag: (3, [value]) for tag, value in (shorts | {277: 1, 278: height, 339: form}).items()}
    return tiff(tags | {273: (4, [8]), 279: (4, [len(raw)])}, raw, order)


def bilevel() -> Image.Image:
    return Image.fromarray(np.where(PICTURE > 128, 255, 0).astype(np.uint8)).convert("1")


LOSSLESS = {
    "png": encode(PICTURE, "PNG"),
    "png-interlaced-like-text": encode(PICTURE, "PNG", dpi=(300, 300)),
    "bmp": encode(PICTURE, "BMP"),
    "gif": encode(PICTURE, "GIF"),
    "webp": encode(Image.fromarray(PICTURE).convert("RGB"), "WEBP", lossless=True),
    "jp2": encode(PICTURE, "JPEG2000"),
    "j2k": encode(PICTURE, "JPEG2000", no_jp2=True),
    "tiff": encode(PICTURE, "TIFF"),
    "tiff-lzw": encode(PICTURE, "TIFF", compression="tiff_lzw"),
    "tiff-deflate": encode(PICTURE, "TIFF", compression="tiff_adobe_deflate"),
    "tiff-packbits": encode(PICTURE, "TIFF", compression="packbits"),
    "tiff-big": encode(PICTURE, "TIFF", big_tiff=True),
    "rgb-png": encode(Image.fromarray(PICTURE).convert("RGB"), "PNG"),
    "rgb-bmp": encode(Image.fromarray(PICTURE).convert("RGB"), "BMP"),
    "palette-png": encode(Image.fromarray(PICTURE).convert("P"), "PNG"),
    "grey-alpha-png": encode(Image.fromarray(PICTURE).convert("LA"), "PNG"),
    "rgba-tiff": encode(Image.fromarray(PICTURE).convert("RGBA"), "TIFF"),
}
FAXES = {
    name: encode(bilevel(), "TIFF", compression=name) for name in ("group3", "group4", "tiff_ccitt")
}
LOSSY = {
    "jpeg": encode(PICTURE, "JPEG"),
    "jpeg-rgb": encode(Image.fromarray(PICTURE).convert("RGB"), "JPEG"),
    "jpeg-progressive": encode(PICTURE, "JPEG", progressive=True),
    "jpeg-tiff": encode(PICTURE, "TIFF", compression="jpeg"),
    "webp-lossy": encode(Image.fromarray(PICTURE).convert("RGB"), "WEBP"),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_formats_give_the_very_pixels_whatever_the_suffix(
    name: str, tmp_path: Path
) -> None:
    assert np.array_equal(grey(tmp_path, LOSSLESS[name]), PICTURE)


@pytest.mark.parametrize("name", FAXES)
def test_faxes_are_dark_on_light(name: str, tmp_path: Path) -> None:
    assert np.array_equal(grey(tmp_path, FAXES[name]), np.where(PICTURE > 128, 255, 0))


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_formats_come_close(name: str, tmp_path: Path) -> None:
    page = grey(tmp_path, LOSSY[name])
    assert page.shape == PICTURE.shape
    assert abs(page.astype(int) - PICTURE).mean() < 8


@given(
    st.sampled_from([1, 2, 4, 8]), st.integers(1, 40), st.integers(1, 9), st.integers(0, 2**32 - 1)
)
@settings(max_examples=60, deadline=None)
def test_grey_png_of_any_depth_and_size_is_exact(
    tmp_path_factory: pytest.TempPathFactory, depth: int, width: int, height: int, seed: int
) -> None:
    samples = np.random.default_rng(seed).integers(0, 2**depth, (height, width))
    bits = (samples[..., None] >> np.arange(depth - 1, -1, -1)) & 1
    rows = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    expected = samples * (255 // (2**depth - 1))
    folder = tmp_path_factory.mktemp("depth")
    # A comment sends the second one the long way round, through Pillow.
    for extra in (b"", chunk(b"tEXt", b"Comment\0x")):
        assert np.array_equal(grey(folder, png((width, height), depth, 0, raw, extra)), expected)


@pytest.mark.parametrize("extra", [b"", chunk(b"sRGB", b"\0"), chunk(b"gAMA", b"\0\0\xb1\x8f")])
def test_grey_of_colour_is_luma_whatever_gamma_is_written(extra: bytes, tmp_path: Path) -> None:
    raw = b"\0" + bytes([255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30])
    page = grey(tmp_path, png((4, 1), 8, 2, raw, extra))
    assert abs(page[0].astype(int) - [76, 150, 29, 18]).max() <= 1  # ITU-R 601


# EXIF 2.32: which edge of the scene the stored first row and first column are.
STORED = {
    1: PICTURE,
    2: PICTURE[:, ::-1],
    3: PICTURE[::-1, ::-1],
    4: PICTURE[::-1],
    5: PICTURE.T,
    6: np.rot90(PICTURE, 1),
    7: PICTURE[::-1, ::-1].T,
    8: np.rot90(PICTURE, -1),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "G4"])
@pytest.mark.parametrize("turn", STORED)
def test_orientation_is_obeyed(kind: str, turn: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    image = Image.fromarray(np.ascontiguousarray(STORED[turn]))
    options: dict[str, object] = (
        {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind == "JPEG" else {}
    )
    if kind == "G4":
        image = image.convert("1", dither=Image.Dither.NONE)
        kind, options = "TIFF", {"compression": "group4"}
    data = encode(image, kind, exif=exif, **options)
    page = grey(tmp_path, data)
    assert page.shape == PICTURE.shape
    wanted = np.where(PICTURE > 127, 255, 0) if image.mode == "1" else PICTURE
    assert abs(page.astype(int) - wanted).mean() < 4
    look = pages.inspect_image_file(str(tmp_path / "file.jpg"), max_pixels=MOST)
    assert isinstance(look, pages.ImageFileInfo)
    assert (look.width, look.height) == (40, 24)


@pytest.mark.parametrize("behind", [False, True], ids=["before the picture", "behind it"])
def test_png_orientation_is_found_on_both_sides_of_the_picture(
    behind: bool, tmp_path: Path
) -> None:
    exif = chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0")
    raw = b"".join(b"\0" + row.tobytes() for row in STORED[3])
    data = png((40, 24), 8, 0, raw, tail=exif) if behind else png((40, 24), 8, 0, raw, exif)
    assert np.array_equal(grey(tmp_path, data), PICTURE)


def test_broken_exif_does_not_cost_the_picture(tmp_path: Path) -> None:
    data = encode(PICTURE, "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    assert np.array_equal(grey(tmp_path, data), PICTURE)


def rgba(alpha: int) -> Image.Image:
    return Image.new("RGBA", (2, 1), (0, 0, 0, alpha))


@pytest.mark.parametrize(
    ("data", "expected", "reason"),
    [
        (encode(rgba(0), "PNG"), [255, 255], "clear is white paper, not black"),
        (encode(rgba(128), "PNG"), [127, 127], "half clear black is mid-grey"),
        (encode(rgba(0).convert("LA"), "PNG"), [255, 255], "grey with alpha"),
        (encode(rgba(0), "WEBP", lossless=True), [255, 255], "WebP with alpha"),
        (encode(rgba(0), "TIFF"), [255, 255], "TIFF with alpha"),
        (
            png((2, 1), 8, 0, b"\0\x09\x50", chunk(b"tRNS", b"\0\x09")),
            [255, 80],
            "one grey made clear",
        ),
        (
            png((2, 1), 4, 0, b"\0\x3f", chunk(b"tRNS", b"\0\x03")),
            [255, 255],
            "the clear grey of 4 bits counts in 4 bits, and full white stays",
        ),
        (png((2, 1), 4, 0, b"\0\x31", chunk(b"tRNS", b"\0\x03")), [255, 17], "4 bits, dark"),
        (
            png((2, 1), 16, 0, b"\0\x01\x02\xff\xff", chunk(b"tRNS", b"\1\2")),
            [255, 255],
            "16 bits, one grey made clear",
        ),
        (
            png((2, 1), 8, 2, b"\0\0\0\0\7\7\7", chunk(b"tRNS", b"\0\0\0\0\0\0")),
            [255, 7],
            "one colour made clear",
        ),
        (
            png((2, 1), 16, 2, b"\0" + b"\2\2" * 3 + b"\7\7" * 3, chunk(b"tRNS", b"\2\2" * 3)),
            [255, 7],
            "one 16-bit colour made clear",
        ),
        (
            png((2, 1), 8, 3, b"\0\0\1", chunk(b"PLTE", bytes(6)) + chunk(b"tRNS", b"\0\x80")),
            [255, 127],
            "a palette with clear and half clear entries",
        ),
        (
            encode(Image.fromarray(np.array([[0, 9]], np.uint8)), "GIF", transparency=0),
            [255, 9],
            "GIF with a clear entry",
        ),
    ],
)
def test_transparency_lies_on_white(
    data: bytes, expected: list[int], reason: str, tmp_path: Path
) -> None:
    page = grey(tmp_path, data)
    assert abs(page[0].astype(int) - expected).max() <= 1, reason


@pytest.mark.parametrize(
    ("values", "expected", "reason"),
    [
        (np.array([[0, 32768, 65535]], np.uint16), [0, 128, 255], "all 16 bits used"),
        (np.array([[0, 2048, 4095]], np.uint16), [0, 128, 255], "12 bits in 16"),
        (np.array([[0, 0, 30]], np.uint16), [0, 0, 247], "5 bits in 16"),
        (np.array([[0, 1, 3]], np.uint16), [0, 17, 51], "the grain of black is not ink"),
        (np.array([[65000, 65010, 65030]], np.uint16), [253, 253, 253], "blank paper stays blank"),
        (np.array([[0, 0, 0]], np.uint16), [0, 0, 0], "all black"),
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255], "floats from 0 to 1"),
        (np.array([[0.0, 128.0, 255.0]], np.float32), [0, 128, 255], "floats from 0 to 255"),
        (np.array([[-1.0, 0.0, 1.0]], np.float32), [0, 128, 255], "floats with a negative end"),
        (np.array([[np.nan, 0.0, np.inf]], np.float32), [255, 0, 255], "no number is paper"),
        (np.array([[0, 2**30, 2**31 - 1]], np.int32), [0, 128, 255], "32 bits"),
        (np.array([[-100, 0, 100]], np.int32), [0, 128, 255], "signed"),
        (np.array([[0, 2**31, 2**32 - 1]], np.uint32), [0, 128, 255], "32 bits, unsigned"),
    ],
)
def test_deep_samples_are_scaled_by_the_range_they_use(
    values: np.ndarray, expected: list[int], reason: str, tmp_path: Path
) -> None:
    form = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    for order in "<" if values.dtype == np.uint32 else "<>":  # Pillow reads no other
        page = grey(tmp_path, grey_tiff(values, 1, form, order))
        assert abs(page[0].astype(int) - expected).max() <= 1, reason


def test_a_large_page_is_brought_to_grey_band_by_band(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As large ones are, so that what they take besides their pixels stays small."""
    clear = Image.fromarray(PICTURE).convert("RGBA")
    clear.putalpha(Image.fromarray(PICTURE.T.copy()).resize(clear.size))
    deep = grey_tiff(PICTURE.astype(np.float32) - 40, 1, 3)
    kinds = [encode(clear, "PNG"), deep, encode(Image.fromarray(PICTURE).convert("CMYK"), "JPEG")]
    kinds.append(encode(Image.fromarray(PICTURE).convert("P"), "GIF", transparency=3))
    whole = [grey(tmp_path, data) for data in kinds]
    for band in (1, 41, 40 * 7):
        monkeypatch.setattr(picture, "BAND_PIXELS", band)
        for data, wanted in zip(kinds, whole, strict=True):
            assert np.array_equal(grey(tmp_path, data), wanted)


def test_floats_without_one_number_are_a_failure(tmp_path: Path) -> None:
    data = grey_tiff(np.full((1, 3), np.nan, np.float32), 1, 3)
    assert "not one sample is a number" in detail(tmp_path, data)


@pytest.mark.parametrize(
    "values",
    [
        np.array([[0, 20, 255]], np.uint8),
        np.array([[0, 5140, 65535]], np.uint16),
        np.array([[0.0, 0.0784, 1.0]], np.float32),
    ],
    ids=["8 bits", "16 bits", "float"],
)
def test_min_is_white_is_not_read_as_a_negative(values: np.ndarray, tmp_path: Path) -> None:
    page = grey(tmp_path, grey_tiff(values, 0, 3 if values.dtype.kind == "f" else 1))
    assert abs(page[0].astype(int) - [255, 235, 0]).max() <= 1


def test_sixteen_bit_colour_with_alpha(tmp_path: Path) -> None:
    raw = b"\0" + struct.pack(">8H", 65535, 65535, 65535, 65535, 0, 0, 0, 0)
    assert grey(tmp_path, png((2, 1), 16, 6, raw)).tolist() == [[255, 255]]


@pytest.mark.parametrize("adobe", [True, False], ids=["Adobe, inverted", "plain"])
def test_cmyk_jpeg_has_the_right_polarity(adobe: bool, tmp_path: Path) -> None:
    image = Image.new("CMYK", (16, 16), (0, 0, 0, 0))  # no ink: white
    image.paste((0, 0, 0, 255), (0, 0, 16, 8))
    data = encode(image, "JPEG")
    at = data.index(b"\xff\xee")  # Pillow writes Adobe's mark and inverted inks
    if not adobe:
        plain = encode(Image.eval(image, lambda ink: 255 - ink), "JPEG")
        data = plain[:at] + plain[at + 2 + int.from_bytes(plain[at + 2 : at + 4]) :]
    page = grey(tmp_path, data)
    assert page[:8].max() < 10
    assert page[8:].min() > 245


def test_cmyk_tiff_has_the_right_polarity(tmp_path: Path) -> None:
    image = Image.new("CMYK", (4, 1), (0, 0, 0, 0))
    image.putpixel((0, 0), (0, 0, 0, 255))
    assert grey(tmp_path, encode(image, "TIFF")).tolist() == [[0, 255, 255, 255]]


def test_cmyk_jpeg_in_tiff_has_the_right_polarity(tmp_path: Path) -> None:
    image = Image.new("CMYK", (32, 32), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 32, 16))
    page = grey(tmp_path, encode(image, "TIFF", compression="jpeg"))
    assert page[:14].max() < 30
    assert page[18:].min() > 225


@pytest.mark.parametrize("min_is_white", [True, False])
@pytest.mark.parametrize("depth", [2, 4])
def test_few_bits_of_a_grey_tiff_are_spread_over_all_greys(
    depth: int, min_is_white: bool, tmp_path: Path
) -> None:
    top = 2**depth - 1
    samples = np.arange(8, dtype=np.uint8)[None] % (top + 1)
    bits = (samples[..., None] >> np.arange(depth - 1, -1, -1)) & 1
    raw = np.packbits(bits.reshape(1, -1), axis=1).tobytes()
    shorts = {256: 8, 257: 1, 258: depth, 259: 1, 262: 0 if min_is_white else 1, 277: 1, 278: 1}
    tags = {tag: (3, [value]) for tag, value in shorts.items()}
    page = grey(tmp_path, tiff(tags | {273: (4, [8]), 279: (4, [len(raw)])}, raw))
    wanted = samples.astype(int) * 255 // top
    assert np.array_equal(page, 255 - wanted if min_is_white else wanted)


@pytest.mark.parametrize(
    "options", [0, 1, 4, 5], ids=["1-D", "2-D", "1-D, aligned", "2-D, aligned"]
)
def test_each_way_of_group_3_is_read(options: int, tmp_path: Path) -> None:
    data = encode(bilevel(), "TIFF", compression="group3", tiffinfo={292: options})
    assert np.array_equal(grey(tmp_path, data), np.where(PICTURE > 128, 255, 0))


def test_orientation_in_a_raw_profile_is_obeyed(tmp_path: Path) -> None:
    """As ImageMagick writes it: the EXIF block in hexadecimal, packed, as a text chunk."""
    block = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0"
    profile = b"\nexif\n%8d\n%s\n" % (len(block), block.hex().encode())
    text = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile))
    raw = b"".join(b"\0" + row.tobytes() for row in STORED[3])
    assert np.array_equal(grey(tmp_path, png((40, 24), 8, 0, raw, text)), PICTURE)


@pytest.mark.parametrize("junk", [b"\0", b"\0\1\2\3junk", b"\xff" * 9])
def test_junk_between_the_parts_of_a_jpeg_header_is_passed_over(
    junk: bytes, tmp_path: Path
) -> None:
    data = encode(PICTURE, "JPEG", quality=95)
    at = 4 + int.from_bytes(data[4:6])  # behind the first part
    page = grey(tmp_path, data[:at] + junk + data[at:])
    assert np.array_equal(page, grey(tmp_path, data))


def test_the_first_picture_of_several_is_the_page(tmp_path: Path) -> None:
    other = Image.fromarray(255 - PICTURE)
    many: dict[str, object] = {"save_all": True, "append_images": [other]}
    for kind in ("GIF", "PNG", "MPO"):
        page = grey(tmp_path, encode(PICTURE, kind, **many))
        assert abs(page.astype(int) - PICTURE).mean() < 8


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 40), (40, 1), (20000, 3), (3, 20000)])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "JPEG"])
def test_thin_and_tiny_pictures_are_pages(
    width: int, height: int, kind: str, tmp_path: Path
) -> None:
    page = grey(tmp_path, encode(np.full((height, width), 77, np.uint8), kind))
    assert page.shape == (height, width)
    assert abs(page.astype(int) - 77).max() <= 1


# --- damage -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*LOSSLESS, *FAXES, *LOSSY])
def test_a_cut_file_is_the_whole_picture_or_a_failure(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = (LOSSLESS | FAXES | LOSSY)[name]
    whole = grey(tmp_path, data)
    cuts = {*range(0, len(data), max(1, len(data) // 90)), *range(len(data) - 12, len(data))}
    failed = 0
    for cut in sorted(cuts):
        first, *rest = readings(tmp_path, data[:cut])
        assert all(isinstance(more, Failure) for more in rest)
        failed += isinstance(first, Failure)
        assert isinstance(first, Page | Failure)
        assert isinstance(first, Failure) or np.array_equal(first.grey, whole), cut
    assert failed >= len(cuts) - 12
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["png", "rgb-png", "palette-png", "grey-alpha-png"])
@pytest.mark.parametrize("bit", [0, 5])
def test_a_flipped_bit_of_a_png_never_changes_the_picture(
    name: str, bit: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(LOSSLESS[name])
    failed = 0
    for at in range(len(data)):
        data[at] ^= 1 << bit
        (result,) = readings(tmp_path, bytes(data))
        failed += isinstance(result, Failure)
        assert isinstance(result, Page | Failure)
        assert isinstance(result, Failure) or np.array_equal(result.grey, PICTURE), at
        data[at] ^= 1 << bit
    assert failed >= len(data) - 4  # the last bytes of the signature tell nothing of the picture
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", [*LOSSLESS, *FAXES, *LOSSY])
def test_flipped_bytes_never_raise_and_never_print(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = bytearray((LOSSLESS | FAXES | LOSSY)[name])
    for at in range(0, len(data), max(1, len(data) // 80)):
        data[at] ^= 0xA5
        for result in readings(tmp_path, bytes(data), 10**6):
            assert isinstance(result, Page | Failure)
        data[at] ^= 0xA5
    assert capfd.readouterr() == ("", "")


SIGNATURES = [
    *(b"", b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"GIF8", b"BM"),
    *(b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51", b"RIFF\x80\0\0\0WEBPVP8 "),
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
]


@given(st.sampled_from(SIGNATURES), st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_give_a_plain_failure_or_a_page(
    tmp_path_factory: pytest.TempPathFactory, head: bytes, tail: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / "x"
    path.write_bytes(head + tail)
    results = list(pages.load_pages(str(path), max_pixels=10**6))
    assert results
    look = pages.inspect_image_file(str(path), max_pixels=10**6)
    for result in [*results, look]:
        if isinstance(result, Failure):
            assert result.detail.isprintable()
            assert 0 < len(result.detail) <= 200


def test_png_whose_data_stop_early_behind_right_checksums(tmp_path: Path) -> None:
    for width, height, extra in ((28, 28, b""), (28, 28, chunk(b"tEXt", b"a\0b"))):
        raw = b"".join(b"\0" + b"\xc8" * width for _ in range(height // 2))
        data = png((width, height), 8, 0, raw, extra)
        assert "end before the picture" in detail(tmp_path, data)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\0\5\6" * 2 + b"more", "data beyond the picture are no harm"),
        (b"\0\5\6" * 2, "exactly the picture"),
    ],
)
def test_png_with_enough_data_is_read(
    raw: bytes, reason: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert grey(tmp_path, png((2, 2), 8, 0, raw)).tolist() == [[5, 6], [5, 6]], reason
    assert capfd.readouterr() == ("", "")


def test_png_with_an_unknown_row_filter_fails_silently(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert "PNG" in detail(tmp_path, png((2, 1), 8, 0, b"\x09\5\6"))
    assert capfd.readouterr() == ("", "")


def test_interlaced_png(tmp_path: Path) -> None:
    """One white pixel a pass, built by hand: 3 x 1 has passes 1, 4 (column 2) and 6 (column 1)."""
    header = struct.pack(">IIBBBBB", 3, 1, 8, 0, 0, 0, 1)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    whole = start + chunk(b"IDAT", zlib.compress(b"\0\x0a\0\x1e\0\x14")) + chunk(b"IEND", b"")
    assert grey(tmp_path, whole).tolist() == [[10, 20, 30]]
    short = start + chunk(b"IDAT", zlib.compress(b"\0\x0a\0\x1e")) + chunk(b"IEND", b"")
    assert "end before the picture" in detail(tmp_path, short)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_with_an_end_mark_too_early(mode: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (64, 64), dtype=np.uint8)
    data = encode(Image.fromarray(noise).convert(mode), "JPEG")
    scan = data.index(b"\xff\xda") + 20
    for share in (0.1, 0.5, 0.8):
        cut = scan + int((len(data) - scan) * share)
        cut -= data[cut - 1] == 0xFF  # not between the two bytes of an escaped 255
        assert "data end before the picture" in detail(tmp_path, data[:cut] + b"\xff\xd9")
    assert grey(tmp_path, data).shape == (64, 64)


def test_a_mid_grey_jpeg_is_not_taken_for_a_cut_one(tmp_path: Path) -> None:
    for value in (127, 128):
        assert (grey(tmp_path, encode(np.full((40, 40), value, np.uint8), "JPEG")) == value).all()


@pytest.mark.parametrize("name", ["jp2", "j2k"])
def test_jpeg_2000_cut_around_its_header(name: str, tmp_path: Path) -> None:
    data = LOSSLESS[name]
    start = data.index(b"\xff\x4f") + 4  # somewhere here OpenJPEG gives an empty picture
    for cut in range(start, data.index(b"\xff\x90") + 40):
        assert "JPEG 2000" in detail(tmp_path, data[:cut])


def test_tiff_whose_strips_do_not_cover_the_page(tmp_path: Path) -> None:
    shorts = {256: 4, 257: 8, 258: 8, 259: 1, 262: 1, 277: 1, 278: 4}
    tags = {tag: (3, [value]) for tag, value in shorts.items()}
    half = tiff(tags | {273: (4, [8]), 279: (4, [16])}, b"\x60" * 32)
    assert "do not cover" in detail(tmp_path, half)
    whole = tiff(tags | {273: (4, [8, 24]), 279: (4, [16, 16])}, b"\x60" * 32)
    assert (grey(tmp_path, whole) == 0x60).all()


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "group4"])
def test_packed_tiff_with_a_strip_missing(compression: str, tmp_path: Path) -> None:
    tall = np.tile(PICTURE, (400, 4))
    image = Image.fromarray(tall)
    image = image.convert("1") if compression == "group4" else image
    data = bytearray(encode(image, "TIFF", compression=compression, tiffinfo={278: 1200}))
    at = struct.unpack_from("<I", data, 4)[0]
    for entry in range(struct.unpack_from("<H", data, at)[0]):
        tag, _, count = struct.unpack_from("<HHI", data, at + 2 + 12 * entry)
        if tag in (273, 279):
            assert count > 1
            struct.pack_into("<I", data, at + 6 + 12 * entry, count - 1)
    assert "TIFF" in detail(tmp_path, bytes(data))


def test_a_fax_with_a_broken_line_is_a_failure_and_prints_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(FAXES["tiff_ccitt"])
    data[8 + 20 : 8 + 30] = b"\xff\0\xff\0\xff\0\xff\0\xff\0"
    assert "Decode" in detail(tmp_path, bytes(data))
    assert capfd.readouterr() == ("", "")


def test_what_libtiff_prints_is_caught_without_a_standard_error(tmp_path: Path) -> None:
    (tmp_path / "in.tif").write_bytes(LOSSLESS["tiff-lzw"])
    code = (
        "import os, sys; from batchdigits import pages; os.close(2)\n"
        "print([*pages.load_pages(sys.argv[1], max_pixels=9999)][0].grey.shape)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "in.tif")]
    assert subprocess.run(command, check=True, capture_output=True).stdout == b"(24, 40)\n"


# --- TIFF pages ---------------------------------------------------------------------------------


def pile(count: int) -> bytes:
    """A TIFF of `count` packed pages; page n is 10 n grey, but for one dark corner."""
    sheets = []
    for number in range(count):
        sheet = np.full((9, 11), 10 * (number + 1), np.uint8)
        sheet[0, 0] = 0
        sheets.append(Image.fromarray(sheet))
    many = {"save_all": True, "append_images": sheets[1:], "compression": "tiff_adobe_deflate"}
    return encode(sheets[0], "TIFF", **many)


def directories(data: bytes) -> list[int]:
    found, at = [], struct.unpack_from("<I", data, 4)[0]
    while at:
        found.append(at)
        at = struct.unpack_from("<I", data, at + 2 + 12 * struct.unpack_from("<H", data, at)[0])[0]
    return found


def link(data: bytes, start: int) -> int:
    return start + 2 + 12 * int(struct.unpack_from("<H", data, start)[0])


def test_every_page_of_a_tiff_in_order(tmp_path: Path) -> None:
    results = readings(tmp_path, pile(5))
    assert [(page.number, page.grey[5, 5]) for page in results if isinstance(page, Page)] == [
        (n, 10 * n) for n in range(1, 6)
    ]
    assert len(results) == 5
    look = pages.inspect_image_file(str(tmp_path / "file.jpg"), max_pixels=MOST)
    assert look == pages.ImageFileInfo("TIFF", 11, 9, 5)


def test_pages_come_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").write_bytes(pile(3))
    decoder = Mock(wraps=Image.open)
    monkeypatch.setattr(Image, "open", decoder)
    stream = pages.load_pages(str(tmp_path / "in"), max_pixels=MOST)
    next(stream)
    assert decoder.call_count == 1
    assert len(list(stream)) == 2
    assert decoder.call_count == 3


@pytest.mark.parametrize("damage", ["data", "directory"])
def test_one_damaged_page_leaves_the_others(damage: str, tmp_path: Path) -> None:
    data = bytearray(pile(4))
    start = directories(bytes(data))[1]
    for entry in range(struct.unpack_from("<H", data, start)[0]):
        at = start + 2 + 12 * entry
        tag = struct.unpack_from("<H", data, at)[0]
        if damage == "data" and tag == 273:
            struct.pack_into("<I", data, at + 8, 4)  # points into the file's head
        if damage == "directory" and tag == 258:
            struct.pack_into("<H", data, at + 8, 7)  # 7 bits a sample
    results = readings(tmp_path, bytes(data))
    assert [type(result) for result in results] == [Page, Failure, Page, Page]
    assert isinstance(results[1], Failure)
    assert results[1].page == 2


@pytest.mark.parametrize("back", [0, 1, 2])
def test_a_chain_that_bites_its_tail_ends(back: int, tmp_path: Path) -> None:
    data = bytearray(pile(3))
    starts = directories(bytes(data))
    struct.pack_into("<I", data, link(bytes(data), starts[2]), starts[back])
    results = readings(tmp_path, bytes(data))
    assert [type(result) for result in results] == [Page] * 3


def test_a_page_that_is_its_own_next_is_one_page(tmp_path: Path) -> None:
    data = bytearray(pile(1))
    (start,) = directories(bytes(data))
    struct.pack_into("<I", data, link(bytes(data), start), start)
    assert (grey(tmp_path, bytes(data))[1:] == 10).all()


def test_a_tag_that_leads_round_in_a_circle_ends(tmp_path: Path) -> None:
    """EXIF's own directory, tag 0x8769, at which the directory of the page stands."""
    raw = PICTURE.tobytes()
    shorts = {256: 40, 257: 24, 258: 8, 259: 1, 262: 1, 277: 1, 278: 24}
    tags = {tag: (3, [value]) for tag, value in shorts.items()}
    tags |= {273: (4, [8]), 279: (4, [len(raw)])}
    for tag in (330, 0x8769, 0x8825):
        data = tiff(tags | {tag: (4, [8 + len(raw)])}, raw)
        assert np.array_equal(grey(tmp_path, data), PICTURE)


@pytest.mark.parametrize("onto", [0x7FFFFFFF, 0xFFFFFFFF])
def test_a_chain_that_leaves_the_file_is_told(onto: int, tmp_path: Path) -> None:
    data = bytearray(pile(2))
    struct.pack_into("<I", data, link(bytes(data), directories(bytes(data))[1]), onto)
    *good, last = readings(tmp_path, bytes(data))
    assert [type(result) for result in good] == [Page, Page]
    assert isinstance(last, Failure)
    assert last.page == 3
    assert "list of pages" in last.detail


def test_a_tiff_without_pages(tmp_path: Path) -> None:
    assert "lists no page" in detail(tmp_path, b"II*\0\0\0\0\0")
    assert "list of pages" in detail(tmp_path, b"II*\0\xff\xff\0\0")


# --- limits and faults --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "JPEG2000"])
def test_pixels_are_limited_for_each_format(kind: str, tmp_path: Path) -> None:
    data = encode(PICTURE, kind)
    expected = "too large: 40x24 is 960 pixels, over the limit of 959 (--max-pixels)"
    assert detail(tmp_path, data, 959) == expected
    assert isinstance(readings(tmp_path, data, 960)[0], Page)
    assert pages.inspect_image_file(str(tmp_path / "file.jpg"), max_pixels=959) == Failure(
        1, expected
    )


def test_the_limit_is_checked_before_decoding(tmp_path: Path) -> None:
    data = png((20000, 20000), 8, 2, b"nothing that would decode")
    assert detail(tmp_path, data) == (
        "too large: 20000x20000 is 400 million pixels, over the limit of 100 million (--max-pixels)"
    )


def test_our_limit_is_the_only_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    before = list(warnings.filters)
    for kind in ("TIFF", "GIF", "JPEG"):
        assert grey(tmp_path, encode(PICTURE, kind)).shape == (24, 40)
    assert Image.MAX_IMAGE_PIXELS == 10
    assert warnings.filters == before


@pytest.mark.parametrize("size", [(1, 1), (255, 3), (257, 16383), (4096, 33)])
@pytest.mark.parametrize(
    "options", [{}, {"lossless": True}, {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"}], ids=str
)
def test_the_size_of_a_webp_is_known_before_it_is_opened(
    size: tuple[int, int], options: dict[str, object]
) -> None:
    data = encode(Image.new("RGB", size, "white"), "WEBP", **options)
    assert webp.parse_webp_size(data[:30]) == size
    assert webp.parse_webp_size(data[:29]) == (0, 0)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "JPEG2000", "GIF"])
def test_want_of_memory_is_not_taken_for_damage(kind: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(encode(np.full((4000, 4000), 99, np.uint8), kind))
    code = (
        "import resource, sys\nfrom pathlib import Path\nfrom batchdigits import pages\n"
        "taken = int(Path('/proc/self/statm').read_text().split()[5]) * resource.getpagesize()\n"
        "for room in (20, 40, 60, 90):\n"
        "    resource.setrlimit(resource.RLIMIT_DATA, (taken + (room << 20), -1))\n"
        "    try:\n        print([*pages.load_pages(sys.argv[1], max_pixels=10**8)][0].grey[0, 0])\n"
        "    except MemoryError:\n        print('memory')\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "x")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout.split()
    assert said, done.stderr
    assert said[0] == "memory"
    assert {*said} <= {"memory", "99", "98", "100"}
    assert len(said) == 4, done.stderr


def test_a_png_that_unpacks_without_end_stops_at_its_size(tmp_path: Path) -> None:
    data = png((2, 1), 8, 0, b"\0\5\6" + bytes(40_000_000))
    tracemalloc.start()
    try:
        assert grey(tmp_path, data).tolist() == [[5, 6]]
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


def test_pillow_neither_warns_nor_logs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shorts = {256: 4, 257: 4, 258: 8, 259: 1, 262: 1, 277: 1, 278: 4}
    tags = {tag: (3, [value]) for tag, value in shorts.items()}
    tags |= {273: (4, [8]), 279: (4, [16])}
    data = bytearray(tiff(tags | {305: (4, [1, 2, 3])}, b"\x60" * 16))
    at = data.index(struct.pack("<HHI", 305, 4, 3))
    struct.pack_into("<I", data, at + 4, 10**6)  # a tag longer than the file: Pillow warns
    assert (grey(tmp_path, bytes(data)) == 0x60).all()
    assert "TIFF" in detail(tmp_path, tiff(tags | {277: (3, [5000])}, b"\x60" * 16))  # it logs
    assert not caplog.records


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty file (0 bytes)"),
        (b"hello, world", "not an image: begins with b'hello, w'; expected PNG, JPEG"),
        (bytes(64), "not an image: begins with b'\\x00"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC is not read: convert it to PNG or JPEG"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "AVIF is not read: convert it to PNG or JPEG"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF is not read"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp41", "not an image"),
        (b"BM", "BMP"),
        (b"\xff\xd8\xff", "JPEG"),
        (b"\x89PNG", "truncated PNG"),
        (png((0, 5), 8, 0, b""), "damaged PNG"),
        (png((5, 5), 8, 5, b""), "damaged PNG"),
    ],
)
def test_what_is_no_picture_is_told_plainly(data: bytes, words: str, tmp_path: Path) -> None:
    assert words in detail(tmp_path, data)
    look = pages.inspect_image_file(str(tmp_path / "file.jpg"), max_pixels=MOST)
    assert isinstance(look, Failure)


def only(path: str | Path) -> str:
    (failure,) = pages.load_pages(str(path), max_pixels=MOST)
    assert isinstance(failure, Failure)
    assert failure.whole
    look = pages.inspect_image_file(str(path), max_pixels=MOST)
    assert isinstance(look, Failure)
    assert look.detail == failure.detail
    return failure.detail


def test_what_is_no_file_is_told_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert only(tmp_path / "nothing.png") == "no such file"
    assert only(tmp_path) == "not a file but a folder"
    assert "pipe" in only(tmp_path / "pipe")
    assert "cannot be opened" in only(tmp_path / "loop")
    assert "zero byte" in only("a\0b")
    assert only("/dev/null").startswith("not a regular file")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # root, as in containers, may read anything
    assert only(tmp_path / "x").startswith("permission denied")


def test_a_file_with_too_many_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MAX_FILE_BYTES", 1000)
    (tmp_path / "x").write_bytes(bytes(1001))
    assert only(tmp_path / "x") == "too large: 1,001 bytes, over the limit of 1,000"


@pytest.mark.parametrize("kind", ["PDF", "TIFF"])
def test_a_file_of_too_many_pages(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = sheets(scan(), scan(), scan()) if kind == "PDF" else pile(3)
    monkeypatch.setattr(trouble, "MAX_PAGES", 3)
    assert len(readings(tmp_path, data)) == 3
    monkeypatch.setattr(trouble, "MAX_PAGES", 2)
    (tmp_path / "x").write_bytes(data)
    assert only(tmp_path / "x") == "too many pages: over the limit of 2; split the file"


def test_a_pdf_that_claims_a_million_pages_is_refused_at_once(tmp_path: Path) -> None:
    data = sheets(scan()).replace(b"/Count 1/", b"/Count 999999/")
    (tmp_path / "x").write_bytes(data)
    assert "too many pages" in only(tmp_path / "x")


def test_a_name_that_is_no_utf_8(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.png"
    Path(os.fsdecode(path)).write_bytes(LOSSLESS["png"])
    (page,) = pages.load_pages(os.fsdecode(path), max_pixels=MOST)
    assert isinstance(page, Page)


@pytest.mark.parametrize("place", ["_decode_image", "decode_plain_png", "_identify_format"])
def test_only_want_of_memory_escapes(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_bytes(LOSSLESS["palette-png"])
    for error, escapes in ((MemoryError(), True), (RecursionError("a\nb\x07\x1b[31m"), False)):

        def fail(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(pages, place, fail)
        if escapes:
            with pytest.raises(MemoryError):
                list(pages.load_pages(str(tmp_path / "x"), max_pixels=MOST))
        else:
            (failure,) = pages.load_pages(str(tmp_path / "x"), max_pixels=MOST)
            assert isinstance(failure, Failure)
            assert "a b [31m" in failure.detail


# --- square pixels ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dpi", "shape", "reason"),
    [
        ((204, 98), (50, 40), "a fax at normal resolution: rows are twice as far apart"),
        ((100, 200), (24, 80), "the other way round"),
        ((204, 196), (24, 40), "a fax at fine resolution: within 5 %"),
        ((300, 300), (24, 40), "square already"),
        ((1, 2), (24, 40), "no scanner has one dot an inch"),
        ((600, 72), (24, 40), "a slip of the writer"),
    ],
)
def test_pixels_become_square(
    dpi: tuple[int, int], shape: tuple[int, int], reason: str, tmp_path: Path
) -> None:
    for kind in ("TIFF", "PNG", "JPEG"):
        data = encode(PICTURE, kind, dpi=dpi)
        page = grey(tmp_path, data)
        assert page.shape == shape, reason
        assert abs(cv2.resize(page, (40, 24)).astype(int) - PICTURE).mean() < 8
        look = pages.inspect_image_file(str(tmp_path / "file.jpg"), max_pixels=MOST)
        assert isinstance(look, pages.ImageFileInfo)
        assert (look.height, look.width) == shape


@pytest.mark.parametrize("kind", ["TIFF", "PNG"])
def test_density_goes_with_the_stored_axes(kind: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.fromarray(np.ascontiguousarray(STORED[6]))
    page = grey(tmp_path, encode(stored, kind, dpi=(100, 200), exif=exif))
    assert page.shape == (48, 40)


def test_the_limit_holds_for_the_squared_page(tmp_path: Path) -> None:
    data = encode(PICTURE, "TIFF", dpi=(200, 100))
    assert "40x48 is 1,920 pixels" in detail(tmp_path, data, 1900)


def test_a_file_says_how_large_its_paper_is(tmp_path: Path) -> None:
    picture = Image.new("L", (300, 600), 255)
    place = str(tmp_path / "a")
    for options, wanted, why in (
        ({"format": "PNG", "dpi": (300, 300)}, (25.4, 50.8), "pixels a metre in PNG"),
        ({"format": "TIFF", "dpi": (200, 100)}, (38.1, 152.4), "a fax is finer across"),
        ({"format": "JPEG", "dpi": (150, 150)}, (50.8, 101.6), "JFIF"),
        ({"format": "PDF", "resolution": 100}, (76.2, 152.4), "a PDF's page has a size"),
        ({"format": "PNG", "dpi": (72, 72)}, None, "72 is what programs write that know none"),
        ({"format": "PNG"}, None, "nothing is said"),
    ):
        picture.save(place, **options)
        found = paper.find_paper_size(place, 1)
        assert found == (wanted and pytest.approx(wanted, abs=0.05)), why
        assert paper.find_paper_size(place, 2) is None, "there is no second page"


def test_paper_is_turned_with_its_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    place = str(tmp_path / "a.jpg")
    Image.new("L", (300, 600), 255).save(place, dpi=(300, 150), exif=exif)
    assert paper.find_paper_size(place, 1) == pytest.approx((101.6, 25.4), abs=0.05)


@pytest.mark.parametrize("data", [b"", b"%PDF-1.4 broken", b"\x89PNG\r\n\x1a\n"])
def test_a_broken_file_says_nothing_of_its_paper(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(data)
    assert paper.find_paper_size(str(tmp_path / "a"), 1) is None
    assert paper.find_paper_size(str(tmp_path / "gone"), 1) is None


# --- PDF ----------------------------------------------------------------------------------------


def stream(entries: bytes, data: bytes) -> bytes:
    return b"<<%s/Length %d>>stream\n%s\nendstream" % (entries, len(data), data)


def pdf(things: dict[int, bytes], extra: bytes = b"") -> bytes:
    """A PDF of numbered objects, the first its catalogue; those missing are marked as free."""
    out, places = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", {}
    for number, body in things.items():
        places[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    size = max(things) + 1
    lines = [b"%010d 00000 n \n" % places.get(n, 0) for n in range(1, size)]
    lines = [line if n in places else line[:-3] + b"f \n" for n, line in enumerate(lines, 1)]
    xref = b"xref\n0 %d\n0000000000 65535 f \n" % size + b"".join(lines)
    trailer = b"trailer<</Size %d/Root 1 0 R%s>>\n" % (size, extra)
    return out + xref + trailer + b"startxref\n%d\n%%%%EOF\n" % len(out)


def fax_lines(picture: GreyImage) -> bytes:
    """The bare lines of group 4, 0 for black, as a fax machine has them."""
    image = Image.fromarray(picture).convert("1", dither=Image.Dither.NONE)
    data = encode(image, "TIFF", compression="group4", tiffinfo={278: len(picture)})
    tags = Image.open(io.BytesIO(data)).tag_v2  # type: ignore[attr-defined]
    return data[tags[273][0] : tags[273][0] + tags[279][0]]


def jbig2(picture: GreyImage) -> bytes:
    """A JBIG2 stream of two segments: the page, and one region of it coded as group 4 does."""
    height, width = picture.shape
    area = struct.pack(">II", width, height)
    bodies = {48: area + bytes(11), 38: area + bytes(9) + b"\1" + fax_lines(255 - picture)}
    return b"".join(
        struct.pack(">IBBBI", n, kind, 0, 1, len(body)) + body
        for n, (kind, body) in enumerate(bodies.items())
    )


BITS = b"/ColorSpace/DeviceGray/BitsPerComponent "
FILTERS = {
    "flate": (BITS + b"8/Filter/FlateDecode", lambda grey: zlib.compress(grey.tobytes())),
    "bits": (
        BITS + b"1/Filter/FlateDecode",
        lambda grey: zlib.compress(np.packbits(grey > 127, axis=1).tobytes()),
    ),
    "hex": (BITS + b"8/Filter/ASCIIHexDecode", lambda grey: grey.tobytes().hex().encode() + b">"),
    "bare": (BITS + b"8", lambda grey: grey.tobytes()),
    "jpeg": (BITS + b"8/Filter/DCTDecode", lambda grey: encode(grey, "JPEG", quality=95)),
    "jpeg2000": (b"/Filter/JPXDecode", lambda grey: encode(grey, "JPEG2000")),
    "fax": (
        BITS + b"1/Filter/CCITTFaxDecode/DecodeParms<</K -1/BlackIs1 true/Columns %d/Rows %d>>",
        fax_lines,
    ),
    "jbig2": (BITS + b"1/Filter/JBIG2Decode", jbig2),
}


def image(grey: GreyImage, kind: str = "flate", damage: Callable[[bytes], bytes] = bytes) -> bytes:
    entries, pack = FILTERS[kind]
    height, width = grey.shape
    entries = entries % (width, height) if kind == "fax" else entries
    size = b"/Type/XObject/Subtype/Image/Width %d/Height %d" % (width, height)
    return stream(size + entries, damage(pack(grey)))


def sheets(*sheets: dict[str, bytes], extra: bytes = b"") -> bytes:
    """A PDF of pages, each by its `contents`, `image`, `box` and more entries of its dictionary."""
    things = {1: b"<</Type/Catalog/Pages 2 0 R>>"}
    for at, sheet in zip(range(3, 3 + 4 * len(sheets), 4), sheets, strict=True):
        things[at] = b"<</Type/Page/Parent 2 0 R/MediaBox[%s]/Contents %d 0 R%s%s>>" % (
            sheet.get("box", b"0 0 40 24"),
            at + 1,
            sheet.get("more", b""),
            b"/Resources<</XObject<</I %d 0 R/F %d 0 R>>>>" % (at + 2, at + 3),
        )
        things[at + 1] = stream(b"", sheet.get("contents", b"q 40 0 0 24 0 0 cm /I Do Q"))
        things[at + 2] = sheet.get("image", b"null")
        things[at + 3] = sheet.get("form", b"null")
        if "page" in sheet:
            things[at] = sheet["page"]
    kids = b" ".join(b"%d 0 R" % (3 + 4 * n) for n in range(len(sheets)))
    things[2] = b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(sheets), kids)
    return pdf({number: body for number, body in things.items() if body}, extra)


def scan(grey: GreyImage = PICTURE, kind: str = "flate", **more: bytes) -> dict[str, bytes]:
    return {"image": image(grey, kind)} | more


@pytest.mark.parametrize("dpi", [72, 100, 204.7, 300, 600])
@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_a_scan_in_a_pdf_comes_out_pixel_by_pixel(mode: str, dpi: float, tmp_path: Path) -> None:
    picture = np.where(PICTURE > 128, 255, 0).astype(np.uint8) if mode == "1" else PICTURE
    height, width = picture.shape
    document = FPDF(unit="pt", format=(72 * width / dpi, 72 * height / dpi))
    document.set_image_filter("AUTO" if mode == "1" else "FlateDecode")  # AUTO: group 4
    document.add_page()
    stored = Image.fromarray(picture).convert(mode)
    document.image(stored, 0, 0, 72 * width / dpi, 72 * height / dpi)
    assert np.array_equal(grey(tmp_path, bytes(document.output())), picture)
    look = pages.inspect_image_file(str(tmp_path / "file.jpg"), max_pixels=MOST)
    assert look == pages.ImageFileInfo("PDF", width, height, 1)


@given(
    size=st.tuples(st.integers(8, 60), st.integers(8, 60)),
    dpi=st.floats(60, 600),
    slip=st.tuples(st.floats(-1e-3, 1e-3), st.floats(-1e-3, 1e-3)),
    turned=st.booleans(),
    signs=st.tuples(st.sampled_from([1, -1]), st.sampled_from([1, -1])),
    rotate=st.sampled_from([0, 90, 180, 270]),
    within=st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_a_scan_is_exact_however_it_lies_and_slips(
    tmp_path_factory: pytest.TempPathFactory,
    size: tuple[int, int],
    dpi: float,
    slip: tuple[float, float],
    turned: bool,
    signs: tuple[int, int],
    rotate: int,
    within: bool,
) -> None:
    """Turned or mirrored on the page, a thousandth of a point beside it, in a form, rotated."""
    seen = np.random.default_rng(size[0]).integers(0, 256, size, np.uint8)
    high, wide = (72 * side / dpi for side in size)
    right, up = signs
    upwards = seen[::-1][::up, ::right]  # PDF counts rows from the bottom
    stored = (upwards.T if turned else upwards)[::-1]
    matrix = (0, up * high, right * wide, 0) if turned else (right * wide, 0, 0, up * high)
    start = (wide * (right < 0) + slip[0], high * (up < 0) + slip[1])
    draw = b"q %.6f %.6f %.6f %.6f %.6f %.6f cm /I Do Q" % (*matrix, *start)
    outer, corner = (b"q 1 0 0 1 7 5 cm /F Do Q", (7, 5)) if within else (draw, (0, 0))
    sheet = scan(
        np.ascontiguousarray(stored),
        contents=outer,
        form=stream(b"/Type/XObject/Subtype/Form/BBox[-9999 -9999 9999 9999]", draw),
        box=b"%d %d %.6f %.6f" % (*corner, wide + corner[0], high + corner[1]),
        more=b"/Rotate %d" % rotate,
    )
    page = grey(tmp_path_factory.mktemp("pdf"), sheets(sheet))
    assert np.array_equal(page, np.rot90(seen, -rotate // 90))


@pytest.mark.parametrize("kind", FILTERS)
def test_each_packing_of_a_scan(kind: str, tmp_path: Path) -> None:
    page = grey(tmp_path, sheets(scan(kind=kind)))
    wanted = np.where(PICTURE > 127, 255, 0) if kind in ("bits", "fax", "jbig2") else PICTURE
    assert page.shape == PICTURE.shape
    assert abs(page.astype(int) - wanted).mean() < (2 if kind == "jpeg" else 0.01)


def test_a_cmyk_scan_has_the_right_polarity(tmp_path: Path) -> None:
    picture = Image.new("CMYK", (40, 24), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (0, 0, 40, 12))
    page = grey(tmp_path, encode(picture, "PDF"))
    assert page.shape == (24, 40)
    assert page[:8].max() < 60  # black ink alone is no perfect black
    assert page[16:].min() > 245


@pytest.mark.parametrize(
    ("box", "contents", "shape", "reason"),
    [
        (b"0 0 40 24", b"q 40 0 0 24 0 0 cm /I Do Q", (24, 40), "72 dpi"),
        (b"0 0 41 25", b"q 40 0 0 24 0.3 0.4 cm /I Do Q", (25, 41), "a margin"),
        (b"0 0 20 12", b"q 20 0 0 12 0 0 cm /I Do Q", (24, 40), "144 dpi"),
        (b"0 0 20 6", b"q 20 0 0 6 0 0 cm /I Do Q", (12 * 2, 40 * 2), "rows half as far apart"),
        (b"0 0 20 12.1", b"q 20 0 0 12.1 0 0 cm /I Do Q", (24, 40), "a height that was rounded"),
        (b"0 0 4 2.4", b"q 4 0 0 2.4 0 0 cm /I Do Q", (24, 40), "720 dpi"),
        (b"0 0 .04 .024", b"q .04 0 0 .024 0 0 cm /I Do Q", (24, 40), "a slip: 72,000 dpi"),
        (b"0 0 400 240", b"q 400 0 0 240 0 0 cm /I Do Q", (1000, 1667), "a stretched ground"),
        (b"0 0 100 60", b"q 40 0 0 24 0 0 cm /I Do Q", (250, 417), "a picture on a drawn page"),
        (
            b"0 0 40 24",
            b"q 40 0 0 24 0 0 cm /I Do Q q 1 0 0 1 3 3 cm /I Do Q",
            (24, 40),
            "a small picture, finer than the scan",
        ),
        (
            b"0 0 40 96",
            b"".join(b"q 40 0 0 24 0 %d cm /I Do Q " % y for y in (0, 24, 48, 72)),
            (96, 40),
            "strips",
        ),
    ],
)
def test_a_page_has_the_pixels_of_its_scan(
    box: bytes, contents: bytes, shape: tuple[int, int], reason: str, tmp_path: Path
) -> None:
    page = grey(tmp_path, sheets(scan(box=box, contents=contents)))
    assert page.shape == shape, reason
    if reason == "a margin":  # less than a pixel wide, and whole pixels all the same
        assert np.array_equal(page[1:, :-1], PICTURE)
    if reason == "strips":
        assert np.array_equal(page, np.tile(PICTURE, (4, 1)))


def test_a_drawn_page_has_300_dots_an_inch_within_the_limit(tmp_path: Path) -> None:
    document = FPDF(unit="in", format=(2, 1))
    document.add_page()
    with document.local_context(fill_opacity=0.5):
        document.set_fill_color(0, 0, 0)
        document.rect(0.5, 0.25, 1, 0.5, style="F")
    data = bytes(document.output())
    page = grey(tmp_path, data)
    assert page.shape == (300, 600)
    assert abs(page[75:225, 150:450].astype(int) - 127).max() <= 1
    page[75:225, 150:450] = 255
    assert (page == 255).all()
    (small,) = readings(tmp_path, data, 20_000)
    assert isinstance(small, Page)
    assert small.grey.shape == (100, 200)


def test_what_was_typed_into_a_form_is_drawn(tmp_path: Path) -> None:
    things = {
        1: b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]>>>>",
        2: b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
        3: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 40 24]/Annots[4 0 R 6 0 R]>>",
        4: b"<</Subtype/Widget/FT/Tx/T(a)/F 4/Rect[9 9 18 18]/AP<</N 5 0 R>>>>",
        5: stream(b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]", b"0 0 9 9 re f"),
        6: b"<</Subtype/Stamp/F 4/Rect[27 9 36 18]/AP<</N 5 0 R>>>>",
    }
    page = grey(tmp_path, pdf(things))
    assert page.shape == (100, 167)
    assert page[30:60, 40:72].max() == 0  # a field
    assert page[30:60, 115:147].max() == 0  # a stamp
    assert page[:20].min() == 255


@pytest.mark.parametrize("min_is_white", [True, False])
@pytest.mark.parametrize("fill", [1, 2])
@pytest.mark.parametrize("compression", [1, 4])
def test_bits_of_a_tiff_in_either_order_and_sense(
    compression: int, fill: int, min_is_white: bool, tmp_path: Path
) -> None:
    wanted = np.where(PICTURE > 128, 255, 0).astype(np.uint8)
    ink = fax_lines(wanted)  # Pillow writes black as 0, so its lines count white as ink
    data = ink if compression == 4 else np.packbits(wanted > 0, axis=1).tobytes()
    if fill == 2:  # TIFF 6.0, FillOrder: the lowest bit of a byte comes first
        data = bytes(int(f"{byte:08b}"[::-1], 2) for byte in data)
    shorts = {256: 40, 257: 24, 258: 1, 259: compression, 262: 0 if min_is_white else 1}
    shorts |= {266: fill, 277: 1, 278: 24}
    tags = {tag: (3, [value]) for tag, value in shorts.items()}
    page = grey(tmp_path, tiff(tags | {273: (4, [8]), 279: (4, [len(data)])}, data))
    assert np.array_equal(page, 255 - wanted if min_is_white else wanted)


def test_twelve_bits_packed_close(tmp_path: Path) -> None:
    shorts = {256: 4, 257: 1, 258: 12, 259: 1, 262: 1, 277: 1, 278: 1}
    tags = {tag: (3, [value]) for tag, value in shorts.items()}
    data = bytes.fromhex("000800fff400")
    page = grey(tmp_path, tiff(tags | {273: (4, [8]), 279: (4, [6])}, data))
    assert abs(page[0].astype(int) - [0, 128, 255, 64]).max() <= 1


# --- PDF: damage --------------------------------------------------------------------------------


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


NOISE = np.random.default_rng(5).integers(0, 256, (240, 400), np.uint8)
"""No row of it is uniform, nor packs well."""


@pytest.mark.parametrize(
    ("sheet", "words", "reason"),
    [
        ({"page": b"<</Type/Pag"}, "the page cannot be found", "a page that is no dictionary"),
        ({"page": b""}, "the page cannot be found", "a page's object is missing"),
        ({"page": b"<</Foo 1>>"}, "nothing is on the page", "a page without anything"),
        (scan(box=b"0 0 0 0"), "a page without a size", "pdfium makes it Letter"),
        (scan(contents=b"garbage ( <"), "nothing is on the page", "contents that do nothing"),
        ({}, "nothing is on the page", "the picture is missing"),
        ({"image": image(NOISE, "flate", half)}, "data end before", "a picture cut"),
        ({"image": image(NOISE, "bits", half)}, "data end before", "a 1-bit picture cut"),
        (
            {"image": image(NOISE, "flate", lambda data: data[:50] + b"\0" + data[51:])},
            "do not unpack",
            "a byte flipped",
        ),
        ({"image": image(NOISE, "hex", half)}, "data end too early", "a packing of old"),
        ({"image": image(NOISE, "bare", half)}, "data end too early", "no packing at all"),
        ({"image": image(NOISE, "jpeg", half)}, "truncated", "a JPEG cut"),
        (
            {"image": image(NOISE, "jpeg", lambda data: half(data) + b"\xff\xd9")},
            "end before the picture",
            "a JPEG with an end mark too early",
        ),
        ({"image": image(NOISE, "jpeg2000", half)}, "PDF", "a JPEG 2000 cut"),
        ({"image": image(NOISE, "fax", half)}, "breaks off", "a fax cut"),
        ({"image": image(NOISE, "fax", lambda data: data[:9])}, "breaks off", "a fax's beginning"),
        *(
            ({"image": image(NOISE, kind, lambda _: b"")}, "cannot be decoded", f"{kind}, empty")
            for kind in ("flate", "jpeg", "jpeg2000", "fax")
        ),
    ],
)
def test_one_damaged_page_of_a_pdf_leaves_the_others(
    sheet: dict[str, bytes],
    words: str,
    reason: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    results = readings(tmp_path, sheets(scan(), sheet, scan()))
    assert [type(result) for result in results] == [Page, Failure, Page], reason
    assert isinstance(results[1], Failure)
    assert results[1].page == 2
    assert words in results[1].detail, reason
    assert results[1].detail.isprintable()
    assert capfd.readouterr() == ("", "")


def test_a_fax_without_an_end_code_is_whole_where_its_lines_are(tmp_path: Path) -> None:
    lower_half_white = np.where(NOISE > 127, 255, 0).astype(np.uint8)
    lower_half_white[120:] = 255
    bare = image(lower_half_white, "fax", lambda data: data[:-3])  # the end code has 24 bits
    sheet = {"image": bare, "box": b"0 0 400 240", "contents": b"q 400 0 0 240 0 0 cm /I Do Q"}
    assert np.array_equal(grey(tmp_path, sheets(sheet)), lower_half_white)


def test_a_stencil_is_drawn_in_its_ink(tmp_path: Path) -> None:
    """An image mask: where its bits are 0 the colour that was set is laid on."""
    bits = np.packbits(PICTURE > 128, axis=1).tobytes()
    size = b"/Type/XObject/Subtype/Image/Width 40/Height 24/ImageMask true/BitsPerComponent 1"
    sheet = {"image": stream(size, bits), "contents": b"0 g q 40 0 0 24 0 0 cm /I Do Q"}
    page = grey(tmp_path, sheets(sheet))
    large = cv2.resize(page, (40, 24), interpolation=cv2.INTER_AREA)
    assert np.array_equal(large > 127, PICTURE > 128)


@pytest.mark.parametrize(
    "space",
    [b"[/DeviceN[/Black]/DeviceCMYK 99 0 R]", b"[/DeviceN]", b"[/Indexed/DeviceRGB 255]", b"/None"],
)
def test_a_scan_in_colours_that_make_no_sense_takes_no_other_page_along(
    space: bytes, tmp_path: Path
) -> None:
    size = b"/Type/XObject/Subtype/Image/Width 40/Height 24/BitsPerComponent 1/ColorSpace" + space
    odd = {"image": stream(size, np.packbits(PICTURE > 128, axis=1).tobytes())}
    first, second = readings(tmp_path, sheets(odd, scan()))
    assert isinstance(first, Page | Failure)
    assert isinstance(second, Page)
    assert np.array_equal(second.grey, PICTURE)


def test_page_137_of_500_is_damaged(tmp_path: Path) -> None:
    good, bad = scan(kind="bits"), {"image": image(NOISE, "bits", half)}
    results = readings(tmp_path, sheets(*[good] * 136, bad, *[good] * 363))
    assert [n for n, result in enumerate(results, 1) if isinstance(result, Failure)] == [137]
    assert [page.number for page in results if isinstance(page, Page)] == [
        n for n in range(1, 501) if n != 137
    ]


@pytest.mark.parametrize(("user", "readable"), [("secret", False), (None, True)])
def test_an_encrypted_pdf_says_so_unless_anybody_may_read_it(
    user: str | None, readable: bool, tmp_path: Path
) -> None:
    document = FPDF(unit="pt", format=(40, 24))
    document.set_encryption(owner_password="owner", user_password=user)
    document.set_image_filter("FlateDecode")
    document.add_page()
    document.image(Image.fromarray(PICTURE), 0, 0, 40, 24)
    data = bytes(document.output())
    if readable:
        assert np.array_equal(grey(tmp_path, data), PICTURE)
    else:
        assert detail(tmp_path, data) == "encrypted PDF: save it without a password"
        failure = pages.inspect_image_file(str(tmp_path / "file.jpg"), max_pixels=MOST)
        assert failure == Failure(1, "encrypted PDF: save it without a password")


@pytest.mark.parametrize("junk", [b"", b"\n", b"junk" * 200])
def test_a_pdf_behind_junk(junk: bytes, tmp_path: Path) -> None:
    assert np.array_equal(grey(tmp_path, junk + sheets(scan())), PICTURE)
    assert "damaged PDF" in detail(tmp_path, junk + b"%PDF-1.7\n...")


@pytest.mark.parametrize("kind", FILTERS)
def test_a_cut_pdf_is_the_whole_picture_or_a_failure(
    kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = sheets(scan(kind=kind))
    whole = grey(tmp_path, data)
    for cut in {*range(0, len(data), max(1, len(data) // 60)), *range(len(data) - 9, len(data))}:
        for result in readings(tmp_path, data[:cut]):
            assert isinstance(result, Failure) or np.array_equal(result.grey, whole), cut
    assert capfd.readouterr() == ("", "")


def test_flipped_bytes_of_a_pdf_never_raise_and_never_print(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(sheets(scan(), scan(kind="fax")))
    for at in range(0, len(data), 23):
        data[at] ^= 0xA5
        assert readings(tmp_path, bytes(data), 10**6)
        data[at] ^= 0xA5
    assert capfd.readouterr() == ("", "")


def test_a_scan_of_too_many_pixels_is_refused_before_it_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = "too large: 40x24 is 960 pixels, over the limit of 959 (--max-pixels)"
    small = scan(PICTURE[:8, :10].copy(), box=b"0 0 10 8", contents=b"q 10 0 0 8 0 0 cm /I Do Q")
    monkeypatch.setattr(pages.pdf, "_draw_page", lambda page, size: np.zeros(size[::-1], np.uint8))
    large, other = readings(tmp_path, sheets(scan(), small), 959)
    assert large == Failure(1, expected)
    assert isinstance(other, Page)
    look = pages.inspect_image_file(str(tmp_path / "file.jpg"), max_pixels=959)
    assert look == pages.ImageFileInfo("PDF", 10, 8, 2)  # of the first page that can be read
    assert readings(tmp_path, sheets(scan()), 959) == [large]
    assert pages.inspect_image_file(str(tmp_path / "file.jpg"), max_pixels=959) == large


def test_pdf_pages_come_one_at_a_time_and_the_file_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").write_bytes(sheets(scan(), scan(), scan()))
    drawer = Mock(wraps=pages.pdf._draw_page)
    monkeypatch.setattr(pages.pdf, "_draw_page", drawer)
    before = len(os.listdir("/proc/self/fd"))
    stream = pages.load_pages(str(tmp_path / "in"), max_pixels=MOST)
    next(stream)
    assert drawer.call_count == 1
    stream.close()
    assert len(os.listdir("/proc/self/fd")) == before
    list(pages.load_pages(str(tmp_path / "in"), max_pixels=MOST))
    assert drawer.call_count == 4
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("kind", ["PDF", "TIFF"])
def test_one_page_alone_is_read_without_the_others(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_bytes(sheets(scan(), {}, scan()) if kind == "PDF" else pile(3))
    every = list(pages.load_pages(str(path), max_pixels=MOST))
    for number, wanted in enumerate(every, 1):
        (alone,) = pages.load_pages(str(path), max_pixels=MOST, only=number)
        assert type(alone) is type(wanted)
        if isinstance(alone, Page) and isinstance(wanted, Page):
            assert alone.number == wanted.number == number
            assert np.array_equal(alone.grey, wanted.grey)
        else:
            assert alone == wanted
    (gone,) = pages.load_pages(str(path), max_pixels=MOST, only=4)
    assert isinstance(gone, Failure)
    assert (gone.page, gone.detail.split(":")[0]) == (4, "no such page any more")


def test_a_page_that_is_wanted_from_a_file_of_one(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(LOSSLESS["png"])
    (page,) = pages.load_pages(str(tmp_path / "in"), max_pixels=MOST, only=1)
    assert isinstance(page, Page)
    (gone,) = pages.load_pages(str(tmp_path / "in"), max_pixels=MOST, only=2)
    assert isinstance(gone, Failure)
    assert gone.page == 2
    (gone,) = pages.load_pages(str(tmp_path / "nothing"), max_pixels=MOST, only=2)
    assert gone == Failure(2, "no such file")
