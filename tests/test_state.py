"""The state beside the table: what is known stays known, and what is damaged is never believed."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import FakeClassifier, Save, drawn, ordinary_user
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from batchdigits import cli, state
from batchdigits.errors import OutputError
from batchdigits.records import FileSnapshot
from batchdigits.state import FileRecord, TableRecord, base, checksums, migrations
from batchdigits.state.aside import set_aside
from batchdigits.state.name_findings import name_findings


def entry(
    file: str, *, size: int = 5, time: int = 7, sure: int = 1, content: str = ""
) -> FileSnapshot:
    return FileSnapshot(file, size, time, sure, (content or file).encode())


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "results.csv.state")


def kept(path: str, *, key: str = "model 1") -> None:
    """A ledger of three files: one read, one that failed, one empty of words."""
    with state.open_store(path) as known, known.transaction():
        number = known.add_key(key, '{"threshold": 0.9}')
        known.save_findings(entry("b.png"), number, "seven", failed=False)
        known.save_findings(entry("a.png"), number, "could not be read", failed=True)
        known.save_findings(entry("ä.png"), number, "", failed=False)
        known.save_table_record("table", TableRecord(10, 20, b"digest", "0.9", "3 ok"))


def told(path: str) -> list[FileRecord]:
    with state.open_store(path) as known:
        return list(known.list_file_records())


def aside(path: str) -> list[Path]:
    return sorted(Path(path).parent.glob("results.csv.kept-*"))


def test_what_is_put_is_told_again_in_the_order_of_bytes(path: str) -> None:
    kept(path)
    assert [(one.file, one.findings) for one in told(path)] == [
        ("a.png", "could not be read"),
        ("b.png", "seven"),
        ("ä.png", ""),
    ]
    assert {one.thresholds for one in told(path)} == {'{"threshold": 0.9}'}
    with state.open_store(path) as known:
        assert known.load_table_record("table") == TableRecord(10, 20, b"digest", "0.9", "3 ok")
        assert known.load_table_record("digits") is None


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
    path: str, now: FileSnapshot, key: str, read: bool
) -> None:
    kept(path)
    with state.open_store(path) as known:
        known.set_run_files([entry("ä.png"), now])
        assert (1 in known.find_files_to_read(known.add_key(key, "{}"))) is read


def test_a_file_that_may_change_unseen_is_looked_into_again(path: str) -> None:
    """Written to within the clock's grain of when it was read: size and time prove nothing."""
    with state.open_store(path) as known:
        key = known.add_key("model", "{}")
        known.save_findings(entry("a.png", sure=False), key, "seven", failed=False)
        known.set_run_files([entry("a.png")])
        assert known.find_files_to_read(key) == [0]
        assert known.reuse_reading(entry("a.png"), key)
        assert known.find_files_to_read(key) == []


def test_a_moved_file_is_known_by_its_content_under_the_same_key_alone(path: str) -> None:
    kept(path)
    moved = entry("c.png", content="b.png")
    with state.open_store(path) as known:
        assert not known.reuse_reading(moved, known.add_key("model 2", "{}"))
        assert not known.reuse_reading(
            entry("c.png", content="a.png"), known.add_key("model 1", "{}")
        )
        assert known.reuse_reading(moved, known.add_key("model 1", "{}"))
        assert {one.file: one.findings for one in known.list_file_records()}["c.png"] == "seven"


def test_files_that_are_gone_stay_until_they_are_pruned(path: str) -> None:
    kept(path)
    with state.open_store(path) as known:
        known.set_run_files([entry("b.png")])
        assert [(one.file, one.here) for one in known.list_file_records()] == [
            ("a.png", False),
            ("b.png", True),
            ("ä.png", False),
        ]
        assert known.list_gone_files() == [("a.png", True), ("ä.png", False)]
        assert known.prune_files(["ä.png"], moved=True) == 1
        assert [one.file for one in known.list_file_records()] == ["a.png", "b.png"]
        assert known.prune_files(["a.png"], moved=True) == 1
        known.drop_unused_findings()
        assert [one.file for one in known.list_file_records()] == ["b.png"]
    assert len(told(path)) == 1


