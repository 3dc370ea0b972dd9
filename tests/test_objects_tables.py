"""Commands that take a table, with tables by URL, on a server that speaks S3 over HTTP."""

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from archives_made import digits as archived
from archives_made import make_archive
from cli_runs import Capture, run
from conftest import Save, drawn
from objects_server import ObjectServer, fill, get, list_changes, list_keys, put

from batchdigits import cli, objects
from batchdigits.outputs import sharded

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

THERE, PARTS = "s3://scans/results.csv", "s3://scans/out/results.csv/"
SAID = (
    "file,page,answer,value,said_by,said_at\n"
    "inbox/0/0.png,1,value,42,Ann,2026-01-01T00:00:00Z\n"
    "inbox/1/1.png,1,blank,,Ann,2026-01-01T00:00:01Z\n"
)
TRUTH = "file,value\n" + "".join(f"inbox/{n % 2}/{n}.png,{n}\n" for n in range(5))


def read(out: str, inbox: str = "inbox", *more: str) -> None:
    """Read all digits as doubtful into a table."""
    line = ("run", inbox, "--out", out, "--workers", "0", "--min-confidence", "1", "-q")
    assert run(*line, *more) == 0


@pytest.fixture(name="tables")
def tables_fixture(server: ObjectServer) -> ObjectServer:
    """Read the same files into a table here and one in the bucket; put what is known about them."""
    fill(server)
    read("here.csv")
    read(THERE)
    for name, text in (("said.csv", SAID), ("truth.csv", TRUTH)):
        Path(name).write_text(text)
        put(server, name, text.encode())
    server.requests.clear()
    return server


def load_page(path: str) -> Any:
    """Return the data of a page of a review."""
    text = Path(path).read_text("utf-8")
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    return json.loads(found)


def list_strips(path: str) -> list[bytes]:
    """Return the pictures of the values of a page of a review."""
    return [base64.b64decode(one["strip"].partition(",")[2]) for one in load_page(path)["items"]]


# correct


def test_what_people_said_goes_into_a_table_by_url(tables: ObjectServer, capsys: Capture) -> None:
    assert run("correct", "here.csv", "said.csv") == 0
    here = capsys.readouterr().err
    assert run("correct", THERE, "s3://scans/said.csv") == 0
    assert capsys.readouterr().err == here.replace("here.csv", THERE)
    assert get(tables, "results.csv") == Path("here.csv").read_bytes()
    kept = Path("here.csv.corrections.csv").read_bytes()
    assert get(tables, "results.csv.corrections.csv") == kept
    names = [name for method, name in list_changes(tables) if method == "PUT"]
    assert names[-1].endswith(".state")
    others = [name for name in names[:-1] if not name.endswith(".shard")]
    assert others == ["results.csv.corrections.csv", "results.csv"]
    tables.requests.clear()
    read(THERE)  # it knows that the table has all that was said, and notes that it was shown
    assert run("correct", THERE, "said.csv", "-q") == 0
    assert {name.rpartition(".")[2] for _, name in list_changes(tables)} <= {"state", "shard"}


def test_a_copy_in_which_somebody_typed_is_merged_too(tables: ObjectServer) -> None:
    text = Path("here.csv").read_text()
    value = text.splitlines()[1].split(",")[3]
    put(tables, "typed.csv", text.replace(f"0.png,1,,{value},", "0.png,1,,77,", 1).encode())
    assert run("correct", THERE, "s3://scans/typed.csv", "-q") == 0
    assert get(tables, "results.csv").splitlines()[1].startswith(b"inbox/0/0.png,1,,77,")


def test_a_table_that_cannot_be_put_is_written_by_the_next_run(
    tables: ObjectServer, capsys: Capture
) -> None:
    before = get(tables, "results.csv")
    tables.faults.append(
        lambda method, path: 403 if (method, path) == ("PUT", "/scans/results.csv") else None
    )
    assert run("correct", THERE, "said.csv") == 5
    assert "'s3://scans/results.csv': access is denied" in capsys.readouterr().err
    tables.faults.clear()
    assert get(tables, "results.csv") == before
    read(THERE)
    assert get(tables, "results.csv").count(b",verified,") == 2


