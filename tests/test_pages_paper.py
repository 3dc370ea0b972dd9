"""The density and the paper size that a file states."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from pages_files import MOST, PICTURE, STORED, detail, encode, grey
from PIL import Image

from batchdigits import pages
from batchdigits.pages import paper

pytestmark = pytest.mark.skipif(
    not hasattr(os, "memfd_create"), reason="TIFF is decoded with Linux's memfd_create"
)


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
