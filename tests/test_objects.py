"""Inputs and outputs by URL, on a server that speaks S3 over HTTP."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import pytest
from archives_made import digits as archived
from archives_made import make_archive
from conftest import FakeClassifier, Save, drawn, read
from objects_server import ObjectServer, fail_times
from s3fs import S3FileSystem

from batchdigits import cli, objects, predict
from batchdigits.errors import BusyError
from batchdigits.objects import store

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

Capture = pytest.CaptureFixture[str]
SECRET = "never-in-a-line"


@pytest.fixture(scope="module")
def running() -> Iterator[ObjectServer]:
    server = ObjectServer()
    with server.running():
        yield server


@pytest.fixture
def server(
    running: ObjectServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fake_classifier: FakeClassifier,
) -> Iterator[ObjectServer]:
    """Serve an empty bucket `scans`, in an empty folder, with credentials in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_ENDPOINT_URL", running.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(store, "PAUSES_SECONDS", (0.0, 0.01, 0.01, 0.01, 0.01))
    monkeypatch.setattr("batchdigits.objects.fetch.PAUSES_SECONDS", (0.0, 0.01, 0.01, 0.01, 0.01))
    S3FileSystem.clear_instance_cache()
    running.faults.clear()
    running.requests.clear()
    client = running.client()
    client.create_bucket(Bucket="scans")
    yield running
    running.faults.clear()
    for one in client.list_objects_v2(Bucket="scans").get("Contents", []):
        client.delete_object(Bucket="scans", Key=one["Key"])


def encode(digit: int, seed: int = 0) -> bytes:
    return cv2.imencode(".png", drawn(digit, seed=seed))[1].tobytes()


def put(server: ObjectServer, key: str, data: bytes) -> None:
    server.client().put_object(Bucket="scans", Key=key, Body=data)


def get(server: ObjectServer, key: str) -> bytes:
    content: bytes = server.client().get_object(Bucket="scans", Key=key)["Body"].read()
    return content


def run(*arguments: str, workers: int = 0) -> int:
    return cli._run_command_line(["run", *arguments, "--workers", str(workers)])


def fill(server: ObjectServer, count: int = 5) -> None:
    """Put digits into the bucket and, under the same names, into the folder `inbox`."""
    for n in range(count):
        put(server, f"inbox/{n % 2}/{n}.png", encode(n % 10))
        path = Path(f"inbox/{n % 2}/{n}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(n % 10))


def test_the_rows_are_those_of_the_same_files_here(server: ObjectServer, capsys: Capture) -> None:
    fill(server)
    put(server, "inbox/notes.txt", b"no image")
    put(server, "inbox/0/scan [1]*?", encode(7))
    put(server, "inbox/.hidden.png", encode(1))
    put(server, "inbox/half.png.part", encode(1))
    Path("inbox/0/scan [1]*?").write_bytes(encode(7))
    assert run("inbox", "--out", "here.csv", "--quiet") == 0
    assert run("s3://scans/inbox/", "--out", "there.csv") == 0
    assert "1 not an image" in (line := capsys.readouterr().err)
    assert "2 hidden" in line
    there = Path("there.csv").read_text().replace("s3://scans/inbox", "inbox")
    assert there == Path("here.csv").read_text()


def test_the_next_run_asks_for_the_listing_alone(server: ObjectServer, capsys: Capture) -> None:
    fill(server)
    assert run("s3://scans/inbox", "--out", "out.csv") == 0
    put(server, "inbox/0/2.png", encode(8))
    server.requests.clear()
    capsys.readouterr()
    assert run("s3://scans/inbox", "--out", "out.csv") == 0
    assert "(1 file read" in capsys.readouterr().err
    fetched = [path for method, path in server.requests if method == "GET" and ".png" in path]
    assert fetched == ["/scans/inbox/0/2.png"]


def test_objects_can_be_named_and_listed(server: ObjectServer) -> None:
    fill(server)
    rows = read("s3://scans/inbox/1/3.png", listed=["s3://scans/inbox/0/2.png"])
    assert [row.file for row in rows] == ["s3://scans/inbox/0/2.png", "s3://scans/inbox/1/3.png"]
    assert all(row.value for row in rows)


def test_worker_processes_fetch_for_themselves(server: ObjectServer) -> None:
    fill(server, 3)
    assert run("s3://scans/inbox", "--out", "there.csv", "--quiet", workers=1) == 0
    assert run("inbox", "--out", "here.csv", "--quiet") == 0
    there = Path("there.csv").read_text().replace("s3://scans/inbox", "inbox")
    assert there == Path("here.csv").read_text()


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".zip", ".parquet"])
def test_an_archive_in_a_bucket_is_read_as_the_same_archive_here(
    server: ObjectServer, suffix: str, capsys: Capture
) -> None:
    Path("inbox").mkdir()
    make_archive(f"inbox/shard{suffix}", archived("0.png", "b/1.png", "2.png"))
    put(server, f"inbox/shard{suffix}", Path(f"inbox/shard{suffix}").read_bytes())
    assert run("inbox", "--out", "here.csv", "--quiet") == 0
    assert run("s3://scans/inbox", "--out", "there.csv", "--quiet", workers=1) == 0
    there = Path("there.csv").read_text().replace("s3://scans/inbox", "inbox")
    assert there == Path("here.csv").read_text()
    assert there.count(f"inbox/shard{suffix}/") == 3
    server.requests.clear()
    capsys.readouterr()
    assert run("s3://scans/inbox", "--out", "there.csv") == 0
    assert "3 known already" in capsys.readouterr().err
    assert not [one for one in server.requests if one == ("GET", f"/scans/inbox/shard{suffix}")]


