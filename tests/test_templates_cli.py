"""The commands that print, draft and check templates."""

import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from templates_forms import (
    Grey,
    canvas,
    drawn,
    edited,
    here_fixture,  # noqa: F401
    several,
    turned,
)

from batchdigits import cli, templates
from batchdigits.templates import draft, paper

Capture = pytest.CaptureFixture[str]


def run(*arguments: str) -> int:
    return cli._run_command_line(["form", *arguments])


def save(place: str, grey: Grey, dpi: float = 150) -> None:
    from PIL import Image

    Image.fromarray(grey).save(place, dpi=(dpi, dpi))


@pytest.fixture
def template() -> str:
    made = several()
    found = draft.Draft(
        made.form.size,
        [draft.DraftField(one.box, one.cells, one.gap) for one in made.fields],
        "4x4",
        list(made.form.effective_markers),
        canvas(),
        0.0,
    )
    Path("form.toml").write_text(draft.format_template("membership", found))
    return "form.toml"


def test_print_draft_and_check_go_round(template: str, capsys: Capture) -> None:
    assert run("print", template, "--out", "form.pdf") == 0
    assert "8 fields, 38 boxes, 210 x 297 mm: print it at 100%" in capsys.readouterr().err
    save("blank.png", drawn(Path("form.pdf").read_bytes(), 150))
    assert run("draft", "blank.png", "--out", "again.toml", "--name", "again") == 0
    err = capsys.readouterr().err
    assert "form 'again', 7 fields" in err
    assert "1 left out (see its comments)" in err
    assert "-> again.toml, drawn in again_drafted.png" in err
    assert cv2.imread("again_drafted.png").shape[:2] == cv2.imread("blank.png").shape[:2]
    assert run("check", "again.toml") == 0
    assert run("check", "again.toml", "blank.png", "--out", "drawn.png") == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "'blank.png' is this form, by 4 of 4 markers" in err
    assert re.search(r"residual 0\.\d\d mm -> drawn.png", err)
    assert cv2.imread("drawn.png").shape == (*drawn(Path("form.pdf").read_bytes(), 150).shape, 3)
    assert run("check", "again.toml", "blank.png", "-q") == 0
    assert capsys.readouterr() == ("", "")


def test_a_straight_blank_beside_is_the_reference_and_a_skewed_one_is_copied() -> None:
    grey = drawn(paper.draw_blank_form(several(anchor="page")), 150)
    Path("far").mkdir()
    save("blank.png", grey)
    save("far/skewed.png", turned(grey, 2))
    assert run("draft", "blank.png", "--out", "a.toml") == 0
    assert templates.load_template("a.toml").form.reference == "blank.png"
    assert run("draft", "far/skewed.png", "--out", "b.toml", "--size", "A4") == 0
    assert templates.load_template("b.toml").form.reference == "b_blank.png"
    assert run("check", "b.toml", "far/skewed.png") == 0


@pytest.mark.parametrize("name", [b"\xff.png", b"n" * 120 + b".png", b"a\nb.png"])
def test_a_blank_may_have_any_name(name: bytes) -> None:
    save("blank.png", drawn(paper.draw_blank_form(several(anchor="page")), 150))
    Path("blank.png").rename(os.fsdecode(name))
    assert run("draft", os.fsdecode(name), "--out", "a.toml") == 0
    assert run("check", "a.toml", os.fsdecode(name)) == 0


@pytest.mark.parametrize("beside", ["the link", "the file"])
def test_the_reference_of_a_linked_blank_is_found(beside: str) -> None:
    for one in ("the link", "the file"):
        Path(one).mkdir()
    save("the file/blank.png", drawn(paper.draw_blank_form(several(anchor="page")), 150))
    Path("the link/other.png").symlink_to(Path("the file/blank.png").resolve())
    assert run("draft", "the link/other.png", "--out", f"{beside}/a.toml") == 0
    assert run("check", f"{beside}/a.toml", "the file/blank.png") == 0


def test_another_form_is_told(template: str, capsys: Capture) -> None:
    save("white.png", np.full((1754, 1240), 255, np.uint8))
    assert run("check", template, "white.png") == 6
    assert "'white.png' is not the form 'membership'" in capsys.readouterr().err


def test_what_was_looked_for_on_another_form_is_drawn(template: str, capsys: Capture) -> None:
    save("white.png", np.full((1754, 1240), 255, np.uint8))
    assert run("check", template, "white.png", "--out", "drawn.png") == 6
    err = capsys.readouterr().err
    assert "'white.png' is not the form 'membership'" in err
    assert "is drawn where it would be on a whole page -> drawn.png" in err
    picture = cv2.imread("drawn.png")
    x, y, wide, _ = several().fields[2].box  # a field written freely: its upper side is drawn
    scale = 1240 / 210
    assert picture[round(y * scale), round((x + wide / 2) * scale)].tolist() != [255, 255, 255]


