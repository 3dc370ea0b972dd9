"""Records of files, as they are put into a state and read back."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from batchdigits import state
from batchdigits.records import FileSnapshot
from batchdigits.state import FileRecord, TableRecord


def entry(
    file: str, *, size: int = 5, time: int = 7, sure: int = 1, content: str = ""
) -> FileSnapshot:
    return FileSnapshot(file, size, time, sure, (content or file).encode())


@pytest.fixture(name="path")
def path_fixture(tmp_path: Path) -> str:
    return str(tmp_path / "results.csv.state")


def kept(path: str, *, key: str = "model 1") -> None:
    """Write a state of three files: one read, one that failed, one without findings."""
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


def make_newer(path: str, version: int) -> None:
    with closing(sqlite3.connect(path)) as made:
        made.execute(f"PRAGMA user_version = {version}")