def test_an_archive_that_a_bucket_does_not_give_is_an_error_row(server: ObjectServer) -> None:
    make_archive("shard.tar", archived("0.png"))
    put(server, "inbox/shard.tar", Path("shard.tar").read_bytes())
    server.faults.append(fail_times(1000, 500, "/shard.tar"))
    assert run("s3://scans/inbox", "--out", "out.csv", "--quiet") == 3
    assert "run again later" in Path("out.csv").read_text()
    server.faults.clear()
    assert run("s3://scans/inbox", "--out", "out.csv", "--quiet") == 0
    assert Path("out.csv").read_text().count("\n") == 2


def test_a_large_object_is_fetched_to_the_disk(
    server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(server, 3)
    assert run("s3://scans/inbox", "--out", "small.csv", "--quiet") == 0
    monkeypatch.setattr("batchdigits.extract.loading.SMALL_BYTES", 10)
    assert run("s3://scans/inbox", "--out", "large.csv", "--quiet") == 0
    assert Path("large.csv").read_bytes() == Path("small.csv").read_bytes()
    server.requests.clear()
    assert run("s3://scans/inbox", "--out", "large.csv", "--quiet") == 0
    assert not [path for _, path in server.requests if path.endswith(".png")]


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (lambda: fail_times(4, 500, "/2.png"), "a server that stumbles"),
        (lambda: fail_times(2, 503, "/2.png"), "one that is too busy"),
        (lambda: fail_times(3, 500, "/scans"), "a listing that fails"),
        (lambda: lambda method, path: 0.3 if path.endswith("/2.png") else None, "a slow one"),
    ],
)
def test_faults_that_pass_leave_no_trace(
    server: ObjectServer, fault: Callable[[], Any], why: str
) -> None:
    fill(server)
    server.faults.append(fault())
    assert run("s3://scans/inbox", "--out", "out.csv", "--quiet") == 0, why
    assert len(Path("out.csv").read_text().splitlines()) == 1 + 5


