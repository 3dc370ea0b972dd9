"""What runs in the workers: files are decoded, pages laid straight, digits normalised."""

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits import cells, layout, pages, register, workers
from batchdigits.extract import boxes
from batchdigits.extract.desk import Desk, Prepared
from batchdigits.extract.tasks import Task
from batchdigits.options import As, Invert
from batchdigits.pages.arrays import check_image
from batchdigits.records import Entry, Failure, Grey, Kind, Laid, Page
from batchdigits.register import Forms
from batchdigits.sources import inspection
from batchdigits.templates.template import Box, corners

DIGIT_SIDE, DIGIT_ASPECT, NUMBER_HEIGHT = 256, 1.6, 600
"""What `--as auto` goes by; see `kind_of`."""
UNSEEN = "most of its printed lines are not there: torn off, covered, or another form's"
DARK = 110
"""Median grey level under which a page may have light ink on dark paper."""


def kind_of(as_: As, height: int, width: int, *, pdf: bool = False) -> tuple[Kind, str]:
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
    if max(height, width) <= DIGIT_SIDE and width <= DIGIT_ASPECT * height:
        return "digit", f"{size}: up to {DIGIT_SIDE} px, no wider than {DIGIT_ASPECT} x its height"
    if width > DIGIT_ASPECT * height and height < NUMBER_HEIGHT:
        return "number", f"{size}: wider than {DIGIT_ASPECT} x its height, under 600 px high"
    return "form", f"{size}: over {DIGIT_SIDE} px"


def prepare(  # noqa: PLR0913 - each is said by its name
    chunk: list[Task],
    *,
    as_: As,
    invert: Invert,
    max_pixels: int,
    forms: Forms = Forms(),  # noqa: B008  (a tuple of constants)
    shows: bool = False,
) -> Prepared:
    """Decode and normalise a chunk of files; this is what runs in the workers."""
    desk = Desk("yes" if forms.templates else invert, shows=shows)
    for index, task in enumerate(chunk):
        source = task.source
        if source.fault:
            desk.say(index, 1, "error", source.fault)
            continue
        for page in _pages(task, max_pixels):
            if forms.templates:
                _lay(desk, (index, source.file), page, forms, invert)
            else:
                _take(desk, index, page, as_, invert)
            workers.alive()
    return desk.done()._replace(stood=[_stood(task) for task in chunk])


def _pages(task: Task, max_pixels: int) -> Iterable[Page | Failure]:
    if task.image is not None:
        return [check_image(task.image, max_pixels)]
    return pages.read(task.source.path, max_pixels=max_pixels, only=task.page)


def _stood(task: Task) -> Entry | None:
    """Tell how a file stood, and what was in it; None where that changed since it was listed."""
    if task.entry is None or task.source.fault:
        return task.entry
    now = inspection.hash_source(task.source) if task.last else inspection.stat_source(task.source)
    return now if inspection.is_unchanged(now, task.entry) else None


def _take(desk: Desk, index: int, page: Page | Failure, as_: As, invert: Invert) -> None:
    """Lay one page on the desk, as what it is."""
    if isinstance(page, Failure):
        desk.say(index, page.page, "error", page.detail)
        return
    kind, _ = kind_of(as_, *page.grey.shape, pdf=page.format == "PDF")
    if kind == "digit":
        desk.digit(index, page.number, page.grey)
    elif kind == "number":
        _number(desk, index, page)
    else:
        grey = 255 - page.grey if invert == "no" else page.grey
        ways = [grey, 255 - grey] if invert == "auto" and _dark(grey) else [grey]
        desk.inked("yes")
        found = boxes.lay(desk, index, page.number, ways)
        desk.undescribed(index, page.number)
        desk.inked(invert)
        if desk.shows:
            ends = [(_named(one, n), box) for one in found for n, box in enumerate(one.boxes)]
            desk.show(index, page.number, page.grey, ends)


def _named(group: layout.Found, number: int) -> str:
    """Name a box of a group as its row is named; one that has no row by nothing."""
    if group.kind == "table":
        return "" if group.printed[number] else group.names[number]
    return group.names[0]


