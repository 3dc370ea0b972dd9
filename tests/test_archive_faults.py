"""Moving files while something goes wrong: no file is lost, none is doubled."""

import errno
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
from archive_runs import BROKEN, OUT, disk_fixture, other_disk, rows, run, three_fixture, tree  # noqa: F401
from conftest import FakeClassifier, Save, drawn, ordinary_user
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchdigits import run as runs
from batchdigits.archive import moves, transfer
from batchdigits.errors import OutputError
from batchdigits.sources import MOVED_FOLDER_FLAG
from batchdigits.summary import StopRequest


class Killed(BaseException):
    """Stands for the death of the process."""


def between(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Have something happen when the table is written and nothing is moved yet."""
    real = runs.move_files

    def move(*arguments: Any) -> None:
        monkeypatch.setattr(runs, "move_files", real)
        happens()
        real(*arguments)

    monkeypatch.setattr(runs, "move_files", move)


@contextmanager
def before_removal(happens: Callable[[str], object]) -> Iterator[None]:
    """Have something happen, given its path, before a copied file is removed from the inbox.

    A file is renamed within its folder before it is removed.
    """
    real = os.rename

    def rename(one: Any, other: Any) -> None:
        if Path(one).parent == Path(other).parent:
            happens(str(one))
        real(one, other)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "rename", rename)
        yield


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
    save: Save, three: FakeClassifier
) -> None:
    def late(path: str) -> None:
        if path == "inbox/1.png":
            save("1.png", drawn(9, side=40))

    with other_disk():
        with before_removal(late):
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


def test_a_copy_is_removed_where_the_file_itself_cannot_be() -> None:
    """Else every night would make another one."""

    def refused(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    told = r"'inbox/1.png' to 'done': Perm"
    with other_disk(), before_removal(refused), pytest.raises(OutputError, match=told):
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


def test_a_run_that_was_killed_between_copy_and_removal_leaves_one_copy() -> None:
    def dies(*_: object) -> None:
        raise Killed

    with other_disk():
        with before_removal(dies), pytest.raises(Killed):
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


def test_a_twin_is_not_taken_for_the_copy_that_a_killed_run_has_left() -> None:
    def dies(*_: object) -> None:
        raise Killed

    shutil.copytree("inbox", "copy")
    with other_disk():
        with before_removal(dies), pytest.raises(Killed):
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
