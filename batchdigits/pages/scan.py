"""The pictures on a page of a PDF: their place, their resolution, and whether they are complete.

Lengths are PDF points (1/72 inch) or, where named so, pixels. A placement is a 3 x 3 matrix that
maps the unit square, a picture's bottom left corner at (0, 0), to the page before its /Rotate.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pypdfium2  # type: ignore[import-untyped]
from numpy.typing import NDArray
from pypdfium2 import raw

from batchdigits.pages.jpeg import check_jpeg2000, decode_jpeg
from batchdigits.pages.picture import open_image
from batchdigits.pages.png import check_packed_data
from batchdigits.pages.tiff import decode_tiff, wrap_fax_as_tiff
from batchdigits.pages.trouble import UnreadableFileError

MIN_SCAN_COVERAGE = 0.3
"""Least share of a scanned page that its pictures cover."""
MAX_SQUARE_RATIO = 1.05
"""Largest ratio of the resolutions along both axes that is kept: paper sizes are rounded."""
MIN_PIXELS_PER_POINT, MIN_SIDE_PIXELS = 50 / 72, 500
"""Least pixels a point, or else of the page's longer side, of a scan. Pictures with fewer are a
background for what is drawn."""
INSET_PIXELS = 0.01
"""Pixels by which a snapped picture stays inside its pixels: pdfium rounds its edges outwards."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PdfPicture:
    """A picture on a page.

    Attributes:
        image: pdfium's object.
        outer: placement of the form object that holds it, float64 (3, 3); the identity if none.
        place: placement of the picture on the page, float64 (3, 3).
        columns: pixels in a stored row.
        rows: number of stored rows.
    """

    image: pypdfium2.PdfImage
    outer: Matrix
    place: Matrix
    columns: int
    rows: int

    @property
    def area(self) -> float:
        """The area on the page, square points."""
        return float(abs(np.linalg.det(self.place[:2, :2])))

    @property
    def is_turned(self) -> bool:
        """Whether the stored rows run along the page's vertical axis, not the horizontal."""
        return bool(abs(self.place[1, 0]) > abs(self.place[0, 0]))

    @property
    def pixels(self) -> tuple[int, int]:
        """Pixels along the page's horizontal and vertical axis."""
        return (self.rows, self.columns) if self.is_turned else (self.columns, self.rows)

    @property
    def resolution(self) -> tuple[float, float]:
        """Pixels a point along the page's horizontal and vertical axis; both the finer if askew."""
        along, up = np.hypot(*self.place[:2, 0]), np.hypot(*self.place[:2, 1])
        if not (along and up):
            return 0.0, 0.0
        across, down = float(self.columns / along), float(self.rows / up)
        if not self.is_straight:
            return max(across, down), max(across, down)
        return (down, across) if self.is_turned else (across, down)

    @property
    def is_straight(self) -> bool:
        """Whether it is less than half a pixel off a quarter turn over its whole side."""
        (a, c), (b, d) = np.abs(self.place[:2, :2])
        if self.is_turned:
            return bool(a * self.rows < 0.5 * c and d * self.columns < 0.5 * b)
        return bool(b * self.rows < 0.5 * d and c * self.columns < 0.5 * a)


def list_pictures(page: pypdfium2.PdfPage) -> list[PdfPicture]:
    """List the pictures on a page, also those within form objects."""
    pictures = []
    for image in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE]):
        outer, holder = np.eye(3), image.container
        while holder is not None:
            outer, holder = _get_matrix(holder) @ outer, holder.container
        pictures.append(PdfPicture(image, outer, outer @ _get_matrix(image), *image.get_px_size()))
    return pictures


def _get_matrix(thing: pypdfium2.PdfObject) -> Matrix:
    a, b, c, d, e, f = thing.get_matrix().get()
    return np.array([[a, c, e], [b, d, f], [0, 0, 1]], np.float64)


def pick_scan_pictures(
    pictures: Sequence[PdfPicture], size: tuple[float, float]
) -> list[PdfPicture]:
    """Return the pictures that make up a scanned page; none if the page is drawn.

    A scan may be one picture, several strips, or letters in fine pixels over a coarse background.
    It is made up of the finest pictures that together cover enough of the page, so a small logo
    that is finer than the scan does not matter.

    Args:
        pictures: the pictures on the page.
        size: of the page, across and down before its /Rotate, points.

    Returns:
        The pictures, the finest first.
    """
    area_left, picked = MIN_SCAN_COVERAGE * size[0] * size[1], []
    for picture in sorted(pictures, key=lambda one: max(one.resolution), reverse=True):
        picked.append(picture)
        area_left -= picture.area
        if area_left <= 0:
            min_resolution = min(MIN_PIXELS_PER_POINT, MIN_SIDE_PIXELS / max(size))
            return picked if max(picture.resolution) >= min_resolution else []
    return []


