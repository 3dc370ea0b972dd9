"""What an image is read as, by its format and size; a worker plans files by their headers alone."""

from typing import NamedTuple

from batchdigits import pages
from batchdigits.extract.tasks import Task
from batchdigits.options import ReadAs
from batchdigits.records import Failure, ImageKind
from batchdigits.sources.archives import MemberError, MemberReader

MAX_DIGIT_SIDE_PX, MAX_DIGIT_ASPECT, MAX_NUMBER_HEIGHT_PX = 256, 1.6, 600
"""Limits that `--as auto` uses; see `choose_image_kind`."""


def choose_image_kind(
    as_: ReadAs, height: int, width: int, *, pdf: bool = False
) -> tuple[ImageKind, str]:
    """Choose what an image is read as, and say why.

    Args:
        as_: digit, number or form is taken as it is; auto decides by format and size.
        height: in pixels, upright.
        width: in pixels, upright.
        pdf: whether the image is a page of a PDF, which is always a form.
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


class PlannedFile(NamedTuple):
    """A line of `--dry-run`: a file, what it would be read as, its page count, and why."""

    file: str
    read_as: str
    pages: int
    why: str


def plan_chunk(
    chunk: list[Task], *, as_: ReadAs, max_pixels: int, template: bool = False
) -> list[PlannedFile]:
    """Plan what each file of a chunk would be read as, from the files' headers alone."""
    planned = []
    for task in chunk:
        source = task.source
        if not task.is_read:
            continue
        header = source.fault or _inspect_task(task, max_pixels)
        if isinstance(header, str):
            planned.append(PlannedFile(source.file, "error", 1, header))
        elif isinstance(header, Failure):
            planned.append(PlannedFile(source.file, "error", 1, header.detail))
        elif template:
            detail = f"{header.format}, {header.width} x {header.height} px; --template"
            planned.append(PlannedFile(source.file, "form", header.pages, detail))
        else:
            kind, detail = choose_image_kind(
                as_, header.height, header.width, pdf=header.format == "PDF"
            )
            planned.append(
                PlannedFile(source.file, kind, header.pages, f"{header.format}, {detail}")
            )
    return planned


def _inspect_task(task: Task, max_pixels: int) -> str | Failure | pages.ImageFileInfo:
    """Inspect a file's header; return a text if a member of an archive cannot be read."""
    if task.source.member is None:
        return pages.inspect_image_file(task.source.path, max_pixels=max_pixels)
    with MemberReader() as reader:
        try:
            data = reader.load(task.source)
        except MemberError as error:
            return str(error)
        return pages.inspect_image_file(data, max_pixels=max_pixels)
