"""Outputs by URL, on a server that speaks S3 over HTTP: tables, their state, and the lock."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import FakeClassifier, Save, drawn
from objects_server import ObjectServer, fill, get, list_changes, list_keys, put, run

from batchdigits import cli, objects, predict
from batchdigits.errors import BusyError
from batchdigits.objects import Shard, choose_shards, store
from batchdigits.outputs import sharded

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

Capture = pytest.CaptureFixture[str]
STATE = "results.csv.state/"
OUT = ("--out", "s3://scans/results.csv", "--quiet")


def test_a_table_by_url_is_the_table_and_its_state_is_beside_it(
    server: ObjectServer, capsys: Capture
) -> None:
    fill(server)
    assert run("inbox", "--out", "here.csv", "--digits-out", "digits.csv", "--quiet") == 0
    out = ("--out", "s3://scans/out/results.csv", "--digits-out", "s3://scans/out/digits.csv")
    assert run("inbox", *out) == 0
    assert "-> s3://scans/out/results.csv" in capsys.readouterr().err
    assert get(server, "out/results.csv") == Path("here.csv").read_bytes()
    assert get(server, "out/digits.csv") == Path("digits.csv").read_bytes()
    server.requests.clear()
    assert run("inbox", *out) == 0
    assert "(0 files read" in capsys.readouterr().err
    assert list_changes(server) == []


def test_a_table_that_somebody_edited_is_kept_under_another_name(
    server: ObjectServer, caplog: pytest.LogCaptureFixture
) -> None:
    fill(server)
    out = ("inbox", "--out", "s3://scans/results.csv")
    assert run(*out) == 0
    put(server, "results.csv", b"edited")
    assert run(*out) == 0
    (line,) = (one.getMessage() for one in caplog.records if "was not as it" in one.getMessage())
    assert line.startswith("'s3://scans/results.csv' was not as it was left: what stood there is ")
    names = [one["Key"] for one in server.client().list_objects_v2(Bucket="scans")["Contents"]]
    (kept,) = (one for one in names if one.startswith("results.kept-"))
    assert get(server, kept) == b"edited"
    assert get(server, "results.csv").startswith(b"file,page,")


def test_corrections_beside_a_remote_table_are_applied(server: ObjectServer) -> None:
    fill(server, 1)
    out = ("inbox", "--out", "s3://scans/results.csv", "--quiet")
    assert run(*out) == 0
    assert run("inbox", "--out", "local.csv", "--quiet") == 0
    Path("said.csv").write_text("file,page,field,value,status\ninbox/0/0.png,1,,42,ok\n")
    assert cli._run_command_line(["correct", "local.csv", "said.csv"]) == 0
    put(server, "results.csv.corrections.csv", Path("local.csv.corrections.csv").read_bytes())
    assert run(*out) == 0
    assert get(server, "results.csv") == Path("local.csv").read_bytes()
    assert b"verified" in get(server, "results.csv")


def test_a_run_that_fails_leaves_the_table_and_keeps_what_was_read(
    server: ObjectServer, capsys: Capture
) -> None:
    fill(server)
    out = ("inbox", "--out", "s3://scans/results.csv")
    server.faults.append(
        lambda method, path: 403 if (method, path) == ("PUT", "/scans/results.csv") else None
    )
    assert run(*out) == 5
    assert "what was there is unchanged" in capsys.readouterr().err
    server.faults.clear()
    assert run(*out) == 0
    assert "(0 files read" in capsys.readouterr().err
    assert len(get(server, "results.csv").splitlines()) == 1 + 5


def test_of_two_runs_of_one_output_one_gets_it(server: ObjectServer, capsys: Capture) -> None:
    fill(server, 1)
    out = ("inbox", "--out", "s3://scans/results.csv", "--quiet")
    with objects.hold_lock("s3://scans/results.csv", 0, lambda: None) as lock:
        assert run(*out) == 4
        assert "another run is still writing" in capsys.readouterr().err
        lock.renew()
    assert run(*out) == 0
    with pytest.raises(BusyError, match="taken over"), \
            objects.hold_lock("s3://scans/results.csv", 0, lambda: None) as lock:  # fmt: skip
        put(server, "results.csv.lock/999999999", b"{}")
        lock.renew()


@pytest.mark.parametrize(
    ("holder", "code"),
    [
        ({"host": "elsewhere", "renewed": 0}, 4),
        ({"host": "elsewhere", "renewed": -1000}, 0),
        ({"host": "elsewhere", "renewed": 0, "released": True}, 0),
        ({"pid": 2**22 + 1, "renewed": 0}, 0),
        ({"pid": 1, "renewed": 0}, 4),
    ],
    ids=["at work", "silent for long", "done", "killed here", "at work here"],
)
def test_a_lock_ends_with_its_holder(
    server: ObjectServer, holder: dict[str, Any], code: int
) -> None:
    fill(server, 1)
    with objects.hold_lock("s3://scans/results.csv", 0, lambda: None):
        content = json.loads(get(server, "results.csv.lock/000000001"))
    content |= {"released": False, **holder, "renewed": time.time() + holder["renewed"]}
    put(server, "results.csv.lock/000000001", json.dumps(content).encode())
    assert run("inbox", "--out", "s3://scans/results.csv", "--quiet") == code
    names = server.client().list_objects_v2(Bucket="scans", Prefix="results.csv.lock/")["Contents"]
    assert len(names) == 1


def test_a_number_that_was_used_before_is_no_lock(
    server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who looked long ago makes an object that others made, gave back and removed."""
    list_names, looks = store.list_names, iter([["000000007"]])
    monkeypatch.setattr(store, "list_names", lambda url: next(looks, None) or list_names(url))
    put(server, "results.csv.lock/000000007", b'{"released": true, "renewed": 0}')
    put(server, "results.csv.lock/000000009", json.dumps({"released": False}).encode())
    with pytest.raises(BusyError), objects.hold_lock("s3://scans/results.csv", 0, lambda: None):
        pytest.fail("two hold the lock")
    names = server.client().list_objects_v2(Bucket="scans", Prefix="results.csv.lock/")["Contents"]
    assert "results.csv.lock/000000008" not in [one["Key"] for one in names]


