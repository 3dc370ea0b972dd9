"""What an image is read as, by its format and size; a worker plans files by their headers alone."""

from typing import NamedTuple

from batchdigits import pages
from batchdigits.extract.loading import ChunkFiles
from batchdigits.extract.tasks import Task
from batchdigits.options import ReadAs
from batchdigits.records import Failure, ImageKind

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
    with ChunkFiles(chunk) as files:
        headers = [
            (task.source.file, task.source.fault or files.inspect_file(task, max_pixels))
            for task in chunk
            if task.is_read
        ]
    return [_plan_file(file, header, as_, template=template) for file, header in headers]


def _plan_file(
    file: str, header: str | Failure | pages.ImageFileInfo, as_: ReadAs, *, template: bool
) -> PlannedFile:
    if isinstance(header, str):
        return PlannedFile(file, "error", 1, header)
    if isinstance(header, Failure):
        return PlannedFile(file, "error", 1, header.detail)
    if template:
        detail = f"{header.format}, {header.width} x {header.height} px; --template"
        return PlannedFile(file, "form", header.pages, detail)
    kind, detail = choose_image_kind(as_, header.height, header.width, pdf=header.format == "PDF")
    return PlannedFile(file, kind, header.pages, f"{header.format}, {detail}")
