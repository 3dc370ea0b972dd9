"""A run that is killed again and again ends with the table of one run."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from conftest import Save, drawn

OUT = "results.csv"


def started(*more: str) -> subprocess.Popen[bytes]:
    """Start a run in a process group of its own, so that nothing of it outlives a kill."""
    here = Path(__file__).parent
    command = [sys.executable, str(here / "nightly_main.py"), "run", "inbox", "--out", OUT, *more]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here.parent), str(here)])}
    return subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )


def test_killed_ten_times_and_started_again_the_table_is_that_of_one_run(
    inbox: Path, save: Save
) -> None:
    """The long form, 200 kills over 2,000 files, is jobs/bench/killed.py."""
    for n in range(400):
        save(f"{n % 7}/{n:03}.png", drawn(n % 10, seed=n))
    (inbox / "3" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    alone = started("--workers", "1", "--quiet")
    alone.communicate()
    whole = Path(OUT).read_bytes()
    for path in Path().glob(f"{OUT}*"):
        path.unlink()
    random = np.random.default_rng(1)
    for _ in range(10):
        one = started("--workers", "1", "--quiet", "--batch-size", "16")
        try:
            one.communicate(timeout=float(random.uniform(0.5, 1.5)))
        except subprocess.TimeoutExpired:
            one.kill()
            one.communicate()
        if Path(OUT).exists():
            assert Path(OUT).read_bytes() == whole
    last = started("--workers", "1", "--quiet")
    last.communicate()
    assert Path(OUT).read_bytes() == whole
    assert [*Path().glob("*.kept-*")] == []
    assert last.returncode == 3
