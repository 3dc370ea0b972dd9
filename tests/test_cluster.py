"""--engine ray: the same table as on one machine, whatever dies; and what is refused."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import workers_functions as functions
from conftest import Save, drawn

from batchdigits import cli, cluster, predict
from batchdigits.errors import UsageError
from batchdigits.workers.faults import Limits
from batchdigits.workers.ray_engine import MAX_RETRIES, RayExecutor, RayPlace

LIMITS = Limits(seconds=50, memory_mib=256)


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[None]:
    with RayExecutor(LIMITS, RayPlace(processors=2)).connect():
        yield


def run(*arguments: str) -> int:
    return cli._run_command_line(["run", "inbox", "--quiet", *arguments])


@pytest.mark.usefixtures("ray_cluster")
def test_the_table_is_that_of_one_machine_and_the_next_run_reads_nothing(
    inbox: Path, save: Save, capsys: pytest.CaptureFixture[str]
) -> None:
    for n in range(80):  # two chunks at least
        save(f"{n % 3}/{n:03}.png", drawn(n % 10, seed=n))
    (inbox / "1" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    ray = ("--engine", "ray", "--out", "ray.csv")
    assert run("--out", "local.csv", "--workers", "1") == 3
    assert run(*ray) == 3
    assert Path("ray.csv").read_bytes() == Path("local.csv").read_bytes()
    os.unlink(inbox / "1" / "broken.png")
    capsys.readouterr()
    assert cli._run_command_line(["run", "inbox", *ray, "--prune"]) == 0
    assert "80 rows" in (line := capsys.readouterr().err)
    assert "0 files read" in line


@pytest.mark.usefixtures("ray_cluster")
def test_a_chunk_whose_process_is_killed_is_run_again(tmp_path: Path) -> None:
    marks = [str(tmp_path / name) for name in "ab"]
    chunks = [["x", marks[0]], ["y"], [marks[1]], ["z"]]
    executor = RayExecutor(LIMITS, RayPlace())
    outcomes = list(executor.map_chunks(functions.kill_parent_once, chunks))
    assert [one.result for one in outcomes] == chunks


@pytest.mark.usefixtures("ray_cluster")
def test_an_item_that_kills_its_process_every_time_loses_its_result_alone() -> None:
    executor = RayExecutor(LIMITS, RayPlace())
    chunks = [["a", "always"], ["b"]]
    first, second, third = executor.map_chunks(functions.kill_parent_once, chunks)
    assert (first.result, third.result) == (["a"], ["b"])
    assert second.items == ["always"]
    assert second.fault.startswith(f"its machine or process was lost {MAX_RETRIES + 1} times")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--engine", "ray", "--ray-address", "127.0.0.1:1"), "no Ray cluster answers at"),
        (("--engine", "ray", "--ray-address", "nowhere.invalid:6379"), "no Ray cluster answers at"),
        (("--engine", "ray", "--ray-address", "127.0.0.1:x"), "no Ray cluster answers at"),
        (("--ray-address", "127.0.0.1:6379"), "--ray-address is for --engine ray"),
        (("--engine", "rya"), "engine: "),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    inbox: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    assert run("--out", "out.csv", *arguments) == 2
    assert words in (line := capsys.readouterr().err)
    assert line.count("\n") == 1
    assert not Path("out.csv.state").exists()


def test_without_ray_a_line_says_how_to_get_it(
    inbox: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "ray" else find_spec(name)
    )
    assert run("--out", "out.csv", "--engine", "ray") == 2
    assert "pip install 'batchdigits[ray]'" in capsys.readouterr().err


def test_a_machine_that_would_give_other_rows_is_refused(tmp_path: Path) -> None:
    seen = str(tmp_path)
    sound = cluster.MachineCheck(
        cluster.list_versions(), None, predict.fingerprint_model(None), (seen,)
    )
    sound()
    for other, words in {
        cluster.MachineCheck(("9.9",), None, sound.fingerprint, ()): "install the same on all",
        cluster.MachineCheck(sound.versions, None, "other", ()): "has not the same --model",
        cluster.MachineCheck(sound.versions, "gone.keras", "other", ()): "has not the same --model",
        cluster.MachineCheck(
            sound.versions, None, sound.fingerprint, ("gone",)
        ): "cannot see INPUT",
    }.items():
        with pytest.raises(UsageError, match=words):
            other()
