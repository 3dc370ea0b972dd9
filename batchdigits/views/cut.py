"""What a worker does: a file and its fields → small pictures."""

import cmath
import math
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits import cells, layout, pages, workers
from batchdigits.corrections import Box
from batchdigits.normalize import grey_levels
from batchdigits.objects import ObjectError
from batchdigits.records import GreyImage, Page, Source
from batchdigits.sources import inspection
from batchdigits.views.places import fetch_small_objects, load_members_of, open_place

GONE_DETAIL = "its file is not where it was"
OTHER_CONTENT_DETAIL = "its file is another now"
STRIP_HEIGHT_PX = 160
"""Largest height of a field in its strip, px."""
MAX_STRIP_WIDTH_PX = 1000
MARGIN_SHARE, MIN_MARGIN_PX = 0.7, 6
"""How much of its surroundings a field is shown in, as a share of its height, on each side."""
MAX_LEAN = 0.3
"""Angle of a row of boxes from which it is none of these, radians."""
TILE_PX = 48
"""Longest side of the picture of one digit, px."""
PAGE_PX = 900
"""Longest side of a page's picture, px."""
PICTURE_QUALITY, PAGE_QUALITY = 70, 40
"""Of WebP, 1 to 100."""
WHOLE_PAGE: Box = (0, 0, 1 << 30, 1 << 30)
"""A box that no page is larger than: what is cut out of a page ends at its edges."""


class FieldRequest(NamedTuple):
    """A field whose picture is wanted.

    Attributes:
        page: counted from 1.
        box: where it is in the page as scanned, px; None for the whole page.
        spots: where its digits are, px.
        quarters: by how many quarter turns, anticlockwise, its writing is turned: 0 to 3.
        boxed: whether lines round its digits are erased in `FieldView.digits`, as a run does it.
        number: where its number is, px, if that is wanted as scanned.
    """

    page: int
    box: Box | None
    spots: Sequence[Box] = ()
    quarters: int = 0
    boxed: bool = False
    number: Box | None = None


class FileRequest(NamedTuple):
    """A file of whose fields pictures are wanted.

    Attributes:
        path: where it is, or the archive that it is in, which may be a URL; empty if it is gone.
        content: digest of its bytes, in hexadecimal; empty if it is not known.
        fields: the fields.
        pages: the pages of which a small picture is wanted too.
        member: its name as the table spells it, if it is in an archive; else empty.
    """

    path: str
    content: str
    fields: Sequence[FieldRequest]
    pages: Sequence[int] = ()
    member: str = ""


class FieldView(NamedTuple):
    """The pictures of a field.

    Attributes:
        strip: the field in its surroundings, WebP.
        frame: where the field is in it: x, y, width, height as shares of its sides.
        tiles: its digits, WebP; empty where they would be the strip once more.
        digits: its digits as the model sees them, uint8, shape (N, 28, 28).
        number: its number as scanned, upright, uint8, shape (height, width); 0 x 0 if none is
            wanted.
    """

    strip: bytes
    frame: tuple[float, float, float, float]
    tiles: Sequence[bytes]
    digits: NDArray[np.uint8]
    number: GreyImage


class FileViews(NamedTuple):
    """The pictures of a file's fields.

    Attributes:
        fields: of each field that was asked for; None if it cannot be shown.
        pages: small pictures of pages, WebP, by page.
        fault: why pictures are missing, in plain words; empty if none is.
    """

    fields: Sequence[FieldView | None]
    pages: dict[int, bytes]
    fault: str


def cut_views(chunk: list[FileRequest], *, max_pixels: int) -> list[FileViews]:
    """Cut the pictures of fields out of files; workers call this."""
    members = load_members_of([(one.path, one.member) for one in chunk])
    fetched = fetch_small_objects([one.path for one in chunk if not one.member])
    out = []
    for one in chunk:
        try:
            place = members.get(one.member, "") if one.member else one.path
            with open_place(place, fetched.get(one.path)) as file:
                out.append(_cut_file(one, file, max_pixels))
        except ObjectError as fault:
            out.append(FileViews([None] * len(one.fields), {}, f"could not be fetched: {fault}"))
    return out


def _cut_file(request: FileRequest, place: str | bytes, max_pixels: int) -> FileViews:
    """Cut the pictures of fields out of a file: a path, or its bytes."""
    none: list[FieldView | None] = [None] * len(request.fields)
    if not place:
        return FileViews(none, {}, GONE_DETAIL)
    if request.content:
        content = (
            inspection.digest_bytes(place)
            if isinstance(place, bytes)
            else inspection.hash_source(Source("", place)).content
        )
        if content is None or content.hex() != request.content:
            return FileViews(none, {}, GONE_DETAIL if content is None else OTHER_CONTENT_DETAIL)
    by_page: defaultdict[int, list[int]] = defaultdict(list)
    for at, field in enumerate(request.fields):
        by_page[field.page].append(at)
    views, shown, fault = none, dict[int, bytes](), ""
    for number in sorted({*by_page, *request.pages}):
        page = next(iter(pages.load_pages(place, max_pixels=max_pixels, only=number)), None)
        workers.send_heartbeat()
        if not isinstance(page, Page):
            fault = fault or (GONE_DETAIL if page is None else page.detail)
            continue
        for at in by_page[number]:
            views[at] = cut_field(page.grey, request.fields[at])
        if number in request.pages:
            turn = next((request.fields[at].quarters for at in by_page[number]), 0)
            shown[number] = draw_page(page.grey, turn)
    return FileViews(views, shown, fault)


