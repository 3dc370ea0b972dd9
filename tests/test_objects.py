"""Inputs and outputs by URL, on a server that speaks S3 over HTTP."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from archives_made import digits as archived
from archives_made import make_archive
from conftest import SECRET, read
from objects_server import ObjectServer, encode, fail_times, fill, put, run

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

Capture = pytest.CaptureFixture[str]


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
    ("inbox", "nowhere://x/out.csv", as_it_is, 2, "'nowhere://x/out.csv': nowhere:// is no scheme"),
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