@pytest.mark.parametrize(
    ("status", "words"),
    [(500, "run again later"), (404, "no such object"), (403, "access is denied")],
)
def test_an_object_that_cannot_be_fetched_is_an_error_row_until_the_next_run(
    server: ObjectServer, status: int, words: str
) -> None:
    fill(server)
    server.faults.append(fail_times(1000, status, "/2.png"))
    assert run("s3://scans/inbox", "--out", "out.csv", "--quiet") == 3
    lines = Path("out.csv").read_text().splitlines()
    (line,) = (one for one in lines if "error" in one)
    assert line.startswith("s3://scans/inbox/0/2.png,1,,,,error,could not be fetched: ")
    assert words in line
    assert len(lines) == 1 + 5
    asked = [path for how, path in server.requests if how == "GET" and path.endswith("/2.png")]
    assert (len(asked) > 1) == (status == 500), "only faults that pass are tried again"
    server.faults.clear()
    assert run("s3://scans/inbox", "--out", "out.csv", "--quiet") == 0


def test_an_object_that_is_gone_keeps_its_row_until_prune(server: ObjectServer) -> None:
    fill(server)
    assert run("s3://scans/inbox", "--out", "out.csv", "--quiet") == 0
    before = Path("out.csv").read_text()
    server.client().delete_object(Bucket="scans", Key="inbox/0/2.png")
    assert run("s3://scans/inbox", "--out", "out.csv", "--quiet") == 0
    assert Path("out.csv").read_text() == before
    assert run("s3://scans/inbox", "--out", "out.csv", "--quiet", "--prune") == 0
    assert len(Path("out.csv").read_text().splitlines()) == 1 + 4


def without(*names: str) -> Callable[[pytest.MonkeyPatch, ObjectServer], None]:
    def prepare(monkeypatch: pytest.MonkeyPatch, server: ObjectServer) -> None:
        for name in names:
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    return prepare


def denied(monkeypatch: pytest.MonkeyPatch, server: ObjectServer) -> None:
    server.faults.append(lambda method, path: 403)


def skewed(monkeypatch: pytest.MonkeyPatch, server: ObjectServer) -> None:
    server.faults.append(lambda method, path: 499)


def unreachable(monkeypatch: pytest.MonkeyPatch, server: ObjectServer) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")


def as_it_is(monkeypatch: pytest.MonkeyPatch, server: ObjectServer) -> None:
    pass


CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
REFUSED: list[tuple[str, str, Any, int, str]] = [
    ("nowhere://x/inbox", "out.csv", as_it_is, 2, "is no scheme that can be read"),
    ("gs://x/inbox", "out.csv", as_it_is, 2, "pip install 'batchdigits[gcs]'"),
    ("az://x/inbox", "out.csv", as_it_is, 2, "pip install 'batchdigits[azure]'"),
    (f"ftp://me:{SECRET}@host/inbox", "out.csv", as_it_is, 2, "has a password in it"),
    ("s3://scans/gone", "out.csv", as_it_is, 2, "does not exist"),
    ("s3://no-such-bucket/inbox", "out.csv", as_it_is, 2, "does not exist"),
    ("s3://scans/inbox", "out.csv", without(*CREDENTIALS), 2, "no credentials were found"),
    ("s3://scans/inbox", "out.csv", denied, 2, "access is denied"),
    ("s3://scans/inbox", "out.csv", skewed, 2, "set the clock of this machine"),
    ("s3://scans/inbox", "out.csv", unreachable, 2, "run again later"),
    ("inbox", "nowhere://x/out.csv", as_it_is, 2, "is no scheme that can be read"),
    (
        "inbox",
        "s3://scans/out/",
        as_it_is,
        2,
        "a table in parts is written to a folder of this machine",
    ),
    ("inbox", "s3://scans/out.docx", as_it_is, 2, "--out must end in"),
    ("inbox", "s3://no-such-bucket/out.csv", as_it_is, 5, "check the name"),
    ("inbox", "s3://scans/out.csv", without(*CREDENTIALS), 5, "no credentials were found"),
    ("inbox", "s3://scans/out.csv", denied, 5, "access is denied"),
    ("inbox", "s3://scans/out.csv", skewed, 5, "set the clock of this machine"),
    ("inbox", "s3://scans/out.csv", unreachable, 5, "run again later"),
]


