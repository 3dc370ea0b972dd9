"""The command line: exit codes, what goes to which stream, and where settings come from."""

import csv
import io
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import (
    Capture,
    command,
    run,
    table,
    ten_fixture,  # noqa: F401
)
from conftest import FakeClassifier, Save, drawn

import batchdigits
from batchdigits import cli
from batchdigits import run as runs
from batchdigits.errors import UsageError
from batchdigits.extract import chunks
from batchdigits.job import Job
from batchdigits.options import RunOptions
from batchdigits.paths import resolve_paths
from batchdigits.predict.predictor import Predictor
from batchdigits.state import settling
from batchdigits.state.lock import lock_outputs


@pytest.mark.usefixtures("ten")
def test_a_good_run_writes_the_table_and_one_line(capsys: Capture) -> None:
    assert run("run", "./inbox", "--out", "out.csv", "--workers", "0") == 0
    assert [row["file"] for row in table()] == [f"./inbox/{n}.png" for n in range(10)]
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("batchdigits: 10 rows in ")
    assert "(10 files read" in err
    assert err.endswith("-> out.csv\n")
    assert err.count("\n") == 1


@pytest.mark.usefixtures("ten")
def test_quiet_prints_nothing_while_all_goes_well(inbox: Path, capsys: Capture) -> None:
    assert run("run", "inbox", "--out", "out.csv", "--workers", "0", "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    (inbox / "bad.png").write_bytes(b"")
    assert run("run", "inbox", "--out", "out.csv", "--workers", "0", "--quiet") == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "1 error" in err


AUDITED = "confidence,value,truth\n" + "0.6000,7,7\n" * 60 + "0.5000,1,7\n" * 20


@pytest.mark.usefixtures("ten")
@pytest.mark.parametrize("how", ["line", "environment", "file"])
def test_a_target_error_says_the_threshold_it_means(
    how: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    Path("audited.csv").write_text(AUDITED)
    more = []
    if how == "line":
        more = ["--target-error", "0.1", "--calibration", "audited.csv"]
    elif how == "environment":
        monkeypatch.setenv("BATCHDIGITS_TARGET_ERROR", "0.1")
        monkeypatch.setenv("BATCHDIGITS_CALIBRATION", "audited.csv")
    else:
        Path("job.toml").write_text('target-error = 0.1\ncalibration = "audited.csv"\n')
        more = ["--config", "job.toml"]
    assert run(*OF_ONE, "--workers", "0", *more) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "--target-error 0.1: values of confidence 0.6000 or more are ok" in err
    assert {row["status"] for row in table() if float(row["confidence"]) >= 0.6} <= {"ok"}
    assert {row["status"] for row in table() if float(row["confidence"]) < 0.6} <= {"review"}
    assert run(*OF_ONE, "--workers", "0", *more, "--quiet") == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("ten")
def test_a_target_error_that_the_data_cannot_support_names_the_one_they_can(
    capsys: Capture,
) -> None:
    Path("audited.csv").write_text(AUDITED)
    one = [*OF_ONE, "--workers", "0", "--calibration", "audited.csv", "--target-error"]
    assert run(*one, "0.001") == 6
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "the 80 values" in err
    assert "by the 60 surest" in err
    assert not Path("out.csv").exists()
    named = err.partition("support is ")[2].partition(",")[0]
    assert named == "0.04871"  # 1 - 0.05 ** (1 / 60) = 0.048703, rounded up
    assert run(*one, named) == 0


@pytest.mark.usefixtures("ten")
def test_csv_on_standard_output_is_the_table(capsys: Capture) -> None:
    assert run("run", "inbox", "--out", "out.csv", "--workers", "0") == 0
    capsys.readouterr()
    assert run("run", "inbox", "--out", "-", "--workers", "0") == 0
    assert capsys.readouterr().out == Path("out.csv").read_text("utf-8")


def test_an_empty_folder_gives_a_header_and_a_line_that_says_so(
    inbox: Path, capsys: Capture
) -> None:
    (inbox / "note.txt").write_text("x")
    assert run("run", "inbox", "--out", "out.csv") == 0
    assert Path("out.csv").read_text() == "file,page,field,value,confidence,status,detail\n"
    err = capsys.readouterr().err
    assert "no images found" in err
    assert "skipped 1 not an image" in err


OF_ONE = ["run", "inbox", "--out", "out.csv"]
CALIBRATE = ["calibrate", "--out", "mine", "--data"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "inbox"], 2, "--out is missing"),
        (["run", "--out", "out.csv"], 2, "Missing argument 'INPUT...'"),
        (["run", "nowhere", "--out", "out.csv"], 2, "INPUT 'nowhere' does not exist"),
        (["run", "inbox", "--out", "out.doc"], 2, "must end in .csv"),
        (["run", "inbox", "--out", "nowhere/out.csv"], 5, "nowhere"),
        (["run", "inbox", "--out", "inbox"], 2, "must end in"),
        (["run", "inbox", "--out", "out.csv", "--as", "page"], 2, "as: "),
        (["run", "inbox", "--out", "out.csv", "--min-confidence", "2"], 2, "min-confidence: "),
        (["run", "inbox", "--out", "out.csv", "--min-confidence", "x"], 2, "'x'"),
        (["run", "inbox", "--out", "out.csv", "--target-error", "1"], 2, "target-error: "),
        (["run", "inbox", "--out", "out.csv", "--target-error", "0"], 2, "target-error: "),
        ([*OF_ONE, "--min-confidence", "0.9", "--target-error", "0.1"], 2, "give one"),
        ([*OF_ONE, "--calibration", "audited.csv"], 2, "is for --target-error"),
        ([*OF_ONE, "--target-error", ".1", "--model", "zip.keras"], 6, "batchdigits calibrate"),
        ([*OF_ONE, "--target-error", ".1", "--calibration", "none.csv"], 2, "No such file"),
        (
            [*OF_ONE, "--target-error", ".1", "--calibration", "text.keras"],
            2,
            "expected the columns",
        ),
        (["run", "inbox", "--out", "out.csv", "--batch-size", "0"], 2, "batch-size: "),
        (["run", "inbox", "--out", "out.csv", "--device", "tpu"], 2, "device: "),
        (["run", "inbox", "--out", "out.csv", "--outt", "x"], 2, "--outt"),
        (["run", "inbox", "--out", "out.jsonl", "--excel"], 2, "--excel"),
        ([*OF_ONE, "--digits-out", ""], 2, "--digits-out"),
        ([*OF_ONE, "--digits-out", "d.doc"], 2, "--digits-out must end in .csv"),
        ([*OF_ONE, "--digits-out", "d.jsonl", "--excel"], 2, "got --digits-out 'd.jsonl'"),
        (["run", "inbox", "--out", "out.csv", "--model", "no.keras"], 6, "does not exist"),
        (["run", "inbox", "--out", "out.csv", "--model", "inbox"], 6, "card.json"),
        (["run", "inbox", "--out", "out.csv", "--model", "text.keras"], 6, "is not a model"),
        (["run", "inbox", "--out", "out.csv", "--config", "none.toml"], 2, "none.toml"),
        (["info", "--model", "no.keras"], 6, "does not exist"),
        (["calibrate", "--out", "mine"], 2, "--data"),
        (["calibrate", "--data", "inbox"], 2, "--out"),
        ([*CALIBRATE, "inbox", "--model", "no.keras"], 6, "does not exist"),
        ([*CALIBRATE, "no.npz"], 2, "do not exist"),
        ([*CALIBRATE, "inbox", "--labels", "x=letter"], 2, "--labels"),
        ([*CALIBRATE, "inbox", "--device", "tpu"], 2, "device: "),
        (["calibrate", "--data", "inbox", "--out", "inbox"], 5, "is no bundle"),
        (["walk"], 2, "walk"),
        (["train", "--out", "new"], 2, "--recipe is missing"),
        (["train", "--recipe", "mlp"], 2, "--out is missing"),
        (
            ["train", "--recipe", "conv4", "--out", "new"],
            2,
            "expected one of default, numbers, conv1",
        ),
        (["train", "--recipe", "mlp", "--out", ""], 2, "out: "),
        (["train", "--recipe", "mlp", "--out", "text.keras"], 2, "expected a folder"),
        (["train", "--recipe", "mlp", "--out", "new", "--epochs", "0"], 2, "epochs: "),
        (["train", "--recipe", "mlp", "--out", "new", "--seed", "-1"], 2, "seed: "),
        (["train", "--recipe", "mlp", "--out", "new", "--device", "tpu"], 2, "device: "),
        (["train", "--recipe", "mlp", "--out", "new", "--labels", "ten"], 2, "LABEL=MEANING"),
        (["train", "--recipe", "mlp", "--out", "new", "--data", "no.npz"], 2, "do not exist"),
        (["train", "--recipe", "mlp", "--out", "new", "--data", "inbox"], 2, "holds no folders"),
    ],
)
@pytest.mark.usefixtures("ten")
def test_what_is_wrong_is_told_in_one_line_and_nothing_is_written(
    arguments: list[str], code: int, words: str, capsys: Capture
) -> None:
    Path("text.keras").write_text("hello")
    with zipfile.ZipFile("zip.keras", "w"):
        pass
    before = sorted(Path().rglob("*"))
    assert run(*arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("batchdigits: ")
    assert words in err
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize(
    ("more", "one", "other"),
    [
        ("--summary-json out.csv", "--out", "--summary-json"),  # the table would be JSON
        ("--summary-json inbox/../out.csv", "--out", "--summary-json"),  # however it is spelled
        ("--summary-json link.json", "--out", "--summary-json"),  # and by a link
        ("--log-file out.csv", "--out", "--log-file"),
        ("--state out.csv", "--out", "--state"),
        ("--digits-out out.csv", "--out", "--digits-out"),
        ("--digits-out d.csv --state d.csv", "--state", "--digits-out"),
        ("--digits-out d.csv --log-file d.csv", "--digits-out", "--log-file"),
        ("--digits-out d.csv --summary-json d.csv", "--digits-out", "--summary-json"),
        ("--summary-json a --log-file a", "--log-file", "--summary-json"),
        ("--summary-json out.csv.state", "the state of --out", "--summary-json"),
        ("--log-file out.csv.state", "the state of --out", "--log-file"),
        ("--log-file out.csv.state-journal", "the state of --out", "--log-file"),
        ("--state s --summary-json s-journal", "--state", "--summary-json"),
        ("--log-file .out.csv.lock", "--log-file", "the lock of --out"),
        ("--state s --summary-json .s.lock", "--summary-json", "the lock of --state"),
        ("--move-done out.csv", "--out", "--move-done"),
        ("--move-failed a --log-file a", "--log-file", "--move-failed"),
        ("--debug-pages out.csv.state", "the state of --out", "--debug-pages"),
        ("--out - --digits-out -", "--out", "--digits-out"),
    ],
)
def test_two_options_never_name_one_file(
    more: str, one: str, other: str, ten: None, capsys: Capture
) -> None:
    Path("link.json").symlink_to("out.csv")
    before = sorted(Path().rglob("*"))
    assert run(*OF_ONE, *more.split()) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert one in err
    assert other in err
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize("option", ["out", "state", "digits_out", "log_file", "summary_json"])
@pytest.mark.parametrize("scan", ["inbox/1.png", "scan.csv", "broken.TIF"])
def test_no_option_writes_over_a_scan(option: str, scan: str, ten: None) -> None:
    """What a run would read, by its first bytes or by its name."""
    Path("scan.csv").write_bytes(Path("inbox/1.png").read_bytes())
    Path("broken.TIF").write_text("half of it")
    before = Path(scan).read_bytes()
    chosen = {"out": "out.csv", option: scan}
    with pytest.raises(UsageError, match=f"--{option.replace('_', '-')} '{scan}' is a picture"):
        resolve_paths(RunOptions.from_settings(chosen))
    assert Path(scan).read_bytes() == before


@pytest.mark.parametrize("more", [["--out", "out.csv"], ["--dry-run"]])
def test_no_log_is_written_into_a_scan(more: list[str], ten: None, capsys: Capture) -> None:
    before = Path("inbox/1.png").read_bytes()
    assert run("run", "inbox", "--log-file", "inbox/1.png", *more) == 2
    assert "is a picture" in capsys.readouterr().err
    assert Path("inbox/1.png").read_bytes() == before


@pytest.mark.usefixtures("ten")
def test_a_table_whose_name_is_a_link_to_nothing_yet_is_made_there() -> None:
    Path("far").mkdir()
    Path("out.csv").symlink_to("far/table.csv")
    Path("d.csv").symlink_to("far/digits.csv")
    assert run(*OF_ONE, "--workers", "0", "--digits-out", "d.csv") == 0
    assert len(table("far/table.csv")) == len(table("far/digits.csv")) == 10
    assert Path("out.csv").is_symlink()


@pytest.mark.usefixtures("ten")
def test_what_a_run_wrote_it_writes_again() -> None:
    """An own output is no scan, and no other output, were it empty or damaged."""
    more = ("--summary-json", "s.json", "--log-file", "b.log", "--state", "s", "--digits-out")
    for path in ("b.log", "s.json"):
        Path(path).touch()
    for _ in range(2):
        assert run(*OF_ONE, "--workers", "0", *more, "d.csv") == 0
        Path("s").write_bytes(b"damaged" + Path("s").read_bytes())


@pytest.mark.usefixtures("ten")
def test_an_error_row_makes_exit_code_3_and_the_others_are_read(inbox: Path) -> None:
    (inbox / "5a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert run("run", "inbox", "--out", "out.csv", "--workers", "0") == 3
    assert [row["status"] == "error" for row in table()].count(True) == 1
    assert len(table()) == 11


def test_paths_come_on_standard_input(
    inbox: Path, save: Save, fake_classifier: FakeClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("a b.png", drawn(1))
    save("c\nd.png", drawn(2))

    def feed(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    feed(b"inbox/a b.png\ninbox/gone.png\n")
    assert run("run", "-", "--out", "out.csv", "--workers", "0") == 3
    assert [(row["file"], row["status"] == "error") for row in table()] == [
        ("inbox/a b.png", False),
        ("inbox/gone.png", True),
    ]
    feed(b"inbox/c\nd.png\0inbox/a b.png\0")
    assert run("run", "-", "--null", "--out", "other.csv", "--workers", "0") == 0
    assert [row["file"] for row in table("other.csv")] == ["inbox/a b.png", "inbox/c\\x0ad.png"]


@pytest.mark.usefixtures("ten")
def test_command_line_wins_over_environment_over_file(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    seen = []
    real = runs.run_job

    def spy(job: Job, *more: Any) -> object:
        chosen = job.options
        seen.append((chosen.out, chosen.min_confidence, chosen.batch_size, chosen.as_))
        return real(job, *more)

    monkeypatch.setattr(runs, "run_job", spy)
    Path("job.toml").write_text(
        'inputs = ["inbox"]\nout = "file.csv"\nmin-confidence = 0.5\nbatch_size = 11\n'
        'as = "digit"\nworkers = 0\nquiet = true\n'
    )
    assert run("run", "--config", "job.toml") == 0
    monkeypatch.setenv("BATCHDIGITS_MIN_CONFIDENCE", "0.6")
    monkeypatch.setenv("BATCHDIGITS_OUT", "environment.csv")
    assert run("run", "--config", "job.toml") == 0
    assert run("run", "inbox", "--config", "job.toml", "--out", "line.csv") == 0
    assert seen == [
        ("file.csv", 0.5, 11, "digit"),
        ("environment.csv", 0.6, 11, "digit"),
        ("line.csv", 0.6, 11, "digit"),
    ]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("min-confidense = 1", "unknown option 'min-confidense'; did you mean 'min-confidence'?"),
        ("= 1", "expected a TOML file"),
        ("config = 'x.toml'", "unknown option 'config'"),
        ("min-confidence = 'high'", "high"),
        ("\xff", "expected a TOML file"),
        ('out = "a\\u0000.csv"', "'out': expected no zero byte, got 'a\\x00.csv'"),
        ('inputs = ["a", "\\u0000"]', "'inputs': expected no zero byte"),
        ("log-file = {a = 1}", "'log-file': expected one value, got a table"),
        ("[log-file]", "'log-file': expected one value, got a table"),
        ("template = ['a.toml', {b = 'c'}]", "'template': expected one value, got a table"),
        ("[[template]]", "'template': expected one value, got a table"),
        ("out = ['a.csv']", "'out': expected one value, got a list"),
    ],
)
def test_a_bad_configuration_is_told(inbox: Path, text: str, words: str, capsys: Capture) -> None:
    Path("job.toml").write_bytes(text.encode("latin-1"))
    assert run("run", "inbox", "--out", "out.csv", "--config", "job.toml") == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_a_dry_run_lists_and_writes_nothing(inbox: Path, save: Save, capsys: Capture) -> None:
    save("digit.png", drawn(3))
    save("page.png", np.full((900, 700), 255, np.uint8))
    assert run("run", "inbox", "--dry-run") == 0
    out, err = capsys.readouterr()
    lines = list(csv.DictReader(io.StringIO(out)))
    assert [(line["file"], line["as"]) for line in lines] == [
        ("inbox/digit.png", "digit"),
        ("inbox/page.png", "form"),
    ]
    assert "2 files found" in err
    assert list(Path().iterdir()) == [inbox.relative_to(Path.cwd())]


def test_a_bug_is_one_line_and_exit_code_1(
    inbox: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("so\nthere \x1b[31m")

    monkeypatch.setattr(runs, "find_files", broken)
    monkeypatch.delenv("BATCHDIGITS_DEBUG", raising=False)
    assert run("run", "inbox", "--out", "out.csv") == 1
    err = capsys.readouterr().err
    assert "a bug in batchdigits: ZeroDivisionError: so there ?[31m" in err
    assert err.count("\n") == 1


@pytest.mark.usefixtures("ten")
@pytest.mark.parametrize(
    ("signal_number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
def test_interrupted_finishes_the_chunk_and_leaves_the_old_table(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, signal_number: int, code: int
) -> None:
    Path("out.csv").write_text("old")
    predict = Predictor.predict_batch
    batches = []

    def stop(self: Predictor, batch: Any) -> Any:
        batches.append(batch)
        os.kill(os.getpid(), signal_number)
        return predict(self, batch)

    monkeypatch.setattr(chunks, "MIN_CHUNK_FILES", 3)
    before = signal.signal(signal_number, cli._handle_signal)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(Predictor, "predict_batch", stop)
            assert run("run", "inbox", "--out", "out.csv", "--workers", "1") == code
    finally:
        signal.signal(signal_number, before)
    assert Path("out.csv").read_text() == "old"
    assert len(batches) == 1
    words = capsys.readouterr().err
    assert "what was read is kept" in words
    assert words.count("\n") == 1
    assert run("run", "inbox", "--out", "out.csv", "--workers", "1") == 0
    assert "(7 files read" in capsys.readouterr().err
    assert len(table()) == 10


@pytest.mark.usefixtures("ten")
def test_a_second_signal_stops_at_once(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def stop(self: object, batch: object) -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    monkeypatch.setattr(Predictor, "predict_batch", stop)
    before = {one: signal.signal(one, cli._handle_signal) for one in cli._STOP_SIGNALS}
    try:
        assert run("run", "inbox", "--out", "out.csv", "--workers", "1") == 130
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    assert not Path("out.csv").exists()
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "what_comes_of_it",
    ["raise", "raise ImportError('half of it is there')"],
    ids=["as it is", "another"],
)
@pytest.mark.parametrize(
    ("number", "said", "code"),
    [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 143)],
    ids=["INT", "TERM"],
)
def test_a_signal_that_cuts_an_import_short_is_told_in_one_line(
    number: int, said: str, code: int, what_comes_of_it: str, inbox: Path
) -> None:
    """As NumPy is imported: it says of a second import that there can be none."""
    Path("stub").mkdir()
    Path("stub/numpy.py").write_text(
        "import os\n"
        "if os.environ.get('BEGUN'): raise ImportError('cannot load module more than once')\n"
        "os.environ['BEGUN'] = 'yes'\n"
        f"try: os.kill(os.getpid(), {int(number)})\n"
        f"except BaseException: {what_comes_of_it}\n"
    )
    paths = ["stub", str(Path(batchdigits.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(paths).rstrip(os.pathsep)}
    done = command("run", "inbox", "--out", "out.csv", env=env)
    assert (done.returncode, done.stdout) == (code, b"")
    assert done.stderr.decode() == f"batchdigits: {said}: an earlier table still stands\n"


def test_nobody_reads_standard_output(inbox: Path, save: Save) -> None:
    save("a.png", drawn(1))
    code = "import os, signal; from batchdigits import cli; cli.main()"
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-c", code, "run", "inbox", "--out", "-", "--dry-run"],
            stdout=closed,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert b"Traceback" not in done.stderr
    assert b"bug" not in done.stderr
    assert done.returncode == 0


def test_files_that_are_being_written_are_no_empty_folder(
    inbox: Path, save: Save, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """A folder that was never read is waited for, once; what is written to meanwhile is left."""
    save("a.png", drawn(4))
    monkeypatch.setattr(settling, "sleep", lambda _: os.utime(inbox / "a.png"))
    assert run("run", "inbox", "--out", "out.csv", "--settle", "3600") == 0
    told = capsys.readouterr().err
    assert "no rows yet; 1 left for next time" in told
    assert "no images" not in told


@pytest.mark.usefixtures("ten")
def test_a_second_run_of_an_output_ends_with_4(capsys: Capture) -> None:
    with lock_outputs(["out.csv"]):
        assert run("run", "inbox", "--out", "out.csv", "--workers", "0") == 4
    words = capsys.readouterr().err
    assert "another run is still writing 'out.csv'" in words
    assert words.count("\n") == 1
    assert not Path("out.csv").exists()