def test_an_object_is_made_once(server: ObjectServer) -> None:
    made = [objects.create_object("s3://scans/one", data) for data in (b"first", b"second")]
    assert made == [True, False]
    assert get(server, "one") == b"first"


def test_a_run_that_is_killed_leaves_a_lock_that_the_next_one_takes(server: ObjectServer) -> None:
    fill(server)
    out = ("--out", "s3://scans/results.csv", "--quiet")
    here = Path(__file__).parent
    server.faults.append(lambda method, path: 0.2 if path.endswith(".png") else None)
    one = subprocess.Popen(
        [sys.executable, here / "nightly_main.py", "run", "s3://scans/inbox", *out],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(here.parent), str(here)])},
        stderr=subprocess.DEVNULL,
    )
    while not any(how == "GET" and path.endswith(".png") for how, path in server.requests):
        assert one.poll() is None
        time.sleep(0.01)
    one.kill()
    one.wait()
    assert run("s3://scans/inbox", *out) == 0
    assert len(get(server, "results.csv").splitlines()) == 1 + 5
    assert json.loads(get(server, "results.csv.lock/000000002"))["released"]


# The state


class StoppedClassifier(FakeClassifier):
    """Waits, at its third batch, for a file in the store; from then on the store takes nothing.

    That leaves what a run leaves that is killed there.
    """

    def __init__(self, server: ObjectServer) -> None:
        self.server, self.calls = server, 0

    def logits(self, pictures: Any) -> Any:
        self.calls += 1
        deadline = time.monotonic() + 30
        while self.calls == 3 and time.monotonic() < deadline:
            time.sleep(0.05)
            if any(count_files(self.server, one) for one in list_keys(self.server, STATE)):
                self.server.faults.append(lambda method, path: 403 if method == "PUT" else None)
                raise RuntimeError("killed")
        return super().logits(pictures)


@pytest.fixture(name="killed")
def killed_fixture(
    server: ObjectServer, inbox: Path, save: Save, monkeypatch: pytest.MonkeyPatch
) -> ObjectServer:
    """Leave what a run has put that was killed in the middle of 200 files, and no lock."""
    for n in range(200):  # four chunks
        save(f"{n:03}.png", drawn(n % 10, seed=n))
    monkeypatch.setattr("batchdigits.objects.lock.BESIDE_SECONDS", 0.05)
    monkeypatch.setattr("batchdigits.state.shards.SHARD_SECONDS", 0.0)
    stopped = StoppedClassifier(server)
    with monkeypatch.context() as patch:
        patch.setattr(predict, "load_classifier", lambda card, device, runtime: stopped)
        assert run("inbox", *OUT, "--batch-size", "1") == 1
    server.faults.clear()
    for one in list_keys(server, "results.csv.lock/"):
        server.client().delete_object(Bucket="scans", Key=f"results.csv.lock/{one}")
    server.requests.clear()
    return server


