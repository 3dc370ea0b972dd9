"""What runs in the workers: files become pictures of digits, or words on why not."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits import pages
from batchdigits.normalize import Levels, grey_levels
from batchdigits.records import As, Failure, Grey, Invert, Kind, Page, Source, Status

SLAB_PIXELS = 4 << 20
"""Pixels of crops that a worker holds before it normalises them."""
DOT = 0.2
"""A mark under this share of its crop, in height and in width, is no digit but a dot, a comma or an
apostrophe. Of 46,000 digits of nine sources none is under 0.25."""
DIGIT_SIDE, DIGIT_ASPECT, NUMBER_HEIGHT = 256, 1.6, 600
"""What `--as auto` goes by; see `kind_of`."""


class Item(NamedTuple):
    """What became of one page in a worker: a digit's picture, or what to say instead.

    Attributes:
        source: index of its file within the chunk.
        page: counted from 1.
        status: None where there is a picture, the next in order.
        detail: why there is none.
    """

    source: int
    page: int
    status: Status | None
    detail: str


class Prepared(NamedTuple):
    """What a worker returns for a chunk.

    Attributes:
        items: what became of each page, in order.
        pictures: uint8, shape (M, 28, 28, 1), 0 to 255: a quarter of the bytes that `normalize`'s
            own float32 would take on the way, and no less exact.
    """

    items: list[Item]
    pictures: NDArray[np.uint8]


def kind_of(as_: As, height: int, width: int) -> tuple[Kind, str]:
    """Tell what an image holds, and why it is taken for that.

    Args:
        as_: digit, number or form where the user said so; auto goes by size.
        height: in pixels, upright.
        width: in pixels, upright.
    """
    size = f"{width} x {height} px"
    if as_ != "auto":
        return as_, f"{size}; --as {as_}"
    if max(height, width) <= DIGIT_SIDE and width <= DIGIT_ASPECT * height:
        return "digit", f"{size}: up to {DIGIT_SIDE} px, no wider than {DIGIT_ASPECT} x its height"
    if width > DIGIT_ASPECT * height and height < NUMBER_HEIGHT:
        return "number", f"{size}: wider than {DIGIT_ASPECT} x its height, under 600 px high"
    return "form", f"{size}: over {DIGIT_SIDE} px"


def prepare(chunk: list[Source], *, as_: As, invert: Invert, max_pixels: int) -> Prepared:
    """Decode and normalise a chunk of files; this is what runs in the workers."""
    desk = _Desk(invert)
    for index, source in enumerate(chunk):
        if source.fault:
            desk.say(index, 1, "error", source.fault)
            continue
        for page in pages.read(source.path, max_pixels=max_pixels):
            _take(desk, index, page, as_)
    return desk.done()


def prepare_crops(crops: Sequence[Grey] | NDArray[np.uint8], *, invert: Invert) -> Prepared:
    """Normalise crops that are decoded already, each as the one page of a file of its own."""
    desk = _Desk(invert)
    for index, crop in enumerate(crops):
        desk.add(index, 1, crop)
    return desk.done()


def _take(desk: "_Desk", index: int, page: Page | Failure | pages.Unread, as_: As) -> None:
    """Lay one page on the desk, as what it is."""
    if isinstance(page, Failure):
        desk.say(index, page.page, "error", page.detail)
        return
    if isinstance(page, pages.Unread):
        kind: Kind = "form"
        why = page.format
    else:
        kind, why = kind_of(as_, *page.grey.shape)
    if kind == "digit" and isinstance(page, Page):
        desk.add(index, page.number, page.grey)
    else:
        what = "a number of several digits" if kind == "number" else "a page"
        desk.say(
            index,
            page.number,
            "review",
            f"looks like {what} ({why}); this version reads single digits",
        )


class _Desk:
    """Gathers a chunk's crops, normalises them slab by slab, and keeps the items in order."""

    def __init__(self, invert: Invert) -> None:
        self._invert = invert
        self._items: list[Item] = []
        self._crops: list[Grey] = []
        self._waiting: list[int] = []  # where in _items the crops belong
        self._pixels = 0
        self._pictures: list[NDArray[np.uint8]] = [no_pictures()]

    def say(self, source: int, page: int, status: Status, detail: str) -> None:
        self._items.append(Item(source, page, status, detail))

    def add(self, source: int, page: int, crop: Grey) -> None:
        self._waiting.append(len(self._items))
        self._items.append(Item(source, page, None, ""))
        self._crops.append(crop)
        self._pixels += crop.size
        if self._pixels >= SLAB_PIXELS:
            self._normalize()

    def done(self) -> Prepared:
        self._normalize()
        return Prepared(self._items, np.concatenate(self._pictures))

    def _normalize(self) -> None:
        found = grey_levels(self._crops, invert=self._invert)
        verdicts = _verdicts(found)
        for at, verdict in zip(self._waiting, verdicts, strict=True):
            if verdict:
                self._items[at] = self._items[at]._replace(status=verdict[0], detail=verdict[1])
        clear = np.array([verdict is None for verdict in verdicts], bool)
        self._pictures.append(found.pictures[clear])
        self._crops, self._waiting, self._pixels = [], [], 0


def _verdicts(found: Levels) -> list[tuple[Status, str] | None]:
    """Say of each crop why it holds no digit that could be read; None where it may hold one."""
    out: list[tuple[Status, str] | None] = []
    for extent, unclear in zip(found.extent.max(1), found.unclear, strict=True):
        if unclear:
            out.append(("review", "not a digit: no single thing stands out clearly"))
        elif extent == 0:
            out.append(("blank", "no ink"))
        elif extent < DOT:
            out.append(("review", f"not a digit: a mark of {extent:.0%} of the image's size"))
        else:
            out.append(None)
    return out


def no_pictures() -> NDArray[np.uint8]:
    """Give pictures of nothing: shape (0, 28, 28, 1)."""
    return np.zeros((0, 28, 28, 1), np.uint8)


class Planned(NamedTuple):
    """A line of `--dry-run`: a file, what it would be read as, its pages, and why."""

    file: str
    read_as: str
    pages: int
    why: str


def look(chunk: list[Source], *, as_: As, max_pixels: int) -> list[Planned]:
    """Tell of a chunk of files, from their headers, what each would be read as."""
    out = []
    for source in chunk:
        seen = source.fault or pages.look(source.path, max_pixels=max_pixels)
        if isinstance(seen, str):
            out.append(Planned(source.file, "error", 1, seen))
        elif isinstance(seen, Failure):
            out.append(Planned(source.file, "error", 1, seen.detail))
        elif seen.format == "PDF":
            out.append(Planned(source.file, "form", seen.pages, "PDF"))
        else:
            kind, why = kind_of(as_, seen.height, seen.width)
            out.append(Planned(source.file, kind, seen.pages, f"{seen.format}, {why}"))
    return out
