"""What a run reports: its summary, its log, and names that must not steer what shows them."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from cli_runs import (
    Capture,
    command,
    run,
    table,
    ten_fixture,  # noqa: F401
)
from conftest import FakeClassifier, drawn

import batchdigits
from batchdigits import cli, report
from batchdigits import run as runs
from batchdigits.archive import transfer
from batchdigits.options import RunOptions
from batchdigits.state.lock import lock_outputs


def test_the_real_thing_with_hostile_names_prints_nothing_when_quiet(inbox: Path) -> None:
    """The shipped model in a real process: every name comes back whole and unambiguous."""
    names = [b"a b.png", b'q"uote.png', b"new\nline.png", b"com,ma.png", b"back\\slash.png"]
    names += [b"=1+2.png", b"\xff\xfe.png", "žluťoučký.png".encode(), b"tab\t.png", b"'.png"]
    picture = io.BytesIO()
    from PIL import Image

    Image.fromarray(drawn(1)).save(picture, "PNG")
    for name in names:
        with open(os.fsencode(inbox) + b"/" + name, "wb") as file:  # noqa: PTH123
            file.write(picture.getvalue())
    done = command("run", "inbox", "--out", "out.csv", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    from batchdigits.sources import unescape_path

    assert sorted(unescape_path(row["file"]) for row in table()) == sorted(
        b"inbox/" + n for n in names
    )
    assert len({row["value"] for row in table()}) == 1
    done = command("run", "=1+2.png", "--out", "-", cwd=inbox)
    assert done.stdout.splitlines()[1].startswith(b"./=1+2.png,1,,")


@pytest.mark.usefixtures("ten")
def test_a_summary_for_programs_says_what_the_line_says(inbox: Path) -> None:
    (inbox / "bad.png").write_bytes(b"")
    arguments = ("run", "inbox", "--out", "out.csv", "--workers", "0", "--summary-json", "s.json")
    assert run(*arguments) == 3
    told = json.loads(Path("s.json").read_text("utf-8"))
    assert told["exit_code"] == 3
    assert told["rows"]["total"] == 11
    assert told["rows"]["error"] == 1
    assert told["files"] | {"skipped": {}} == {
        **{"found": 11, "read": 11, "failed": 1, "left": 0, "gone": 0, "pruned": 0},
        "skipped": {},
    }
    assert set(told["seconds"]) == {"total", "look", "read", "write"}
    assert set(told["work_seconds"]) == {"extract", "wait", "predict", "keep"}
    assert len(told["model"]["fingerprint"]) == 40
    assert told["versions"]["batchdigits"] == batchdigits.__version__
    assert run(*arguments) == 3
    told = json.loads(Path("s.json").read_text("utf-8"))
    assert (told["files"]["read"], told["rows"]["total"]) == (1, 11)


@pytest.mark.parametrize("option", ["--summary-json", "--state"])
@pytest.mark.parametrize(
    "place",
    [
        "none/s.json",
        "inbox",
        "/dev/full",
        "/proc/s.json",  # where even root cannot make a file
    ],
)
@pytest.mark.usefixtures("ten")
def test_what_cannot_be_written_is_told_of_before_anything_is_read(
    option: str, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(Path().rglob("*"))
    assert run("run", "inbox", "--out", "out.csv", option, place) == 5
    assert sorted(Path().rglob("*")) == before
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert f"'{place}'" in told


def inbox_gone(patch: pytest.MonkeyPatch) -> None:
    Path("inbox").rename("elsewhere")


def stuck(*_: object) -> str:
    raise PermissionError(13, "Permission denied")


def unmovable(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(transfer, "rename_file", stuck)


def breaks(fault: Callable[[], object]) -> Callable[[pytest.MonkeyPatch], None]:
    """Have something happen as the model is called."""

    def change(patch: pytest.MonkeyPatch) -> None:
        real = FakeClassifier.logits
        patch.setattr(FakeClassifier, "logits", lambda *given: (fault(), real(*given))[1])

    return change


def signalled(number: int) -> Callable[[pytest.MonkeyPatch], None]:
    return breaks(lambda: os.kill(os.getpid(), number))


def bug() -> None:
    raise KeyError("of the program's own")


@pytest.mark.usefixtures("ten")
@pytest.mark.parametrize(
    ("code", "happens", "more", "found"),
    [
        pytest.param(1, breaks(bug), (), 10, id="a bug"),
        pytest.param(2, inbox_gone, (), 0, id="an inbox that is not there"),
        pytest.param(5, unmovable, ("--move-done", "done"), 10, id="files that cannot be moved"),
        pytest.param(5, None, ("--digits-out", "no/d.csv"), 0, id="a place that is not there"),
        pytest.param(5, None, ("--log-file", "no/b.log"), 0, id="nor one for the log"),
        pytest.param(6, None, ("--model", "none.keras"), 0, id="no such model"),
        pytest.param(130, signalled(signal.SIGINT), (), 10, id="interrupted"),
        pytest.param(143, signalled(signal.SIGTERM), (), 10, id="terminated"),
    ],
)
def test_a_summary_tells_how_this_run_ended_and_not_the_last(
    code: int,
    happens: Callable[[pytest.MonkeyPatch], None] | None,
    more: tuple[str, ...],
    found: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    arguments = ("run", "inbox", "--out", "out.csv", "--workers", "0", "--summary-json", "s.json")
    assert run(*arguments) == 0
    assert json.loads(Path("s.json").read_text("utf-8"))["error"] is None
    capsys.readouterr()
    before = {number: signal.signal(number, cli._handle_signal) for number in (2, 15)}
    try:
        with monkeypatch.context() as patch:
            if happens is not None:
                happens(patch)
            assert run(*arguments, "--fresh", *more) == code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    told = json.loads(Path("s.json").read_text("utf-8"))
    assert told["exit_code"] == code
    assert capsys.readouterr().err.splitlines()[-1] == f"batchdigits: {told['error']}"
    assert told["files"]["found"] == found
    counts = (10, 10) if "--move-done" in more else (0, 0)  # of rows, and of files in whole batches
    assert (told["rows"]["total"], told["files"]["read"]) == counts
    assert (told["model"] is None) is (code == 6)


@pytest.mark.usefixtures("ten")
def test_a_summary_of_an_error_takes_the_place_of_a_summary_alone(capsys: Capture) -> None:
    arguments = ("run", "inbox", "--out", "out.csv", "--workers", "0", "--summary-json", "s.json")
    assert run(*arguments, "--model", "none") == 6
    assert json.loads(Path("s.json").read_text("utf-8"))["exit_code"] == 6
    assert run(*arguments) == 0
    told = Path("s.json").read_bytes()
    with lock_outputs(["out.csv"]):
        assert run(*arguments) == 4
    assert Path("s.json").read_bytes() == told  # it is the other run's
    assert run(*arguments, "--dry-run") == 0
    assert Path("s.json").read_bytes() == told
    Path("s.json").write_text("a file of somebody's")
    assert run(*arguments, "--model", "none") == 6
    assert Path("s.json").read_text() == "a file of somebody's"


@pytest.mark.usefixtures("ten")
@pytest.mark.parametrize(("share", "code"), [("0.05", 3), ("0.1", 0), ("1", 0)])
def test_few_failures_may_be_left_to_the_table(inbox: Path, share: str, code: int) -> None:
    """One of eleven is 9%."""
    (inbox / "bad.png").write_bytes(b"")
    arguments = ("run", "inbox", "--out", "out.csv", "--workers", "0", "--fail-over", share)
    assert run(*arguments) == code


@pytest.mark.parametrize(
    ("files", "typed"),
    [
        (100, "{:.2f}"),  # as floats multiply, 0.29 * 100 is less than 29
        (1000, "{:.4f}"),
        (7, "{!r}"),  # as a program would print it
        (999, "{!r}"),
    ],
)
def test_a_share_is_the_one_that_was_typed(files: int, typed: str) -> None:
    for most in range(files):
        options = RunOptions.from_settings({"fail_over": typed.format(most / files), "quiet": True})
        for failed, code in ((most, 0), (most + 1, 3)):
            found = runs.Summary(files=files, failed=failed)
            assert report.print_summary(found, "out.csv", options) == code, (failed, files)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ((), ("(one for each processor", "in batches of 2048 crops (as fast as larger ones")),
        (
            ("--workers", "0", "--batch-size", "7"),
            ("with 0 workers (as asked for)", "batches of 7 crops (as asked for)"),
        ),
    ],
)
@pytest.mark.usefixtures("ten")
def test_the_log_says_how_many_workers_and_crops_were_chosen_and_why(
    more: tuple[str, ...], words: tuple[str, ...]
) -> None:
    assert run("run", "inbox", "--out", "out.csv", "--log-file", "b.log", *more) == 0
    (line,) = [line for line in Path("b.log").read_text().splitlines() if "reading with" in line]
    assert all(word in line for word in words)


@pytest.mark.usefixtures("ten")
def test_a_log_file_holds_what_was_said_and_more(inbox: Path) -> None:
    arguments = ("run", "inbox", "--workers", "0", "--log-file", "b.log", "--quiet")
    assert run(*arguments, "--out", "out.csv") == 0
    Path("out.csv").write_text("edited")
    (inbox / "bad.png").write_bytes(b"")
    assert run(*arguments, "--out", "out.csv") == 3
    assert run(*arguments, "--out", "nowhere/out.csv") == 5
    lines = Path("b.log").read_text("utf-8").splitlines()
    lines = [line for line in lines if "reading with" not in line]
    assert [line.split(" ", 3)[2] for line in lines] == [
        *("INFO", "INFO", "ERROR", "INFO", "INFO"),
    ]
    assert "10 rows in" in lines[0]
    assert "not read: inbox/bad.png, page 1: empty file" in lines[1]
    assert "'out.csv' was not as it was left" in lines[2]
    assert "11 rows in" in lines[3]
    assert "nowhere" in lines[4]
    assert run("run", "inbox", "--out", "out.csv", "--log-file", "nowhere/b.log") == 5


HOSTILE = (
    b"\x1b]0;x\x07\x1b[31m.png",
    b"new\nline.png",
    b"tab\t.png",
    b"\xff\xfe.png",
    b"\xc2\x9b.png",
)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet", ".xlsx"])
def test_no_name_steers_what_shows_it(
    inbox: Path, fake_classifier: FakeClassifier, ending: str, capsys: Capture
) -> None:
    """Names of any bytes: in every output, on standard error, in the log, as a picture's name."""
    from batchdigits.evaluate import read_results
    from batchdigits.sources import unescape_path

    for name in HOSTILE:
        place = os.path.join(os.fsencode(inbox), name)
        Path(os.fsdecode(place)).write_bytes(b"GIF89a" if name[:1] == b"\xff" else PAGE)
    outputs = ("--out", f"out{ending}", "--digits-out", f"digits{ending}", "--debug-pages", "shown")
    told = ("--log-file", "b.log", "--summary-json", "s.json", "--move-failed", "failed")
    assert run("run", "inbox", *outputs, *told, "--as", "form", "--workers", "0") == 3
    files = read_results(f"out{ending}")["file"]
    assert {unescape_path(file).removeprefix(b"inbox/") for file in files} == set(HOSTILE)
    shown = [path.name for path in Path("shown").iterdir()]
    assert len(shown) == len(HOSTILE) - 1
    assert all(re.fullmatch(r"[\w.-]+", name, re.ASCII) for name in shown)
    texts = [*capsys.readouterr(), *(Path(one).read_text("utf-8") for one in ("b.log", "s.json"))]
    if ending not in (".parquet", ".xlsx"):
        texts += [Path(f"{one}{ending}").read_text("utf-8") for one in ("out", "digits")]
    for text in texts:
        assert "\x1b" not in text
        assert all(c.isprintable() or c in "\n\t" for c in text)
    assert "moved to" in texts[2]


