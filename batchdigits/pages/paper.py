"""The size of a page's paper, as its file gives it."""

from contextlib import closing
from pathlib import Path

import pypdfium2  # type: ignore[import-untyped]
from PIL import Image

from batchdigits.formats import FORMAT_BYTES, identify_format
from batchdigits.pages.picture import get_exif_orientation

MIN_DPI, MAX_DPI = 90.0, 2400.0
"""Range of resolutions, dots an inch, that are a scanner's; other programs write 72, or 1."""
MM_PER_INCH = 25.4
"""Millimetres in an inch."""


def find_paper_size(path: str, number: int) -> tuple[float, float] | None:
    """Return the size of a page's paper: (width, height), mm, upright; None if it is unknown.

    Args:
        path: of a file that `load_pages` reads.
        number: of the page, counted from 1.
    """
    try:
        with Path(path).open("rb") as file:
            format_ = identify_format(file.read(FORMAT_BYTES))
        if format_ is None or format_.name != "PDF":
            return _compute_scan_size(path, number)
        with closing(pypdfium2.PdfDocument(path)) as document:
            width, height = document[number - 1].get_size()
        return width * MM_PER_INCH / 72, height * MM_PER_INCH / 72
    except MemoryError:
        raise
    except Exception:  # `load_pages` reports what is wrong with the file
        return None


def _compute_scan_size(path: str, number: int) -> tuple[float, float] | None:
    """Compute a scan's size from its dots an inch; None if these are not a scanner's."""
    with Image.open(path) as image:
        image.seek(number - 1)
        across, down = (float(dots) for dots in image.info["dpi"])
        if not (MIN_DPI <= across <= MAX_DPI and MIN_DPI <= down <= MAX_DPI):
            return None
        wide, high = image.size
        turned = get_exif_orientation(image) >= 5
        if turned and image.format == "TIFF":  # Pillow turns a TIFF's size, but not its dots
            across, down = down, across
        size = (wide * MM_PER_INCH / across, high * MM_PER_INCH / down)
        return size[::-1] if turned and image.format != "TIFF" else size
