"""A table on standard output: its bytes, and readers that go away."""

import os
from pathlib import Path

import pytest
from outputs_tables import (
    GOLDEN_CSV,
    GOLDEN_EXCEL,
    TRICKY,
    here_fixture,  # noqa: F401
    python,
    start,
)

from batchdigits.outputs import (
    RESULT_COLUMNS,
    open_table_writer,
)


@pytest.mark.parametrize(
    ("excel", "wanted"), [(False, GOLDEN_CSV), (True, GOLDEN_EXCEL[".csv", False])]
)
def test_standard_output_is_csv(
    excel: bool, wanted: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    with open_table_writer("-", excel=excel) as write:
        write(TRICKY[:2])
        write(TRICKY[2:])
    assert capfdbinary.readouterr().out.decode() == wanted
    assert os.listdir() == []


WIDE = """
with open_table_writer("-") as write:
    write([Row("値", 1, "", "7", 0.9, "ok", "")])
"""


def test_standard_output_is_utf8_whatever_the_locale() -> None:
    code, out, _ = python(WIDE, env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert (code, out.splitlines()[1:]) == (0, ["値,1,,7,0.9000,ok,"])


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    code = """
try:
    with open_table_writer("-") as write:
        write(some(50_000))
except BrokenPipeError:
    sys.exit(0)
sys.exit(9)
"""
    with start(code) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        assert run.stdout.readline() == ",".join(RESULT_COLUMNS) + "\n"
        run.stdout.close()
        assert run.stderr.read() == ""
        assert run.wait(60) == 0


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_standard_output_cut_short_is_told(unbuffered: str) -> None:
    code = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    with open_table_writer("-") as write:
        write(some(1))
except OutputError as fault:
    sys.exit(5)
"""
    with Path("out").open("wb") as file:
        exit_code, _, err = python(code, stdout=file, env={"PYTHONUNBUFFERED": unbuffered})
    assert (exit_code, err) == (5, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's always full device")
@pytest.mark.parametrize("count", [1, 50_000], ids=["at the end", "midway"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_full_standard_output_is_told_and_the_exit_code_kept(count: int, unbuffered: str) -> None:
    code = f"""
try:
    with open_table_writer("-") as write:
        write(some({count}))
except OutputError as fault:
    print(fault, file=sys.stderr, end="")
    sys.exit(5)
"""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        exit_code, _, err = python(code, stdout=full, env={"PYTHONUNBUFFERED": unbuffered})
    assert "No space left on device" in err
    assert "\n" not in err
    assert exit_code == 5
