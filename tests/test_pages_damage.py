"""A damaged picture file gives the whole picture or a plain failure."""

import os
import struct
import subprocess
import sys
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
    PICTURE,
    chunk,
    detail,
    encode,
    grey,
    png,
    readings,
    tiff,
)
from PIL import Image

from batchdigits import pages
from batchdigits.records import Failure, Page

pytestmark = pytest.mark.skipif(
    not hasattr(os, "memfd_create"), reason="TIFF is decoded with Linux's memfd_create"
)


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
