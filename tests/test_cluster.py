"""--engine ray: the same table as on one machine, whatever dies; and what is refused."""

import importlib.util
import json
import os
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray
import typer
import workers_functions as functions
import yaml
from conftest import Save, drawn
from ray.scripts.scripts import cli as ray_cli

from batchdigits import cli, cluster, predict
from batchdigits.errors import UsageError
from batchdigits.options import RunOptions
from batchdigits.state.lock import lock_outputs
from batchdigits.workers.faults import Limits
from batchdigits.workers.ray_engine import MAX_RETRIES, RayExecutor, RayPlace

LIMITS = Limits(seconds=50, memory_mib=256)
JOBS = Path(__file__).parent.parent / "jobs" / "cluster"
OPTION_NAMES = {one.name for one in fields(RunOptions)}


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


def test_a_second_run_of_one_output_is_refused(
    inbox: Path, save: Save, capsys: pytest.CaptureFixture[str]
) -> None:
    save("1.png", drawn(1))
    with lock_outputs(["out.csv"]):
        assert run("--out", "out.csv", "--engine", "ray") == 4
    assert "another run is still writing" in capsys.readouterr().err


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


# The files of jobs/cluster


def load_yaml(name: str) -> Any:
    return yaml.safe_load((JOBS / name).read_text("utf-8"))


def parse_ray_command(words: list[str]) -> None:
    """Parse a command line of Ray's; an option that does not exist raises."""
    command: Any = ray_cli
    name, *words = words
    while hasattr(command, "commands"):
        name, *words = words
        command = command.commands[name]
    command.make_context(name, words)


def parse_own_command(words: list[str]) -> None:
    """Parse a command line of ours, and check its values."""
    name, *arguments = words
    command: Any = typer.main.get_command(cli.app).commands[name]  # type: ignore[attr-defined]
    given = command.make_context(name, arguments).params
    RunOptions.from_settings({key: one for key, one in given.items() if key in OPTION_NAMES})


def test_the_cluster_file_is_one_that_ray_takes() -> None:
    cluster_file = load_yaml("ray-cluster.yaml")
    schema = Path(ray.__file__).parent / "autoscaler" / "ray-schema.json"
    jsonschema.validate(cluster_file, json.loads(schema.read_text("utf-8")))
    kinds = cluster_file["available_node_types"]
    assert cluster_file["head_node_type"] in kinds
    assert sum(kind.get("max_workers", 0) for kind in kinds.values()) == cluster_file["max_workers"]
    (extras,) = re.findall(r"batchdigits\[([\w,]+)\]", " ".join(cluster_file["setup_commands"]))
    known = tomllib.loads((JOBS.parent.parent / "pyproject.toml").read_text("utf-8"))
    assert set(extras.split(",")) <= set(known["project"]["optional-dependencies"])
    for line in cluster_file["head_start_ray_commands"] + cluster_file["worker_start_ray_commands"]:
        program, *words = shlex.split(line)
        assert program == "/home/ubuntu/env/bin/ray"
        parse_ray_command(["ray", *words])


def test_the_line_that_submits_a_job_is_understood() -> None:
    script = (JOBS / "submit.sh").read_text("utf-8").replace("\\\n", " ")
    words = shlex.split(script.partition("\nexec ")[2])
    at = words.index("--")
    parse_ray_command([*words[:at], "--", "entry"])
    program, *ours = words[at + 1 :]
    assert program == "/home/ubuntu/env/bin/batchdigits"
    parse_own_command(["s3://scans/inbox" if one == "$1" else one for one in ours])
    assert subprocess.run(["sh", "-n", JOBS / "submit.sh"], check=False).returncode == 0


def test_the_cron_job_runs_the_nightly_line_on_a_mounted_inbox() -> None:
    job = load_yaml("nightly-cronjob.yaml")
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "CronJob")
    spec = job["spec"]["jobTemplate"]["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    parse_own_command(container["args"])
    mounted = {one["name"]: one for one in container["volumeMounts"]}
    assert set(mounted) == {one["name"] for one in pod["volumes"]}
    assert mounted["inbox"]["readOnly"]
    assert mounted["inbox"]["mountPath"] in container["args"]
    user = re.findall(r"^USER (\d+)$", (JOBS.parent.parent / "Dockerfile").read_text("utf-8"), re.M)
    assert [str(pod["securityContext"]["runAsUser"])] == user
    assert pod["restartPolicy"] == "Never"  # as podFailurePolicy wants it
    assert 3 in spec["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"]
