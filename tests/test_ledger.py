"""The state beside the table: what is known stays known, and what is damaged is never believed."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ordinary_user
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from batchdigits import ledger
from batchdigits.errors import OutputError
from batchdigits.ledger import Entry, Told, Written, base


def entry(file: str, *, size: int = 5, time: int = 7, sure: int = 1, content: str = "") -> Entry:
    return Entry(file, size, time, sure, (content or file).encode())


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "results.csv.state")


def kept(path: str, *, key: str = "model 1") -> None:
    """A ledger of three files: one read, one that failed, one empty of words."""
    with ledger.opened(path) as known, known.together():
        number = known.key(key, '{"threshold": 0.9}')
        known.put(entry("b.png"), number, "seven", failed=False)
        known.put(entry("a.png"), number, "could not be read", failed=True)
        known.put(entry("ä.png"), number, "", failed=False)
        known.wrote("table", Written(10, 20, b"digest", "0.9", "3 ok"))


def told(path: str) -> list[Told]:
    with ledger.opened(path) as known:
        return list(known.told())


def aside(path: str) -> list[Path]:
    return sorted(Path(path).parent.glob("results.csv.kept-*"))


def test_what_is_put_is_told_again_in_the_order_of_bytes(path: str) -> None:
    kept(path)
    assert [(one.file, one.told) for one in told(path)] == [
        ("a.png", "could not be read"),
        ("b.png", "seven"),
        ("ä.png", ""),
    ]
    assert {one.terms for one in told(path)} == {'{"threshold": 0.9}'}
    with ledger.opened(path) as known:
        assert known.written("table") == Written(10, 20, b"digest", "0.9", "3 ok")
        assert known.written("digits") is None


@pytest.mark.parametrize(
    ("now", "key", "read"),
    [
        pytest.param(entry("b.png"), "model 1", False, id="as it was"),
        pytest.param(entry("b.png", size=6), "model 1", True, id="larger"),
        pytest.param(entry("b.png", time=8), "model 1", True, id="written to, or touched"),
        pytest.param(entry("b.png", time=6), "model 1", True, id="an older file in its place"),
        pytest.param(entry("b.png"), "model 2", True, id="another model"),
        pytest.param(entry("a.png"), "model 1", True, id="failed"),
        pytest.param(entry("c.png"), "model 1", True, id="new"),
    ],
)
def test_only_what_is_new_changed_or_failed_is_read(
    path: str, now: Entry, key: str, read: bool
) -> None:
    kept(path)
    with ledger.opened(path) as known:
        known.look([entry("ä.png"), now])
        assert (1 in known.to_read(known.key(key, "{}"))) is read


def test_a_file_that_may_change_unseen_is_looked_into_again(path: str) -> None:
    """Written to within the clock's grain of when it was read: size and time prove nothing."""
    with ledger.opened(path) as known:
        key = known.key("model", "{}")
        known.put(entry("a.png", sure=False), key, "seven", failed=False)
        known.look([entry("a.png")])
        assert known.to_read(key) == [0]
        assert known.same(entry("a.png"), key)
        assert known.to_read(key) == []


def test_a_moved_file_is_known_by_its_content_under_the_same_key_alone(path: str) -> None:
    kept(path)
    moved = entry("c.png", content="b.png")
    with ledger.opened(path) as known:
        assert not known.same(moved, known.key("model 2", "{}"))
        assert not known.same(entry("c.png", content="a.png"), known.key("model 1", "{}"))
        assert known.same(moved, known.key("model 1", "{}"))
        assert {one.file: one.told for one in known.told()}["c.png"] == "seven"


def test_files_that_are_gone_stay_until_they_are_pruned(path: str) -> None:
    kept(path)
    with ledger.opened(path) as known:
        known.look([entry("b.png")])
        assert [(one.file, one.here) for one in known.told()] == [
            ("a.png", False),
            ("b.png", True),
            ("ä.png", False),
        ]
        assert known.gone() == [("a.png", True), ("ä.png", False)]
        assert known.prune(["ä.png"], moved=True) == 1
        assert [one.file for one in known.told()] == ["a.png", "b.png"]
        assert known.prune(["a.png"], moved=True) == 1
        known.tidy()
        assert [one.file for one in known.told()] == ["b.png"]
    assert len(told(path)) == 1


