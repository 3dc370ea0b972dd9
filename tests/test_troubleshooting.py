"""docs/troubleshooting.md is true: each line that it lists is what a run says, by its cause."""

import errno
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from cli_runs import Capture, run
from conftest import FakeClassifier, Save, drawn
from state_records import make_newer

from batchdigits import predict
from batchdigits.state.lock import lock_outputs

ROOT = Path(__file__).parent.parent
FORMS = ROOT / "samples" / "forms"
TEXT = (ROOT / "docs/troubleshooting.md").read_text("utf-8")
LINES = re.findall(r"^\| `([^|]+)` \|", TEXT, re.M)
CODES = dict(
    re.findall(r"^\| `([^|]+)` \|[^|]+\| ?(\d?) ?\|", TEXT.partition("## The run")[2], re.M)
)
FORM = ("run", "inbox", "--template", str(FORMS / "membership.toml"), "--out", "out.csv")
CROPS = ("run", "inbox", "--out", "out.csv")


def page(change: Callable[[np.ndarray], np.ndarray]) -> tuple[str, ...]:
    scan = cv2.imread(str(FORMS / "01-scan.png"), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite("inbox/scan.png", change(scan))
    return FORM


def another_form(_: pytest.MonkeyPatch) -> tuple[str, ...]:
    shutil.copy(FORMS / "11-another-form.png", "inbox")
    return FORM


def coarse(_: pytest.MonkeyPatch) -> tuple[str, ...]:
    return page(lambda scan: cv2.resize(scan, None, fx=1 / 3, fy=1 / 3))


def dark(_: pytest.MonkeyPatch) -> tuple[str, ...]:
    return page(lambda scan: (scan * 0.03).astype(np.uint8))


def cut_short(_: pytest.MonkeyPatch) -> tuple[str, ...]:
    whole = cv2.imencode(".png", np.random.default_rng(1).integers(0, 255, (28, 28)))[1].tobytes()
    Path("inbox/a.png").write_bytes(whole[: len(whole) // 2])
    return CROPS


def empty(_: pytest.MonkeyPatch) -> tuple[str, ...]:
    Path("inbox/a.png").write_bytes(b"")
    return CROPS


def not_mounted(_: pytest.MonkeyPatch) -> tuple[str, ...]:
    Path("inbox").rename("elsewhere")
    return CROPS


def share_gone(_: pytest.MonkeyPatch) -> tuple[str, ...]:
    assert run(*CROPS) == 0
    Path("inbox").rename("elsewhere")
    Path("inbox").mkdir()
    return CROPS


def just_written(patch: pytest.MonkeyPatch) -> tuple[str, ...]:
    patch.delenv("BATCHDIGITS_SETTLE")
    return (*CROPS, "--settle", "0.2")


def disk_full(patch: pytest.MonkeyPatch) -> tuple[str, ...]:
    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    patch.setattr(os, "fsync", refuse)
    return CROPS


def edited(_: pytest.MonkeyPatch) -> tuple[str, ...]:
    assert run(*CROPS) == 0
    Path("out.csv").write_text("edited\n")
    return (*CROPS, "--fresh")


def newer_model(patch: pytest.MonkeyPatch) -> tuple[str, ...]:
    place = predict.resolve_keras_path(None).parent
    shutil.copytree(place, "model")
    card = Path("model/card.json").read_text("utf-8")
    Path("model/card.json").write_text(
        re.sub(r'"preprocessing": \d+', '"preprocessing": 99', card), "utf-8"
    )
    return (*CROPS, "--model", "model")


def newer_state(_: pytest.MonkeyPatch) -> tuple[str, ...]:
    assert run(*CROPS) == 0
    make_newer("out.csv.state", 98)
    return CROPS


def spoilt_state(_: pytest.MonkeyPatch) -> tuple[str, ...]:
    assert run(*CROPS) == 0
    Path("out.csv.state").write_bytes(b"no state of anything" * 1000)
    return CROPS


def no_template(_: pytest.MonkeyPatch) -> tuple[str, ...]:
    return (*CROPS, "--template", "none.toml")


BY_START: dict[str, Callable[[pytest.MonkeyPatch], tuple[str, ...]]] = {
    "another form": another_form,
    "too coarse": coarse,
    "too dark": dark,
    "truncated PNG": cut_short,
    "empty file": empty,
    "INPUT": not_mounted,
    "no images found": share_gone,
    "… files were just written": just_written,
    "cannot write": disk_full,
    "'…' was not as it was left": edited,
    "model": newer_model,
    "the state '…' was written by a newer": newer_state,
    "the state '…' is damaged": spoilt_state,
    "template '…' cannot be read": no_template,
}


def cause_of(line: str) -> Callable[[pytest.MonkeyPatch], tuple[str, ...]] | None:
    return next((make for start, make in BY_START.items() if line.startswith(start)), None)


def matches(line: str, said: str) -> bool:
    return bool(re.search(".*".join(map(re.escape, line.split("…"))), said))


@pytest.mark.parametrize("line", [one for one in LINES if cause_of(one)])
def test_each_line_is_what_its_cause_makes_a_run_say(
    line: str,
    save: Save,
    fake_classifier: FakeClassifier,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    caplog: pytest.LogCaptureFixture,
) -> None:
    make = cause_of(line)
    assert make is not None
    save("3.png", drawn(3))
    monkeypatch.setenv("BATCHDIGITS_WORKERS", "0")
    arguments = make(monkeypatch)
    capsys.readouterr()
    caplog.clear()
    code = run(*arguments)
    assert matches(line, capsys.readouterr().err + caplog.text)
    if expected := CODES.get(line):
        assert code == int(expected)


@pytest.mark.usefixtures("fake_classifier")
def test_a_second_run_says_what_is_listed(save: Save, capsys: Capture) -> None:
    save("3.png", drawn(3))
    with lock_outputs(["out.csv"]):
        assert run(*CROPS, "--workers", "0") == 4
    (line,) = (one for one in LINES if one.startswith("another run"))
    assert matches(line, capsys.readouterr().err)


def test_each_line_has_its_cause_and_each_cause_its_line() -> None:
    assert [line for line in LINES if not cause_of(line)] == ["another run is still writing '…': …"]
    listed = [cause_of(line) for line in LINES if cause_of(line)]
    assert sorted(one.__name__ for one in listed if one) == sorted(
        one.__name__ for one in BY_START.values()
    )
