"""The door: exit codes, what goes to which stream, and where settings come from."""

import csv
import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import FakeClassifier, Save, drawn

import batchdigits
from batchdigits import cli, report
from batchdigits import run as runs
from batchdigits.archive import transfer
from batchdigits.errors import UsageError
from batchdigits.extract import tasks
from batchdigits.job import Job
from batchdigits.options import RunOptions
from batchdigits.paths import resolve_paths
from batchdigits.predict.predictor import Predictor
from batchdigits.state.lock import lock_outputs

Capture = pytest.CaptureFixture[str]


def run(*arguments: str) -> int:
    try:
        return cli._run_command_line(list(arguments))
    finally:
        for name in ("batchdigits", "batchdigits.said"):  # a process has one command line
            for handler in [*logging.getLogger(name).handlers]:
                logging.getLogger(name).removeHandler(handler)
                handler.close()


def table(path: str = "out.csv") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(Path(path).read_text("utf-8"))))


@pytest.fixture
def ten(save: Save, fake_classifier: FakeClassifier) -> None:
    for n in range(10):
        save(f"{n}.png", drawn(n))


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
        (["run", "inbox", "--out", "parts/"], 2, "parts/"),  # sharded output comes later
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

    monkeypatch.setattr(tasks, "MIN_CHUNK_FILES", 3)
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


@pytest.fixture
def labelled(inbox: Path) -> str:
    """A labelled set of 60 digits, in the folder stood in."""
    x = np.stack([255 - drawn(n % 10, seed=n) for n in range(60)])
    np.savez("set.npz", x_train=x, y_train=np.arange(60) % 10, x_test=x, y_test=np.arange(60) % 10)
    return "set.npz"


def train(*more: str) -> int:
    settings = ("--data", "set.npz", "--out", "new", "--device", "cpu", "--epochs", "2")
    return run("train", "--recipe", "mlp", *settings, *more)


def test_a_training_tells_its_figures_and_what_comes_next(labelled: str, capsys: Capture) -> None:
    assert train() == 0
    out, err = capsys.readouterr()
    told = dict(line.split(" ", 1) for line in out.splitlines())
    assert list(told) == [
        *("recipe", "parameters", "epochs", "test_loss", "test_accuracy", "model"),
    ]
    assert (told["recipe"], told["parameters"], told["epochs"]) == ("mlp", "13002", "2")
    assert told["model"] == "new/model.keras"
    assert "epoch 2 of 2: loss " in err
    assert err.splitlines()[-1].startswith("batchdigits: the model is not calibrated yet: ")
    assert "calibrate --model new/model.keras" in err
    assert out in Path("new/summary.txt").read_text("utf-8")
    assert train() == 2
    assert "holds model.keras already" in capsys.readouterr().err