def count_files(server: ObjectServer, name: str) -> int:
    """Count the files that an object of the state tells of."""
    Path("copy.state").write_bytes(get(server, STATE + name))
    with closing(sqlite3.connect("copy.state")) as base:
        if not base.execute("SELECT 1 FROM sqlite_schema WHERE name = 'files'").fetchone():
            return 0
        return int(base.execute("SELECT count(*) FROM files").fetchone()[0])


def test_what_was_put_before_a_run_was_killed_is_not_read_again(
    killed: ObjectServer, capsys: Capture
) -> None:
    names = list_keys(killed, STATE)
    assert names[0] == "000000001-000000001.state"  # of no files: on it the shards are based
    read = sum(count_files(killed, one) for one in names)
    assert 0 < read < 200
    capsys.readouterr()
    assert run("inbox", *OUT[:-1], "--batch-size", "1") == 0
    (again,) = re.findall(r"\((\d+) files read", capsys.readouterr().err)
    assert 0 < int(again) <= 200 - read  # some are copies of others
    assert len(get(killed, "results.csv").splitlines()) == 1 + 200
    assert run("inbox", "--out", "here.csv", "--quiet") == 0
    assert get(killed, "results.csv") == Path("here.csv").read_bytes()
    (whole,) = list_keys(killed, STATE)
    assert count_files(killed, whole) == 200


