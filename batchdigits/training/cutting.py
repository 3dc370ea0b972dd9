"""Values with their digits → pictures of these, cut out of the scans again."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits.corrections import Box
from batchdigits.options import RunOptions
from batchdigits.review import ReviewItem
from batchdigits.views import (
    FieldRequest,
    FileRequest,
    FileViews,
    cut_file_views,
    find_picture,
    index_pictures,
)


class Wanted(NamedTuple):
    """A value of which the digits are to be cut out.

    Attributes:
        item: the value.
        spots: where its digits are in the page as scanned, px.
        labels: of these.
    """

    item: ReviewItem
    spots: Sequence[Box]
    labels: Sequence[int]


WantedByFile = Mapping[tuple[str, str], Sequence[Wanted]]
"""Values by their file and its content."""


@dataclass
class CutDigits:
    """What was cut out of scans.

    Attributes:
        pictures: of the digits of each value.
        labels: of each digit.
        pages: of each digit.
        doubtful: of each digit, whether its value was for review.
        lost: by the fault, the files whose values have no pictures.
    """

    pictures: list[NDArray[np.uint8]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    pages: list[int] = field(default_factory=list)
    doubtful: list[bool] = field(default_factory=list)
    lost: dict[str, list[str]] = field(default_factory=lambda: defaultdict[str, list[str]](list))

    def add(self, value: Wanted, digits: NDArray[np.uint8], page: int) -> None:
        """Add a value with the pictures of its digits."""
        self.pictures.append(digits)
        self.labels += value.labels
        self.pages += [page] * len(digits)
        self.doubtful += [value.item.row.status == "review"] * len(digits)


def cut_digits(wanted: WantedByFile, folders: Sequence[str]) -> CutDigits:
    """Cut the digits of values out of their scans.

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
    out = CutDigits()
    known = dict[tuple[str, str, int], int]()
    for ((file, content), values), view in zip(wanted.items(), views, strict=True):
        for value, digits in zip(values, _list_digits(view), strict=True):
            if len(digits) != len(value.labels):
                out.lost[view.fault].append(file)
                continue
            page = known.setdefault((file, content, value.item.row.page), len(known))
            out.add(value, digits, page)
    return out


def _request_views(wanted: WantedByFile, moved: Mapping[str, list[str]]) -> Iterator[FileRequest]:
    for (file, content), values in wanted.items():
        fields = [
            FieldRequest(
                *(one.item.row.page, one.item.place.box, one.spots, one.item.quarters), boxed=True
            )
            for one in values
        ]
        yield FileRequest(find_picture(file, content, moved), content, fields)


def _list_digits(view: FileViews) -> list[NDArray[np.uint8]]:
    none = np.zeros((0, 28, 28), np.uint8)
    return [none if one is None else one.digits for one in view.fields]