def test_the_table_of_digits_is_left_to_the_next_run(tables: ObjectServer, capsys: Capture) -> None:
    """What it is called is known, but not in which bucket it is."""
    digits = ("--digits-out", "s3://scans/digits.csv")
    read(THERE, "inbox", *digits)
    before = get(tables, "digits.csv")
    assert run("correct", THERE, "said.csv") == 0
    assert "'digits.csv' is not where it was beside 's3://scans/results.csv': the next run writes" \
        in capsys.readouterr().err  # fmt: skip
    assert get(tables, "digits.csv") == before
    table = get(tables, "results.csv")
    assert table.count(b",verified,") == 2
    read(THERE, "inbox", *digits)
    assert get(tables, "results.csv") == table


# review


def test_a_review_shows_pictures_that_it_fetches(tables: ObjectServer) -> None:
    read("here.csv")
    read(THERE, "s3://scans/inbox", "--fresh")
    tables.requests.clear()
    assert run("review", "here.csv", "--out", "here.html", "--workers", "0", "-q") == 0
    assert run("review", THERE, "--out", "there.html", "--workers", "1", "-q") == 0
    data = load_page("there.html")
    assert data["table"] == THERE
    assert [one["file"] for one in data["items"]] == [
        f"s3://scans/inbox/{n % 2}/{n}.png" for n in (0, 2, 4, 1, 3)
    ]
    assert list_strips("there.html") == list_strips("here.html")
    assert list_changes(tables) == []