def test_while_a_run_reads_no_whole_state_is_put(
    server: ObjectServer, inbox: Path, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchdigits.objects.lock.BESIDE_SECONDS", 0.02)
    monkeypatch.setattr("batchdigits.state.shards.SHARD_SECONDS", 0.0)
    assert run("inbox", *OUT) == 0
    for n in range(200):
        save(f"{n:03}.png", drawn(n % 10, seed=n))
    server.requests.clear()
    assert run("inbox", *OUT, "--batch-size", "1") == 0
    changes = [name.rpartition(".")[2] for _, name in list_changes(server)]
    table = changes.index("csv")
    assert set(changes[:table]) == {"shard"}
    later = [one for one in changes[table + 1 :] if one != "shard"]  # one may be under way
    assert later == ["state", "state"]  # the new one, and the old one that it replaces


def test_a_damaged_shard_costs_what_it_and_later_ones_told(
    killed: ObjectServer, caplog: pytest.LogCaptureFixture
) -> None:
    shard = next(one for one in list_keys(killed, STATE) if one.endswith(".shard"))
    data = get(killed, STATE + shard)
    put(killed, STATE + shard, data[: len(data) // 2])
    assert run("inbox", *OUT) == 0
    (line,) = (one.getMessage() for one in caplog.records if "damaged" in one.getMessage())
    assert line.startswith("the state 's3://scans/results.csv.state' is damaged in a part (")
    assert len(get(killed, "results.csv").splitlines()) == 1 + 200
    (whole,) = list_keys(killed, STATE)
    assert count_files(killed, whole) == 200


def test_a_state_of_one_object_is_taken_over(server: ObjectServer, capsys: Capture) -> None:
    """As versions before this one left it."""
    fill(server)
    assert run("inbox", "--out", "results.csv", "--quiet") == 0
    put(server, "results.csv", Path("results.csv").read_bytes())
    put(server, "results.csv.state", Path("results.csv.state").read_bytes())
    for _ in range(2):
        capsys.readouterr()
        assert run("inbox", *OUT[:-1]) == 0
        assert "(0 files read" in capsys.readouterr().err
        assert list_keys(server, "results.csv.state") == ["/000000001-000000001.state"]


def test_a_state_of_an_earlier_format_is_put_whole_before_shards(
    server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Path(__file__).parent / "states/v4"
    old = sorted(place.glob("*/results.csv.state"))[0]
    put(server, f"{STATE}000000007-000000003.state", old.read_bytes())
    shutil.copytree(old.parent / "inbox", "inbox", dirs_exist_ok=True)
    server.faults.append(
        lambda method, path: 403 if (method, path) == ("PUT", "/scans/results.csv") else None
    )
    assert run("inbox", *OUT) == 5
    first, *others = list_keys(server, STATE)
    assert first == "000000007-000000003.state"
    assert others[0] == "000000008-000000004.state"
    server.faults.clear()
    assert run("inbox", *OUT) == 0
    assert len(list_keys(server, STATE)) == 1


def test_a_state_of_a_newer_version_is_left_untouched(
    server: ObjectServer, capsys: Capture
) -> None:
    fill(server)
    assert run("inbox", "--out", "results.csv", "--quiet") == 0
    with closing(sqlite3.connect("results.csv.state")) as base:
        base.execute("PRAGMA user_version = 42")
    put(server, f"{STATE}000000001-000000001.state", Path("results.csv.state").read_bytes())
    server.requests.clear()
    capsys.readouterr()
    assert run("inbox", *OUT) == 5
    assert "a newer batchdigits" in capsys.readouterr().err
    assert list_changes(server) == []


WHOLE, SHARD = True, False


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([(1, 1, WHOLE), (2, 1, SHARD)], [0, 1], id="a whole copy and a shard"),
        pytest.param([(2, 1, SHARD), (1, 1, WHOLE)], [1, 0], id="listed in another order"),
        pytest.param([(1, 1, WHOLE), (2, 2, SHARD)], [0, 1], id="another run goes on"),
        pytest.param([(1, 1, WHOLE), (3, 1, SHARD)], [0], id="one is missing between"),
        pytest.param([(2, 1, SHARD), (3, 1, SHARD)], [], id="the whole copy is missing"),
        pytest.param(
            [(1, 1, WHOLE), (2, 1, SHARD), (3, 1, WHOLE), (4, 2, SHARD)],
            [2, 3],
            id="what a whole copy replaced was not deleted",
        ),
        pytest.param(
            [(1, 1, WHOLE), (2, 1, SHARD), (2, 2, SHARD), (3, 1, SHARD), (3, 2, SHARD)],
            [0, 2, 4],
            id="a run that lost its lock went on",
        ),
        pytest.param(
            [(1, 1, WHOLE), (2, 2, SHARD), (3, 1, SHARD)],
            [0, 1],
            id="a run that lost its lock put more than the next",
        ),
        pytest.param(
            [(1, 1, WHOLE), (2, 2, SHARD), (9, 1, WHOLE)],
            [0, 1],
            id="a run that lost its lock put the whole",
        ),
        pytest.param(
            [(1, 1, WHOLE), (2, 1, SHARD), (3, 2, SHARD)],
            [0, 1, 2],
            id="one put it before the next run looked",
        ),
    ],
)
def test_of_a_state_in_parts_those_count_that_follow_each_other(
    found: list[tuple[int, int, bool]], chosen: list[int]
) -> None:
    shards = [Shard(*one) for one in found]
    assert choose_shards(shards) == [shards[at] for at in chosen]


# A folder of parts


PARTS = [f"part-0000{n}.csv" for n in range(3)]
FOLDER = ("--out", "s3://scans/out/results.csv/", "--quiet")


@pytest.fixture(name="twelve")
def twelve_fixture(
    server: ObjectServer, inbox: Path, save: Save, monkeypatch: pytest.MonkeyPatch
) -> ObjectServer:
    """Make an inbox of twelve digits, and parts of five rows."""
    for n in range(12):
        save(f"{n:02}.png", drawn(n % 10, seed=n))
        os.utime(f"inbox/{n:02}.png", (1e9, 1e9))
    monkeypatch.setattr(sharded, "PART_ROWS", 5)
    return server


def test_parts_by_url_are_the_parts_of_a_folder_here(twelve: ObjectServer) -> None:
    assert run("inbox", "--out", "results.csv/", "--quiet") == 0
    assert run("inbox", *FOLDER) == 0
    names = ["_SUCCESS", "_manifest.json", *PARTS]
    assert list_keys(twelve, "out/results.csv/") == names
    for name in names:
        assert get(twelve, f"out/results.csv/{name}") == Path("results.csv", name).read_bytes()
    assert list_keys(twelve, "out/results.csv.state/") == ["000000001-000000001.state"]
    changes = [name for _, name in list_changes(twelve) if name.startswith("out/results.csv/")]
    assert changes[-3:-1] == ["out/results.csv/_manifest.json", "out/results.csv/_SUCCESS"]
    twelve.requests.clear()
    assert run("inbox", *FOLDER) == 0
    assert list_changes(twelve) == []


def test_only_parts_with_other_rows_are_put(twelve: ObjectServer, save: Save) -> None:
    assert run("inbox", *FOLDER) == 0
    save("11.png", drawn(7, seed=99))
    twelve.requests.clear()
    assert run("inbox", *FOLDER) == 0
    changes = [(how, Path(name).name) for how, name in list_changes(twelve)]
    assert [name for how, name in changes if name.startswith("part-")] == [PARTS[2]]
    assert changes.index(("DELETE", "_SUCCESS")) < changes.index(("PUT", PARTS[2]))


def test_a_part_is_done_when_it_is_in_place(twelve: ObjectServer, capsys: Capture) -> None:
    """A run fails at the second part: the first is not put again, and nothing is read again."""
    twelve.faults.append(
        lambda method, path: 403 if method == "PUT" and path.endswith(PARTS[1]) else None
    )
    assert run("inbox", *FOLDER) == 5
    assert list_keys(twelve, "out/results.csv/") == [".batchdigits-parts.json", PARTS[0]]
    twelve.faults.clear()
    twelve.requests.clear()
    capsys.readouterr()
    assert run("inbox", *FOLDER[:-1]) == 0
    assert "(0 files read" in capsys.readouterr().err
    put_parts = [name for how, name in list_changes(twelve) if how == "PUT" and "part-" in name]
    assert [Path(name).name for name in put_parts] == PARTS[1:]
    assert list_keys(twelve, "out/results.csv/") == ["_SUCCESS", "_manifest.json", *PARTS]
    assert run("inbox", "--out", "results.csv/", "--quiet") == 0
    for name in PARTS:
        assert get(twelve, f"out/results.csv/{name}") == Path("results.csv", name).read_bytes()


def test_a_table_that_shrinks_has_fewer_parts_there_too(twelve: ObjectServer) -> None:
    assert run("inbox", *FOLDER) == 0
    for n in range(2, 12):
        Path(f"inbox/{n:02}.png").unlink()
    assert run("inbox", *FOLDER, "--prune") == 0
    assert list_keys(twelve, "out/results.csv/") == ["_SUCCESS", "_manifest.json", PARTS[0]]


def test_a_part_that_somebody_edited_is_kept(
    twelve: ObjectServer, caplog: pytest.LogCaptureFixture
) -> None:
    assert run("inbox", *FOLDER) == 0
    put(twelve, f"out/results.csv/{PARTS[1]}", b"edited")
    assert run("inbox", *FOLDER) == 0
    (kept,) = (one for one in list_keys(twelve, "out/results.csv/") if one.startswith("_kept-"))
    assert get(twelve, f"out/results.csv/{kept}") == b"edited"
    lines = [one.getMessage() for one in caplog.records if "was not as it" in one.getMessage()]
    assert [one.partition(" ")[0] for one in lines] == [f"'s3://scans/out/results.csv/{PARTS[1]}'"]
    assert get(twelve, f"out/results.csv/{PARTS[1]}").startswith(b"file,page,")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3://scans/out/", "holds other files ('notes.txt')"),
        ("s3://scans/", "is a bucket: expected a folder in it"),
        ("s3://scans/out.xlsx/", "parts are no .xlsx"),
    ],
)
def test_what_is_no_folder_for_parts_is_refused(
    twelve: ObjectServer, capsys: Capture, url: str, words: str
) -> None:
    put(twelve, "out/notes.txt", b"mine")
    twelve.requests.clear()
    capsys.readouterr()
    assert run("inbox", "--out", url) == 2
    assert words in capsys.readouterr().err
    assert list_changes(twelve) == []


def test_two_runs_on_one_folder_of_parts_end_with_4(twelve: ObjectServer) -> None:
    with objects.hold_lock("s3://scans/out/results.csv", 0, lambda: None):
        assert run("inbox", *FOLDER) == 4


def test_a_damaged_state_is_kept_beside_the_parts(twelve: ObjectServer) -> None:
    assert run("inbox", *FOLDER) == 0
    (name,) = list_keys(twelve, "out/results.csv.state/")
    put(twelve, f"out/results.csv.state/{name}", b"not what it was" * 1000)
    assert run("inbox", *FOLDER) == 0
    (kept,) = list_keys(twelve, "out/results.csv.kept-")
    assert get(twelve, f"out/results.csv.kept-{kept}") == b"not what it was" * 1000
    assert len(list_keys(twelve, "out/results.csv.state/")) == 1
