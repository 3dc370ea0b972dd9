"""What is shipped: the container, the systems that it says it runs on, and its licences."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from batchdigits import cli
from batchdigits.pages import overhear

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")


def test_the_container_runs_as_an_ordinary_user_on_a_slim_system() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)
    assert all(re.fullmatch(r"python:3\.\d+-slim-\w+", base) for base in bases)
    user = re.findall(r"^USER (\S+)", DOCKERFILE, re.M)
    assert user == ["10001"]
    assert DOCKERFILE.index("USER 10001") < DOCKERFILE.index("ENTRYPOINT")
    assert 'VOLUME ["/inbox", "/out"]' in DOCKERFILE
    text = (ROOT / "docs/install.md").read_text("utf-8")
    (line,) = re.findall(r"^docker run .*$", text, re.M)
    assert {"--read-only", "--network", "none", "/tmp"} <= set(line.split())
    for volume in ("/inbox:ro", "/out"):
        assert f'{volume}"' in line


def test_the_container_installs_what_ci_tests() -> None:
    assert "-c constraints.txt" in DOCKERFILE
    left_out = (ROOT / ".dockerignore").read_text("utf-8").split()
    needed = ("pyproject.toml", "README.md", "LICENSE", "constraints.txt", "batchdigits")
    assert not set(left_out) & set(needed)


def test_ci_checks_the_wheel_and_the_container() -> None:
    assert ".ci/package .venv/bin" in (ROOT / ".ci/run").read_text("utf-8")
    package = (ROOT / ".ci/package").read_text("utf-8")
    assert "jobs/release/check_wheel.py" in package
    assert "hadolint" in package


def test_the_package_ships_its_licence_texts() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "batchdigits/licences/*" in project["project"]["license-files"]
    assert "licences/*" in project["tool"]["setuptools"]["package-data"]["batchdigits"]
    names = {path.name for path in (ROOT / "batchdigits/licences").iterdir()}
    assert names == {"ATTRIBUTION.md", "Apache-2.0.txt", "CC-BY-4.0.txt", "CC-BY-SA-3.0.txt"}


def test_windows_is_refused_by_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(SystemExit, match="batchdigits: it needs Linux: on Windows") as end:
        cli.main()
    assert "WSL" in str(end.value)


def test_the_command_line_is_imported_where_there_is_no_sighup() -> None:
    code = "import signal\ndel signal.SIGHUP\nfrom batchdigits import cli\nprint(cli._STOP_SIGNALS)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.count("SIG") == 2, done.stderr


@pytest.mark.parametrize("linux", [True, False], ids=["Linux", "elsewhere"])
def test_what_a_library_prints_is_overheard_without_linux_too(
    monkeypatch: pytest.MonkeyPatch, linux: bool
) -> None:
    if not linux:
        monkeypatch.delattr("os.memfd_create")
    words = "of the library\n"
    overhear._open_scratch_file.cache_clear()
    written, said = overhear.capture_stderr(lambda: os.write(2, words.encode()))
    overhear._open_scratch_file.cache_clear()
    assert (written, said) == (len(words), words)
