"""One file in, grey pages out: every kind of picture gives the pixels that it holds."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pages_files import (
    FAXES,
    LOSSLESS,
    LOSSY,
    MOST,
    PICTURE,
    STORED,
    bilevel,
    chunk,
    detail,
    encode,
    grey,
    png,
    tiff,
)
from PIL import Image

from batchdigits import pages
from batchdigits.pages import picture

pytestmark = pytest.mark.skipif(
    not hasattr(os, "memfd_create"), reason="TIFF is decoded with Linux's memfd_create"
)


def grey_tiff(values: np.ndarray, photometric: int, form: int = 1, order: str = "<") -> bytes:
    raw = values.astype(values.dtype.newbyteorder("<" if order == "<" else ">")).tobytes()
    height, width = values.shape
    shorts = {256: width, 257: height, 258: values.itemsize * 8, 259: 1, 262: photometric}
    tags = {tag: (3, [value]) for tag, value in (shorts | {277: 1, 278: height, 339: form}).items()}
    return tiff(tags | {273: (4, [8]), 279: (4, [len(raw)])}, raw, order)


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