SCANNED = {
    "A4, cut by the scanner": ((1231, 1743), 150, (210, 297)),
    "A4 on its side": ((1754, 1240), 150, (297, 210)),
    "Letter": ((1270, 1650), 150, (215.9, 279.4)),
    "A6 with a strip more": ((630, 880), 150, (105, 148)),
    "no standard": ((1240, 1240), 150, (209.97, 209.97)),
}


@pytest.mark.parametrize("what", SCANNED)
def test_paper_is_taken_for_a_standard_size_when_it_is_near(what: str) -> None:
    (wide, high), dpi, size = SCANNED[what]
    grey = np.full((high, wide), 255, np.uint8)
    cv2.rectangle(grey, (100, 100), (400, 160), 0, 3)
    save("blank.png", grey, dpi)
    assert run("draft", "blank.png", "--out", "a.toml") == 0
    assert templates.load_template("a.toml").form.size == pytest.approx(size, abs=0.1)


FAULTS: dict[str, tuple[list[str], int, str]] = {
    "no command": ([], 2, "Missing command. (see --help)"),
    "a template with a slip": (["check", "bad.toml"], 6, "did you mean 'cells'?"),
    "a template that is not there": (["check", "gone.toml"], 6, "No such file"),
    "a template that is a pipe": (["check", "pipe"], 6, "'pipe' is no regular file"),
    "a reference that is not there": (["check", "image.toml"], 6, "'gone.png' cannot be read"),
    "a reference that is a pipe": (["check", "piped.toml"], 6, "not a regular file but a pipe"),
    "a page that is not there": (["check", "form.toml", "gone.png"], 2, "no such file"),
    "a page that is no image": (["check", "form.toml", "form.toml"], 2, "not an image"),
    "a picture of no page": (["check", "form.toml", "--out", "a.png"], 2, "for a PAGE to draw on"),
    "a page too far": (["check", "form.toml", "s.png", "--page", "2"], 2, "'s.png' has 1 page"),
    "another kind of file": (["print", "form.toml", "--out", "a.doc"], 2, "ends in .pdf"),
    "no such folder": (["print", "form.toml", "--out", "no/a.pdf"], 5, "is no folder"),
    "over the template": (["draft", "s.png", "--out", "form.toml"], 2, "--force replaces it"),
    "an unknown size": (["draft", "s.png", "--out", "a.toml"], 2, "give --size, as A4"),
    "a size that is none": (
        ["draft", "s.png", "--out", "a.toml", "--size", "B9"],
        2,
        "expected a3, a4, a5, a6, letter, legal or millimetres as 210x297, got 'B9'",
    ),
    "paper without a size": (
        ["draft", "s.png", "--out", "a.toml", "--size", "0x0"],
        2,
        "expected paper with sides of 20 to 2000 mm, got 0 x 0",
    ),
    "paper of 21 metres": (
        ["draft", "s.png", "--out", "a.toml", "--size", "21000x21000"],
        2,
        "expected paper with sides of 20 to 2000 mm, got 21000 x 21000",
    ),
    "a name that is none": (
        ["draft", "boxes.png", "--out", "a.toml", "--size", "A4", "--name", "a\nb"],
        6,
        "name: expected one line of text",
    ),
    "a part of a page": (
        ["draft", "s.png", "--out", "a.toml", "--size", "a4"],
        2,
        "wider than such paper: is it the whole page?",
    ),
    "a page without boxes": (
        ["draft", "s.png", "--out", "a.toml", "--size", "50x50"],
        6,
        "no boxes were found",
    ),
}


@pytest.mark.parametrize("why", FAULTS)
def test_faults_are_one_line_and_an_exit_code(why: str, template: str, capsys: Capture) -> None:
    arguments, code, said = FAULTS[why]
    Path("bad.toml").write_text(edited("cells", "cels"))
    os.mkfifo("pipe")
    for place, reference in (("image.toml", "gone.png"), ("piped.toml", "pipe")):
        anchor = f'anchor = "image"\nreference = "{reference}"'
        Path(place).write_text(edited('anchor = "markers"', anchor))
    save("boxes.png", drawn(paper.draw_blank_form(several()), 100))
    Path("s.png").write_bytes(cv2.imencode(".png", np.full((500, 500), 255, np.uint8))[1].tobytes())
    assert run(*arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert not Path("a.toml").exists()


def test_an_edited_template_is_replaced_by_force_alone(template: str, capsys: Capture) -> None:
    save("blank.png", drawn(paper.draw_blank_form(several()), 150))
    before = Path(template).read_text()
    assert run("draft", "blank.png", "--out", template) == 2
    assert Path(template).read_text() == before
    assert run("draft", "blank.png", "--out", template, "--force", "--name", "new") == 0
    assert templates.load_template(template).form.name == "new"
