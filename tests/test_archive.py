"""After reading, files move out of the inbox: none is lost, none is read twice."""

import errno
import logging
import os
from pathlib import Path

import numpy as np
import pytest
from archive_runs import BROKEN, OUT, disk_fixture, rows, run, three_fixture, tree  # noqa: F401
from conftest import FakeClassifier, Save, drawn
from PIL import Image

import batchdigits
from batchdigits import cli
from batchdigits.errors import OutputError, UsageError
from batchdigits.sources import MOVED_FOLDER_FLAG

# --- what goes where ---


@pytest.mark.usefixtures("disk")
def test_what_was_read_moves_and_its_rows_stay(three: FakeClassifier) -> None:
    os.utime("inbox/1.png", (5, 5))
    Path("inbox/1.png").chmod(0o640)
    found = run()
    assert tree("inbox") == []
    assert tree("done") == ["1.png", "sub/2.png"]
    assert tree("failed") == ["bad.png"]
    assert (found.moved, found.failed) == ({"done": 2, "failed": 1}, 1)
    assert os.stat("done/1.png").st_mtime == 5
    assert os.stat("done/1.png").st_mode & 0o777 == 0o640
    table = Path(OUT).read_bytes()
    assert list(rows()) == ["inbox/1.png", "inbox/bad.png", "inbox/sub/2.png"]
    assert rows()["inbox/1.png"] == three.value(drawn(1))
    again = run()
    assert (again.files, again.read, again.failed, again.gone) == (0, 0, 0, 0)
    assert Path(OUT).read_bytes() == table


@pytest.mark.parametrize(("option", "left"), [("move_done", ["bad.png"]), ("move_failed", None)])
def test_either_folder_may_be_left_out(option: str, left: list[str] | None) -> None:
    both = {"move_done": None, "move_failed": None, option: "away"}
    run(**both)
    assert tree("inbox") == (left or ["1.png", "sub/2.png"])
    assert not Path("done").exists()
    assert run(**both).moved.total() == 0


def test_a_file_of_which_one_page_failed_has_failed(inbox: Path) -> None:
    pages = [Image.fromarray(drawn(n)) for n in (1, 2)]
    pages[0].save(inbox / "two.tif", save_all=True, append_images=pages[1:])
    whole = (inbox / "two.tif").read_bytes()
    (inbox / "two.tif").write_bytes(whole[:-40])
    run()
    with Path(OUT).open() as table:
        said = [line.split(",")[5] for line in table if "two.tif" in line]
    assert "error" in said
    assert "two.tif" in tree("failed")


def test_what_is_blank_or_for_review_is_done(save: Save) -> None:
    save("blank.png", np.full((28, 28), 255, np.uint8))
    run(min_confidence=1)
    assert tree("done") == ["1.png", "blank.png", "sub/2.png"]


def test_what_is_no_input_stays(inbox: Path, save: Save) -> None:
    (inbox / "note.txt").write_text("x")
    (inbox / "half.png.part").write_bytes(BROKEN)
    (inbox / ".hidden.png").write_bytes(BROKEN)
    os.mkfifo(inbox / "pipe.png")
    stay = [".hidden.png", "half.png.part", "note.txt", "pipe.png"]
    for _ in range(2):
        run()
        assert tree("inbox") == stay


def test_links_stay_and_so_does_what_they_lead_to(inbox: Path, save: Save) -> None:
    save("../far/3.png", drawn(3))
    (inbox / "link.png").symlink_to("../far/3.png")
    (inbox / "folder").symlink_to("../far")
    assert run().moved["done"] == 2
    assert tree("inbox") == ["link.png"]
    assert tree("far") == ["3.png"]
    assert set(rows()) >= {"inbox/link.png", "inbox/folder/3.png"}


@pytest.mark.parametrize(
    "inputs", [["inbox"], ["far", "inbox"], ["inbox/0.png", "inbox"], ["lane"]]
)
def test_what_a_link_of_the_run_leads_to_stays_within_the_inbox_too(
    inputs: list[str], inbox: Path, save: Save
) -> None:
    """Else the link's good row would be an error from the next night on."""
    save("../far/3.png", drawn(3))
    Path("lane").symlink_to("inbox")
    (inbox / "0.png").symlink_to("1.png")
    (inbox / "sub/link.png").symlink_to("again.png")
    (inbox / "sub/again.png").symlink_to("../../far/3.png")
    (inbox / "bad-too.png").symlink_to("bad.png")
    stay = ["0.png", "1.png", "bad-too.png", "bad.png", "sub/again.png", "sub/link.png"]
    first = run(*inputs)
    table = rows()
    for _ in range(2):
        assert tree("inbox") == stay
        assert tree("far") == ["3.png"]
        assert rows() == table
        assert run(*inputs).failed == first.failed == 2
    (inbox / "0.png").unlink()
    run(*(path for path in inputs if path != "inbox/0.png"))
    assert "1.png" in tree("done")


