"""Values with their digits → pictures of these, and of numbers, cut out of the scans again."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits.corrections import Box
from batchdigits.extract.placement import StripPlacement
from batchdigits.options import RunOptions
from batchdigits.records import GreyImage
from batchdigits.review import ReviewItem
from batchdigits.training.number_cutting import is_same_number
from batchdigits.training.number_data import darken_ink
from batchdigits.views import (
    FieldRequest,
    FieldView,
    FileRequest,
    cut_file_views,
    find_picture,
    index_pictures,
)

OTHER_BOXES, OTHER_INK = "its boxes are not in the picture", "its ink is not where it was read"


class WantedDigits(NamedTuple):
    """A value of which the digits are to be cut out.

    Attributes:
        item: the value.
        spots: where its digits are in the page as scanned, px.
        labels: of these.
    """

    item: ReviewItem
    spots: Sequence[Box]
    labels: Sequence[int]


class WantedNumber(NamedTuple):
    """A value written freely, of which the number is to be cut out.

    Attributes:
        item: the value, as the number reader read it.
        digits: of the number.
        box: where it is in the page as scanned, px.
        placed: where the strip lies that was read.
    """

    item: ReviewItem
    digits: str
    box: Box
    placed: StripPlacement


Wanted = WantedDigits | WantedNumber
WantedByFile = Mapping[tuple[str, str], Sequence[Wanted]]
"""Values by their file and its content."""


@dataclass
class CutDigits:
    """Digits that were cut out of scans.

    Attributes:
        pictures: of the digits of each value.
        labels: of each digit.
        pages: of each digit.
        doubtful: of each digit, whether its value was for review.
    """

    pictures: list[NDArray[np.uint8]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    pages: list[int] = field(default_factory=list)
    doubtful: list[bool] = field(default_factory=list)

    def add(self, value: WantedDigits, view: FieldView, page: int) -> str:
        """Add a value with the pictures of its digits; return why they are missing, if they are."""
        count = len(view.digits)
        if count != len(value.labels):
            return OTHER_BOXES
        self.pictures.append(view.digits)
        self.labels += value.labels
        self.pages += [page] * count
        self.doubtful += [value.item.row.status == "review"] * count
        return ""


@dataclass
class CutNumbers:
    """Numbers that were cut out of scans.

    Attributes:
        crops: dark ink on light paper.
        digits: of each number.
        pages: of each number.
        doubtful: of each number, whether it was for review.
    """

    crops: list[GreyImage] = field(default_factory=list)
    digits: list[str] = field(default_factory=list)
    pages: list[int] = field(default_factory=list)
    doubtful: list[bool] = field(default_factory=list)

    def add(self, value: WantedNumber, view: FieldView, page: int) -> str:
        """Add a number with its picture; return why that is missing, if it is."""
        if not is_same_number(view.number, value.box, value.placed):
            return OTHER_INK
        self.crops.append(darken_ink(view.number))
        self.digits.append(value.digits)
        self.pages.append(page)
        self.doubtful.append(value.item.row.status == "review")
        return ""


@dataclass
class CutValues:
    """What was cut out of scans.

    Attributes:
        digits: of values of which each digit has a place.
        numbers: values that were written freely.
        lost: by the fault, the files whose values have no pictures.
    """

    digits: CutDigits = field(default_factory=CutDigits)
    numbers: CutNumbers = field(default_factory=CutNumbers)
    lost: dict[str, list[str]] = field(default_factory=lambda: defaultdict[str, list[str]](list))

    def add(self, value: Wanted, view: FieldView, page: int) -> str:
        """Add a value of a page; return why it is left out, if it is."""
        if isinstance(value, WantedDigits):
            return self.digits.add(value, view, page)
        return self.numbers.add(value, view, page)


def cut_values(wanted: WantedByFile, folders: Sequence[str]) -> CutValues:
    """Cut values out of their scans.

    Args:
        wanted: the values of each file.
        folders: where files may have been moved to.
    """
    options = RunOptions.from_settings({})
    views = cut_file_views(
        _request_views(wanted, index_pictures(folders)),
        max_pixels=options.max_pixels,
        page_seconds=options.page_seconds,
        count=options.workers,
    )
    out = CutValues()
    known = dict[tuple[str, str, int], int]()
    for ((file, content), values), view in zip(wanted.items(), views, strict=True):
        for value, shown in zip(values, view.fields, strict=True):
            place, page = (file, content, value.item.row.page), len(known)
            if (
                fault := view.fault
                if shown is None
                else out.add(value, shown, known.get(place, page))
            ):
                out.lost[fault].append(file)
            else:
                known.setdefault(place, page)
    return out


def _request_views(wanted: WantedByFile, moved: Mapping[str, list[str]]) -> Iterator[FileRequest]:
    for (file, content), values in wanted.items():
        fields = [_request_field(value) for value in values]
        yield FileRequest(find_picture(file, content, moved), content, fields)


def _request_field(value: Wanted) -> FieldRequest:
    item = value.item
    page, quarters = item.row.page, item.quarters
    if isinstance(value, WantedDigits):
        return FieldRequest(page, item.place.box, value.spots, quarters, boxed=True)
    return FieldRequest(page, item.place.box, (), value.placed.quarters, number=value.box)
