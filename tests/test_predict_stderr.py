"""Standard error is kept quiet while native libraries start, and nothing else is lost."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from predict_models import python, refused

from batchdigits.predict import (
    load_card,
    load_classifier,
)

START = """
import faulthandler, io, os, sys
from batchdigits.predict.backend import silence_stderr
"""


def test_what_native_code_says_is_kept_away_while_all_goes_well() -> None:
    done = python(
        START
        + """
print("before", file=sys.stderr)
with silence_stderr():
    os.write(2, b"native\\n")
    print("python", file=sys.stderr)
    os.system("echo child >&2")
    print("data")
os.write(2, b"after\\n")
print("python after", file=sys.stderr)
"""
    )
    assert (done.returncode, done.stdout) == (0, "data\n")
    assert done.stderr == "before\nafter\npython after\n"


@pytest.mark.parametrize("error", ["ValueError('bad')", "OSError('bad')"])
def test_what_native_code_says_is_told_when_it_goes_wrong(error: str) -> None:
    done = python(
        START
        + f"""
try:
    with silence_stderr():
        os.write(2, b"native\\n")
        print("python", file=sys.stderr)
        raise {error}
except BaseException as error:
    print(repr(error))
os.write(2, b"after\\n")
with silence_stderr():
    os.write(2, b"hidden\\n")
"""
    )
    assert (done.returncode, done.stdout) == (0, error + "\n")
    assert done.stderr == "native\npython\nafter\n"


@pytest.mark.parametrize("inner", ["", "; raise ValueError"], ids=["well", "wrong"])
def test_hushed_within_hushed(inner: str) -> None:
    done = python(
        START
        + f"""
try:
    with silence_stderr():
        with silence_stderr():
            os.write(2, b"inner\\n"){inner}
        os.write(2, b"outer\\n")
except ValueError:
    pass
os.write(2, b"after\\n")
"""
    )
    assert done.stderr == ("inner\nafter\n" if inner else "after\n")


def test_a_crash_leaves_a_trace_on_the_real_standard_error() -> None:
    done = python(
        START
        + """
import resource
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
with silence_stderr():
    os.abort()
"""
    )
    assert done.returncode < 0
    assert "Fatal Python error: Aborted" in done.stderr
    assert "os.abort" not in done.stdout


@pytest.mark.parametrize("enabled", [False, True])
def test_the_fault_handler_is_left_as_it_was(enabled: bool) -> None:
    done = python(
        START
        + f"""
faulthandler.enable() if {enabled} else faulthandler.disable()
for body in ("pass", "1 / 0"):
    try:
        with silence_stderr():
            exec(body)
    except ZeroDivisionError:
        pass
    print(faulthandler.is_enabled())
"""
    )
    assert done.stdout.split() == [str(enabled)] * 2


def test_descriptors_do_not_leak() -> None:
    done = python(
        START
        + """
before = os.listdir("/proc/self/fd")
for _ in range(20):
    with silence_stderr():
        pass
print(before == os.listdir("/proc/self/fd"))
"""
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


CLOSED = """
try:
    with silence_stderr():
        print("inside")
        if len(sys.argv) > 1:
            raise ValueError("bad")
except ValueError as error:
    print(error)
print("after")
"""


@pytest.mark.parametrize("arguments", [[], ["raise"]], ids=["well", "wrong"])
def test_a_service_may_run_without_standard_error(arguments: list[str]) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", START + CLOSED, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.split() == ["inside", *(["bad"] if arguments else []), "after"]


def test_a_file_opened_in_the_place_of_standard_error_is_unharmed(tmp_path: Path) -> None:
    script = START + "opened = open(sys.argv[1], 'w'); print(opened.fileno())\n"
    script += "with silence_stderr():\n    pass\nopened.write('mine'); opened.close()\n"
    place = tmp_path / "file"
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", script, str(place)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "2\n")
    assert place.read_text() == "mine"


@pytest.mark.parametrize("instead", ["io.StringIO()", "None"])
def test_standard_error_may_be_something_without_a_descriptor(instead: str) -> None:
    done = python(
        START
        + f"""
faulthandler.enable()
sys.stderr = {instead}
with silence_stderr():
    os.write(2, b"native")
print("after")
"""
    )
    assert done.stdout == "after\n"


def test_nobody_reading_standard_error_hides_no_error() -> None:
    done = python(
        START
        + """
from_it, into = os.pipe()
os.close(from_it)
os.dup2(into, 2)
try:
    with silence_stderr():
        os.write(2, b"native")
        raise ValueError("bad")
except Exception as error:
    print(repr(error))
"""
    )
    assert done.stdout == "ValueError('bad')\n"


@contextmanager
def _standard_error_of_this_process(place: Path) -> Iterator[None]:
    real = os.dup(2)
    with place.open("wb") as into:
        os.dup2(into.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(real, 2)
            os.close(real)


def test_loading_says_nothing_and_a_refusal_leaves_standard_error_whole(
    keras: Any, tmp_path: Path
) -> None:
    place = tmp_path / "stderr"
    with _standard_error_of_this_process(place):
        load_classifier(load_card(None), device="cpu")
        assert place.read_bytes() == b""
        refused(str(tmp_path / "missing.keras"))
        os.write(2, b"after\n")
    assert place.read_bytes().endswith(b"after\n")