def _number(desk: Desk, index: int, page: Page) -> None:
    """Lay an image of one number on the desk: box by box, or as it is written."""
    light = desk.invert == "no" or (desk.invert == "auto" and np.median(page.grey) < DARK)
    grey = 255 - page.grey if light else page.grey
    boxed = cells.boxed(grey)
    if any(box.through or box.shared for box in boxed):  # lines of its own may have been missed
        again = boxes.strip(grey)
        boxed = again if len(again) == len(boxed) else boxed
    if boxed:
        desk.field(index, page.number, None, boxed, "")
    else:
        height, width = page.grey.shape
        desk.number(index, page.number, None, page.grey, (0, 0, width, height), "")


def _lay(
    desk: Desk, source: tuple[int, str], page: Page | Failure, forms: Forms, invert: Invert
) -> None:
    """Lay a page of a form on the desk, field by field; `source` is its index and its name."""
    index, file = source
    if isinstance(page, Failure):
        _lost(desk, index, page, forms)
        return
    grey = 255 - page.grey if invert == "no" else page.grey
    found = register.match(grey, forms.templates, forms.references)
    if isinstance(found, register.Lost) and invert == "auto" and _dark(grey):
        other = register.match(255 - grey, forms.templates, forms.references)
        if not isinstance(other, register.Lost):
            grey, found = 255 - grey, other
    if isinstance(found, register.Lost):
        _lost(desk, index, Failure(page.number, found.why), forms)
        return
    template, pose = found
    desk.straight(
        index, Laid(file, page.number, template.form.name, round(pose.residual, 3), pose.how)
    )
    every = [box for field in template.fields for box in field.boxes()]
    if desk.shows:
        named = [(field.name, box) for field in template.fields for box in field.boxes()]
        ends = [(name, _projected(box, pose.matrix)) for name, box in named]
        desk.show(index, page.number, grey, ends)
    for field in template.fields:
        if field.name in pose.unseen:
            desk.say(index, page.number, "error", UNSEEN, field)
            continue
        cut = cells.cut(grey, pose.matrix, field.boxes(), every)
        why = cells.coarse(cut)
        if field.cells is None and not cut[0].blank:
            place = cut[0].shown
            desk.number(index, page.number, field, cut[0].crop, place, why)
        else:
            desk.field(index, page.number, field, cut, why)


def _projected(box: Box, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(cv2.perspectiveTransform(corners(box)[None], matrix)[0], np.float64)


def _dark(grey: Grey) -> bool:
    """Tell whether a page may be in negative; it may as well be a photograph on a dark desk."""
    return bool(np.median(grey[::8, ::8]) < DARK)


def _lost(desk: Desk, index: int, lost: Failure, forms: Forms) -> None:
    """Say why a page cannot be read: of each field where it is known which form it should be."""
    form = None if lost.whole else forms.only
    for field in form.fields if form else [None]:
        desk.say(index, lost.page, "error", lost.detail, field)


class Planned(NamedTuple):
    """A line of `--dry-run`: a file, what it would be read as, its pages, and why."""

    file: str
    read_as: str
    pages: int
    why: str


def look(chunk: list[Task], *, as_: As, max_pixels: int, template: bool = False) -> list[Planned]:
    """Tell of a chunk of files, from their headers, what each would be read as."""
    out = []
    for source, *_ in chunk:
        seen = source.fault or pages.look(source.path, max_pixels=max_pixels)
        if isinstance(seen, str):
            out.append(Planned(source.file, "error", 1, seen))
        elif isinstance(seen, Failure):
            out.append(Planned(source.file, "error", 1, seen.detail))
        elif template:
            why = f"{seen.format}, {seen.width} x {seen.height} px; --template"
            out.append(Planned(source.file, "form", seen.pages, why))
        else:
            kind, why = kind_of(as_, seen.height, seen.width, pdf=seen.format == "PDF")
            out.append(Planned(source.file, kind, seen.pages, f"{seen.format}, {why}"))
    return out
