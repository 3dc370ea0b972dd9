"""What runs in the workers: files are decoded, pages laid straight, digits normalised."""

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits import cells, layout, pages, register, workers
from batchdigits.extract import boxes
from batchdigits.extract.desk import ChunkBuilder, ExtractedChunk
from batchdigits.extract.tasks import Task
from batchdigits.options import Invert, ReadAs
from batchdigits.pages.arrays import make_page
from batchdigits.records import Failure, FileSnapshot, GreyImage, ImageKind, Page, RegisteredPage
from batchdigits.register import FormTemplates
from batchdigits.sources import inspection
from batchdigits.templates.template import Box, compute_box_corners

MAX_DIGIT_SIDE_PX, MAX_DIGIT_ASPECT, MAX_NUMBER_HEIGHT_PX = 256, 1.6, 600
"""What `--as auto` goes by; see `choose_image_kind`."""
UNSEEN_FIELD_DETAIL = (
    "most of its printed lines are not there: torn off, covered, or another form's"
)
DARK_PAGE_LEVEL = 110
"""Median grey level under which a page may have light ink on dark paper."""


def choose_image_kind(
    as_: ReadAs, height: int, width: int, *, pdf: bool = False
) -> tuple[ImageKind, str]:
    """Tell what an image holds, and why it is taken for that.

    Args:
        as_: digit, number or form where the user said so; auto goes by format and size.
        height: in pixels, upright.
        width: in pixels, upright.
        pdf: whether it is a page of a PDF, which holds nothing else.
    """
    size = f"{width} x {height} px"
    if as_ != "auto":
        return as_, f"{size}; --as {as_}"
    if pdf:
        return "form", f"{size}: PDF"
    if max(height, width) <= MAX_DIGIT_SIDE_PX and width <= MAX_DIGIT_ASPECT * height:
        return (
            "digit",
            f"{size}: up to {MAX_DIGIT_SIDE_PX} px, no wider than {MAX_DIGIT_ASPECT} x its height",
        )
    if width > MAX_DIGIT_ASPECT * height and height < MAX_NUMBER_HEIGHT_PX:
        return "number", f"{size}: wider than {MAX_DIGIT_ASPECT} x its height, under 600 px high"
    return "form", f"{size}: over {MAX_DIGIT_SIDE_PX} px"


def extract_chunk(  # noqa: PLR0913 - each is said by its name
    chunk: list[Task],
    *,
    as_: ReadAs,
    invert: Invert,
    max_pixels: int,
    forms: FormTemplates = FormTemplates(),  # noqa: B008  (a tuple of constants)
    shows: bool = False,
) -> ExtractedChunk:
    """Decode and normalise a chunk of files; this is what runs in the workers."""
    desk = ChunkBuilder("yes" if forms.templates else invert, shows=shows)
    for index, task in enumerate(chunk):
        source = task.source
        if source.fault:
            desk.add_unreadable(index, 1, "error", source.fault)
            continue
        for page in _read_pages(task, max_pixels):
            if forms.templates:
                _extract_form_page(desk, (index, source.file), page, forms, invert)
            else:
                _extract_page(desk, index, page, as_, invert)
            workers.send_heartbeat()
    return desk.finish_chunk()._replace(stood=[_snapshot_if_unchanged(task) for task in chunk])


def _read_pages(task: Task, max_pixels: int) -> Iterable[Page | Failure]:
    if task.image is not None:
        return [make_page(task.image, max_pixels)]
    return pages.load_pages(task.source.path, max_pixels=max_pixels, only=task.page)


def _snapshot_if_unchanged(task: Task) -> FileSnapshot | None:
    """Tell how a file stood, and what was in it; None where that changed since it was listed."""
    if task.entry is None or task.source.fault:
        return task.entry
    now = inspection.hash_source(task.source) if task.last else inspection.stat_source(task.source)
    return now if inspection.is_unchanged(now, task.entry) else None


def _extract_page(
    desk: ChunkBuilder, index: int, page: Page | Failure, as_: ReadAs, invert: Invert
) -> None:
    """Lay one page on the desk, as what it is."""
    if isinstance(page, Failure):
        desk.add_unreadable(index, page.page, "error", page.detail)
        return
    kind, _ = choose_image_kind(as_, *page.grey.shape, pdf=page.format == "PDF")
    if kind == "digit":
        desk.add_digit(index, page.number, page.grey)
    elif kind == "number":
        _extract_number(desk, index, page)
    else:
        grey = 255 - page.grey if invert == "no" else page.grey
        ways = [grey, 255 - grey] if invert == "auto" and _is_dark_page(grey) else [grey]
        desk.set_invert("yes")
        found = boxes.extract_boxes(desk, index, page.number, ways)
        desk.mark_undescribed(index, page.number)
        desk.set_invert(invert)
        if desk.shows:
            ends = [(_name_box(one, n), box) for one in found for n, box in enumerate(one.boxes)]
            desk.add_debug_page(index, page.number, page.grey, ends)


