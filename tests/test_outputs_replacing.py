"""A table is replaced all at once or not at all, and keeps what belongs to its place."""

import io
import os
import signal
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import openpyxl  # type: ignore[import-untyped]
import pytest
from outputs_tables import (
    FORMATS,
    GOLDEN_CSV,
    TRICKY,
    here_fixture,  # noqa: F401
    linux,
    many,
    put,
    python,
    start,
)

from batchdigits import outputs
from batchdigits.errors import OutputError
from batchdigits.outputs import (
    open_table_writer,
)
from batchdigits.records import Row

# --- all or nothing ---


class AnyStop(BaseException):
    """Stands for an exception of any kind in the block."""


@pytest.mark.parametrize("stop", [ValueError, OSError, KeyboardInterrupt, AnyStop])
@pytest.mark.parametrize("ending", FORMATS)
def test_an_exception_leaves_the_old_table(ending: str, stop: type[BaseException]) -> None:
    old = put(f"out{ending}", TRICKY)
    with pytest.raises(stop), open_table_writer(f"out{ending}") as write:
        write(many(20))
        raise stop
    assert Path(f"out{ending}").read_bytes() == old
    assert os.listdir() == [f"out{ending}"]


def test_a_fault_of_whoever_makes_the_rows_stays_theirs() -> None:
    def rows() -> Iterator[Row]:
        yield TRICKY[0]
        raise FileNotFoundError("a picture")

    with pytest.raises(FileNotFoundError, match="a picture"), open_table_writer("out.csv") as write:
        write(rows())
    assert os.listdir() == []


@pytest.mark.parametrize("ending", FORMATS)
def test_the_old_table_stands_until_the_end(ending: str) -> None:
    old = put(f"out{ending}", TRICKY)
    with open_table_writer(f"out{ending}") as write:
        write(many(9))
        assert Path(f"out{ending}").read_bytes() == old
        others = set(os.listdir()) - {f"out{ending}"}
        assert others
        assert all(name.startswith(".") and name.endswith(".tmp") for name in others)
    assert Path(f"out{ending}").read_bytes() != old
    assert os.listdir() == [f"out{ending}"]