def test_an_inbox_that_is_a_link_is_an_inbox() -> None:
    Path("inbox").rename("real")
    Path("inbox").symlink_to("real")
    run("inbox/")
    assert tree("done") == ["1.png", "sub/2.png"]


def test_named_and_listed_files_move_too_and_may_be_listed_again(three: FakeClassifier) -> None:
    """A list that is made once names files that are gone: their rows stand, good or bad."""
    files = ["inbox/1.png", "inbox/sub/2.png", "inbox/bad.png"]
    first = run(listed=files)
    assert tree("done") == ["1.png", "2.png"]
    assert tree("failed") == ["bad.png"]
    before = Path(OUT).read_bytes()
    again = run(listed=[*files, "inbox/never.png"])
    assert (first.failed, again.failed) == (1, 2)
    assert rows()["inbox/never.png"] == "error"
    assert [line for line in Path(OUT).read_bytes().splitlines() if b"never" not in line] == (
        before.splitlines()
    )
    with pytest.raises(UsageError, match="does not exist"):
        run("inbox/1.png")


def test_a_file_that_waits_does_not_move(save: Save) -> None:
    run(move_done=None)
    assert run(settle=60).moved["done"] == 0
    assert run(settle=0).moved["done"] == 2


# --- names ---


@pytest.mark.usefixtures("disk")
def test_a_new_file_under_an_old_name_is_read_and_both_are_kept(
    save: Save, three: FakeClassifier, caplog: pytest.LogCaptureFixture
) -> None:
    run()
    for digit in (7, 8):
        save("1.png", drawn(digit))
        assert run().read == 1
        assert rows()["inbox/1.png"] == three.value(drawn(digit))
        assert "1 files came under the names of files that were moved" in caplog.text
        caplog.clear()
    assert tree("done") == ["1-2.png", "1-3.png", "1.png", "sub/2.png"]
    kept = {Path("done", name).read_bytes() for name in ("1-2.png", "1-3.png", "1.png")}
    assert len(kept) == 3


def test_a_new_file_is_new_though_size_and_time_are_those_of_the_old(
    inbox: Path, three: FakeClassifier
) -> None:
    for digit in (1, 7):
        Image.fromarray(drawn(digit)).save(inbox / "a.bmp")
        os.utime(inbox / "a.bmp", (5, 5))
        run()
        assert rows()["inbox/a.bmp"] == three.value(drawn(digit))
    assert (Path("done/a.bmp").stat().st_size, len(tree("done"))) == (
        Path("done/a-2.bmp").stat().st_size,
        4,
    )


def test_a_failed_file_that_is_mended_takes_its_old_row_without_a_word(
    save: Save, caplog: pytest.LogCaptureFixture
) -> None:
    run()
    save("bad.png", drawn(3))
    found = run()
    assert (found.failed, rows()["inbox/bad.png"] == "error") == (0, False)
    assert "bad.png" in tree("done")
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []


def test_inputs_of_the_same_names_are_kept_apart(save: Save) -> None:
    save("../other/1.png", drawn(5))
    run("inbox", "other")
    assert tree("done") == ["1-2.png", "1.png", "sub/2.png"]


def test_a_file_where_a_folder_should_be_and_a_folder_where_a_file_should_be(save: Save) -> None:
    Path("done/1.png").mkdir(parents=True)
    Path("done/sub").write_text("x")
    Path("done", MOVED_FOLDER_FLAG).touch()
    run()
    assert tree("done") == ["1-2.png", "sub", "sub-2/2.png"]


def test_a_link_in_the_folder_is_not_followed(tmp_path: Path) -> None:
    Path("elsewhere").mkdir()
    Path("done").mkdir()
    Path("done/sub").symlink_to("../elsewhere")
    Path("done", MOVED_FOLDER_FLAG).touch()
    run()
    assert tree("elsewhere") == []
    assert Path("done/sub-2/2.png").exists()


