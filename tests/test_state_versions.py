"""States of older versions are migrated, those of newer versions are left untouched."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import FakeClassifier, Save, drawn
from state_records import (
    aside,
    entry,
    kept,
    make_newer,
    path_fixture,  # noqa: F401
    told,
)

from batchdigits import cli, state
from batchdigits.errors import OutputError
from batchdigits.state import TableRecord, base, checksums, migrations
from batchdigits.state.name_findings import name_findings
from batchdigits.state.raise_findings import raise_findings

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
    """Write a state as that version of batchdigits did."""
    made = sqlite3.connect(path, isolation_level=None)
    for step in migrations.STEPS[:version]:
        migrations.run_step(made, step)
    for table, (since, rows) in ROWS.items() if version else ():
        for number, row in enumerate(rows if since <= version else (), 1):
            own = [number] if table in ("keys", "readings") else []
            of_row = checksums.compute_old_checksum if version < 4 else checksums.compute_checksum
            kept = row
            if version >= 4 and table in ("readings", "pages"):
                kept = (*row[:-1], name_findings(row[-1]))
            values = [*own, *kept, of_row(*kept)]
            marks = ", ".join("?" * len(values))
            made.execute(f"INSERT INTO {table} VALUES ({marks})", values)
    made.execute(f"PRAGMA application_id = {base.APPLICATION_ID}")
    made.execute(f"PRAGMA user_version = {version}")
    made.close()


def version_of(path: str) -> int:
    with closing(sqlite3.connect(path)) as made:
        return int(made.execute("PRAGMA user_version").fetchone()[0])


def look(known: state.StateStore) -> int:
    """Have a run of one file of `ROWS`; return the number of the key of its model."""
    known.set_run_files([entry("long.pdf")])
    return known.add_key("model 1", "{}")


@pytest.mark.parametrize("version", [0, 1, 2, 3, 4])
def test_a_ledger_of_an_older_version_is_brought_up_to_date(path: str, version: int) -> None:
    older(path, version)
    named, none = (raise_findings(name_findings(text)) for text in (TEXT, "[]"))
    wanted = [("b.png", named), ("\u0378", none), ("\xe4.png", named)]
    for _ in range(2):  # the second time it is as this version left it
        with state.open_store(path) as known:
            found = [(one.file, one.findings) for one in known.list_file_records()]
            assert found == (sorted(wanted) if version else [])
            left = TableRecord(10, 20, b"digest", "0.9", "3 ok") if version >= 2 else None
            assert known.load_table_record("table") == left
            pages = {"long.pdf": {4: named}} if version >= 3 else {}
            assert known.load_findings_by_page(look(known)) == pages
        assert version_of(path) == len(migrations.STEPS) == 5
    kept(path)
    assert len(told(path)) == (4 if version else 3)
    assert not aside(path)


DAMAGED = [
    pytest.param(version, table, id=f"version {version}, {table}")
    for version in (1, 2, 3, 4)
    for table, (since, _) in ROWS.items()
    if since <= version
]


@pytest.mark.parametrize(("version", "table"), DAMAGED)
def test_damage_to_an_older_version_is_found_before_it_gets_new_checksums(
    path: str, version: int, table: str, caplog: pytest.LogCaptureFixture
) -> None:
    older(path, version)
    column = {"keys": "terms", "readings": "told", "files": "size"}.get(table, "size")
    if version >= 4:
        column = {"terms": "thresholds", "told": "findings"}.get(column, column)
    with closing(sqlite3.connect(path)) as made, made:
        value = "'[]'" if column not in {"size"} else "6"
        assert made.execute(f"UPDATE {table} SET {column} = {value}").rowcount
    before = Path(path).read_bytes()
    assert told(path) == []
    assert [one.read_bytes() for one in aside(path)] == [before]
    assert f"a row of its table '{table}' is not what was written" in caplog.text


def fails_at_last(made: sqlite3.Connection) -> None:
    made.execute("UPDATE files SET size = 0")
    raise RuntimeError("it ends here")


@pytest.mark.parametrize("version", [0, 1, 2, 3, 4, 5])
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
    with pytest.raises(OutputError, match=r"cannot be brought from version 3 to 5 .* left as it"):
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
        "*_, changes_all, _ = migrations.STEPS\n"
        "def dies(made):\n"
        "    made.execute('PRAGMA cache_size = 10')\n"
        "    changes_all(made)\n"
        "    os._exit(9)\n"
        "migrations.STEPS[-2] = dies\n"
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
@pytest.mark.parametrize("version", [1, 5])
def test_a_later_change_of_the_tables_is_no_damage(
    path: str, version: int, step: migrations.Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    older(path, version)
    if version == 5:
        Path(path).unlink()
        kept(path)
    monkeypatch.setattr(migrations, "STEPS", [*migrations.STEPS, step])
    for _ in range(2):
        assert len(told(path)) == 3
        assert version_of(path) == 6
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
    make_newer(path, 6)


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
    """Only the newer version itself can tell whether its state is whole."""
    newer(path)
    os.truncate(path, os.path.getsize(path) // 2)


@pytest.mark.parametrize(
    ("make", "version"),
    [
        (newer, 6),
        (newer_with_other_tables, 7),
        (newer_in_another_mode, 6),
        (newer_and_spoilt, 6),
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
        f"version {version}, this one knows 5): install that version, or give another place by "
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
        made.execute("PRAGMA user_version = 6")
        made.execute(
            "CREATE TABLE x AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1"
            " FROM n LIMIT 3000) SELECT i, hex(zeroblob(50)) FROM n"
        )
        made.execute("UPDATE files SET size = 0")
        left = Path(path).read_bytes(), Path(f"{path}-journal").read_bytes()
        made.execute("ROLLBACK")
    header = bytearray(left[0])
    header[60:64] = (6).to_bytes(4)
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
