"""`form print`, `form draft`, `form check`: a template's way to paper, from paper, and back."""

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from batchdigits.cli.help import Command
from batchdigits.cli.options import Config, Quiet, option, out_option
from batchdigits.errors import TemplateError, UsageError

if TYPE_CHECKING:
    from batchdigits.records import Grey
    from batchdigits.register import Pose, Reference
    from batchdigits.templates import Template
    from batchdigits.templates.draft import Draft

app = typer.Typer(
    help="Check a template, print a blank form from it, draft one from a blank form.",
)

PAPERS = {
    "a3": (297.0, 420.0),
    "a4": (210.0, 297.0),
    "a5": (148.0, 210.0),
    "letter": (215.9, 279.4),
    "legal": (215.9, 355.6),
}
"""mm: ISO 216; ANSI/ASME Y14.1 and custom."""
STRETCHED = 0.04
"""How much a picture may be longer or shorter than its paper, as scanners cut pages."""

Made = Annotated[str, typer.Argument(metavar="TEMPLATE", help="A template (TOML).")]
Number = Annotated[int, option("page", "Which page of a file of several.", "N", default="1", min=1)]


@app.command("print", cls=Command)
def printed(
    template: Made,
    out: Annotated[str, out_option("The PDF to write; one that is there is replaced.", "FORM.PDF")],
    quiet: Quiet = False,
    _config: Config = None,
) -> None:
    """Print a template as a blank form: a vector PDF of one page, to be printed at 100%."""
    from batchdigits import report, templates  # noqa: PLC0415
    from batchdigits.templates import paper  # noqa: PLC0415

    made = templates.read(template)
    _put(out, ".pdf", paper.printed(made), template)
    if paper.plain(made.form.name) != made.form.name:
        report.say(f"'{made.form.name}' is printed as '{paper.plain(made.form.name)}'")
    if not quiet:
        wide, high = made.form.size
        report.say(f"{_contents(made)}, {wide:g} x {high:g} mm: print it at 100% -> {out}")


@app.command(cls=Command)
def draft(  # noqa: PLR0913, PLR0917  (one parameter an option is how Typer is told of them)
    blank: Annotated[
        str, typer.Argument(metavar="BLANK", help="A blank form: PDF, TIFF, PNG, JPEG.")
    ],
    out: Annotated[
        str, out_option("The template to write; one that is there is kept.", "FORM.TOML")
    ],
    name: Annotated[
        str | None, option("name", "What the form is called.", "NAME", default="BLANK's name")
    ] = None,
    size: Annotated[
        str | None,
        option(
            "size",
            f"Of the paper: {', '.join(PAPERS)}, or in mm as 210x297.",
            "SIZE",
            default="as BLANK says",
            choices=tuple(PAPERS),
        ),
    ] = None,
    page: Number = 1,
    force: Annotated[bool, option("force", "Replace a template that is there.")] = False,
    quiet: Quiet = False,
    _config: Config = None,
) -> None:
    """Draft a template from the picture of a blank form: its boxes, to be named and corrected.

    Without markers on it the form is recognised by its picture, which is saved beside the template
    where BLANK itself, straight and of one page, does not lie there.
    """
    from batchdigits import report, templates  # noqa: PLC0415
    from batchdigits.templates import draft as drafts  # noqa: PLC0415

    if os.path.lexists(out) and not force:
        raise UsageError(f"--out '{out}' is there already, perhaps edited: --force replaces it")
    grey = _page(blank, page)
    paper = _paper(blank, page, size, grey)
    found = drafts.drafted(grey, paper)
    if not found.fields:
        raise TemplateError(
            f"'{blank}': no boxes were found: expected closed boxes with sides of 3 mm or more "
            f"on paper of {paper[0]:.0f} x {paper[1]:.0f} mm (is --size right?)"
        )
    title = name or _stem(blank)[:80]
    reference = None if found.markers else _reference(blank, out, found, page)
    template = drafts.text(title, found, reference)
    made = templates.parsed(template, out)
    _put(out, ".toml", template.encode(), blank)
    if not quiet:
        turned = f", turned back by {found.turned:.2f} degrees" if found.turned else ""
        report.say(
            f"{_contents(made)} on {paper[0]:.0f} x {paper[1]:.0f} mm{turned}, "
            f"anchor {made.form.anchor}: name the fields, then `batchdigits form check` -> {out}"
        )


def _paper(blank: str, page: int, size: str | None, grey: "Grey") -> tuple[float, float]:
    """Find the size of a page's paper, mm, as --size says, or as the file does."""
    from batchdigits.pages.paper import paper  # noqa: PLC0415
    from batchdigits.templates.template import LONGEST, SHORTEST  # noqa: PLC0415

    found = paper(blank, page) if size is None else _given(size)
    if found is None:
        raise UsageError(
            f"'{blank}' does not say how large its paper is: give --size, as A4 or 210x297"
        )
    if not all(SHORTEST <= side <= LONGEST for side in found):
        raise UsageError(
            f"'{blank}': expected paper with sides of {SHORTEST:g} to {LONGEST:g} mm, got "
            f"{found[0]:g} x {found[1]:g}: give --size, as A4 or 210x297"
        )
    return found if size is None else _laid(found, blank, size, grey)


def _given(size: str) -> tuple[float, float]:
    """Read --size, mm."""
    if (known := PAPERS.get(size.lower())) is not None:
        return known
    match = re.fullmatch(r"(\d+(?:\.\d+)?)x(\d+(?:\.\d+)?)", size.lower())
    if match is None:
        raise UsageError(
            f"--size: expected {', '.join(PAPERS)} or millimetres as 210x297, got '{size}'"
        )
    return float(match[1]), float(match[2])


