"""`form print`, `form draft` and `form check`: print, draft and check templates."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from batchdigits.cli.form_paper import PAPER_SIZES_MM, find_paper_size
from batchdigits.cli.help import PanelCommand
from batchdigits.cli.options import ConfigOption, QuietOption, make_option, make_out_option
from batchdigits.errors import TemplateError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from batchdigits.records import GreyImage
    from batchdigits.register import Pose, Reference
    from batchdigits.templates import Template
    from batchdigits.templates.draft import Draft

app = typer.Typer(
    help="Check a template, print a blank form from it, draft one from a blank form.",
)

TemplateArgument = Annotated[str, typer.Argument(metavar="TEMPLATE", help="A template (TOML).")]
PageOption = Annotated[
    int, make_option("page", "Which page of a file of several.", "N", default="1", min=1)
]


@app.command("print", cls=PanelCommand)
def print_form(
    template: TemplateArgument,
    out: Annotated[
        str, make_out_option("The PDF to write; one that is there is replaced.", "FORM.PDF")
    ],
    quiet: QuietOption = False,
    _config: ConfigOption = None,
) -> None:
    """Print a template as a blank form: a vector PDF of one page, to be printed at 100%."""
    from batchdigits import report, templates  # noqa: PLC0415
    from batchdigits.templates import paper  # noqa: PLC0415

    loaded = templates.load_template(template)
    _write_output(out, ".pdf", paper.draw_blank_form(loaded), template)
    for text, printed in paper.list_replaced_texts(loaded):
        report.print_message(f"'{text}' is printed as '{printed}'")
    if not quiet:
        wide, high = loaded.form.size
        report.print_message(
            f"{_describe_template(loaded)}, {wide:g} x {high:g} mm: print it at 100% -> {out}"
        )


@app.command(cls=PanelCommand)
def draft(  # noqa: PLR0913, PLR0917  (Typer takes one parameter for each option)
    blank: Annotated[
        str, typer.Argument(metavar="BLANK", help="A blank form: PDF, TIFF, PNG, JPEG.")
    ],
    out: Annotated[
        str, make_out_option("The template to write; one that is there is kept.", "FORM.TOML")
    ],
    name: Annotated[
        str | None, make_option("name", "What the form is called.", "NAME", default="BLANK's name")
    ] = None,
    size: Annotated[
        str | None,
        make_option(
            "size",
            f"Of the paper: {', '.join(PAPER_SIZES_MM)}, or in mm as 210x297.",
            "SIZE",
            default="as BLANK says",
            choices=tuple(PAPER_SIZES_MM),
        ),
    ] = None,
    page: PageOption = 1,
    force: Annotated[bool, make_option("force", "Replace a template that is there.")] = False,
    quiet: QuietOption = False,
    _config: ConfigOption = None,
) -> None:
    """Draft a template from the picture of a blank form: its boxes, to be named and corrected.

    Without markers on it the form is recognised by its picture, which is saved beside the template
    where BLANK itself, straight and of one page, does not lie there. A picture beside it, FORM.TOML
    with `_drafted.png` for `.toml`, shows what was found.
    """
    from batchdigits import report, templates  # noqa: PLC0415
    from batchdigits.templates import draft as drafts  # noqa: PLC0415

    if os.path.lexists(out) and not force:
        raise UsageError(f"--out '{out}' is there already, perhaps edited: --force replaces it")
    grey = _load_page(blank, page)
    paper = find_paper_size(blank, page, size, grey)
    drafted = drafts.draft_template(grey, paper)
    if not drafted.fields:
        what = "no boxes but for ticks or signatures" if drafted.left_out else "no boxes"
        raise TemplateError(
            f"'{blank}': {what} were found: expected closed boxes with sides of 3 mm or more "
            f"on paper of {paper[0]:.0f} x {paper[1]:.0f} mm (is --size right?)"
        )
    title = name or _make_stem(blank)[:80]
    reference = None if drafted.markers else _save_reference(blank, out, drafted, page)
    template = drafts.format_template(title, drafted, reference)
    parsed = templates.parse_template(template, out)
    _write_output(out, ".toml", template.encode(), blank)
    shown = _write_draft_picture(out, drafted, parsed, blank)
    if not quiet:
        turned = f", turned back by {drafted.turned:.2f} degrees" if drafted.turned else ""
        wide, high = drafted.size
        report.print_message(
            f"{_describe_template(parsed)} on {wide:.0f} x {high:.0f} mm{turned}, "
            f"anchor {parsed.form.anchor}{_count_left_out(drafted)}: name the fields, then "
            f"`batchdigits form check` -> {out}, drawn in {shown}"
        )


def _count_left_out(drafted: "Draft") -> str:
    count = len(drafted.left_out)
    return f", {count} left out (see its comments)" if count else ""


def _write_draft_picture(out: str, drafted: "Draft", template: "Template", blank: str) -> str:
    """Draw a draft over the page it is of, beside the template; return the picture's path."""
    import cv2  # noqa: PLC0415

    from batchdigits.templates import overlay  # noqa: PLC0415

    place = f"{os.path.splitext(out)[0]}_drafted.png"
    matrix = overlay.compute_whole_page_matrix(drafted.grey, template)
    picture = overlay.draw_template(drafted.grey, template, matrix)
    _write_output(place, ".png", cv2.imencode(".png", picture)[1].tobytes(), blank)
    return place


