"""`review`: a table and its pictures become pages on which a person settles values."""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from batchdigits.files import check_writable, wrap_os_errors, write_file
from batchdigits.paths import make_main_path
from batchdigits.review.items import ReviewItem
from batchdigits.review.page import PageContext, ShownItem, render_page
from batchdigits.review.server import ServedReview
from batchdigits.review.unlike import order_by_unlikeness
from batchdigits.review.workbook import write_workbook
from batchdigits.sources.archives import split_member
from batchdigits.summary import Progress
from batchdigits.views import (
    FieldRequest,
    FileRequest,
    cut_file_views,
    find_picture,
    index_pictures,
)

ITEMS_PER_PAGE = 5000
MAX_PAGE_PICTURES = 400
"""Pages of scans of which a page of the review embeds a small picture; the file stays small."""


@dataclass(frozen=True)
class ViewOptions:
    """How pictures are cut out of files.

    Attributes:
        pictures: folders where files may have been moved to.
        max_pixels: of a page.
        page_seconds: that a page may take.
        workers: number of processes.
    """

    pictures: Sequence[str]
    max_pixels: int
    page_seconds: float
    workers: int


def write_pages(
    out: str,
    items: Sequence[ReviewItem],
    options: ViewOptions,
    context: PageContext,
    progress: Progress = lambda _done, _files: None,
) -> list[str]:
    """Write a page, or several for many values; return their paths.

    Args:
        out: path of the first page, of which a second one is called `NAME-2.html`; or of a
            workbook.
        items: the values, in the order of the table.
        options: how pictures are cut.
        context: what each page says; its number and names are filled in. The pages have the
            access rights of its table.
        progress: called with how many of the files are done.

    Raises:
        OutputError: a page cannot be written.
        UsageError: a workbook is asked for, and cannot be made.
    """
    shown, pictures = show_items(items, options, progress)
    if out.lower().endswith(".xlsx"):
        write_workbook(out, shown, make_main_path(context.table))
        return [out]
    parts = split_items(shown)
    paths = name_pages(out, len(parts))
    names = [os.path.basename(one) for one in paths]
    for number, path in enumerate(paths, 1):
        text = render_part(parts, number, names, pictures, context)
        write_file(path, text.encode(), mode_of=make_main_path(context.table))
    return paths


def render_part(
    parts: Sequence[Sequence[ShownItem]],
    number: int,
    names: Sequence[str],
    pictures: Mapping[str, bytes],
    context: PageContext,
) -> str:
    """Return one page of several as HTML.

    Args:
        parts: the values of each page.
        number: of the page, from 1.
        names: of all pages, as their links have them.
        pictures: small pictures of scans, by the key that values name.
        context: what each page says.
    """
    part = parts[number - 1]
    used = dict.fromkeys(one.picture for one in part if one.picture in pictures)
    few = list(used)[:MAX_PAGE_PICTURES]
    own = replace(
        context,
        title=context.title + (f" ({number} of {len(parts)})" if len(parts) > 1 else ""),
        number=number,
        pages=names,
        made_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
    )
    return render_page(part, {key: pictures[key] for key in few}, own)


def prepare_served_review(
    items: Sequence[ReviewItem],
    options: ViewOptions,
    context: PageContext,
    corrections: str,
    progress: Progress = lambda _done, _files: None,
) -> ServedReview:
    """Make the pages of a review that a server gives.

    Args:
        items: the values, in the order of the table.
        options: how pictures are cut.
        context: what each page says.
        corrections: the file that answers are appended to.
        progress: called with how many of the files are done.

    Raises:
        OutputError: the file of corrections cannot be written.
    """
    with wrap_os_errors(corrections):
        check_writable(corrections)
    shown, _ = show_items(items, options, progress)
    parts = split_items(shown)
    names = [f"../{number}/" for number in range(1, len(parts) + 1)]
    moved = index_pictures(options.pictures)
    own = replace(context, served=True)
    return ServedReview(
        [render_part(parts, n, names, {}, own).encode() for n in range(1, len(parts) + 1)],
        [[one.item for one in part] for part in parts],
        corrections,
        context.table,
        lambda item: find_picture(item.place.file, item.place.content, moved),
        options.max_pixels,
    )


