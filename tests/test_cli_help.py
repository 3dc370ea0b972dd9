"""The help of the commands, and completion in a shell."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cli_runs import (
    Capture,
    command,
    run,
    table,
    ten_fixture,  # noqa: F401
)


def test_the_help_names_every_recipe(capsys: Capture) -> None:
    from batchdigits.training.recipes import RECIPES

    assert run("train", "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert all(f"{name}" in text.partition("--recipe")[2][:120] for name in RECIPES)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['batchdigits', 'run', '--help']\n"
        "from batchdigits import cli\n"
        "try: cli.main()\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "heavy = {'numpy', 'cv2', 'pandas', 'keras', 'tensorflow', 'PIL', 'tqdm', 'scipy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"--min-confidence" in done.stdout


PANELS = {
    "Input": "as template invert max-pixels page-seconds settle null",
    "Model": "model min-confidence target-error calibration device",
    "Output": "out digits-out new-rows wide excel decimal-comma debug-pages summary-json log-file "
    "quiet",
    "Running": "batch-size workers runtime engine ray-address dry-run fresh append state prune "
    "wait fail-over move-done move-failed config help",
}


def test_the_help_of_run_has_four_panels(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run("run", "-h") == 0
    text = capsys.readouterr().out
    parts = re.split(r"^(\w+):\n", text, flags=re.M)
    panels = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert list(panels) == ["Arguments", *PANELS]
    for name, options in PANELS.items():
        assert re.findall(r"^  (?:-\w, )?--([a-z-]+)", panels[name], re.M) == options.split()
    assert max(map(len, text.splitlines())) < 80
    assert text.startswith("Usage: batchdigits run [OPTIONS] INPUT...\n")


@pytest.mark.usefixtures("ten")
def test_o_is_out() -> None:
    assert run("run", "inbox", "-o", "out.csv", "--workers", "0", "-q") == 0
    assert len(table()) == 10


def completed(line: str, shell: str = "bash") -> "subprocess.CompletedProcess[bytes]":
    """Ask as the script does that `--show-completion` gives; the last word is being typed."""
    words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" ")), "_TYPER_COMPLETE_ARGS": line}
    return command(env=os.environ | words | {"_BATCHDIGITS_COMPLETE": f"complete_{shell}"})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("batchdigits ", "run train calibrate evaluate compare review correct info form"),
        ("batchdigits ca", "calibrate"),
        ("batchdigits form ", "print draft check"),
        ("batchdigits run --m", "--max-pixels --model --min-confidence --move-done --move-failed"),
        ("batchdigits run inbox --as ", "auto digit number form"),
        ("batchdigits run inbox --invert y", "yes"),
        ("batchdigits run --config none.toml --device ", "auto cpu gpu"),
        ("batchdigits train --recipe ml", "mlp"),
        ("batchdigits evaluate pictures --invert ", "auto yes no"),
        ("batchdigits run inb", ""),  # the shell completes names of files then
        ("batchdigits run inbox --out ou", ""),
        ("batchdigits run inbox --template ", ""),
    ],
)
def test_a_shell_completes(line: str, expected: str) -> None:
    done = completed(line)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().split() == expected.split()


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_nothing_heavy_is_imported_to_complete(shell: str) -> None:
    code = (
        "import os, sys; sys.argv = ['batchdigits']\n"
        f"os.environ.update(_BATCHDIGITS_COMPLETE='complete_{shell}', COMP_CWORD='2',\n"
        "    COMP_WORDS='batchdigits run --', _TYPER_COMPLETE_ARGS='batchdigits run --')\n"
        "from batchdigits import cli\n"
        "try: cli.main()\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "heavy = {'numpy', 'cv2', 'pandas', 'keras', 'tensorflow', 'PIL', 'tqdm', 'scipy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"--append" in done.stdout


def test_bash_takes_the_script_that_is_shown(tmp_path: Path) -> None:
    """In a real bash: its variables and its word splitting are those of the script."""
    (tmp_path / "batchdigits").write_text(
        f"#!/bin/sh\nexec '{sys.executable}' -m batchdigits \"$@\"\n"
    )
    (tmp_path / "batchdigits").chmod(0o755)
    script = (
        'eval "$(batchdigits --show-completion)"\n'
        "COMP_WORDS=(batchdigits run inbox --as '') COMP_CWORD=4\n"
        "_batchdigits_completion batchdigits; echo $? ${COMPREPLY[@]}\n"
        "complete -p batchdigits\n"
    )
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "0 auto digit number form",
        "complete -o default -F _batchdigits_completion batchdigits",
    ]


def test_completion_is_installed_for_the_shell_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("shellingham.detect_shell", lambda: ("bash", "/bin/bash"))
    with pytest.raises(SystemExit) as end:
        run("--install-completion")
    assert end.value.code == 0
    assert "batchdigits.sh" in (tmp_path / ".bashrc").read_text()
    assert "complete_bash" in (tmp_path / ".bash_completions/batchdigits.sh").read_text()


@pytest.mark.parametrize("option", ["--install-completion", "--show-completion"])
def test_a_shell_without_completion_is_no_bug(
    option: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr("shellingham.detect_shell", lambda: ("tcsh", "/bin/tcsh"))
    assert run(option) == 2
    assert "tcsh" in "".join(capsys.readouterr())