@pytest.mark.parametrize("ending", [".csv", ".xlsx"])
def test_a_hard_kill_leaves_the_old_table(ending: str) -> None:
    old = put(f"out{ending}", TRICKY)
    code = f"""
with open_table_writer("out{ending}") as write:
    write(some(20_000))
    print("half", flush=True)
    sys.stdin.read()
"""
    with start(code, stdin=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "half\n"
        run.kill()
        assert run.wait() == -signal.SIGKILL
    assert Path(f"out{ending}").read_bytes() == old
    others = set(os.listdir()) - {f"out{ending}"}
    assert all(name.startswith(".batchdigits-") and name.endswith(".tmp") for name in others)
    assert put(f"out{ending}", TRICKY) == old  # and the next run is not disturbed


@pytest.mark.parametrize("ending", FORMATS)
def test_a_full_disk_leaves_the_old_table(ending: str) -> None:
    old = put(f"out{ending}", TRICKY)
    code, out, err = python(f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    with open_table_writer("out{ending}") as write:
        write(some(2000))
except OutputError as fault:
    print(fault, end="")
""")
    assert (code, err) == (0, "")
    assert out.startswith(f"cannot write 'out{ending}': ")
    assert "File too large" in out
    assert "\n" not in out
    assert Path(f"out{ending}").read_bytes() == old
    assert os.listdir() == [f"out{ending}"]


@linux
def test_the_file_is_synced_before_it_takes_its_place_and_the_folder_after(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = put("out.csv", TRICKY)
    seen: list[tuple[str, bool]] = []

    def fsync(descriptor: int) -> None:
        seen.append((os.readlink(f"/proc/self/fd/{descriptor}"), path.read_bytes() == old))

    path = here / "out.csv"
    monkeypatch.setattr(os, "fsync", fsync)
    put("out.csv", many(2))
    assert [old_stands for _, old_stands in seen] == [True, False]
    assert [Path(name).parent for name, _ in seen] == [here, here.parent]


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("ending", FORMATS)
def test_a_fault_at_the_very_end_leaves_the_old_table(
    ending: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = put(f"out{ending}", TRICKY)

    def fail(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with (
            pytest.raises(OutputError, match="Permission denied"),
            open_table_writer(f"out{ending}") as write,
        ):
            write(many(5))
    assert Path(f"out{ending}").read_bytes() == old
    assert os.listdir() == [f"out{ending}"]


def test_a_fault_while_the_sheet_is_packed_leaves_the_old_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = put("out.xlsx", TRICKY)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "utime", fail)  # which XlsxWriter calls for each part of the file
        with pytest.raises(OutputError, match="No space left"):
            put("out.xlsx", many(5))
    assert Path("out.xlsx").read_bytes() == old
    assert os.listdir() == ["out.xlsx"]


def test_the_sheet_is_spooled_beside_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    # The folder for temporary files is often small, and the sheet may be large.
    monkeypatch.setattr(tempfile, "tempdir", "/missing")
    assert zipfile.is_zipfile(io.BytesIO(put("out.xlsx", TRICKY)))


def test_a_folder_that_vanishes_is_told(here: Path) -> None:
    Path("sub").mkdir()
    with (
        pytest.raises(OutputError, match="No such file"),
        open_table_writer("sub/out.csv") as write,
    ):
        write(many(5))
        for path in Path("sub").iterdir():
            path.unlink()
        Path("sub").rmdir()
    assert os.listdir() == []


@pytest.mark.parametrize("count", [5, 6])
def test_a_sheet_holds_so_many_rows(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    old = put("out.xlsx", TRICKY)
    monkeypatch.setattr(outputs.xlsx, "SHEET_ROWS", 6)  # the header and five
    if count == 5:
        put("out.xlsx", many(count))
        assert openpyxl.load_workbook("out.xlsx")["results"].max_row == 6
    else:
        with pytest.raises(OutputError, match=r"holds 5 rows, .*choose \.csv"):
            put("out.xlsx", many(count))
        assert Path("out.xlsx").read_bytes() == old
    assert os.listdir() == ["out.xlsx"]


def test_the_real_limit_of_a_sheet() -> None:
    assert outputs.xlsx.SHEET_ROWS == 2**20


# --- what stands at the place already ---


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o444])
@pytest.mark.parametrize("ending", FORMATS)
def test_an_old_table_keeps_its_mode(ending: str, mode: int) -> None:
    path = Path(f"out{ending}")
    path.touch()
    path.chmod(mode)
    with open_table_writer(str(path)) as write:
        write(TRICKY)
        # nor is what will be private ever open to others
        (hidden,) = (p for p in Path().glob(".batchdigits-*") if p.is_file())
        assert hidden.stat().st_mode & 0o7777 == 0o600
    assert path.stat().st_mode & 0o7777 == mode


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
@pytest.mark.parametrize("ending", FORMATS)
def test_a_new_table_has_the_usual_mode(ending: str, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        put(f"out{ending}", TRICKY)
    finally:
        os.umask(before)
    assert Path(f"out{ending}").stat().st_mode & 0o7777 == mode


@pytest.mark.parametrize("ending", FORMATS)
def test_a_link_is_followed_and_kept(ending: str) -> None:
    Path("real").mkdir()
    target = Path(f"real/table{ending}")
    target.write_text("old", encoding="utf-8")
    Path(f"out{ending}").symlink_to(target)
    content = put(f"out{ending}", TRICKY)
    assert Path(f"out{ending}").is_symlink()
    assert target.read_bytes() == content != b"old"
    assert sorted(os.listdir("real")) == [target.name]


def test_a_link_to_nothing_makes_what_it_names() -> None:
    Path("real").mkdir()
    Path("out.csv").symlink_to("real/new.csv")
    put("out.csv", TRICKY)
    assert Path("real/new.csv").read_text(encoding="utf-8") == GOLDEN_CSV


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize(
    "name", ["a b 値", "x" * 240, pytest.param("caf\udce9", marks=linux), "-out"]
)
def test_any_name_will_do(ending: str, name: str) -> None:
    assert put(f"{name}{ending}", TRICKY) == put(f"plain{ending}", TRICKY)


@linux
@pytest.mark.parametrize("ending", FORMATS)
def test_any_folder_will_do(ending: str) -> None:
    os.mkdir("caf\udce9 s3:")
    assert put(f"caf\udce9 s3:/out{ending}", TRICKY) == put(f"out{ending}", TRICKY)