def test_what_is_told_of_a_file_takes_the_place_of_what_was(path: str) -> None:
    kept(path)
    with ledger.opened(path) as known:
        key = known.key("model 2", "{}")
        known.put(entry("b.png", size=9, content="new"), key, "eight", failed=False)
        known.put(entry("a.png"), key, "nine", failed=False)
        known.tidy()
        assert [(one.file, one.told) for one in known.told()] == [
            ("a.png", "nine"),
            ("b.png", "eight"),
            ("ä.png", ""),
        ]


def test_all_that_is_put_together_is_kept_or_none_of_it(path: str) -> None:
    kept(path)
    before = told(path)
    with ledger.opened(path) as known, pytest.raises(KeyboardInterrupt), known.together():
        known.put(entry("c.png"), known.key("model 1", "{}"), "one", failed=False)
        raise KeyboardInterrupt
    assert told(path) == before


def test_a_process_that_dies_in_the_middle_leaves_what_was_kept(path: str) -> None:
    kept(path)
    before = told(path)
    script = (
        "import os, sys\nfrom batchdigits import ledger\n"
        "with ledger.opened(sys.argv[1]) as known, known.together():\n"
        "    key = known.key('model 1', '{}')\n"
        "    for n in range(20000):\n"
        "        known.put(ledger.Entry(f'{n}', 1, 1, True, b'%d' % n), key, 'x' * 200,"
        " failed=False)\n"
        "    os._exit(9)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(ledger.__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", script, path], env=environment, check=False)
    assert done.returncode == 9
    assert told(path) == before
    assert not aside(path)


OLDER = [pytest.param(version, id=f"version {version}") for version in range(len(base.STEPS))]


@pytest.mark.parametrize("version", OLDER)
def test_a_ledger_of_an_older_version_is_brought_up_to_date(path: str, version: int) -> None:
    made = sqlite3.connect(path)
    for step in base.STEPS[:version]:
        made.executescript(step)
    if version:
        terms = ("model 1", "{}")
        reading = (b"b.png", 1, 0, "seven")
        file = ("b.png", 5, 7, 1, b"b.png", 1)
        made.execute("INSERT INTO keys VALUES (1, ?, ?, ?)", (*terms, base.checksum(*terms)))
        made.execute(
            "INSERT INTO readings VALUES (1, ?, ?, ?, ?, ?)", (*reading, base.checksum(*reading))
        )
        made.execute(
            "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?)", (*file, base.checksum(*file))
        )
    made.execute(f"PRAGMA application_id = {base.APPLICATION}")
    made.execute(f"PRAGMA user_version = {version}")
    made.commit()
    made.close()
    assert [one.told for one in told(path)] == ["seven"] * bool(version)
    kept(path)
    assert len(told(path)) == 3
    assert not aside(path)


def another_program(path: str) -> None:
    made = sqlite3.connect(path)
    made.execute("CREATE TABLE photographs (name TEXT)")
    made.commit()
    made.close()


def of_a_later_version(path: str) -> None:
    kept(path)
    made = sqlite3.connect(path)
    made.execute(f"PRAGMA user_version = {len(base.STEPS) + 1}")
    made.close()


def of_a_later_format(path: str) -> None:
    """What SQLite itself would read and not write, as it says in the header."""
    kept(path)
    with Path(path).open("r+b") as file:
        file.seek(18)
        file.write(b"\x08")


def half(path: str) -> None:
    kept(path)
    os.truncate(path, os.path.getsize(path) // 2)


def swapped(path: str) -> None:
    """What SQLite would never notice: a file points to another's reading."""
    kept(path)
    made = sqlite3.connect(path)
    made.execute("UPDATE files SET reading = 3 WHERE file = 'b.png'")
    made.commit()
    made.close()


def an_index_short(path: str) -> None:
    """A row that an index does not lead to: it would be found out by the first change of it."""
    kept(path)
    made = sqlite3.connect(path)
    (page,) = made.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'told_of'").fetchone()
    (size,) = made.execute("PRAGMA page_size").fetchone()
    made.close()
    data = bytearray(Path(path).read_bytes())
    at = size * (page - 1)
    data[at + 3 : at + 5] = (int.from_bytes(data[at + 3 : at + 5]) - 1).to_bytes(2)  # its cells
    Path(path).write_bytes(data)


def other_tables(path: str) -> None:
    """A table that is not what was made, though it holds the same."""
    kept(path)
    made = sqlite3.connect(path)
    made.execute("DROP INDEX reading")
    made.close()


SPOILT = {
    "an index that lacks a row": an_index_short,
    "an index gone": other_tables,
    "no database at all": lambda path: Path(path).write_text("file,page,field\n" * 99),
    "another program's": another_program,
    "of a later version": of_a_later_version,
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
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Told]]:
    path = str(tmp_path_factory.mktemp("sound") / "results.csv.state")
    kept(path)
    with ledger.opened(path) as known, known.together():
        key = known.key("model 1", "{}")
        for n in range(40):
            known.put(entry(f"{n:03}.png"), key, f"digit {n}", failed=n % 9 == 0)
    Path(path).with_name("whole").write_bytes(Path(path).read_bytes())
    return path, told(path)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255))))