def test_a_picture_that_cannot_be_fetched_is_missing_alone(
    tables: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(THERE, "s3://scans/inbox", "--fresh")
    tables.client().delete_object(Bucket="scans", Key="inbox/0/2.png")
    put(tables, "inbox/0/4.png", b"another now")
    tables.faults.append(lambda method, path: 403 if path.endswith("/1.png") else None)
    monkeypatch.setattr("batchdigits.views.places.SMALL_BYTES", 400)  # others go to the disk
    assert run("review", THERE, "--out", "there.html", "--workers", "0", "-q") == 0
    faults = [one.get("fault", "") for one in load_page("there.html")["items"]]
    assert faults[0] == ""
    assert faults[1] == "could not be fetched: there is no such object"
    assert faults[2] == "its file is another now"
    assert faults[3].startswith("could not be fetched: access is denied")
    assert faults[4] == ""


def test_a_review_shows_members_of_an_archive_in_a_bucket(server: ObjectServer) -> None:
    make_archive("shard.tar", archived("0.png", "1.png"))
    put(server, "inbox/shard.tar", Path("shard.tar").read_bytes())
    read(THERE, "s3://scans/inbox")
    assert run("review", THERE, "--out", "there.html", "--workers", "0", "-q") == 0
    assert len(set(list_strips("there.html"))) == 2


# evaluate and compare


@pytest.mark.parametrize(
    "options",
    [("--truth", "s3://scans/truth.csv"), ("--corrections", "s3://scans/said.csv.kept"), ()],
    ids=["truth", "corrections", "corrections beside it"],
)
def test_a_table_by_url_is_evaluated_as_the_same_here(
    tables: ObjectServer, capsys: Capture, options: tuple[str, ...]
) -> None:
    for place in ("here.csv", THERE):
        assert run("correct", place, "said.csv", "-q") == 0
    put(tables, "said.csv.kept", Path("here.csv.corrections.csv").read_bytes())
    Path("said.csv.kept").write_bytes(Path("here.csv.corrections.csv").read_bytes())
    tables.requests.clear()
    capsys.readouterr()
    assert run("evaluate", "here.csv", *(one.removeprefix("s3://scans/") for one in options)) == 0
    here = capsys.readouterr()
    assert run("evaluate", THERE, *options) == 0
    assert capsys.readouterr() == here
    assert list_changes(tables) == []


def test_the_page_of_a_table_by_url_has_its_pictures(tables: ObjectServer, capsys: Capture) -> None:
    truth = ("--truth", "truth.csv", "--workers", "0")[:2]
    assert run("evaluate", "here.csv", *truth, "--html", "here.html", "-q") == 0
    assert run("evaluate", THERE, *truth, "--html", "there.html") == 0
    assert f"how '{THERE}' came out -> there.html" in capsys.readouterr().err
    pictures = [re.findall(r"data:image/\w+;base64,[^\"']+", Path(one).read_text("utf-8"))
                for one in ("here.html", "there.html")]  # fmt: skip
    assert pictures[0] == pictures[1] != []
    assert list_changes(tables) == []


def test_mistakes_are_shown_with_pictures_that_are_fetched(tables: ObjectServer) -> None:
    read("there.csv", "s3://scans/inbox")
    Path("truth.csv").write_text(TRUTH.replace("inbox/", "s3://scans/inbox/"))
    assert run("evaluate", "there.csv", "--truth", "truth.csv", "--out", "there", "-q") == 0
    fetched = {path for method, path in tables.requests if method == "GET"}
    tables.client().delete_object(Bucket="scans", Key="inbox/0/2.png")
    assert run("evaluate", "there.csv", "--truth", "truth.csv", "--out", "gone", "-q") == 0
    assert "/scans/inbox/0/2.png" in fetched
    assert Path("gone/mistakes.png").read_bytes() != Path("there/mistakes.png").read_bytes()


def test_tables_by_url_are_compared(tables: ObjectServer, capsys: Capture) -> None:
    assert run("correct", THERE, "said.csv", "-q") == 0
    Path("other.csv").write_bytes(get(tables, "results.csv"))
    capsys.readouterr()
    assert run("compare", "here.csv", "other.csv", "-q") == 0
    here = capsys.readouterr().out
    assert run("compare", "here.csv", THERE) == 0
    there = capsys.readouterr()
    assert there.out == here
    assert there.err.endswith(f"(here.csv -> {THERE})\n")
    assert run("compare", THERE, THERE, "-q") == 0
    assert capsys.readouterr().out.count("\n") == 1


# Tables in parts


@pytest.fixture(name="parts")
def parts_fixture(
    server: ObjectServer, inbox: Path, save: Save, monkeypatch: pytest.MonkeyPatch
) -> ObjectServer:
    """Read twelve digits into three parts, here and in the bucket."""
    for n in range(12):
        save(f"{n:02}.png", drawn(n % 10, seed=n))
    monkeypatch.setattr(sharded, "PART_ROWS", 5)
    read("results.csv/")
    read(PARTS)
    Path("truth.csv").write_text("file,value\ninbox/07.png,7\n")
    Path("said.csv").write_text("file,answer,value,said_at\ninbox/07.png,value,42,2026-01-01\n")
    server.requests.clear()
    return server


@pytest.mark.parametrize("place", [PARTS, PARTS.rstrip("/")])
def test_a_table_in_parts_by_url_is_one_table(
    parts: ObjectServer, capsys: Capture, place: str
) -> None:
    assert run("evaluate", "results.csv", "--truth", "truth.csv") == 0
    here = capsys.readouterr().out
    assert run("evaluate", PARTS, "--truth", "truth.csv") == 0
    assert capsys.readouterr().out == here
    assert run("compare", "results.csv", place, "-q") == 0
    assert capsys.readouterr().out.count("\n") == 1
    assert run("review", place, "--out", "there.html", "--workers", "0", "-q") == 0
    assert len(list_strips("there.html")) == 12
    assert run("correct", place, "said.csv", "-q") == 0
    put_parts = [name for how, name in list_changes(parts) if how == "PUT" and "/part-" in name]
    assert put_parts == ["out/results.csv/part-00001.csv"]
    assert run("correct", "results.csv", "said.csv", "-q") == 0
    for name in ("_SUCCESS", "_manifest.json", *(f"part-0000{n}.csv" for n in range(3))):
        assert get(parts, f"out/results.csv/{name}") == Path("results.csv", name).read_bytes()


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        pytest.param(
            lambda parts: parts.faults.append(
                lambda method, path: 404 if path.endswith("part-00002.csv") else None
            ),
            4,
            "a run has replaced parts of 's3://scans/out/results.csv/'",
            id="a part is gone",
        ),
        pytest.param(
            lambda parts: parts.client().delete_object(
                Bucket="scans", Key="out/results.csv/_SUCCESS"
            ),
            2,
            "'s3://scans/out/results.csv' is not whole",
            id="a run is putting it",
        ),
        pytest.param(
            lambda parts: put(
                parts,
                "out/results.csv/_manifest.json",
                get(parts, "out/results.csv/_manifest.json").replace(b"part-00001", b"../../x"),
            ),
            2,
            "names '../../x.csv': expected part-00000",
            id="a manifest leads elsewhere",
        ),
    ],
)
def test_parts_that_make_up_no_table_are_not_read(
    parts: ObjectServer,
    capsys: Capture,
    change: Callable[[ObjectServer], None],
    code: int,
    words: str,
) -> None:
    change(parts)
    capsys.readouterr()
    assert run("compare", "results.csv", PARTS) == code
    line = capsys.readouterr().err
    assert words in line
    assert line.count("\n") == 1


