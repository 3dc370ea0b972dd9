"""After reading, files move out of the inbox: none is lost, none is read twice."""

import errno
import io
import logging
import os
import shutil
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import FakeClassifier, Save, drawn, ordinary_user, resolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import batchdigits
from batchdigits import cli
from batchdigits import run as runs
from batchdigits.archive import moves, transfer
from batchdigits.errors import OutputError, UsageError
from batchdigits.run import Summary, run_job
from batchdigits.sources import MOVED_FOLDER_FLAG
from batchdigits.state.lock import lock_outputs
from batchdigits.summary import StopRequest

OUT = "results.csv"
BROKEN = b"\x89PNG\r\n\x1a\nbroken"


class Killed(BaseException):
    """As if the process had died."""


def run(
    *inputs: str,
    listed: Sequence[str] = (),
    out: str = OUT,
    stop: StopRequest | None = None,
    **options: Any,
) -> Summary:
    """Run as the command line does."""
    given = {"settle": 0, "move_done": "done", "move_failed": "failed", "out": out, **options}
    return run_job(resolve(*inputs, listed=listed, **given), stop=stop)


def tree(folder: str) -> list[str]:
    """All files below a folder but for marks."""
    found = (
        path
        for path in Path(folder).rglob("*")
        if not path.is_dir() and path.name != MOVED_FOLDER_FLAG
    )
    return sorted(str(path.relative_to(folder)) for path in found)


def rows() -> dict[str, str]:
    """The table: file → value, or status where there is none."""
    lines = [line.split(",") for line in Path(OUT).read_text("utf-8").splitlines()[1:]]
    return {line[0]: line[3] or line[5] for line in lines}


@pytest.fixture(autouse=True)
def three(inbox: Path, save: Save, fake_classifier: FakeClassifier) -> FakeClassifier:
    """Two digits, one of them in a folder, and a broken file."""
    save("1.png", drawn(1))
    save("sub/2.png", drawn(2))
    (inbox / "bad.png").write_bytes(BROKEN)
    return fake_classifier


@contextmanager
def other_disk() -> Iterator[None]:
    """As if the folders were on another disk than the inbox."""
    real = os.rename

    def rename(one: Any, other: Any) -> None:
        def side(path: Any) -> bool:
            return Path(os.fsdecode(path)).parts[0] in ("done", "failed")

        if side(one) != side(other):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        real(one, other)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "rename", rename)
        yield


@pytest.fixture(params=["same disk", "another disk"])
def disk(request: pytest.FixtureRequest) -> Iterator[None]:
    """Moves within a disk, and from one to another."""
    if request.param == "same disk":
        yield
    else:
        with other_disk():
            yield


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
    """The mark would hide them from every run: in this INPUT, or in that of another job."""
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


# --- what goes wrong ---