def _name_box(group: layout.Found, number: int) -> str:
    """Name a box of a group as its row is named; one that has no row by nothing."""
    if group.kind == "table":
        return "" if group.printed[number] else group.names[number]
    return group.names[0]


def _extract_number(desk: ChunkBuilder, index: int, page: Page) -> None:
    """Lay an image of one number on the desk: box by box, or as it is written."""
    light = desk.invert == "no" or (
        desk.invert == "auto" and np.median(page.grey) < DARK_PAGE_LEVEL
    )
    grey = 255 - page.grey if light else page.grey
    boxed = cells.cut_strip_boxes(grey)
    if any(box.through or box.shared for box in boxed):  # lines of its own may have been missed
        again = boxes.cut_box_row(grey)
        boxed = again if len(again) == len(boxed) else boxed
    if boxed:
        desk.add_boxes(index, page.number, None, boxed, "")
    else:
        height, width = page.grey.shape
        desk.add_number(index, page.number, None, page.grey, (0, 0, width, height), "")


def _extract_form_page(
    desk: ChunkBuilder,
    source: tuple[int, str],
    page: Page | Failure,
    forms: FormTemplates,
    invert: Invert,
) -> None:
    """Lay a page of a form on the desk, field by field; `source` is its index and its name."""
    index, file = source
    if isinstance(page, Failure):
        _add_page_failure(desk, index, page, forms)
        return
    grey = 255 - page.grey if invert == "no" else page.grey
    found = register.match_form(grey, forms.templates, forms.references)
    if isinstance(found, register.RegistrationFailure) and invert == "auto" and _is_dark_page(grey):
        other = register.match_form(255 - grey, forms.templates, forms.references)
        if not isinstance(other, register.RegistrationFailure):
            grey, found = 255 - grey, other
    if isinstance(found, register.RegistrationFailure):
        _add_page_failure(desk, index, Failure(page.number, found.why), forms)
        return
    template, pose = found
    desk.add_registered_page(
        index,
        RegisteredPage(file, page.number, template.form.name, round(pose.residual, 3), pose.how),
    )
    every = [box for field in template.fields for box in field.boxes()]
    if desk.shows:
        named = [(field.name, box) for field in template.fields for box in field.boxes()]
        ends = [(name, _project_box(box, pose.matrix)) for name, box in named]
        desk.add_debug_page(index, page.number, grey, ends)
    for field in template.fields:
        if field.name in pose.unseen:
            desk.add_unreadable(index, page.number, "error", UNSEEN_FIELD_DETAIL, field)
            continue
        cut = cells.cut_boxes(grey, pose.matrix, field.boxes(), every)
        why = cells.describe_low_resolution(cut)
        if field.cells is None and not cut[0].blank:
            place = cut[0].shown
            desk.add_number(index, page.number, field, cut[0].crop, place, why)
        else:
            desk.add_boxes(index, page.number, field, cut, why)


def _project_box(box: Box, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(
        cv2.perspectiveTransform(compute_box_corners(box)[None], matrix)[0], np.float64
    )


def _is_dark_page(grey: GreyImage) -> bool:
    """Tell whether a page may be in negative; it may as well be a photograph on a dark desk."""
    return bool(np.median(grey[::8, ::8]) < DARK_PAGE_LEVEL)


def _add_page_failure(desk: ChunkBuilder, index: int, lost: Failure, forms: FormTemplates) -> None:
    """Say why a page cannot be read: of each field where it is known which form it should be."""
    form = None if lost.whole else forms.only_template
    for field in form.fields if form else [None]:
        desk.add_unreadable(index, lost.page, "error", lost.detail, field)


class PlannedFile(NamedTuple):
    """A line of `--dry-run`: a file, what it would be read as, its pages, and why."""

    file: str
    read_as: str
    pages: int
    why: str


def plan_chunk(
    chunk: list[Task], *, as_: ReadAs, max_pixels: int, template: bool = False
) -> list[PlannedFile]:
    """Tell of a chunk of files, from their headers, what each would be read as."""
    out = []
    for source, *_ in chunk:
        seen = source.fault or pages.inspect_image_file(source.path, max_pixels=max_pixels)
        if isinstance(seen, str):
            out.append(PlannedFile(source.file, "error", 1, seen))
        elif isinstance(seen, Failure):
            out.append(PlannedFile(source.file, "error", 1, seen.detail))
        elif template:
            why = f"{seen.format}, {seen.width} x {seen.height} px; --template"
            out.append(PlannedFile(source.file, "form", seen.pages, why))
        else:
            kind, why = choose_image_kind(as_, seen.height, seen.width, pdf=seen.format == "PDF")
            out.append(PlannedFile(source.file, kind, seen.pages, f"{seen.format}, {why}"))
    return out