PAGE = cv2.imencode(".png", np.full((400, 400), 255, np.uint8))[1].tobytes()


def test_the_log_steers_no_terminal(inbox: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = (
        "import logging\nfrom batchdigits.cli import logs\n"
        "from batchdigits.options import RunOptions\n"
        "logs.configure_logging(RunOptions.from_settings({'log_file': 'b.log'}))\n"
        "logging.getLogger('batchdigits').warning('of a library: \\x1b[31m\\nand more')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    line = "of a library: ?[31m and more\n"
    assert capfd.readouterr().err == f"batchdigits: WARNING: {line}"
    assert Path("b.log").read_text("utf-8").endswith(f"WARNING {line}")


@pytest.mark.parametrize("more", ["", ", 'log_file': 'b.log'"], ids=["alone", "with a log file"])
def test_when_quiet_only_what_somebody_must_know_is_said(
    more: str, inbox: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A log file is told more; that is no reason for a mail every night."""
    code = (
        "import logging\nfrom batchdigits.cli import logs\n"
        "from batchdigits.options import RunOptions\n"
        f"logs.configure_logging(RunOptions.from_settings({{'quiet': True{more}}}))\n"
        "for say in ('info', 'warning', 'error'):\n"
        "    getattr(logging.getLogger('batchdigits.run'), say)(say)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert capfd.readouterr().err == "batchdigits: ERROR: error\n"


@pytest.mark.usefixtures("ten")
@pytest.mark.parametrize("quiet", [(), ("--quiet",)], ids=["shown", "quiet"])
def test_a_run_with_errors_names_ten_files_and_the_log_all(
    inbox: Path, quiet: tuple[str, ...], capsys: Capture
) -> None:
    for n in range(12):
        (inbox / f"bad-{n:02}.png").write_bytes(b"")
    (inbox / "bad-pages.tif").write_bytes(b"II*\0")
    told = ("--log-file", "b.log", "--summary-json", "s.json")
    assert run("run", "inbox", "--out", "out.csv", "--workers", "0", *quiet, *told) == 3
    *named, more, last = capsys.readouterr().err.splitlines()
    assert named == [
        f"batchdigits: not read: inbox/bad-{n:02}.png: empty file (0 bytes)" for n in range(10)
    ]
    assert more == "batchdigits: not read: 3 more (the log has them all)"
    assert "13 error" in last
    log = Path("b.log").read_text("utf-8")
    assert all(f"not read: inbox/bad-{n:02}.png, page 1: empty" in log for n in range(12))
    listed = json.loads(Path("s.json").read_text("utf-8"))["failed_files"]
    assert len(listed) == 13
    assert listed[0] == {"file": "inbox/bad-00.png", "page": 1, "detail": "empty file (0 bytes)"}


@pytest.mark.usefixtures("ten")
def test_a_few_failures_that_may_be_left_to_the_table_are_no_reason_for_a_mail(
    inbox: Path, capsys: Capture
) -> None:
    (inbox / "bad.png").write_bytes(b"")
    arguments = ("run", "inbox", "--out", "out.csv", "--workers", "0", "--fail-over", "0.5")
    assert run(*arguments, "--quiet") == 0
    assert capsys.readouterr().err == ""
    assert run(*arguments) == 0
    assert "not read: inbox/bad.png: " in capsys.readouterr().err


def test_a_summary_lists_a_bounded_number_of_files(inbox: Path) -> None:
    found = runs.Summary()
    for n in range(1500):
        found.count_failure(f"{n}.png", 1, "empty")
    assert (found.failed, len(found.failures)) == (1500, 1000)