def name_pages(out: str, count: int) -> list[str]:
    """Return the paths of so many pages."""
    stem, ending = os.path.splitext(out)
    return [out, *(f"{stem}-{number}{ending}" for number in range(2, count + 1))]


def split_items(shown: Sequence[ShownItem]) -> list[list[ShownItem]]:
    """Split values into pages: the doubtful first, then the sure ones, the most unlike first."""
    ordered = [one for one in shown if one.item.how != "group"]
    ordered += sorted(
        (one for one in shown if one.item.how == "group"), key=lambda one: min(one.ranks, default=1)
    )
    return [
        ordered[start : start + ITEMS_PER_PAGE]
        for start in range(0, max(len(ordered), 1), ITEMS_PER_PAGE)
    ]


def show_items(
    items: Sequence[ReviewItem],
    options: ViewOptions,
    progress: Progress = lambda _done, _files: None,
) -> tuple[list[ShownItem], dict[str, bytes]]:
    """Cut the pictures of values; return the values with theirs, and small pictures of pages."""
    by_file: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for at, item in enumerate(items):
        by_file[item.place.file, item.place.content].append(at)
    moved = index_pictures(options.pictures)
    views = cut_file_views(
        _request_views(items, by_file, moved),
        max_pixels=options.max_pixels,
        page_seconds=options.page_seconds,
        count=options.workers,
    )
    shown: list[ShownItem | None] = [None] * len(items)
    pages: dict[str, bytes] = {}
    for done, ((file, content), numbers, view) in enumerate(
        zip(by_file, by_file.values(), views, strict=True), 1
    ):
        key = f"{file} {content}"
        pages.update({f"{key} {page}": picture for page, picture in view.pages.items()})
        for at, own in zip(numbers, view.fields, strict=True):
            picture = f"{key} {items[at].row.page}"
            shown[at] = ShownItem(items[at], own, view.fault, picture if picture in pages else "")
        progress(done, len(by_file))
    return _rank_items([one for one in shown if one is not None]), pages


def _request_views(
    items: Sequence[ReviewItem],
    by_file: Mapping[tuple[str, str], Sequence[int]],
    moved: Mapping[str, list[str]],
) -> Iterator[FileRequest]:
    for (file, content), numbers in by_file.items():
        some = [items[at] for at in numbers]
        yield FileRequest(
            find_picture(file, content, moved),
            content,
            [FieldRequest(one.row.page, one.place.box, one.spots, one.quarters) for one in some],
            sorted({one.row.page for one in some if one.row.field and one.how != "group"}),
            file if split_member(file)[1] else "",
        )


def _rank_items(shown: Sequence[ShownItem]) -> list[ShownItem]:
    """Add to values how unlike the others of its kind each of their digits is."""
    digits, pictures, owners = [], [], []
    for at, one in enumerate(shown):
        read = [sign for sign in one.item.row.value if sign != "."]
        if one.view is not None and len(read) == len(one.view.digits):
            digits += read
            pictures += list(one.view.digits)
            owners += [at] * len(read)
    ranks: defaultdict[int, list[float]] = defaultdict(list)
    if digits:
        order = order_by_unlikeness(digits, pictures).tolist()
        for at, rank in zip(owners, order, strict=True):
            ranks[at].append(rank)
    return [
        ShownItem(one.item, one.view, one.fault, one.picture, ranks[at])
        for at, one in enumerate(shown)
    ]


def make_title(table: str) -> str:
    """Return what the pages of a table are called."""
    return f"Review of {Path(table).name}"
