"""The bar on a terminal: it counts pages, starts before the model is loaded, and tells a rate."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Save, drawn
from PIL import Image

from batchdigits.summary import format_rate

HERE = Path(__file__).parent
SLOW = """
import sys, time
sys.path.insert(0, sys.argv.pop(1))
from conftest import FakeClassifier
from batchdigits import cli, predict
from batchdigits.predict import backend

def load(card, **_):
    with backend.silence_stderr():  # as TensorFlow is loaded
        time.sleep(1.2)
    return FakeClassifier()

predict.load_classifier = load
sys.argv[0] = "batchdigits"
cli.main()
"""


def seen_on_a_terminal(*arguments: str) -> tuple[int, str]:
    """Run the command line with standard error on a terminal; return its code and what is shown."""
    own, terminal = os.openpty()
    command = [sys.executable, "-c", SLOW, str(HERE), *arguments]
    with subprocess.Popen(command, stderr=terminal, stdout=subprocess.PIPE) as running:
        os.close(terminal)
        shown = b""
        try:
            while piece := os.read(own, 4096):
                shown += piece
        except OSError:  # the terminal's other end is closed
            pass
    os.close(own)
    return running.returncode, shown.decode()


@pytest.fixture
def long(inbox: Path, save: Save) -> None:
    """A folder of two crops, and of one file of forty pages."""
    for n in range(2):
        save(f"{n}.png", drawn(n))
    pages = [Image.fromarray(drawn(n % 10, side=200, seed=n)) for n in range(40)]
    pages[0].save(inbox / "long.tif", "TIFF", save_all=True, append_images=pages[1:])


@pytest.mark.usefixtures("long")
def test_the_bar_counts_pages_and_starts_while_the_model_is_loaded() -> None:
    arguments = ("run", "inbox", "--out", "out.csv", "--as", "digit", "--workers", "1")
    code, shown = seen_on_a_terminal(*arguments)
    assert code == 0
    bars = re.findall(r"(\d+) of (\d+) crops, (\d\d:\d\d)", shown)
    assert bars[0][:2] == ("0", "42")
    waits = {clock for done, total, clock in bars if (done, total) == ("0", "42")}
    assert len(waits) > 1  # its clock moves while nothing is done
    assert any(re.search(r"crops, \d\d:\d\d, [\d.,]*[1-9][\d.,]* a second", shown) for _ in bars)
    assert "(3 files read, 42 crops, " in shown.splitlines()[-1]


@pytest.mark.usefixtures("long")
def test_a_quiet_run_shows_nothing_on_a_terminal() -> None:
    arguments = ("run", "inbox", "--out", "out.csv", "--as", "digit", "--workers", "1", "--quiet")
    assert seen_on_a_terminal(*arguments) == (0, "")


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (6400.2, "6,400"),
        (12.4, "12"),
        (9.97, "10"),
        (6.38, "6.4"),
        (0.97, "1.0"),
        (0.62, "0.6"),
        (0.034, "0.03"),
    ],
)
def test_a_rate_has_a_digit_that_is_not_zero(rate: float, words: str) -> None:
    assert format_rate(rate) == words