def between(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Have something happen when the table is written and nothing is moved yet."""
    real = runs.move_files

    def move(*arguments: Any) -> None:
        monkeypatch.setattr(runs, "move_files", real)
        happens()
        real(*arguments)

    monkeypatch.setattr(runs, "move_files", move)


@pytest.mark.usefixtures("disk")
def test_a_file_that_changed_since_it_was_read_stays(
    save: Save, monkeypatch: pytest.MonkeyPatch, three: FakeClassifier
) -> None:
    between(monkeypatch, lambda: save("1.png", drawn(9)))
    assert run().moved["done"] == 1
    assert tree("inbox") == ["1.png"]
    run()
    assert tree("done") == ["1.png", "sub/2.png"]
    assert rows()["inbox/1.png"] == three.value(drawn(9))


@pytest.mark.usefixtures("disk")
def test_a_file_that_somebody_took_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    between(monkeypatch, lambda: os.unlink("inbox/1.png"))
    assert run().moved == {"done": 1, "failed": 1}


def test_what_comes_under_the_name_in_the_last_moment_goes_back(
    save: Save, monkeypatch: pytest.MonkeyPatch, three: FakeClassifier
) -> None:
    real = os.rename

    def late(one: Any, other: Any) -> None:
        if str(one) == "inbox/1.png" and "done" in str(other):
            save("1.png", drawn(9, side=40))
        real(one, other)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", late)
        run()
    assert tree("inbox") == ["1.png"]
    assert tree("done") == ["sub/2.png"]
    run()
    assert rows()["inbox/1.png"] == three.value(drawn(9, side=40))


def test_on_another_disk_what_comes_in_the_last_moment_stays(
    save: Save, monkeypatch: pytest.MonkeyPatch, three: FakeClassifier
) -> None:
    real = transfer._remove_original

    def late(path: str, entry: Any) -> None:
        if path == "inbox/1.png":
            save("1.png", drawn(9, side=40))
        real(path, entry)

    with other_disk():
        with monkeypatch.context() as patch:
            patch.setattr(transfer, "_remove_original", late)
            assert run().moved["done"] == 2
        assert tree("inbox") == ["1.png"]
        run()
    assert tree("done") == ["1-2.png", "1.png", "sub/2.png"]
    assert rows()["inbox/1.png"] == three.value(drawn(9, side=40))


def test_a_copy_that_is_not_what_was_read_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with other_disk():
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "copyfileobj", lambda one, other: other.write(one.read()[:-1]))
            assert run().moved.total() == 0
        assert tree("inbox") == ["1.png", "bad.png", "sub/2.png"]
        assert tree("done") == tree("failed") == []
        assert run().moved.total() == 3


def test_a_copy_is_removed_where_the_file_itself_cannot_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else every night would make another one."""

    def refused(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(transfer, "_remove_original", refused)
    with other_disk(), pytest.raises(OutputError, match=r"'inbox/1.png' to 'done': Perm"):
        run()
    assert tree("inbox") == ["1.png", "bad.png", "sub/2.png"]
    assert tree("done") == tree("failed") == []
    assert len(rows()) == 3


def test_no_copy_runs_with_its_former_owners_rights(inbox: Path) -> None:
    (inbox / "1.png").chmod(0o4755)
    with other_disk():
        run()
    assert os.stat("done/1.png").st_mode & 0o7777 == 0o755


def test_a_real_other_disk() -> None:
    other = Path("/dev/shm", f"batchdigits-{os.getpid()}")
    if not os.access("/dev/shm", os.W_OK) or os.stat("/dev/shm").st_dev == os.stat(".").st_dev:
        pytest.skip("there is no second disk: /dev/shm is none")
    try:
        run(move_done=str(other))
        assert tree(str(other)) == ["1.png", "sub/2.png"]
        assert [path for path in other.rglob(".*") if path.name != MOVED_FOLDER_FLAG] == []
        assert tree("inbox") == []
    finally:
        shutil.rmtree(other, ignore_errors=True)


@pytest.mark.parametrize("folder", ["afile", "afile/below", "/proc/nobody/makes/this"])
def test_a_folder_that_cannot_be_one_is_told_of_before_anything_is_read(folder: str) -> None:
    Path("afile").write_text("a file")
    with pytest.raises(OutputError, match="files cannot be moved to"):
        run(move_done=folder)
    assert not Path(OUT).exists()


def test_a_folder_that_cannot_be_written_is_no_place() -> None:
    Path("done").mkdir(mode=0o555)
    with ordinary_user(), pytest.raises(OutputError, match="files cannot be moved to 'done'"):
        moves.prepare_move_folder("done")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EIO])