def test_what_is_told_of_a_file_takes_the_place_of_what_was(path: str) -> None:
    kept(path)
    with state.open_store(path) as known:
        key = known.add_key("model 2", "{}")
        known.save_findings(entry("b.png", size=9, content="new"), key, "eight", failed=False)
        known.save_findings(entry("a.png"), key, "nine", failed=False)
        known.drop_unused_findings()
        assert [(one.file, one.findings) for one in known.list_file_records()] == [
            ("a.png", "nine"),
            ("b.png", "eight"),
            ("ä.png", ""),
        ]


def test_all_that_is_put_together_is_kept_or_none_of_it(path: str) -> None:
    kept(path)
    before = told(path)
    with state.open_store(path) as known, pytest.raises(KeyboardInterrupt), known.transaction():
        known.save_findings(entry("c.png"), known.add_key("model 1", "{}"), "one", failed=False)
        raise KeyboardInterrupt
    assert told(path) == before


def test_a_process_that_dies_in_the_middle_leaves_what_was_kept(path: str) -> None:
    kept(path)
    before = told(path)
    script = (
        "import os, sys\nfrom batchdigits import records, state\n"
        "with state.open_store(sys.argv[1]) as known, known.transaction():\n"
        "    key = known.add_key('model 1', '{}')\n"
        "    for n in range(20000):\n"
        "        entry = records.FileSnapshot(f'{n}', 1, 1, True, b'%d' % n)\n"
        "        known.save_findings(entry, key, 'x' * 200, failed=False)\n"
        "    os._exit(9)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(state.__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", script, path], env=environment, check=False)
    assert done.returncode == 9
    assert told(path) == before
    assert not aside(path)


TEXT = '[[1,null,"",null,[[null,"",[0,0,28,28],[7,0.9,2,false,{"2":0.1}]]],null,true,null,[]]]'
"""Findings as states before version 4 hold them."""
ROWS: dict[str, tuple[int, list[tuple[Any, ...]]]] = {
    "keys": (1, [("model 1", "{}")]),
    "readings": (1, [(b"b.png", 1, 0, TEXT), (b"\xe4.png", 1, 0, TEXT), (None, 1, 1, "[]")]),
    "files": (
        1,
        [
            ("b.png", 5, 7, 1, b"b.png", 1),
            ("\xe4.png", 5, 7, 1, b"\xe4.png", 2),
            (
                "\u0378",
                -1,
                -1,
                1,
                None,
                3,
            ),  # a letter of no Unicode yet: how Python writes it varies
        ],
    ),
    "written": (2, [("table", 10, 20, b"digest", "0.9", "3 ok")]),
    "pages": (3, [("long.pdf", 4, 5, 7, 1, TEXT)]),
}
"""Of each table the version that brought it, and rows without an id and a checksum."""


def older(path: str, version: int) -> None:
    """A state as a batchdigits of that version left it."""
    made = sqlite3.connect(path, isolation_level=None)
    for step in migrations.STEPS[:version]:
        migrations.run_step(made, step)
    for table, (since, rows) in ROWS.items() if version else ():
        for number, row in enumerate(rows if since <= version else (), 1):
            own = [number] if table in ("keys", "readings") else []
            of_row = checksums.compute_old_checksum if version < 4 else checksums.compute_checksum
            values = [*own, *row, of_row(*row)]
            marks = ", ".join("?" * len(values))
            made.execute(f"INSERT INTO {table} VALUES ({marks})", values)
    made.execute(f"PRAGMA application_id = {base.APPLICATION_ID}")
    made.execute(f"PRAGMA user_version = {version}")
    made.close()


def version_of(path: str) -> int:
    with closing(sqlite3.connect(path)) as made:
        return int(made.execute("PRAGMA user_version").fetchone()[0])


def look(known: state.StateStore) -> int:
    """Look at the file of the rows above of which a page was read; gives the key."""
    known.set_run_files([entry("long.pdf")])
    return known.add_key("model 1", "{}")


@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_a_ledger_of_an_older_version_is_brought_up_to_date(path: str, version: int) -> None:
    older(path, version)
    named = name_findings(TEXT)
    wanted = [("b.png", named), ("\u0378", name_findings("[]")), ("\xe4.png", named)]
    for _ in range(2):  # the second time it is as this version left it
        with state.open_store(path) as known:
            found = [(one.file, one.findings) for one in known.list_file_records()]
            assert found == (sorted(wanted) if version else [])
            left = TableRecord(10, 20, b"digest", "0.9", "3 ok") if version >= 2 else None
            assert known.load_table_record("table") == left
            pages = {"long.pdf": {4: named}} if version >= 3 else {}
            assert known.load_page_findings(look(known)) == pages
        assert version_of(path) == len(migrations.STEPS) == 4
    kept(path)
    assert len(told(path)) == (4 if version else 3)
    assert not aside(path)