def compute_scan_resolution(scan: Sequence[PdfPicture]) -> tuple[float, float]:
    """Return a scan's pixels a point, across and down the page before its /Rotate.

    If one axis is finer, as in a fax, both get its resolution, so that pixels are square and none
    is lost.

    Args:
        scan: as `pick_scan_pictures` returns it, not empty; the last and coarsest decides.
    """
    across, down = scan[-1].resolution
    if max(across, down) > MAX_SQUARE_RATIO * min(across, down):
        return max(across, down), max(across, down)
    return across, down


def snap_pictures_to_pixels(
    pictures: Sequence[PdfPicture], box: tuple[float, float, float, float], size: tuple[int, int]
) -> None:
    """Move and scale pictures by less than a pixel, so that their pixels are the page's.

    PDF writers round numbers. A scan a millionth of a point beside the page's edge would be drawn
    one pixel larger, and all its edges would be blurred.

    Args:
        pictures: the pictures; those that are askew or of another resolution are left alone.
        box: the page's left, bottom, right and top, points.
        size: the page's width and height before its /Rotate, pixels.
    """
    origin = np.array(box[:2])
    scale = np.array(size) / (np.array(box[2:]) - origin)  # pixels a point
    for picture in pictures:
        if not picture.is_straight:
            continue
        corners = picture.place[:2] @ np.array([[0, 1], [0, 1], [1, 1]])
        low = (corners.min(1) - origin) * scale
        long = (corners.max(1) - origin) * scale - low
        pixels = np.array(picture.pixels)
        if (np.abs(long - pixels) >= 1).any():
            continue
        grow = (pixels - 2 * INSET_PIXELS) / long
        move = np.eye(3)  # in points: to the origin, scaled, to its whole pixel
        move[[0, 1], [0, 1]] = grow
        move[:2, 2] = (
            origin + (np.round(low) + INSET_PIXELS) / scale - grow * (origin + low / scale)
        )
        local = np.linalg.solve(picture.outer, move @ picture.place)
        picture.image.set_matrix(pypdfium2.PdfMatrix(*local[:2].T.ravel().tolist()))


def check_picture_data(picture: PdfPicture) -> None:
    """Check that a picture's data are complete: pdfium fills up missing data in silence.

    Raises:
        UnreadableFileError: they are truncated or damaged. JBIG2 is not checked.
    """
    image, filters = picture.image, picture.image.get_filters()
    bits = image.get_metadata().bits_per_pixel
    if not bits:
        raise UnreadableFileError(
            "damaged PDF: a picture on the page cannot be decoded; scan it again"
        )
    last = filters[-1] if filters else ""
    size = picture.rows * -(-picture.columns * bits // 8)
    if filters == ["FlateDecode"]:
        check_packed_data([memoryview(image.get_data()).cast("B")], size, "PDF")
    elif not filters or last in pypdfium2.PdfImage.SIMPLE_FILTERS:
        if raw.FPDFImageObj_GetImageDataDecoded(image, None, 0) < size:
            raise UnreadableFileError(
                "truncated PDF: a picture's data end too early; scan it again"
            )
    elif last == "DCTDecode":
        data = bytes(image.get_data(decode_simple=True))
        decode_jpeg(open_image(io.BytesIO(data), "JPEG"), data)
    elif last == "JPXDecode":
        check_jpeg2000(bytes(image.get_data(decode_simple=True)))
    elif last == "CCITTFaxDecode":
        _check_fax(bytes(image.get_data(decode_simple=True)), picture)


def _check_fax(data: bytes, picture: PdfPicture) -> None:
    """Check that a fax's decoder has not invented lines after the end of the data.

    ITU-T T.4 and T.6 end a picture with two or more end-of-line codes in a row, but PDF lets a
    writer leave them out. Then the lines must not depend on bytes appended to the data. pdfium
    does not tell the coding: it is the coding that gives the picture that pdfium decodes.

    Raises:
        UnreadableFileError: the data are truncated.
    """
    tail = int.from_bytes(data.rstrip(b"\0\r\n")[-16:] + b"\0\0")
    if re.search("0{11}1(1?)0{11}1", f"{tail:0144b}"):
        return
    is_light = picture.image.get_bitmap().to_numpy() > 127
    if is_light[-1].any() and not is_light[-1].all():
        return
    lines = [np.packbits(one, axis=1) for one in (is_light, ~is_light)]
    size = picture.columns, picture.rows
    for coding in ((4, 0), (3, 0), (3, 1), (2, 0)):
        once, again = (
            _decode_fax(wrap_fax_as_tiff(data + more, size, coding))
            for more in (b"", bytes(range(1, 65)))
        )
        if once is not None and once == again and _is_any_picture(once, lines):
            return
    raise UnreadableFileError("truncated PDF: a fax in it breaks off; copy or scan it again")


def _is_any_picture(data: bytes, lines: Sequence[NDArray[np.uint8]]) -> bool:
    """Return whether 1-bit data, rows padded to bytes, are those of one of the pictures."""
    return any(data == one.tobytes() for one in lines)


def _decode_fax(fax: io.BytesIO) -> bytes | None:
    """Return a fax's decoded bytes; None if its decoder complains."""
    try:
        image = open_image(fax, "TIFF")
        decode_tiff(image)
    except (UnreadableFileError, OSError):
        return None
    return image.tobytes()
