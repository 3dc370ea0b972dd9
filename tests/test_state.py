"""The state beside the table: which files are known, changed, moved or gone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from state_records import (
    aside,
    entry,
    kept,
    path_fixture,  # noqa: F401
    told,
)

from batchdigits import state
from batchdigits.records import FileSnapshot
from batchdigits.state import TableRecord


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