@example(flips=[])
def test_damage_is_found_or_does_no_harm(
    sound: tuple[str, list[Told]], flips: list[tuple[float, int]]
) -> None:
    """Whatever bytes a disk spoils: what is told is what was kept, or the ledger is set aside."""
    path, known = sound
    spoilt = bytearray(Path(path).with_name("whole").read_bytes())
    for share, flip in flips:
        spoilt[int(share * len(spoilt))] ^= flip
    Path(path).write_bytes(spoilt)
    for old in aside(path):
        old.unlink()
    found = told(path)
    assert found == known or (found == [] and len(aside(path)) == 1)


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o555)
    for place in (tmp_path, tmp_path / "none" / "x.state"):
        with pytest.raises(OutputError, match="cannot be used"), ledger.opened(str(place)):
            pass
    with (
        ordinary_user(),
        pytest.raises(OutputError, match="cannot be used"),
        ledger.opened(str(tmp_path / "folder" / "x.state")),
    ):
        pass


def test_a_file_set_aside_keeps_its_ending_and_never_meets_another(tmp_path: Path) -> None:
    names = set()
    for n in range(3):
        (tmp_path / "results.csv").write_text(str(n))
        names.add(ledger.set_aside(str(tmp_path / "results.csv")))
    assert len(names) == 3
    assert sorted(Path(name).read_text() for name in names) == ["0", "1", "2"]
    assert all(Path(name).suffix == ".csv" for name in names)


def test_what_was_moved_is_not_gone_and_what_comes_in_its_place_is_new(path: str) -> None:
    kept(path)
    here = [entry("b.png"), entry("ä.png")]
    with ledger.opened(path) as known:
        key = known.key("model 1", "{}")
        known.look(here)
        assert (known.to_read(key), known.gone()) == ([], [("a.png", True)])
        known.stand([entry("b.png")._replace(size=ledger.MOVED, time=ledger.MOVED)])
        assert known.to_read(key) == [0]
        assert known.replaces(entry("b.png", content="other"))
        assert not known.replaces(entry("b.png"))
        assert not known.replaces(entry("ä.png", content="other"))
        known.look([])
        assert [file for file, _ in known.gone()] == ["a.png", "ä.png"]
        assert [one.told for one in known.told()].count("seven") == 1
        assert known.prune([], moved=False) == 0
        assert known.prune([], moved=True) == 1
    assert not aside(path)


def test_what_is_told_anew_of_a_content_takes_the_place_of_what_was(path: str) -> None:
    """Another machine, or another version of a library, may read it otherwise."""
    kept(path)
    with ledger.opened(path) as known:
        key = known.key("model 1", "{}")
        known.put(entry("c.png", content="b.png"), key, "eight", failed=False)
    found = {one.file: one.told for one in told(path)}
    assert (found["b.png"], found["c.png"], len(found)) == ("eight", "eight", 4)
    assert not aside(path)


def test_a_file_with_anothers_name_size_and_time_is_in_doubt(path: str) -> None:
    kept(path)
    with ledger.opened(path) as known:
        key = known.key("model 1", "{}")
        known.look([entry("b.png")])
        assert known.to_read(key) == []
        known.look([entry("b.png")._replace(sure=2)])
        assert known.to_read(key) == [0]


def test_files_are_given_part_by_part(path: str) -> None:
    kept(path)
    with ledger.opened(path) as known:
        key = known.key("model 1", "{}")
        known.look([entry("ä.png"), entry("x.png"), entry("b.png"), entry("a.png")])
        parts, after = [], ""
        while part := known.part(key, after, 2):
            parts.append([(at, one.file) for at, one, _ in part])
            after = part[-1][1].file
        assert parts == [[(3, "a.png"), (2, "b.png")], [(0, "ä.png")]]
        assert [told for *_, told in known.part(key, "", 9)] == ["could not be read", "", ""]
        assert known.part(known.key("model 2", "{}"), "", 9) == []
        assert known.knows("a.png")
        assert not known.knows("x.png")
