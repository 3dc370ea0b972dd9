"""Damage to a state is found, and the damaged file is set aside."""

import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from conftest import ordinary_user
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from state_records import (
    aside,
    entry,
    kept,
    make_newer,
    path_fixture,  # noqa: F401
    told,
)

from batchdigits import state
from batchdigits.errors import OutputError
from batchdigits.state import FileRecord, migrations
from batchdigits.state.aside import set_aside


def another_program(path: str) -> None:
    made = sqlite3.connect(path)
    made.execute("CREATE TABLE photographs (name TEXT)")
    made.commit()
    made.close()


def of_a_version_there_never_was(path: str) -> None:
    """Write an impossible version: taken for a newer one, it would end every run with 5."""
    kept(path)
    make_newer(path, 0x01000004)


def of_a_later_format(path: str) -> None:
    """Write a header that lets SQLite read the file and not write it."""
    kept(path)
    with Path(path).open("r+b") as file:
        file.seek(18)
        file.write(b"\x08")


def half(path: str) -> None:
    kept(path)
    os.truncate(path, os.path.getsize(path) // 2)


def swapped(path: str) -> None:
    """Make damage that SQLite does not notice: a file points to another file's reading."""
    kept(path)
    made = sqlite3.connect(path)
    made.execute("UPDATE files SET reading = 3 WHERE file = 'b.png'")
    made.commit()
    made.close()


def an_index_short(path: str) -> None:
    """Remove a row from an index: only a change of that row would show it."""
    kept(path)
    made = sqlite3.connect(path)
    (page,) = made.execute(
        "SELECT rootpage FROM sqlite_schema WHERE name = 'files_by_reading'"
    ).fetchone()
    (size,) = made.execute("PRAGMA page_size").fetchone()
    made.close()
    data = bytearray(Path(path).read_bytes())
    at = size * (page - 1)
    data[at + 3 : at + 5] = (int.from_bytes(data[at + 3 : at + 5]) - 1).to_bytes(2)  # its cells
    Path(path).write_bytes(data)


def other_tables(path: str) -> None:
    """Drop an index: the rows stay the same, the tables are not those that were made."""
    kept(path)
    made = sqlite3.connect(path)
    made.execute("DROP INDEX readings_by_content")
    made.close()


def changed(*statements: str) -> Callable[[str], None]:
    """Make a sound database of the same rows that batchdigits would not have made."""

    def change(path: str) -> None:
        kept(path)
        with closing(sqlite3.connect(path)) as made, made:
            for statement in statements:
                made.execute(statement)

    return change


SPOILT = {
    "an index that lacks a row": an_index_short,
    "an index gone": other_tables,
    "no database at all": lambda path: Path(path).write_text("file,page,field\n" * 99),
    "another program's": another_program,
    "of a version that there never was": of_a_version_there_never_was,
    "a column more": changed("ALTER TABLE readings ADD COLUMN more"),
    "a column by another name": changed("ALTER TABLE files RENAME size TO bytes"),
    "a table more": changed("CREATE TABLE more (x TEXT)"),
    "a trigger": changed("CREATE TRIGGER more DELETE ON files BEGIN DELETE FROM keys; END"),
    "an index of other columns": changed(
        "DROP INDEX files_by_reading", "CREATE INDEX files_by_reading ON files (size)"
    ),
    "an index that is not unique": changed(
        "DROP INDEX readings_by_content",
        "CREATE INDEX readings_by_content ON readings (content, key) WHERE NOT failed",
    ),
    "of a later format of SQLite's": of_a_later_format,
    "cut in half": half,
    "a reading under another file's name": swapped,
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT.keys())
def test_what_is_no_sound_ledger_is_set_aside_with_a_word(
    path: str, spoil: object, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(path)  # type: ignore[operator]
    before = Path(path).read_bytes()
    Path(f"{path}-journal").write_bytes(b"what an interrupted run of the old one left")
    assert told(path) == []
    assert [one.read_bytes() for one in aside(path)] == [before]
    assert f"the state '{path}' is damaged" in caplog.text
    assert str(aside(path)[0]) in caplog.text
    kept(path)
    assert len(told(path)) == 3


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[FileRecord]]:
    path = str(tmp_path_factory.mktemp("sound") / "results.csv.state")
    kept(path)
    with state.open_store(path) as known, known.transaction():
        key = known.add_key("model 1", "{}")
        for n in range(40):
            known.save_findings(entry(f"{n:03}.png"), key, f"digit {n}", failed=n % 9 == 0)
    Path(path).with_name("whole").write_bytes(Path(path).read_bytes())
    return path, told(path)


VERSION = len(migrations.STEPS).to_bytes(4)
"""As the header holds it."""


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255))))
@example(flips=[])
def test_damage_is_found_or_does_no_harm(
    sound: tuple[str, list[FileRecord]], flips: list[tuple[float, int]]
) -> None:
    """Whatever bytes are damaged: the state returns what was stored, or it is set aside."""
    path, known = sound
    spoilt = bytearray(Path(path).with_name("whole").read_bytes())
    for share, flip in flips:
        spoilt[int(share * len(spoilt))] ^= flip
    Path(path).write_bytes(spoilt)
    for old in aside(path):
        old.unlink()
    try:
        found = told(path)
    except OutputError as error:  # the header says so, and what it says is all there is to go by
        assert "newer batchdigits" in str(error)
        assert spoilt[60:64] != VERSION
        assert Path(path).read_bytes() == spoilt
        return
    assert found == known or (found == [] and len(aside(path)) == 1)


@pytest.mark.parametrize("at", range(60, 64))
def test_a_spoilt_version_does_no_harm(sound: tuple[str, list[FileRecord]], at: int) -> None:
    """Set aside, or refused and left as it is: never taken for a version that it is not."""
    path, _ = sound
    whole = Path(path).with_name("whole").read_bytes()
    for bit in range(8):
        spoilt = bytearray(whole)
        spoilt[at] ^= 1 << bit
        Path(path).write_bytes(spoilt)
        for old in aside(path):
            old.unlink()
        try:
            assert told(path) == []
            assert [one.read_bytes() for one in aside(path)] == [spoilt]
        except OutputError as error:  # by one bit 5 is 4, whose findings are others
            assert re.search("newer batchdigits|cannot be brought from version 4 to 5", str(error))
            assert at == 63
            assert Path(path).read_bytes() == spoilt


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o555)
    for place in (tmp_path, tmp_path / "none" / "x.state"):
        with pytest.raises(OutputError, match="cannot be used"), state.open_store(str(place)):
            pass
    with (
        ordinary_user(),
        pytest.raises(OutputError, match="cannot be used"),
        state.open_store(str(tmp_path / "folder" / "x.state")),
    ):
        pass


def test_a_file_set_aside_keeps_its_ending_and_never_meets_another(tmp_path: Path) -> None:
    names = set()
    for n in range(3):
        (tmp_path / "results.csv").write_text(str(n))
        names.add(set_aside(str(tmp_path / "results.csv")))
    assert len(names) == 3
    assert sorted(Path(name).read_text() for name in names) == ["0", "1", "2"]
    assert all(Path(name).suffix == ".csv" for name in names)
