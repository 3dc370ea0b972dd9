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
    """One place where a digit may stand: a box of a field, or an image of one digit.

    Attributes:
        status: None where there is a picture, the next in order; else blank, or review.
        detail: why there is none.
        place: x, y, width, height in the page as scanned, px.
    """

    status: Status | None
    detail: str
    place: tuple[int, int, int, int]


class StripPlacement(NamedTuple):
    """Where the strip of a number lies in its page.

    Attributes:
        origin: x, y of the strip's top left corner in the page as scanned, px.
        scale: pixels of the page that one of the strip covers, across and down.
        slant: as in `normalize.strips.Strip`.
    """

    origin: tuple[float, float]
    scale: tuple[float, float]
    slant: float


class ExtractedItem(NamedTuple):
    """What became of an image of one digit or number, or of one field of a page.

    Attributes:
        source: index of its file within the chunk.
        page: counted from 1.
        status: None where there are spots, or a number, to judge; else what the row says.
        detail: why; with status None, why whatever is read is for review.
        field: the template's field; None for an image of one digit, and for a whole page.
        spots: its boxes, from left to right.
        number: of a number of several digits, of which there is a strip, the next in order.
        described: whether a template says what it is, or an image is it; else it was found.
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
        picture: PNG, made smaller where it is large.
        boxes: (N, 4, 2): corners of its boxes, px of that picture.
        names: of each box's row; empty for a box that has none.
    """

    source: int
    page: int
    picture: bytes
    boxes: NDArray[np.float32]
    names: tuple[str, ...]


class ExtractedChunk(NamedTuple):
    """What a worker returns for a chunk.

    Attributes:
        items: what became of each page, in order.
        pictures: uint8, shape (M, 28, 28, 1), 0 to 255: a quarter of the bytes that `normalize`'s
            own float32 would take on the way, and no less exact.
        strips: of the numbers, in order; each as `decode_strip` takes it: a tenth of the bytes.
        laid: the pages of forms that were laid straight, with the index of their file.
        stood: of each task that asked for it, how its file stood; None where it changed.
        shown: the pages that people want to see.
    """

    items: list[ExtractedItem]
    pictures: NDArray[np.uint8]
    strips: Sequence[bytes] = ()
    laid: Sequence[tuple[int, RegisteredPage]] = ()
    stood: Sequence[FileSnapshot | None] = ()
    shown: Sequence[DebugPage] = ()


def decode_strip(strip: bytes) -> GreyImage:
    """Give the strip of a number that a worker has sent: uint8, shape (height, width)."""
    return np.frombuffer(zlib.decompress(strip), np.uint8).reshape(HEIGHT, -1)


def make_empty_pictures() -> NDArray[np.uint8]:
    """Give pictures of nothing: shape (0, 28, 28, 1)."""
    return np.zeros((0, 28, 28, 1), np.uint8)