@pytest.mark.parametrize(("source", "out", "prepare", "code", "words"), REFUSED)
def test_what_cannot_be_is_refused_in_a_line(
    server: ObjectServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    source: str,
    out: str,
    prepare: Callable[[pytest.MonkeyPatch, ObjectServer], None],
    code: int,
    words: str,
) -> None:
    fill(server)
    monkeypatch.setenv("AWS_CONFIG_FILE", "none")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "none")
    prepare(monkeypatch, server)
    capsys.readouterr()
    assert run(source, "--out", out) == code
    line = capsys.readouterr().err
    assert words in line
    assert line.count("\n") == 1
    assert SECRET not in line
    assert not Path("out.csv").exists()


@pytest.mark.parametrize("option", ["--state", "--log-file", "--summary-json", "--move-done"])
def test_what_stays_on_this_machine_is_no_url(
    server: ObjectServer, capsys: Capture, option: str
) -> None:
    fill(server, 1)
    assert run("inbox", "--out", "out.csv", option, "s3://scans/other") == 2
    assert "give a path, not a URL" in capsys.readouterr().err


def test_objects_are_not_moved(server: ObjectServer, capsys: Capture) -> None:
    fill(server, 1)
    assert run("s3://scans/inbox", "--out", "out.csv", "--move-done", "done") == 2
    assert "move files, not objects" in capsys.readouterr().err


# Outputs


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
    written = {path for method, path in server.requests if method in ("PUT", "POST")}
    assert {path for path in written if ".lock/" not in path} <= {"/scans/out/results.csv.state"}


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


# Other schemes


def test_file_urls_are_paths(server: ObjectServer) -> None:
    fill(server, 3)
    here = os.getcwd()
    assert run(f"file://{here}/inbox", "--out", f"file://{here}/url.csv", "--quiet") == 0
    assert run(f"{here}/inbox", "--out", "path.csv", "--quiet") == 0
    assert Path("url.csv").read_bytes() == Path("path.csv").read_bytes()


def test_memory_is_read_and_written(server: ObjectServer) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    for digit in range(3):
        memory.pipe_file(f"/inbox/{digit}.png", encode(digit))
    assert run("memory://inbox", "--out", "memory://out/results.csv", "--quiet", workers=2) == 0
    lines = memory.cat_file("/out/results.csv").decode().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == [
        f"memory://inbox/{digit}.png" for digit in range(3)
    ]


class WatchingClassifier(FakeClassifier):
    """Waits, at its third batch, until the state of the first is beside the table."""

    def __init__(self, server: ObjectServer) -> None:
        self.server, self.calls, self.kept = server, 0, 0

    def logits(self, pictures: Any) -> Any:
        self.calls += 1
        deadline = time.monotonic() + 30
        while self.calls == 3 and not self.kept and time.monotonic() < deadline:
            time.sleep(0.05)
            names = self.server.client().list_objects_v2(Bucket="scans")["Contents"]
            if "results.csv.state" in [one["Key"] for one in names]:
                Path("copy.state").write_bytes(get(self.server, "results.csv.state"))
                with closing(sqlite3.connect("copy.state")) as base:
                    (self.kept,) = base.execute("SELECT count(*) FROM files").fetchone()
        return super().logits(pictures)


def test_what_was_read_is_put_in_place_while_more_is_read(
    server: ObjectServer, inbox: Path, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(200):  # four chunks
        save(f"{n:03}.png", drawn(n % 10, seed=n))
    monkeypatch.setattr("batchdigits.objects.lock.RENEW_SECONDS", 0.05)
    monkeypatch.setattr("batchdigits.outputs.remote.SAVE_SECONDS", 0.0)
    watching = WatchingClassifier(server)
    monkeypatch.setattr(predict, "load_classifier", lambda card, device, runtime: watching)
    out = ("--out", "s3://scans/results.csv", "--quiet", "--batch-size", "1")
    assert run("inbox", *out) == 0
    assert 0 < watching.kept < 200
    assert len(get(server, "results.csv").splitlines()) == 1 + 200


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
