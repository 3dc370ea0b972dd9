"""Limits of pixels, bytes and pages, and files that are no pictures."""

import os
import struct
import subprocess
import sys
import tracemalloc
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from pages_files import (
    LOSSLESS,
    MOST,
    PICTURE,
    detail,
    encode,
    grey,
    pile,
    png,
    readings,
    scan,
    sheets,
    tiff,
)
from PIL import Image

from batchdigits import pages
from batchdigits.pages import opening, trouble, webp
from batchdigits.records import Failure, Page

pytestmark = pytest.mark.skipif(
    not hasattr(os, "memfd_create"), reason="TIFF is decoded with Linux's memfd_create"
)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "JPEG2000"])
def test_pixels_are_limited_for_each_format(kind: str, tmp_path: Path) -> None:
    data = encode(PICTURE, kind)
    expected = (
        "too large: 40x24 is 960 pixels, over the limit of 959 (--max-pixels); "
        "scan it at 300 dpi, or raise the limit"
    )
    assert detail(tmp_path, data, 959) == expected
    assert isinstance(readings(tmp_path, data, 960)[0], Page)
    assert pages.inspect_image_file(str(tmp_path / "file.jpg"), max_pixels=959) == Failure(
        1, expected
    )


def test_the_limit_is_checked_before_decoding(tmp_path: Path) -> None:
    data = png((20000, 20000), 8, 2, b"nothing that would decode")
    assert detail(tmp_path, data) == (
        "too large: 20000x20000 is 400 million pixels, over the limit of 100 million "
        "(--max-pixels); scan it at 300 dpi, or raise the limit"
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
        "    try:\n"
        "        print([*pages.load_pages(sys.argv[1], max_pixels=10**8)][0].grey[0, 0])\n"
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
    monkeypatch.setattr(opening, "MAX_FILE_BYTES", 1000)
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


@pytest.mark.parametrize(
    ("room", "place"),
    [(pages, "open_image"), (pages, "decode_plain_png"), (opening, "identify_format")],
)
def test_only_want_of_memory_escapes(
    room: ModuleType, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_bytes(LOSSLESS["palette-png"])
    for error, escapes in ((MemoryError(), True), (RecursionError("a\nb\x07\x1b[31m"), False)):

        def fail(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(room, place, fail)
        if escapes:
            with pytest.raises(MemoryError):
                list(pages.load_pages(str(tmp_path / "x"), max_pixels=MOST))
        else:
            (failure,) = pages.load_pages(str(tmp_path / "x"), max_pixels=MOST)
            assert isinstance(failure, Failure)
            assert "a b [31m" in failure.detail
