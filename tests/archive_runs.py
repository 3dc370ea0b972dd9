"""An inbox of three files, and runs that move them."""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import FakeClassifier, Save, drawn, resolve

from batchdigits.run import Summary, run_job
from batchdigits.sources import MOVED_FOLDER_FLAG
from batchdigits.summary import StopRequest

OUT = "results.csv"
BROKEN = b"\x89PNG\r\n\x1a\nbroken"


def run(
    *inputs: str,
    listed: Sequence[str] = (),
    out: str = OUT,
    stop: StopRequest | None = None,
    **options: Any,
) -> Summary:
    """Run as the command line does."""
    given = {"settle": 0, "move_done": "done", "move_failed": "failed", "out": out, **options}
    return run_job(resolve(*inputs, listed=listed, **given), stop=stop)


def tree(folder: str) -> list[str]:
    """List the files below a folder, without the marks of moved folders."""
    found = (
        path
        for path in Path(folder).rglob("*")
        if not path.is_dir() and path.name != MOVED_FOLDER_FLAG
    )
    return sorted(str(path.relative_to(folder)) for path in found)


def rows() -> dict[str, str]:
    """Return the table as file → value, or status where there is no value."""
    lines = [line.split(",") for line in Path(OUT).read_text("utf-8").splitlines()[1:]]
    return {line[0]: line[3] or line[5] for line in lines}


@pytest.fixture(name="three", autouse=True)
def three_fixture(inbox: Path, save: Save, fake_classifier: FakeClassifier) -> FakeClassifier:
    """Two digits, one of them in a folder, and a broken file."""
    save("1.png", drawn(1))
    save("sub/2.png", drawn(2))
    (inbox / "bad.png").write_bytes(BROKEN)
    return fake_classifier


@contextmanager
def other_disk() -> Iterator[None]:
    """Simulate that the folders are on another disk than the inbox."""
    real = os.rename

    def rename(one: Any, other: Any) -> None:
        def side(path: Any) -> bool:
            return Path(os.fsdecode(path)).parts[0] in ("done", "failed")

        if side(one) != side(other):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        real(one, other)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "rename", rename)
        yield


@pytest.fixture(name="disk", params=["same disk", "another disk"])
def disk_fixture(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run the test with moves within a disk, and with moves to another disk."""
    if request.param == "same disk":
        yield
    else:
        with other_disk():
            yield