def _load_page(place: str, number: int) -> "GreyImage":
    """Load one page of a file, counted from 1: uint8, shape (height, width)."""
    from batchdigits import pages  # noqa: PLC0415
    from batchdigits.options import MAX_PIXELS  # noqa: PLC0415
    from batchdigits.records import Page  # noqa: PLC0415

    count = 0
    for one in pages.load_pages(place, max_pixels=MAX_PIXELS):
        count += 1
        if count < number:
            continue
        if isinstance(one, Page):
            return one.grey
        raise UsageError(f"'{place}' cannot be read: {one.detail}")
    raise UsageError(f"--page {number}: '{place}' has {count} page{'s' * (count != 1)}")


def _save_reference(blank: str, out: str, drafted: "Draft", page: int) -> str:
    """Return the name of the reference picture: BLANK, or a straight copy that is saved."""
    folder, blank_folder = (os.path.dirname(os.path.abspath(one)) for one in (out, blank))
    beside = os.path.realpath(folder) == os.path.realpath(
        blank_folder
    )  # the folder of a link, not of its target
    blank_name = os.path.basename(blank)
    if beside and not drafted.turned and page == 1 and blank_name.isprintable():
        return blank_name
    import cv2  # noqa: PLC0415

    name = f"{_make_stem(out)}_blank.png"
    picture = cv2.imencode(".png", drafted.grey)[1].tobytes()
    _write_output(os.path.join(folder, name), ".png", picture, blank)
    return name


def _make_stem(place: str) -> str:
    """Return a file's name without folder and suffix, in characters that a template may hold."""
    stem = os.path.splitext(os.path.basename(place))[0]
    return "".join(one if one.isprintable() else "_" for one in stem)


@app.command(cls=PanelCommand)
def check(
    template: TemplateArgument,
    place: Annotated[
        str | None,
        typer.Argument(metavar="[PAGE]", help="A page to lay it on: PDF, TIFF, PNG, JPEG …"),
    ] = None,
    out: Annotated[
        str | None,
        make_out_option("A picture of the page with every field drawn on it.", "DRAWN.PNG"),
    ] = None,
    page: PageOption = 1,
    quiet: QuietOption = False,
    _config: ConfigOption = None,
) -> None:
    """Say whether a template is sound; with PAGE, whether the page is its form, and where.

    The exit code is 6 where the template is not sound, or the page is another form. The picture
    then shows what was looked for, and where it would be on an upright, whole page.
    """
    from batchdigits import report, templates  # noqa: PLC0415

    if place is None and out is not None:
        raise UsageError(f"--out '{out}' is for a PAGE to draw on: name one, or leave it out")
    loaded = templates.load_template(template)
    words = f"{_describe_template(loaded)}: sound"
    reference = _load_reference(loaded)
    if place is not None:
        grey = _load_page(place, page)
        pose = _find_pose(grey, loaded, (template, place), reference, out)
        words = f"{_describe_template(loaded)}: '{place}' is this form, by {pose.how}, "
        words += f"residual {pose.residual:.2f} mm"
        if out is not None:
            _write_overlay(out, grey, loaded, pose.matrix, (template, place))
            words += f" -> {out}"
    if not quiet:
        report.print_message(words)


def _load_reference(template: "Template") -> "Reference | None":
    """Load the reference picture, if the template is anchored by one, as `run` does."""
    if template.form.anchor != "image":
        return None
    from batchdigits.job import load_reference  # noqa: PLC0415
    from batchdigits.options import MAX_PIXELS  # noqa: PLC0415

    return load_reference(template, MAX_PIXELS)


def _find_pose(
    grey: "GreyImage",
    template: "Template",
    inputs: tuple[str, str],
    reference: "Reference | None",
    out: str | None,
) -> "Pose":
    """Register a page; where it is not the form, draw what was looked for, and raise an error."""
    from batchdigits import register  # noqa: PLC0415
    from batchdigits.templates import overlay  # noqa: PLC0415

    pose = register.register_page(grey, template, reference)
    if isinstance(pose, register.RegistrationFailure):
        fault = f"'{inputs[1]}' is not the form '{template.form.name}': {pose.why}"
        if out is not None:
            matrix = overlay.compute_whole_page_matrix(grey, template)
            _write_overlay(out, grey, template, matrix, inputs)
            fault += f"; what was looked for is drawn where it would be on a whole page -> {out}"
        raise TemplateError(fault)
    return pose


def _write_overlay(
    out: str,
    grey: "GreyImage",
    template: "Template",
    matrix: "NDArray[np.float64]",
    inputs: Sequence[str],
) -> None:
    import cv2  # noqa: PLC0415

    from batchdigits.templates import overlay  # noqa: PLC0415

    picture = overlay.draw_template(grey, template, matrix)
    _write_output(out, ".png", cv2.imencode(".png", picture)[1].tobytes(), *inputs)


def _write_output(out: str, suffix: str, data: bytes, *inputs: str) -> None:
    """Write a file, but never over another kind of file, or over an input."""
    from batchdigits import files  # noqa: PLC0415

    if not out.lower().endswith(suffix):
        raise UsageError(f"--out: expected a name that ends in {suffix}, got '{out}'")
    if any(os.path.realpath(out) == os.path.realpath(one) for one in inputs):
        raise UsageError(f"--out '{out}' is what it is made from: choose another")
    files.write_file(out, data)


def _describe_template(template: "Template") -> str:
    boxes = sum(field.cells or 1 for field in template.fields)
    fields = f"{len(template.fields):,} field{'s' * (len(template.fields) != 1)}"
    return f"form '{template.form.name}', {fields}, {boxes:,} box{'es' * (boxes != 1)}"
