"""What runs in a worker: files are decoded, pages registered, digits and numbers cut out."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from batchdigits import cells, layout, pages, register, workers
from batchdigits.extract import boxes
from batchdigits.extract.chunk_builder import EMPTY_PAGE_DETAIL, ChunkBuilder, ExtractedChunk
from batchdigits.extract.loading import ChunkFiles
from batchdigits.extract.plain_crops import separate_plain_crops
from batchdigits.extract.plan import choose_image_kind
from batchdigits.extract.tasks import Task
from batchdigits.options import Invert, ReadAs
from batchdigits.pages.arrays import make_page
from batchdigits.records import Failure, GreyImage, Page, RegisteredPage
from batchdigits.register import FormTemplates
from batchdigits.templates.boxes import project_box
from batchdigits.templates.field import Field
from batchdigits.templates.hints import list_hints
from batchdigits.templates.template import Template

UNSEEN_FIELD_DETAIL = (
    "most of its printed lines are not there: torn off, covered, or another form's"
)
DARK_PAGE_LEVEL = 110
"""Median grey level under which a page may have light ink on dark paper."""


def extract_chunk(  # noqa: PLR0913 - each is named
    chunk: list[Task],
    *,
    as_: ReadAs,
    invert: Invert,
    max_pixels: int,
    forms: FormTemplates = FormTemplates(),  # noqa: B008  (a tuple of constants)
    shows: bool = False,
) -> ExtractedChunk:
    """Extract the digits and numbers of a chunk of files; workers call this.

    Args:
        chunk: tasks, in order.
        as_: what images without a template are read as.
        invert: whether ink is light or dark.
        max_pixels: of a page; larger ones are not decoded.
        forms: the forms that pages may be; without any, layout finds the boxes.
        shows: whether debug pages are wanted.
    """
    builder = ChunkBuilder("yes" if forms.templates else invert, shows=shows)
    with ChunkFiles(chunk) as files:
        for index, task in enumerate(chunk):
            source = task.source
            if source.fault:
                builder.add_unreadable(index, 1, "error", source.fault)
                continue
            for page in _load_pages(task, files, max_pixels) if task.is_read else ():
                if isinstance(page, Failure):
                    _add_page_failure(builder, index, page, forms)
                elif forms.templates:
                    _extract_form_page(builder, (index, source.file), page, forms, invert)
                else:
                    _extract_page(builder, index, page, as_, invert)
                workers.send_heartbeat()
    stood = [files.take_snapshot(task) for task in chunk]
    return separate_plain_crops(builder.finish_chunk()._replace(stood=stood), chunk)


def _load_pages(task: Task, files: ChunkFiles, max_pixels: int) -> Iterator[Page | Failure]:
    if task.image is not None:
        yield make_page(task.image, max_pixels)
        return
    load = partial(
        pages.load_pages,
        max_pixels=max_pixels,
        only=task.page,
        take_content=files.choose_content_taker(task),
    )
    if path := files.find_plain_path(task):
        yield from load(path)
        return
    with files.open_file(task) as file:
        if isinstance(file, Failure):
            yield file
        else:
            yield from load(file)


def _add_page_failure(
    builder: ChunkBuilder, index: int, failure: Failure, forms: FormTemplates
) -> None:
    """Add why a page cannot be read: for each field, where the form is known."""
    form = None if failure.whole else forms.only_template
    for field in form.fields if form else [None]:
        builder.add_unreadable(index, failure.page, "error", failure.detail, field)


def _extract_form_page(
    builder: ChunkBuilder,
    source: tuple[int, str],
    page: Page,
    forms: FormTemplates,
    invert: Invert,
) -> None:
    """Extract a page of a known form, field by field; `source` is the file's index and name."""
    index, file = source
    if _add_empty_page(builder, index, page, invert):
        return
    grey, matched = _match_form(page, forms, invert)
    if isinstance(matched, register.RegistrationFailure):
        _add_page_failure(builder, index, Failure(page.number, matched.why), forms)
        return
    template, pose = matched
    builder.add_registered_page(
        index,
        RegisteredPage(file, page.number, template.form.name, round(pose.residual, 3), pose.how),
    )
    reference = forms.references.get(template.form.name)
    printed = cells.PrintedForm(reference.printed, template.form.size) if reference else None
    named_boxes = [(field.name, box) for field in template.fields for box in field.boxes()]
    form_boxes = [box for _, box in named_boxes]
    if builder.shows:
        corners = [(name, project_box(box, pose.matrix)) for name, box in named_boxes]
        builder.add_debug_page(index, page.number, grey, corners)
    for field in template.fields:
        if field.name in pose.unseen:
            builder.add_unreadable(index, page.number, "error", UNSEEN_FIELD_DETAIL, field)
            continue
        if field.cells is None:
            _add_free_field(builder, (index, page.number), field, grey, pose.matrix, printed)
            continue
        hints = [box for _, box in list_hints(field)]
        cut = cells.cut_boxes(
            grey, pose.matrix, field.boxes(), form_boxes, hints=hints, alike=False
        )
        reason = cells.describe_low_resolution(cut)
        builder.add_boxes(index, page.number, field, cut, reason)


