"""Shards of a state: what was kept while a run read, put together again elsewhere."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from state_records import entry, kept, told

from batchdigits import state
from batchdigits.paths import KNOWN_NAME, make_shard_folder
from batchdigits.state import StateStore, TableRecord

Change = Callable[[StateStore, int], object]


@pytest.fixture(name="path")
def path_fixture(tmp_path: Path) -> str:
    """Make the folder for the shards of a state; return where the state is to be."""
    return make_place(tmp_path / "here")


def make_place(folder: Path) -> str:
    path = str(folder / "results.csv.state")
    os.makedirs(os.path.join(make_shard_folder(path), KNOWN_NAME))
    return path


def take_shards(path: str) -> list[Path]:
    """Take the files away that a run has written beside its state, in their order."""
    place = Path(path).parent / "taken"
    place.mkdir(exist_ok=True)
    taken = []
    for one in sorted(Path(make_shard_folder(path)).iterdir()):
        if one.is_file():
            taken.append(place / f"{len(list(place.iterdir())):09}{one.suffix}")
            shutil.move(one, taken[-1])
    return taken


def put_together(whole: Path, shards: list[Path], path: str) -> str:
    """Open a copy of a whole state with shards, as a run does; return its path."""
    shutil.copyfile(whole, path)
    for one in shards:
        shutil.copyfile(one, Path(make_shard_folder(path), KNOWN_NAME, one.name))
    with state.open_store(path):
        pass
    return path


def dump(path: str) -> list[str]:
    with closing(sqlite3.connect(path)) as base:
        return list(base.iterdump())


CHANGES: list[tuple[str, Change]] = [
    (
        "a new file",
        lambda known, key: known.save_findings(entry("c.png"), key, "six", failed=False),
    ),
    (
        "a file that was read again",
        lambda known, key: known.save_findings(
            entry("b.png", content="other"), key, "six", failed=False
        ),
    ),
    ("a name for known content", lambda known, key: known.reuse_reading(entry("b.png"), key)),
    ("a file that is gone", lambda known, _: known.prune_files(["b.png"], moved=False)),
    ("a file of another name", lambda known, _: known.rename_file("b.png", "z.png")),
    (
        "a reading in the place of a deleted one",
        lambda known, key: (
            known.prune_files(["a.png", "b.png", "ä.png"], moved=False),
            known.drop_unused_findings(),
            known.save_findings(entry("c.png"), key, "six", failed=False),
        ),
    ),
    ("a page", lambda known, key: known.save_page_findings(entry("b.png"), key, 1, "one")),
    ("another model", lambda known, _: known.add_key("model 2", "{}")),
    (
        "a table",
        lambda known, _: known.save_table_record("table", TableRecord(1, 2, b"d", "", "")),
    ),
]


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in CHANGES])
def test_a_whole_copy_and_shards_make_up_the_state(
    path: str, tmp_path: Path, change: Change
) -> None:
    kept(path)
    whole, first = take_shards(path)
    assert (whole.suffix, first.suffix) == (".state", ".shard")
    with state.open_store(path) as known, known.transaction():
        change(known, known.add_key("model 1", '{"threshold": 0.9}'))
    (second,) = take_shards(path)
    there = put_together(whole, [first, second], make_place(tmp_path / "there"))
    assert dump(there) == dump(path)
    assert take_shards(there) == []


def test_without_changes_there_is_no_shard(path: str) -> None:
    kept(path)
    take_shards(path)
    told(path)
    assert take_shards(path) == []


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda data: data[: len(data) // 2], id="cut short"),
        pytest.param(lambda data: b"nothing of ours" * 100, id="something else"),
        pytest.param(lambda data: data[:60] + b"\0\0\0\x01" + data[64:], id="another version"),
    ],
)
def test_after_a_damaged_shard_the_state_is_written_whole(
    path: str, tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    kept(path)
    whole, shard = take_shards(path)
    shard.write_bytes(spoil(shard.read_bytes()))
    there = put_together(whole, [shard], make_place(tmp_path / "there"))
    assert told(there) == []
    assert take_shards(there)[0].suffix == ".state"


def test_a_spoilt_row_of_a_shard_is_never_believed(path: str, tmp_path: Path) -> None:
    kept(path)
    whole, shard = take_shards(path)
    with closing(sqlite3.connect(shard)) as base:
        base.execute("UPDATE readings SET findings = 'nine' WHERE findings = 'seven'")
        base.commit()
    there = put_together(whole, [shard], make_place(tmp_path / "there"))
    assert told(there) == []
    assert take_shards(there)[0].suffix == ".state"
    assert list(Path(there).parent.glob("results.csv.kept-*"))


def test_a_state_here_has_no_shards(tmp_path: Path) -> None:
    path = str(tmp_path / "results.csv.state")
    kept(path)
    told(path)
    assert os.listdir(tmp_path) == ["results.csv.state"]