# What cannot be


def test_a_table_that_a_run_writes_is_busy(tables: ObjectServer, capsys: Capture) -> None:
    with objects.hold_lock(THERE, 0, lambda: None):
        assert run("correct", THERE, "said.csv") == 4
        assert run("review", THERE, "--out", "there.html") == 4
        assert capsys.readouterr().err.count("another run is still writing") == 2
        assert run("compare", "here.csv", THERE, "-q") == 0
    assert get(tables, "results.csv") == Path("here.csv").read_bytes()
    assert list_changes(tables) == []


LINES = {
    "review": ("review", "{}", "--out", "there.html"),
    "correct": ("correct", "{}", "said.csv"),
    "correct by": ("correct", THERE, "{}"),
    "evaluate": ("evaluate", "{}", "--truth", "truth.csv"),
    "evaluate by": ("evaluate", THERE, "--truth", "{}"),
    "compare": ("compare", "here.csv", "{}"),
}
REFUSED = [
    ("s3://scans/gone.csv", "'s3://scans/gone.csv' does not exist"),
    ("s3://no-such-bucket/results.csv", "'s3://no-such-bucket/results.csv' does not exist"),
    ("s3://scans/denied.csv", "access is denied"),
    ("nowhere://scans/results.csv", "nowhere:// is no scheme that can be read"),
    ("gs://scans/results.csv", "pip install 'batchdigits[gcs]'"),
]


@pytest.mark.parametrize("command", LINES)
@pytest.mark.parametrize(("url", "words"), REFUSED, ids=[one for one, _ in REFUSED])
def test_a_table_that_cannot_be_read_is_refused_in_a_line(
    tables: ObjectServer, capsys: Capture, command: str, url: str, words: str
) -> None:
    put(tables, "denied.csv", get(tables, "results.csv"))
    tables.faults.append(lambda method, path: 403 if path.endswith("/denied.csv") else None)
    tables.requests.clear()
    capsys.readouterr()
    assert cli._run_command_line([one.format(url) for one in LINES[command]]) == 2
    line = capsys.readouterr().err
    assert words in line
    assert line.count("\n") == 1
    assert list_changes(tables) == []
    assert list_keys(tables, "gone.csv") == []  # not even a lock


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (("review", "s3://scans", "--out", "there.html"), "is a bucket: expected a table in it"),
        (("review", "s3://scans/inbox", "--out", "there.html"), "holds no table in parts"),
        (("correct", "s3://scans/said.txt", "said.csv"), "is no table"),
        (("review", THERE, "--out", "s3://scans/there.html"), "--out is written to this machine"),
        (("compare", THERE, THERE, "--out", "s3://scans/x.csv"), "--out is written to this"),
        (("evaluate", THERE, "--truth", "truth.csv", "--out", "s3://scans/x"), "--out is written"),
        (("evaluate", THERE, "--html", "s3://scans/x.html"), "--html is written to this machine"),
    ],
)
def test_what_is_no_table_or_no_place_is_refused(
    tables: ObjectServer, capsys: Capture, line: tuple[str, ...], words: str
) -> None:
    put(tables, "said.txt", b"x")
    tables.requests.clear()
    capsys.readouterr()
    assert run(*line) == 2
    assert words in capsys.readouterr().err
    assert list_changes(tables) == []
