"""The pages of a TIFF file: all in order, and what is wrong with the links between them."""

import os
import struct
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from pages_files import MOST, PICTURE, detail, grey, pile, readings, tiff
from PIL import Image

from batchdigits import pages
from batchdigits.records import Failure, Page

pytestmark = pytest.mark.skipif(
    not hasattr(os, "memfd_create"), reason="TIFF is decoded with Linux's memfd_create"
)


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
