"""The command train: what it prints, and how it is interrupted."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from cli_runs import Capture, run
from conftest import drawn

from batchdigits import cli


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
