"""The command line called in this process, and the table that it wrote."""

import csv
import io
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import FakeClassifier, Save, drawn

from batchdigits import cli

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


@pytest.fixture(name="ten")
def ten_fixture(save: Save, fake_classifier: FakeClassifier) -> None:
    for n in range(10):
        save(f"{n}.png", drawn(n))


def command(*arguments: str, **more: object) -> "subprocess.CompletedProcess[bytes]":
    line = [sys.executable, "-m", "batchdigits", *arguments]
    return subprocess.run(line, capture_output=True, timeout=120, check=False, **more)  # type: ignore[call-overload,no-any-return]