def _laid(given: tuple[float, float], blank: str, size: str, grey: "Grey") -> tuple[float, float]:
    """Lay paper as the page's picture lies, if it can be such paper."""
    high, wide = grey.shape
    if (given[0] > given[1]) != (wide > high):
        given = (given[1], given[0])  # the paper lies on its side
    stretched = wide / high * given[1] / given[0]
    if abs(stretched - 1) > STRETCHED:
        raise UsageError(
            f"--size '{size}': '{blank}' is {wide} x {high} px, {abs(stretched - 1):.0%} "
            f"{'wider' if stretched > 1 else 'narrower'} than such paper: is it the whole page?"
        )
    return given


def _page(place: str, number: int) -> "Grey":
    """Read one page of a file."""
    from batchdigits import pages  # noqa: PLC0415
    from batchdigits.options import MAX_PIXELS  # noqa: PLC0415
    from batchdigits.records import Page  # noqa: PLC0415

    count = 0
    for one in pages.read(place, max_pixels=MAX_PIXELS):
        count += 1
        if count < number:
            continue
        if isinstance(one, Page):
            return one.grey
        raise UsageError(f"'{place}' cannot be read: {one.detail}")
    raise UsageError(f"--page {number}: '{place}' has {count} page{'s' * (count != 1)}")


def _reference(blank: str, out: str, found: "Draft", page: int) -> str:
    """Name the picture that pages are recognised by: BLANK itself, or a straight copy of it."""
    folder, its = (os.path.dirname(os.path.abspath(one)) for one in (out, blank))
    beside = os.path.realpath(folder) == os.path.realpath(its)  # a link's name lies where it does
    named = os.path.basename(blank)
    if beside and not found.turned and page == 1 and named.isprintable():
        return named
    import cv2  # noqa: PLC0415

    name = f"{_stem(out)}_blank.png"
    picture = cv2.imencode(".png", found.grey)[1].tobytes()
    _put(os.path.join(folder, name), ".png", picture, blank)
    return name


def _stem(place: str) -> str:
    """Name a file without folder and suffix, in what a template can hold."""
    stem = os.path.splitext(os.path.basename(place))[0]
    return "".join(one if one.isprintable() else "_" for one in stem)


@app.command(cls=Command)
def check(
    template: Made,
    place: Annotated[
        str | None,
        typer.Argument(metavar="[PAGE]", help="A page to lay it on: PDF, TIFF, PNG, JPEG …"),
    ] = None,
    out: Annotated[
        str | None, out_option("A picture of the page with every field drawn on it.", "DRAWN.PNG")
    ] = None,
    page: Number = 1,
    quiet: Quiet = False,
    _config: Config = None,
) -> None:
    """Say whether a template is sound; with PAGE, whether that is its form, and where.

    The exit code is 6 where the template is not sound, or the page is another form.
    """
    from batchdigits import report, templates  # noqa: PLC0415

    if place is None and out is not None:
        raise UsageError(f"--out '{out}' is for a PAGE to draw on: name one, or leave it out")
    made = templates.read(template)
    words = f"{_contents(made)}: sound"
    reference = _learned(made)
    if place is not None:
        grey = _page(place, page)
        pose = _pose(grey, made, place, reference)
        words = f"{_contents(made)}: '{place}' is this form, by {pose.how}, "
        words += f"residual {pose.residual:.2f} mm"
        if out is not None:
            _draw(out, grey, made, pose, (template, place))
            words += f" -> {out}"
    if not quiet:
        report.say(words)


def _learned(made: "Template") -> "Reference | None":
    """Read the picture that pages are recognised by, where they are, as `run` does."""
    if made.form.anchor != "image":
        return None
    from batchdigits.job import load_reference  # noqa: PLC0415
    from batchdigits.options import MAX_PIXELS  # noqa: PLC0415

    return load_reference(made, MAX_PIXELS)


def _pose(grey: "Grey", made: "Template", place: str, reference: "Reference | None") -> "Pose":
    from batchdigits import register  # noqa: PLC0415

    found = register.register(grey, made, reference)
    if isinstance(found, register.Lost):
        raise TemplateError(f"'{place}' is not the form '{made.form.name}': {found.why}")
    return found


def _draw(out: str, grey: "Grey", made: "Template", pose: "Pose", inputs: Sequence[str]) -> None:
    import cv2  # noqa: PLC0415

    from batchdigits.templates import overlay  # noqa: PLC0415

    picture = overlay.drawn(grey, made, pose.matrix)
    _put(out, ".png", cv2.imencode(".png", picture)[1].tobytes(), *inputs)


def _put(out: str, suffix: str, data: bytes, *inputs: str) -> None:
    """Write a file, but never over another kind of file, or what it is made from."""
    from batchdigits import files  # noqa: PLC0415

    if not out.lower().endswith(suffix):
        raise UsageError(f"--out: expected a name that ends in {suffix}, got '{out}'")
    if any(os.path.realpath(out) == os.path.realpath(one) for one in inputs):
        raise UsageError(f"--out '{out}' is what it is made from: choose another")
    files.put(out, data)


def _contents(made: "Template") -> str:
    boxes = sum(field.cells or 1 for field in made.fields)
    fields = f"{len(made.fields):,} field{'s' * (len(made.fields) != 1)}"
    return f"form '{made.form.name}', {fields}, {boxes:,} box{'es' * (boxes != 1)}"
