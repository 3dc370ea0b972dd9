"""Runs at once, and interrupted runs: the table has the same bytes in the end."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Save, drawn, resolve
from faults_runs import (
    OUT,
    command,
    environment,
    one_line,
    six_fixture,  # noqa: F401
    whole,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from batchdigits.extract import chunk_builder, chunks
from batchdigits.predict import predictor
from batchdigits.run import run_job
from batchdigits.state import StateStore

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="breaks Linux's own ways")


# --- many at once ---


@pytest.mark.parametrize(("count", "wait"), [(2, "0"), (10, "0"), (3, "100")])
def test_runs_at_once_end_one_after_the_other_or_with_4(
    count: int, wait: str, six: Path, save: Save
) -> None:
    for n in range(7, 60):
        save(f"{n}.png", drawn(n % 10, seed=n))
    wanted = whole()
    runs = [
        subprocess.Popen(
            command("--wait", wait, "--quiet"), env=environment(), stderr=subprocess.PIPE, text=True
        )
        for _ in range(count)
    ]
    told = [(one.communicate(timeout=120)[1], one.returncode) for one in runs]
    codes = [code for _, code in told]
    assert 0 in codes
    assert set(codes) <= ({0, 4} if wait == "0" else {0})
    for said, code in told:
        if code:
            one_line(said, "another run is still writing", "--wait")
        else:
            assert not said
    assert Path(OUT).read_bytes() == wanted
    assert not list(Path("out").glob("*.kept-*"))


# --- the same bytes ---


class Killed(BaseException):
    """An exception that no part of the program expects."""


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    batch_size=st.integers(1, 60),
    files=st.integers(1, 20),
    room=st.integers(1, 20_000),
    workers=st.sampled_from([0, 0, 0, 0, 0, 2]),
    ends=st.lists(
        st.tuples(st.sampled_from(["found", "put", "told"]), st.integers(1, 12)), max_size=3
    ),
)
def test_chunks_workers_and_interruptions_change_no_byte(
    mixed: bytes,
    batch_size: int,
    files: int,
    room: int,
    workers: int,
    ends: list[tuple[str, int]],
) -> None:
    """Whatever is read at a time, by how many, and wherever runs end before the last."""
    for path in Path("out").iterdir():
        path.unlink()
    given = {"batch_size": batch_size, "workers": workers, "settle": 0, "out": OUT}
    job = resolve(digits_out="out/digits.csv", **given)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "MIN_CHUNK_FILES", files)
        patch.setattr(chunks, "MAX_CHUNK_BYTES", room)
        patch.setattr(chunk_builder, "MAX_PENDING_PIXELS", room)
        for where, at in ends:
            with pytest.MonkeyPatch.context() as fatal:
                dies(fatal, where, at)
                with suppress(Killed):
                    run_job(job)
        run_job(job)
    assert Path(OUT).read_bytes() + Path("out/digits.csv").read_bytes() == mixed
    assert not list(Path("out").glob("*.kept-*"))


def dies(patch: pytest.MonkeyPatch, where: str, at: int) -> None:
    """Have a run end at the n-th batch, file or row."""
    room, name = {
        "found": (predictor.Predictor, "predict_batch"),
        "put": (StateStore, "save_readings"),
        "told": (StateStore, "list_file_records"),
    }[where]
    real = getattr(room, name)
    calls = iter(range(1, at))

    def counts(*given: Any, **more: Any) -> Any:
        if next(calls, None) is None:
            raise Killed
        return real(*given, **more)

    patch.setattr(room, name, counts)


@pytest.fixture
def mixed(six: Path, save: Save) -> bytes:
    """Crops, strips, a page, several pages, what cannot be read; gives the tables of one run."""
    for n in range(12):
        save(f"crops/{n}.png", drawn(n % 10, seed=n))
    save("strip.png", np.hstack([drawn(n) for n in range(5)]))
    sheet = np.full((400, 300), 255, np.uint8)
    for n in range(4):
        sheet[100:160, 40 + 50 * n : 91 + 50 * n] = 0
        sheet[103:157, 43 + 50 * n : 88 + 50 * n] = 255
        sheet[110:150, 45 + 50 * n : 85 + 50 * n] = drawn(n, side=40)
    save("page.png", sheet)
    first, *more = (Image.fromarray(drawn(n)) for n in range(6))
    first.save(six / "several.tif", save_all=True, append_images=more)
    (six / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    (six / "empty.jpg").touch()
    run_job(resolve(settle=0, out="whole.csv", digits_out="whole-digits.csv"))
    return Path("whole.csv").read_bytes() + Path("whole-digits.csv").read_bytes()
