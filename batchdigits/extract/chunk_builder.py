"""What a worker returns for a chunk, and what builds it: pictures and strips, or reasons."""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.cells import CutBox, Rect
from batchdigits.extract.marks import detect_mark
from batchdigits.extract.placement import StripPlacement, place_strip
from batchdigits.extract.plain_crops import PlainCrops
from batchdigits.extract.points import POINT, find_points
from batchdigits.extract.verdicts import judge_crops
from batchdigits.normalize import grey_levels, shows_small_marks
from batchdigits.normalize.account import has_more_ink
from batchdigits.normalize.minus import leads
from batchdigits.normalize.strips import EMPTY, HEIGHT, strip
from batchdigits.options import Invert
from batchdigits.records import FileSnapshot, GreyImage, RegisteredPage, Status
from batchdigits.templates.field import Field


class DigitSpot(NamedTuple):
    """One place for a digit: a box of a field, or an image of one digit.

    Attributes:
        status: None if there is a picture, the next in order; else blank or review.
        detail: why there is no picture.
        place: x, y, width, height in the page as scanned, px.
        mark: what its ink looks like, as of `marks.detect_mark`, or `points.POINT`; empty if like
            none of them. Whether it is a digit all the same is for the model to say.
        point: whether a full stop or a comma stands behind the digit.
    """

    status: Status | None
    detail: str
    place: tuple[int, int, int, int]
    mark: str = ""
    point: bool = False


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
        pictures: uint8, shape (M, 28, 28, 1), 0 to 255, as exact as `normalize`'s float32.
        strips: of the numbers, in order, compressed to a tenth; see `decode_strip`.
        laid: the registered pages, with the index of their file.
        stood: for each task its file's size and time, with the last also its digest; None if it
            changed, if no snapshot is wanted, and for plain crops.
        shown: the pages for `--debug-pages`.
        plain: files that are one plain digit, instead of items. Their pictures are the last.
    """

    items: list[ExtractedItem]
    pictures: NDArray[np.uint8]
    strips: Sequence[bytes] = ()
    laid: Sequence[tuple[int, RegisteredPage]] = ()
    stood: Sequence[FileSnapshot | None] = ()
    shown: Sequence[DebugPage] = ()
    plain: PlainCrops = PlainCrops()


def decode_strip(strip: bytes) -> GreyImage:
    """Decompress a strip of `ExtractedChunk.strips`; uint8, shape (height, width)."""
    return np.frombuffer(zlib.decompress(strip), np.uint8).reshape(HEIGHT, -1)


def make_empty_pictures() -> NDArray[np.uint8]:
    """Return no pictures: uint8, shape (0, 28, 28, 1)."""
    return np.zeros((0, 28, 28, 1), np.uint8)


MAX_PENDING_PIXELS = 8 << 20
"""Pixels of crops that a worker collects before it normalises them."""
MAX_DEBUG_SIDE_PX = 1800
"""Longest side of a debug page, px."""
MINUS_DETAIL = "what may be a minus stands before it: a value has no sign"
FULL_INK_LEVEL = 144
"""Level from which a strip's pixel is ink; fainter ones may bridge a gap between two strokes."""
MORE_INK_DETAIL = "more ink than one digit"
MORE_INK_ABOVE_DETAIL = "more ink than the number: something is written above or below it"
FAINT_DETAIL = "something faint is there"
EMPTY_PAGE_DETAIL = "nothing on it"