@pytest.mark.usefixtures("disk")
@pytest.mark.parametrize(
    "name",
    [b"\xff\xfe.png", b"new\nline.png", b"=1+2.png", b"\x1b[31m.png", b"x" * 251 + b".png"],
    ids=["bytes", "newline", "formula", "escape", "as long as can be"],
)
def test_names_stay_as_they_are(inbox: Path, name: bytes) -> None:
    for digit, wanted in ((1, name), (2, name[:-4][:249] + b"-2.png")):
        place = os.path.join(os.fsencode(inbox), name)
        Image.fromarray(drawn(digit)).save(inbox / "plain.png")
        os.rename(inbox / "plain.png", place)
        assert run().moved["done"] >= 1
        assert wanted in os.listdir(b"done")


# --- a folder inside the inbox ---


INSIDE = {"move_done": "inbox/done", "move_failed": "inbox/failed"}
NOWHERE = {"move_done": None, "move_failed": None}


@pytest.mark.parametrize("options", [INSIDE, NOWHERE], ids=["with the options", "without"])
def test_what_was_moved_is_never_read_again(
    options: dict[str, str | None], capsys: pytest.CaptureFixture[str]
) -> None:
    run(**INSIDE)
    moved = tree("inbox")
    assert moved == ["done/1.png", "done/sub/2.png", "failed/bad.png"]
    Path("inbox/link").symlink_to("done/sub")
    Path("inbox/link.png").symlink_to("done/1.png")
    assert run(**options).files == 0
    assert run(out="other.csv", **options).files == 0
    assert run(listed=[f"inbox/{name}" for name in moved], **options).files == 0
    if options is NOWHERE:
        assert len(batchdigits.read("inbox", workers=0)) == 0
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items() if value]
    assert cli._run_command_line(["run", "inbox", "--dry-run", *arguments]) == 0
    assert capsys.readouterr().out == "file,as,pages,why\n"


def test_what_was_moved_is_read_when_somebody_types_it() -> None:
    run(**INSIDE)
    assert run("inbox/done", out="a.csv", **NOWHERE).files == 2
    assert run("inbox/done/sub", out="b.csv", **NOWHERE).files == 1
    assert run("inbox/done/1.png", out="c.csv", **NOWHERE).files == 1


def test_typed_by_a_shell_pattern_it_is_left_out_where_the_options_say_so(save: Save) -> None:
    run(**INSIDE)
    save("5.png", drawn(5))
    found = run("inbox/5.png", "inbox/done", "inbox/failed", "inbox/sub", **INSIDE)
    assert (found.files, found.moved["done"]) == (1, 1)


@pytest.mark.parametrize("folder", ["inbox", ".", "./inbox/../inbox"])
def test_an_inbox_cannot_be_where_its_files_go(folder: str) -> None:
    with pytest.raises(UsageError, match="choose another folder for --move-done"):
        run(move_done=folder)
    assert not Path(OUT).exists()


@pytest.mark.parametrize("option", ["move_done", "move_failed"])
@pytest.mark.parametrize("folder", ["inbox/sub", "other", "link"])
def test_a_folder_with_files_of_others_is_no_place_for_these(
    option: str, folder: str, save: Save
) -> None:
    """The mark of a moved folder would hide these files from every run of every job."""
    save("../other/5.png", drawn(5))
    Path("link").symlink_to("other")
    chosen = {"move_done": "new", "move_failed": "new", option: folder}
    with pytest.raises(UsageError, match=f"--move-{option[5:]} '{folder}' has files"):
        run(**chosen)
    assert tree("inbox") == ["1.png", "bad.png", "sub/2.png"]
    assert [*Path().rglob(MOVED_FOLDER_FLAG)] == []
    Path(folder, MOVED_FOLDER_FLAG).touch()  # as the line says: now that is meant
    assert run(**chosen).moved["done"] == (1 if folder == "inbox/sub" else 2)


def test_an_empty_folder_will_do_and_so_will_one_with_this_runs_own_outputs() -> None:
    Path("inbox/empty").mkdir()
    assert run(move_done="inbox/empty").moved["done"] == 2
    assert run(move_done="inbox/empty").files == 0
    Path("logs").mkdir()
    Path("logs/b.log").write_text("begun\n")
    assert run(move_done="logs", log_file="logs/b.log").moved["done"] == 0


def test_a_folder_that_cannot_be_looked_into_is_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    Path("done").mkdir()
    monkeypatch.setattr(os, "listdir", refused)
    with pytest.raises(OutputError, match="'done': Permission denied"):
        run()
    assert not Path("done", MOVED_FOLDER_FLAG).exists()
