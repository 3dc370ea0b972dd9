"""The three quick starts: their commands run, in order, in empty folders."""

import io
import re
import shlex
import sys
from pathlib import Path

import pytest
from conftest import FakeClassifier

from batchdigits import cli, outputs

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "jobs" / "start"))
import quick_starts  # noqa: E402

TABLES = {
    "office": ("results.xlsx", 9),
    "teacher": ("points.xlsx", 6),
    "engineer": ("digits.csv", 30),
}
"""Of each page the table that it promises, and its rows."""


@pytest.mark.parametrize("name", quick_starts.STARTS)
def test_the_commands_of_a_quick_start_run(
    name: str,
    inbox: Path,
    fake_classifier: FakeClassifier,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    inbox.rmdir()
    quick_starts.prepare_start(name, Path())
    monkeypatch.setenv("BATCHDIGITS_WORKERS", "0")
    for line in quick_starts.list_commands(name):
        words = shlex.split(line)
        if "|" in words:
            listed = "".join(f"{path}\n" for path in sorted(Path("crops").glob("*.png")))
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(listed.encode())))
            words = words[words.index("|") + 1 :]
        assert words[0] == "batchdigits"
        code = cli._run_command_line(words[1:])
        said = capsys.readouterr()
        assert code == 0, (line, said.err)
        assert words[1] != "run" or "->" in said.err or "--quiet" in words
    table, rows = TABLES[name]
    assert len(outputs.read_table(table)) == rows


@pytest.mark.parametrize("name", quick_starts.STARTS)
def test_a_quick_start_is_one_screen(name: str) -> None:
    """Three parts at most, and what a browser shows without much scrolling."""
    text = (ROOT / f"docs/start-{name}.md").read_text("utf-8")
    prose = re.sub(r"^```toml\n.*?^```$", "", text, flags=re.M | re.S)
    assert prose.count("\n") <= 60
    assert 2 <= len(quick_starts.list_commands(name)) <= 5


def test_the_readme_tells_how_many_commands_there_are() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for name in quick_starts.STARTS:
        (said,) = re.findall(rf"start-{name}\.md\).*\| (\d) commands \|", readme)
        assert int(said) == len(quick_starts.list_commands(name))