@pytest.mark.usefixtures("disk")
def test_what_cannot_be_moved_stays_and_the_table_stands(
    monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def full(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(transfer, "rename_file", full)
        with pytest.raises(OutputError, match=os.strerror(code)) as told:
            run()
    assert "\n" not in str(told.value)
    assert tree("inbox") == ["1.png", "bad.png", "sub/2.png"]
    assert len(rows()) == 3
    again = run()
    assert (again.read, again.moved.total()) == (1, 3)  # the broken one is tried again


def test_a_folder_whose_disk_is_gone_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    between(monkeypatch, lambda: shutil.rmtree("done"))
    with pytest.raises(OutputError, match="moved: 'done': No such file"):
        run()
    assert tree("inbox") == ["1.png", "bad.png", "sub/2.png"]


@pytest.mark.usefixtures("disk")
def test_a_run_that_was_killed_before_it_moved_anything_moves_it_the_next_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def dies() -> None:
        raise Killed

    (Path("inbox") / "bad.png").unlink()
    between(monkeypatch, dies)
    with pytest.raises(Killed):
        run()
    table = Path(OUT).read_bytes()
    found = run()
    assert (found.read, found.moved["done"]) == (0, 2)
    assert Path(OUT).read_bytes() == table


def test_a_run_that_was_killed_between_copy_and_removal_leaves_one_copy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def dies(*_: object) -> None:
        raise Killed

    with other_disk():
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(transfer, "_remove_original", dies)
            run()
        assert tree("done")[1:] == ["1.png"]  # after the note that tells whose it is
        run()
    assert tree("done") == ["1.png", "sub/2.png"]
    assert tree("inbox") == []


@pytest.mark.usefixtures("disk")
def test_files_that_are_the_same_to_the_byte_stay_two() -> None:
    """As a copy of an inbox that keeps times, in one run and in the next."""
    shutil.copytree("inbox", "copy")  # with the times
    assert run("inbox", "copy").moved == {"done": 4, "failed": 2}
    twins = ["1-2.png", "1.png", "sub/2-2.png", "sub/2.png"]
    assert (tree("done"), tree("failed")) == (twins, ["bad-2.png", "bad.png"])
    shutil.copytree("done", "inbox", dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
    assert run().moved["done"] == 4
    assert len(tree("done")) == 8


def test_a_twin_is_not_taken_for_the_copy_that_a_killed_run_has_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def dies(*_: object) -> None:
        raise Killed

    shutil.copytree("inbox", "copy")
    with other_disk():
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(transfer, "_remove_original", dies)
            run("copy")
        assert tree("done")[1:] == ["1.png"]
        assert tree("done")[0].startswith(transfer.NOTE_PREFIX)
        assert run("inbox", out="other.csv").moved["done"] == 2
        assert tree("done")[1:] == ["1-2.png", "1.png", "sub/2.png"]
        run("copy")
    assert tree("copy") == []
    assert tree("done") == ["1-2.png", "1.png", "sub/2-2.png", "sub/2.png"]


def test_a_signal_ends_it_between_two_files() -> None:
    stop = StopRequest()
    stop.asked = Killed()
    run(move_done=None, move_failed=None)
    with pytest.raises(Killed):
        moves_until_asked(stop)
    assert len(tree("done") + tree("failed")) == 1
    assert run().moved.total() == 2


def moves_until_asked(stop: StopRequest) -> None:
    real = stop.raise_if_asked

    def check() -> None:
        if tree("done") or tree("failed"):
            real()

    stop.raise_if_asked = check  # type: ignore[method-assign]
    run(stop=stop)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    nights=st.lists(
        st.tuples(
            st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2)), max_size=4),
            st.integers(0, 12),
        ),
        max_size=5,
    ),
    two_disks=st.booleans(),
)
def test_whatever_happens_no_file_is_lost_or_doubled(
    inbox: Path, save: Save, nights: list[tuple[list[tuple[str, int]], int]], two_disks: bool
) -> None:
    """Each night files come, and the run dies at any of its moves, on one disk or two.

    Many are the same to the byte and to the second: each of them is kept.
    """
    for path in (inbox, Path("done"), Path("failed"), *Path().glob(f"{OUT}*")):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    inbox.mkdir()
    came: list[bytes] = []
    real, count = os.rename, 0

    def dies(one: Any, other: Any) -> None:
        nonlocal count
        count -= 1
        if count == 0:
            raise Killed
        real(one, other)

    for files, dies_at in nights:
        for name, digit in files:
            place = inbox / f"{name}.png"
            if not place.exists():
                save(place.name, drawn(digit))
                if not digit:
                    place.write_bytes(BROKEN)
                os.utime(place, (5, 5))
                came.append(place.read_bytes())
        with pytest.MonkeyPatch.context() as patch, suppress(Killed):
            count = dies_at
            patch.setattr(os, "rename", dies)
            with other_disk() if two_disks else nullcontext():
                run()
        assert not Counter(came) - Counter(contents())
    with other_disk() if two_disks else nullcontext():
        run()
    assert tree("inbox") == []
    assert sorted(contents()) == sorted(came)


