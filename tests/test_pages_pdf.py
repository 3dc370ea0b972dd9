"""The pages of a PDF: scans pixel by pixel, drawn pages, and damage."""

import os
from pathlib import Path
from unittest.mock import Mock

import cv2
import numpy as np
import pypdfium2
import pytest
from fpdf import FPDF
from hypothesis import given, settings
from hypothesis import strategies as st
from pages_files import (
    FILTERS,
    LOSSLESS,
    MOST,
    PICTURE,
    detail,
    encode,
    fax_lines,
    grey,
    image,
    pdf,
    pile,
    readings,
    scan,
    sheets,
    stream,
    tiff,
)
from PIL import Image

from batchdigits import pages
from batchdigits.records import Failure, Page

pytestmark = pytest.mark.skipif(
    not hasattr(os, "memfd_create"), reason="TIFF is decoded with Linux's memfd_create"
)


# --- scans and drawn pages ---


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


# --- damage ---


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
    expected = (
        "too large: 40x24 is 960 pixels, over the limit of 959 (--max-pixels); "
        "scan it at 300 dpi, or raise the limit"
    )
    small = scan(PICTURE[:8, :10].copy(), box=b"0 0 10 8", contents=b"q 10 0 0 8 0 0 cm /I Do Q")
    drawer = Mock(wraps=pypdfium2.raw.FPDF_RenderPageBitmap)
    monkeypatch.setattr(pypdfium2.raw, "FPDF_RenderPageBitmap", drawer)
    large, other = readings(tmp_path, sheets(scan(), small), 959)
    assert drawer.call_count == 1, "the small one alone"
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
    drawer = Mock(wraps=pypdfium2.raw.FPDF_RenderPageBitmap)
    monkeypatch.setattr(pypdfium2.raw, "FPDF_RenderPageBitmap", drawer)
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