class ChunkBuilder:
    """Collects a chunk's crops, normalises them many at a time, and keeps the items in order."""

    def __init__(self, invert: Invert, *, shows: bool = False) -> None:
        """Begin a chunk; `invert` says what is ink, `shows` whether debug pages are wanted."""
        self.invert: Invert = invert
        self.shows = shows
        self._shown: list[DebugPage] = []
        self._items: list[ExtractedItem] = []
        self._laid: list[tuple[int, RegisteredPage]] = []
        self._crops: list[GreyImage] = []
        self._waiting: list[tuple[int, int]] = []  # item and spot of each crop
        self._pixels = 0
        self._pictures: list[NDArray[np.uint8]] = [make_empty_pictures()]
        self._strips: list[bytes] = []

    def add_unreadable(
        self, source: int, page: int, status: Status, detail: str, field: Field | None = None
    ) -> None:
        """Add a page or a field that has nothing to judge, with the reason."""
        self._items.append(ExtractedItem(source, page, status, detail, field))

    def add_digit(self, source: int, page: int, crop: GreyImage) -> None:
        """Add an image of one digit."""
        height, width = crop.shape
        spot = DigitSpot(None, "", (0, 0, width, height))
        self._items.append(ExtractedItem(source, page, None, "", None, (spot,)))
        self._queue_crop(0, crop)

    def add_boxes(
        self, source: int, page: int, field: Field | None, cells: Sequence[CutBox], why: str
    ) -> None:
        """Add a field's boxes, or those of an image that is one number; `why` as `add_number`."""
        spots = [DigitSpot(None, "", tuple(map(round, cell.place))) for cell in cells]  # type: ignore[arg-type]
        for number, cell in enumerate(cells):
            if cell.blank:
                spots[number] = spots[number]._replace(status="blank", detail="no ink")
            elif cell.doubt:
                spots[number] = spots[number]._replace(status="review", detail=cell.doubt)
        crops = [cell.crop if spots[n].status is None else None for n, cell in enumerate(cells)]
        for number, (alone, behind) in enumerate(zip(*find_points(crops), strict=True)):
            spots[number] = spots[number]._replace(mark=POINT if alone else "", point=behind)
        self._items.append(ExtractedItem(source, page, None, why, field, tuple(spots)))
        for number, (spot, cell) in enumerate(zip(spots, cells, strict=True)):
            if spot.status is None:
                self._queue_crop(number, cell.crop)

    def add_number(  # noqa: PLR0913, PLR0917
        self,
        source: int,
        page: int,
        field: Field | None,
        crop: GreyImage,
        place: Rect,
        why: str,
        quarters: int = 0,
    ) -> None:
        """Add a number of several digits that is read as a whole, from a strip.

        Args:
            source: index of its file within the chunk.
            page: counted from 1.
            field: its name and rules; None for an image that is one number.
            crop: uint8, shape (height, width), with ink as `invert` says.
            place: x, y, width, height of the crop in the page as scanned, px.
            why: the reason why the value is for review whatever is read; empty for none.
            quarters: by how many quarter turns, anticlockwise, the crop is turned in the page.
        """
        found = strip(crop, invert=self.invert)
        if found.fault:
            empty = found.fault == EMPTY
            if empty and shows_small_marks(crop, self.invert):
                empty, found = False, found._replace(fault=FAINT_DETAIL)
            spot = DigitSpot("blank" if empty else "review", found.fault, (0, 0, 0, 0))
            self._items.append(ExtractedItem(source, page, None, why, field, (spot,)))
            return
        why = why or (MORE_INK_ABOVE_DETAIL if found.more_ink else "")
        why = why or (MINUS_DETAIL if leads(found.picture >= FULL_INK_LEVEL) else "")
        lies = place_strip(found, (crop.shape[0], crop.shape[1]), place, quarters)
        self._items.append(ExtractedItem(source, page, None, why, field, (), lies))
        self._strips.append(zlib.compress(found.picture.tobytes(), 1))

    def set_invert(self, invert: Invert) -> None:
        """Change what is ink in the crops that are added from now on."""
        if invert != self.invert:
            self._normalize_crops()
            self.invert = invert

    def add_debug_page(
        self,
        source: int,
        page: int,
        grey: GreyImage,
        boxes: Sequence[tuple[str, NDArray[np.float64]]],
    ) -> None:
        """Add a debug page with its named boxes: corners, (4, 2), px of the page."""
        scale = min(1.0, MAX_DEBUG_SIDE_PX / max(grey.shape))
        size = [max(1, round(side * scale)) for side in grey.shape[::-1]]
        small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA) if scale < 1 else grey
        picture = cv2.imencode(".png", small)[1].tobytes()
        quads = np.array([box for _, box in boxes], np.float32).reshape(-1, 4, 2)
        quads = (quads + 0.5) * np.float32(scale) - 0.5
        self._shown.append(
            DebugPage(source, page, picture, quads, tuple(name for name, _ in boxes))
        )

    def add_registered_page(self, source: int, laid: RegisteredPage) -> None:
        """Add a registered page."""
        self._laid.append((source, laid))

    def mark_undescribed(self, source: int, page: int) -> None:
        """Mark the items of the last page as found by layout, not described by a template."""
        for at in range(len(self._items) - 1, -1, -1):  # the page's items are the last ones
            item = self._items[at]
            if (item.source, item.page) != (source, page):
                break
            self._items[at] = item._replace(described=False)

    def _queue_crop(self, spot: int, crop: GreyImage) -> None:
        self._waiting.append((len(self._items) - 1, spot))
        self._crops.append(crop)
        self._pixels += crop.size
        if self._pixels >= MAX_PENDING_PIXELS:
            self._normalize_crops()

    def finish_chunk(self) -> ExtractedChunk:
        """Normalise the remaining crops and return the chunk."""
        self._normalize_crops()
        pictures = np.concatenate(self._pictures)
        return ExtractedChunk(self._items, pictures, self._strips, self._laid, shown=self._shown)

    def _normalize_crops(self) -> None:
        found = grey_levels(self._crops, invert=self.invert)
        in_boxes = [_is_boxed(self._items[at]) for at, _ in self._waiting]
        verdicts = judge_crops(found, self._crops, in_boxes)
        more_ink = [has_more_ink(found.unused, boxed=boxed).tolist() for boxed in (False, True)]
        for n, (at, number) in enumerate(self._waiting):
            verdict, boxed = verdicts[n], in_boxes[n]
            if verdict or boxed or more_ink[boxed][n]:
                mark = "" if verdict or not boxed else detect_mark(found.pictures[n, ..., 0])
                self._note_verdict(at, number, verdict, mark, more_ink=more_ink[boxed][n])
        clear = np.array([verdict is None for verdict in verdicts], bool)
        self._pictures.append(found.pictures[clear])
        self._crops, self._waiting, self._pixels = [], [], 0

    def _note_verdict(
        self, at: int, number: int, verdict: tuple[Status, str] | None, mark: str, *, more_ink: bool
    ) -> None:
        """Note in item `at` what became of the crop of its spot `number`."""
        spot = (item := self._items[at]).spots[number]
        if verdict:
            spot = spot._replace(status=verdict[0], detail=verdict[1])
        elif not spot.mark:
            spot = spot._replace(mark=mark)
        item = item._replace(spots=(*item.spots[:number], spot, *item.spots[number + 1 :]))
        if not verdict and more_ink and not item.detail:
            box = f"box {number + 1}: " if len(item.spots) > 1 else ""
            item = item._replace(detail=f"{box}{MORE_INK_DETAIL}")
        self._items[at] = item


def _is_boxed(item: ExtractedItem) -> bool:
    """Return whether an item's crops are boxes, cut out of a page or a strip."""
    return item.field is not None or len(item.spots) > 1
