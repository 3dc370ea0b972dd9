"""An inbox of six files, and runs on it that may fail."""

import csv
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import FakeClassifier, Save, drawn, resolve

from batchdigits import cli, predict
from batchdigits.run import run_job

OUT = "out/results.csv"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(name="six", autouse=True)
def six_fixture(inbox: Path, save: Save, fake_classifier: FakeClassifier) -> Path:
    """Make an inbox of six digits with old modification times, and a folder for the table."""
    for n in range(6):
        save(f"{n}.png", drawn(n))
        os.utime(inbox / f"{n}.png", (1e9, 1e9))
    Path("out").mkdir()
    return inbox


def run(*more: str) -> int:
    """Run in this process."""
    return cli._run_command_line(["run", "inbox", "--out", OUT, "--workers", "0", "--quiet", *more])


def command(*more: str) -> list[str]:
    """Return the command line that runs as a separate process."""
    main = str(Path(__file__).parent / "nightly_main.py")
    return [sys.executable, main, "run", "inbox", "--out", OUT, "--workers", "0", *more]


def environment() -> dict[str, str]:
    here = Path(__file__).parent
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(here.parent), str(here)])}


def rows(out: str = OUT) -> dict[str, dict[str, str]]:
    with Path(out).open(encoding="utf-8", newline="") as file:
        return {row["file"].removeprefix("inbox/"): row for row in csv.DictReader(file)}


def whole(out: str = "whole.csv") -> bytes:
    """Return the table of one undisturbed run over the inbox."""
    run_job(resolve(settle=0, out=out))
    Path(f"{out}.state").unlink()
    return Path(out).read_bytes()


def one_line(said: str, *words: str) -> None:
    """Assert that the message is one plain line with these words, after lines of failed files."""
    *named, last = said.splitlines(keepends=True)
    assert all(line.startswith("batchdigits: not read: ") for line in named), said
    assert last.startswith("batchdigits: "), said
    assert last.endswith("\n"), said
    assert "Traceback" not in said
    for word in words:
        assert word in said


@pytest.fixture(name="reachable")
def reachable_fixture(six: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Change into a folder that an ordinary user can reach, unlike pytest's folders for root."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("inbox", "out"):
            shutil.move(name, folder)
        monkeypatch.chdir(folder)
        shutil.copytree(
            predict.resolve_keras_path(None).parent, "model"
        )  # the package may lie out of reach
        monkeypatch.setenv("BATCHDIGITS_MODEL", "model")
        for path in (folder, "out"):
            Path(path).chmod(0o777)
        yield Path("inbox")