def test_a_quiet_training_prints_nothing(labelled: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert train("--quiet") == 0
    assert capfd.readouterr() == ("", "")
    assert Path("new/model.keras").exists()


@pytest.mark.parametrize(
    ("signal_number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
def test_an_interrupted_training_says_what_it_keeps(
    labelled: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    signal_number: int,
    code: int,
) -> None:
    def show(text: str) -> None:
        if text.startswith("epoch 1"):
            os.kill(os.getpid(), signal_number)

    monkeypatch.setattr("batchdigits.report.print_text", show)
    before = signal.signal(signal_number, cli._handle_signal)
    try:
        assert train() == code
    finally:
        signal.signal(signal_number, before)
    out, err = capsys.readouterr()
    assert out == ""
    assert "ed: epoch 1 of 2, the best so far, is kept in 'new'" in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in Path("new").iterdir()) == [
        *("curves.png", "history.csv", "model.keras", "samples.png", "summary.txt"),
    ]


def test_the_help_names_every_recipe(capsys: Capture) -> None:
    from batchdigits.training.recipes import RECIPES

    assert run("train", "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert all(f"{name}" in text.partition("--recipe")[2][:120] for name in RECIPES)


def command(*arguments: str, **more: object) -> "subprocess.CompletedProcess[bytes]":
    line = [sys.executable, "-m", "batchdigits", *arguments]
    return subprocess.run(line, capture_output=True, timeout=120, check=False, **more)  # type: ignore[call-overload,no-any-return]


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['batchdigits', 'run', '--help']\n"
        "from batchdigits import cli\n"
        "try: cli.main()\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "heavy = {'numpy', 'cv2', 'pandas', 'keras', 'tensorflow', 'PIL', 'tqdm', 'scipy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"--min-confidence" in done.stdout


PANELS = {
    "Input": "as template invert max-pixels page-seconds settle null",
    "Model": "model min-confidence target-error calibration device",
    "Output": "out digits-out wide excel debug-pages summary-json log-file quiet",
    "Running": "batch-size workers dry-run fresh append state prune wait fail-over move-done "
    "move-failed config help",
}


def test_the_help_of_run_has_four_panels(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run("run", "-h") == 0
    text = capsys.readouterr().out
    parts = re.split(r"^(\w+):\n", text, flags=re.M)
    panels = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert list(panels) == ["Arguments", *PANELS]
    for name, options in PANELS.items():
        assert re.findall(r"^  (?:-\w, )?--([a-z-]+)", panels[name], re.M) == options.split()
    assert max(map(len, text.splitlines())) < 80
    assert text.startswith("Usage: batchdigits run [OPTIONS] INPUT...\n")


@pytest.mark.usefixtures("ten")
def test_o_is_out() -> None:
    assert run("run", "inbox", "-o", "out.csv", "--workers", "0", "-q") == 0
    assert len(table()) == 10


def completed(line: str, shell: str = "bash") -> "subprocess.CompletedProcess[bytes]":
    """Ask as the script does that `--show-completion` gives; the last word is being typed."""
    words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" ")), "_TYPER_COMPLETE_ARGS": line}
    return command(env=os.environ | words | {"_BATCHDIGITS_COMPLETE": f"complete_{shell}"})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("batchdigits ", "run train calibrate evaluate compare info form"),
        ("batchdigits ca", "calibrate"),
        ("batchdigits form ", "print draft check"),
        ("batchdigits run --m", "--max-pixels --model --min-confidence --move-done --move-failed"),
        ("batchdigits run inbox --as ", "auto digit number form"),
        ("batchdigits run inbox --invert y", "yes"),
        ("batchdigits run --config none.toml --device ", "auto cpu gpu"),
        ("batchdigits train --recipe ml", "mlp"),
        ("batchdigits evaluate pictures --invert ", "auto yes no"),
        ("batchdigits run inb", ""),  # the shell completes names of files then
        ("batchdigits run inbox --out ou", ""),
        ("batchdigits run inbox --template ", ""),
    ],
)
def test_a_shell_completes(line: str, expected: str) -> None:
    done = completed(line)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().split() == expected.split()


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_nothing_heavy_is_imported_to_complete(shell: str) -> None:
    code = (
        "import os, sys; sys.argv = ['batchdigits']\n"
        f"os.environ.update(_BATCHDIGITS_COMPLETE='complete_{shell}', COMP_CWORD='2',\n"
        "    COMP_WORDS='batchdigits run --', _TYPER_COMPLETE_ARGS='batchdigits run --')\n"
        "from batchdigits import cli\n"
        "try: cli.main()\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "heavy = {'numpy', 'cv2', 'pandas', 'keras', 'tensorflow', 'PIL', 'tqdm', 'scipy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"--append" in done.stdout


def test_bash_takes_the_script_that_is_shown(tmp_path: Path) -> None:
    """In a real bash: its variables and its word splitting are those of the script."""
    (tmp_path / "batchdigits").write_text(
        f"#!/bin/sh\nexec '{sys.executable}' -m batchdigits \"$@\"\n"
    )
    (tmp_path / "batchdigits").chmod(0o755)
    script = (
        'eval "$(batchdigits --show-completion)"\n'
        "COMP_WORDS=(batchdigits run inbox --as '') COMP_CWORD=4\n"
        "_batchdigits_completion batchdigits; echo $? ${COMPREPLY[@]}\n"
        "complete -p batchdigits\n"
    )
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "0 auto digit number form",
        "complete -o default -F _batchdigits_completion batchdigits",
    ]


def test_completion_is_installed_for_the_shell_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("shellingham.detect_shell", lambda: ("bash", "/bin/bash"))
    with pytest.raises(SystemExit) as end:
        run("--install-completion")
    assert end.value.code == 0
    assert "batchdigits.sh" in (tmp_path / ".bashrc").read_text()
    assert "complete_bash" in (tmp_path / ".bash_completions/batchdigits.sh").read_text()


@pytest.mark.parametrize("option", ["--install-completion", "--show-completion"])
def test_a_shell_without_completion_is_no_bug(
    option: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr("shellingham.detect_shell", lambda: ("tcsh", "/bin/tcsh"))
    assert run(option) == 2
    assert "tcsh" in "".join(capsys.readouterr())


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


def test_files_that_were_just_written_are_no_empty_folder(save: Save, capsys: Capture) -> None:
    save("a.png", drawn(4))
    assert run("run", "inbox", "--out", "out.csv", "--settle", "3600") == 0
    told = capsys.readouterr().err
    assert "no rows yet; 1 left for next time" in told
    assert "no images" not in told


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


@pytest.mark.usefixtures("ten")
def test_a_log_file_holds_what_was_said_and_more(inbox: Path) -> None:
    arguments = ("run", "inbox", "--workers", "0", "--log-file", "b.log", "--quiet")
    assert run(*arguments, "--out", "out.csv") == 0
    Path("out.csv").write_text("edited")
    (inbox / "bad.png").write_bytes(b"")
    assert run(*arguments, "--out", "out.csv") == 3
    assert run(*arguments, "--out", "nowhere/out.csv") == 5
    lines = Path("b.log").read_text("utf-8").splitlines()
    assert [line.split(" ", 3)[2] for line in lines] == ["INFO", "ERROR", "INFO", "INFO"]
    assert "10 rows in" in lines[0]
    assert "'out.csv' was not as it was left" in lines[1]
    assert "11 rows in" in lines[2]
    assert "nowhere" in lines[3]
    assert run("run", "inbox", "--out", "out.csv", "--log-file", "nowhere/b.log") == 5


@pytest.mark.usefixtures("ten")
def test_a_second_run_of_an_output_ends_with_4(capsys: Capture) -> None:
    with lock_outputs(["out.csv"]):
        assert run("run", "inbox", "--out", "out.csv", "--workers", "0") == 4
    words = capsys.readouterr().err
    assert "another run is still writing 'out.csv'" in words
    assert words.count("\n") == 1
    assert not Path("out.csv").exists()


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