def _add_free_field(  # noqa: PLR0913, PLR0917
    builder: ChunkBuilder,
    page: tuple[int, int],
    field: Field,
    grey: GreyImage,
    matrix: NDArray[np.float64],
    printed: cells.PrintedForm | None,
) -> None:
    """Add a field without boxes; `page` is the index of its file, and its number."""
    cut = cells.cut_free_field(grey, matrix, field.box, printed)
    reason = cells.describe_low_resolution([cut])
    if cut.blank:
        builder.add_boxes(*page, field, [cut], reason)
    else:
        builder.add_number(*page, field, cut.crop, cut.shown, reason, cut.quarters)


def _add_empty_page(builder: ChunkBuilder, index: int, page: Page, invert: Invert) -> bool:
    """Add a page with nothing on it; return whether it is one."""
    if not layout.is_empty(255 - page.grey if invert == "no" else page.grey):
        return False
    builder.add_unreadable(index, page.number, "blank", EMPTY_PAGE_DETAIL)
    if builder.shows:
        builder.add_debug_page(index, page.number, page.grey, [])
    return True


def _match_form(
    page: Page, forms: FormTemplates, invert: Invert
) -> tuple[GreyImage, tuple[Template, register.Pose] | register.RegistrationFailure]:
    """Match a page to a form; return the page with dark ink, and the match."""
    grey = 255 - page.grey if invert == "no" else page.grey
    matched = register.match_form(grey, forms.templates, forms.references)
    if (
        isinstance(matched, register.RegistrationFailure)
        and invert == "auto"
        and _is_dark_page(grey)
    ):
        other = register.match_form(255 - grey, forms.templates, forms.references)
        if not isinstance(other, register.RegistrationFailure):
            return 255 - grey, other
    return grey, matched


def _extract_page(
    builder: ChunkBuilder, index: int, page: Page, as_: ReadAs, invert: Invert
) -> None:
    """Extract a page without a template: a digit, a number, or boxes that layout finds."""
    kind, _ = choose_image_kind(as_, *page.grey.shape, pdf=page.format == "PDF")
    if kind == "digit":
        builder.add_digit(index, page.number, page.grey)
    elif kind == "number":
        _extract_number(builder, index, page)
    else:
        _extract_undescribed_form(builder, index, page, invert)


def _extract_number(builder: ChunkBuilder, index: int, page: Page) -> None:
    """Extract an image of one number: box by box where it has boxes, else as a strip."""
    light = builder.invert == "no" or (
        builder.invert == "auto" and np.median(page.grey) < DARK_PAGE_LEVEL
    )
    grey = 255 - page.grey if light else page.grey
    boxed = cells.cut_strip_boxes(grey)
    if any(box.through or box.shared for box in boxed):  # lines of its own may have been missed
        row_boxes = boxes.cut_box_row(grey)
        boxed = row_boxes if len(row_boxes) == len(boxed) else boxed
    if boxed:
        builder.add_boxes(index, page.number, None, boxed, "")
    else:
        height, width = page.grey.shape
        builder.add_number(index, page.number, None, page.grey, (0, 0, width, height), "")


def _extract_undescribed_form(
    builder: ChunkBuilder, index: int, page: Page, invert: Invert
) -> None:
    """Extract the boxes of a page that no template describes."""
    if _add_empty_page(builder, index, page, invert):
        return
    grey = 255 - page.grey if invert == "no" else page.grey
    variants = [grey, 255 - grey] if invert == "auto" and _is_dark_page(grey) else [grey]
    builder.set_invert("yes")
    groups = boxes.extract_boxes(builder, index, page.number, variants)
    builder.mark_undescribed(index, page.number)
    builder.set_invert(invert)
    if builder.shows:
        corners = [
            (_choose_row_name(group, n), box)
            for group in groups
            for n, box in enumerate(group.boxes)
        ]
        builder.add_debug_page(index, page.number, page.grey, corners)


def _choose_row_name(group: layout.Found, number: int) -> str:
    """Return the name of the row that a box becomes; empty where it becomes no row."""
    return "" if group.printed[number] else group.names[number]


def _is_dark_page(grey: GreyImage) -> bool:
    """Return whether a page may be a negative; it may also be a photograph on a dark desk."""
    return bool(np.median(grey[::8, ::8]) < DARK_PAGE_LEVEL)