def cut_field(grey: GreyImage, field: FieldRequest) -> FieldView:
    """Cut a field out of its page.

    Args:
        grey: the page as scanned, uint8, shape (height, width).
        field: the field.
    """
    high, wide = grey.shape
    left, top, width, height = field.box or (0, 0, wide, high)
    whole = (left, top, width, height) == (0, 0, wide, high)
    across = width if field.quarters % 2 else height
    margin = 0 if whole else max(MIN_MARGIN_PX, round(MARGIN_SHARE * across))
    x, y = max(left - margin, 0), max(top - margin, 0)
    right, foot = min(left + width + margin, wide), min(top + height + margin, high)
    if right <= x or foot <= y:
        x, y, right, foot = 0, 0, wide, high
    strip = np.rot90(grey[y:foot, x:right], -field.quarters)
    box = _turn_box((left - x, top - y, width, height), (right - x, foot - y), field.quarters)
    frame = tuple(round(box[side] / strip.shape[1 - side % 2], 4) for side in range(4))
    tiles, digits = _cut_digits(grey, field, whole)
    number = _cut_upright(grey, field.number or (0, 0, 0, 0), field.quarters)
    return FieldView(_encode(strip, box[3]), frame, tiles, digits, number)


def _cut_upright(grey: GreyImage, box: Box, quarters: int) -> GreyImage:
    """Return what of a box is in the page, turned upright."""
    left, top, width, height = box
    crop = grey[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    return np.ascontiguousarray(np.rot90(crop, -quarters))


def _turn_box(box: Box, size: tuple[int, int], quarters: int) -> Box:
    """Return where a box is once its picture of `size` (width, height) is turned upright."""
    left, top, width, height = box
    wide, high = size
    for _ in range(quarters):  # clockwise
        left, top, width, height, wide, high = high - top - height, left, height, width, high, wide
    return left, top, width, height


def _cut_digits(
    grey: GreyImage, field: FieldRequest, whole: bool
) -> tuple[list[bytes], NDArray[np.uint8]]:
    crops = []
    for box in field.spots:
        crop = _cut_upright(grey, box, field.quarters)
        crops.append(crop if crop.size else np.full((4, 4), 255, np.uint8))
    if not crops:
        return [], np.zeros((0, 28, 28), np.uint8)
    alone = whole and len(crops) == 1
    if field.boxed and not alone:
        inside = _cut_out_of_boxes(grey, field.spots, field.quarters)
        digits = grey_levels(inside, invert="yes").pictures[..., 0]
    else:
        digits = grey_levels(crops).pictures[..., 0]
    return [] if alone else [_encode(crop, crop.shape[0], TILE_PX) for crop in crops], digits


def _cut_out_of_boxes(grey: GreyImage, spots: Sequence[Box], quarters: int) -> list[GreyImage]:
    """Return what is written in each box of a row: dark ink on white, without the boxes' lines."""
    lean = _measure_lean(spots, quarters)
    out = []
    for box in spots:
        corners = np.roll(_find_corners(box, lean), quarters, axis=0)
        matrix, (wide, high) = layout.flat(corners)
        out.append(cells.cut_boxes(grey, matrix, [(0, 0, wide, high)], alike=False)[0].crop)
    return out


def _measure_lean(spots: Sequence[Box], quarters: int) -> float:
    """Return by how much a row of boxes is turned besides quarter turns, clockwise, radians."""
    first, last = (complex(x + w / 2, y + h / 2) for x, y, w, h in (spots[0], spots[-1]))
    way = (last - first) * 1j**quarters
    lean = cmath.phase(way) if way else 0.0
    return lean if abs(lean) < MAX_LEAN else 0.0


def _find_corners(box: Box, lean: float) -> NDArray[np.float64]:
    """Return the corners, (4, 2), of a box that leans, from the upright box round it."""
    left, top, width, height = box
    cos, sin = math.cos(lean), abs(math.sin(lean))
    size = np.array([width * cos - height * sin, height * cos - width * sin]) / (cos**2 - sin**2)
    ends = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * np.maximum(size, 1) / 2
    turn = np.array([[cos, math.sin(lean)], [-math.sin(lean), cos]])
    return np.asarray(ends @ turn + (left + width / 2, top + height / 2))


def _encode(grey: GreyImage, height: int, most: int = STRIP_HEIGHT_PX) -> bytes:
    """Return a picture as WebP, reduced so that what is `height` px high has `most` at most."""
    scale = min(1.0, most / max(height, 1), MAX_STRIP_WIDTH_PX / max(grey.shape))
    return _encode_webp(_reduce(grey, scale), PICTURE_QUALITY)


def draw_page(grey: GreyImage, quarters: int = 0, longest: int = PAGE_PX) -> bytes:
    """Return a page as WebP, turned upright, with a longest side of so many px at most."""
    small = _reduce(np.rot90(grey, -quarters), min(1.0, longest / max(grey.shape)))
    return _encode_webp(small, PAGE_QUALITY if longest <= PAGE_PX else PICTURE_QUALITY)


def _reduce(grey: GreyImage, scale: float) -> GreyImage:
    if scale >= 1:
        return np.ascontiguousarray(grey)
    size = [max(1, round(side * scale)) for side in grey.shape[::-1]]
    return np.asarray(
        cv2.resize(np.ascontiguousarray(grey), size, interpolation=cv2.INTER_AREA), np.uint8
    )


def _encode_webp(grey: GreyImage, quality: int) -> bytes:
    return cv2.imencode(".webp", grey, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()
