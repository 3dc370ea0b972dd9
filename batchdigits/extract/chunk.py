"""What a worker returns for a chunk of files: records, pictures of digits and strips of numbers."""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits.normalize.strips import HEIGHT
from batchdigits.records import FileSnapshot, GreyImage, RegisteredPage, Status
from batchdigits.templates.template import Field


class DigitSpot(NamedTuple):
    """One place for a digit: a box of a field, or an image of one digit.

    Attributes:
        status: None if there is a picture, the next in order; else blank or review.
        detail: why there is no picture.
        place: x, y, width, height in the page as scanned, px.
    """

    status: Status | None
    detail: str
    place: tuple[int, int, int, int]


class StripPlacement(NamedTuple):
    """The placement of a number's strip in its page.

    Attributes:
        origin: x, y of the strip's top left corner in the page as scanned, px.
        scale: pixels of the page per pixel of the strip, across and down.
        slant: as in `normalize.strips.Strip`.
    """

    origin: tuple[float, float]
    scale: tuple[float, float]
    slant: float


class ExtractedItem(NamedTuple):
    """The extraction of an image of one digit or number, or of one field of a page.

    Attributes:
        source: index of its file within the chunk.
        page: counted from 1.
        status: None if there are spots or a number to judge; else the status of the row.
        detail: why; with status None, why the value is for review whatever is read. Empty for none.
        field: the template's field; None for an image of one digit, and for a whole page.
        spots: its boxes, from left to right.
        number: the placement of a number's strip, the next strip in order; None for no strip.
        described: whether a template describes it, or it is a whole image; else layout found it.
    """

    source: int
    page: int
    status: Status | None
    detail: str
    field: Field | None = None
    spots: tuple[DigitSpot, ...] = ()
    number: StripPlacement | None = None
    described: bool = True


class DebugPage(NamedTuple):
    """A page for `--debug-pages`.

    Attributes:
        source: index of its file within the chunk.
        page: counted from 1.
        picture: PNG, scaled down if it is large.
        boxes: float32, (N, 4, 2): corners of the page's boxes, px of that picture.
        names: the name of each box's row; empty for a box without a row.
    """

    source: int
    page: int
    picture: bytes
    boxes: NDArray[np.float32]
    names: tuple[str, ...]


class ExtractedChunk(NamedTuple):
    """What a worker returns for a chunk.

    Attributes:
        items: in the order of the pages.
        pictures: uint8, shape (M, 28, 28, 1), 0 to 255: as exact as `normalize`'s float32, in a
            quarter of the bytes.
        strips: of the numbers, in order, compressed to a tenth; see `decode_strip`.
        laid: the registered pages, with the index of their file.
        stood: for each task the size and time of its file, with the last also its digest; None if
            the file changed, or the task wants no snapshot.
        shown: the pages for `--debug-pages`.
    """

    items: list[ExtractedItem]
    pictures: NDArray[np.uint8]
    strips: Sequence[bytes] = ()
    laid: Sequence[tuple[int, RegisteredPage]] = ()
    stood: Sequence[FileSnapshot | None] = ()
    shown: Sequence[DebugPage] = ()


def decode_strip(strip: bytes) -> GreyImage:
    """Decompress a strip of `ExtractedChunk.strips`; uint8, shape (height, width)."""
    return np.frombuffer(zlib.decompress(strip), np.uint8).reshape(HEIGHT, -1)


def make_empty_pictures() -> NDArray[np.uint8]:
    """Return no pictures: uint8, shape (0, 28, 28, 1)."""
    return np.zeros((0, 28, 28, 1), np.uint8)
