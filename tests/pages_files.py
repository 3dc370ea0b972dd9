"""Picture and PDF files made in memory, and how their pages are read back."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from batchdigits import pages
from batchdigits.records import Failure, GreyImage, Page

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


def pile(count: int) -> bytes:
    """A TIFF of `count` packed pages; page n is 10 n grey, but for one dark corner."""
    sheets = []
    for number in range(count):
        sheet = np.full((9, 11), 10 * (number + 1), np.uint8)
        sheet[0, 0] = 0
        sheets.append(Image.fromarray(sheet))
    many = {"save_all": True, "append_images": sheets[1:], "compression": "tiff_adobe_deflate"}
    return encode(sheets[0], "TIFF", **many)


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