DAMAGED = [
    pytest.param(version, table, id=f"version {version}, {table}")
    for version in (1, 2, 3)
    for table, (since, _) in ROWS.items()
    if since <= version
]


@pytest.mark.parametrize(("version", "table"), DAMAGED)
def test_damage_to_an_older_version_is_found_before_it_gets_new_checksums(
    path: str, version: int, table: str, caplog: pytest.LogCaptureFixture
) -> None:
    older(path, version)
    column = {"keys": "terms", "readings": "told", "files": "size"}.get(table, "size")
    with closing(sqlite3.connect(path)) as made, made:
        value = "'[]'" if column in ("terms", "told") else "6"
        assert made.execute(f"UPDATE {table} SET {column} = {value}").rowcount
    before = Path(path).read_bytes()
    assert told(path) == []
    assert [one.read_bytes() for one in aside(path)] == [before]
    assert f"a row of its table '{table}' is not what was written" in caplog.text


def fails_at_last(made: sqlite3.Connection) -> None:
    made.execute("UPDATE files SET size = 0")
    raise RuntimeError("it ends here")


@pytest.mark.parametrize("version", [0, 1, 2, 3, 4])
def test_a_migration_that_fails_leaves_the_old_version_whole(
    path: str, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    older(path, version)
    before = Path(path).read_bytes()
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="it ends here"):
        patch.setattr(migrations, "STEPS", [*migrations.STEPS, fails_at_last])
        told(path)
    assert Path(path).read_bytes() == before
    assert not Path(f"{path}-journal").exists()
    assert len(told(path)) == (3 if version else 0)
    assert not aside(path)


def test_what_a_migration_cannot_bring_over_is_left_as_it_was(path: str) -> None:
    """Its rows are what was written, so nothing is damaged: the fault is the program's."""
    older(path, 3)
    row = (b"b.png", 1, 0, "seven")
    with closing(sqlite3.connect(path)) as made, made:
        values = ("seven", checksums.compute_old_checksum(*row))
        made.execute("UPDATE readings SET told = ?, sum = ? WHERE id = 1", values)
    before = Path(path).read_bytes()
    with pytest.raises(OutputError, match=r"cannot be brought from version 3 to 4 .* left as it"):
        told(path)
    assert Path(path).read_bytes() == before
    assert not aside(path)


def test_a_process_that_dies_while_it_migrates_leaves_the_old_version(path: str) -> None:
    """Half of it is on the disk by then, and a journal, which undoes it."""
    older(path, 3)
    with closing(sqlite3.connect(path)) as made, made:
        for n in range(2000):
            row = (b"%d" % n, 1, 0, TEXT)
            values = (*row, checksums.compute_old_checksum(*row))
            made.execute(
                "INSERT INTO readings (content, key, failed, told, sum) VALUES (?, ?, ?, ?, ?)",
                values,
            )
    before = Path(path).read_bytes()
    script = (
        "import os, sys\nfrom batchdigits import state\n"
        "from batchdigits.state import migrations\n"
        "*steps, last = migrations.STEPS\n"
        "def dies(made):\n"
        "    made.execute('PRAGMA cache_size = 10')\n"
        "    last(made)\n"
        "    os._exit(9)\n"
        "migrations.STEPS[-1] = dies\n"
        "with state.open_store(sys.argv[1]): pass\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(state.__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", script, path], env=environment, check=False)
    assert done.returncode == 9
    assert Path(path).read_bytes() != before
    assert version_of(path) == 3
    assert Path(path).read_bytes() == before
    assert [one.file for one in told(path)] == ["b.png", "\xe4.png", "\u0378"]
    assert not aside(path)


def adds_a_column(made: sqlite3.Connection) -> None:
    made.execute("ALTER TABLE keys ADD COLUMN note TEXT NOT NULL DEFAULT ''")
    made.create_function("checksum_5", -1, checksums.compute_checksum)
    made.execute("UPDATE keys SET checksum = checksum_5(key, thresholds, note)")