def contents() -> list[bytes]:
    places = [path for one in ("inbox", "done", "failed") for path in Path(one).rglob("*")]
    return [
        path.read_bytes() for path in places if path.is_file() and path.name != MOVED_FOLDER_FLAG
    ]


# --- the command line ---


def test_the_second_of_two_runs_lists_what_the_first_one_left() -> None:
    waits = threading.Event()
    seen: list[Summary] = []

    def second() -> None:
        waits.set()
        seen.append(run(wait=30))

    with lock_outputs([OUT]):
        other = threading.Thread(target=second)
        other.start()
        waits.wait()
        Path("inbox/1.png").unlink()
        Path("inbox/bad.png").unlink()
    other.join()
    assert (seen[0].files, seen[0].left) == (1, 0)


MOVE = ("--move-done", "done", "--workers", "0", "--device", "cpu")


@pytest.mark.parametrize("how", ["line", "environment", "file"])
def test_options_come_from_everywhere(
    how: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["run", "inbox", "--out", OUT, "--workers", "0"]
    if how == "line":
        arguments += ["--move-done", "done", "--move-failed", "failed"]
    elif how == "environment":
        monkeypatch.setenv("BATCHDIGITS_MOVE_DONE", "done")
        monkeypatch.setenv("BATCHDIGITS_MOVE_FAILED", "failed")
    else:
        Path("job.toml").write_text('move-done = "done"\nmove_failed = "failed"\n')
        arguments += ["--config", "job.toml"]
    assert cli._run_command_line(arguments) == 3
    assert (len(tree("done")), len(tree("failed"))) == (2, 1)
    assert "; 2 moved as done; 1 moved as failed -> results.csv" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["inbox", "--out", "-"], 2, "give --state with --out -"),
        (["inbox", "--out", OUT, "--move-failed", "inbox"], 2, "lies in a folder for files"),
        (["inbox", "--out", OUT, "--move-failed", ""], 2, "move-failed: "),
        (["inbox", "--out", OUT, "--move-failed", "afile/x"], 5, "files cannot be moved to"),
        (["none", "--out", OUT], 2, "INPUT 'none' does not exist"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("afile").write_text("x")
    assert cli._run_command_line(["run", *MOVE, *arguments]) == code
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert words in err
    assert tree("inbox") == ["1.png", "bad.png", "sub/2.png"]
    assert not Path(OUT).exists()


def test_on_standard_output_with_a_state_rows_are_safe(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli._run_command_line(["run", *MOVE, "inbox", "--out", "-", "--state", "s", "-q"]) == 3
    assert tree("done") == ["1.png", "sub/2.png"]
    first = capsys.readouterr().out
    assert cli._run_command_line(["run", *MOVE, "inbox", "--out", "-", "--state", "s", "-q"]) == 3
    assert capsys.readouterr().out == first


def test_a_reader_of_standard_output_that_leaves_leaves_the_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Closed(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, _: Any) -> int:
            if sys.stdout is text:
                raise BrokenPipeError(errno.EPIPE, "Broken pipe")
            return 1

    text = io.TextIOWrapper(io.BufferedWriter(Closed()))
    text.fileno = lambda: os.open(os.devnull, os.O_WRONLY)  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdout", text)
    with pytest.raises(BrokenPipeError):
        run(out="-", state="s")
    assert tree("inbox") == ["1.png", "bad.png", "sub/2.png"]
    monkeypatch.undo()
    text.close()


def test_a_dry_run_moves_nothing_and_makes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli._run_command_line(["run", *MOVE, "inbox", "--dry-run"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert [path.name for path in Path().iterdir()] == ["inbox"]


def test_a_data_frame_is_no_table_on_disk() -> None:
    with pytest.raises(UsageError, match="use `batchdigits run`"):
        batchdigits.read("inbox", move_done="done")
    assert tree("inbox") == ["1.png", "bad.png", "sub/2.png"]


def test_rows_of_moved_files_are_dropped_by_prune_alone(save: Save) -> None:
    run()
    save("5.png", drawn(5))
    assert run().gone == 0
    save("6.png", drawn(6))
    found = run(prune=True)
    assert (found.pruned, list(rows())) == (4, ["inbox/6.png"])