LATER: dict[str, migrations.Step] = {
    "a column renamed": "ALTER TABLE written RENAME summary TO counts",
    "a column more": adds_a_column,
    "a table and an index more": "CREATE TABLE x (y TEXT, checksum INTEGER);"
    " CREATE INDEX z ON x (y)",
}


@pytest.mark.parametrize("step", LATER.values(), ids=LATER.keys())
@pytest.mark.parametrize("version", [1, 4])
def test_a_later_change_of_the_tables_is_no_damage(
    path: str, version: int, step: migrations.Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    older(path, version)
    if version == 4:
        Path(path).unlink()
        kept(path)
    monkeypatch.setattr(migrations, "STEPS", [*migrations.STEPS, step])
    for _ in range(2):
        assert len(told(path)) == 3
        assert version_of(path) == 5
    assert not aside(path)


def test_tables_that_are_spelled_otherwise_are_no_damage(path: str) -> None:
    """As by another SQLite, which may write down in its own way what it was told."""
    kept(path)
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("PRAGMA writable_schema = ON")
        made.execute("UPDATE sqlite_schema SET sql = replace(sql, ', ', ' ,\n')")
    assert len(told(path)) == 3
    assert not aside(path)


def newer(path: str) -> None:
    kept(path)
    make_newer(path, 5)


def make_newer(path: str, version: int) -> None:
    with closing(sqlite3.connect(path)) as made:
        made.execute(f"PRAGMA user_version = {version}")


def newer_with_other_tables(path: str) -> None:
    with closing(sqlite3.connect(path)) as made, made:
        made.execute(f"PRAGMA application_id = {base.APPLICATION_ID}")
        made.execute("CREATE TABLE everything (name TEXT)")
    make_newer(path, 7)


def newer_in_another_mode(path: str) -> None:
    newer(path)
    with closing(sqlite3.connect(path)) as made:
        made.execute("PRAGMA journal_mode = WAL")


def newer_and_spoilt(path: str) -> None:
    """Whether it is whole is for the version that knows it to say."""
    newer(path)
    os.truncate(path, os.path.getsize(path) // 2)


@pytest.mark.parametrize(
    ("make", "version"),
    [
        (newer, 5),
        (newer_with_other_tables, 7),
        (newer_in_another_mode, 5),
        (newer_and_spoilt, 5),
    ],
)
def test_a_state_of_a_newer_version_ends_the_run_and_is_left_untouched(
    make: Callable[[str], None],
    version: int,
    save: Save,
    fake_classifier: FakeClassifier,
    capsys: pytest.CaptureFixture[str],
) -> None:
    save("1.png", drawn(1))
    state = Path("results.csv.state")
    make(str(state))
    os.utime(state, ns=(5, 7))
    state.chmod(0o600)
    before, stood = state.read_bytes(), state.stat()
    assert cli._run_command_line(["run", "inbox", "--out", "results.csv", "--workers", "0"]) == 5
    assert capsys.readouterr().err.splitlines()[-1] == (
        "batchdigits: the state 'results.csv.state' was written by a newer batchdigits (its "
        f"version {version}, this one knows 4): install that version, or give another place by "
        "--state"
    )
    assert state.read_bytes() == before
    assert (state.stat().st_mtime_ns, state.stat().st_ino) == (7, stood.st_ino)
    visible = [one.name for one in Path().iterdir() if not one.name.startswith(".")]
    assert sorted(visible) == ["inbox", "results.csv.state"]
    with_other = ["--state", "other.state", "--workers", "0"]
    assert cli._run_command_line(["run", "inbox", "--out", "results.csv", *with_other]) == 0
    assert state.read_bytes() == before


def test_what_a_newer_version_began_and_never_ended_is_undone(path: str, tmp_path: Path) -> None:
    """It died as it wrote the header of its version: the journal says that it was this one's."""
    kept(path)
    before = told(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as made:
        made.execute("PRAGMA cache_size = 1")
        made.execute("BEGIN IMMEDIATE")
        made.execute("PRAGMA user_version = 5")
        made.execute(
            "CREATE TABLE x AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1"
            " FROM n LIMIT 3000) SELECT i, hex(zeroblob(50)) FROM n"
        )
        made.execute("UPDATE files SET size = 0")
        left = Path(path).read_bytes(), Path(f"{path}-journal").read_bytes()
        made.execute("ROLLBACK")
    header = bytearray(left[0])
    header[60:64] = (5).to_bytes(4)
    Path(path).write_bytes(header)
    Path(f"{path}-journal").write_bytes(left[1])
    assert told(path) == before
    assert not aside(path)


def test_a_newer_version_with_a_journal_is_refused_all_the_same(path: str) -> None:
    newer(path)
    Path(f"{path}-journal").write_bytes(b"")
    before = Path(path).read_bytes()
    with pytest.raises(OutputError, match="newer batchdigits"):
        told(path)
    assert Path(path).read_bytes() == before
    assert not aside(path)


def another_program(path: str) -> None:
    made = sqlite3.connect(path)
    made.execute("CREATE TABLE photographs (name TEXT)")
    made.commit()
    made.close()


def of_a_version_there_never_was(path: str) -> None:
    """A spoilt header: else it would be a newer one's, and every run would end with 5."""
    kept(path)
    make_newer(path, 0x01000004)


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
    """A table that is not what was made, though it holds the same."""
    kept(path)
    made = sqlite3.connect(path)
    made.execute("DROP INDEX readings_by_content")
    made.close()


def changed(*statements: str) -> Callable[[str], None]:
    """What is a sound database, and holds the same rows, but was never made by batchdigits."""

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
    """Whatever bytes a disk spoils: what is told is what was kept, or the ledger is set aside."""
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
        except OutputError as error:
            assert "newer batchdigits" in str(error)
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


def test_what_was_moved_is_not_gone_and_what_comes_in_its_place_is_new(path: str) -> None:
    kept(path)
    here = [entry("b.png"), entry("ä.png")]
    with state.open_store(path) as known:
        key = known.add_key("model 1", "{}")
        known.set_run_files(here)
        assert (known.find_files_to_read(key), known.list_gone_files()) == ([], [("a.png", True)])
        known.update_entries([entry("b.png")._replace(size=state.MOVED, time=state.MOVED)])
        assert known.find_files_to_read(key) == [0]
        assert known.has_moved_predecessor(entry("b.png", content="other"))
        assert not known.has_moved_predecessor(entry("b.png"))
        assert not known.has_moved_predecessor(entry("ä.png", content="other"))
        known.set_run_files([])
        assert [file for file, _ in known.list_gone_files()] == ["a.png", "ä.png"]
        assert [one.findings for one in known.list_file_records()].count("seven") == 1
        assert known.prune_files([], moved=False) == 0
        assert known.prune_files([], moved=True) == 1
    assert not aside(path)


def test_what_is_told_anew_of_a_content_takes_the_place_of_what_was(path: str) -> None:
    """Another machine, or another version of a library, may read it otherwise."""
    kept(path)
    with state.open_store(path) as known:
        key = known.add_key("model 1", "{}")
        known.save_findings(entry("c.png", content="b.png"), key, "eight", failed=False)
    found = {one.file: one.findings for one in told(path)}
    assert (found["b.png"], found["c.png"], len(found)) == ("eight", "eight", 4)
    assert not aside(path)


def test_a_file_with_anothers_name_size_and_time_is_in_doubt(path: str) -> None:
    kept(path)
    with state.open_store(path) as known:
        key = known.add_key("model 1", "{}")
        known.set_run_files([entry("b.png")])
        assert known.find_files_to_read(key) == []
        known.set_run_files([entry("b.png")._replace(sure=2)])
        assert known.find_files_to_read(key) == [0]


def test_files_are_given_part_by_part(path: str) -> None:
    kept(path)
    with state.open_store(path) as known:
        key = known.add_key("model 1", "{}")
        known.set_run_files([entry("ä.png"), entry("x.png"), entry("b.png"), entry("a.png")])
        parts, after = [], ""
        while part := known.list_read_files(key, after, 2):
            parts.append([(at, one.file) for at, one, _ in part])
            after = part[-1][1].file
        assert parts == [[(3, "a.png"), (2, "b.png")], [(0, "ä.png")]]
        assert [told for *_, told in known.list_read_files(key, "", 9)] == [
            "could not be read",
            "",
            "",
        ]
        assert known.list_read_files(known.add_key("model 2", "{}"), "", 9) == []
        assert known.has_file("a.png")
        assert not known.has_file("x.png")
